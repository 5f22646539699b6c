"""Which cells are too large to be compiled in seconds.

The time it takes grows with the length of the code. What makes most of it are products and means, which are stages of
their own; functions such as tanh, which are dozens of instructions and passes of their own; and carried values, which
move in and out of the loop. Other operations are an instruction or two.
"""

from __future__ import annotations

from functools import lru_cache

from recurra.backends.plan import SLOW
from recurra.equations.cell import Cell

__all__ = ["MOST_LONG", "MOST_OPERATIONS", "size_refusal"]

MOST_LONG = 400
"""How many products, means, slow functions and carried values machine code is made for: 20 s of work at the worst."""

MOST_OPERATIONS = 5000
"""How many operations of any kind: 10 s."""

_LONG = SLOW | {"product", "adjoint", "mean", "power"}


def size_refusal(cell: Cell) -> str | None:
    """Why a cell is too large for machine code, or None if it is not.

    Example:
        >>> size_refusal(Cell("h[t] = tanh(W @ [h[t-1], x[t]])"))
    """
    return _size_refusal(cell)


# A trace asks once and keeps the answer: it cannot follow what is remembered.
size_refusal._dynamo_marked_constant = True  # type: ignore[attr-defined]


@lru_cache(maxsize=1024)
def _size_refusal(cell: Cell) -> str | None:
    graph = cell.graph.graph
    kinds = [graph[number].kind for number in graph.reachable(cell.graph.roots) if graph[number].args]
    long = sum(kind in _LONG for kind in kinds) + len(cell.carried_names)
    if long > MOST_LONG:
        return (
            f"one step of it has {long:,} products, means, carried values and functions such as tanh, "
            f"and machine code is made for at most {MOST_LONG:,}"
        )
    if len(kinds) > MOST_OPERATIONS:
        return f"one step of it has {len(kinds):,} operations, and machine code is made for at most {MOST_OPERATIONS:,}"
    return None
