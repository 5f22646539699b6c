"""Who watches a training that the command line starts: the screen, the curves, TensorBoard, the gradient's flow."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from recurra.errors import SettingError
from recurra.tasks.table import TASKS
from recurra.training import Observer, Progress, StepEvent, TrainingStart, ValidationEvent
from recurra.training.curves import CurvesWriter
from recurra.training.figures import describe_seconds
from recurra.training.metrics import validations
from recurra.training.tensorboard import TensorBoardWriter

if TYPE_CHECKING:  # torch is imported once a command runs
    from torch import nn

    from recurra.tasks.preparation import Prepared

__all__ = ["CURVES", "GRADIENTS", "TENSORBOARD", "Gradients", "SamplesFlag", "TensorBoardFlag", "Watching"]

GRADIENTS, CURVES, TENSORBOARD = "gradient_flow.jsonl", "curves.png", "tensorboard"

SamplesFlag = Annotated[bool, typer.Option("--samples/--no-samples", help="Show what the model writes as it learns.")]
TensorBoardFlag = Annotated[bool, typer.Option("--tensorboard", help=f"Log to RUN/{TENSORBOARD}, too.")]
Gradients = Annotated[
    int | None,
    typer.Option(
        "--gradients",
        help=f"Measure every N steps how the gradient flows back through time, into RUN/{GRADIENTS}.",
        metavar="N",
        min=1,
    ),
]


FIRST_SAMPLE, NEXT_SAMPLE = 40.0, 300.0
"""Seconds without a validation after which a sample is shown all the same: the first time, and from then on."""


@dataclass(frozen=True)
class Watching:
    """What is shown and kept of a training, besides metrics.jsonl.

    Args:
        samples: Whether to show what the model writes at every validation.
        tensorboard: Whether to log for TensorBoard.
        gradients: Steps between two measurements of the gradient's flow; None measures none.
        untrained: Whether to show what the model writes before it has learned anything, too.
    """

    samples: bool = True
    tensorboard: bool = False
    gradients: int | None = None
    untrained: bool = False

    def observers(self, prepared: Prepared, folder: Path) -> list[Observer]:
        """All who are told of the events of a training."""
        from recurra.inspection import GradientFlowLog
        from recurra.tasks.run import METRICS

        run, model, config = prepared.run, prepared.run.model, prepared.run.config
        views, unit = run.views, run.task.unit(config)
        about = [f"run {folder}", ", ".join(prepared.describe())]
        about += prepared.changes()
        about += [f"{warning} (`recurra data {run.task.name}` says where)" for warning in prepared.warnings()]
        progress = Progress(
            views, unit, about=[line for line in about if line], history=lambda: validations(folder / METRICS)
        )
        write = run.writer() if self.samples else None
        if self.untrained and write is not None:
            model.eval()
            progress.show_sample("a sample before training", write())
        watchers: list[Observer] = [progress]
        if write is not None:
            early = config.training.parallel != "sharded"
            watchers.append(_Samples(write, progress, model if early else None))
        if self.tensorboard:
            watchers.append(TensorBoardWriter(folder / TENSORBOARD))
        if self.gradients is not None:
            if run.task.name not in TASKS.able("probes-gradient"):
                raise SettingError(f"--gradients cannot measure models of {run.task.name}: leave it out")
            if config.training.parallel == "sharded":
                raise SettingError("--gradients needs the whole model in one process: leave --parallel sharded out")
            batch = next(iter(prepared.batches.epoch(0)))
            watchers.append(GradientFlowLog(model, batch, folder / GRADIENTS, self.gradients))
        watchers.append(CurvesWriter(folder / METRICS, folder / CURVES, views, say=progress.on_notice))
        return watchers


class _Samples(Observer):
    """Shows what the model writes after every validation."""

    only_shows = True

    def __init__(self, write: Callable[[], str], progress: Progress, model: nn.Module | None) -> None:
        self.write, self.progress, self.model = write, progress, model
        self.due = 0.0

    def on_start(self, start: TrainingStart) -> None:
        """Count the time from here."""
        self.due = start.elapsed + FIRST_SAMPLE

    def on_step(self, event: StepEvent) -> None:
        """Write if no validation has come for long, as in the first epoch on a large text."""
        if self.model is None or event.elapsed < self.due:
            return
        from recurra.training import undisturbed

        self.due = event.elapsed + NEXT_SAMPLE
        self.model.eval()
        try:
            with undisturbed():
                self._show(event)
        finally:
            self.model.train()

    def on_validation(self, event: ValidationEvent) -> None:
        """Write, and show it."""
        self.due = event.elapsed + NEXT_SAMPLE
        self._show(event)

    def _show(self, event: StepEvent | ValidationEvent) -> None:
        after = f"a sample after {event.step:,} steps, {describe_seconds(event.elapsed)}"
        self.progress.show_sample(after, self.write())
