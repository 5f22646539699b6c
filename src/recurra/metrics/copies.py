"""How much of what was generated was copied: the longest passage that a sequence shares with those of training."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Copy", "CopyIndex", "RollCopyIndex"]


class Copy(NamedTuple):
    """A passage that a sequence shares with one of the training set.

    Args:
        start: Where it begins in the sequence.
        length: How long it is; 0 if nothing is shared.
        sequence: The number of the training sequence.
        at: Where it begins there.
        transposed: How many semitones it is higher than there; 0 of what has no height.
    """

    start: int
    length: int
    sequence: int
    at: int
    transposed: int = 0


NOTHING = Copy(0, 0, -1, -1)
"""The copy of what shares nothing."""


class CopyIndex:
    """Finds the longest passage that a sequence shares with any of a set, exactly.

    The set is kept as a suffix automaton: a sequence of n items takes n steps, however large the set. Where the set is
    larger than what is looked for, keep what is looked for and go through the set. (A. Blumer and
    others, The smallest automaton recognizing the subwords of a text, 1985.)

    Args:
        sequences: The sequences; a shared passage lies within one.

    Example:
        >>> CopyIndex(["a rose is a rose", "red"]).longest("arose is red")
        Copy(start=1, length=8, sequence=0, at=2, transposed=0)
    """

    def __init__(self, sequences: Iterable[Sequence[Hashable]]) -> None:
        self._next: list[dict[Hashable, int]] = [{}]
        self._link, self._length, self._end = [-1], [0], [(-1, -1)]
        for number, sequence in enumerate(sequences):
            last = 0  # a sequence begins anew: no passage goes over from the one before
            for at, item in enumerate(sequence):
                last = self._extend(last, item, (number, at))

    def _state(self, transitions: dict[Hashable, int], link: int, length: int, end: tuple[int, int]) -> int:
        self._next.append(transitions)
        self._link.append(link)
        self._length.append(length)
        self._end.append(end)
        return len(self._next) - 1

    def _extend(self, last: int, item: Hashable, end: tuple[int, int]) -> int:
        known = self._next[last].get(item)
        if known is not None:
            return self._clone(last, known, item)
        state = self._state({}, 0, self._length[last] + 1, end)
        while last != -1 and item not in self._next[last]:
            self._next[last][item] = state
            last = self._link[last]
        if last != -1:
            self._link[state] = self._clone(last, self._next[last][item], item)
        return state

    def _clone(self, last: int, known: int, item: Hashable) -> int:
        """The state of the passage that ends in an item after `last`, split off from a longer one if need be."""
        if self._length[known] == self._length[last] + 1:
            return known
        clone = self._state(dict(self._next[known]), self._link[known], self._length[last] + 1, self._end[known])
        while last != -1 and self._next[last].get(item) == known:
            self._next[last][item] = clone
            last = self._link[last]
        self._link[known] = clone
        return clone

    def matches(self, sequence: Iterable[Hashable]) -> Iterator[Copy]:
        """For each position, the longest shared passage that ends with it; of length 0 where there is none.

        Args:
            sequence: The sequence.
        """
        state = length = 0
        for position, item in enumerate(sequence):
            while state and item not in self._next[state]:
                state = self._link[state]
                length = self._length[state]
            state = self._next[state].get(item, 0)
            length = length + 1 if state else 0
            number, end = self._end[state]
            yield Copy(position - length + 1, length, number, end - length + 1 if length else -1)

    def longest(self, sequence: Iterable[Hashable]) -> Copy:
        """The longest shared passage, the first of several; of length 0 if nothing is shared.

        Args:
            sequence: The sequence.
        """
        return max(self.matches(sequence), key=lambda copy: copy.length, default=NOTHING)


class RollCopyIndex:
    """Finds the longest passage of a roll that is in any of the training rolls, in this key or another.

    A passage is a run of frames that sound alike but for one shift of all keys. It neither begins nor ends in silence,
    which is copied from nobody; a chord that is held counts as many frames as it lasts.

    Args:
        rolls: The training rolls, which keys sound in each frame. Each (T, keys)

    Example:
        >>> scale = np.eye(12, dtype=bool)
        >>> RollCopyIndex([scale[[0, 2, 4, 5, 7]]]).longest(scale[[9, 5, 7, 9, 3]])
        Copy(start=1, length=3, sequence=0, at=0, transposed=5)
    """

    def __init__(self, rolls: Iterable[NDArray[np.bool_]]) -> None:
        self._chords: dict[bytes, int] = {}
        self._first: dict[int, tuple[int, int]] = {}  # where each chord is first heard
        self._lowest: list[NDArray[np.int64]] = []
        steps = []
        for number, roll in enumerate(rolls):
            lowest, chords = self._heard(roll)
            for at, chord in enumerate(chords):
                if chord:
                    self._first.setdefault(chord, (number, at))
            self._lowest.append(lowest)
            steps.append(_steps(lowest, chords))
        self._index = CopyIndex(steps)

    def longest(self, roll: NDArray[np.bool_]) -> Copy:
        """The longest shared passage, the first of several; of length 0 if nothing is shared.

        Args:
            roll: Which keys sound in each frame. (T, keys)
        """
        lowest, chords = self._heard(roll)
        best = NOTHING
        for at, chord in enumerate(chords):
            if chord in self._first:
                best = Copy(at, 1, *self._first[chord])
                break
        sounding = np.flatnonzero(lowest >= 0)
        for end, match in enumerate(self._index.matches(_steps(lowest, chords)), start=1):
            if not match.length or match.length < best.length or lowest[end] < 0:
                continue
            # The passage begins before its first step, or else where the silence ends that would begin it.
            start = int(sounding[np.searchsorted(sounding, match.start)])
            if end - start + 1 > best.length:
                best = Copy(start, end - start + 1, match.sequence, match.at + start - match.start)
        if not best.length:
            return best
        return best._replace(transposed=int(lowest[best.start] - self._lowest[best.sequence][best.at]))

    def _heard(self, roll: NDArray[np.bool_]) -> tuple[NDArray[np.int64], list[int]]:
        """The lowest key of each frame, -1 in silence, and the number of its chord, whatever its key; 0 in silence."""
        sounds = roll.any(axis=1)
        lowest = np.where(sounds, roll.argmax(axis=1), -1)
        chords = []
        for frame, low in zip(roll, lowest.tolist(), strict=True):
            # Trailing keys are cut, so that rolls of different ranges can be compared.
            shape = np.flatnonzero(frame).astype(np.int32) - low
            chords.append(self._chords.setdefault(shape.tobytes(), len(self._chords) + 1) if low >= 0 else 0)
        return lowest, chords


def _steps(lowest: NDArray[np.int64], chords: list[int]) -> list[Hashable]:
    """What happens from each frame to the next: the chord before, whether there is silence, the chord, the way to it.

    Equal runs of steps are equal passages, but for a shift of all keys: the way goes from the last frame that sounded.
    """
    steps: list[Hashable] = []
    chord = low = 0
    for at, (here, now) in enumerate(zip(chords, lowest.tolist(), strict=True)):
        if at:
            steps.append((chord, chords[at - 1] == 0, here, now - low if here and chord else 0))
        if here:
            chord, low = here, now
    return steps
