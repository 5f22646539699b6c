"""Where the lines of two aligned texts lose each other: stretches of lines that belong to earlier or later ones."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

__all__ = ["MAX_SHIFT", "Stretch", "shift_costs", "stretches"]

Floats = npt.NDArray[np.float64]

MAX_SHIFT = 3
"""How many lines further up or down the translation of a line is looked for."""

CHANGE = 10.0
"""What it costs to change from one shift to another, in nats per word: some five lines have to fit better."""


class Stretch(NamedTuple):
    """Lines that are shifted alike.

    Args:
        first: The index of the first of them.
        last: That of the line after the last.
        shift: How many lines further down their translations stand; None where they fit none nearby.
    """

    first: int
    last: int
    shift: int | None


def shift_costs(losses: Callable[[int], Floats], lines: int, outside: float) -> Floats:
    """The loss of each line with the translation so many lines further down, from -3 to 3, (lines, 7).

    Args:
        losses: From a shift k, the loss of each line i that has a line i + k, with its translation.
        lines: How many lines there are.
        outside: The loss of a line whose translation would stand before the first line or after the last.
    """
    costs = np.full((lines, 2 * MAX_SHIFT + 1), outside)
    for column, shift in enumerate(range(-MAX_SHIFT, MAX_SHIFT + 1)):
        costs[max(0, -shift) : lines - max(0, shift), column] = losses(shift)
    return costs


def stretches(costs: Floats, lost: float) -> list[Stretch]:
    """The stretches of lines of the least cost in all, where each change from one to another costs as well.

        minimise over s<1..n>:  sum over i of cost(i, s<i>) + CHANGE [s<i> != s<i-1>]

    Found exactly by dynamic programming (Viterbi, IEEE Transactions on Information Theory 1967).

    Args:
        costs: The loss of each line at each shift, (n, 2 MAX_SHIFT + 1), as `shift_costs` gives it.
        lost: The loss of a line above which its translation does not fit.

    Example:
        >>> costs = np.full((40, 7), 5.0)
        >>> costs[:25, 3] = costs[25:, 4] = 1.0
        >>> stretches(costs, lost=3.0)
        [Stretch(first=0, last=25, shift=0), Stretch(first=25, last=40, shift=1)]
    """
    n = len(costs)
    every = np.column_stack([costs, np.full(n, lost)])
    states = every.shape[1]
    total = np.zeros(states)
    came_from = np.zeros((n, states), dtype=np.int64)
    for line, cost in enumerate(every):
        best = int(total.argmin())
        changed = total > total[best] + CHANGE
        came_from[line] = np.where(changed, best, np.arange(states))
        total = np.where(changed, total[best] + CHANGE, total) + cost
    path = np.zeros(n, dtype=np.int64)
    state = int(total.argmin()) if n else 0
    for line in range(n - 1, -1, -1):
        path[line] = state
        state = int(came_from[line, state])
    borders = [0, *(np.flatnonzero(np.diff(path)) + 1).tolist(), n]
    return [
        Stretch(first, last, None if path[first] == states - 1 else int(path[first]) - MAX_SHIFT)
        for first, last in itertools.pairwise(borders)
        if first < last
    ]
