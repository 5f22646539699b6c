"""The live display of a run: a bar, the figures of the last second, the validations so far."""

import math
import time

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from recurra.training.events import StepEvent, TrainingResult, ValidationEvent
from recurra.training.figures import MetricView, describe_seconds, describe_span

SECONDS_PER_FIGURE = 1.0
"""Figures change no faster than they can be read; each is the mean of the steps since the one before."""

VALIDATIONS_SHOWN, VALIDATIONS_AT_LEAST = 6, 2
"""How many validations are shown, and how many in a low window before figures give way."""

SHORTEST_BAR = 10
"""The width of the bar in a narrow window."""

REDRAWS_PER_SECOND = 4


class Display:
    """Redraws itself in place until closed; what is printed through the console scrolls by above it.

    Only the sixteen colours of the terminal's own theme are used, so that it reads on a light ground and a dark one.

    Args:
        console: A terminal.
        views: The metrics to show.
        unit: What the loss counts, in the plural.
    """

    def __init__(self, console: Console, views: tuple[MetricView, ...], unit: str) -> None:
        self._console, self._views, self._unit = console, views, unit
        self._epochs: int | None = None
        self._event: StepEvent | None = None
        self._event_at = 0.0
        self._span: StepEvent | None = None
        self._shown: StepEvent | None = None
        self._validations: list[ValidationEvent] = []
        self._result: TrainingResult | None = None
        self._live = Live(self, console=console, refresh_per_second=REDRAWS_PER_SECOND)

    def open(self, epochs: int | None) -> None:
        """Begin to draw; `epochs` is how many there will be, None if that is not what ends the run."""
        self._epochs = epochs
        self._live.start()

    def show_step(self, event: StepEvent) -> None:
        """Take a step; it is drawn at the next redraw."""
        self._event, self._event_at = event, time.monotonic()
        self._span = event if self._span is None else self._span + event
        if self._shown is None or self._span.seconds >= SECONDS_PER_FIGURE:
            self._shown, self._span = self._span, None

    def show_validation(self, event: ValidationEvent) -> None:
        """Add a row to the table of validations."""
        self._validations = [*self._validations, event]

    def close(self, result: TrainingResult) -> None:
        """Draw once more and leave what is drawn on the screen."""
        self._result = result
        self._live.stop()

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw."""
        figures = self._figures(options.max_width)
        # What is higher than the terminal could not be redrawn in place. Beside the rows of validations stand the bar,
        # two lines a row of figures, a blank line, the headings, and the line below the display.
        if self._validations:
            figures = figures[: max(1, (options.size.height - 4 - VALIDATIONS_AT_LEAST) // 2)]
        rows = min(VALIDATIONS_SHOWN, options.size.height - 2 * len(figures) - 4)
        parts: list[RenderableType] = [self._bar(options.max_width), *figures]
        if self._validations and rows > 0:
            parts += [Text(), self._table(rows, options)]
        yield Group(*parts)

    def _bar(self, width: int) -> Table:
        """The bar and what is said beside it; the step and the epoch give way where the bar would be too short."""
        event = self._event
        fraction = 0.0 if event is None else event.fraction
        row = Table.grid(expand=True, padding=(0, 2, 0, 0))
        row.add_column(ratio=1)
        bar = ProgressBar(total=1.0, completed=fraction, style="dim", complete_style="cyan", finished_style="green")
        said = [f"{fraction:4.0%}", self._time()]
        if event is not None:
            of = "" if self._epochs is None else f"/{self._epochs}"
            said[1:1] = [f"epoch {event.epoch}{of}", f"step {event.step:,}"]
        while len(said) > 2 and width - sum(len(text) + 2 for text in said) < SHORTEST_BAR:
            del said[-2]
        for _ in said:
            row.add_column(no_wrap=True, justify="right")
        row.add_row(bar, *(Text(text) for text in said))
        return row

    def _time(self) -> str:
        if self._result is not None:
            return f"took {describe_seconds(self._result.seconds)}"
        if self._event is None:
            return "starting"
        waited = time.monotonic() - self._event_at
        if self._event.seconds_left is None:
            return describe_seconds(self._event.elapsed + waited)
        return f"{describe_seconds(max(0.0, self._event.seconds_left - waited))} left"

    def _figures(self, width: int) -> list[Table]:
        """Labels over figures, in as many rows as the width asks for, each of about as many figures."""
        if self._shown is None:
            return []
        figures = describe_span(self._shown, self._views, self._unit)
        for rows in range(1, len(figures) + 1):
            size = math.ceil(len(figures) / rows)
            tables = [_labelled(figures[start : start + size]) for start in range(0, len(figures), size)]
            if all(table.__rich_measure__(self._console, self._console.options).minimum <= width for table in tables):
                break
        return tables

    def _table(self, shown: int, options: ConsoleOptions) -> Table:
        mark = "* best" if options.ascii_only else "● best"
        headings = ["epoch", "step", *(view.label for view in self._views)]
        widths = [max(7, len(heading)) + 2 for heading in headings]
        # In a narrow window the last of the metrics give way, but not the first, which is usually the loss.
        fit = next(n for n in range(len(headings), 2, -1) if n == 3 or sum(widths[:n]) + len(mark) <= options.max_width)
        table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", show_edge=False)
        for heading in headings[:fit]:
            table.add_column(heading, no_wrap=True, justify="right", min_width=max(7, len(heading)))
        table.add_column("", no_wrap=True)
        best = [event for event in self._validations if event.is_best][-1:]
        rows = self._validations[-shown:]
        if best and best[0] not in rows:
            rows = best + rows[1:]
        for event in rows:
            style = "bold green" if event in best else ""
            values = [view.of_metrics(event.metrics) for view in self._views]
            cells = [str(event.epoch), f"{event.step:,}", *values][:fit]
            table.add_row(*cells, mark if event in best else "", style=style)
        return table


def _labelled(figures: list[tuple[str, str]]) -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    for label, _ in figures:
        # As wide as the label or a usual figure, so that the columns stand still.
        table.add_column(no_wrap=True, justify="right", min_width=max(7, len(label)))
    table.add_row(*(Text(label, style="dim") for label, _ in figures))
    table.add_row(*(Text(figure) for _, figure in figures))
    return table
