"""Files of word vectors: text, as GloVe, word2vec and fastText write it, and word2vec's bytes."""

from __future__ import annotations

import itertools
import math
import re
from array import array
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from recurra.data.dataset import Problems
from recurra.data.lines import Source, open_bytes, read_chunk, read_raw_lines
from recurra.data.text import foreign_kind
from recurra.errors import DataError

__all__ = ["NO_WORD", "TWICE", "Wanted", "WordVectors", "read_vector_file"]

TWICE = "a word comes twice, and its first vector counts"
NO_TEXT = "a word is no UTF-8 and is left out"
NO_WORD = "a vector has no word and is left out"
"""Kinds of problems."""

FASTTEXT = b"\xba\x16\x4f\x2f"
"""How a model of fastText begins, which holds more than vectors."""

LONGEST_WORD = 1 << 16
"""Bytes without a space after which a file is no file of vectors."""

_HEADER = re.compile(rb"(\d+)[ \t]+(\d+)\s*")
_NUMBERS = re.compile(rb"[-+.0-9eE\s]*")


class WordVectors(NamedTuple):
    """What a file has of the words that are wanted.

    Args:
        words: The words, each once.
        vectors: The vector of each, (N, D), of type float32.
        problems: What was left out.
    """

    words: tuple[str, ...]
    vectors: NDArray[Any]
    problems: Problems


class Wanted(NamedTuple):
    """Which vectors of a file are wanted.

    Args:
        words: Those of these words, in all their forms; None for all.
        first: And so many from the beginning of the file, whosever they are.
    """

    words: set[str] | None = None
    first: int = 0


def read_vector_file(path: Path, wanted: Wanted) -> WordVectors:
    """The vectors of a file of text or of bytes, whichever it is.

    Args:
        path: The file.
        wanted: Which of them.

    Raises:
        DataError: It is neither, or a line of it is wrong.
    """
    return _read_binary(path, wanted) if _is_binary(path) else _read_text(path, wanted)


class _Reading:
    """The vectors that are wanted, as a file is read.

    Args:
        wanted: Which they are.
    """

    def __init__(self, wanted: Wanted) -> None:
        self.all, self.first = wanted.words is None, wanted.first
        self.wanted = {word.encode(errors="surrogatepass") for word in wanted.words or ()}
        self.words: dict[str, None] = {}
        self.numbers = array("f")
        self.problems = Problems()

    def wants(self, word: bytes, number: int) -> bool:
        """Whether the vector of a word, by its number in the file from 1, is to be read."""
        return self.all or number <= self.first or word in self.wanted

    def add(self, word: bytes, numbers: Iterable[float], source: Source) -> None:
        """Take the vector of a word that is wanted."""
        try:
            text = word.decode()
        except UnicodeDecodeError:
            self.problems.add(NO_TEXT, source)
            return
        if text in self.words:
            self.problems.add(TWICE, source, repr(text))
            return
        if not text:
            self.problems.add(NO_WORD, source)
            return
        count = len(self.numbers)
        self.numbers.extend(numbers)
        if not all(map(math.isfinite, self.numbers[count:])):
            raise DataError(f"{source}: the vector of {text!r} has a number that is not finite; leave the word out")
        self.words[text] = None

    def vectors(self, width: int) -> WordVectors:
        """The vectors that were taken."""
        return WordVectors(
            tuple(self.words), np.array(self.numbers, dtype=np.float32).reshape(-1, width), self.problems
        )


def _read_text(path: Path, wanted: Wanted) -> WordVectors:
    """The vectors of a file of text."""
    reading = _Reading(wanted)
    lines = read_raw_lines(path)
    first = next(lines, (1, b""))[1].removeprefix(b"\xef\xbb\xbf")
    _check_kind(path, first)
    header = _HEADER.fullmatch(first)
    width = int(header[2]) if header else _trailing_numbers(first)
    if not width:
        what = "is empty" if not first else f"begins with {first[:40]!r}"
        raise DataError(f"{path}: this {what}; a file of vectors has a word and its numbers in each line")
    expected = f"the first line says {width}" if header else f"the first line has {width}"
    count = 0
    for number, line in lines if header else itertools.chain([(1, first)], lines):
        # Most lines are a word, a space and the numbers with a space between each two.
        word, _, numbers = line.rstrip().partition(b" ")
        if numbers.count(b" ") != width - 1 or b"\t" in line:
            if not line.strip():
                continue
            # A word may hold spaces, so the numbers are counted from the end.
            word, *cells = line.rsplit(None, width) if line[:1] not in b" \t" else (b"", *line.split())
            if len(cells) != width or (b" " in word and _is_number(word.rsplit(None, 1)[-1])):
                raise DataError(
                    f"{path}:{number}: this line has {_counted(_trailing_numbers(line))}, and {expected}; give vectors "
                    "of one width"
                )
            numbers = b" ".join(cells)
        count += 1
        if not reading.wants(word, count):
            continue
        try:
            vector = [float(cell) for cell in numbers.split()]
        except ValueError as error:
            raise DataError(
                f"{path}:{number}: the vector of {word.decode(errors='replace')!r} has a number that is none "
                f"({error}); mend it, or leave the word out"
            ) from None
        reading.add(word, vector, Source(path, number))
    if header and count != int(header[1]):
        reading.problems.add(
            "the first line says another number of vectors than follow: is the file whole?",
            Source(path, 1),
            f"{int(header[1]):,}, and {count:,} follow",
        )
    if not count:
        raise DataError(
            f"{path}: there is no vector after the first line; give a file with a word and its numbers a line"
        )
    return reading.vectors(width)


def _check_kind(path: Path, start: bytes) -> None:
    """Refuse what is no text by how it begins."""
    if start.startswith(FASTTEXT):
        raise DataError(f"{path}: this is a whole model of fastText; give its vectors, the file that ends in .vec")
    if kind := foreign_kind(start):
        raise DataError(f"{path}: this is {kind[0]}; unpack or convert it: {kind[1]} {path.name} > vectors.txt")
    if b"\0" in start:
        raise DataError(
            f"{path}: this is binary, and not of word2vec, which begins with a line of how many vectors there are and "
            "how wide they are; give text, word2vec's format or numpy's"
        )


def _is_number(cell: bytes) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _trailing_numbers(line: bytes) -> int:
    """How many numbers a line ends in; the first of its cells is a word, also where it is a number."""
    cells = line.split()[1:]
    return next((count for count, cell in enumerate(reversed(cells)) if not _is_number(cell)), len(cells))


def _counted(count: int) -> str:
    return f"{count} number{'' if count == 1 else 's'}"


def _is_binary(path: Path) -> bool:
    """Whether a file begins as word2vec's binary format does: a line of two numbers, and then no text of numbers."""
    with open_bytes(path) as file:
        start = read_chunk(path, file)
    line, end, rest = start.partition(b"\n")
    header = _HEADER.fullmatch(line)
    if not header or not end:
        return False
    width = int(header[2])
    first, end, _ = rest.partition(b"\n")
    if end:
        cells = first.split()
        return len(cells) <= width or not all(map(_is_number, cells[-width:]))
    numbers = first.partition(b" ")[2][: 4 * width]
    return bool(first) and not (numbers and _NUMBERS.fullmatch(numbers))


def _read_binary(path: Path, wanted: Wanted) -> WordVectors:
    """The vectors of a file that word2vec has written in bytes: each a word, a space and its numbers."""
    reading = _Reading(wanted)
    with open_bytes(path) as file:
        header, _, buffer = read_chunk(path, file).partition(b"\n")
        count, width = map(int, header.split())
        if not width:
            raise DataError(f"{path}:1: the first line says that vectors have no number; give vectors of one or more")
        start = 0
        for number in range(1, count + 1):
            while (space := buffer.find(b" ", start)) < 0 or len(buffer) < space + 1 + 4 * width:
                endless = space < 0 and len(buffer) - start > LONGEST_WORD
                chunk = b"" if endless else read_chunk(path, file)
                if not chunk:
                    raise DataError(
                        f"{path}: this {'has no word' if endless else 'ends'} at vector {number:,}, and the first line "
                        f"says that {count:,} of {_counted(width)} follow; give the whole file"
                    )
                buffer, start = buffer[start:] + chunk, 0
            word = buffer[start:space].removeprefix(b"\n")
            start = space + 1 + 4 * width
            if reading.wants(word, number):
                vector = np.frombuffer(buffer, dtype="<f4", count=width, offset=space + 1)
                reading.add(word, vector.tolist(), Source(path, number))
    return reading.vectors(width)
