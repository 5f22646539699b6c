"""The lines of a file of text, one at a time: memory does not grow with the file."""

from __future__ import annotations

import contextlib
import gzip
import io
import itertools
import re
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, NamedTuple, cast

from recurra.data.text import foreign_kind
from recurra.errors import DataError

__all__ = [
    "STANDARD_INPUT",
    "Source",
    "check_rereadable",
    "decode_line",
    "name_of",
    "open_bytes",
    "read_chunk",
    "read_lines",
    "read_raw_lines",
]

STANDARD_INPUT = Path("-")
"""The path that stands for standard input."""

GZIP = b"\x1f\x8b"

_LINE_END = re.compile(rb"\r\n|\r|\n")

CHUNK = 1 << 18
"""How many bytes are read at once."""


class Source(NamedTuple):
    """Where an example came from.

    Args:
        path: The file.
        line: The line it begins in, from 1; or its number in a file that has no lines.

    Example:
        >>> str(Source(Path("train.txt"), 12))
        'train.txt:12'
    """

    path: Path
    line: int

    def __str__(self) -> str:
        return f"{name_of(self.path)}:{self.line}"


def name_of(path: Path) -> str:
    """What a file is called in messages."""
    return "standard input" if path == STANDARD_INPUT else str(path)


def read_lines(path: Path) -> Iterator[tuple[int, str]]:
    r"""The lines of a text in UTF-8, gzipped or not, with their numbers from 1 and without their ends.

    A line ends in a line feed, a carriage return or both; no other character ends one. A file in which some lines end
    in a carriage return alone and others do not is refused: it may be part of a line. A byte-order mark at the
    beginning is left out. A last line without an end is a line, an end at the very end begins none.

    Args:
        path: The file; - reads standard input.

    Raises:
        DataError: There is no such file, it cannot be read, its lines end in different ways, or one is no text.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "words.txt"
        >>> _ = path.write_bytes(b"EU\r\nrejects\n\nGerman")
        >>> list(read_lines(path))
        [(1, 'EU'), (2, 'rejects'), (3, ''), (4, 'German')]
    """
    for number, raw in read_raw_lines(path):
        line = decode_line(path, number, raw)
        yield number, line.removeprefix("\ufeff") if number == 1 else line


def read_raw_lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """The lines of a file as bytes, with their numbers from 1 and without their ends.

    A line is handed out as soon as its end has been read, so what is typed into a pipe is answered at once.

    Args:
        path: The file; - reads standard input.

    Raises:
        DataError: There is no such file, it cannot be read, or its lines end in different ways.
    """
    number = 0
    unfinished: list[bytes] = []  # pieces of a line whose end is still to come
    after_return = False  # a line feed at the beginning of the next chunk belongs to the end before it
    ends = _LineEnds(path)
    with open_bytes(path) as file:
        while chunk := read_chunk(path, file):
            if after_return:
                ends.add(number, b"\r\n" if chunk.startswith(b"\n") else b"\r")
                chunk = chunk.removeprefix(b"\n")
            after_return = chunk.endswith(b"\r")
            has_returns = b"\r" in chunk
            lines = _LINE_END.split(chunk) if has_returns else chunk.split(b"\n")
            kinds = _LINE_END.findall(chunk) if has_returns else []
            if after_return:  # the last may be half of an end
                kinds.pop()
            if not has_returns and len(lines) > 1:
                ends.add(number + 1, b"\n")
            for line, kind in itertools.zip_longest(lines[:-1], kinds):
                number += 1
                if kind is not None:
                    ends.add(number, kind)
                yield number, b"".join([*unfinished, line]) if unfinished else line
                unfinished = []
            if lines[-1]:
                unfinished.append(lines[-1])
    if unfinished:
        yield number + 1, b"".join(unfinished)


class _LineEnds:
    """How the lines of a file end so far."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._feeds = False
        self._first_return: int | None = None

    def add(self, number: int, end: bytes) -> None:
        """One more line's end.

        Raises:
            DataError: Some end in a carriage return alone, and others do not.
        """
        if end == b"\r":
            self._first_return = self._first_return or number
        else:
            self._feeds = True
        if self._feeds and self._first_return is not None:
            raise DataError(
                f"{name_of(self._path)}:{self._first_return}: a carriage return alone ends this line, or stands within "
                "it, where other lines end in a line feed; take it out, such as: tr -d '\\r' < FILE > FILE.txt"
            )


def decode_line(path: Path, number: int, raw: bytes) -> str:
    """A line as text.

    Raises:
        DataError: It is not UTF-8 or holds a zero; the message says at which byte.
    """
    try:
        if (offset := raw.find(b"\0")) < 0:
            return raw.decode("utf-8")
        what, remedy = "zero, as in a binary file", "give a file of text"
    except UnicodeDecodeError as error:
        offset = error.start
        what = f"0x{raw[offset]:02x}, which is no UTF-8 there"
        remedy = "convert the file from what it is in, such as: iconv -f LATIN1 -t UTF-8 FILE > FILE.txt"
    if number == 1 and (kind := foreign_kind(raw)):
        raise DataError(f"{name_of(path)}: this is {kind[0]}, not text in UTF-8; convert it: {kind[1]} FILE > FILE.txt")
    raise DataError(f"{name_of(path)}:{number}: byte {offset + 1} of the line is {what}; {remedy}")


@contextlib.contextmanager
def open_bytes(path: Path) -> Iterator[IO[bytes]]:
    """A file opened as bytes, unpacked where it is gzipped, and closed at the end; standard input stays open.

    Args:
        path: The file; - opens standard input.

    Raises:
        DataError: There is no such file, or it cannot be opened.
    """
    if path == STANDARD_INPUT:
        if sys.stdin is None:
            raise DataError("standard input is closed; give the name of a file")
        yield sys.stdin.buffer
        return
    try:
        file = path.open("rb")
    except FileNotFoundError:
        raise DataError(f"{path}: there is no such file; give the path of a text file in UTF-8") from None
    except IsADirectoryError:
        raise DataError(f"{path}: this is a folder; give the path of a text file in it") from None
    except OSError as error:
        raise _unreadable(path, error) from error
    except ValueError as error:  # a NUL in the path itself
        raise DataError(f"{str(path)!r}: this is no path of a file ({error})") from None
    with file:
        try:
            zipped = file.peek(len(GZIP)).startswith(GZIP)
        except OSError as error:
            raise _unreadable(path, error) from error
        yield cast("IO[bytes]", gzip.GzipFile(fileobj=file)) if zipped else file


def check_rereadable(path: Path) -> None:
    """Refuse standard input, a pipe or a device: what is read from it is gone, and to read on may wait for ever.

    Raises:
        DataError: It is one of them.
    """
    if path == STANDARD_INPUT or (path.exists() and not (path.is_file() or path.is_dir())):
        raise DataError(f"{name_of(path)} can be read only once; write it to a file and give that")


def read_chunk(path: Path, file: IO[bytes]) -> bytes:
    """The next bytes of a file, as many as are there at once; none at its end.

    Raises:
        DataError: It cannot be read.
    """
    try:
        return cast("io.BufferedReader", file).read1(CHUNK)
    except (OSError, EOFError, zlib.error) as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> DataError:
    reason = getattr(error, "strerror", None) or error
    return DataError(f"{name_of(path)}: cannot be read ({reason}); give a whole file that is yours to read")
