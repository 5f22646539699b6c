"""Classified texts for people and for programs: a line each on a terminal, a table.

Each format is a generator: it takes texts with their answers, one at a time, and gives what to write after each, so
that a stream of any length is written in memory that does not grow.
"""

from __future__ import annotations

import csv
import io
import json
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

ADDED = ("predicted", "probability", "probabilities", "abstained", "unknown")
"""The keys of an answer."""

BAR, WIDE = 10, 60
"""Characters of the bar of a certain answer, and the narrowest window that has bars."""

NO_WORD = "no word of it is known: "

NO_CLASS = "-"
"""What stands in the place of a class where none is given."""


# On a terminal


def terminal_lines(run: Trained[Any, ClassifiedText, Any, Any, Any, Classified], answered: Answered) -> Iterator[Text]:
    """The class, its probability as a bar and a number, and as much of the text as the line holds; all in a file."""
    console = Console()
    room = console.width if console.is_terminal else None
    wide = room is None or room >= WIDE
    longest = max(cell_len(one_line(name)) for name in run.assets.labels.names)
    longest = 2 * longest + 2 if run.assets.several else longest
    label_width = longest if room is None else min(longest, max(room // 3, 1))
    block = printable("█", sys.stdout.encoding or "utf-8").replace("?", "#")
    for example, answer in answered:
        style = "green" if answer.probability >= 0.9 else "yellow" if answer.probability >= 0.7 else "red"
        label = Text(one_line(", ".join(answer.labels) or NO_CLASS), "bold" if answer.labels else "dim")
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


def columns_beside(example: ClassifiedText) -> dict[str, Any]:
    """What was read with a text, which stands before its answer; a column called as a part of one is "NAME (input)"."""
    columns: Mapping[str, Any] = {"text": example.text} if example.columns is None else example.columns
    return {f"{name} (input)" if name in ADDED else name: value for name, value in columns.items()}


def table(run: Trained[Any, ClassifiedText, Any, Any, Any, Classified], answered: Answered) -> Iterator[str]:
    """A table with commas: the columns of the input, then the class that was predicted and its probability.

    Several classes are separated as those trained on, or by |, and so are their probabilities. Where the model may
    abstain, a column says whether it does, and its class is then empty.

    Raises:
        DataError: An object has a key that the first one has not, for which there is no column.
    """
    heading: list[str] = []
    for example, answer in answered:
        columns = columns_beside(example)
        if not heading:
            heading = [*columns, *_answer_columns(answer, run)]
            yield _row(heading)
        strange = next((name for name in columns if name not in heading), None)
        if strange is not None:
            raise DataError(
                f"{example.source}: there is {strange!r}, which the first text has not, so that the table has no "
                "column for it; write with --format jsonl"
            )
        row = {**columns, **_answer_columns(answer, run)}
        yield _row(row.get(name, "") for name in heading)


def _answer_columns(answer: Classified, run: Trained[Any, ClassifiedText, Any, Any, Any, Classified]) -> dict[str, str]:
    """The columns of an answer."""
    if answer.several is None:
        row = {"predicted": "".join(answer.labels), "probability": f"{answer.probability:.4f}"}
    else:
        separator = run.config.texts.label_separator or "|"
        probabilities = [f"{answer.probability_of(name):.4f}" for name in answer.several]
        row = {"predicted": separator.join(answer.several), "probability": separator.join(probabilities)}
    return row if answer.abstained is None else {**row, "abstained": str(answer.abstained).lower()}


def _row(cells: Iterable[Any]) -> str:
    line = io.StringIO()
    writer = csv.writer(line, lineterminator="\n")
    writer.writerow(cell if isinstance(cell, str) else json.dumps(cell, ensure_ascii=False) for cell in cells)
    return line.getvalue()


CLASS_FORMATS: Mapping[str, Format[ClassifiedText, Classified]] = {"text": terminal_lines, "csv": table}
"""The formats by name, beside JSON lines: each takes a trained classifier and texts with their answers."""
