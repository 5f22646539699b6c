"""The training loop: truncated backpropagation through time for any module, any batches and any loss."""

import itertools
import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Sized
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, cast

import torch
from torch import nn

from recurra.checks import LARGEST_SEED
from recurra.data.batching import Batches
from recurra.errors import DataError, RecurraError, SettingError
from recurra.training.averaging import build_average
from recurra.training.best import BestModel
from recurra.training.budget import Budget
from recurra.training.checkpoints import Checkpoints
from recurra.training.clipping import Clipping
from recurra.training.devices import choose_device
from recurra.training.engine import Engine, Sums, scaled
from recurra.training.events import Ending, Observer, StepEvent, TrainingResult, TrainingStart, ValidationEvent
from recurra.training.freezing import frozen_patterns
from recurra.training.interruption import Interruption
from recurra.training.loss import Loss
from recurra.training.nonfinite import Skips, all_finite, first_not_finite
from recurra.training.randomness import seed_everything, undisturbed
from recurra.training.resumption import go_on, state_of
from recurra.training.schedules import LearningRate, Place
from recurra.training.settings import TrainingSettings
from recurra.training.world import World

__all__ = ["train"]

BatchT = TypeVar("BatchT")


def train(
    model: nn.Module,
    batches: Batches[BatchT],
    loss: Loss[BatchT],
    settings: TrainingSettings,
    *,
    evaluate: Callable[[], dict[str, float]] | None = None,
    best_by: str = "loss",
    highest: bool = False,
    observers: Sequence[Observer] = (),
    save_best: Callable[[Mapping[str, Any]], None] | None = None,
    checkpoints: Checkpoints | None = None,
    resume: bool = False,
    fingerprint: str = "",
    fixed: Mapping[str, Any] | None = None,
    clock: Callable[[], float] = time.perf_counter,
) -> TrainingResult:
    """Train a module by truncated backpropagation through time, and leave it with its best weights.

    Each batch is a chunk of time: its loss is averaged over its items, backpropagated to the chunk's first step,
    clipped and stepped. The state it ends in is detached and handed to the next batch, unless that one says
    `fresh = True` (as every batch does that says nothing of it). A source of whole sequences is thereby trained by
    full backpropagation through time, and one of consecutive chunks of a corpus by the truncated kind
    (Williams and Peng 1990; Mikolov et al. 2010).

    Training ends with the last epoch, at `max_steps`, after `max_minutes`, when `patience` runs out, or by Ctrl-C,
    which waits for the step at hand (a second one does not). However it ends, by an error too, the best weights so far
    are put back. Without `evaluate` the latest weights count as the best.

    A step whose loss or gradient is not finite is skipped and counted; more than `skip_limit` in a row are an error.

    Before the first step observers get the notices of the model's modules: what those say that have a method
    `training_notices`, as `Recurrent` has for parameters that cannot learn from where they begin.

    With `checkpoints`, a run that was killed goes on from the newest as if it had never stopped: same machine, same
    number of threads and processes, same weights bit for bit. Only what follows the clock (`max_minutes`,
    `validate_minutes`) does not repeat.

    Where several processes train together (see `World`), each takes its rows of every batch, and the gradient is the
    mean over the items of all of them.

    Args:
        model: What is trained. It is moved to the device of the settings, and is in evaluation mode afterwards.
        batches: Gives the batches of an epoch by its number, from 0, through its method `epoch`, as the batches of
            `recurra.data` do. If it, or what it gives, has a length, the time left is known from the first epoch on. A
            batch with a method `to` is moved to the device, and one with a method `shard` shared out over processes. To
            resume within an epoch, `epoch(number, start)` gives the batches from place `start` on.
        loss: Gives the loss of a batch; see `StepLoss`.
        settings: See `TrainingSettings`. All global generators of random numbers are seeded from it; seed before the
            model is built, too, to make a run repeat.
        evaluate: Measures the model, in evaluation mode and without gradients.
        best_by: The name of the metric that says which weights are best; of equals those of the lower loss are.
        highest: Whether the best have the highest of this metric; else the lowest.
        observers: Told of every event, in this order.
        save_best: Called with the weights by name whenever there are new best ones, to write them, so that a killed run
            leaves them.
        checkpoints: Where to keep checkpoints; None keeps none.
        resume: Whether to go on from the newest of them.
        fingerprint: A digest of the data; a checkpoint of other data is refused.
        fixed: What else must be the same when the training is resumed, by name, in JSON's types, such as the model's
            settings; what has changed is named. Of `settings` all but those in `settings.CHANGEABLE` are.
        clock: Tells the time in seconds.

    Returns:
        How it ended, and which weights were kept.

    Raises:
        TrainingError: Losses or gradients are not finite for too long, no parameter can be trained, or another process
            of the training has ended.
        RunError: A checkpoint cannot be written, or there is none to resume from, or it is not of this run.
        DataError: An epoch has nothing to train on.
        SettingError: The device is not there, `best_by` is not among the metrics, or the schedule needs a validation
            or a known end that the run does not have.

    Example:
        >>> from recurra.training import StepLoss
        >>> model = nn.Linear(1, 1)
        >>> class Points:  # the same batch in every epoch
        ...     def epoch(self, number):
        ...         return [torch.linspace(-1, 1, 16).unsqueeze(1)]
        >>> def squared_error(model, batch, carried):
        ...     return StepLoss(((model(batch) - 3 * batch) ** 2).sum(), count=len(batch))
        >>> settings = TrainingSettings(epochs=200, learning_rate=0.1, schedule="cosine", device="cpu")
        >>> result = train(model, Points(), squared_error, settings)
        >>> result.ended, result.steps, round(model.weight.item(), 1)
        ('epochs', 200, 3.0)
    """
    _check_arguments(batches, loss)
    if settings.schedule == "plateau" and evaluate is None:
        raise SettingError("schedule 'plateau' waits for validations, and there are none: give validation data")
    if settings.patience is not None and evaluate is None:
        raise SettingError("patience waits for validations, and there are none: give validation data")
    if settings.select_by not in {None, best_by}:
        raise SettingError(
            f"select_by is {settings.select_by!r}, and best_by {best_by!r}: leave select_by out, or give the same twice"
        )
    if resume and checkpoints is None:
        raise SettingError("to resume takes checkpoints: say where they are")
    return Training(
        model,
        batches,
        loss,
        settings,
        evaluate,
        best_by,
        highest,
        observers,
        save_best,
        checkpoints,
        resume,
        fingerprint,
        dict(fixed or {}),
        clock,
    ).run()


def _check_arguments(batches: object, loss: object) -> None:
    """Refuse what is no source of batches, such as a DataLoader, and what is no loss function.

    Raises:
        SettingError: One of them is.
    """
    if not callable(getattr(batches, "epoch", None)):
        raise SettingError(
            f"batches is a {type(batches).__name__}, which has no method epoch(number, start=0); give an object whose "
            "epoch(number) returns the batches of that epoch, such as a class around a DataLoader"
        )
    if not callable(loss):
        raise SettingError(
            f"loss is a {type(loss).__name__}; give a function of the model, a batch and what is carried"
        )


@dataclass
class Training(Generic[BatchT]):
    """One run of the loop and all that changes during it."""

    model: nn.Module
    batches: Batches[BatchT]
    loss: Loss[BatchT]
    settings: TrainingSettings
    evaluate: Callable[[], dict[str, float]] | None
    best_by: str
    highest: bool
    observers: Sequence[Observer]
    save_best: Callable[[Mapping[str, Any]], None] | None
    checkpoints: Checkpoints | None
    resume: bool
    fingerprint: str
    fixed: dict[str, Any]
    clock: Callable[[], float]

    def __post_init__(self) -> None:
        settings = self.settings
        # Read before the engine spreads the weights over processes.
        self.notices = [] if self.resume else training_notices(self.model)
        self.device = choose_device(settings.device)
        self.world = World()
        self.engine = Engine(self.model, self.loss, settings, self.device, self.world)
        self.learning_rate = LearningRate(settings)
        self.average = build_average(self.model, settings)
        self.budget = Budget(settings)
        self.best = BestModel(self.engine.weights, self.engine.load_weights)
        self.skips = Skips(settings)
        self.interruption = Interruption()
        self.at_rest = False  # whether what is done right now could be stopped without leaving a step half done
        self.carried: Any = None
        self.steps = self.epochs_completed = 0
        self.waited = 0  # validations in a row without a new best
        self.validated_at = 0  # steps taken by the last validation
        self.checkpoint_at, self.checkpoint_elapsed = -1, 0.0  # the step and time of the last checkpoint
        self.before = self.elapsed = 0.0  # seconds of training before this process began, and in all
        self.started = self.step_ended = 0.0
        self.validation_elapsed = 0.0
        self.told = 0  # observers that were told of the start
        self.failing: set[int] = set()  # places of the observers whose errors were told
        if not self.world.is_first:
            self.observers, self.save_best = (), None

    def run(self) -> TrainingResult:
        """Train to the end, whatever the end is."""
        seed_everything((self.settings.seed + self.world.rank) % (LARGEST_SEED + 1))
        self.started = self.step_ended = self.clock()
        ending: Ending = "error"
        with self.interruption:
            try:
                self._start()
                ending = self._epochs()
                if ending == "interruption":
                    self._keep_something()
                else:
                    self._validate()
                self._checkpoint()
            except KeyboardInterrupt:
                ending = "interruption"
                self._keep_something()
                if self.at_rest and self.world.size == 1:
                    self._checkpoint()
            finally:
                result = self._end(ending)
        return result

    def _start(self) -> None:
        notices = go_on(self) if self.resume else self.notices
        self.model.train()
        trained = [parameter for parameter in self.model.parameters() if parameter.requires_grad]
        count = sum(parameter.numel() for parameter in trained)
        start = TrainingStart(
            self.settings, count, str(self.device), self.steps, self.world.size, self.epochs_completed, self.elapsed
        )
        for observer in self.observers:
            self.told += 1
            observer.on_start(start)
        for notice in notices:
            self._tell(notice)
        if self.resume and self.best.step is not None and self.save_best is not None:
            self.save_best(self.best.weights)  # the file may have been damaged or lost since
        if not self.resume:
            self._checkpoint()  # so that a run that is killed before its first one can be resumed, too

    def _epochs(self) -> Ending:
        """Train epoch after epoch; one that a checkpoint lies in is gone on with."""
        begun_before = self.resume and self.budget.epochs_begun > self.epochs_completed
        for epoch in range(self.epochs_completed, self.settings.epochs):
            taken, steps_before = (self.budget.batches_taken, -1) if begun_before else (0, self.steps)
            batches = self.batches.epoch(epoch, taken) if taken else self.batches.epoch(epoch)
            if not begun_before:
                self.budget.begin_epoch(batches if isinstance(batches, Sized) else self.batches)
            elif ending := self._after_step():
                return ending
            begun_before = False
            self._check_schedule()
            settings = self.settings
            self.engine.freeze(frozen_patterns(settings.freeze, settings.unfreeze_every, epoch))
            for group in _groups(batches, self.settings.accumulate):
                if self._step(group) and (ending := self._after_step()):
                    return ending
            if self.steps == steps_before and not self.skips.in_row:
                raise DataError(f"epoch {epoch + 1} has nothing to train on: the data are shorter than one batch")
            self.epochs_completed += 1
            if self.settings.validate_every is None and self.settings.validate_minutes is None:
                self._validate()
                if self._out_of_patience():
                    return "patience"
        return "epochs"

    def _check_schedule(self) -> None:
        schedule = self.settings.schedule
        if schedule in {"cosine", "one-cycle"} and not self.budget.has_known_end:
            raise SettingError(
                f"schedule {schedule!r} must know when training ends: set max_steps or max_minutes, "
                "or let the batches of an epoch have a length"
            )

    def _after_step(self) -> Ending | None:
        """What comes between steps: the end, a validation, a checkpoint."""
        if self.interruption.requested:
            return "interruption"
        ending = self.budget.ending(self.steps, self.elapsed)
        if ending is not None:
            return ending
        if self._is_validation_due():
            self._validate()
            if self._out_of_patience():
                return "patience"
        if self._is_checkpoint_due():
            self._checkpoint()
        return None

    def _is_validation_due(self) -> bool:
        """Whether it is time for a validation within an epoch."""
        steps, minutes = self.settings.validate_every, self.settings.validate_minutes
        if steps is not None and self.steps % steps == 0:
            return True
        return minutes is not None and self.elapsed - self.validation_elapsed >= 60 * minutes

    def _is_checkpoint_due(self) -> bool:
        steps, minutes = self.settings.checkpoint_every, self.settings.checkpoint_minutes
        if steps is not None and self.steps % steps == 0:
            return True
        return minutes is not None and self.elapsed - self.checkpoint_elapsed >= 60 * minutes

    def _out_of_patience(self) -> bool:
        return self.settings.patience is not None and self.waited >= self.settings.patience

    def _step(self, group: Sequence[BatchT]) -> bool:
        """Learn from the batches of one step; returns whether one was taken, or tried."""
        where = f"step {self.steps + 1} (epoch {self.budget.epochs_begun})"
        rate = scaled(self._learning_rate(), group)
        carried, moved = self.carried, [self._mine(batch) for batch in group]
        sums = self.engine.backward(moved, carried, where)
        self.carried = sums.carried
        for _ in group:
            self.budget.take_batch()
        total, count = self._agree(sums)
        if count == 0:
            return False
        mean = total / count
        clipping = self.engine.step(mean, len(group), count, rate)
        if isinstance(clipping, str):
            self._skip(where, clipping, moved, carried)
            return True
        self.average.update()
        self.steps += 1
        self._tell_step(mean, int(count), clipping, rate, self.skips.taken(clipping.norm))
        return True

    def _mine(self, batch: BatchT) -> BatchT:
        """This process's rows of a batch, on its device."""
        batch = self.world.part(batch)
        return batch.to(self.device) if hasattr(batch, "to") else batch

    def _agree(self, sums: Sums) -> tuple[float, float]:
        """Sum loss and count over all processes, and share the clock of the first and what any was asked."""
        own = self.before + self.clock() - self.started if self.world.is_first else 0.0
        total, count, self.elapsed, requested = self.world.sum(
            [sums.total, float(sums.count), own, float(self.interruption.requested)]
        )
        self.interruption.requested = requested > 0
        return total, count

    def _skip(self, where: str, why: str, batches: Sequence[BatchT], carried: Any) -> None:  # noqa: ANN401
        """Take no step, and say so the first time in a row."""

        def diagnose() -> str | None:
            with undisturbed():
                return first_not_finite(self.model, lambda: self.engine.again(batches, carried))

        if not all_finite(self.carried):
            self.carried = None  # what comes after would be as wrong
        notice = self.skips.skipped(where, why, diagnose)
        if notice is not None:
            self._tell(notice)

    def _tell(self, notice: str) -> None:
        self._each(lambda observer: observer.on_notice(notice))

    def _each(self, tell: Callable[[Observer], None]) -> None:
        """Tell all observers of an event; what goes wrong in one that only shows is told once itself."""
        for place, observer in enumerate(self.observers):
            try:
                tell(observer)
            except Exception as error:
                if not observer.only_shows:
                    raise
                if place not in self.failing:
                    self.failing.add(place)
                    self._tell(f"{_first_line(error)}; this is only shown: training goes on")

    def _learning_rate(self) -> float:
        fraction = self.budget.fraction(self.steps, self.elapsed)
        return self.learning_rate.at(Place(self.steps, self.budget.epochs_begun - 1, fraction))

    def _tell_step(self, mean: float, count: int, clipping: Clipping, rate: float, skipped: int) -> None:
        now = self.clock()
        event = StepEvent(
            step=self.steps,
            epoch=self.budget.epochs_begun,
            loss=mean,
            count=count,
            gradient_norm=clipping.norm,
            clipped=int(clipping.clipped),
            learning_rate=rate,
            seconds=now - self.step_ended,
            elapsed=self.elapsed,
            fraction=self.budget.fraction(self.steps, self.elapsed),
            seconds_left=self.budget.seconds_left(self.steps, self.elapsed),
            skipped=skipped,
        )
        self.step_ended = now
        self._each(lambda observer: observer.on_step(event))

    def _validate(self) -> None:
        """Measure the model, and keep it if it is the best; do nothing if it is as it was measured last."""
        if self.validated_at == self.steps:
            return
        is_best = True
        self.model.eval()
        with undisturbed(), self.average.applied():
            if self.evaluate is None:
                self._keep(math.inf, {})
            else:
                is_best = self._compare(self._metrics(self.evaluate))
        self.validated_at = self.steps
        self.model.train()
        self.waited = 0 if is_best else self.waited + 1
        self._measure_time()
        self.step_ended, self.validation_elapsed = self.clock(), self.elapsed
        if is_best and self.evaluate is not None:
            self._checkpoint(best=True)

    def _measure_time(self) -> None:
        self.elapsed = self.world.from_first(self.before + self.clock() - self.started)

    def _metrics(self, evaluate: Callable[[], dict[str, float]]) -> dict[str, float]:
        self.at_rest = True
        with torch.no_grad(), self.engine.whole(), self.interruption.comes_through():
            metrics = evaluate()
        self.at_rest = False
        if self.best_by not in metrics:
            known = ", ".join(metrics) or "none"
            raise SettingError(f"best_by {self.best_by!r} is not among the metrics of the validation: {known}")
        return metrics

    def _compare(self, metrics: dict[str, float]) -> bool:
        """Tell the metrics, and keep the weights if they are the best; returns whether they are."""
        value = self.world.from_first(-metrics[self.best_by] if self.highest else metrics[self.best_by])
        self.learning_rate.observe(value)
        self.average.observe(value)
        is_best = self.best.is_beaten_by(value, self.world.from_first(metrics.get("loss", math.inf)))
        if is_best:
            self._keep(value, metrics)
        self._measure_time()
        event = ValidationEvent(self.steps, self.budget.epochs_begun, metrics, is_best, self.elapsed)
        with self.engine.whole():  # for whoever has the model write something
            self._each(lambda observer: observer.on_validation(event))
        return is_best

    def _keep(self, value: float, metrics: dict[str, float]) -> None:
        self.best.keep(self.steps, value, metrics)
        if self.save_best is not None:
            self.save_best(self.best.weights)

    def _keep_something(self) -> None:
        """Keep the weights as they are if an interruption came before the first validation."""
        if self.best.step is None and self.steps:
            self.model.eval()
            self._keep(math.inf, {})

    def _checkpoint(self, best: bool = False) -> None:
        """Write a checkpoint, unless there is one of this step and validation already."""
        if self.checkpoints is None or (self.checkpoint_at == self.steps and not best):
            return
        self.checkpoint_at, self.checkpoint_elapsed = self.steps, self.elapsed
        state = state_of(self)
        if self.world.is_first:
            self.checkpoints.write(self.steps, state, best=best)
        self.world.wait()

    def _tell_end(self, observer: Observer, result: TrainingResult) -> None:
        try:
            observer.on_end(result)
        except Exception as error:
            if not observer.only_shows:
                raise
            if result.ended != "error":  # that error is what is to be seen
                self._tell(_first_line(error))

    def _end(self, ending: Ending) -> TrainingResult:
        self.best.restore()
        self.engine.close()
        self.model.eval()
        self.engine.optimiser.zero_grad(set_to_none=True)
        seconds = self.before + self.clock() - self.started
        best = self.best
        result = TrainingResult(
            ending,
            self.steps,
            self.epochs_completed,
            seconds,
            best.step,
            best.metrics,
            self.skips.total,
            self.interruption.signal if ending == "interruption" else None,
        )
        with ExitStack() as stack:  # Each observer hears of the end, even if another fails at it.
            for observer in reversed(self.observers[: self.told]):
                stack.callback(self._tell_end, observer, result)
        return result


def _first_line(error: Exception) -> str:
    """An error in one line; one that is not of Recurra's own with its type."""
    text = (str(error).strip().splitlines() or [""])[0]
    return text if isinstance(error, RecurraError) and text else f"{type(error).__name__}: {text}".removesuffix(": ")


def training_notices(model: nn.Module) -> list[str]:
    """What the modules of a model have to say before they are trained: those do that have a method of this name."""
    modules = [module for module in model.modules() if callable(getattr(module, "training_notices", None))]
    return list(dict.fromkeys(notice for module in modules for notice in cast(Any, module).training_notices()))


def _groups(batches: Iterable[BatchT], size: int) -> Iterator[Sequence[BatchT]]:
    """The batches of each step."""
    running = iter(batches)
    while group := list(itertools.islice(running, size)):
        yield group
