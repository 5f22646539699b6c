"""Subtitles of spoken words, in the formats of SubRip and of WebVTT."""

from __future__ import annotations

import itertools
import math
import textwrap
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from recurra.checks import whole_number
from recurra.errors import DataError

__all__ = ["Cue", "TimedWord", "cues", "subrip", "webvtt"]

WIDTH, LINES = 42, 2
"""Characters of a line and lines of a cue, as broadcasters have them."""

LONGEST_CUE, LONGEST_PAUSE = 7.0, 1.5
"""Seconds after which a cue ends, and of silence that begin another one."""

SHORTEST_CUE = 1.0
"""Seconds that a cue stays at least, where the next one lets it."""


class TimedWord(NamedTuple):
    """A word and when it is spoken.

    Args:
        text: The word.
        start: When it begins, in seconds.
        end: When it ends, in seconds.
    """

    text: str
    start: float
    end: float


class Cue(NamedTuple):
    """Lines that stand on the screen together.

    Args:
        start: When they appear, in milliseconds.
        end: When they go, in milliseconds; after the start, and not after the next cue's start.
        lines: The lines.
    """

    start: int
    end: int
    lines: tuple[str, ...]


def cues(words: Iterable[TimedWord], width: int = WIDTH, lines: int = LINES) -> Iterator[Cue]:
    """The cues of spoken words, one after another, each as soon as the word after it is known.

    A cue ends where its lines are full, after a pause, after some seconds, and after a sentence where the words have
    marks. It begins with its first word and stays until its last one ends, or for a second where the next one lets it.
    Times are rounded to milliseconds such that cues never overlap and each of them is seen.

    Args:
        words: The words in order; a word that begins before the one before it ends is taken to begin there.
        width: The most characters of a line; a word that is longer is cut.
        lines: The most lines of a cue.

    Raises:
        SettingError: The width or the number of lines is not positive.
        DataError: A time is not a number of seconds from 0.

    Example:
        >>> list(cues([TimedWord("seven", 0.5, 0.8), TimedWord("nine", 0.9, 1.2)]))
        [Cue(start=500, end=1500, lines=('seven nine',))]
    """
    width, lines = whole_number("width", width, 1), whole_number("lines", lines, 1)
    pieces = itertools.chain.from_iterable(_pieces(word, width * lines) for word in words)
    earliest = 0
    waiting: Cue | None = None
    for group in _groups(pieces, width, lines):
        start = max(earliest, math.floor(group[0].start * 1000))
        if waiting is not None:
            yield waiting._replace(end=min(waiting.end, start))
        # At least a millisecond, so that it is seen, and the next one begins after that.
        earliest = max(start + 1, math.floor(group[-1].end * 1000))
        wanted = max(earliest, start + round(SHORTEST_CUE * 1000))
        waiting = Cue(start, wanted, tuple(_wrapped(group, width)))
    if waiting is not None:
        yield waiting


def _pieces(word: TimedWord, longest: int) -> Iterator[TimedWord]:
    """A word, checked; one that fills more than a cue in parts, whose times are parts of its own."""
    text = "".join(word.text.split())
    if not (0 <= word.start < math.inf and 0 <= word.end < math.inf):
        raise DataError(
            f"the word {word.text[:40]!r} is spoken from {word.start} to {word.end}; expected numbers of seconds from 0"
        )
    number = -(-len(text) // longest)
    step = max(0.0, word.end - word.start) / max(1, number)
    for part in range(number):
        start = word.start + part * step
        yield TimedWord(text[part * longest : (part + 1) * longest], start, start + step)


def _groups(words: Iterable[TimedWord], width: int, lines: int) -> Iterator[list[TimedWord]]:
    """The words of each cue."""
    group: list[TimedWord] = []
    for word in words:
        if group and (
            word.start - group[-1].end > LONGEST_PAUSE
            or word.end - group[0].start > LONGEST_CUE
            or group[-1].text.endswith((".", "?", "!"))
            or len(_wrapped([*group, word], width)) > lines
        ):
            yield group
            group = []
        group.append(word)
    if group:
        yield group


def _wrapped(words: Iterable[TimedWord], width: int) -> list[str]:
    """Words as lines."""
    return textwrap.wrap(" ".join(word.text for word in words), width, break_on_hyphens=False)


def subrip(words: Iterable[TimedWord]) -> Iterator[str]:
    r"""The lines of an SRT file.

    Args:
        words: The words in order.

    Example:
        >>> print(*subrip([TimedWord("seven", 0.5, 2.0)]), sep="\n", end="")
        1
        00:00:00,500 --> 00:00:02,000
        seven
    """
    for number, cue in enumerate(cues(words), 1):
        yield str(number)
        yield f"{_time(cue.start, ',')} --> {_time(cue.end, ',')}"
        yield from cue.lines
        yield ""


def webvtt(words: Iterable[TimedWord]) -> Iterator[str]:
    r"""The lines of a WebVTT file.

    Args:
        words: The words in order.

    Example:
        >>> print(*webvtt([TimedWord("R&B", 0.5, 2.0)]), sep="\n", end="")
        WEBVTT
        <BLANKLINE>
        00:00:00.500 --> 00:00:02.000
        R&amp;B
    """
    yield "WEBVTT"
    yield ""
    for cue in cues(words):
        yield f"{_time(cue.start, '.')} --> {_time(cue.end, '.')}"
        for line in cue.lines:
            yield line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        yield ""


def _time(milliseconds: int, point: str) -> str:
    """Hours, minutes, seconds and milliseconds."""
    seconds, thousandths = divmod(milliseconds, 1000)
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}{point}{thousandths:03}"
