"""Who watches a training that the command line starts: the screen, the curves, TensorBoard, the gradient's flow."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from recurra.errors import SettingError
from recurra.training import Observer, Progress, ValidationEvent
from recurra.training.curves import CurvesWriter
from recurra.training.figures import describe_seconds
from recurra.training.tensorboard import TensorBoardWriter

if TYPE_CHECKING:  # torch is imported once a command runs
    from recurra.tasks.task import Task, TaskConfig

__all__ = ["GRADIENTS", "Gradients", "SamplesFlag", "TensorBoardFlag", "Watching"]

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

    def observers(
        self,
        task: Task[Any, Any, Any],
        config: TaskConfig,
        folder: Path,
        model: Any,  # noqa: ANN401  (the task's own)
        data: Any,  # noqa: ANN401
    ) -> list[Observer]:
        """All who are told of the events of a training."""
        from recurra.inspection import GradientFlowLog
        from recurra.tasks.run import METRICS

        views = list(task.views(config))
        progress = Progress(views, task.unit(config))
        write = task.sample(config, model, data) if self.samples else None
        if self.untrained and write is not None:
            model.eval()
            progress.show_sample("a sample before training", write())
        watchers: list[Observer] = [progress]
        if write is not None:
            watchers.append(_Samples(write, progress))
        if self.tensorboard:
            watchers.append(TensorBoardWriter(folder / TENSORBOARD))
        if self.gradients is not None:
            if config.training.parallel == "sharded":
                raise SettingError("--gradients needs the whole model in one process: leave --parallel sharded out")
            batch = next(iter(data.batches.epoch(0)))
            watchers.append(GradientFlowLog(model, batch, folder / GRADIENTS, self.gradients))
        watchers.append(CurvesWriter(folder / METRICS, folder / CURVES, views, say=progress.on_notice))
        return watchers


class _Samples(Observer):
    """Shows what the model writes after every validation."""

    def __init__(self, write: Callable[[], str], progress: Progress) -> None:
        self.write, self.progress = write, progress

    def on_validation(self, event: ValidationEvent) -> None:
        """Write, and show it."""
        after = f"a sample after {event.step:,} steps, {describe_seconds(event.elapsed)}"
        self.progress.show_sample(after, self.write())
