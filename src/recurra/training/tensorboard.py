"""TensorBoard: the figures of a run where TensorBoard shows them. Needs tensorboard, the extra of that name."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from recurra.errors import RunError
from recurra.extras import missing
from recurra.training.events import Observer, StepEvent, TrainingResult, TrainingStart, ValidationEvent

__all__ = ["TensorBoardWriter"]


class TensorBoardWriter(Observer):
    """Writes the figures that metrics.jsonl has to a folder that `tensorboard --logdir` reads.

        training/loss, gradient_norm, clipped, learning_rate, items_per_second     every `log_every` steps
        validation/...                                                            every metric of a validation

    A run that is resumed goes on in the same folder; what it had logged after the checkpoint is hidden.

    Args:
        folder: Where; it is made if it is not there.

    Raises:
        SettingError: tensorboard is not installed.
        RunError: The folder cannot be written, when training starts.
    """

    only_shows = True

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self._make = _summary_writer()
        self._writer: Any = None
        self._every = 1
        self._span: StepEvent | None = None

    def on_start(self, start: TrainingStart) -> None:
        """Open the log, and note the settings."""
        self._every = start.settings.log_every
        try:
            self._writer = self._make(log_dir=str(self.folder), purge_step=start.step + 1 if start.step else None)
        except OSError as error:
            raise RunError(
                f"{self.folder}: cannot be written ({error.strerror}); give a folder that is yours to write"
            ) from error
        rows = [f"|{key}|{value}|" for key, value in start.settings.model_dump(mode="json").items()]
        self._writer.add_text("settings", "\n".join(["|setting|value|", "|---|---|", *rows]), start.step)

    def on_step(self, event: StepEvent) -> None:
        """Log the steps since the last time, if they are enough."""
        self._span = event if self._span is None else self._span + event
        if self._span.steps >= self._every:
            self._log_span()

    def on_validation(self, event: ValidationEvent) -> None:
        """Log its metrics, after the steps that are not logged yet."""
        self._log_span()
        self._log("validation", event.metrics, event.step)

    def on_end(self, result: TrainingResult) -> None:
        """Log what is left, and close the log."""
        self._log_span()
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def _log_span(self) -> None:
        if self._span is None:
            return
        span, self._span = self._span, None
        figures = {
            "loss": span.loss,
            "gradient_norm": span.gradient_norm,
            "clipped": span.clipped_share,
            "learning_rate": span.learning_rate,
            "items_per_second": span.items_per_second,
        }
        self._log("training", figures, span.step)

    def _log(self, group: str, figures: dict[str, float], step: int) -> None:
        if self._writer is None:
            return
        for name, value in figures.items():
            if math.isfinite(value):  # TensorBoard has no place for others
                self._writer.add_scalar(f"{group}/{name}", value, step)


def _summary_writer() -> Any:  # noqa: ANN401  (torch's class, which cannot be imported without tensorboard)
    """What writes TensorBoard's files, or an error that says how to get it."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise missing("tensorboard", "logging for TensorBoard") from error
    return SummaryWriter
