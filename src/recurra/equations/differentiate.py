"""The gradient of one step, derived: from the step graph to the backward graph.

Reverse accumulation, graph to graph. At step t the loss's gradient arrives at the output and at every state, as
`received` nodes; the rules of the table carry it back to the states of earlier steps, to x[t] and to the parameters.
Backpropagation through time is a loop over this graph, from the last step to the first (Rumelhart, Hinton and
Williams 1986; Werbos 1990). The gradients of matrices are not computed here but named: each is a sum, over steps and
batch, of outer products of two nodes, which is one matrix product after the loop.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce

from recurra.equations.functions import FUNCTIONS
from recurra.equations.graph import Graph, Node, StepGraph
from recurra.equations.shapes import NUMBER
from recurra.equations.simplify import SimplifiedGraph

__all__ = ["BackwardGraph", "OuterProduct", "differentiate"]


@dataclass(frozen=True, slots=True)
class OuterProduct:
    """A part of a matrix's gradient: dL/dW[:, part] is the sum of rows × columns over steps and batch."""

    matrix: str
    part: int
    rows: int
    columns: int


@dataclass(frozen=True)
class BackwardGraph:
    """What one step of backpropagation through time computes.

    Args:
        graph: The nodes of the step, under the numbers they have there, and after them those of the gradient.
        step: The step graph it was derived from.
        received: The values whose gradient arrives from outside the step: the states and the output.
        value_gradients: For each value that the loss depends on, the node of its whole gradient.
        contributions: For each value, the node of its gradient less what arrives under its own name from outside
            the step, if that is anything.
        state_gradients: For each (state, lag), the node of what flows to that earlier step.
        vector_gradients: For each vector, the node whose sum over steps and batch is its gradient.
        matrix_gradients: For each matrix, the outer products that make up its gradient.
        input_gradient: The node of dL/dx[t]; None if the cell does not read its input.
        owners: For each node, the equation whose value or gradient it was first needed for.
    """

    graph: Graph
    step: StepGraph
    received: tuple[str, ...]
    value_gradients: Mapping[str, int]
    contributions: Mapping[str, int]
    state_gradients: Mapping[tuple[str, int], int]
    vector_gradients: Mapping[str, int]
    matrix_gradients: Mapping[str, Sequence[OuterProduct]]
    input_gradient: int | None
    owners: Sequence[str]

    @property
    def roots(self) -> list[int]:
        """The nodes that leave the step, or that the sums over steps need."""
        outer = [n for parts in self.matrix_gradients.values() for p in parts for n in (p.rows, p.columns)]
        own = [*self.state_gradients.values(), *self.vector_gradients.values(), *outer]
        return own if self.input_gradient is None else [*own, self.input_gradient]

    @property
    def saved(self) -> list[int]:
        """The nodes of the step whose values the gradient reads, computed ones only."""
        first = len(self.step.owners)
        inner = [n for n in self.graph.reachable(self.roots) if n >= first]
        read = {a for n in inner for a in self.graph[n].args} | set(self.roots)
        return sorted(n for n in read if n < first)


def differentiate(step: StepGraph) -> BackwardGraph:
    """Derive the gradient of a step.

    Args:
        step: The step graph of a cell.

    Returns:
        The backward graph; its first nodes are those of the step.

    Example:
        >>> from recurra.equations.cell import Cell
        >>> backward = differentiate(Cell("h[t] = tanh(u * h[t-1] + x_in[t])".replace("x_in[t]", "W @ x[t]")).graph)
        >>> backward.received, list(backward.state_gradients), list(backward.vector_gradients)
        (('h',), [('h', 1)], ['u'])
    """
    return _Differentiation(step).run()


class _Differentiation:
    def __init__(self, step: StepGraph) -> None:
        self.step = step
        self.graph = SimplifiedGraph()
        for node in step.graph.nodes:
            self.graph.add(node)
        self.sums: dict[int, int] = {}
        self.outer: dict[str, list[OuterProduct]] = {}
        self.owners: list[str] = list(step.owners)

    def send(self, node: int, gradient: int) -> None:
        """Add a gradient to what has arrived at a node."""
        have = self.sums.get(node)
        self.sums[node] = gradient if have is None else self.graph.apply("add", have, gradient)

    def run(self) -> BackwardGraph:
        step, graph = self.step, self.graph
        received = tuple(dict.fromkeys([*step.states, step.output]))
        needed = self._differentiable()
        leaves: dict[int, list[int]] = {}
        for name in received:
            self.owners.append(name)
            leaves.setdefault(step.values[name], []).append(graph.add(Node("received", name=name)))
        names: dict[int, list[str]] = {}
        for name, node in step.values.items():
            names.setdefault(node, []).append(name)
        value_gradients: dict[str, int] = {}
        contributions: dict[str, int] = {}
        for number in range(len(step.owners) - 1, -1, -1):
            # What came from within is summed first, so that a value's own line reads: received, and what is added.
            inner = self.sums.get(number)
            for leaf in leaves.get(number, ()):
                self.send(number, leaf)
            total = self.sums.get(number)
            if total is None:
                continue
            for name in names.get(number, ()):
                value_gradients[name] = total
                # Where two names stand for one node, what arrives at the other is a contribution as well.
                others = [leaf for leaf in leaves.get(number, ()) if graph[leaf].name != name]
                parts = others if inner is None else [inner, *others]
                if parts:
                    contributions[name] = reduce(lambda a, b: graph.apply("add", a, b), parts)
            if number in needed:
                self._spread(number, total, needed)
            self.owners += [step.owners[number]] * (len(graph) - len(self.owners))
        return self._collect(received, value_gradients, contributions)

    def _differentiable(self) -> set[int]:
        """The nodes through which a gradient can reach a state, a parameter or the input."""
        graph, needed = self.step.graph, set[int]()
        for number, node in enumerate(graph.nodes):
            learned = node.kind in {"input", "state", "vector", "product", "adjoint"}
            if learned or any(a in needed for a in node.args):
                needed.add(number)
        return needed

    def _spread(self, number: int, gradient: int, needed: set[int]) -> None:
        """Carry the gradient at a node back to its arguments."""
        graph, node = self.graph, self.graph[number]
        if node.kind == "product":
            (vector,) = node.args
            self.outer.setdefault(node.name, []).append(OuterProduct(node.name, node.index, gradient, vector))
            if vector in needed:
                width = graph[vector].width
                self.send(vector, graph.add(Node("adjoint", (gradient,), node.name, node.index, width=width)))
        elif node.kind == "adjoint":
            (vector,) = node.args
            self.outer.setdefault(node.name, []).append(OuterProduct(node.name, node.index, vector, gradient))
            if vector in needed:
                self.send(vector, graph.add(Node("product", (gradient,), node.name, node.index)))
        elif node.kind in FUNCTIONS:
            names = {"g": gradient, "y": number, **dict(zip("abc", node.args, strict=False))}
            for arg, text in zip(node.args, FUNCTIONS[node.kind].gradients, strict=True):
                if text != "0" and arg in needed and graph[arg].width != NUMBER:
                    self.send(arg, graph.substitute(text, names))

    def _collect(
        self, received: tuple[str, ...], value_gradients: dict[str, int], contributions: dict[str, int]
    ) -> BackwardGraph:
        states: dict[tuple[str, int], int] = {}
        vectors: dict[str, int] = {}
        input_gradient: int | None = None
        for number in range(len(self.step.owners)):
            node, gradient = self.graph[number], self.sums.get(number)
            if gradient is None:
                continue
            if node.kind == "state":
                states[node.name, node.index] = gradient
            elif node.kind == "vector":
                vectors[node.name] = gradient
            elif node.kind == "input":
                input_gradient = gradient
        order = list(self.step.parameters)
        matrices = {n: sorted(self.outer[n], key=lambda p: p.part) for n in order if n in self.outer}
        values = {n: value_gradients[n] for n in reversed(list(self.step.values)) if n in value_gradients}
        return BackwardGraph(
            self.graph,
            self.step,
            received,
            values,
            contributions,
            dict(sorted(states.items())),
            {n: vectors[n] for n in order if n in vectors},
            matrices,
            input_gradient,
            tuple(self.owners),
        )
