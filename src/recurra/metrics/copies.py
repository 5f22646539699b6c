"""How much of what was generated was copied: the longest passage that a sequence shares with those of training."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Sequence
from typing import NamedTuple

__all__ = ["Copy", "CopyIndex"]


class Copy(NamedTuple):
    """A passage that a sequence shares with one of the training set.

    Args:
        start: Where it begins in the sequence.
        length: How long it is; 0 if nothing is shared.
        sequence: The number of the training sequence.
        at: Where it begins there.
    """

    start: int
    length: int
    sequence: int
    at: int


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
        Copy(start=1, length=8, sequence=0, at=2)
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
