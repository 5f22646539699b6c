"""What an evaluation shows beside its figures: what is taken for what, and the worst of what is wrong."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from recurra.training.figures import one_line

if TYPE_CHECKING:  # torch is imported once a command runs
    from recurra.metrics import Matrix
    from recurra.tasks.mistakes import Mistake

__all__ = ["matrix_table", "print_mistakes"]

NAME = 20
"""The most characters of a class."""

LONGEST_VERDICT = 40
"""What was expected and answered is a column up to so many characters; longer, each has a line of its own."""


def matrix_table(matrix: Matrix, width: int) -> Table | None:
    """Counts of pairs of classes: a row for what was expected, a column for what was answered.

    Args:
        matrix: The counts.
        width: How wide the window is.

    Returns:
        The table; None where it is wider than the window, or there is nothing to take for something else.
    """
    names = [one_line(name, NAME) for name in matrix.classes]
    columns = [
        max(cell_len(name), *(len(f"{row[place]:,}") for row in matrix.counts)) for place, name in enumerate(names)
    ]
    first = max([len(FIRST), *map(cell_len, names)], default=0)
    if len(names) < 2 or first + sum(column + 2 for column in columns) > width:
        return None
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    table.add_column(FIRST, no_wrap=True)
    for name in names:
        table.add_column(Text(name), justify="right", no_wrap=True)
    for place, (name, counts) in enumerate(zip(names, matrix.counts, strict=True)):
        cells = [
            Text(f"{count:,}", "bold" if column == place else "" if count else "dim")
            for column, count in enumerate(counts)
        ]
        table.add_row(Text(name), *cells)
    return table


FIRST = "expected \\ answered"
"""The heading of a matrix: rows are what was expected."""


def print_mistakes(mistakes: Sequence[Mistake], most: int, console: Console) -> None:
    """Print the worst of what is wrong: where it stands, what was expected and answered, and as much as the line holds.

    Args:
        mistakes: What is wrong, the worst first.
        most: How many of them to print.
        console: Where to print.
    """
    shown = mistakes[:most]
    if not shown:
        return
    console.print()
    count = f"the worst {len(shown)} of {len(mistakes):,}" if len(mistakes) > len(shown) else "all, the worst first"
    console.print(Text(f"wrong answers ({count})", "dim"))
    places = [one_line(f"{mistake.file}:{mistake.line}") for mistake in shown]
    verdicts = [one_line(f"{mistake.expected} → {mistake.answered}") for mistake in shown]
    widths = [max(map(cell_len, column)) for column in (places, verdicts)]
    if widths[1] > LONGEST_VERDICT:
        for source, mistake in zip(places, shown, strict=True):
            _print_block(source, mistake, console)
        return
    for place, verdict, mistake in zip(places, verdicts, shown, strict=True):
        line = Text(place + " " * (widths[0] - cell_len(place) + 2), "cyan")
        line.append(verdict + " " * (widths[1] - cell_len(verdict) + 2), "bold not dim")
        text = Text(one_line(mistake.input), style="default")
        if cell_len(line.plain) > console.width // 2 and console.is_terminal:  # the text has a line of its own
            console.print(_fitting(line, console), soft_wrap=True)
            console.print(_fitting(Text("  ").append_text(text), console), soft_wrap=True)
        else:
            console.print(_fitting(line.append_text(text), console), soft_wrap=True)
        if mistake.notes:
            console.print(_fitting(Text(f"  {one_line(mistake.notes)}", "yellow"), console), soft_wrap=True)


def _print_block(source: str, mistake: Mistake, console: Console) -> None:
    """A mistake whose answer is a text, a line for each part."""
    console.print(Text(source, "cyan"), soft_wrap=True)
    parts = (("", mistake.input), ("expected", mistake.expected), ("answered", mistake.answered))
    for label, text in parts:
        line = Text(f"  {label:9}" if label else "  ", style="dim")
        console.print(line.append(one_line(text), "default not dim"), soft_wrap=not console.is_terminal)
    if mistake.notes:
        console.print(Text(f"  {one_line(mistake.notes)}", "yellow"), soft_wrap=not console.is_terminal)


def _fitting(line: Text, console: Console) -> Text:
    """A line, on a terminal as much of it as the window holds."""
    if console.is_terminal:
        line.truncate(console.width, overflow="ellipsis")
    else:
        line.rstrip()
    return line
