"""The step graph: what one step computes, as numbered nodes in order.

A node is an operation on nodes before it. Equal nodes are one node: adding a node that is there already gives back
its number, so common subexpressions are shared by construction. A product with a concatenation is stored as a sum of
products with its parts, each with its block of the matrix's columns: what depends on x[t] alone can then leave the
time loop, and every gradient has its place.

Kinds of node:

    number      a number, in `number`
    input       x[t]
    state       name[t-lag]: `name`, and the lag in `index`
    vector      a learned vector: `name`
    noise       a value drawn at random: `name`
    received    dL/d name[t] as it arrives from outside the step: `name`      (backward graphs only)
    product     W[:, part] @ v: matrix `name`, part in `index`, v the argument
    adjoint     transpose(W[:, part]) @ v: likewise
    any other   the function of that name in the table
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from recurra.equations.expression import Call, Constant, Equation, Expression, Number, Product, Step, Vector, fold
from recurra.equations.functions import FUNCTIONS
from recurra.equations.parse import error_at, parse_expression
from recurra.equations.shapes import HIDDEN, INPUT, NUMBER, Parameter, Width
from recurra.errors import EquationError

__all__ = ["Graph", "Node", "StepGraph", "build"]

COMMUTATIVE = frozenset({"add", "multiply", "minimum", "maximum"})


@dataclass(frozen=True, slots=True)
class Node:
    """One operation of a graph; `args` are the numbers of the nodes it works on."""

    kind: str
    args: tuple[int, ...] = ()
    name: str = ""
    index: int = 0
    number: float = 0.0
    width: Width = HIDDEN


class Graph:
    """Nodes in the order they are computed; equal nodes are shared.

    Example:
        >>> graph = Graph()
        >>> x = graph.add(Node("input", width=INPUT))
        >>> graph.apply("tanh", x) == graph.apply("tanh", x)
        True
    """

    def __init__(self, nodes: Iterable[Node] = ()) -> None:
        self.nodes: list[Node] = []
        self._numbers: dict[Node, int] = {}
        for node in nodes:
            self.add(node)

    def __len__(self) -> int:
        return len(self.nodes)

    def __getitem__(self, number: int) -> Node:
        return self.nodes[number]

    def add(self, node: Node) -> int:
        """Add a node, or find the one that computes the same; returns its number."""
        key = node
        if node.kind in COMMUTATIVE:
            key = Node(node.kind, tuple(sorted(node.args)), width=node.width)
        number = self._numbers.get(key)
        if number is None:
            number = self._numbers[key] = len(self.nodes)
            self.nodes.append(node)
        return number

    def number(self, value: float, width: Width = NUMBER) -> int:
        """A node for a number, or with a width for a vector that holds it in every unit."""
        return self.add(Node("number", number=value, width=width))

    def apply(self, function: str, *args: int) -> int:
        """A function of the table, applied to nodes; numbers are folded, a composed function is put together."""
        definition = FUNCTIONS[function].definition
        if definition:
            return self.substitute(definition, dict(zip("abc", args, strict=False)))
        width = next((self[a].width for a in args if self[a].width != NUMBER), NUMBER)
        if all(self[a].kind == "number" for a in args):
            return self.number(_fold(function, [self[a].number for a in args]), width)
        return self.add(Node(function, args, width=width))

    def substitute(self, text: str, names: Mapping[str, int]) -> int:
        """An expression of the language in which bare names stand for nodes."""

        def place(expression: Expression, arguments: list[int]) -> int:
            if isinstance(expression, Number):
                return self.number(expression.value)
            if isinstance(expression, Call):
                return self.apply(expression.function, *arguments)
            assert isinstance(expression, Vector), expression
            return names[expression.name]

        return fold(_read(text), place)

    def reachable(self, roots: Iterable[int]) -> list[int]:
        """The nodes that the given ones are computed from, themselves among them, in order."""
        found: set[int] = set()
        pending = list(roots)
        while pending:
            number = pending.pop()
            if number not in found:
                found.add(number)
                pending += self[number].args
        return sorted(found)


def _fold(function: str, numbers: list[float]) -> float:
    try:
        value = float(FUNCTIONS[function].evaluate(*numbers))
    except (ArithmeticError, ValueError, TypeError):  # TypeError: a root of a negative number is complex
        value = math.nan
    if not math.isfinite(value):
        given = ", ".join(f"{n:g}" for n in numbers)
        raise EquationError(
            f"{function}({given}) is not a finite number", "Check the numbers and constants of the equations."
        )
    return value


_TEXTS: dict[str, Expression] = {}


def _read(text: str) -> Expression:
    if text not in _TEXTS:
        _TEXTS[text] = parse_expression(text)
    return _TEXTS[text]


@dataclass(frozen=True)
class StepGraph:
    """What one step of a cell computes.

    Args:
        graph: The nodes.
        values: The node of every value that the equations define, in their order.
        output: The name of the value that is the output.
        states: The names of the carried states, with how many steps back each is read.
        parameters: The learned parameters, in the order of the text.
        owners: For each node, the equation it was first needed for.
    """

    graph: Graph
    values: Mapping[str, int]
    output: str
    states: Mapping[str, int]
    parameters: Mapping[str, Parameter]
    owners: Sequence[str]

    @property
    def roots(self) -> list[int]:
        """The nodes that leave the step: the output and the new value of every state."""
        return [self.values[name] for name in dict.fromkeys([*self.states, self.output])]


def build(
    equations: Sequence[Equation],
    parameters: Mapping[str, Parameter],
    states: Mapping[str, int],
    constants: Mapping[str, float],
    noises: Iterable[str] = (),
    graph: Graph | None = None,
    lines: Sequence[str] = (),
) -> StepGraph:
    """Put together the step graph of checked equations; the kind of `graph` decides what is simplified on the way.

    Raises:
        EquationError: Numbers fold to one that is not finite, such as log(0); the message quotes its line of `lines`.
    """
    graph = Graph() if graph is None else graph
    values: dict[str, int] = {}
    owners: list[str] = []
    noises = frozenset(noises)

    def place(expression: Expression, parts: list[int]) -> int:
        if isinstance(expression, Number):
            return graph.number(expression.value)
        if isinstance(expression, Constant):
            return graph.number(float(constants[expression.name]))
        if isinstance(expression, Vector):
            return graph.add(Node("vector", name=expression.name))
        if isinstance(expression, Step):
            return _place_step(graph, expression, values, noises)
        if isinstance(expression, Product):
            return _place_product(graph, expression, parts)
        try:
            return graph.apply(expression.function, *parts)
        except EquationError as error:
            raise error_at(lines, expression.place, error.problem, error.mend) from None

    for equation in equations:
        node = fold(equation.expression, place)
        if graph[node].width == NUMBER:
            node = graph.number(graph[node].number, HIDDEN)
        values[equation.name] = node
        owners += [equation.name] * (len(graph) - len(owners))
    return StepGraph(graph, values, equations[-1].name, dict(states), dict(parameters), tuple(owners))


def _place_step(graph: Graph, step: Step, values: Mapping[str, int], noises: frozenset[str]) -> int:
    if step.name == "x":
        return graph.add(Node("input", name="x", width=INPUT))
    if step.name in noises:
        return graph.add(Node("noise", name=step.name))
    if step.lag:
        return graph.add(Node("state", name=step.name, index=step.lag))
    return values[step.name]


def _place_product(graph: Graph, product: Product, operands: list[int]) -> int:
    if product.transposed:
        return graph.add(Node("adjoint", (operands[0],), name=product.matrix, width=HIDDEN))
    total: int | None = None
    for part, operand in enumerate(operands):
        block = graph.add(Node("product", (operand,), name=product.matrix, index=part))
        total = block if total is None else graph.apply("add", total, block)
    assert total is not None
    return total
