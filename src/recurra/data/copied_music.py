"""What a piece shares with others: the longest passage that stands in one of them, in any transposition."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from recurra.data.rolls import Roll

__all__ = ["CopiedPassage", "MusicIndex"]

Frames = NDArray[np.bool_]


class CopiedPassage(NamedTuple):
    """A passage that stands in another piece.

    Args:
        begin: Its first frame in the piece that was asked about.
        frames: How many frames it has; it begins and ends with a frame that sounds.
        changes: In how many of these frames something else sounds than in the frame before: a chord that is held for a
            bar is no passage worth to speak of.
        piece: Which of the other pieces has it, from 0.
        there: Its first frame in that piece.
        semitones: How much higher it is here than there.
    """

    begin: int
    frames: int
    changes: int
    piece: int
    there: int
    semitones: int


class MusicIndex:
    """Pieces in which passages are looked for.

    Two passages are the same in some transposition if their chords have the same intervals and their lowest notes move
    alike. All frames of the pieces are compared with those of a piece, so that what is said is exact: a piece of 500
    frames against 170,000 takes a second.

    Args:
        pieces: The pieces.

    Example:
        >>> from pathlib import Path
        >>> from recurra.data.lines import Source
        >>> here = Source(Path("scale"), 1)
        >>> scale = Roll(np.eye(8, dtype=np.bool_), 60, here)
        >>> other = Roll(np.eye(8, dtype=np.bool_)[[5, 2, 3, 4, 0]], 61, here)
        >>> MusicIndex([scale]).longest(other)
        CopiedPassage(begin=1, frames=3, changes=2, piece=0, there=0, semitones=3)
    """

    def __init__(self, pieces: Sequence[Roll]) -> None:
        self._shapes: dict[bytes, int] = {b"": 0}  # the silence first
        described = [self._described(piece.frames, piece.lowest, add=True) for piece in pieces]
        # Between pieces stands a frame that equals none, so that no passage goes on from one to the next.
        self._shape = np.concatenate([[-2], *(np.append(shape, -2) for shape, _, _ in described)]).astype(np.int64)
        self._move = np.concatenate([[0], *(np.append(move, 0) for _, move, _ in described)]).astype(np.int64)
        self._low = np.concatenate([[0], *(np.append(low, 0) for _, _, low in described)]).astype(np.int64)
        self._begins = np.cumsum([1, *(len(shape) + 1 for shape, _, _ in described)])

    def longest(self, piece: Roll) -> CopiedPassage | None:
        """The passage of a piece with the most changes that stands in one of the pieces; None if there is none.

        Of several the longest counts, and of those the first.

        Args:
            piece: The piece.
        """
        return self.longest_of(self.passages(piece, 0))

    @staticmethod
    def longest_of(passages: Sequence[CopiedPassage]) -> CopiedPassage | None:
        """The first of the passages with the most changes, and of these the most frames; None of none."""
        return max(passages, key=lambda passage: (passage.changes, passage.frames), default=None)

    def passages(self, piece: Roll, changes: int) -> list[CopiedPassage]:
        """All passages of a piece with as many changes or more, none of which lies within another, in order.

        Args:
            piece: The piece.
            changes: The fewest changes.
        """
        kept: list[CopiedPassage] = []
        for passage in self._ends(piece):
            if passage.changes < changes:
                continue
            if kept and kept[-1].begin >= passage.begin:
                kept.pop()  # it ended earlier and began no earlier
            kept.append(passage)
        return kept

    def _ends(self, piece: Roll) -> list[CopiedPassage]:
        """For each frame of a piece that sounds, the longest passage that ends there and stands in the pieces."""
        shape, move, low = self._described(piece.frames, piece.lowest, add=False)
        changed = np.concatenate([[0], np.cumsum(np.any(piece.frames[1:] != piece.frames[:-1], 1))])
        run = np.zeros(len(self._shape), np.int64)  # how long the passage is that ends at each frame of the pieces
        found = []
        for t in range(len(shape)):
            before = np.concatenate([[0], run[:-1]])
            alike = self._shape == shape[t]
            goes_on = alike & (self._move == move[t]) & (before > 0)
            begins = alike if shape[t] else np.zeros_like(alike)
            run = np.where(goes_on, before + 1, begins.astype(np.int64))
            length = int(run.max(initial=0))
            if not shape[t] or not length:
                continue
            begin, end = t - length + 1, int(run.argmax())
            first = end - length + 1
            number = int(np.searchsorted(self._begins, first, side="right")) - 1
            found.append(
                CopiedPassage(
                    begin,
                    length,
                    int(changed[t] - changed[begin]),
                    number,
                    first - int(self._begins[number]),
                    int(low[t] - self._low[end]),
                )
            )
        return found

    def _described(
        self, frames: Frames, lowest: int, *, add: bool
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """The intervals of each frame's chord, as a number; how its lowest note moves; and that note.

        In silence the lowest note is the one before. A chord that no piece has is -1, which equals none.
        """
        shapes, moves, lows = [], [], []
        before = 0
        for frame in frames:
            keys = np.flatnonzero(frame)
            low = before if not len(keys) else int(keys[0]) + lowest
            name = (keys - keys[:1]).astype(np.uint8).tobytes()
            number = self._shapes.setdefault(name, len(self._shapes)) if add else self._shapes.get(name, -1)
            shapes.append(number)
            moves.append(low - before)
            lows.append(low)
            before = low
        return np.array(shapes, np.int64), np.array(moves, np.int64), np.array(lows, np.int64)
