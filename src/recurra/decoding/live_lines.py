"""Lines of what is heard: where speech that has no end is cut, by silence and by length."""

from __future__ import annotations

from typing import NamedTuple

from recurra.decoding.ctc import CtcPath, HeardLabel
from recurra.decoding.word_times import HeardWord, heard_words

__all__ = ["HeardLine", "LiveLines"]


class HeardLine(NamedTuple):
    """Labels between two cuts.

    Args:
        labels: The labels, in frames from the beginning.
        begin: The frame in which it begins.
        end: The frame in which the next begins.
        joined: Whether nothing was heard between its first word and the last of the line before, so that they are one
            word in the transcript of the whole.
    """

    labels: tuple[HeardLabel, ...]
    begin: int
    end: int
    joined: bool

    @property
    def ids(self) -> tuple[int, ...]:
        """The labels alone."""
        return tuple(heard.label for heard in self.labels)

    def words(self, separator: int | None, reach: float) -> list[HeardWord]:
        """The words with their times in frames from the beginning; see `heard_words`."""
        begin = self.begin
        labels = (heard._replace(start=heard.start - begin, end=heard.end - begin) for heard in self.labels)
        words = heard_words(CtcPath(tuple(labels), 0.0, self.end - begin), separator, reach)
        return [word._replace(start=word.start + begin, end=word.end + begin) for word in words]


class LiveLines:
    """Cuts labels into lines, frame by frame, so that lines depend on no piece in which the frames come.

    A line ends when nothing but blanks and separators was heard for so long; when it is too long, with the next word;
    and when it is twice that, within a word.

    Args:
        separator: The label between words; None where there is none.
        quiet: Frames of silence that end a line.
        longest: Frames after which a line ends with the next word.
        labels_are_words: Whether each label is a word.
    """

    def __init__(self, separator: int | None, quiet: float, longest: float, *, labels_are_words: bool = False) -> None:
        self._separator, self._quiet, self._longest = separator, quiet, longest
        self._labels_are_words = labels_are_words
        self._begin()

    def _begin(self) -> None:
        self._labels: list[HeardLabel] = []
        self._before, self._end = 0, 0
        self._separated, self._joined = True, False

    @property
    def ids(self) -> tuple[int, ...]:
        """The labels of the line so far."""
        return tuple(heard.label for heard in self._labels)

    def hear(self, ended: HeardLabel | None, unfinished: HeardLabel | None, frames: int) -> HeardLine | None:
        """The line that a frame ends; None if it ends none.

        Args:
            ended: The label that ended with the frame before.
            unfinished: The label that goes on.
            frames: How many frames were heard.
        """
        between_words = False
        if ended is not None:
            between_words = self._add(ended)
        if not self._labels:
            return None
        length = frames - self._labels[0].start
        silent = unfinished is None or unfinished.label == self._separator
        if (
            (silent and frames - self._end >= self._quiet)
            or (between_words and length >= self._longest)
            or length >= 2 * self._longest
        ):
            return self._cut(frames if silent or unfinished is None else unfinished.start)
        return None

    def finish(self, ended: HeardLabel | None, frames: int) -> HeardLine | None:
        """The line that the end of the recording ends; None if there is none.

        Args:
            ended: The label that the end ends.
            frames: How many frames were heard.
        """
        if ended is not None:
            self._add(ended)
        line = self._cut(frames) if self._labels else None
        self._begin()
        return line

    def _add(self, label: HeardLabel) -> bool:
        """Take a label; whether a word ends with it."""
        if label.label == self._separator:
            self._separated = True
            if self._labels:
                self._labels.append(label)
            return True
        if not self._labels:
            self._joined = not self._separated and not self._labels_are_words
        self._labels.append(label)
        self._end, self._separated = label.end, False
        return self._labels_are_words

    def _cut(self, end: int) -> HeardLine:
        line = HeardLine(tuple(self._labels), self._before, end, self._joined)
        self._labels.clear()
        self._before = end
        return line
