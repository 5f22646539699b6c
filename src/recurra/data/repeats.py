"""In which order the bars of a score are played when its repeats and endings are followed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

__all__ = ["Bar", "played"]

MOST_TIMES = 16
"""How often a passage is repeated at most, whatever a file says."""


class Bar(NamedTuple):
    """What a bar has of repeats.

    Args:
        begins: Whether a repeated passage begins with it.
        ends: How often the passage that ends with it is played; 0 if none ends.
        endings: In which of the times it is played; empty for each.
    """

    begins: bool = False
    ends: int = 0
    endings: frozenset[int] = frozenset()


def played(bars: Sequence[Bar]) -> list[int]:
    """The numbers of the bars, in the order they are played.

    A passage begins at its sign, or else where the one before ended. It is played as often as it says, or as there are
    endings that follow. What an ending without a repeat leaves unclear is played once.

    Args:
        bars: The bars as they are written.

    Example:
        >>> played([Bar(), Bar(ends=2, endings=frozenset({1})), Bar(endings=frozenset({2})), Bar()])
        [0, 1, 0, 2, 3]
    """
    order: list[int] = []
    number, start, time = 0, 0, 1
    while number < len(bars):
        bar = bars[number]
        if bar.begins and number != start:
            start, time = number, 1
        following = bars[number + 1] if number + 1 < len(bars) else Bar()
        skipped = time > 1 and bar.endings and time not in bar.endings
        if not skipped:
            order.append(number)
            more = bar.ends and max(following.endings, default=0) > time
            if bar.ends and time < MOST_TIMES and (time < bar.ends or more):
                number, time = start, time + 1
                continue
        if (bar.ends and not skipped) or (bar.endings and not following.endings):
            start, time = number + 1, 1
        number += 1
    return order
