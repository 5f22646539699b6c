"""Which parameters get a gradient at the values that they begin at.

A vector that begins at 0 and multiplies hides whatever it multiplies from the loss. Often its own gradient moves it and
all is well after a step; but where two such vectors multiply one another, neither ever moves: the gradient is exactly 0
for ever, in silence. And what divides by one is infinite at the first step.

Both follow from the equations: a number that is the same in every unit, at every step and in every row is carried
through the step graph and the backward graph, from the first step to where nothing changes any more. What is random, or
depends on the input, may be any number, but 0 times it is 0.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count

from recurra.equations.cell import Cell
from recurra.equations.functions import FUNCTIONS
from recurra.equations.graph import Node

__all__ = ["InitialGradient", "initial_gradient"]

Value = float | None
"""A number that is the same everywhere and always, or None for what varies; infinity stands for what is not finite."""

NOT_FINITE = math.inf

PROBES = (0.618, -1.325, 2.503, -0.268, 1e30, -1e30)
"""What is put in the place of what varies, to see whether a function of it varies as well."""

MOST_NAMES = 6
"""How many names a message lists before it counts."""


@dataclass(frozen=True)
class InitialGradient:
    """What the gradient of a cell is at the values that its parameters begin at.

    Args:
        dead: The parameters whose gradient is exactly 0 at every step of training: they never learn.
        waiting: Those whose gradient is exactly 0 until another parameter has moved.
        not_finite: The values of the step, or the parameters whose gradient, that are infinite or not a number at once.
        causes: The parameters that would have to begin elsewhere, each with the number that it begins at.
        deliberate: Whether one of them is a matrix. None begins at 0 unless it is told to, so that waiting is no news.
    """

    dead: tuple[str, ...] = ()
    waiting: tuple[str, ...] = ()
    not_finite: tuple[str, ...] = ()
    causes: Mapping[str, float] | None = None
    deliberate: bool = False

    @property
    def problems(self) -> list[str]:
        """What is wrong, in a sentence each: names, why, and the remedy; nothing where every parameter can learn."""
        return [*self._not_finite(), *self._dead(), *self._waiting()]

    def _not_finite(self) -> list[str]:
        if not self.not_finite:
            return []
        why = f", since {self._begin()}" if self.causes else ""
        remedy = self._remedy(1.0) if self.causes else "a state is 0 before the first step, unless it is learned"
        return [f"{_list(self.not_finite)} {_are(self.not_finite)} not finite at the first step{why}; {remedy}"]

    def _dead(self) -> list[str]:
        if not self.dead:
            return []
        what = f"{_list(self.dead)} will never learn: the gradient is exactly 0"
        if not self.causes:
            return [f"{what}, since nothing that reads {_them(self.dead)} passes a gradient on to the output"]
        if set(self.dead) == set(self.causes):
            what = f"{self._begin()}, where the gradient is exactly 0 for ever: {_they(self.dead)} will never learn"
            return [f"{what}; {self._remedy('normal(0.1)')}"]
        return [f"{what} for ever, since {self._begin()}; {self._remedy('normal(0.1)')}"]

    def _waiting(self) -> list[str]:
        if not self.waiting or self.dead or self.not_finite or self.deliberate:
            return []
        causes = list(self.causes or {})
        moved = f"{_list(causes)} {_have(causes)} moved"
        number = f"; if {causes[0]} is meant to be a constant, add a line {causes[0]} = 0.1" if len(causes) == 1 else ""
        what = f"the gradient of {_list(self.waiting)} is exactly 0 until {moved}, since {self._begin()}"
        return [f"{what}; {self._remedy(1.0 if len(causes) == 1 else 'normal(0.1)')}{number}"]

    def _begin(self) -> str:
        causes = self.causes or {}
        numbers = {f"{value:g}" for value in causes.values()}
        return f"{_list(causes)} {'begins' if len(causes) == 1 else 'begin'} at {' or '.join(sorted(numbers))}"

    def _remedy(self, rule: str | float) -> str:
        causes = list(self.causes or {})
        shown, more = causes[:2], ["..."] if len(causes) > 2 else []
        written = f'"{rule}"' if isinstance(rule, str) else f"{rule:.1f}"
        keyword = ", ".join([f'"{name}": {written}' for name in shown] + more)
        flag = "; ".join([f"{name} = {rule if isinstance(rule, str) else format(rule, 'g')}" for name in shown] + more)
        return f'begin elsewhere: initial={{{keyword}}}, or --initial "{flag}"'


def _list(names: Iterable[str]) -> str:
    names = list(names)
    shown = names if len(names) <= MOST_NAMES else [*names[: MOST_NAMES - 1], f"{len(names) - MOST_NAMES + 1} more"]
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"


def _are(names: Sequence[str]) -> str:
    return "is" if len(names) == 1 else "are"


def _have(names: Sequence[str]) -> str:
    return "has" if len(names) == 1 else "have"


def _they(names: Sequence[str]) -> str:
    return "it" if len(names) == 1 else "they"


def _them(names: Sequence[str]) -> str:
    return "it" if len(names) == 1 else "them"


def initial_gradient(
    cell: Cell, begin: Mapping[str, float], frozen: Collection[str] = (), *, learned_states: bool = False
) -> InitialGradient:
    r"""Which parameters of a cell get a gradient at the values that they begin at.

    Args:
        cell: The cell.
        begin: The parameters that begin at one number in every unit, by name; of matrices those that begin at 0.
        frozen: The parameters that are not trained.
        learned_states: Whether the states before the first step are learned; they begin at 0 either way.

    Example:
        >>> cell = Cell("q[t] = p * (W @ x[t])\nh[t] = 0.9 * h[t-1] + k * q[t]")
        >>> gradient = initial_gradient(cell, {"p": 0.0, "k": 0.0})
        >>> gradient.dead, gradient.causes
        (('p', 'W', 'k'), {'p': 0.0, 'k': 0.0})
        >>> initial_gradient(cell, {"p": 1.0, "k": 0.0}).waiting
        ('p', 'W')
        >>> initial_gradient(cell, {"p": 1.0, "k": 1.0}).problems
        []
    """
    begin = {name: value for name, value in begin.items() if name in cell.parameters}
    learned = [name for name in cell.parameters if name not in frozen]
    first = _Propagation(cell, begin)
    not_finite = first.not_finite or tuple(f"the gradient of {n}" for n in learned if first.gradients[n] == NOT_FINITE)
    if not_finite:
        return InitialGradient(not_finite=not_finite, causes=_causes(cell, begin, frozen))
    still = first.without_gradient(learned)
    if not still:
        return InitialGradient()
    dead, last, before = still, first, None
    while (dead, last.moved_states) != before:
        # Whatever moves may come to be any number, which can wake others.
        before = dead, last.moved_states
        held = {name: value for name, value in begin.items() if name in dead or name in frozen}
        last = _Propagation(cell, held, last.moved_states if learned_states else ())
        dead = last.without_gradient(dead)
    waiting = tuple(name for name in still if name not in dead)
    causes = _causes(cell, begin, frozen)
    deliberate = any(cell.parameters[name].kind == "matrix" for name in causes)
    return InitialGradient(dead, waiting, causes=causes, deliberate=deliberate)


def _causes(cell: Cell, begin: Mapping[str, float], frozen: Collection[str]) -> dict[str, float]:
    """The fewest parameters that have to begin elsewhere for all to get a gradient that can; k0 and k1 go together."""
    learned = [name for name in cell.parameters if name not in frozen]

    def trouble(moved: Collection[str]) -> tuple[object, ...]:
        carried = _Propagation(cell, {name: value for name, value in begin.items() if name not in moved})
        infinite = [name for name in learned if carried.gradients[name] == NOT_FINITE]
        return carried.not_finite, infinite, carried.without_gradient(learned)

    groups: dict[str, list[str]] = {}
    for name in begin:
        if name not in frozen:
            groups.setdefault(re.sub(r"\d+", "#", name), []).append(name)
    needed = dict(groups)
    least = trouble([name for group in groups.values() for name in group])
    if least == trouble([]):
        return {}
    # Biases first, since they are the last to be begun elsewhere.
    for key in sorted(groups, key=lambda key: cell.parameters[groups[key][0]].kind != "bias"):
        others = [name for other, group in needed.items() if other != key for name in group]
        if trouble(others) == least:
            del needed[key]
    return {name: begin[name] for name in begin if any(name in group for group in needed.values())}


class _Propagation:
    """The numbers of a cell that are the same everywhere and always, and those of its gradient.

    Attributes:
        gradients: For each parameter what its gradient is; 0 where none reaches it.
        not_finite: The value of the step that is not finite at the first step, if any is; of several, the first.
        moved_states: The states whose beginning gets a gradient, so that it moves if it is learned.
    """

    def __init__(self, cell: Cell, begin: Mapping[str, float], varying: Collection[str] = ()) -> None:
        self.backward, self.begin = cell.backward_graph, begin
        self.step, self.graph = self.backward.step, self.backward.graph
        self.states: dict[str, Value] = {name: None if name in varying else 0.0 for name in self.step.states}
        self.received: dict[str, Value] = dict.fromkeys(self.backward.received, 0.0)
        self.received[self.step.output] = None
        self.values: list[Value] = []
        self.not_finite = self._run_forward()
        self._run_backward()
        self.gradients = {name: self._gradient(name) for name in cell.parameters}
        sent = self.backward.state_gradients.items()
        self.moved_states = frozenset(varying) | {name for (name, _), node in sent if self.values[node] != 0}

    def without_gradient(self, names: Iterable[str]) -> tuple[str, ...]:
        """Those of the parameters whose gradient is 0."""
        return tuple(name for name in names if self.gradients[name] == 0)

    def _run_forward(self) -> tuple[str, ...]:
        """Steps until no state changes any more; returns the values that are not finite at the first."""
        infinite: tuple[str, ...] | None = None
        while True:
            self.values = []
            for node in self.step.graph.nodes:
                self.values.append(self._value(node))
            if infinite is None:
                # What is computed and read by nothing that leaves the step does no harm.
                nodes = [n for n in self.step.graph.reachable(self.step.roots) if self.values[n] == NOT_FINITE]
                owners = dict.fromkeys(self.step.owners[n] for n in nodes[:1])
                infinite = tuple(f"{name}[t]" for name in owners)
            after = {name: _join(value, self.values[self.step.values[name]]) for name, value in self.states.items()}
            if after == self.states:
                return infinite
            self.states = after

    def _run_backward(self) -> None:
        """Steps back until what is sent to earlier steps changes no more."""
        forward, first = self.values, len(self.step.owners)
        while True:
            self.values = list(forward)
            for node in self.graph.nodes[first:]:
                self.values.append(self._value(node))
            after = dict(self.received)
            for (name, _), number in self.backward.state_gradients.items():
                after[name] = _join(after[name], self.values[number])
            if after == self.received:
                return
            self.received = after

    def _value(self, node: Node) -> Value:
        if node.kind == "number":
            return node.number
        if node.kind == "vector":
            return self.begin.get(node.name)
        if node.kind == "state":
            return self.states[node.name]
        if node.kind == "received":
            return self.received[node.name]
        if node.kind in {"input", "noise"}:
            return None
        arguments = [self.values[a] for a in node.args]
        if node.kind in {"product", "adjoint"}:
            if NOT_FINITE in arguments:
                return NOT_FINITE
            return 0.0 if arguments[0] == 0 or self.begin.get(node.name) == 0 else None
        return _apply(node.kind, arguments)

    def _gradient(self, name: str) -> Value:
        if name in self.backward.vector_gradients:
            return self.values[self.backward.vector_gradients[name]]
        total: Value = 0.0
        for part in self.backward.matrix_gradients.get(name, ()):
            total = _apply("add", [total, _apply("multiply", [self.values[part.rows], self.values[part.columns]])])
        return total


def _join(a: Value, b: Value) -> Value:
    return a if a == b else None


def _apply(function: str, arguments: Sequence[Value]) -> Value:
    """A function of what is known: a number if it is the same whatever the rest may be."""
    if NOT_FINITE in arguments:
        return NOT_FINITE
    if None not in arguments:
        return _evaluate(function, [a for a in arguments if a is not None])
    results = []
    for probe in range(len(PROBES)):
        others = count(probe)
        numbers = [PROBES[next(others) % len(PROBES)] if a is None else a for a in arguments]
        results.append(_evaluate(function, numbers))
    # Where some numbers lead to none, such as log(-1), it is not known that these come up.
    return results[0] if all(r == results[0] for r in results) else None


def _evaluate(function: str, numbers: Sequence[float]) -> float:
    try:
        value = float(FUNCTIONS[function].evaluate(*numbers))
    except (ArithmeticError, ValueError, TypeError):
        return NOT_FINITE
    return value if math.isfinite(value) else NOT_FINITE
