"""Shapes and parameters, derived from the equations.

Two widths are unknown until a layer is built: that of the input, I, and that of the hidden state, H. A width here is
how many of each a vector is made of: x[t] is one I, every defined value one H, [h[t-1], x[t]] one of each, a number
none. Two widths agree if they are equal; a number agrees with all.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, NoReturn

from recurra.equations.expression import (
    Call,
    Constant,
    Equation,
    Expression,
    Number,
    Place,
    Product,
    Step,
    Vector,
    children,
    render,
    walk,
)
from recurra.equations.functions import FUNCTIONS
from recurra.equations.parse import error_at
from recurra.equations.slips import Names
from recurra.spelling import nearest

__all__ = ["HIDDEN", "INPUT", "NUMBER", "Parameter", "Signature", "Width", "infer"]


@dataclass(frozen=True, slots=True, order=True)
class Width:
    """A width as a count of input widths and hidden widths."""

    inputs: int
    hiddens: int

    def __add__(self, other: Width) -> Width:
        return Width(self.inputs + other.inputs, self.hiddens + other.hiddens)

    def size(self, input_size: int, hidden_size: int) -> int:
        """The width in units, once both sizes are known."""
        return self.inputs * input_size + self.hiddens * hidden_size

    def __str__(self) -> str:
        names = [f"{n if n > 1 else ''}{s}" for n, s in ((self.hiddens, "H"), (self.inputs, "I")) if n]
        return " + ".join(names) or "1"


NUMBER, INPUT, HIDDEN = Width(0, 0), Width(1, 0), Width(0, 1)

SUMS = frozenset({"add", "subtract"})


@dataclass(frozen=True, slots=True)
class Parameter:
    """A learned parameter of a cell.

    Args:
        name: Its name in the equations.
        kind: "matrix", "bias" (a vector that is only ever added) or "weight" (any other vector, such as a peephole).
        columns: For a matrix the widths of its operand's parts, in the order of the concatenation.
        operands: For a matrix the text of those parts, where it is first used.
        recurrent: For a matrix, for each part, whether it depends on earlier steps, wherever the matrix is used.
    """

    name: str
    kind: Literal["matrix", "bias", "weight"]
    columns: tuple[Width, ...] = ()
    operands: tuple[str, ...] = ()
    recurrent: tuple[bool, ...] = ()

    def shape(self, input_size: int, hidden_size: int) -> tuple[int, ...]:
        """The parameter's shape: (H, width of the operand) for a matrix, (H,) for a vector.

        Example:
            >>> Parameter("W", "matrix", (HIDDEN, INPUT)).shape(3, 5)
            (5, 8)
        """
        if self.kind != "matrix":
            return (hidden_size,)
        return (hidden_size, sum(self.column_sizes(input_size, hidden_size)))

    def column_sizes(self, input_size: int, hidden_size: int) -> tuple[int, ...]:
        """How many columns each part of the operand has."""
        return tuple(c.size(input_size, hidden_size) for c in self.columns)

    def __str__(self) -> str:
        return f"({HIDDEN}, {sum(self.columns, NUMBER)})" if self.kind == "matrix" else f"({HIDDEN},)"


@dataclass(frozen=True, slots=True)
class Signature:
    """What the equations take and carry: parameters in the order they appear, states with their furthest lag."""

    parameters: Mapping[str, Parameter]
    states: Mapping[str, int]
    noises: tuple[str, ...]


def infer(
    equations: Sequence[Equation],
    lines: Sequence[str],
    constants: Collection[str] = (),
    noises: Collection[str] = (),
    definitions: Sequence[Equation] = (),
) -> Signature:
    """Derive parameters, shapes and states from the equations, or say what in them does not fit.

    Args:
        equations: The equations, as parsed.
        lines: The text's lines, quoted in messages.
        constants: Names that stand for numbers.
        noises: Names of values that are drawn at random, not defined.
        definitions: The lines that give constants.

    Raises:
        EquationError: A name is unknown, misspelt, doubled or used before it is defined, a state is never assigned, or
            widths cannot agree.

    Example:
        >>> from recurra.equations.parse import parse
        >>> text = "h[t] = tanh(W @ [h[t-1], x[t]] + b)"
        >>> signature = infer(parse(text), [text])
        >>> {name: str(p) for name, p in signature.parameters.items()}, dict(signature.states)
        ({'W': '(H, H + I)', 'b': '(H,)'}, {'h': 1})
    """
    inference = _Inference(equations, list(lines), frozenset(constants), frozenset(noises), definitions)
    return inference.run()


class _Inference:
    def __init__(
        self,
        equations: Sequence[Equation],
        lines: list[str],
        constants: frozenset[str],
        noises: frozenset[str],
        definitions: Sequence[Equation],
    ) -> None:
        self.equations, self.lines, self.constants, self.noises = equations, lines, constants, noises
        self.definitions = definitions
        self.defined: dict[str, Equation] = {}
        self.parameters: dict[str, Parameter] = {}
        self.states: dict[str, int] = {}
        self.recurrent: dict[str, bool] = {}
        self.used_noises: dict[str, None] = {}
        self.names = {e.name for e in equations}

    def fail(self, place: Place, problem: str, mend: str) -> NoReturn:
        raise error_at(self.lines, place, problem, mend)

    def run(self) -> Signature:
        for equation in self.equations:
            if equation.name in self.defined:
                self.fail(
                    equation.place,
                    f"{equation.name!r} is defined twice",
                    "A line defines a new value: give the second one a name of its own.",
                )
            if equation.name in self.noises:
                self.fail(equation.place, f"{equation.name!r} is drawn at random; it cannot be defined", "Rename it.")
            width = self.width(equation.expression)
            if width not in (HIDDEN, NUMBER):
                self.fail(
                    equation.expression.place,
                    f"{equation.name}[t] would be {width} wide; every value is as wide as the hidden state",
                    f"Bring it there by a matrix: {equation.name}[t] = W @ ({render(equation.expression)}).",
                )
            self.defined[equation.name] = equation
            self.recurrent[equation.name] = self.depends_on_state(equation.expression)
        self._check_spelling()
        self._check_constants()
        states = {name: self.states[name] for name in self.defined if name in self.states}
        return Signature(self._parameters_in_order(), states, tuple(self.used_noises))

    def _parameters_in_order(self) -> dict[str, Parameter]:
        """The parameters in the order of the text, where a matrix stands before what it multiplies."""
        parts = [p for e in self.equations for p in walk(e.expression) if isinstance(p, Product | Vector)]
        names = dict.fromkeys(p.matrix if isinstance(p, Product) else p.name for p in parts)
        return {name: self.parameters[name] for name in names}

    def _check_constants(self) -> None:
        lines = [*self.definitions, *self.equations]
        read = {p.name for e in lines for p in walk(e.expression) if isinstance(p, Constant)}
        for name in sorted(self.constants - read):
            place = next((e.place for e in self.definitions if e.name == name), Place())
            self.fail(place, f"the constant {name!r} is never read", "Use it in the equations, or leave it out.")
        for name in sorted(self.noises - set(self.used_noises)):
            self.fail(Place(), f"the noise {name!r} is never read", "Use it in the equations, or leave it out.")

    def _check_spelling(self) -> None:
        """Refuse a bare name that is a slip away from another: it would silently be a learned parameter of its own."""
        known = Names(
            [*self.constants, *self.names, *self.noises, *(f.name for f in FUNCTIONS.values() if not f.symbol)]
        )
        parameters = Names(self.parameters)
        seen: set[str] = set()
        for part in (p for e in self.equations for p in walk(e.expression) if isinstance(p, Vector | Product)):
            name = part.matrix if isinstance(part, Product) else part.name
            if name in seen:
                continue
            seen.add(name)
            stem = name.removesuffix("_t")
            if stem != name and (stem == "x" or stem in self.names):
                self.fail(part.place, f"{name!r} has no time index", f"The value at step t is written {stem}[t].")
            meant = known.near(name) if isinstance(part, Vector) else None
            if meant is not None:
                self._misspelt(part.place, name, meant)
            earlier = parameters.near(name, ("swapped", "doubled"))
            if earlier in seen:
                self._misspelt(part.place, name, earlier)

    def _misspelt(self, place: Place, name: str, meant: str) -> NoReturn:
        written = f"{meant}[t]" if meant in self.names or meant in self.noises else meant
        self.fail(
            place,
            f"{name!r} would be a learned parameter, and is called almost like {meant!r}",
            f"Did you mean {written}? If it is a parameter of its own, give it a name less alike.",
        )

    def depends_on_state(self, expression: Expression) -> bool:
        """Whether the expression reads an earlier step, itself or through the values it reads."""
        steps = [p for p in walk(expression) if isinstance(p, Step)]
        return any(s.lag > 0 or self.recurrent.get(s.name, False) for s in steps)

    def width(self, expression: Expression, *, added: bool = False) -> Width:
        """The width of an expression; on the way, every name in it is checked and every parameter noted.

        Args:
            expression: Any expression.
            added: Whether it stands in a sum: a vector there, or its negative, is a bias.
        """
        widths: list[Width] = []
        pending = [(expression, added, False)]
        while pending:
            part, added, is_ready = pending.pop()
            inner = children(part)
            if inner and not is_ready:
                if isinstance(part, Product):
                    self._check_parameter_name(part.matrix, part.place)
                adds = isinstance(part, Call) and (part.function in SUMS or (part.function == "negate" and added))
                pending.append((part, added, True))
                pending += [(child, adds, False) for child in reversed(inner)]
            else:
                first = len(widths) - len(inner)
                widths[first:] = [self._width(part, widths[first:], added)]
        return widths[0]

    def _width(self, part: Expression, inner: list[Width], added: bool) -> Width:
        """The width of an expression whose own parts are that wide."""
        if isinstance(part, Number | Constant):
            return NUMBER
        if isinstance(part, Step):
            return self._step(part)
        if isinstance(part, Vector):
            return self._vector(part, "bias" if added else "weight")
        if isinstance(part, Product):
            return self._product(part, tuple(inner))
        return self._call(part, inner)

    def _step(self, step: Step) -> Width:
        if step.name == "x":
            return INPUT
        if step.name in self.noises:
            if step.lag:
                self.fail(step.place, f"{step.name!r} is drawn anew; it is not carried", f"Write {step.name}[t].")
            self.used_noises[step.name] = None
            return HIDDEN
        if step.name in self.parameters:
            self.fail(
                step.place,
                f"{step.name!r} is a learned parameter above, and a value of the step here",
                f"Write {step.name} without a time index, or give one of them another name.",
            )
        if step.lag == 0 and step.name not in self.defined:
            if step.name in self.names:
                self.fail(
                    step.place,
                    f"{step.name}[t] is used before it is defined",
                    f"Move its line up, or read the step before: {step.name}[t-1].",
                )
            self._unknown(step, "is not defined", f"Add a line {step.name}[t] = ... above this one.")
        if step.lag and step.name not in self.names:
            self._unknown(step, "is a state that no line assigns", f"Add a line {step.name}[t] = ...")
        if step.lag:
            self.states[step.name] = max(step.lag, self.states.get(step.name, 0))
        return HIDDEN

    def _unknown(self, step: Step, problem: str, mend: str) -> NoReturn:
        meant = nearest(step.name, [*self.names, "x"])
        hint = f"Did you mean {meant}? " if meant else ""
        self.fail(step.place, f"{step.name!r} {problem}", hint + mend)

    def _vector(self, vector: Vector, kind: Literal["bias", "weight"]) -> Width:
        self._check_parameter_name(vector.name, vector.place)
        known = self.parameters.get(vector.name)
        if known is not None and known.kind == "matrix":
            self._two_kinds(vector.name, vector.place)
        if known is None or known.kind != kind:
            # One use that is not an addition makes a vector a weight, whatever its other uses are.
            self.parameters[vector.name] = Parameter(vector.name, "weight" if known else kind)
        return HIDDEN

    def _check_parameter_name(self, name: str, place: Place) -> None:
        if name in self.names or name in self.noises:
            self.fail(
                place,
                f"{name!r} is a value of the step; without a time index it would be a learned parameter as well",
                f"Write {name}[t] or {name}[t-1], or give the parameter a name of its own.",
            )

    def _two_kinds(self, name: str, place: Place) -> NoReturn:
        self.fail(
            place, f"{name!r} is a matrix in one place and a vector in another", "Give one of them a name of its own."
        )

    def _product(self, product: Product, columns: tuple[Width, ...]) -> Width:
        for operand, width in zip(product.operands, columns, strict=True):
            if width == NUMBER:
                self.fail(operand.place, "a matrix multiplies a vector, and this is a number", "For a number write *.")
        if product.transposed and columns != (HIDDEN,):
            self.fail(
                product.place,
                f"a transposed matrix takes a vector of hidden width, not one {sum(columns, NUMBER)} wide",
                "transpose(W) @ v gives what W takes; within a cell both are H wide.",
            )
        known = self.parameters.get(product.matrix)
        recurrent = tuple(self.depends_on_state(o) for o in product.operands)
        if known is None:
            texts = tuple(render(o) for o in product.operands)
            self.parameters[product.matrix] = Parameter(product.matrix, "matrix", columns, texts, recurrent)
            return HIDDEN
        if known.kind != "matrix":
            self._two_kinds(product.matrix, product.place)
        if known.columns != columns:
            self.fail(
                product.place,
                f"{product.matrix!r} multiplies a vector {_sum(known.columns)} wide above, one {_sum(columns)} here",
                "Use two matrices, or give both the same operands in the same order.",
            )
        anywhere = tuple(a or b for a, b in zip(known.recurrent, recurrent, strict=True))
        self.parameters[product.matrix] = replace(known, recurrent=anywhere)
        return HIDDEN

    def _call(self, call: Call, widths: list[Width]) -> Width:
        vectors = [w for w in widths if w != NUMBER]
        if call.function == "power" and widths[1] != NUMBER:
            self.fail(
                call.arguments[1].place,
                "the exponent is a vector; only a fixed number can be one",
                "Write exp(p * log(v)) for an exponent that is learned.",
            )
        if len(set(vectors)) > 1:
            input_side = next(a for a, w in zip(call.arguments, widths, strict=True) if w != HIDDEN and w != NUMBER)
            if isinstance(input_side, Call) and input_side.function == "mean":
                inner = render(input_side.arguments[0])
                remedy = f"A mean stands in every unit of what it is taken of: write mean(W @ {_grouped(inner)})."
            else:
                remedy = f"Bring the input to the hidden width by a matrix: W @ {_grouped(render(input_side))}."
            self.fail(call.place, f"widths cannot agree: {' and '.join(str(w) for w in widths)}", remedy)
        return vectors[0] if vectors else NUMBER


def _grouped(text: str) -> str:
    """An expression as it can stand right of @."""
    return text if text.replace("[", "").replace("]", "").isalnum() else f"({text})"


def _sum(columns: Sequence[Width]) -> str:
    return " + ".join(str(c) for c in columns)
