"""A trained model with all that it takes to use it, wherever it came from: answers, and how good they are."""

from __future__ import annotations

import dataclasses
import itertools
import shlex
from collections.abc import Callable, Iterable, Iterator, Sequence, Sized
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

import torch
from torch import nn

from recurra.data.batch import Batch
from recurra.data.batching import Batches
from recurra.data.dataset import Dataset, Examples, Role
from recurra.data.lines import Source
from recurra.errors import RecurraError, RunError, SettingError
from recurra.metrics import Metric
from recurra.nn.evaluating import evaluating
from recurra.spelling import unknown
from recurra.tasks.assets import Assets
from recurra.tasks.mistakes import Mistakes
from recurra.tasks.report import Measuring, Report
from recurra.tasks.settings import TaskConfig
from recurra.tasks.task import Task
from recurra.training import MetricView, StepLoss, World
from recurra.training.figures import LOSS

if TYPE_CHECKING:
    from recurra.tasks.streaming import LiveStream

__all__ = ["Trained", "windows"]

C = TypeVar("C", bound=TaskConfig)
R = TypeVar("R")
A = TypeVar("A", bound=Assets)
M = TypeVar("M", bound=nn.Module)
B = TypeVar("B", bound=Batch)
P = TypeVar("P")
X = TypeVar("X")

_NOWHERE = Source(Path(), 0)

LONGEST_SUGGESTED = 100
"""Characters of an input that is printed to be tried."""

WINDOW = 2048
"""Examples that are predicted together: memory holds so many, and those of like length share batches."""

ABILITIES = {"score": "scores", "score_many": "scores", "sample": "samples"}
"""Methods that only the runs of some uses have, with what those uses are able to do."""


class MissingAbilityError(RunError, AttributeError):
    """The use of a run cannot do what is asked of it, and others can."""


@dataclass
class Trained(Generic[C, R, A, M, B, P]):
    """A trained model: its use, settings, assets and weights.

    Args:
        task: What it is for.
        config: Its settings.
        assets: What was fitted on the part it was trained on.
        model: The network.
        folder: The run that it is kept in; None for a model that is kept nowhere.
        validated_on: The part that it was validated on, where it was trained in this process.
    """

    task: Task[C, R, A, M, B, P]
    config: C
    assets: A
    model: M
    folder: Path | None = None
    validated_on: Dataset[R] | None = None

    if not TYPE_CHECKING:  # to a type checker a run that lacks a method is to lack it

        def __getattr__(self, name: str) -> Any:  # noqa: ANN401  (never returns)
            from recurra.tasks.table import TASKS

            if name not in ABILITIES:
                raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
            able = " or ".join(TASKS.able(ABILITIES[name]))
            raise MissingAbilityError(f"this is a run of {self.task.name}, and .{name} takes a run of {able}")

    def __repr__(self) -> str:
        size = sum(parameter.numel() for parameter in self.model.parameters())
        where = "" if self.folder is None else f" {self.folder}"
        return f"<{type(self).__name__}{where}: {self.task.name}, {size:,} parameters>"

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return next(self.model.parameters()).device

    @property
    def metrics(self) -> Sequence[Metric[R, P]]:
        """What measures its answers, the metric that selects the weights first."""
        return self.task.metrics(self.config, self.assets)

    @property
    def views(self) -> list[MetricView]:
        """How the figures of a validation are shown while training goes on."""
        return _views(metric for metric in self.metrics if not metric.detail)

    @property
    def all_views(self) -> list[MetricView]:
        """How all figures of an evaluation are shown."""
        return _views(self.metrics)

    def predict(self, given: Any, *, precision: float | None = None) -> Any:  # noqa: ANN401  (what a use takes and gives)
        """The answer to an input, or those to a list of inputs.

        Args:
            given: One input as the use takes it, such as a text; or a list of them.
            precision: Leave out of answers whatever was less often right on the part to validate on; None for nothing.

        Returns:
            An answer, or a list of as many answers in the same order.

        Raises:
            SettingError: The use cannot be asked for a precision, or the run does not know it.
        """
        many = isinstance(given, list)
        inputs = (self.task.parse(self.config, one) for one in (given if many else [given]))
        only_sure = (lambda answer: answer) if precision is None else self.at_precision(precision)[0]
        answers = [only_sure(answer) for answer in self.answers(inputs)]
        return answers if many else answers[0]

    def at_precision(self, precision: float) -> tuple[Callable[[P], P], Sequence[str]]:
        """What leaves out of an answer whatever is not as precise as is asked for, and what that costs, a line each.

        Raises:
            SettingError: The use cannot be asked for a precision, or the run does not know it.
        """
        if self.task.at_precision is None:
            raise SettingError(f"{self.task.name} cannot be asked for a precision: leave --precision (--abstain) out")
        return self.task.at_precision(self.assets, precision)

    def using(self, **settings: Any) -> Self:  # noqa: ANN401  (each setting has a type of its own)
        """The same model, used in another way.

        Args:
            **settings: What changes by key, of the settings that say how a model is used, such as `beam=8` of a
                translator; `recurra predict --help` lists them.

        Raises:
            SettingError: The use has no such setting, or a value is impossible.
        """
        from recurra.tasks.settings_file import make_config, settings_in_use

        for key in settings:
            if not (known := settings_in_use(type(self.config))):
                raise SettingError(f"{self.task.name} has no settings that change how a run is used: leave {key} out")
            if key not in known:
                raise SettingError(f"{self.task.name}: {unknown('setting', key, known)}")
        changed = make_config(type(self.config), self.config.model_dump(), settings)
        return dataclasses.replace(self, config=changed)

    def resume(self, **overrides: Any) -> Self:  # noqa: ANN401  (each setting has a type of its own)
        """Go on with the training of the run, as if it had never stopped.

        Args:
            **overrides: What changes by key, such as `epochs=20`: what ends a training, and where the data are now.

        Returns:
            The run with its best weights.

        Raises:
            RunError: It has no folder or no checkpoint, a limit that is given is over already, or a setting or the data
                have changed.
        """
        from recurra.tasks.run import resume_run

        if self.folder is None:
            raise RunError("this model is kept in no folder, so that its training cannot go on; train one with `out`")
        run, _ = resume_run(self.folder, {self.task.name: self.task}, overrides)
        assert isinstance(run, type(self))
        return run

    def stream(self, **options: Any) -> LiveStream:  # noqa: ANN401  (each option has a type of its own)
        """Read live input: what `push` is given as it comes is answered as soon as it can be.

        Args:
            **options: How the input is written and cut, those of `LiveOptions`.

        Raises:
            SettingError: The use reads whole inputs, the network reads them from their end, too, or an option is
                impossible.
        """
        from recurra.tasks.streaming import LiveOptions, open_stream

        return open_stream(self, LiveOptions(**options))

    def answers(self, inputs: Iterable[R], window: int = WINDOW) -> Iterator[P]:
        """The answer to each input, in the order of the inputs and in memory that does not grow with them.

        Args:
            inputs: Examples, with or without answers of their own.
            window: How many of them are read before the first is answered.
        """
        return (answer for _, answer in self.answered(inputs, window))

    def answered(self, inputs: Iterable[R], window: int = WINDOW) -> Iterator[tuple[R, P]]:
        """Each input with its answer; see `answers`."""
        for examples in windows(inputs, window):
            yield from zip(examples, self._by_example(examples, self._predicted), strict=True)

    def _by_example(self, examples: Sequence[R], answer: Callable[[B], Sequence[X]]) -> list[X]:
        """What is answered to each of some examples, in their order; those of like length share batches."""
        lengths = [len(example) if isinstance(example, Sized) else 1 for example in examples]
        dataset = Examples(examples, [_NOWHERE] * len(examples), lengths)
        answers: dict[int, X] = {}
        for batch in self._batches(dataset, "predict").epoch(0):
            answers.update(zip(batch.index.tolist(), answer(batch), strict=True))
        return [answers[index] for index in range(len(examples))]

    def evaluate(
        self,
        data: Dataset[R] | str | Path | None = None,
        role: Role = "evaluate",
        *,
        intervals: bool = False,
        mistakes: bool = False,
        batches: Batches[B] | None = None,
        watch: Callable[[Batches[B]], Batches[B]] = lambda batches: batches,
    ) -> Report:
        """Measure the model on a dataset.

        Several processes share the batches, and each gets the whole report.

        Args:
            data: The examples with their answers, or the file of them; None for what the training validated on.
            role: "validate" measures as a training does, which may be faster and less exact.
            intervals: Whether to draw the interval of each figure, from the groups that examples belong to.
            mistakes: Whether to list the answers that are wrong, where the use can.
            batches: The dataset in batches, where they have been made already.
            watch: Is given the batches before they are read, and returns those that are, so that their reading can be
                watched.
        """
        dataset: Dataset[R]
        if data is None or isinstance(data, str | Path):
            from recurra.tasks.evaluation import data_to_evaluate

            dataset, role = data_to_evaluate(self, data)
        elif all(hasattr(data, name) for name in ("lengths", "__getitem__", "__len__")):
            dataset = data
        else:
            raise SettingError(
                f"there is no data in a {type(data).__name__}: give the path of a file, a dataset as the use reads it, "
                "or nothing for what the training validated on"
            )
        measuring = Measuring(self.metrics, intervals)
        wrong = Mistakes(self.task.mistake) if mistakes and self.task.mistake is not None else None
        batches = watch(self._batches(dataset, role) if batches is None else batches)
        answered = any(metric.tally is not None for metric in measuring.metrics)
        with evaluating(self.model):
            if not answered or self.task.measure is None:
                for place, (batch, loss) in enumerate(self._losses(batches)):
                    measuring.add_loss(place, float(loss.total), loss.count, batch)
            if answered:
                for place, batch in self._shared(batches):
                    answers, result = self._measured(batch)
                    if result is not None:
                        measuring.add_loss(place, float(result.total), result.count, batch)
                    for index, answer in zip(batch.index.tolist(), answers, strict=True):
                        example = dataset[index]
                        group = self.task.facts(example).group if intervals else None
                        measuring.add(index if group is None else ("group", group), example, answer)
                        if wrong is not None:
                            wrong.add(dataset.source(index), example, answer)
        report = measuring.report(len(dataset))
        return report if wrong is None else replace(report, mistakes=wrong.worst_first())

    def writer(self) -> Callable[[], str] | None:
        """What writes a sample to show while the model learns, another one at each call; None where it cannot write."""
        return None

    def suggestions(self) -> list[tuple[str, str]]:
        """What to try with the run on the command line: (command, what follows the folder)."""
        example: Any = None if self.validated_on is None else self.validated_on[0]
        text = getattr(example, "text", None) or " ".join(getattr(example, "words", ()))
        told = shlex.quote(text) if text.isprintable() and len(text) <= LONGEST_SUGGESTED else None
        data = shlex.quote(str(self.config.files.valid or self.config.files.data))
        return [("evaluate", ""), ("predict", f" --text {told}" if told else f" {data}")]

    def _batches(self, dataset: Dataset[R], role: Role) -> Batches[B]:
        return self.task.batches(self.config, self.assets, dataset, role)

    @torch.no_grad()
    def _losses(self, batches: Batches[B]) -> Iterator[tuple[B, StepLoss]]:
        """Each batch of an epoch, the part of this process, and its loss, the state carried where a batch goes on."""
        world, carried = World(), None
        for whole in batches.epoch(0):
            batch = world.part(whole).to(self.device)
            result = self.task.loss(self.config, self.model, batch, None if batch.fresh else carried)
            carried = result.carried
            yield batch, result

    def _shared(self, batches: Batches[B]) -> Iterator[tuple[int, B]]:
        """The batches that this process takes, with their places."""
        world = World()
        return ((place, b) for place, b in enumerate(batches.epoch(0)) if place % world.size == world.rank)

    @torch.no_grad()
    def _measured(self, batch: B) -> tuple[Sequence[P], StepLoss | None]:
        """The answers of a batch, and its loss if that comes with them."""
        if self.task.measure is None:
            return self._predicted(batch), None
        result, answers = self.task.measure(self.config, self.assets, self.model, batch.to(self.device))
        return answers, result

    @torch.no_grad()
    def _predicted(self, batch: B) -> Sequence[P]:
        """An answer for each row of a batch."""
        with evaluating(self.model):
            return self.task.predict(self.config, self.assets, self.model, batch.to(self.device))


def _views(metrics: Iterable[Metric[Any, Any]]) -> list[MetricView]:
    return [LOSS, *(MetricView(m.name, m.label, m.format, m.from_loss) for m in metrics)]


def windows(items: Iterable[R], size: int) -> Iterator[list[R]]:
    """Lists of so many items, the last of fewer; also what came before an error, which is then raised."""
    iterator, error = iter(items), None
    while error is None:
        window: list[R] = []
        try:
            window.extend(itertools.islice(iterator, size))
        except RecurraError as raised:
            error = raised
        if not window and error is None:
            return
        if window:
            yield window
    raise error
