"""A text and its translation, and how files of them are read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from recurra.data.lines import Source
from recurra.errors import SettingError
from recurra.spelling import unknown

__all__ = ["PairFormat", "ParallelFormat", "SentencePair"]

PairFormat = Literal["text", "tsv", "csv", "jsonl"]
"""How translations are written: two texts whose lines belong together; a table with tabs, where quotation marks are
text; a table with commas and a heading; JSON objects."""


@dataclass(frozen=True)
class SentencePair:
    """A text and its translation.

    Args:
        source_text: The text in the language that is translated from.
        target_text: Its translation; None where it is not known.
        source: Where the text came from.
        columns: The whole row of a table with a heading, or the object, as it was read; None without.
    """

    source_text: str
    target_text: str | None
    source: Source
    columns: Mapping[str, str] | None = None

    def __len__(self) -> int:
        """The characters of both texts."""
        return len(self.source_text) + len(self.target_text or "")


@dataclass(frozen=True)
class ParallelFormat:
    """How files of translations are read.

    Args:
        format: How they are written; None to see by the name and the first lines.
        source_language: The language that is translated from, as files and columns are named for it, such as "de".
        target_language: The language that is translated into, such as "en".

    Raises:
        SettingError: There is no such format, or both languages are the same.
    """

    format: PairFormat | None = None
    source_language: str | None = None
    target_language: str | None = None

    def __post_init__(self) -> None:
        if self.format is not None and self.format not in get_args(PairFormat):
            raise SettingError(unknown("format", self.format, get_args(PairFormat)))
        if self.source_language is not None and self.source_language == self.target_language:
            raise SettingError(
                f"source_language and target_language are both {self.source_language!r}; name two, such as de and en"
            )
