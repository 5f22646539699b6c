"""The format of a file of tagged text, told by its name and its first lines."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from recurra.data.dataset import Role
from recurra.data.tagged_sentence import BLANKS, Format
from recurra.data.tags import OUTSIDE

__all__ = ["DOCUMENT", "detect_format", "is_tag"]

DOCUMENT = "-DOCSTART-"
"""The word of a line that begins a document in the files of the CoNLL shared tasks."""

BY_ENDING: dict[str, Format] = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".conllu": "conllu",
    **dict.fromkeys((".conll", ".csv", ".tsv", ".bio", ".iob", ".iob2", ".bioes"), "columns"),
    "seq.in": "parallel",
}
"""How names end, but for .gz, and what they say."""

LINES = 20
"""How many lines that are not empty are looked at."""

CONLLU_COLUMNS = 10


def detect_format(
    path: Path, lines: Iterable[tuple[int, str]], separator: str | None, role: Role
) -> tuple[Format, Iterator[tuple[int, str]]]:
    """The format of a file, by its name, else by its first lines.

    A line that begins with { is JSON, one of ten columns between tabs and a number first CoNLL-U. To train or to
    evaluate on, lines of equally many columns are columns. To predict, where plain text is likelier, they are columns
    only if each ends in a tag; so no text loses a line because it looks like a table. No more lines are read than it
    takes to tell.

    Args:
        path: The file.
        lines: Its lines, with their numbers.
        separator: What stands between columns, if it is columns; None for tabs or spaces.
        role: What it is read for.

    Returns:
        The format, and all of the lines.
    """
    name = path.name.removesuffix(".gz")
    for ending, named in BY_ENDING.items():
        if name.endswith(ending):
            return named, iter(lines)
    lines = iter(lines)
    seen: list[tuple[int, str]] = []
    rows: list[list[str]] = []
    format_: Format | None = None
    for number, line in lines:
        seen.append((number, line))
        text = line.strip(BLANKS)
        if not text or (text.startswith("#") and _is_comment(text)):
            continue
        format_ = _by_line(text) if not rows else None
        if format_:
            break
        rows.append(text.split(separator) if separator else re.split("\t" if "\t" in text else "[ \t]+", text))
        if len(rows) == LINES or (role == "predict" and not _is_tagged(rows)):
            break
    return format_ or _by_rows(rows, role), itertools.chain(seen, lines)


def _is_comment(text: str) -> bool:
    """Whether a line that begins with # says something of the sentence after it, as in `# label: request`."""
    return re.match(r"#\s*(newdoc|newpar|[\w.]+\s*[:=])", text) is not None


def _by_line(text: str) -> Format | None:
    """The format that a single line tells."""
    if text.startswith("{"):
        return "jsonl"
    if text.startswith(DOCUMENT):
        return "columns"
    if text.count("\t") == CONLLU_COLUMNS - 1 and text[0].isdigit():
        return "conllu"
    return None


def _by_rows(rows: Sequence[Sequence[str]], role: Role) -> Format:
    """Columns, or plain text."""
    if role == "predict":
        return "columns" if rows and _is_tagged(rows) else "text"
    tagged = sum(is_tag(cells[-1]) for cells in rows if len(cells) > 1)
    equal = len(rows) > 1 and len({len(cells) for cells in rows}) == 1 and len(rows[0]) > 1
    return "columns" if equal or 2 * tagged > len(rows) else "text"


def _is_tagged(rows: Sequence[Sequence[str]]) -> bool:
    """Whether all rows have equally many columns, the last of which is a tag."""
    return all(1 < len(cells) == len(rows[0]) and is_tag(cells[-1]) for cells in rows)


def is_tag(text: str) -> bool:
    """Whether a text looks like a tag of a scheme."""
    return text == OUTSIDE or text[:2] in {"B-", "I-", "E-", "S-", "L-", "U-", "M-"}
