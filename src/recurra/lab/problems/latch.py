"""The latch: a bit that is marked somewhere in an endless stream, and asked for a set number of steps later."""

from __future__ import annotations

import torch

from recurra.errors import SettingError
from recurra.lab.examples import IGNORED, Examples

__all__ = ["PAUSE", "latch"]

PAUSE = 8
"""From a question to the next mark there are 1 to this many steps, so that no step of a chunk is special."""


def latch(count: int, length: int, distance: int, random: torch.Generator) -> Examples:
    """Draw streams in which a bit is to be remembered.

        x<t> = (bit<t>, mark<t>, question<t>),      answer at a question = the bit at the last mark

    The bits are ±1 at random, at every step; each question comes `distance` steps after its mark, and the next mark
    after that, so that one bit at a time is to be held.

    Args:
        count: B, how many streams.
        length: T, the steps of each.
        distance: From a mark to its question, from 1.
        random: What they are drawn from.

    Returns:
        Inputs (B, T, 3), and targets (B, T), 0 or 1, `IGNORED` but at questions.

    Raises:
        SettingError: The distance is below 1.

    Example:
        >>> drawn = latch(1, 40, 5, torch.Generator().manual_seed(0))
        >>> marks, questions = drawn.inputs[0, :, 1].nonzero()[:, 0], drawn.inputs[0, :, 2].nonzero()[:, 0]
        >>> (questions - marks[: len(questions)]).unique().tolist()
        [5]
    """
    if distance < 1:
        raise SettingError(f"distance is {distance}; a question stands 1 step or more after its mark")
    bits = torch.randint(2, (count, length), generator=random)
    rounds = length // (distance + 1) + 2
    pauses = torch.randint(1, PAUSE + 1, (count, rounds), generator=random)
    marks = (pauses + distance).cumsum(1) - distance - 1
    inputs = torch.zeros(count, length + distance + 1, 3)
    inputs[:, :length, 0] = 2.0 * bits - 1
    inputs[..., 1].scatter_(1, marks.clamp(max=length + distance), 1.0)
    inputs[..., 2].scatter_(1, (marks + distance).clamp(max=length + distance), 1.0)
    inputs = inputs[:, :length].contiguous()
    targets = torch.full((count, length), IGNORED)
    row, at = inputs[..., 2].nonzero(as_tuple=True)
    targets[row, at] = bits[row, at - distance]
    return Examples(inputs, targets)
