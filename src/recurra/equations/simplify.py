"""A graph that simplifies as it grows: numbers are folded, and what changes nothing is left out.

The rules hold for every value the language is for: finite ones. (0 * a becomes 0 though a might be infinite.)
"""

from __future__ import annotations

from recurra.equations.functions import FUNCTIONS
from recurra.equations.graph import Graph
from recurra.equations.shapes import NUMBER, Width

__all__ = ["SimplifiedGraph", "simplify"]


class SimplifiedGraph(Graph):
    """A graph in which every function is simplified when it is applied.

    Example:
        >>> graph = SimplifiedGraph()
        >>> three = graph.apply("add", graph.number(1), graph.number(2))
        >>> graph[three].number
        3.0
    """

    def apply(self, function: str, *args: int) -> int:
        """A function of the table, applied to nodes, in its simplest form."""
        if FUNCTIONS[function].definition:
            return super().apply(function, *args)
        rule = getattr(self, f"_{function}", None)
        numbers = all(self[a].kind == "number" for a in args)
        simpler: int | None = rule(*args) if rule and not numbers else None
        return super().apply(function, *args) if simpler is None else simpler

    def _is(self, node: int, value: float) -> bool:
        return self[node].kind == "number" and self[node].number == value

    def _width(self, a: int, b: int) -> Width:
        return max(self[a].width, self[b].width, key=lambda w: w != NUMBER)

    def _negated(self, node: int) -> int | None:
        """What this node is the negative of, if it is one."""
        return self[node].args[0] if self[node].kind == "negate" else None

    def _add(self, a: int, b: int) -> int | None:
        if self._is(a, 0):
            return b
        if self._is(b, 0):
            return a
        minus = self._negated(b)
        if minus is not None:
            return self.apply("subtract", a, minus)
        minus = self._negated(a)
        return None if minus is None else self.apply("subtract", b, minus)

    def _subtract(self, a: int, b: int) -> int | None:
        if self._is(b, 0):
            return a
        if self._is(a, 0):
            return self.apply("negate", b)
        minus = self._negated(b)
        return None if minus is None else self.apply("add", a, minus)

    def _multiply(self, a: int, b: int) -> int | None:
        for one, other in ((a, b), (b, a)):
            if self._is(one, 0):
                return self.number(0, self._width(a, b))
            if self._is(one, 1):
                return other
            if self._is(one, -1):
                return self.apply("negate", other)
            minus = self._negated(one)
            if minus is not None:
                # A minus sign moves outward, where it can meet a sum.
                return self.apply("negate", self.apply("multiply", *((minus, b) if one == a else (a, minus))))
        return None

    def _divide(self, a: int, b: int) -> int | None:
        if self._is(b, 1):
            return a
        if self._is(a, 0):
            return self.number(0, self._width(a, b))
        minus = self._negated(a)
        return None if minus is None else self.apply("negate", self.apply("divide", minus, b))

    def _negate(self, a: int) -> int | None:
        if self[a].kind == "subtract":
            return self.apply("subtract", *reversed(self[a].args))
        return self._negated(a)

    def _power(self, a: int, b: int) -> int | None:
        if self._is(b, 1):
            return a
        if self._is(b, 0):
            return self.number(1, self[a].width)
        if self._is(b, 0.5):
            return self.apply("sqrt", a)  # whose gradient needs no other power
        return self.apply("multiply", a, a) if self._is(b, 2) else None

    def _where(self, a: int, b: int, c: int) -> int | None:
        if self[a].kind == "number":
            chosen = c if self[a].number <= 0 else b
        elif b == c:
            chosen = b
        else:
            return None
        width = max((self[n].width for n in (a, b, c)), key=lambda w: w != NUMBER)
        # A number that is chosen among vectors is one in every unit.
        return self.number(self[chosen].number, width) if self[chosen].width == NUMBER else chosen

    def _mean(self, a: int) -> int | None:
        return a if self[a].kind == "mean" else None


def simplify(graph: Graph, roots: list[int]) -> tuple[SimplifiedGraph, list[int]]:
    """The same values in a simplified graph without the nodes that nothing needs.

    Args:
        graph: Any graph.
        roots: The numbers of the nodes that are wanted.

    Returns:
        The simplified graph, and the numbers of the wanted nodes in it.
    """
    simple = SimplifiedGraph()
    moved: dict[int, int] = {}
    for number in graph.reachable(roots):
        node = graph[number]
        args = tuple(moved[a] for a in node.args)
        if node.kind in FUNCTIONS:
            moved[number] = simple.apply(node.kind, *args)
        else:
            moved[number] = simple.add(type(node)(node.kind, args, node.name, node.index, node.number, node.width))
    return simple, [moved[r] for r in roots]
