"""The gates of a cell, read from its step graph.

A value whose node is a sigmoid or a tanh is squashed. A gate that keeps is a sigmoid that multiplies a state which is
carried on, as itself or as 1 - itself; the gate that writes multiplies what is added to the product.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

from recurra.equations.cell import Cell
from recurra.equations.graph import Graph, Node

__all__ = ["ENDS", "KeepingGate", "Squashing", "gates", "keeping_gate"]

Squashing = Literal["sigmoid", "tanh"]

ENDS: dict[Squashing, tuple[float, float]] = {"sigmoid": (0.0, 1.0), "tanh": (-1.0, 1.0)}
"""Between which numbers each lies."""


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
        bias: The first bias that it adds up inside, None without one.
        writes: The gate that scales what is added to the state, if that is another one.
        writes_bias: That gate's bias, None without one.
    """

    name: str
    keeps_at: Literal[0, 1]
    bias: str | None = None
    writes: str | None = None
    writes_bias: str | None = None


def keeping_gate(cell: Cell) -> KeepingGate | None:
    """The first gate of a cell that scales what a state carries on; None if nothing does.

    Example:
        >>> from recurra import cells
        >>> keeping_gate(cells.LSTM)
        KeepingGate(name='forget', keeps_at=1, bias='b_forget', writes='input', writes_bias='b_input')
        >>> keeping_gate(cells.GRU)
        KeepingGate(name='update', keeps_at=0, bias='b_update', writes=None, writes_bias=None)
        >>> print(keeping_gate(cells.RNN))
        None
    """
    step, graph = cell.graph, cell.graph.graph
    sigmoids = {step.values[name]: name for name, squashing in gates(cell).items() if squashing == "sigmoid"}
    readers = _readers(graph)
    found: dict[str, tuple[Literal[0, 1], int]] = {}
    for number, node in enumerate(graph.nodes):
        # What only matrices read is not carried on, such as relevance[t] * h[t-1].
        if node.kind != "multiply" or {reader.kind for reader in readers[number]} == {"product"}:
            continue
        for factor, other in (node.args, node.args[::-1]):
            own = graph[factor]
            if graph[other].kind != "state":
                continue
            if factor in sigmoids:
                found.setdefault(sigmoids[factor], (1, number))
            elif own.kind == "subtract" and own.args[1] in sigmoids and graph[own.args[0]].number == 1:
                found.setdefault(sigmoids[own.args[1]], (0, number))
    for gate, name in sigmoids.items():
        if name in found:
            keeps_at, kept = found[name]
            keeping = KeepingGate(name, keeps_at, _bias(graph, gate))
            for other in _scaling_beside(graph, readers, kept):
                if other in sigmoids and other != gate:
                    return replace(keeping, writes=sigmoids[other], writes_bias=_bias(graph, other))
            return keeping
    return None


def _readers(graph: Graph) -> list[list[Node]]:
    """For each node those that work on it, in order."""
    readers: list[list[Node]] = [[] for _ in graph.nodes]
    for node in graph.nodes:
        for argument in dict.fromkeys(node.args):
            readers[argument].append(node)
    return readers


def _scaling_beside(graph: Graph, readers: list[list[Node]], kept: int) -> Iterator[int]:
    """The factors of what is added to what is kept."""
    for node in readers[kept]:
        if node.kind == "add":
            for term in node.args:
                if term != kept and graph[term].kind == "multiply":
                    yield from graph[term].args


def _bias(graph: Graph, gate: int) -> str | None:
    """The first learned vector among the terms that a gate squashes."""
    terms = [*graph[gate].args]
    while terms:
        node = graph[terms.pop(0)]
        if node.kind == "vector":
            return node.name
        if node.kind == "add":
            terms[:0] = node.args
    return None
