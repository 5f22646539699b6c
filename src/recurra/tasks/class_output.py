"""Classified texts for people and for programs: a line each on a terminal, a table.

Each format is a generator: it takes texts with their answers, one at a time, and gives what to write after each, so
that a stream of any length is written in memory that does not grow.
"""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from recurra.data.classified_text import ClassifiedText
from recurra.errors import DataError
from recurra.tasks.classified import Classified
from recurra.tasks.task import Format
from recurra.training.figures import one_line, printable

if TYPE_CHECKING:
    from recurra.tasks.trained import Trained

__all__ = ["CLASS_FORMATS", "columns_beside", "table", "terminal_lines"]

Answered = Iterable[tuple[ClassifiedText, Classified]]
"""Texts with their answers."""

ADDED = ("predicted", "probability", "probabilities", "unknown")
"""The keys of an answer."""

BAR, WIDE = 10, 60
"""Characters of the bar of a certain answer, and the narrowest window that has bars."""

NO_WORD = "no word of it is known: "


# On a terminal


def terminal_lines(run: Trained[Any, ClassifiedText, Any, Any, Any, Classified], answered: Answered) -> Iterator[Text]:
    """The class, its probability as a bar and a number, and as much of the text as the line holds; all in a file."""
    console = Console()
    room = console.width if console.is_terminal else None
    wide = room is None or room >= WIDE
    longest = max(cell_len(one_line(name)) for name in run.assets.labels.names)
    label_width = longest if room is None else min(longest, max(room // 3, 1))
    block = printable("█", sys.stdout.encoding or "utf-8").replace("?", "#")
    for example, answer in answered:
        style = "green" if answer.probability >= 0.9 else "yellow" if answer.probability >= 0.7 else "red"
        label = Text(one_line(answer.label), "bold")
        label.truncate(label_width, overflow="ellipsis", pad=True)
        line = Text().append_text(label).append("  ")
        if wide:
            line.append(f"{block * round(BAR * answer.probability):{BAR}} ", style)
        line.append(f"{answer.probability:6.1%}  ", style)
        text = one_line(example.text)
        if not answer.known:
            line.append(NO_WORD if text else "no text", "dim")
        line.append(text)
        if room is not None:
            line.truncate(room, overflow="ellipsis")
        yield line.append("\n")


# A table


def columns_beside(example: ClassifiedText) -> dict[str, str]:
    """What was read with a text, which stands before its answer; a column called as a part of one is "NAME (input)"."""
    columns: Mapping[str, str] = {"text": example.text} if example.columns is None else example.columns
    return {f"{name} (input)" if name in ADDED else name: value for name, value in columns.items()}


def table(run: Trained[Any, ClassifiedText, Any, Any, Any, Classified], answered: Answered) -> Iterator[str]:
    """A table with commas: the columns of the input, then the class that was predicted and its probability.

    Raises:
        DataError: An object has a key that the first one has not, for which there is no column.
    """
    heading: list[str] = []
    for example, answer in answered:
        columns = columns_beside(example)
        if not heading:
            heading = [*columns, *ADDED[:2]]
            yield _row(heading)
        strange = next((name for name in columns if name not in heading), None)
        if strange is not None:
            raise DataError(
                f"{example.source}: there is {strange!r}, which the first text has not, so that the table has no "
                "column for it; write with --format jsonl"
            )
        row = {**columns, ADDED[0]: answer.label, ADDED[1]: f"{answer.probability:.4f}"}
        yield _row(row.get(name, "") for name in heading)


def _row(cells: Iterable[str]) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow(cells)
    return line.getvalue()


CLASS_FORMATS: Mapping[str, Format[ClassifiedText, Classified]] = {"text": terminal_lines, "csv": table}
"""The formats by name, beside JSON lines: each takes a trained classifier and texts with their answers."""
