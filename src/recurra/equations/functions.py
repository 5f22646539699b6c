"""The functions of the language: one table, one line each, with its gradient.

A row says how a function is called, what flows back through it, and its value on plain numbers. The gradient of
argument k is text in the language itself: `g` is the gradient arriving at the result, `y` the result, `a`, `b` and `c`
the arguments. So a new function is one row here and one line in each backend; a *composed* function (`define`) is text
over others and needs no backend at all. Operators are rows too: `a + b` is `add(a, b)`.

A function that selects (`relu`, `minimum`, `maximum`, `where`) selects in its gradient as well: what is not selected
gets 0 whatever arrives, as in PyTorch. A product with a mask would not do, since infinity times 0 is not a number.

Every function acts on each unit by itself, but for `mean`, the mean over the units of a value, given back in every
unit: it is linear and its own adjoint, and `layer_norm` is composed from it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["FUNCTIONS", "OPERATORS", "Function"]


@dataclass(frozen=True, slots=True)
class Function:
    """A function of the language: its arguments, its gradient and its value on numbers.

    Args:
        name: What the text calls it.
        arity: How many arguments it takes.
        gradients: For each argument, what flows back to it, as text in `g`, `y`, `a`, `b`, `c`; "0" where nothing does.
        evaluate: The value on plain numbers, for folding constants; it may raise ArithmeticError or ValueError.
        summary: What it computes, in a few words.
        definition: Text over other functions in `a`, `b`, ..., for a composed function; else "".
        symbol: The operator that stands for it, for arithmetic; else "".
    """

    name: str
    arity: int
    gradients: tuple[str, ...]
    evaluate: Callable[..., float]
    summary: str
    definition: str = ""
    symbol: str = ""


FUNCTIONS: dict[str, Function] = {}


def _row(
    name: str, gradients: tuple[str, ...], evaluate: Callable[..., float], summary: str, *, symbol: str = ""
) -> None:
    FUNCTIONS[name] = Function(name, len(gradients), gradients, evaluate, summary, symbol=symbol)


def _define(name: str, arity: int, definition: str, summary: str) -> None:
    # A composed function never reaches a backend, so its value and gradient are those of its definition.
    FUNCTIONS[name] = Function(name, arity, (), lambda *_: math.nan, summary, definition=definition)


def _sigmoid(a: float) -> float:
    return 1 / (1 + math.exp(-a)) if a >= 0 else math.exp(a) / (1 + math.exp(a))


_WHERE_A_IS_BELOW = "where(below(a, b), g * below(a, b), 0)"
_WHERE_B_IS_BELOW = "where(below(b, a), g * below(b, a), 0)"

_row("add", ("g", "g"), lambda a, b: a + b, "a + b", symbol="+")
_row("subtract", ("g", "-g"), lambda a, b: a - b, "a - b", symbol="-")
_row("multiply", ("g * b", "g * a"), lambda a, b: a * b, "a b, unit by unit", symbol="*")
_row("divide", ("g / b", "-(g * (y / b))"), lambda a, b: a / b, "a / b, unit by unit", symbol="/")
_row("negate", ("-g",), lambda a: -a, "-a", symbol="-")
_row("power", ("g * b * a ** (b - 1)", "0"), lambda a, b: float(a**b), "a to a fixed power", symbol="**")

_row("sigmoid", ("g * y * (1 - y)",), _sigmoid, "1 / (1 + exp(-a))")
_row("tanh", ("g * (1 - y * y)",), math.tanh, "hyperbolic tangent")
_row("relu", ("where(y, g, 0)",), lambda a: max(a, 0.0), "a where positive, else 0")
_row("exp", ("g * y",), math.exp, "e to the a")
_row("log", ("g / a",), math.log, "natural logarithm")
_row("sqrt", ("g * 0.5 / y",), math.sqrt, "square root")
_row("abs", ("g * sign(a)",), abs, "absolute value")
_row("softplus", ("g * sigmoid(a)",), lambda a: max(a, 0.0) + math.log1p(math.exp(-abs(a))), "log(1 + exp(a))")
_row("sin", ("g * cos(a)",), math.sin, "sine")
_row("cos", ("-(g * sin(a))",), math.cos, "cosine")
_row("minimum", (_WHERE_A_IS_BELOW, _WHERE_B_IS_BELOW), min, "the smaller; at a tie each gets half the gradient")
_row("maximum", (_WHERE_B_IS_BELOW, _WHERE_A_IS_BELOW), max, "the greater; at a tie each gets half the gradient")
_row("sign", ("0",), lambda a: float((a > 0) - (a < 0)), "-1, 0 or 1")
_row("step", ("0",), lambda a: float(a > 0), "1 where a > 0, else 0")
_row("below", ("0", "0"), lambda a, b: 1 - 0.5 * ((a >= b) + (a > b)), "0 where a > b, 1/2 where equal, else 1")
_row(
    "where",
    ("0", "where(a, g, 0)", "where(a, 0, g)"),
    lambda a, b, c: c if a <= 0 else b,
    "c where a <= 0, else b; no gradient passes to a",
)
_row("mean", ("mean(g)",), lambda a: a, "the mean over the units, in every unit")

_define("square", 1, "a * a", "a squared")
_define("silu", 1, "a * sigmoid(a)", "a sigmoid(a), also called swish")
_define("gelu", 1, "0.5 * a * (1 + tanh(0.7978845608028654 * (a + 0.044715 * a * a * a)))", "GELU, its tanh form")
_define("elu", 1, "maximum(a, 0) + exp(minimum(a, 0)) - 1", "a where positive, else exp(a) - 1")
_define("leaky_relu", 1, "where(a, a, 0.01 * a)", "a where positive, else a / 100")
_define("softsign", 1, "a / (1 + abs(a))", "a / (1 + |a|)")
_define("log_sigmoid", 1, "-softplus(-a)", "log(sigmoid(a)), without overflow")
_define("hard_tanh", 1, "minimum(maximum(a, -1), 1)", "a cut off at -1 and 1")
_define("hard_sigmoid", 1, "minimum(maximum(a / 6 + 0.5, 0), 1)", "a / 6 + 1/2 cut off at 0 and 1")
_define(
    "layer_norm",
    1,
    "(a - mean(a)) / sqrt(mean((a - mean(a)) * (a - mean(a))) + 0.00001)",
    "a less its mean over the units, over their standard deviation",
)

# How the operators of Python's grammar read: two operands, then one.
OPERATORS: dict[str, str] = {"+": "add", "-": "subtract", "*": "multiply", "/": "divide", "**": "power"}
