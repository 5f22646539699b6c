"""metrics.jsonl: the record of a run, one JSON object a line."""

import json
import math
import os
from pathlib import Path
from typing import Any, BinaryIO

from recurra.errors import RunError
from recurra.training.events import Observer, StepEvent, TrainingResult, TrainingStart, ValidationEvent


class MetricsWriter(Observer):
    """Appends to metrics.jsonl: every `log_every` steps a line of kind "train", every validation one of its kind.

    A line of kind "train" covers the steps since the one before: the loss is their mean in nats, `clipped` the share
    of them whose gradient was clipped. One comes before every validation, too, for the steps not covered yet. A line of
    kind "validation" has the metrics by their names. A number that is not finite is null. Each line is written whole
    and at once; one that a lost machine left torn is cut off when the file is opened again, and so are
    the lines of steps that a run takes again when it is resumed.

    Args:
        path: The file; it is made when training starts, and added to if it is there.

    Raises:
        RunError: The file cannot be written.

    Example:
        >>> import tempfile
        >>> from recurra.training.settings import TrainingSettings
        >>> path = Path(tempfile.mkdtemp()) / "metrics.jsonl"
        >>> writer = MetricsWriter(path)
        >>> writer.on_start(TrainingStart(TrainingSettings(), parameters=10, device="cpu"))
        >>> writer.on_validation(ValidationEvent(40, 1, {"loss": 2.5, "perplexity": 12.18}, is_best=True, elapsed=3.0))
        >>> writer.on_end(TrainingResult("epochs", 40, 1, 3.0, 40, {}))
        >>> print(path.read_text(), end="")
        {"kind": "validation", "step": 40, "epoch": 1, "loss": 2.5, "perplexity": 12.18, "best": true, "elapsed": 3.0}
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._file: BinaryIO | None = None
        self._every = 1
        self._span: StepEvent | None = None

    def on_start(self, start: TrainingStart) -> None:
        """Open the file."""
        self._every = start.settings.log_every
        try:
            cut_after(self.path, start.step)
            self._file = self.path.open("ab", buffering=0)
        except OSError as error:
            raise self._cannot_write(error) from error

    def on_step(self, event: StepEvent) -> None:
        """Write a line if enough steps have been taken since the last."""
        self._span = event if self._span is None else self._span + event
        if self._span.steps >= self._every:
            self._write_span()

    def on_validation(self, event: ValidationEvent) -> None:
        """Write a line, after one for the steps that no line covers yet."""
        self._write_span()
        self._write(
            {
                "kind": "validation",
                "step": event.step,
                "epoch": event.epoch,
                **event.metrics,
                "best": event.is_best,
                "elapsed": round(event.elapsed, 3),
            }
        )

    def on_end(self, result: TrainingResult) -> None:
        """Write the steps that no line covers yet, and close the file."""
        if self._file is not None:
            with self._file:
                self._write_span()
            self._file = None

    def _write_span(self) -> None:
        if self._span is None:
            return
        span, self._span = self._span, None
        self._write(
            {
                "kind": "train",
                "step": span.step,
                "epoch": span.epoch,
                "loss": span.loss,
                "gradient_norm": span.gradient_norm,
                "clipped": round(span.clipped_share, 4),
                "skipped": span.skipped,
                "learning_rate": span.learning_rate,
                "items_per_second": round(span.items_per_second, 1),
                "elapsed": round(span.elapsed, 3),
            }
        )

    def _write(self, record: dict[str, Any]) -> None:
        if self._file is None:
            return
        finite = {
            key: None if isinstance(value, float) and not math.isfinite(value) else value
            for key, value in record.items()
        }
        line = json.dumps(finite, ensure_ascii=False) + "\n"
        try:
            self._file.write(line.encode())
        except OSError as error:
            raise self._cannot_write(error) from error

    def _cannot_write(self, error: OSError) -> RunError:
        return RunError(
            f"{self.path}: cannot be written ({error.strerror}); check the folder and the space on the disk"
        )


def cut_after(path: Path, step: int) -> None:
    """Shorten a file to its whole lines of the steps before; a run that is resumed takes the later ones again."""
    if not path.is_file():
        return
    with path.open("r+b") as file:
        end = 0
        for line in file:
            if not line.endswith(b"\n") or _step(line) > step:
                break
            end += len(line)
        file.truncate(end)


def _step(line: bytes) -> float:
    try:
        return float(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError):
        return 0.0  # not a line of ours; it is left where it is


def validations(path: Path) -> list[ValidationEvent]:
    """The validations that a record holds; what is no line of ours is passed over."""
    events = []
    try:
        lines = path.read_bytes().splitlines()
    except OSError:
        return []
    for line in lines:
        try:
            record = dict(json.loads(line))
            if record.pop("kind") == "validation":
                step, epoch, best = int(record.pop("step")), int(record.pop("epoch")), bool(record.pop("best"))
                elapsed = float(record.pop("elapsed"))
                metrics = {name: math.nan if value is None else float(value) for name, value in record.items()}
                events.append(ValidationEvent(step, epoch, metrics, best, elapsed))
        except (ValueError, KeyError, TypeError):
            continue
    return events
