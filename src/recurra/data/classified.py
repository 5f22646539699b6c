"""Texts with classes: tables, JSON lines, fastText's lines, lines that begin with a class, a folder a class."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from recurra.data.classified_text import ClassifiedFormat, ClassifiedText, TextFormat
from recurra.data.dataset import Examples, Problems, Role, fingerprint_files
from recurra.data.lines import STANDARD_INPUT, Source, name_of, read_lines
from recurra.data.tables import column_of, json_object, quoted_rows, read_as, text_value, unique_names
from recurra.data.text import read_text
from recurra.errors import DataError
from recurra.spelling import did_you_mean

__all__ = ["ClassifiedFormat", "ClassifiedText", "read_classified", "texts_to_classify"]

TEXT_COLUMNS = ("text", "sentence", "review", "content", "body", "comment", "tweet", "message", "document", "title")
LABEL_COLUMNS = ("label", "labels", "sentiment", "class", "category", "target", "rating", "stars", "polarity", "intent")
"""The usual names of columns, whatever their case."""

PREFIX = "__label__"
"""What classes begin with in fastText's lines."""

LOOKED_AT = 200
"""Lines by which the format of a file is told."""

MOST_CLASSES = 20
"""First words of lines that may be classes: where there are more, they are words of texts."""

UNLABELLED = "a text without a class is left out"
EMPTY = "a text without a word is left out"
WHOLE = "a class that is a number with a fraction of 0 is read without it"
"""Kinds of problems."""

FRACTION_OF_ZERO = re.compile(r"([+-]?[0-9]+)\.0+")
"""A whole number as other programs write it once a column has had a missing value."""

SPACES = re.compile(r"[ \t]+")
"""What ends the first word of a line."""


def read_classified(path: Path, how: ClassifiedFormat, role: Role) -> Examples[ClassifiedText]:
    r"""Read a file, or a folder, of texts with their classes.

    Args:
        path: The file or the folder.
        how: How it is read.
        role: What for: with "predict" classes may be missing, and no text is left out; one that is empty teaches
            nothing, and is left out with "train".

    Raises:
        DataError: It cannot be read, a row of it is wrong, or none has a class where classes are asked for.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "reviews.csv"
        >>> _ = path.write_text('text,label\n"Good, very good",positive\nBad,negative\n')
        >>> [(review.text, review.labels) for review in read_classified(path, ClassifiedFormat(), "train")]
        [('Good, very good', ('positive',)), ('Bad', ('negative',))]
    """
    problems = Problems()
    texts = []
    for text in _read(path, how, role):
        if role != "predict" and text.labels is None:
            problems.add(UNLABELLED, text.source)
        elif role == "train" and not text.text.strip():
            problems.add(EMPTY, text.source)
        else:
            texts.append(_with_whole_numbers(text, problems))
    if role != "predict" and not texts:
        read_as = f", read as --format {how.format} says" if how.format else ""
        left_out = sum(problems.counts.values())
        missing = f", and {left_out:,} without a label or a word" if left_out else ""
        raise DataError(
            f"{name_of(path)}: 0 labelled texts in it{missing}{read_as}; give a table with columns such as text and "
            "label, JSON lines, lines that begin with __label__CLASS or with a class, or a folder a class"
        )
    files = sorted(path.rglob("*.txt")) if path.is_dir() else [path]
    return Examples(
        texts,
        [text.source for text in texts],
        [len(text) for text in texts],
        problems,
        lambda: fingerprint_files(files, asdict(how)),
    )


def _with_whole_numbers(text: ClassifiedText, problems: Problems) -> ClassifiedText:
    """The text, its classes such as 1.0 written 1: one file may have both."""
    if text.labels is None or not any(map(FRACTION_OF_ZERO.fullmatch, text.labels)):
        return text
    labels = []
    for label in text.labels:
        match = FRACTION_OF_ZERO.fullmatch(label)
        labels.append(label if match is None else match[1])
        if match is not None:
            problems.add(WHOLE, text.source, repr(label))
    return replace(text, labels=tuple(dict.fromkeys(labels)))


def texts_to_classify(path: Path, how: ClassifiedFormat) -> Iterator[ClassifiedText]:
    """The texts of a file, one at a time, as soon as they are read; none is left out.

    Raises:
        DataError: It cannot be read, or a row of it is wrong.
    """
    return _read(path, how, "predict")


def _read(path: Path, how: ClassifiedFormat, role: Role) -> Iterator[ClassifiedText]:
    """The texts of a file or a folder, one at a time."""
    with read_as(how.format):
        yield from _texts(path, how, role)


def _texts(path: Path, how: ClassifiedFormat, role: Role) -> Iterator[ClassifiedText]:
    if path.is_dir():
        if role == "predict" and how.format is None:
            raise DataError(f"{path}: this is a folder; give the file of the texts")
        return _folders(path)
    lines: Iterable[tuple[int, str]] = read_lines(path)
    format_ = how.format
    if format_ is None:
        format_, lines = _detect(path, lines, role)
    if format_ in {"csv", "tsv"}:
        return _table(path, lines, how, "\t" if format_ == "tsv" else ",", role)
    if format_ == "jsonl":
        return _json(path, lines, how, role)
    if format_ == "fasttext":
        return (_fasttext(line, Source(path, number)) for number, line in lines)
    if format_ == "lines":
        return _first_words(path, lines, role)
    if role != "predict":
        raise DataError(
            f"{path}: this seems to be plain text, which has no classes to learn; give a table with a heading, JSON "
            "lines, lines that begin with __label__CLASS or with a class, or a folder a class; or name the --format"
        )
    return (ClassifiedText(line, Source(path, number)) for number, line in lines)


def _detect(path: Path, lines: Iterable[tuple[int, str]], role: Role) -> tuple[TextFormat, Iterable[tuple[int, str]]]:
    """The format of a file, by its name and its first lines; of what is typed, by the first.

    Texts to predict may begin with the same few words, so that those are classes only where they are numbers.
    """
    iterator = iter(lines)
    typed = path == STANDARD_INPUT and role == "predict"  # to be answered before the next line is there
    first = list(itertools.islice(iterator, 1 if typed else LOOKED_AT))
    whole = itertools.chain(first, iterator)
    suffix = path.with_suffix("").suffix if path.suffix == ".gz" else path.suffix
    named: dict[str, TextFormat] = {".csv": "csv", ".tsv": "tsv", ".jsonl": "jsonl", ".json": "jsonl"}
    if suffix in named:
        return named[suffix], whole
    filled = [line for _, line in first if line.strip()]
    # By most lines: one that is written otherwise is left out or refused by its number, and changes no other.
    if 2 * sum(line.startswith(PREFIX) for line in filled) > len(filled):
        return "fasttext", whole
    if 2 * sum(line.lstrip().startswith("{") for line in filled) > len(filled):
        return "jsonl", whole
    if filled and column_of(filled[0].split("\t"), None, TEXT_COLUMNS) is not None and "\t" in filled[0]:
        return "tsv", whole
    words = [SPACES.split(line.strip(), maxsplit=1) for line in filled]
    begins = {parts[0] for parts in words}
    few = 1 < len(begins) <= min(MOST_CLASSES, len(filled) // 2)
    classes = role != "predict" or all(word.isdecimal() for word in begins)
    if few and classes and all(len(parts) > 1 for parts in words):
        return "lines", whole
    return "text", whole


def _table(
    path: Path, lines: Iterable[tuple[int, str]], how: ClassifiedFormat, delimiter: str, role: Role
) -> Iterator[ClassifiedText]:
    """The rows of a table with a heading; cells in double quotes may have several lines."""
    heading: list[str] | None = None
    columns: tuple[int, int | None, int | None] = (0, None, None)
    for line, cells in quoted_rows(path, lines, delimiter):
        if heading is None:
            heading = unique_names(cell.strip() for cell in cells)
            columns = _columns(path, heading, how, role)
            continue
        if not cells and role != "predict":
            continue
        cells = cells or [""] * len(heading)  # an empty line, which is answered as an empty text
        if len(cells) != len(heading):
            raise DataError(
                f"{name_of(path)}:{line}: {_counted(len(cells), 'column')}, and the heading has {len(heading)}; "
                "put a text with a separator or a line end in it in double quotes"
            )
        yield _of_cells(Source(path, line), cells, heading, columns, how)


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' * (number != 1)}"


def _columns(
    path: Path, heading: Sequence[str], how: ClassifiedFormat, role: Role
) -> tuple[int, int | None, int | None]:
    """Where the text, the class and the group are."""
    text = column_of(heading, how.text_column, TEXT_COLUMNS)
    label = column_of(heading, how.label_column, LABEL_COLUMNS)
    group = column_of(heading, how.group_column, ()) if how.group_column is not None else None
    wanted = [("text", text, how.text_column)]
    if role != "predict":
        wanted.append(("label", label, how.label_column))
    if how.group_column is not None and role != "predict":
        wanted.append(("group", group, how.group_column))
    for what, index, name in wanted:
        if index is None:
            there = ", ".join(heading)
            asked = f"no column {name!r}" if name else f"no column named like a {what}"
            meant = did_you_mean(name, heading) if name else ""
            raise DataError(
                f"{name_of(path)}:1: there is {asked}; the columns are: {there}; say which with --{what}-column{meant}"
            )
    return text or 0, label, group


def _of_cells(
    source: Source,
    cells: Sequence[str],
    heading: Sequence[str],
    columns: tuple[int, int | None, int | None],
    how: ClassifiedFormat,
) -> ClassifiedText:
    text, label, group = columns
    labels = None if label is None else _labels(cells[label], how.label_separator)
    row = dict(zip(heading, cells, strict=True))
    return ClassifiedText(cells[text], source, labels, None if group is None else cells[group], row)


def _labels(cell: Any, separator: str | None = None) -> tuple[str, ...] | None:  # noqa: ANN401  (whatever JSON gave)
    """The classes in a cell, each once; None where it says nothing of them.

    A number is written as it is without a fraction of 0. A list may be empty, and so may be a text in which classes are
    separated.

    Raises:
        DataError: An object is no class.
    """
    if isinstance(cell, dict):
        raise DataError("an object is no class; give a text, a number or a list of them")
    if isinstance(cell, list):
        named = tuple(dict.fromkeys(label for part in cell for label in _labels(part) or ()))
        return named if named or not cell else None
    if cell is None:
        return None
    if isinstance(cell, bool):
        return (str(cell).lower(),)
    if isinstance(cell, float) and cell.is_integer():
        cell = int(cell)
    text = str(cell).strip()
    if separator is None:
        return (text,) if text else None
    return tuple(dict.fromkeys(part for piece in text.split(separator) if (part := piece.strip())))


def _json(path: Path, lines: Iterable[tuple[int, str]], how: ClassifiedFormat, role: Role) -> Iterator[ClassifiedText]:
    for number, line in lines:
        source = Source(path, number)
        if not line.strip():
            if role == "predict":
                yield ClassifiedText("", source)
            continue
        yield _of_record(json_object(line, source), source, how, role)


def _of_record(record: Mapping[str, Any], source: Source, how: ClassifiedFormat, role: Role) -> ClassifiedText:
    names = list(record)
    text = column_of(names, how.text_column, TEXT_COLUMNS)
    label = column_of(names, how.label_column, LABEL_COLUMNS)
    if text is None:
        wanted = how.text_column or "text"
        raise DataError(
            f"{source}: there is no key {wanted!r}; the keys are: {', '.join(names)}; name that of the text with "
            "--text-column"
        )
    content = text_value(record, names[text], source)
    if label is None and how.label_column is not None and role != "predict":
        raise DataError(f"{source}: there is no {how.label_column!r}; the keys are: {', '.join(names)}")
    given = None if label is None else record[names[label]]
    group = None if how.group_column is None else record.get(how.group_column)
    try:
        labels = _labels(given, how.label_separator)
    except DataError as error:
        raise DataError(f"{source}: {error}") from None
    return ClassifiedText(content, source, labels, None if group is None else str(group), record)


def _fasttext(line: str, source: Source) -> ClassifiedText:
    """A line of fastText: classes first, then the text."""
    labels, rest = [], line
    while rest.startswith(PREFIX):
        label, *further = SPACES.split(rest, maxsplit=1)
        labels.append(label.removeprefix(PREFIX))
        rest = further[0] if further else ""
    named = tuple(dict.fromkeys(label for label in labels if label))
    return ClassifiedText(rest, source, named or None)


def _first_words(path: Path, lines: Iterable[tuple[int, str]], role: Role) -> Iterator[ClassifiedText]:
    """Lines that begin with their class."""
    for number, line in lines:
        label, *further = SPACES.split(line.strip(), maxsplit=1)
        text = further[0] if further else ""
        if role != "predict" and not line.strip():
            continue
        if role != "predict" and not text.strip():
            raise DataError(
                f"{name_of(path)}:{number}: there is a class and no text; give the class, a space and the text"
            )
        yield ClassifiedText(text.strip(), Source(path, number), (label,) if label else None)


def _folders(path: Path) -> Iterator[ClassifiedText]:
    """The texts of folders that are named as their classes, a file each."""
    classes = sorted(folder for folder in path.iterdir() if folder.is_dir())
    if len(classes) < 2:
        raise DataError(
            f"{path}: this folder has {_counted(len(classes), 'folder')} in it; give a file, or a folder with a folder "
            "a class"
        )
    for folder in classes:
        for file in sorted(folder.rglob("*.txt")):
            yield ClassifiedText(read_text(file), Source(file, 1), (folder.name,))
