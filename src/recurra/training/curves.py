"""The curves of a run as a picture: loss and other metrics over the steps, learning rate and gradient norm below."""

from __future__ import annotations

import io
import json
import math
import textwrap
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recurra.data.files import write_atomically
from recurra.errors import RunError
from recurra.extras import how_to_install, is_there, need
from recurra.training.events import Observer, TrainingResult, TrainingStart, ValidationEvent
from recurra.training.figures import LOSS, MetricView

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["CurvesWriter", "draw_curves"]

TRAINING, VALIDATION, BEST, QUIET = "#0072B2", "#D55E00", "#009E73", "#555555"
"""Colours that people who are colour-blind can tell apart (Okabe and Ito 2008)."""

QUIET_VIEWS = (MetricView("learning_rate", "learning rate"), MetricView("gradient_norm", "gradient norm"))
"""What goes along with every training, drawn below its metrics."""

SHARE = 0.02
"""The share of the time that drawing may take while training goes on."""

Record = dict[str, Any]


def draw_curves(metrics: str | Path, picture: str | Path, views: Sequence[MetricView] = (LOSS,)) -> None:
    """Draw what a run's metrics.jsonl records.

    The loss has a panel with its course in training and in validation, the best validation marked, and so has every
    metric that does not follow from the loss, such as an accuracy; below are the learning rate and the norm of the
    gradient before clipping. The title says what the best validation reached, by every metric. Numbers that are not
    finite leave a gap, and of a line that was cut off nothing is drawn.

    Args:
        metrics: The record, as `MetricsWriter` writes it.
        picture: Where the PNG goes.
        views: The metrics.

    Raises:
        SettingError: matplotlib is not installed.
        RunError: The record cannot be read or holds nothing, or the picture cannot be written.
    """
    need("matplotlib", "a picture of curves")
    records = _read(Path(metrics))
    if not records:
        raise RunError(f"{metrics}: there is nothing to draw in it yet; it fills while a run is trained")
    from matplotlib.figure import Figure

    training = [record for record in records if record.get("kind") == "train"]
    validation = [record for record in records if record.get("kind") == "validation"]
    known = [view for view in views if any(not math.isnan(_value(r, view)) for r in records)]
    # What follows from the loss alone, such as the perplexity, would be the same curve over another axis.
    from_loss = [view for view in known if view.from_loss is not None][:1]
    shown = [*from_loss, *(view for view in known if view.from_loss is None)]
    below = [view for view in QUIET_VIEWS if any(not math.isnan(_value(record, view)) for record in training)]
    columns = max(2, len(shown))
    figure = Figure(figsize=(4.6 * columns, 6.0), dpi=130, layout="constrained")
    title = textwrap.fill(_title(Path(metrics), records, validation, known), 50 * columns)
    figure.suptitle(title, x=0.01, ha="left", fontsize=11)
    # As many columns as there are metrics above; below the panels share the width.
    grid = figure.add_gridspec(2 if below else 1, 2 * columns, height_ratios=(2, 1) if below else None)
    for place, view in enumerate(shown):
        width = 2 * columns // len(shown)
        _draw_metric(figure.add_subplot(grid[0, place * width : (place + 1) * width]), view, training, validation)
    for place, view in enumerate(below):
        width = 2 * columns // len(below)
        _draw_quiet(figure.add_subplot(grid[1, place * width : (place + 1) * width]), view, training)
    file = io.BytesIO()
    figure.savefig(file, format="png")
    write_atomically(picture, file.getvalue())


def _title(metrics: Path, records: Sequence[Record], validation: Sequence[Record], views: Sequence[MetricView]) -> str:
    """Which run it is, how long it is, and what its best validation reached."""
    run = metrics.resolve().parent.name
    title = f"{run}: {max(record['step'] for record in records):,} steps"
    best = [record for record in validation if record.get("best")][-1:]
    for record in best:
        values = [(view, _value(record, view)) for view in views]
        figures = [f"{view.label} {value:{view.format}}" for view, value in values if not math.isnan(value)]
        title += f"; best validation at step {record['step']:,}: {', '.join(figures)}"
    return title.replace("$", r"\$")


def _draw_metric(axes: Axes, view: MetricView, training: list[Record], validation: list[Record]) -> None:
    """One metric over the steps."""
    found: list[float] = []
    for records, label, colour, marker in (
        (training, "training", TRAINING, ""),
        (validation, "validation", VALIDATION, "o"),
    ):
        steps, values = _course(records, view)
        finite = [value for value in values if not math.isnan(value)]
        found += finite
        if finite:
            few = len(steps) <= 30
            axes.plot(steps, values, color=colour, label=label, linewidth=1.5, marker=marker if few else "", ms=3.5)
    best = [record for record in validation if record.get("best")][-1:]
    for record in best:
        value = _value(record, view)
        if not math.isnan(value):
            axes.plot(record["step"], value, "*", color=BEST, ms=12, zorder=5, label=f"best: {value:{view.format}}")
    _dress(axes, view.label)
    _limit(axes, found)
    axes.legend(frameon=False, fontsize="small")


def _draw_quiet(axes: Axes, view: MetricView, training: list[Record]) -> None:
    """What goes along with the training, from zero."""
    steps, values = _course(training, view)
    axes.plot(steps, values, color=QUIET, linewidth=1.2)
    highest = max(value for value in values if not math.isnan(value))
    axes.set_ylim(0, 1.1 * highest if highest > 0 else 1.0)
    _dress(axes, view.label)


def _limit(axes: Axes, values: list[float]) -> None:
    """Leave out what the first steps reach far above the rest, which would flatten all that is to be seen."""
    ordered = sorted(values)
    if len(ordered) < 10:
        return
    low, high = ordered[0], ordered[int(0.95 * len(ordered))]
    if ordered[-1] > high + 2 * (high - low) > low:
        room = 0.08 * (high - low)
        axes.set_ylim(low - room, high + 4 * room)


def _dress(axes: Axes, label: str) -> None:
    axes.set(xlabel="step", ylabel=label)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.2)


def _course(records: list[Record], view: MetricView) -> tuple[list[int], list[float]]:
    """The steps, and the metric at each of them."""
    return [int(record["step"]) for record in records], [_value(record, view) for record in records]


def _value(record: Record, view: MetricView) -> float:
    """The metric in a record, named or from the loss; not a number where it is neither."""
    value = record.get(view.name)
    if value is None and view.from_loss is not None and record.get("loss") is not None:
        try:
            value = view.from_loss(record["loss"])
        except OverflowError:
            return math.nan
    return value if isinstance(value, int | float) and math.isfinite(value) else math.nan


def _read(path: Path) -> list[Record]:
    """The records of a file that may be written to right now."""
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as error:
        raise RunError(f"{path}: cannot be read: {error.strerror}; give the metrics.jsonl of a run") from None
    records = []
    for number, line in enumerate(lines, 1):
        try:
            record = json.loads(line)
        except ValueError:
            if number == len(lines):  # it is being written, or was when the machine was lost
                break
            raise RunError(f"{path}, line {number}: this is not JSON; restore the file, or take the line out") from None
        if isinstance(record, dict) and isinstance(record.get("step"), int):
            records.append(record)
    return records


class CurvesWriter(Observer):
    """Draws the curves of a run when it ends, and after validations as long as that takes little of the time.

    Without matplotlib it says so once, when training starts, and draws nothing. A picture that cannot be written is no
    reason to end a run: it says so, too.

    Args:
        metrics: The record of the run; what writes it comes before this one among the observers.
        picture: Where the PNG goes.
        views: The metrics.
        say: Takes what is to be said, a sentence.
        clock: Tells the time in seconds.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> record = {"kind": "validation", "step": 40, "epoch": 1, "loss": 2.5, "best": True}
        >>> _ = (folder / "metrics.jsonl").write_text(json.dumps(record))
        >>> writer = CurvesWriter(folder / "metrics.jsonl", folder / "curves.png")
        >>> writer.on_end(TrainingResult("epochs", 40, 1, 3.0, 40, {}))
        >>> (folder / "curves.png").read_bytes()[1:4]
        b'PNG'
    """

    only_shows = True

    def __init__(
        self,
        metrics: str | Path,
        picture: str | Path,
        views: Sequence[MetricView] = (LOSS,),
        *,
        say: Callable[[str], None] = print,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.metrics, self.picture, self.views, self.say, self.clock = metrics, picture, views, say, clock
        self._draws = is_there("matplotlib")
        self._spent, self._takes = 0.0, 1.0  # seconds on all pictures so far, and on one

    def on_start(self, start: TrainingStart) -> None:
        """Say that there will be no picture, if there will be none."""
        if not self._draws:
            self.say(f"{self.picture} will not be drawn: that needs matplotlib ({how_to_install('matplotlib')})")

    def on_validation(self, event: ValidationEvent) -> None:
        """Draw, if there is time."""
        if self._spent + self._takes <= SHARE * event.elapsed:
            self._draw()

    def on_end(self, result: TrainingResult) -> None:
        """Draw; after an error, which is what is to be read then, without a word on what cannot be drawn."""
        self._draw(quietly=result.ended == "error" or not result.steps)

    def _draw(self, quietly: bool = False) -> None:
        if not self._draws:
            return
        before = self.clock()
        try:
            draw_curves(self.metrics, self.picture, self.views)
        except Exception as error:  # of matplotlib's, too: no picture is worth a training
            if not quietly:
                self.say(f"the curves are not drawn: {error}")
        self._takes = self.clock() - before
        self._spent += self._takes
