"""When words were spoken: their beginning and end, from the frames in which a network is sure of their labels."""

from __future__ import annotations

import math
from typing import NamedTuple

from recurra.decoding.ctc import CtcPath, HeardLabel

__all__ = ["HeardWord", "heard_words"]


class HeardWord(NamedTuple):
    """A word and its time.

    Args:
        labels: The ids of its labels.
        start: When it begins, in frames.
        end: When it ends, in frames.
        confidence: How probable it is that each of its labels is right, were they independent: their product.
    """

    labels: tuple[int, ...]
    start: float
    end: float
    confidence: float


def heard_words(path: CtcPath, separator: int | None, reach: float) -> list[HeardWord]:
    """The words of a way through the frames, with times.

    A network trained with CTC is sure of a label in a frame or two, not for as long as it sounds. So a word lasts
    longer than its labels: it begins midway between the last label of the word before and its own first one, and ends
    midway to the next, but not more than `reach` away from its own labels, so that a pause belongs to neither.

    Args:
        path: The way, such as from `forced_alignment`.
        separator: The label between words; None where each label is a word.
        reach: How far a word may go beyond its labels, in frames.

    Example:
        >>> from recurra.decoding.ctc import HeardLabel
        >>> labels = (HeardLabel(1, 3, 4, 1.0), HeardLabel(9, 6, 7, 1.0), HeardLabel(2, 8, 9, 0.5))
        >>> [(word.start, word.end) for word in heard_words(CtcPath(labels, 0.0, 40), 9, reach=3)]
        [(0.0, 6.0), (6.0, 12.0)]
    """
    groups: list[list[HeardLabel]] = [[]]
    for heard in path.labels:
        if separator is None:
            groups.append([heard])
        elif heard.label == separator:
            groups.append([])
        else:
            groups[-1].append(heard)
    groups = [group for group in groups if group]
    words = []
    for number, group in enumerate(groups):
        first, last = group[0].start, group[-1].end
        before = (groups[number - 1][-1].end + first) / 2 if number else 0.0
        after = (last + groups[number + 1][0].start) / 2 if number + 1 < len(groups) else float(path.frames)
        confidence = math.prod(heard.confidence for heard in group)
        ids = tuple(heard.label for heard in group)
        words.append(HeardWord(ids, max(before, float(first - reach)), min(after, float(last + reach)), confidence))
    return words
