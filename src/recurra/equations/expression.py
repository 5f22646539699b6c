"""The syntax tree of the language, and its text.

An equation is a name and an expression. An expression is one of six forms, each with the place in the text that it
came from, so that whatever is found wrong later can still be marked there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias, TypeVar

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
    "children",
    "fold",
    "rebuilt",
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
    pending = [expression]
    while pending:
        part = pending.pop()
        yield part
        pending += reversed(children(part))


T = TypeVar("T")


def fold(
    expression: Expression,
    combine: Callable[[Expression, list[T]], T],
    descend: Callable[[Expression], bool] = lambda _: True,
) -> T:
    """What an expression comes to, worked out from the innermost parts outward, in the order of the text.

    A sum of hundreds of terms is as many calls inside one another, so nothing here may call itself for its parts.

    Args:
        expression: The expression.
        combine: From a part and what its own parts came to, what it comes to.
        descend: Whether the parts of a part are gone into; one that is not gets an empty list.
    """
    results: list[T] = []
    pending = [(expression, False)]
    while pending:
        part, is_ready = pending.pop()
        inner = children(part) if descend(part) else ()
        if inner and not is_ready:
            pending.append((part, True))
            pending += [(child, False) for child in reversed(inner)]
        else:
            first = len(results) - len(inner)
            results[first:] = [combine(part, results[first:])]
    return results[0]


def transform(
    expression: Expression,
    change: Callable[[Expression], Expression],
    descend: Callable[[Expression], bool] = lambda _: True,
) -> Expression:
    """The expression with `change` applied to every part of it, the innermost first.

    Args:
        expression: The expression.
        change: Gives what stands in a part's stead.
        descend: Whether the parts of a part are changed as well.
    """
    return fold(expression, lambda part, parts: change(rebuilt(part, parts)), descend)


def rebuilt(expression: Expression, parts: Sequence[Expression]) -> Expression:
    """The expression with other parts in their order; itself if there are none."""
    if parts and isinstance(expression, Product):
        return replace(expression, operands=tuple(parts))
    if parts and isinstance(expression, Call):
        return replace(expression, arguments=tuple(parts))
    return expression


# How tightly each form binds, as in Python: a looser form inside a tighter one needs parentheses.
_SUM, _TERM, _UNARY, _POWER, _ATOM = 1, 2, 3, 4, 5
_BINDING = {"add": _SUM, "subtract": _SUM, "multiply": _TERM, "divide": _TERM, "negate": _UNARY, "power": _POWER}


def render(expression: Expression) -> str:
    """The expression as text of the language, with no more parentheses than it needs.

    Example:
        >>> render(Call("multiply", (Call("add", (Number(1), Step("h", 1))), Vector("p"))))
        '(1 + h[t-1]) * p'
    """
    return fold(expression, _render)[0]


Rendered: TypeAlias = tuple[str, int]
"""A text, and how tightly it binds."""


def _render(expression: Expression, parts: list[Rendered]) -> Rendered:
    if isinstance(expression, Number):
        text = render_number(expression.value)
        return text, _UNARY if text.startswith("-") else _ATOM
    if isinstance(expression, Step):
        return f"{expression.name}[t-{expression.lag}]" if expression.lag else f"{expression.name}[t]", _ATOM
    if isinstance(expression, Product):
        return _render_product(expression, parts), _TERM
    if isinstance(expression, Call):
        return _render_call(expression, parts)
    return expression.name, _ATOM


def render_number(value: float) -> str:
    """The shortest text that reads back as the same number.

    Example:
        >>> render_number(1.0), render_number(0.25)
        ('1', '0.25')
    """
    return str(int(value)) if value == int(value) and abs(value) < 1e15 else repr(value)


def _render_product(product: Product, operands: list[Rendered]) -> str:
    matrix = f"transpose({product.matrix})" if product.transposed else product.matrix
    if len(operands) > 1:
        return f"{matrix} @ [{', '.join(text for text, _ in operands)}]"
    return f"{matrix} @ {_inside(operands[0], _UNARY)}"


def _render_call(call: Call, arguments: list[Rendered]) -> Rendered:
    function = FUNCTIONS[call.function]
    if not function.symbol:
        return f"{call.function}({', '.join(text for text, _ in arguments)})", _ATOM
    binding = _BINDING[call.function]
    if call.function == "negate":
        # -a ** b reads as -(a ** b), and so does our rendering of it.
        return f"-{_inside(arguments[0], _UNARY)}", binding
    left, right = arguments
    if call.function == "power":
        return f"{_inside(left, _ATOM)} ** {_inside(right, _UNARY)}", binding
    # Subtraction and division bind to the left: a - (b - c) keeps its parentheses, and so does a + (b + c), since
    # the order in which numbers are added is part of what was written.
    return f"{_inside(left, binding)} {function.symbol} {_inside(right, binding + 1)}", binding


def _inside(rendered: Rendered, binding: int) -> str:
    text, own = rendered
    return text if own >= binding else f"({text})"


def render_equations(lines: list[tuple[str, str, str]]) -> str:
    """Lines of (left side, sign, right side) as text, with the signs under one another."""
    width = max((len(left) for left, _, _ in lines), default=0)
    sign_width = max((len(sign) for _, sign, _ in lines), default=0)
    return "\n".join(f"{left:<{width}} {sign:>{sign_width}} {right}" for left, sign, right in lines)
