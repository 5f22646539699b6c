"""Where two texts of unequally many lines lost each other, by the lengths of their lines."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

__all__ = ["first_misaligned"]

BETTER = 0.75
"""Lines belong together where their cost is at most this share of the cost of lines that are paired at random."""

FEWEST = 10
"""Lines that the shorter text has at least: fewer fit by chance."""

NEARBY = 100
"""Lines before and after a break that have to belong together: they do not where lines are missing in two places."""


def first_misaligned(source_lengths: Sequence[int], target_lengths: Sequence[int]) -> int | None:
    r"""About where one of two texts lost lines, if it lost all of them in one place.

    With n and m lines, line i of one belongs to line i of the other up to the break k, and to line i + (m - n) after
    it. As translations are about as long as what they translate (Gale and Church, "A program for aligning sentences in
    bilingual corpora", Computational Linguistics 1993), the break is where the sum of

        cost(i, j) = | log((1 + target length of j) / (1 + source length of i)) - median |

    is least. It is told only where the lines on either side of it fit much better than lines that are paired at random.

    Args:
        source_lengths: The characters of each line of one text.
        target_lengths: Those of the other, which are more or fewer.

    Returns:
        The number of the first line, from 1, that the shorter text lacks, give or take a few; None where the lengths do
        not tell.

    Example:
        >>> lengths = [10, 52, 31, 74, 22, 90, 43, 65, 12, 88, 35, 60]
        >>> first_misaligned(lengths, lengths[:5] + lengths[6:])
        6
    """
    short, long = sorted((source_lengths, target_lengths), key=len)
    n, gap = len(short), len(long) - len(short)
    if n < FEWEST or gap == 0:
        return None
    shorter, longer = (np.log1p(np.asarray(lengths, dtype=np.float64)) for lengths in (short, long))
    together = longer[:n] - shorter
    shifted = longer[gap:] - shorter
    ratio = np.median(longer) - np.median(shorter)
    before, after = np.abs(together - ratio), np.abs(shifted - ratio)
    totals = np.concatenate([[0.0], before.cumsum()]) + np.concatenate([after[::-1].cumsum()[::-1], [0.0]])
    best = int(totals.argmin())
    partners = np.random.default_rng(0).permutation(longer)[:n]
    limit = BETTER * float(np.abs(partners - shorter - ratio).mean())
    sides = [before[max(0, best - NEARBY) : best], after[best : best + NEARBY]]
    return best + 1 if all(side.mean() <= limit for side in sides if len(side)) else None
