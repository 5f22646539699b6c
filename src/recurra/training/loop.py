"""The training loop: truncated backpropagation through time for any module, any batches and any loss."""

import math
import time
from collections.abc import Callable, Sequence, Sized
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor, nn

from recurra.data.batching import Batches
from recurra.errors import DataError, SettingError, TrainingError
from recurra.training.best import BestModel
from recurra.training.budget import Budget
from recurra.training.clipping import Clipping, clip_gradients
from recurra.training.devices import choose_device
from recurra.training.events import Ending, Observer, StepEvent, TrainingResult, TrainingStart, ValidationEvent
from recurra.training.interruption import Interruption
from recurra.training.optimisers import build_optimiser
from recurra.training.randomness import seed_everything, undisturbed
from recurra.training.schedules import LearningRate, Place
from recurra.training.settings import TrainingSettings
from recurra.training.truncation import detach

BatchT = TypeVar("BatchT")


@dataclass
class StepLoss:
    """What a loss function returns for one batch.

    Attributes:
        total: The loss summed over the counted items, in nats, a scalar with its graph.
        count: How many items it sums over; with none the batch makes no step.
        carried: The state to hand to the next batch, or None; see `truncation.detach` for what it may hold.
    """

    total: Tensor
    count: int
    carried: Any = None


Loss = Callable[[nn.Module, BatchT, Any], StepLoss]
"""Takes the model, a batch, and the state carried from the batch before (None where the batch is fresh)."""


def train(
    model: nn.Module,
    batches: Batches[BatchT],
    loss: Loss[BatchT],
    settings: TrainingSettings,
    *,
    evaluate: Callable[[], dict[str, float]] | None = None,
    best_by: str = "loss",
    observers: Sequence[Observer] = (),
    save_best: Callable[[], None] | None = None,
    clock: Callable[[], float] = time.perf_counter,
) -> TrainingResult:
    """Train a module by truncated backpropagation through time, and leave it with its best weights.

    Each batch is a chunk of time: its loss is averaged over its items, backpropagated to the chunk's first step,
    clipped and stepped. The state it ends in is detached and handed to the next batch, unless that one says
    `fresh = True` (as every batch does that says nothing of it). A source of whole sequences is thereby trained by
    full backpropagation through time, and one of consecutive chunks of a corpus by the truncated kind
    (Williams and Peng 1990; Mikolov et al. 2010).

    Training ends with the last epoch, at `max_steps`, after `max_minutes`, or by Ctrl-C, which waits for the step at
    hand (a second one does not). However it ends, by an error too, the best weights so far are put back. Without
    `evaluate` the latest weights count as the best.

    Args:
        model: What is trained. It is moved to the device of the settings, and is in evaluation mode afterwards.
        batches: Gives the batches of an epoch by its number, from 0, through its method `epoch`, as the batches of
            `recurra.data` do. If it, or what it gives, has a length, the time left is known from the first epoch on. A
            batch with a method `to` is moved to the device.
        loss: Gives the loss of a batch; see `StepLoss`.
        settings: See `TrainingSettings`. All global generators of random numbers are seeded from it; seed before the
            model is built, too, to make a run repeat.
        evaluate: Measures the model, in evaluation mode and without gradients.
        best_by: The name of the metric that says which weights are best; lower is better.
        observers: Told of every event, in this order.
        save_best: Called whenever the model has new best weights, to write them, so that a killed run leaves them.
        clock: Tells the time in seconds.

    Returns:
        How it ended, and which weights were kept.

    Raises:
        TrainingError: The loss or a gradient is not finite, or no parameter can be trained.
        DataError: An epoch has nothing to train on.
        SettingError: The device is not there, `best_by` is not among the metrics, or the schedule needs a validation
            or a known end that the run does not have.

    Example:
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
    if settings.schedule == "plateau" and evaluate is None:
        raise SettingError("schedule 'plateau' waits for validations, and there are none: give validation data")
    return _Training(model, batches, loss, settings, evaluate, best_by, observers, save_best, clock).run()


@dataclass
class _Training(Generic[BatchT]):
    """One run of the loop and all that changes during it."""

    model: nn.Module
    batches: Batches[BatchT]
    loss: Loss[BatchT]
    settings: TrainingSettings
    evaluate: Callable[[], dict[str, float]] | None
    best_by: str
    observers: Sequence[Observer]
    save_best: Callable[[], None] | None
    clock: Callable[[], float]

    def __post_init__(self) -> None:
        self.device = choose_device(self.settings.device)
        self.model.to(self.device)
        self.optimiser = build_optimiser(self.model, self.settings)
        self.learning_rate = LearningRate(self.settings)
        self.budget = Budget(self.settings)
        self.best = BestModel(self.model)
        self.interruption = Interruption()
        self.carried: Any = None
        self.steps = self.epochs_completed = 0
        self.validated_at = 0  # steps taken by the last validation
        self.started = self.step_ended = self.validation_ended = 0.0

    def run(self) -> TrainingResult:
        """Train to the end, whatever the end is."""
        seed_everything(self.settings.seed)
        self.started = self.step_ended = self.validation_ended = self.clock()
        ending: Ending = "error"
        with self.interruption:
            try:
                self._start()
                ending = self._epochs()
                if ending == "interruption":
                    self._keep_something()
                else:
                    self._validate()
            except KeyboardInterrupt:
                ending = "interruption"
                self._keep_something()
            finally:
                result = self._end(ending)
        return result

    def _start(self) -> None:
        self.model.train()
        trained = [parameter for parameter in self.model.parameters() if parameter.requires_grad]
        start = TrainingStart(self.settings, sum(parameter.numel() for parameter in trained), str(self.device))
        for observer in self.observers:
            observer.on_start(start)

    def _epochs(self) -> Ending:
        for epoch in range(self.settings.epochs):
            steps_before = self.steps
            batches = self.batches.epoch(epoch)
            self.budget.begin_epoch(batches if isinstance(batches, Sized) else self.batches)
            if self.settings.schedule in {"cosine", "one-cycle"} and not self.budget.has_known_end:
                raise SettingError(
                    f"schedule {self.settings.schedule!r} must know when training ends: set max_steps or max_minutes, "
                    "or let the batches of an epoch have a length"
                )
            for batch in batches:
                self._step(batch)
                ending = self._ending()
                if ending is not None:
                    return ending
                if self._is_validation_due():
                    self._validate()
            if self.steps == steps_before:
                raise DataError(f"epoch {epoch + 1} has nothing to train on: the data are shorter than one batch")
            self.epochs_completed += 1
            if self.settings.validate_every is None and self.settings.validate_minutes is None:
                self._validate()
        return "epochs"

    def _is_validation_due(self) -> bool:
        """Whether it is time for a validation within an epoch."""
        steps, minutes = self.settings.validate_every, self.settings.validate_minutes
        if steps is not None and self.steps % steps == 0:
            return True
        return minutes is not None and self.clock() - self.validation_ended >= 60 * minutes

    def _ending(self) -> Ending | None:
        if self.interruption.requested:
            return "interruption"
        return self.budget.ending(self.steps, self.clock() - self.started)

    def _step(self, batch: BatchT) -> None:
        """Learn from one batch."""
        if hasattr(batch, "to"):
            batch = batch.to(self.device)
        rate = self._learning_rate()
        result = self.loss(self.model, batch, None if getattr(batch, "fresh", True) else self.carried)
        self.carried = detach(result.carried)
        self.budget.take_batch()
        if result.count == 0:
            return
        mean, clipping = self._backward(result)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        self.optimiser.step()
        self.steps += 1
        self._tell_step(mean, result.count, clipping, rate)

    def _learning_rate(self) -> float:
        fraction = self.budget.fraction(self.steps, self.clock() - self.started)
        return self.learning_rate.at(Place(self.steps, self.budget.epochs_begun - 1, fraction))

    def _backward(self, result: StepLoss) -> tuple[float, Clipping]:
        """Leave the clipped gradient of the mean loss in the parameters; return the mean and what clipping found."""
        where = f"step {self.steps + 1} (epoch {self.budget.epochs_begun})"
        if not result.total.requires_grad:
            raise TrainingError(f"{where}: the loss depends on no parameter of the model; was it detached?")
        mean = result.total / result.count
        self.optimiser.zero_grad(set_to_none=True)
        mean.backward()  # type: ignore[no-untyped-call]
        value = float(mean.detach())
        if not math.isfinite(value):
            raise TrainingError(f"{where}: the loss is {value}; {self._mends()}")
        try:
            clipping = clip_gradients(self.model.named_parameters(), self.settings.clip_norm, self.settings.clip_value)
        except TrainingError as error:
            raise TrainingError(f"{where}: {error}; {self._mends()}") from error
        return value, clipping

    def _mends(self) -> str:
        norm = self.settings.clip_norm
        return (
            f"try a lower learning_rate (now {self.settings.learning_rate:g}), "
            f"a lower clip_norm (now {'off' if norm is None else f'{norm:g}'}) or more warmup_steps "
            f"(now {self.settings.warmup_steps}), and look for values in the data that are not finite"
        )

    def _tell_step(self, mean: float, count: int, clipping: Clipping, rate: float) -> None:
        now = self.clock()
        elapsed = now - self.started
        event = StepEvent(
            step=self.steps,
            epoch=self.budget.epochs_begun,
            loss=mean,
            count=count,
            gradient_norm=clipping.norm,
            clipped=int(clipping.clipped),
            learning_rate=rate,
            seconds=now - self.step_ended,
            elapsed=elapsed,
            fraction=self.budget.fraction(self.steps, elapsed),
            seconds_left=self.budget.seconds_left(self.steps, elapsed),
        )
        self.step_ended = now
        for observer in self.observers:
            observer.on_step(event)

    def _validate(self) -> None:
        """Measure the model, and keep it if it is the best; do nothing if it is as it was measured last."""
        if self.validated_at == self.steps:
            return
        self.validated_at = self.steps
        self.model.eval()
        with undisturbed():
            if self.evaluate is None:
                self._keep(math.inf, {})
            else:
                self._compare(self._metrics(self.evaluate))
        self.model.train()
        self.step_ended = self.validation_ended = self.clock()

    def _metrics(self, evaluate: Callable[[], dict[str, float]]) -> dict[str, float]:
        with torch.no_grad(), self.interruption.comes_through():
            metrics = evaluate()
        if self.best_by not in metrics:
            known = ", ".join(metrics) or "none"
            raise SettingError(f"best_by {self.best_by!r} is not among the metrics of the validation: {known}")
        return metrics

    def _compare(self, metrics: dict[str, float]) -> None:
        value = metrics[self.best_by]
        self.learning_rate.observe(value)
        is_best = self.best.is_beaten_by(value)
        if is_best:
            self._keep(value, metrics)
        elapsed = self.clock() - self.started
        event = ValidationEvent(self.steps, self.budget.epochs_begun, metrics, is_best, elapsed)
        for observer in self.observers:
            observer.on_validation(event)

    def _keep(self, value: float, metrics: dict[str, float]) -> None:
        self.best.keep(self.steps, value, metrics)
        if self.save_best is not None:
            self.save_best()

    def _keep_something(self) -> None:
        """Keep the weights as they are if an interruption came before the first validation."""
        if self.best.step is None and self.steps:
            self.model.eval()
            self._keep(math.inf, {})

    def _end(self, ending: Ending) -> TrainingResult:
        self.best.restore()
        self.model.eval()
        self.optimiser.zero_grad(set_to_none=True)
        seconds = self.clock() - self.started
        best = self.best
        result = TrainingResult(ending, self.steps, self.epochs_completed, seconds, best.step, best.metrics)
        with ExitStack() as stack:  # Each observer hears of the end, even if another fails at it.
            for observer in reversed(self.observers):
                stack.callback(observer.on_end, result)
        return result
