"""The copying problem: ten symbols, a long wait, and then the same ten again."""

from __future__ import annotations

import math

import torch

from recurra.errors import SettingError
from recurra.lab.examples import Examples

__all__ = ["BLANK", "CLASSES", "KINDS", "START", "SYMBOLS", "baseline", "copying"]

KINDS = 8
"""How many kinds of symbols there are to remember: the ids 0 to 7."""

SYMBOLS = 10
"""How many of them are to be remembered."""

BLANK, START = 8, 9
"""The ids of nothing, and of the sign that asks for the symbols."""

CLASSES = KINDS + 1
"""What may be answered: a kind or nothing."""


def copying(count: int, wait: int, random: torch.Generator) -> Examples:
    """Draw sequences of the copying memory problem.

        inputs     s1 ... s10   (wait - 1 blanks)  START  (10 blanks)
        answers    (wait + 10 blanks)                     s1 ... s10

    Of Hochreiter and Schmidhuber 1997, in the form of Arjovsky, Shah and Bengio, "Unitary evolution recurrent neural
    networks", ICML 2016.

    Args:
        count: B, how many.
        wait: T of the paper, the steps from the last symbol to the first answer, from 1.
        random: What they are drawn from.

    Returns:
        Ids (B, wait + 20), and targets of the same shape.

    Raises:
        SettingError: The wait is below 1.

    Example:
        >>> drawn = copying(1, 3, torch.Generator().manual_seed(0))
        >>> drawn.inputs[0].tolist()
        [4, 7, 5, 0, 3, 3, 3, 7, 1, 3, 8, 8, 9, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8]
        >>> drawn.targets[0].tolist()
        [8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 4, 7, 5, 0, 3, 3, 3, 7, 1, 3]
    """
    if wait < 1:
        raise SettingError(f"wait is {wait}; it is a number of steps from 1")
    symbols = torch.randint(KINDS, (count, SYMBOLS), generator=random)
    blanks = torch.full((count, wait + SYMBOLS), BLANK)
    inputs = torch.cat([symbols, blanks], 1)
    inputs[:, SYMBOLS + wait - 1] = START
    return Examples(inputs, torch.cat([blanks, symbols], 1))


def baseline(wait: int) -> float:
    """The mean cross-entropy, in nats, of answering without memory: 10 log 8 / (wait + 20).

    It answers blanks until it is asked, and then every kind with equal probability.

    Example:
        >>> round(baseline(100), 4)
        0.1733
    """
    return SYMBOLS * math.log(KINDS) / (wait + 2 * SYMBOLS)
