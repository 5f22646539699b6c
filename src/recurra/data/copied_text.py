"""What a text shares with another: the longest run of characters that stands there word for word."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["CopiedText", "longest_copy"]


class CopiedText(NamedTuple):
    """A run of characters that stands in another text.

    Args:
        begin: Where it begins in the text that was asked about, in characters from 0.
        length: How many characters it has.
        there: Where it begins in the other text.
    """

    begin: int
    length: int
    there: int


def longest_copy(text: str, source: str) -> CopiedText:
    """The longest run of characters of a text that stands in another; of several the first.

    Args:
        text: The text.
        source: The other, such as what a model was trained on.

    Returns:
        The run, of no characters if they share none.

    Example:
        >>> longest_copy("the cat sat here", "on the mat a cat sat down")
        CopiedText(begin=3, length=9, there=12)
    """
    best = CopiedText(0, 0, 0)
    begin = 0
    while begin + best.length < len(text):
        there = source.find(text[begin : begin + best.length + 1])
        if there < 0:
            begin += 1
            continue
        # It is longer than the best: lengthen it as far as it goes, each time from where it was last seen.
        length = best.length + 1
        while begin + length < len(text):
            further = source.find(text[begin : begin + length + 1], there)
            if further < 0:
                break
            there, length = further, length + 1
        best = CopiedText(begin, length, there)
    return best
