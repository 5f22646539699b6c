"""A cell: its equations as text, and everything that follows from them."""

from __future__ import annotations

import codecs
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import BinaryIO, Literal

from recurra.equations.differentiate import BackwardGraph, differentiate
from recurra.equations.display import BackwardEquations
from recurra.equations.expression import (
    Equation,
    Expression,
    Number,
    Product,
    Step,
    Vector,
    render,
    render_equations,
    transform,
    walk,
)
from recurra.equations.graph import StepGraph, build
from recurra.equations.parse import LARGEST, LONGEST_TEXT, check_constants, parse_text
from recurra.equations.shapes import Parameter, infer
from recurra.equations.simplify import SimplifiedGraph
from recurra.errors import EquationError

__all__ = ["Cell", "Noise", "read_cell"]


@dataclass(frozen=True, slots=True)
class Noise:
    """A value that a layer draws at random in training: `value` with `probability`, else 0; at rest it is `mean`.

    Args:
        probability: How likely each unit is not 0.
        value: What it is then.
        mean: What stands for it when the layer is not training.
        each: Whether it is drawn anew at every "step", or once for a whole "sequence".
    """

    probability: float
    value: float
    mean: float
    each: Literal["step", "sequence"]


class Cell:
    """A recurrent cell, given by its equations.

    Each line of the text defines one value at step t, in order; the last line is the output. `x[t]` is the input,
    `name[t-1]` a carried state, `W @ v` a learned matrix times a vector, a bare name a learned vector. Shapes,
    parameters, states and gradients are derived.

    Args:
        equations: The text.
        constants: Names in the text that stand for numbers. The text can give constants as well, in lines such as
            `leak = 1 / 20`; one that is named here goes before the text's own, which then is its default.
        noise: Names of values that are drawn at random, not defined; modifiers such as zoneout use them.
        initial: How parameters begin, by name: the name of an initialiser or a number. What is not named begins as
            its kind does. Applied by the layers.
        name: The cell's short name.
        title: Its name in full.
        purpose: What it is for.
        paper: Where it comes from.
        variant: Which of several forms in use this is.

    Raises:
        EquationError: The text is wrong; the message quotes the line, marks the character and says the mend.

    Example:
        >>> cell = Cell("h[t] = tanh(W @ [h[t-1], x[t]] + b)")
        >>> cell.output, list(cell.states), {n: p.shape(3, 5) for n, p in cell.parameters.items()}
        ('h', ['h'], {'W': (5, 8), 'b': (5,)})
        >>> print(cell.backward)
        delta_h[t]   = grad_h[t] * (1 - h[t] * h[t])
        grad_h[t-1]  = transpose(W[:, h[t-1]]) @ delta_h[t]
        grad_x[t]    = transpose(W[:, x[t]]) @ delta_h[t]
        grad_W      += outer(delta_h[t], [h[t-1], x[t]])
        grad_b      += delta_h[t]
    """

    def __init__(
        self,
        equations: str,
        *,
        constants: Mapping[str, float] | None = None,
        noise: Mapping[str, Noise] | None = None,
        initial: Mapping[str, str | float] | None = None,
        name: str = "",
        title: str = "",
        purpose: str = "",
        paper: str = "",
        variant: str = "",
    ) -> None:
        supplied = _check_values(dict(constants or {}))
        self.noise = dict(noise or {})
        self.initial = dict(initial or {})
        self.name, self.title, self.purpose, self.paper, self.variant = name, title, purpose, paper, variant
        self._written, self._written_with = equations, supplied
        parsed = parse_text(equations, supplied)
        self.equations: tuple[Equation, ...] = parsed.equations
        in_text = {line.name for line in parsed.constants}
        self._outside_text = {name: value for name, value in supplied.items() if name not in in_text}
        self._definitions = tuple(
            Equation(line.name, Number(supplied[line.name]), line.place) if line.name in supplied else line
            for line in parsed.constants
        )
        self.constants = _evaluated(self._outside_text, self._definitions, parsed.lines)
        self._lines = parsed.lines
        self._signature = infer(self.equations, self._lines, self.constants, self.noise, parsed.constants)
        unknown = sorted(set(self.initial) - set(self.parameters))
        if unknown:
            known = ", ".join(self.parameters)
            raise EquationError(
                f"initial names {unknown[0]!r}, which is not a parameter", f"The parameters are: {known}."
            )
        _ = self.graph  # numbers that do not fold, such as log(0), are found here and not at first use

    @cached_property
    def text(self) -> str:
        """The constants and equations as text, in one form whatever the spacing they were written with.

        A cell without noise is the same when it is read back, also one whose constants were not in its text.
        """
        constants = [*(Equation(n, Number(v)) for n, v in self._outside_text.items()), *self._definitions]
        lines = [(e.name, "=", render(e.expression)) for e in constants]
        return render_equations(lines + [(f"{e.name}[t]", "=", render(e.expression)) for e in self.equations])

    @property
    def parameters(self) -> dict[str, Parameter]:
        """The learned parameters by name, in the order of the text."""
        return dict(self._signature.parameters)

    @cached_property
    def parameter_names(self) -> tuple[str, ...]:
        """The names of the learned parameters, in the order of the text."""
        return tuple(self._signature.parameters)

    @property
    def states(self) -> dict[str, int]:
        """The names of the carried states, each with how many steps back it is read."""
        return dict(self._signature.states)

    @property
    def carried(self) -> dict[str, tuple[str, int]]:
        """What a layer carries from step to step: for each key of its state, the value and how many steps back.

        After step t the key `h` holds h[t] and, where h[t-2] is read as well, the key `h[t-1]` holds h[t-1].

        Example:
            >>> Cell("h[t] = 0.5 * h[t-1] + 0.1 * h[t-2] + W @ x[t]").carried
            {'h': ('h', 1), 'h[t-1]': ('h', 2)}
        """
        return dict(self._carried)

    @cached_property
    def carried_names(self) -> tuple[str, ...]:
        """The keys of what a layer carries."""
        return tuple(self._carried)

    @cached_property
    def _carried(self) -> dict[str, tuple[str, int]]:
        return {
            name if lag == 1 else f"{name}[t-{lag - 1}]": (name, lag)
            for name, furthest in self._signature.states.items()
            for lag in range(1, furthest + 1)
        }

    @property
    def output(self) -> str:
        """The name of the value that the last line defines."""
        return self.equations[-1].name

    @property
    def values(self) -> tuple[str, ...]:
        """The names of all values of a step, in order."""
        return tuple(e.name for e in self.equations)

    @cached_property
    def graph(self) -> StepGraph:
        """The step graph, simplified."""
        signature = self._signature
        return build(
            self.equations,
            signature.parameters,
            signature.states,
            self.constants,
            self.noise,
            SimplifiedGraph(),
            self._lines,
        )

    @cached_property
    def backward_graph(self) -> BackwardGraph:
        """The derived gradient of a step, as a graph."""
        return differentiate(self.graph)

    @property
    def backward(self) -> BackwardEquations:
        """The derived gradient of a step, readable: printing it shows the equations."""
        return BackwardEquations(self.backward_graph)

    @cached_property
    def at_rest(self) -> Cell:
        """The cell as it is when not training: every noise is its mean."""
        if not self.noise:
            return self
        means = {name: Number(noise.mean) for name, noise in self.noise.items()}
        # A matrix takes no number: a noise that is all it multiplies becomes a line, and so stays a vector.
        lines = [Equation(name, means.pop(name)) for name in self._multiplied_noise()]

        def settle(expression: Expression) -> Expression:
            return means.get(expression.name, expression) if isinstance(expression, Step) else expression

        lines += [Equation(e.name, transform(e.expression, settle)) for e in self.equations]
        return self.replace(lines, noise={})

    def _multiplied_noise(self) -> list[str]:
        """The noises in those operands of matrices that hold no other vector."""
        products = [p for e in self.equations for p in walk(e.expression) if isinstance(p, Product)]
        found: dict[str, None] = {}
        for operand in (o for p in products for o in p.operands):
            vectors = [p for p in walk(operand) if isinstance(p, Step | Vector | Product)]
            if all(isinstance(v, Step) and v.name in self.noise for v in vectors):
                found.update(dict.fromkeys(v.name for v in vectors if isinstance(v, Step)))
        return list(found)

    def replace(
        self,
        equations: list[Equation],
        *,
        constants: Mapping[str, float] | None = None,
        **changes: Mapping[str, str | float] | Mapping[str, Noise],
    ) -> Cell:
        """A cell with other equations and, by keyword, other noise, initial values or constants; the rest stays.

        Of the constants those change that are named, and those that the text derives from them.
        """
        lines = [f"{e.name} = {render(e.expression)}" for e in self._definitions]
        text = "\n".join(lines + [f"{e.name}[t] = {render(e.expression)}" for e in equations])
        kept: dict[str, object] = {"noise": self.noise, "initial": self.initial, **changes}
        kept["constants"] = {**self._outside_text, **(constants or {})}
        about = {key: getattr(self, key) for key in ("name", "title", "purpose", "paper", "variant")}
        return Cell(text, **kept, **about)  # type: ignore[arg-type]

    def parameter_count(self, input_size: int, hidden_size: int) -> int:
        """How many numbers are learned.

        Example:
            >>> Cell("h[t] = tanh(W @ [h[t-1], x[t]] + b)").parameter_count(3, 5)
            45
        """
        return sum(math.prod(p.shape(input_size, hidden_size)) for p in self.parameters.values())

    def flops(self, input_size: int, hidden_size: int) -> int:
        """Floating-point operations of one step of one sequence: two for each multiply-add of a product, one for
        each unit of any other operation, whatever that operation costs.

        Args:
            input_size: I, the width of x[t].
            hidden_size: H, the width of every other value.

        Example:
            >>> Cell("h[t] = tanh(W @ [h[t-1], x[t]] + b)").flops(3, 5)  # 2 * 5 * 8 and two sums and a tanh
            95
        """
        graph, total = self.graph.graph, 0
        for number in graph.reachable(self.graph.roots):
            node = graph[number]
            size = node.width.size(input_size, hidden_size)
            if node.kind in {"product", "adjoint"}:
                total += 2 * size * graph[node.args[0]].width.size(input_size, hidden_size)
            elif node.args:
                total += size
        return total

    def __str__(self) -> str:
        return self.text

    def __deepcopy__(self, memo: dict[int, object]) -> Cell:
        return self  # a cell never changes, so a copied layer shares it

    def __reduce__(self) -> tuple[object, ...]:
        # By its text: its graphs are derived again where it is unpickled.
        about = {key: getattr(self, key) for key in ("name", "title", "purpose", "paper", "variant")}
        fields = {"constants": self._written_with, "noise": self.noise, "initial": self.initial, **about}
        return partial(Cell, **fields), (self._written,)

    def __repr__(self) -> str:
        return f"<Cell {self.name or self.output}: {len(self.equations)} equations, {len(self.parameters)} parameters>"

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, Cell) and self._key == other._key)

    def __hash__(self) -> int:
        return self._hash

    @cached_property
    def _hash(self) -> int:
        return hash(self._key)

    @cached_property
    def _key(self) -> tuple[object, ...]:
        # Text rather than the tree, which may be too deep to be compared or hashed; of constants the number counts, not
        # how the text comes to it.
        equations = tuple((e.name, render(e.expression)) for e in self.equations)
        return (equations, tuple(sorted(self.constants.items())), tuple(sorted(self.noise.items(), key=str)))


def _check_values(constants: dict[str, float]) -> dict[str, float]:
    check_constants(constants)
    for name, value in constants.items():
        try:
            finite = not isinstance(value, bool) and isinstance(value, int | float) and math.isfinite(value)
        except OverflowError:  # an integer that no float can hold
            raise EquationError(f"the constant {name!r} is too large", LARGEST) from None
        if not finite:
            raise EquationError(f"the constant {name!r} is {value!r}", "A constant is a finite number.")
    return {name: float(value) for name, value in constants.items()}


def _evaluated(supplied: dict[str, float], lines: Sequence[Equation], source: Sequence[str]) -> dict[str, float]:
    """The constants that were supplied, and the numbers that the lines of the text come to."""
    constants = dict(supplied)
    for line in lines:
        step = build([line], {}, {}, constants, lines=source)
        constants[line.name] = step.graph[step.values[line.name]].number
    return constants


def read_cell(path: str | Path | BinaryIO) -> Cell:
    """Read a cell from a file of equations.

    Args:
        path: A text file in UTF-8, or UTF-16 with its byte order mark, a line for each value; or one that is open for
            reading bytes, such as `sys.stdin.buffer`.

    Raises:
        EquationError: The file cannot be read, or its text is wrong; the message begins with the file's name.
    """
    name = Path(path).stem if isinstance(path, str | Path) else ""
    source = str(path) if isinstance(path, str | Path) else "standard input"
    text = _decode(_read(path, source), source)
    try:
        return Cell(text, name=name)
    except EquationError as error:
        raise error.within(source) from None


def _read(path: str | Path | BinaryIO, source: str) -> bytes:
    """The bytes of a file, no more than a text may have."""
    most = 4 * LONGEST_TEXT + 1  # as many as that many characters can have, and one by which it is seen to be too long
    try:
        if not isinstance(path, str | Path):
            return path.read(most)
        with Path(path).open("rb") as file:
            return file.read(most)
    except (OSError, ValueError) as error:  # ValueError: a zero character in the name
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise EquationError(f"{source}: cannot be read: {reason}", "Give a text file of equations.") from None


def _decode(content: bytes, source: str) -> str:
    wide = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        if len(content) > 4 * LONGEST_TEXT:
            reason = f"it is longer than {LONGEST_TEXT:,} characters"
        else:
            return content.decode("utf-16" if wide else "utf-8-sig")
    except UnicodeDecodeError:
        reason = "it is not UTF-8 text"
    raise EquationError(f"{source}: cannot be read: {reason}", "Give a text file of equations.") from None
