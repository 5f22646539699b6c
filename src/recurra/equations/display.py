"""The derived gradient as equations, for reading."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from recurra.equations.differentiate import BackwardGraph, OuterProduct
from recurra.equations.expression import Call, Expression, Number, Product, Step, Vector, render, render_equations
from recurra.equations.functions import FUNCTIONS

__all__ = ["BackwardEquations"]

# Kinds of node that are spelled out again wherever they are read: they are no longer than a name for them.
ARITHMETIC = frozenset({f.name for f in FUNCTIONS.values() if f.symbol}) | {
    "number",
    "input",
    "state",
    "vector",
    "noise",
    "received",
}

LONGEST_REPEATED = 6
"""How many nodes of pure arithmetic may be spelled out more than once."""
DEEPEST_LINE = 40
"""How deep an expression may nest before it is broken up: far beyond what is read with ease."""


@dataclass(frozen=True)
class BackwardEquations:
    """One step of backpropagation through time, as text.

    `grad_h[t]` is dL/dh[t]. For the output and the states it arrives from outside the step: from the layer above and
    from later steps; where the step itself adds to it, its line has `+=`. `delta_h[t]` is a gradient on the way
    through h's line, such as that at the argument of its tanh; `part_h[t]` a piece of that line, or of its slope,
    which the gradient reads more than once. `grad_h[t-1] =` is what this step sends to the one before. The lines with
    `grad_W +=` are summed over all steps and the batch.
    """

    backward: BackwardGraph

    def __str__(self) -> str:
        return render_equations(_Lines(self.backward).run())


class _Lines:
    def __init__(self, backward: BackwardGraph) -> None:
        self.backward, self.graph, self.step = backward, backward.graph, backward.step
        self.names: dict[int, str] = {}
        for name, node in reversed(list(self.step.values.items())):
            # A value that is another's synonym, or a leaf, is shown as what it is; a number keeps its name, since
            # alone it would not say how wide it is.
            if self.graph[node].args or self.graph[node].kind == "number":
                self.names[node] = name
        self.taken = set(self.names.values())
        self.counts: dict[str, int] = {}
        self.lines: list[tuple[str, str, str]] = []

    def run(self) -> list[tuple[str, str, str]]:
        self._name_gradients()
        self._results()
        return self.lines

    def _name_gradients(self) -> None:
        """Give a line to the gradient of every value, and to whatever is needed more than once."""
        graph, first = self.graph, len(self.step.owners)
        roots = self.backward.roots
        inner = [n for n in graph.reachable(roots) if n >= first]
        uses = Counter(roots)
        visible = self._visible(roots)
        for node in visible:
            uses.update(graph[node].args)
        uses.update(self._too_deep(visible))
        self._name_parts([n for n in uses if n < first and uses[n] > 1])
        arrives = self._reached_by_gradient()
        totals: dict[int, str] = {}
        for name, node in self.backward.value_gradients.items():
            # The gradient of a node with several names is that of the first: the others are its synonyms.
            if self.names.get(self.step.values[name]) == name:
                totals.setdefault(node, name)
        for node in inner:
            if not graph[node].args:
                continue
            if node in totals:
                name = totals[node]
                added = self.backward.contributions.get(name) if name in self.backward.received else None
                if added is None:
                    self._add(f"grad_{name}", self.text(node), "=", node)
                else:
                    self._add(f"grad_{name}", self.text(added), "+=", node)
            elif uses[node] > 1:
                kind = "delta" if node in arrives else "part"
                self._add(self._fresh(f"{kind}_{self.backward.owners[node]}"), self.text(node), "=", node)

    def _reached_by_gradient(self) -> set[int]:
        """The nodes that some gradient reaches; others, such as a mask, are made of the step's values alone."""
        reached: set[int] = set()
        for number, node in enumerate(self.graph.nodes):
            if node.kind == "received" or any(a in reached for a in node.args):
                reached.add(number)
        return reached

    def _too_deep(self, visible: set[int]) -> list[int]:
        """The nodes at which what nests too deeply is broken off, each twice, as if it were used more than once."""
        depth: dict[int, int] = {}
        found: list[int] = []
        for node in sorted(visible):
            depth[node] = 1 + max((depth.get(a, 0) for a in self.graph[node].args), default=0)
            if depth[node] > DEEPEST_LINE:
                depth[node] = 0
                found += [node, node]
        return found

    def _visible(self, roots: list[int]) -> set[int]:
        """The nodes that the lines would spell out: all that the roots need, but for what stands behind a name."""
        found: set[int] = set()
        pending = list(roots)
        while pending:
            node = pending.pop()
            if node not in found and node not in self.names:
                found.add(node)
                pending += self.graph[node].args
        return found

    def _name_parts(self, wanted: list[int]) -> None:
        """Give a line to what is read more than once of the step and has no name there, if it is worth one."""
        for node in sorted(wanted):
            visible = self._visible([node])
            work = {self.graph[n].kind for n in visible} - ARITHMETIC
            # Pure arithmetic is spelled out, unless it is long: squares of squares would double with each.
            if (work or len(visible) > LONGEST_REPEATED) and node not in self.names:
                self._add(self._fresh(f"part_{self.step.owners[node]}"), self.text(node), "=", node)

    def _add(self, name: str, text: str, sign: str, node: int) -> None:
        self.lines.append((f"{name}[t]", sign, text))
        self.names[node] = name
        self.taken.add(name)

    def _fresh(self, label: str) -> str:
        name, taken = label, self.taken
        while name in taken:
            self.counts[label] = self.counts.get(label, 1) + 1
            name = f"{label}_{self.counts[label]}"
        return name

    def _results(self) -> None:
        for (name, lag), node in self.backward.state_gradients.items():
            self.lines.append((f"grad_{name}[t-{lag}]", "=", self.text(node)))
        if self.backward.input_gradient is not None:
            self.lines.append(("grad_x[t]", "=", self.text(self.backward.input_gradient)))
        for name in self.step.parameters:
            if name in self.backward.vector_gradients:
                self.lines.append((f"grad_{name}", "+=", self.text(self.backward.vector_gradients[name])))
            for left, right in self._outer(name, list(self.backward.matrix_gradients.get(name, ()))):
                self.lines.append((left, "+=", right))

    def _outer(self, name: str, parts: list[OuterProduct]) -> list[tuple[str, str]]:
        columns = self.step.parameters[name].columns
        whole = [p.part for p in parts] == list(range(len(columns))) and len({p.rows for p in parts}) == 1
        if whole:
            operands = ", ".join(self.text(p.columns) for p in parts)
            right = f"[{operands}]" if len(parts) > 1 else operands
            return [(f"grad_{name}", f"outer({self.text(parts[0].rows)}, {right})")]
        return [
            (f"grad_{self._block(name, p.part)}", f"outer({self.text(p.rows)}, {self.text(p.columns)})") for p in parts
        ]

    def _block(self, matrix: str, part: int) -> str:
        operands = self.step.parameters[matrix].operands
        if len(operands) == 1:
            return matrix
        # Of operands that read the same, such as those of W @ [h[t-1], h[t-1]], the place says which is meant.
        place = f" ({part + 1})" if operands.count(operands[part]) > 1 else ""
        return f"{matrix}[:, {operands[part]}{place}]"

    def text(self, node: int) -> str:
        """A node as an expression over what has a name by now."""
        return render(self._expression(node))

    def _expression(self, number: int) -> Expression:
        if number in self.names:
            return Step(self.names[number])
        node = self.graph[number]
        if node.kind == "number":
            return Number(node.number)
        if node.kind == "input":
            return Step("x")
        if node.kind == "received":
            return Step(f"grad_{node.name}")
        if node.kind == "state":
            return Step(node.name, node.index)
        if node.kind == "noise":
            return Step(node.name)
        if node.kind == "vector":
            return Vector(node.name)
        operands = tuple(self._expression(a) for a in node.args)
        if node.kind in {"product", "adjoint"}:
            return Product(self._block(node.name, node.index), operands, node.kind == "adjoint")
        return Call(node.kind, operands)
