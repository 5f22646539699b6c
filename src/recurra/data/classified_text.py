"""A text and its classes, and how files of them are read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from recurra.data.lines import Source
from recurra.errors import SettingError

__all__ = ["ClassifiedFormat", "ClassifiedText", "TextFormat"]

TextFormat = Literal["csv", "tsv", "jsonl", "fasttext", "lines", "folders", "text"]
"""How a file of texts with classes is written: a table with a heading, JSON objects, `__label__` lines, lines that
begin with their class, a folder a class; or plain text, a line each, whose classes are to be predicted."""


@dataclass(frozen=True)
class ClassifiedText:
    """A text.

    Args:
        text: The text.
        source: Where it came from.
        labels: Its classes; none where it is known to have none; None where they are not known.
        group: What it belongs to, such as an author or a thread; None for nothing.
        columns: The whole row of a table, or the object with what JSON had in it, as it was read; None without.
    """

    text: str
    source: Source
    labels: tuple[str, ...] | None = None
    group: str | None = None
    columns: Mapping[str, Any] | None = None

    def __len__(self) -> int:
        return len(self.text)


@dataclass(frozen=True)
class ClassifiedFormat:
    """How a file of texts is read.

    Args:
        format: How it is written; None to see by its name and its first lines.
        text_column: The column of the texts, by its heading; None for one of the usual names.
        label_column: The column of the classes; None for one of the usual names.
        group_column: The column of what a text belongs to; None for none.
        label_separator: What stands between the classes of a text where they are one text, such as the cell of a table;
            an empty cell then says that a text has none. None for one class.

    Raises:
        SettingError: There is no such format, or nothing in the separator.
    """

    format: TextFormat | None = None
    text_column: str | None = None
    label_column: str | None = None
    group_column: str | None = None
    label_separator: str | None = None

    def __post_init__(self) -> None:
        if self.format is not None and self.format not in get_args(TextFormat):
            raise SettingError(f"there is no format {self.format!r}; choose one of: {', '.join(get_args(TextFormat))}")
        if self.label_separator is not None and not self.label_separator.strip():
            raise SettingError("label_separator is empty, or only white space; give what stands between classes, as |")
