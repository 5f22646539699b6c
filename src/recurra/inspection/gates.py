"""Which values of a cell are squashed between two ends, which of them keep the state, and how many units are saturated.

All of it is read from the step graph: a value whose node is a sigmoid or a tanh is squashed, and a gate that keeps is a
sigmoid that multiplies a state which is carried on, as itself or as 1 - itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from recurra.equations.cell import Cell

__all__ = ["ENDS", "KeepingGate", "Saturation", "Squashing", "gates", "keeping_gate", "saturation"]

Squashing = Literal["sigmoid", "tanh"]

ENDS: dict[Squashing, tuple[float, float]] = {"sigmoid": (0.0, 1.0), "tanh": (-1.0, 1.0)}
"""Between which numbers each lies."""

MARGIN = 0.1
"""The part of the range, at either end, in which a unit counts as saturated."""


def gates(cell: Cell) -> dict[str, Squashing]:
    """The named values of a cell that are a sigmoid or a tanh of something, in their order.

    Example:
        >>> from recurra import cells
        >>> gates(cells.GRU)
        {'update': 'sigmoid', 'relevance': 'sigmoid', 'candidate': 'tanh'}
    """
    step = cell.graph
    kinds = {name: step.graph[node].kind for name, node in step.values.items()}
    return {name: squashing for name, kind in kinds.items() for squashing in ENDS if kind == squashing}


@dataclass(frozen=True)
class KeepingGate:
    """The gate that scales what a state carries on.

    Args:
        name: Its name.
        keeps_at: At which end of it the state is kept: 1 if the gate multiplies the state, 0 if 1 - gate does.
    """

    name: str
    keeps_at: Literal[0, 1]

    def chrono(self, cell: Cell, longest: int) -> str | None:
        """The call that makes it begin by keeping, if it has a bias of its own to begin with."""
        bias = f"b_{self.name}"
        if bias not in cell.parameters:
            return None
        kept, written = (f'"{bias}"', "None") if self.keeps_at else ("None", f'"{bias}"')
        return f"chrono_(layer, {longest}, keep={kept}, write={written})"


def keeping_gate(cell: Cell) -> KeepingGate | None:
    """The first gate of a cell that scales what a state carries on; None if nothing does.

    Example:
        >>> from recurra import cells
        >>> keeping_gate(cells.LSTM), keeping_gate(cells.GRU), keeping_gate(cells.RNN)
        (KeepingGate(name='forget', keeps_at=1), KeepingGate(name='update', keeps_at=0), None)
    """
    step, graph = cell.graph, cell.graph.graph
    sigmoids = {step.values[name]: name for name, squashing in gates(cell).items() if squashing == "sigmoid"}
    # What only matrices read is not carried on, such as relevance[t] * h[t-1].
    read_by: dict[int, set[str]] = {}
    for node in graph.nodes:
        for argument in node.args:
            read_by.setdefault(argument, set()).add(node.kind)
    found: dict[str, Literal[0, 1]] = {}
    for number, node in enumerate(graph.nodes):
        if node.kind != "multiply" or read_by.get(number) == {"product"}:
            continue
        for factor, other in (node.args, node.args[::-1]):
            own = graph[factor]
            if graph[other].kind != "state":
                continue
            if factor in sigmoids:
                found.setdefault(sigmoids[factor], 1)
            elif own.kind == "subtract" and own.args[1] in sigmoids and graph[own.args[0]].number == 1:
                found.setdefault(sigmoids[own.args[1]], 0)
    first = next((name for name in sigmoids.values() if name in found), None)
    return None if first is None else KeepingGate(first, found[first])


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
