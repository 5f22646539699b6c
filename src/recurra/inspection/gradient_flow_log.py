"""The flow of the gradient during training: a line every so many steps."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from torch import nn

from recurra.errors import RunError, SettingError
from recurra.inspection.gradient_flow import GradientFlow, Loss, gradient_flow
from recurra.training import Observer, StepEvent, TrainingStart, undisturbed
from recurra.training.metrics import cut_after

__all__ = ["GradientFlowLog"]


class GradientFlowLog(Observer):
    """Measures the flow of the gradient before the first step and every N steps, and appends it to a file.

    Each line is a JSON object: `step`, `epoch`, and what `GradientFlow.to_json` gives. Measuring changes nothing of
    the training: neither the model, nor a gradient, nor a random number that is drawn after. A line that a lost
    machine left torn is cut off when the file is opened again, and so are those of steps that are taken again.

    Args:
        model: The model that is trained.
        batch: What to measure on, always the same.
        path: The file, `gradient_flow.jsonl` in a run's folder; it is made when training starts, and added to if it is
            there.
        every: How many steps lie between two measurements.
        loss: As for `gradient_flow`.

    Raises:
        SettingError: `every` is below 1.
        RunError: The file cannot be written; raised when training starts.

    Example:
        >>> import tempfile, torch
        >>> from recurra.nn import Recurrent
        >>> from recurra.training import TrainingSettings
        >>> path = Path(tempfile.mkdtemp()) / "gradient_flow.jsonl"
        >>> layer, x = Recurrent("gru", 2, 3), torch.randn(4, 6, 2)
        >>> log = GradientFlowLog(layer, x, path, every=100, loss=lambda layer, x: layer(x)[0][:, -1].sum())
        >>> log.on_start(TrainingStart(TrainingSettings(), parameters=10, device="cpu"))
        >>> json.loads(path.read_text())["step"]
        0
    """

    def __init__(
        self,
        model: nn.Module,
        batch: Any,  # noqa: ANN401  (the loss's)
        path: str | os.PathLike[str],
        every: int,
        loss: Loss | None = None,
    ) -> None:
        if isinstance(every, bool) or not isinstance(every, int) or every < 1:
            raise SettingError(f"every is {every!r}; it is a number of steps from 1")
        self.model, self.batch, self.path, self.every, self.loss = model, batch, Path(path), every, loss
        self.last: GradientFlow | None = None

    def on_start(self, start: TrainingStart) -> None:
        """Open the file, and measure the model as it begins."""
        try:
            cut_after(self.path, start.step)
        except OSError as error:
            raise self._cannot_write(error) from error
        if not self.path.is_file() or not self.path.stat().st_size:
            self._measure(0, 1)

    def on_step(self, event: StepEvent) -> None:
        """Measure if it is time."""
        if event.step % self.every == 0:
            self._measure(event.step, event.epoch)

    def _measure(self, step: int, epoch: int) -> None:
        with undisturbed():
            self.last = gradient_flow(self.model, self.batch, self.loss)
        line = json.dumps({"step": step, "epoch": epoch, **self.last.to_json()}, ensure_ascii=False) + "\n"
        try:
            with self.path.open("ab", buffering=0) as file:
                file.write(line.encode())
        except OSError as error:
            raise self._cannot_write(error) from error

    def _cannot_write(self, error: OSError) -> RunError:
        return RunError(
            f"{self.path}: cannot be written ({error.strerror}); check the folder and the space on the disk"
        )
