"""Rows of tables and lines of JSON, with what is wrong with one and in which line."""

from __future__ import annotations

import contextlib
import csv
import itertools
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from recurra.data.lines import Source, name_of
from recurra.errors import DataError

__all__ = ["column_of", "json_object", "quoted_rows", "read_as", "text_value", "unique_names"]

csv.field_size_limit(1 << 30)  # a text may be as long as a book


def quoted_rows(path: Path, lines: Iterable[tuple[int, str]], delimiter: str) -> Iterator[tuple[int, list[str]]]:
    r"""The rows of a table, each with the line it begins in; cells in double quotes may have several lines.

    Args:
        path: The file, for messages.
        lines: Its lines, with their numbers from 1.
        delimiter: What stands between cells.

    Raises:
        DataError: A cell does not end, or goes on after its quotation marks.

    Example:
        >>> list(quoted_rows(Path("a.csv"), [(1, 'a,"b'), (2, 'c"'), (3, "d,e")], ","))
        [(1, ['a', 'b\nc']), (3, ['d', 'e'])]
    """
    row: list[str] = []  # the lines of the row that is read

    def remembered() -> Iterator[str]:
        for _, line in lines:
            row.append(line + "\n")
            yield row[-1]

    first = 1
    try:
        for cells in csv.reader(remembered(), delimiter=delimiter, strict=True):
            line, first = first, first + len(row)
            row.clear()
            yield line, cells
    except csv.Error as error:
        mend = "write a quotation mark within a cell twice, and the cell in quotation marks"
        opened = _unclosed(row, delimiter)
        if opened is not None:
            raise DataError(
                f"{name_of(path)}:{first + opened}: a quotation mark opens a cell here and is never closed; close it, "
                f"or, where it belongs to the text, {mend}"
            ) from None
        raise DataError(
            f"{name_of(path)}:{first}: the row that begins here is none of a table: {error}; {mend}"
        ) from None


def _unclosed(row: Sequence[str], delimiter: str) -> int | None:
    """In which line of a row, from 0, the quotation mark stands that opens a cell which does not end; None for none."""
    opened: int | None = None
    for number, line in enumerate(row):
        begins = opened is None  # whether a cell begins here
        for character in line:
            if character == '"' and opened is not None:
                opened = None  # where it is one of two, the next opens the cell again
                begins = True
            elif character == '"' and begins:
                opened = number
            else:
                begins = opened is None and character == delimiter
    return opened


def unique_names(names: Iterable[str]) -> list[str]:
    """Names of columns; of those that come again the second is "name (2)", and so on."""
    heading: list[str] = []
    for name in names:
        others = (f"{name} ({number})" for number in itertools.count(2))
        heading.append(next(other for other in itertools.chain([name], others) if other not in heading))
    return heading


def column_of(heading: Sequence[str], name: str | None, usual: Sequence[str]) -> int | None:
    """Which column has a name, or else the first there is of the usual names, whatever their case; None for none."""
    if name is not None:
        return heading.index(name) if name in heading else None
    lowered = [cell.strip().lower() for cell in heading]
    return next((lowered.index(candidate) for candidate in usual if candidate in lowered), None)


def text_value(record: Mapping[str, Any], name: str, source: Source) -> str:
    """The text that an object of JSON has under a name.

    Raises:
        DataError: What it has there is no text.
    """
    value = record[name]
    if not isinstance(value, str):
        raise DataError(f"{source}: {name!r} is {json.dumps(value)[:40]}; give a text")
    return value


@contextlib.contextmanager
def read_as(format_: str | None) -> Iterator[None]:
    """Adds to what is wrong with a file that it is read in a format that was asked for, not told by the file.

    Args:
        format_: The format that was asked for; None for none.

    Raises:
        DataError: What was raised within.
    """
    try:
        yield
    except DataError as error:
        if format_ is None:
            raise
        raise DataError(f"{error} (it is read as --format {format_} says)") from None


def json_object(line: str, source: Source, example: str = "") -> dict[str, Any]:
    """The object in a line of JSON.

    Args:
        line: The line.
        source: Where it stands, for messages.
        example: What would be right, for messages.

    Raises:
        DataError: The line is no JSON, or no object, or has half of a character, which can be written nowhere.
    """
    mend = f"give an object a line, such as {example}" if example else "give an object a line"
    try:
        record = json.loads(line)
        if "\\u" in line:  # what is escaped may be half of a character
            json.dumps(record, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise DataError(
            f"{source}: this has half of a character, one of \\uD800 to \\uDFFF; write both halves, or the character"
        ) from None
    except (ValueError, RecursionError) as error:
        raise DataError(f"{source}: this is not JSON ({error}); {mend}") from None
    if not isinstance(record, dict):
        raise DataError(f"{source}: this is JSON, but no object; {mend}")
    return record
