"""How many units of a cell's gates are saturated."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from recurra.equations.cell import Cell
from recurra.equations.gates import ENDS, gates

__all__ = ["Saturation", "saturation"]

MARGIN = 0.1
"""The part of the range, at either end, in which a unit counts as saturated."""


@dataclass(frozen=True)
class Saturation:
    """How many units of a gate are saturated, over all steps that count.

        low = the share in the lowest tenth of the range, high = the share in the highest

    so for a sigmoid below 0.1 and above 0.9, as in Karpathy, Johnson and Fei-Fei, "Visualizing and understanding
    recurrent networks", 2015, and for a tanh below -0.8 and above 0.8. A saturated unit passes on at most 0.36 of the
    gradient that the squashing passes in its middle.

    Args:
        low: The share at the lower end, from 0 to 1: of a gate, closed.
        high: The share at the upper end, from 0 to 1: of a gate, open.
    """

    low: float
    high: float

    @property
    def share(self) -> float:
        """The share at either end."""
        return self.low + self.high


def saturation(cell: Cell, values: Mapping[str, Tensor], lengths: Tensor | None = None) -> dict[str, Saturation]:
    """The saturation of every gate of a cell.

    Args:
        cell: The cell.
        values: Its values by name, (T, B, H).
        lengths: How many steps of each row count (B,); None for all.

    Example:
        >>> from recurra import cells
        >>> saturation(cells.RNN, {"h": torch.tensor([[[-0.9, 0.1, 0.2, 0.99]]])})
        {'h': Saturation(low=0.25, high=0.25)}
    """
    found = {}
    for name, squashing in gates(cell).items():
        value = values[name].detach()
        if lengths is not None:
            value = value[torch.arange(len(value), device=value.device)[:, None] < lengths]
        low, high = ENDS[squashing]
        margin = MARGIN * (high - low)
        near = [(value < low + margin), (value > high - margin)]
        found[name] = Saturation(*(float(n.double().mean()) for n in near))
    return found
