"""A sentence of words with what is known of it, and how a file of such sentences is read."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, NamedTuple

from recurra.data.lines import Source
from recurra.data.tags import Scheme, Span

if TYPE_CHECKING:
    from recurra.data.occurrences import Document

__all__ = ["BLANKS", "FileLine", "Format", "TaggedFormat", "TaggedRow", "TaggedSentence"]

Format = Literal["columns", "conllu", "jsonl", "parallel", "text"]
"""The formats of tagged text, and plain text."""

BLANKS = " \t"
"""What separates words and columns. Other white space, such as U+00A0 and U+2028, may be part of a word."""


class FileLine(NamedTuple):
    """A line of a file of columns, for an answer that is to stand beside it.

    Args:
        text: The line.
        separator: What stands between its columns.
        step: Which word of the sentence it holds, from 0; None for an empty line, a comment or the like.
        attributes: Whether its last column is a list of attributes, as in CoNLL-U.
    """

    text: str
    separator: str
    step: int | None
    attributes: bool = False


@dataclass(frozen=True, slots=True)
class TaggedSentence:
    """A sentence of words x<1..T>, and what is known of it.

    Args:
        words: The words.
        source: Where it begins.
        spans: First word, end (not included) and type of each span; None where they were not asked for.
        features: For each feature column its value at every word.
        label: The label of the sentence as a whole; None without.
        document: The number of the document it belongs to, from 0; None where its file tells no documents apart.
        text: The text that the words were cut from; None where the file has words alone.
        offsets: Where each word begins and ends in that text, in characters.
        lines: The lines of a file of columns that is read to predict: the sentence's, and those up to the next
            sentence's first word; for the first sentence those before it, too. So all of them are those of the file.
        context: All sentences of its document, where they are read as well; what the sentence is does not depend on it.
    """

    words: tuple[str, ...]
    source: Source
    spans: tuple[Span, ...] | None = None
    features: tuple[tuple[str, ...], ...] = ()
    label: str | None = None
    document: int | None = None
    text: str | None = None
    offsets: tuple[tuple[int, int], ...] | None = None
    lines: tuple[FileLine, ...] = ()
    context: Document | None = field(default=None, compare=False, repr=False)

    def __len__(self) -> int:
        return len(self.words)


@dataclass(frozen=True)
class TaggedFormat:
    """How a file of tagged text is read.

    Args:
        format: Its format; None tells it by its name and its first lines.
        word_column: Of columns, which holds the words, from 1; negative counts from the last.
        tag_column: Which holds the tags.
        feature_columns: Which hold features.
        separator: What stands between columns; None for a comma in a file named .csv, else a tab where a line has one,
            else spaces. Cells between commas or semicolons may be in quotation marks.
        scheme: The tag scheme; None detects it.
    """

    format: Format | None = None
    word_column: int = 1
    tag_column: int = -1
    feature_columns: tuple[int, ...] = ()
    separator: str | None = None
    scheme: Scheme | None = None


@dataclass(frozen=True, slots=True)
class TaggedRow:
    """A sentence with its tags as the file has them, before the scheme of the file is known.

    Args:
        sentence: The sentence.
        tags: The tag of each word; None where the file has spans, or where nobody asks for them.
        lines: The line of each word, or one line for all of them.
    """

    sentence: TaggedSentence
    tags: list[str] | None
    lines: list[int]

    def line(self, step: int) -> int:
        """The line of a word; of a step past the end, the last."""
        return self.lines[min(step, len(self.lines) - 1)]
