"""The syntax tree of the language, and its text.

An equation is a name and an expression. An expression is one of six forms, each with the place in the text that it
came from, so that whatever is found wrong later can still be marked there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from recurra.equations.functions import FUNCTIONS

__all__ = [
    "Call",
    "Constant",
    "Equation",
    "Expression",
    "Number",
    "Place",
    "Product",
    "Step",
    "Vector",
    "render",
    "render_equations",
    "transform",
    "walk",
]


@dataclass(frozen=True, slots=True)
class Place:
    """Where in the text something stands: the line from 1, the character from 0, and how many characters."""

    line: int = 0
    column: int = 0
    length: int = 1


NOWHERE = Place()


@dataclass(frozen=True, slots=True)
class Number:
    """A number written in the text."""

    value: float
    place: Place = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class Constant:
    """A name listed in the cell's constants."""

    name: str
    place: Place = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class Vector:
    """A learned vector of hidden width: a bare name, such as a bias or a peephole."""

    name: str
    place: Place = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class Step:
    """A value of a step: `name[t]`, or `name[t-lag]`."""

    name: str
    lag: int = 0
    place: Place = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class Product:
    """A learned matrix times a vector, `W @ v`, or times a concatenation, `W @ [a, b]`, or `transpose(W) @ v`."""

    matrix: str
    operands: tuple[Expression, ...]
    transposed: bool = False
    place: Place = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class Call:
    """A function of its arguments; `a + b` is the call `add(a, b)`."""

    function: str
    arguments: tuple[Expression, ...]
    place: Place = field(default=NOWHERE, compare=False)


Expression: TypeAlias = Number | Constant | Vector | Step | Product | Call


@dataclass(frozen=True, slots=True)
class Equation:
    """One line: the value `name[t]` and the expression that defines it."""

    name: str
    expression: Expression
    place: Place = field(default=NOWHERE, compare=False)


def children(expression: Expression) -> tuple[Expression, ...]:
    """The expressions that this one is made of, in the order of the text."""
    if isinstance(expression, Product):
        return expression.operands
    if isinstance(expression, Call):
        return expression.arguments
    return ()


def walk(expression: Expression) -> Iterator[Expression]:
    """The expression and everything in it, in the order of the text."""
    yield expression
    for child in children(expression):
        yield from walk(child)


def transform(expression: Expression, change: Callable[[Expression], Expression]) -> Expression:
    """The expression with `change` applied to every part of it, the innermost first."""
    if isinstance(expression, Product):
        expression = replace(expression, operands=tuple(transform(o, change) for o in expression.operands))
    elif isinstance(expression, Call):
        expression = replace(expression, arguments=tuple(transform(a, change) for a in expression.arguments))
    return change(expression)


# How tightly each form binds, as in Python: a looser form inside a tighter one needs parentheses.
_SUM, _TERM, _UNARY, _POWER, _ATOM = 1, 2, 3, 4, 5
_BINDING = {"add": _SUM, "subtract": _SUM, "multiply": _TERM, "divide": _TERM, "negate": _UNARY, "power": _POWER}


def render(expression: Expression) -> str:
    """The expression as text of the language, with no more parentheses than it needs.

    Example:
        >>> render(Call("multiply", (Call("add", (Number(1), Step("h", 1))), Vector("p"))))
        '(1 + h[t-1]) * p'
    """
    return _render(expression)[0]


def _render(expression: Expression) -> tuple[str, int]:
    if isinstance(expression, Number):
        text = render_number(expression.value)
        return text, _UNARY if text.startswith("-") else _ATOM
    if isinstance(expression, Step):
        return f"{expression.name}[t-{expression.lag}]" if expression.lag else f"{expression.name}[t]", _ATOM
    if isinstance(expression, Product):
        return _render_product(expression), _TERM
    if isinstance(expression, Call):
        return _render_call(expression)
    return expression.name, _ATOM


def render_number(value: float) -> str:
    """The shortest text that reads back as the same number.

    Example:
        >>> render_number(1.0), render_number(0.25)
        ('1', '0.25')
    """
    return str(int(value)) if value == int(value) and abs(value) < 1e15 else repr(value)


def _render_product(product: Product) -> str:
    matrix = f"transpose({product.matrix})" if product.transposed else product.matrix
    if len(product.operands) > 1:
        return f"{matrix} @ [{', '.join(render(o) for o in product.operands)}]"
    return f"{matrix} @ {_inside(product.operands[0], _UNARY)}"


def _render_call(call: Call) -> tuple[str, int]:
    function = FUNCTIONS[call.function]
    if not function.symbol:
        return f"{call.function}({', '.join(render(a) for a in call.arguments)})", _ATOM
    binding = _BINDING[call.function]
    if call.function == "negate":
        # -a ** b reads as -(a ** b), and so does our rendering of it.
        return f"-{_inside(call.arguments[0], _UNARY)}", binding
    left, right = call.arguments
    if call.function == "power":
        return f"{_inside(left, _ATOM)} ** {_inside(right, _UNARY)}", binding
    # Subtraction and division bind to the left: a - (b - c) keeps its parentheses, and so does a + (b + c), since
    # the order in which numbers are added is part of what was written.
    return f"{_inside(left, binding)} {function.symbol} {_inside(right, binding + 1)}", binding


def _inside(expression: Expression, binding: int) -> str:
    text, own = _render(expression)
    return text if own >= binding else f"({text})"


def render_equations(lines: list[tuple[str, str, str]]) -> str:
    """Lines of (left side, sign, right side) as text, with the signs under one another."""
    width = max((len(left) for left, _, _ in lines), default=0)
    sign_width = max((len(sign) for _, sign, _ in lines), default=0)
    return "\n".join(f"{left:<{width}} {sign:>{sign_width}} {right}" for left, sign, right in lines)
