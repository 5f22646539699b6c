"""From graphs to stages: what leaves the time loop, which products run together, what is kept for the gradient.

A step is cut into *stages*. Within one, every unit can be worked on by itself: first the products whose operands are
there in full, then the elementwise operations that need nothing more. A product whose operand is itself computed in
the step (the candidate of a GRU) begins the next stage. An LSTM has one stage, a GRU two, a cell without recurrent
products none but elementwise work. The same cutting serves the step and its derived gradient.

What no state reaches is computed outside the loop, for all steps at once: products with x[t] become one product over
time × batch, and so do the gradients of all matrices, from the rows and columns that the loop leaves behind.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from recurra.equations.cell import Cell
from recurra.equations.functions import FUNCTIONS
from recurra.equations.graph import Graph, Node
from recurra.equations.shapes import HIDDEN

__all__ = ["SLOW", "Leaf", "Operation", "Plan", "Stage", "Store", "Sum", "Term", "plan"]

LeafKind = Literal["number", "vector", "noise", "state", "product", "saved", "received"]
StoreKind = Literal["state", "output", "saved", "flow", "vector", "scratch"]


@dataclass(frozen=True, slots=True)
class Leaf:
    """Something that is in memory before the step begins.

    Args:
        kind: A "number"; a learned "vector"; a "noise"; a "state" (`name`, `index` steps back); a "product" with what
            no state reaches, computed before the loop; a value that the forward pass "saved"; the gradient that a
            value `name` has "received" so far.
        name: Of the vector, noise, state or received value.
        index: The lag of a state; the place among the plan's products or saved values.
        number: The number.
    """

    kind: LeafKind
    name: str = ""
    index: int = 0
    number: float = 0.0


@dataclass(frozen=True, slots=True)
class Term:
    """One product in a sum: W[:, part] @ v, or transpose(W[:, part]) @ v."""

    matrix: str
    part: int
    transposed: bool
    operand: int


@dataclass(frozen=True, slots=True)
class Sum:
    """Products that are added up as they are computed, in one place."""

    terms: tuple[Term, ...]


@dataclass(frozen=True, slots=True)
class Operation:
    """A node of the plan: a leaf, a sum of products, or a function of operations before it."""

    leaf: Leaf | None = None
    sum: Sum | None = None
    function: str = ""
    args: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Store:
    """What leaves a stage, and where it goes.

    Args:
        kind: The "output"; the new value of a "state" `name`; a value "saved" for the gradient at place `index`; the
            gradient that "flow"s to the state `name`, `index` steps back; what is summed into a "vector"'s gradient;
            or "scratch", which later stages of the same step read.
        operation: Its number.
        name: Of the state or vector.
        index: Place or lag.
    """

    kind: StoreKind
    operation: int
    name: str = ""
    index: int = 0


@dataclass(frozen=True, slots=True)
class Stage:
    """Products, means over the units, then elementwise work and stores, all of which run unit by unit."""

    sums: tuple[int, ...]
    means: tuple[int, ...]
    work: tuple[int, ...]
    stores: tuple[Store, ...]


@dataclass(frozen=True, slots=True)
class Loop:
    """One pass over time: its operations, cut into stages; those in `scratch` are read again by later stages."""

    operations: tuple[Operation, ...]
    stages: tuple[Stage, ...]
    scratch: tuple[int, ...]

    @property
    def products(self) -> tuple[int, ...]:
        """The places of the products before the loop that it reads."""
        return tuple(sorted({o.leaf.index for o in self.operations if o.leaf and o.leaf.kind == "product"}))


Side = Literal["saved", "gradient"]


@dataclass(frozen=True, slots=True)
class OuterTerm:
    """A part of a matrix's gradient: the sum over steps and batch of rows × columns.

    Each side is a place among what the forward pass saved, or among the gradients that the backward pass leaves.
    """

    matrix: str
    part: int
    rows: tuple[Side, int]
    columns: tuple[Side, int]


@dataclass(frozen=True)
class Plan:
    """Everything a backend needs to know of a cell.

    Args:
        cell: The cell.
        products: What is computed before the loop: (matrix, part, transposed, node of the operand).
        forward: The loop of a forward pass that keeps nothing.
        training: The loop of a forward pass that keeps `saved`.
        saved: The nodes whose values are kept for the gradient.
        backward: The loop of the gradient.
        gradients: The nodes of the backward graph that the backward loop leaves behind for the sums over steps.
        homes: For each of `gradients`, the place among `saved` whose value nothing needs any more once the gradient is
            there, so that it can stand in its stead; -1 if it needs a place of its own.
        product_gradients: For each of `products`, the place of its gradient among `gradients`; -1 if it has none.
        outer: What the gradients of the recurrent matrices are made of.
        vectors: The vectors that have a gradient.
    """

    cell: Cell
    products: tuple[tuple[str, int, bool, int], ...]
    forward: Loop
    training: Loop
    saved: tuple[int, ...]
    backward: Loop
    gradients: tuple[int, ...]
    homes: tuple[int, ...]
    product_gradients: tuple[int, ...]
    outer: tuple[OuterTerm, ...]
    vectors: tuple[str, ...]


class _Builder:
    """Rewrites the needed part of a graph as operations, with products gathered into sums, and cuts it into stages."""

    def __init__(self, graph: Graph, leaf: Callable[[int, Node], Leaf | None]) -> None:
        self.graph, self.leaf = graph, leaf
        self.operations: list[Operation] = []
        self.numbers: dict[int, int] = {}
        self.known: dict[Operation, int] = {}
        self.uses: Counter[int] = Counter()
        self.kept: frozenset[int] = frozenset()

    def run(self, roots: Sequence[tuple[Store, int]]) -> Loop:
        """The loop that delivers each root node to its store."""
        self._count([node for _, node in roots])
        self.kept = frozenset(node for _, node in roots)
        stores = [Store(store.kind, self.place(node), store.name, store.index) for store, node in roots]
        return self._cut(stores)

    def _count(self, roots: Iterable[int]) -> None:
        pending, seen = list(roots), set[int]()
        while pending:
            number = pending.pop()
            if number in seen:
                continue
            seen.add(number)
            if self.leaf(number, self.graph[number]) is None:
                self.uses.update(self.graph[number].args)
                pending += self.graph[number].args

    def _add(self, operation: Operation) -> int:
        if operation not in self.known:
            self.known[operation] = len(self.operations)
            self.operations.append(operation)
        return self.known[operation]

    def place(self, number: int) -> int:
        """The operation that computes a node, after those that compute what it reads."""
        pending: list[tuple[int, Callable[[], int] | None]] = [(number, None)]
        while pending:
            at, compute = pending.pop()
            if at in self.numbers:
                continue
            if compute is not None:
                self.numbers[at] = compute()
                continue
            reads, compute = self._operation_of(at, self.graph[at])
            pending.append((at, compute))
            pending += [(read, None) for read in reversed(reads)]
        return self.numbers[number]

    def _operation_of(self, number: int, node: Node) -> tuple[Sequence[int], Callable[[], int]]:
        """The nodes that a node's operation reads, and what adds it once they are there."""
        leaf = self.leaf(number, node)
        if leaf is not None:
            return (), lambda: self._add(Operation(leaf=leaf))
        if node.kind in {"product", "adjoint"}:
            return node.args, lambda: self._add(Operation(sum=Sum((self._term(node),))))
        if node.kind == "add":
            products, rest = self._chain(number)
            return [*rest, *(p.args[0] for p in products)], lambda: self._added(products, rest)
        return node.args, lambda: self._add(
            Operation(function=node.kind, args=tuple(self.numbers[a] for a in node.args))
        )

    def _term(self, node: Node) -> Term:
        return Term(node.name, node.index, node.kind == "adjoint", self.numbers[node.args[0]])

    def _added(self, products: Sequence[Node], rest: Sequence[int]) -> int:
        """Products as one sum, and the rest added to it."""
        terms = [self.numbers[r] for r in rest]
        if products:
            terms.insert(0, self._add(Operation(sum=Sum(tuple(self._term(p) for p in products)))))
        total = terms[0]
        for term in terms[1:]:
            total = self._add(Operation(function="add", args=(total, term)))
        return total

    def _chain(self, number: int) -> tuple[list[Node], list[int]]:
        """What a chain of additions adds up: the products, and the nodes of the rest."""
        products: list[Node] = []
        rest: list[int] = []
        pending = list(reversed(self.graph[number].args))
        while pending:
            at = pending.pop()
            node = self.graph[at]
            inner = self.uses[at] == 1 and at not in self.kept and self.leaf(at, node) is None
            if inner and node.kind == "add":
                pending += reversed(node.args)
            elif inner and node.kind in {"product", "adjoint"}:
                products.append(node)
            else:
                rest.append(at)
        return products, rest

    def _cut(self, stores: list[Store]) -> Loop:
        operations = self.operations
        levels = self._levels()
        operands = {t.operand for o in operations if o.sum for t in o.sum.terms}
        in_memory = {n for n in operands if _addressable(operations[n])}
        averaged = {o.args[0] for o in operations if o.function == "mean"}
        later: set[int] = set(operands - in_memory) | averaged
        for number, operation in enumerate(operations):
            # A value of an earlier stage is read again from memory; leaves are there anyway.
            later |= {a for a in operation.args if levels[a] < levels[number] and operations[a].leaf is None}
        scratch = tuple(sorted(later))
        computed: list[list[int]] = [[] for _ in range(max(levels, default=0) + 1)]
        leaving: list[list[Store]] = [[] for _ in computed]
        for number, operation in enumerate(operations):
            if operation.leaf is None:
                computed[levels[number]].append(number)
        for store in [*stores, *(Store("scratch", number, index=place) for place, number in enumerate(scratch))]:
            leaving[levels[store.operation]].append(store)
        stages = []
        for numbers, stage_stores in zip(computed, leaving, strict=True):
            stage = Stage(
                tuple(n for n in numbers if operations[n].sum),
                tuple(n for n in numbers if operations[n].function == "mean"),
                tuple(n for n in numbers if operations[n].function not in {"", "mean"}),
                tuple(stage_stores),
            )
            if stage.sums or stage.means or stage.work or stage.stores:
                stages.append(stage)
        return Loop(tuple(operations), tuple(stages), scratch)

    def _levels(self) -> list[int]:
        """The stage of every operation: products and means wait for the whole of what they read."""
        levels: list[int] = []
        for operation in self.operations:
            if operation.leaf is not None:
                levels.append(0)
            elif operation.sum is not None:
                levels.append(1 + max(self._ready(t.operand, levels) for t in operation.sum.terms))
            elif operation.function == "mean":
                levels.append(1 + max(levels[a] for a in operation.args))
            else:
                levels.append(max(levels[a] for a in operation.args))
        return levels

    def _ready(self, operand: int, levels: list[int]) -> int:
        return -1 if _addressable(self.operations[operand]) else levels[operand]


def _addressable(operation: Operation) -> bool:
    """Whether a product can read an operand where it is: one vector a row, in memory."""
    return operation.leaf is not None and operation.leaf.kind in {"state", "saved"}


CHEAP = frozenset({"add", "subtract", "multiply", "negate"})
"""Functions that are sooner computed again than kept."""

SLOW = frozenset({"exp", "log", "sigmoid", "softplus", "tanh", "sin", "cos", "sqrt"})
"""Functions that take long from argument to value; what waits for one is worked on in a pass of its own."""

LINEAR = frozenset({"product", "adjoint"})

LOOP = frozenset({"state", *LINEAR})


@lru_cache(maxsize=256)
def plan(cell: Cell) -> Plan:
    """Plan a cell: see the module."""
    return _Planner(cell).run()


def _homes(loop: Loop, saved: int, gradients: int, outer: Sequence[OuterTerm]) -> tuple[int, ...]:
    """Where each gradient can stand in the stead of a saved value: one that no later stage, nor a matrix, reads."""
    last = [-1] * saved
    for at, stage in enumerate(loop.stages):
        # A stage that also computes slow functions goes over its rows more than once.
        slow = any(loop.operations[n].function in SLOW for n in stage.work)
        for number in (*stage.means, *stage.work, *(s.operation for s in stage.stores)):
            for read in (number, *loop.operations[number].args):
                leaf = loop.operations[read].leaf
                if leaf is not None and leaf.kind == "saved":
                    last[leaf.index] = max(last[leaf.index], at + slow)
        for number in stage.sums:
            total = loop.operations[number].sum
            for term in total.terms if total else ():
                leaf = loop.operations[term.operand].leaf
                if leaf is not None and leaf.kind == "saved":
                    last[leaf.index] = max(last[leaf.index], at + 1)  # every unit reads all of it
    kept = {place for term in outer for side, place in (term.rows, term.columns) if side == "saved"}
    waiting = sorted(((last[place], place) for place in range(saved) if place not in kept), reverse=True)
    free: list[int] = []
    homes = [-1] * gradients
    for at, stage in enumerate(loop.stages):
        while waiting and waiting[-1][0] <= at:
            heapq.heappush(free, waiting.pop()[1])
        for store in stage.stores:
            if store.kind == "saved" and free:
                homes[store.index] = heapq.heappop(free)
    return tuple(homes)


class _Planner:
    def __init__(self, cell: Cell) -> None:
        self.cell, self.step, self.backward = cell, cell.graph, cell.backward_graph
        self.graph = Graph(self.backward.graph.nodes)  # a copy, which may grow
        self.first = len(self.step.owners)
        self.outside = self._outside()
        self.on_products = self._on_products()
        # What an outer product has on one side, by its matrix, part and other side; the first of several.
        self.straight: dict[tuple[str, int, int], int] = {}
        self.crossed: dict[tuple[str, int, int], int] = {}
        for name, parts in self.backward.matrix_gradients.items():
            for part in parts:
                self.straight.setdefault((name, part.part, part.columns), part.rows)
                self.crossed.setdefault((name, part.part, part.rows), part.columns)
        self.products: dict[int, int] = {}
        for number in range(self.first):
            node = self.graph[number]
            if node.kind in {"product", "adjoint"} and node.args[0] in self.outside:
                self.products[number] = len(self.products)

    def _outside(self) -> set[int]:
        """The nodes made of x[t], noise and numbers alone: whatever is multiplied with them can leave the loop."""
        outside: set[int] = set()
        for number in range(self.first):
            node = self.graph[number]
            given = node.kind in {"input", "noise", "number"}
            if given or (node.kind in FUNCTIONS and all(a in outside for a in node.args)):
                outside.add(number)
        return outside

    def _leaf(self, number: int, node: Node) -> Leaf | None:
        if node.kind == "number":
            return Leaf("number", number=node.number)
        if node.kind in {"vector", "noise", "received"}:
            return Leaf(node.kind, node.name)  # type: ignore[arg-type]
        if node.kind == "state":
            return Leaf("state", node.name, node.index)
        return Leaf("product", index=self.products[number]) if number in self.products else None

    def run(self) -> Plan:
        step, backward = self.step, self.backward
        outer = self._inner_outer()
        arrays = [n for o in outer for n in (o[2], o[3])]
        deltas = {p: self._gradient_of_product(p) for p in self.products}
        wanted = [n for n in arrays if n >= self.first] + [d for d in deltas.values() if d is not None]
        gradients = tuple(dict.fromkeys(wanted))
        saved = self._saved([n for n in arrays if n < self.first], gradients)
        results = [(Store("output", 0), step.values[step.output])]
        results += [(Store("state", 0, name), step.values[name]) for name in step.states]
        keeps = [(Store("saved", 0, index=place), node) for place, node in enumerate(saved)]
        flows = [
            (Store("flow", 0, name, lag), backward.state_gradients[name, lag])
            for name, furthest in step.states.items()
            for lag in range(1, furthest + 1)
            if (name, lag) in backward.state_gradients
        ]
        # The furthest flow begins the sum at its step, so there must be one, if only of nothing.
        nothing = self.graph.number(0.0, HIDDEN)
        flows += [
            (Store("flow", 0, name, furthest), nothing)
            for name, furthest in step.states.items()
            if (name, furthest) not in backward.state_gradients
        ]
        flows += [(Store("saved", 0, index=place), node) for place, node in enumerate(gradients)]
        flows += [(Store("vector", 0, name), node) for name, node in backward.vector_gradients.items()]
        place = {node: index for index, node in enumerate(saved)}

        def back(number: int, node: Node) -> Leaf | None:
            return Leaf("saved", index=place[number]) if number in place else self._leaf(number, node)

        backward_loop = _Builder(self.graph, back).run(flows)
        left_at = {node: index for index, node in enumerate(gradients)}
        outer_terms = tuple(self._outer_term(*o, place, left_at) for o in outer)
        return Plan(
            self.cell,
            tuple(self._described(p) for p in self.products),
            _Builder(self.graph, self._leaf).run(results),
            _Builder(self.graph, self._leaf).run([*results, *keeps]),
            saved,
            backward_loop,
            gradients,
            _homes(backward_loop, len(saved), len(gradients), outer_terms),
            tuple(-1 if (delta := deltas[p]) is None else left_at[delta] for p in self.products),
            outer_terms,
            tuple(backward.vector_gradients),
        )

    def _described(self, number: int) -> tuple[str, int, bool, int]:
        node = self.graph[number]
        return node.name, node.index, node.kind == "adjoint", node.args[0]

    def _gradient_of_product(self, number: int) -> int | None:
        """The node of the gradient at a product that is computed before the loop."""
        node = self.graph[number]
        key = (node.name, node.index, node.args[0])
        return (self.straight if node.kind == "product" else self.crossed).get(key)

    def _inner_outer(self) -> list[tuple[str, int, int, int]]:
        """The outer products of the loop's own products: (matrix, part, rows, columns)."""
        found = []
        for name, parts in self.backward.matrix_gradients.items():
            for part in parts:
                if not {part.rows, part.columns} & self.outside:
                    found.append((name, part.part, part.rows, part.columns))
        return found

    def _outer_term(
        self, matrix: str, part: int, rows: int, columns: int, saved: dict[int, int], gradients: dict[int, int]
    ) -> OuterTerm:
        def side(number: int) -> tuple[Side, int]:
            return ("saved", saved[number]) if number in saved else ("gradient", gradients[number])

        return OuterTerm(matrix, part, side(rows), side(columns))

    def _saved(self, arrays: list[int], gradients: tuple[int, ...]) -> tuple[int, ...]:
        """What the forward pass must keep: what the gradient reads and is not sooner computed again."""
        backward, graph = self.backward, self.graph
        roots = [*backward.state_gradients.values(), *backward.vector_gradients.values(), *gradients]
        saved = dict.fromkeys(arrays)
        pending, seen = list(roots), set[int]()
        while pending:
            number = pending.pop()
            if number in seen or number in saved:
                continue
            seen.add(number)
            node = graph[number]
            if number >= self.first or (node.kind in CHEAP and number not in self.on_products):
                # An adjoint leads to its operand, which is a gradient; what flows to the input is not followed.
                pending += node.args
            elif node.kind in FUNCTIONS or node.kind in LOOP:
                saved[number] = None
        return tuple(sorted(saved))

    def _on_products(self) -> set[int]:
        """The cheap nodes that read products, which are not there any more: better to keep one than each of them."""
        found: set[int] = set()
        for number in range(self.first):
            node = self.graph[number]
            if node.kind in CHEAP and any(a in found or self.graph[a].kind in LINEAR for a in node.args):
                found.add(number)
        return found
