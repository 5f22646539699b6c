"""What training tells those who watch it."""

from dataclasses import dataclass, replace
from typing import ClassVar, Literal

from recurra.training.settings import TrainingSettings

Ending = Literal["epochs", "steps", "minutes", "patience", "interruption", "error"]


@dataclass(frozen=True)
class TrainingStart:
    """Training begins.

    Attributes:
        settings: What it was told.
        parameters: How many numbers are learned.
        device: Where, as torch names it.
        step: Steps taken before: 0, or where the run that is resumed had come to.
        processes: How many train together.
        epochs: Epochs completed before.
        elapsed: Seconds of training before.
    """

    settings: TrainingSettings
    parameters: int
    device: str
    step: int = 0
    processes: int = 1
    epochs: int = 0
    elapsed: float = 0.0


@dataclass(frozen=True)
class StepEvent:
    """One step, or, as a sum of events, the span of steps they cover.

    Attributes:
        step: The number of the (last) step, from 1.
        epoch: Its epoch, from 1.
        loss: Mean over the counted items, in nats.
        count: How many items the loss was counted over.
        gradient_norm: Norm of the gradient before clipping; over a span, the mean of the steps.
        clipped: How many of the steps were clipped.
        learning_rate: Of the (last) step.
        seconds: How long the step or steps took, the wait for data included and validation left out.
        elapsed: Seconds since training began.
        fraction: Share of the training that is done, in [0, 1]; 0 while its end is not known.
        seconds_left: Estimate of the time to the end; None while its end is not known.
        steps: How many steps the event covers.
        skipped: How many were skipped before them, because their loss or gradient was not finite.
    """

    step: int
    epoch: int
    loss: float
    count: int
    gradient_norm: float
    clipped: int
    learning_rate: float
    seconds: float
    elapsed: float
    fraction: float
    seconds_left: float | None
    steps: int = 1
    skipped: int = 0

    def __add__(self, later: "StepEvent") -> "StepEvent":
        """The span of both: losses are averaged over items and norms over steps; the place is the later one's.

        Example:
            >>> first = StepEvent(1, 1, 4.0, 10, 1.0, 0, 0.1, 0.5, 0.5, 0.25, 1.5)
            >>> span = first + StepEvent(2, 1, 1.0, 20, 3.0, 1, 0.1, 1.0, 1.5, 0.5, 1.5)
            >>> span.loss, span.gradient_norm, span.clipped_share, span.items_per_second
            (2.0, 2.0, 0.5, 20.0)
        """
        count, steps = self.count + later.count, self.steps + later.steps
        return replace(
            later,
            loss=(self.loss * self.count + later.loss * later.count) / count,
            count=count,
            gradient_norm=(self.gradient_norm * self.steps + later.gradient_norm * later.steps) / steps,
            clipped=self.clipped + later.clipped,
            seconds=self.seconds + later.seconds,
            steps=steps,
            skipped=self.skipped + later.skipped,
        )

    @property
    def items_per_second(self) -> float:
        """Counted items a second; 0 where no time has passed."""
        return self.count / self.seconds if self.seconds > 0 else 0.0

    @property
    def clipped_share(self) -> float:
        """Share of the steps that were clipped, in [0, 1]."""
        return self.clipped / self.steps


@dataclass(frozen=True)
class ValidationEvent:
    """One validation.

    Attributes:
        step: Steps taken before it.
        epoch: The epoch it was in or at the end of, from 1.
        metrics: What `evaluate` returned.
        is_best: Whether it is the best so far.
        elapsed: Seconds since training began.
    """

    step: int
    epoch: int
    metrics: dict[str, float]
    is_best: bool
    elapsed: float


@dataclass(frozen=True)
class TrainingResult:
    """How training went.

    Attributes:
        ended: What ended it: one of the limits, Ctrl-C, or an error (which observers see before it is raised).
        steps: Steps taken.
        epochs: Epochs completed.
        seconds: How long it took, validations included.
        best_step: The step whose weights were kept, and are the model's now; None if no weights were kept.
        best_metrics: Its metrics; empty where nothing was evaluated.
        skipped: Steps that were skipped because their loss or gradient was not finite.
        signal: The number of the signal that interrupted it, such as that of Ctrl-C or SIGTERM; None if none did.
    """

    ended: Ending
    steps: int
    epochs: int
    seconds: float
    best_step: int | None
    best_metrics: dict[str, float]
    skipped: int = 0
    signal: int | None = None

    @property
    def interrupted(self) -> bool:
        """Whether Ctrl-C, or another signal that asks for an end, ended it."""
        return self.ended == "interruption"


class Observer:
    """One who watches training: override what is of interest.

    Random numbers drawn in `on_validation` do not disturb training; draw none in the others, or draw them inside
    `randomness.undisturbed()`.

    Attributes:
        only_shows: Whether what it does is for people to watch alone. Then an error in it ends no training that has
            begun: it is told once, in one line, and training goes on.
    """

    only_shows: ClassVar[bool] = False

    def on_start(self, start: TrainingStart) -> None:
        """Before the first step."""

    def on_step(self, event: StepEvent) -> None:
        """After every step. Add events up to see less often: `span = event if span is None else span + event`."""

    def on_validation(self, event: ValidationEvent) -> None:
        """After every validation; if it is the best, its weights are already kept. The model is in evaluation mode."""

    def on_notice(self, notice: str) -> None:
        """Something happened that is no error, and that whoever looks after the run should know: one sentence."""

    def on_end(self, result: TrainingResult) -> None:
        """Once, however training ended, if it was told of the start; the model has its best weights again."""
