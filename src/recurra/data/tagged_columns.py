"""Tagged text in columns, in CoNLL-U, and in parallel files of words, tags and labels."""

from __future__ import annotations

import csv
import itertools
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from recurra.data.dataset import Problems, Role
from recurra.data.lines import Source, name_of, read_lines
from recurra.data.tagged_format import CONLLU_COLUMNS, DOCUMENT, is_tag
from recurra.data.tagged_sentence import BLANKS, TaggedFormat, TaggedRow, TaggedSentence
from recurra.data.tags import OUTSIDE
from recurra.errors import DataError

__all__ = ["NO_WORD", "parallel_files", "read_columns", "read_parallel"]

WORDS, TAGS, LABEL = "seq.in", "seq.out", "label"
"""How the names of parallel files end: a sentence a line, its tags, and its label."""

NO_WORD = "a sentence without a word is left out"
"""A kind of problem."""

_LABEL = re.compile(r"#\s*(?:label|intent)\s*[:=](.*)")
_NOTE = re.compile(r"#\s+(?:new(?:doc|par)\b|\w[\w.]*\s*[:=](?:\s|$))")
_SPACES = re.compile("[ \t]+")
_NOT_A_WORD = re.compile(r"\d+[-.]\d+")  # in CoNLL-U a token of several words, and a word that is not there

csv.field_size_limit(1 << 30)  # a cell is as long as its line, which may be long

QUOTED = {",", ";"}
"""Separators between which cells may be in quotation marks."""


class _Columns:
    """The columns of a file, line by line.

    Args:
        path: The file.
        how: How it is read.
        conllu: Whether it is CoNLL-U.
        role: What for.
    """

    def __init__(self, path: Path, how: TaggedFormat, role: Role, *, conllu: bool) -> None:
        self.path, self.role, self.conllu, self.feature_columns = path, role, conllu, how.feature_columns
        self.word_column = 2 if conllu and how.word_column == 1 else how.word_column
        self.tag_column, self.separator = how.tag_column, "\t" if conllu else how.separator
        if self.separator is None and path.name.removesuffix(".gz").endswith(".csv"):
            self.separator = ","
        self.width, self.first_line = (CONLLU_COLUMNS, 0) if conllu else (0, 0)

    def cells(self, line: str) -> list[str]:
        """The columns of a line."""
        separator = self.separator or ("\t" if "\t" in line else None)
        if separator is None:
            return _SPACES.split(line.strip(BLANKS))
        if separator in QUOTED:
            # A quotation mark that nothing closes makes the line one cell, and so an error with its line.
            return [cell.strip(BLANKS) for cell in next(csv.reader([line], delimiter=separator), [])]
        # At the end of a line a separator with nothing after it is white space; elsewhere it makes an empty cell.
        return [cell.strip(BLANKS) for cell in line.rstrip(BLANKS).split(separator)]

    def is_comment(self, line: str) -> bool:
        """Whether a line that begins with # is a comment, and not a sentence's first word that does, as #hashtag."""
        if self.conllu or _LABEL.match(line) or _NOTE.match(line):
            return True
        return len(self.cells(line)) != self.width

    def look(self, lines: Iterator[tuple[int, str]]) -> Iterator[tuple[int, str]]:
        """Learn how many columns there are from the first line with words, and give all of the lines."""
        seen: list[tuple[int, str]] = []
        for number, line in lines:
            seen.append((number, line))
            text = line.strip(BLANKS)
            if text and not text.startswith(("#", DOCUMENT)):
                self._learn(number, line)
                return itertools.chain(seen, lines)
        # Where every line begins with #, those that end in a tag are words.
        for number, line in seen:
            if line.startswith("#") and is_tag(self.cells(line)[-1]) and not self.conllu:
                self._learn(number, line)
                break
        return iter(seen)

    def _learn(self, number: int, line: str) -> None:
        """Take the number of columns from a line with a word."""
        if not self.conllu:
            self.width, self.first_line = len(self.cells(line)), number
        self._check_columns(number)

    def _check_columns(self, number: int) -> None:
        """Refuse a column that there is none of, and one that is words and tags at once."""
        asked = [("words", self.word_column), *(("a feature", column) for column in self.feature_columns)]
        if self.role != "predict":
            asked.append(("tags", self.tag_column))
        for what, column in asked:
            if column == 0 or not -self.width <= self._index(column) < self.width:
                raise DataError(
                    f"{name_of(self.path)}:{number}: there is no column {column} for {what}; the line has "
                    f"{self.width}, counted from 1, or from -1 at the end"
                )
        if self.role != "predict" and self._index(self.word_column) % self.width == (
            self._index(self.tag_column) % self.width
        ):
            raise DataError(
                f"{name_of(self.path)}:{number}: words and tags are both column {self.word_column} of {self.width}; "
                "give a word and its tag in each line, or say which columns they are in"
            )

    @staticmethod
    def _index(column: int) -> int:
        return column - 1 if column > 0 else column

    def check(self, number: int, cells: Sequence[str]) -> None:
        """Refuse a line of another number of columns, and one whose word or tag is empty."""
        if len(cells) != self.width:
            expected = f"and line {self.first_line} has {self.width}" if self.first_line else "and CoNLL-U has 10"
            raise DataError(
                f"{name_of(self.path)}:{number}: this line has {_counted(len(cells), 'column')}, {expected}; give "
                "every word as many, and an empty line between sentences"
            )
        if self.conllu and not cells[0].isdigit():
            raise DataError(
                f"{name_of(self.path)}:{number}: the first column of CoNLL-U is the number of the word; got "
                f"{cells[0]!r}; if these are other columns, name the format columns"
            )
        if not cells[self._index(self.word_column)]:
            raise DataError(f"{name_of(self.path)}:{number}: the word in column {self.word_column} is empty; give one")
        if self.role != "predict" and not cells[self._index(self.tag_column)]:
            raise DataError(
                f"{name_of(self.path)}:{number}: the tag in column {self.tag_column} is empty; give one, "
                f"{OUTSIDE} for a word of no entity"
            )

    def sentence(self, rows: Sequence[tuple[int, Sequence[str]]], label: str | None, document: int | None) -> TaggedRow:
        """A sentence of the lines of its words."""

        def column(which: int) -> list[str]:
            return [cells[self._index(which)] for _, cells in rows]

        tags = column(self.tag_column) if self.role != "predict" else None
        if tags is not None and self.conllu and self.tag_column == -1:
            tags = [_attribute(tag) for tag in tags]
        sentence = TaggedSentence(
            tuple(column(self.word_column)),
            Source(self.path, rows[0][0]),
            features=tuple(tuple(column(which)) for which in self.feature_columns),
            label=label,
            document=document,
        )
        return TaggedRow(sentence, tags, [number for number, _ in rows])


def read_columns(
    path: Path, lines: Iterable[tuple[int, str]], how: TaggedFormat, role: Role, *, conllu: bool = False
) -> Iterator[TaggedRow]:
    """The sentences of a file of columns: a word a line, and an empty line between sentences.

    Args:
        path: The file.
        lines: Its lines, with their numbers.
        how: How it is read.
        role: What for; to predict, tags are not read.
        conllu: Whether it is CoNLL-U.

    Raises:
        DataError: A line has another number of columns than the others, or lacks its word or its tag.
    """
    columns = _Columns(path, how, role, conllu=conllu)
    label: str | None = None
    document: int | None = None
    begun = False  # whether the document has a sentence
    rows: list[tuple[int, list[str]]] = []
    for number, line in itertools.chain(columns.look(iter(lines)), [(0, "")]):
        text = line.strip(BLANKS)
        new_document = text.startswith(DOCUMENT) and columns.cells(line)[0] == DOCUMENT
        if rows and (not text or new_document):
            yield columns.sentence(rows, label, document)
            rows, label, begun = [], None, True
        if not rows and text.startswith("#") and columns.is_comment(text):
            if match := _LABEL.match(text):
                label = match[1].strip() or None
            new_document = re.match(r"#\s*newdoc\b", text) is not None
        elif text and not new_document:
            cells = columns.cells(line)
            if conllu and _NOT_A_WORD.fullmatch(cells[0]):
                continue
            columns.check(number, cells)
            rows.append((number, cells))
        if new_document and (begun or document is None):
            document, begun = 0 if document is None else document + 1, False


def _attribute(cell: str) -> str:
    """The tag in the last column of CoNLL-U: that of NER=, else the whole, where _ is none."""
    attributes = dict(part.split("=", 1) for part in cell.split("|") if "=" in part)
    for key in ("NER", "NE", "Entity"):
        if key in attributes:
            return attributes[key]
    return OUTSIDE if cell == "_" or attributes else cell


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def parallel_files(path: Path) -> tuple[Path, Path]:
    """The files of tags and of labels that belong to a file of words; there need not be one of labels.

    Raises:
        DataError: The file is not named as one of words.
    """
    ending = f"{WORDS}.gz" if path.name.endswith(".gz") else WORDS
    if not path.name.endswith(ending):
        raise DataError(
            f"{name_of(path)}: of parallel files, give the one of words, whose name ends in {WORDS}; beside it are "
            f"those of tags ({TAGS}) and labels ({LABEL})"
        )
    stem = path.name.removesuffix(ending)

    def beside(name: str) -> Path:
        plain, zipped = path.with_name(stem + name), path.with_name(f"{stem}{name}.gz")
        return zipped if zipped.exists() and not plain.exists() else plain

    return beside(TAGS), beside(LABEL)


def read_parallel(path: Path, lines: Iterable[tuple[int, str]], role: Role, problems: Problems) -> Iterator[TaggedRow]:
    """The sentences of parallel files: a line of words, one of tags, one with the label.

    Args:
        path: The file of words.
        lines: Its lines, with their numbers.
        role: What for; to predict, only the words are read, and a line without any is a sentence without any.
        problems: Takes the lines without words that were left out.

    Raises:
        DataError: The files have not equally many lines, or a line not equally many words and tags.
    """
    if role == "predict":
        for number, line in lines:
            yield TaggedRow(TaggedSentence(_words(line), Source(path, number)), None, [number])
        return
    tags_path, label_path = parallel_files(path)
    labelled = label_path.exists()
    beside = [tags_path, label_path] if labelled else [tags_path]
    for number, (words_line, *others) in _side_by_side([lines, *map(read_lines, beside)]):
        for other, other_line in zip(beside, others, strict=True):
            if (words_line is None) is not (other_line is None):
                short, long = (path, other) if words_line is None else (other, path)
                raise DataError(
                    f"{name_of(short)}:{number}: this line is missing, and {name_of(long)} has it; give both files "
                    "equally many lines"
                )
        words, tags = _words(words_line or ""), list(_words(others[0] or ""))
        if len(words) != len(tags):
            raise DataError(
                f"{name_of(path)}:{number}: this line has {_counted(len(words), 'word')}, and in {tags_path} it has "
                f"{_counted(len(tags), 'tag')}; give every word a tag"
            )
        label = (others[1] or "").strip() or None if labelled else None
        if words:
            yield TaggedRow(TaggedSentence(words, Source(path, number), label=label), tags, [number])
        else:
            problems.add(NO_WORD, Source(path, number))


def _words(line: str) -> tuple[str, ...]:
    """The words of a line with spaces between them."""
    return tuple(word for word in _SPACES.split(line) if word)


def _side_by_side(files: Sequence[Iterable[tuple[int, str]]]) -> Iterator[tuple[int, list[str | None]]]:
    """The lines of several files, with their number; None where one has ended and another goes on with words."""
    for number, entries in enumerate(itertools.zip_longest(*files), 1):
        lines = [None if entry is None else entry[1] for entry in entries]
        if None not in lines or any(line and line.strip(BLANKS) for line in lines):
            yield number, lines
