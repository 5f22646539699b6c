"""Every row of the table of functions is what it says: its value on numbers, its gradient, its definition."""

import ast
import math

import numpy as np
import pytest

from recurra.equations import FUNCTIONS
from support.meaning import ARITHMETIC, evaluate
from support.meaning import FUNCTIONS as MEANING

MEANS = {
    **MEANING,
    "add": np.add,
    "subtract": np.subtract,
    "multiply": np.multiply,
    "divide": np.divide,
    "negate": np.negative,
    "power": ARITHMETIC[ast.Pow],
}
PRIMITIVE = [name for name, function in FUNCTIONS.items() if not function.definition]
COMPOSED = [name for name, function in FUNCTIONS.items() if function.definition]
POSITIVE = {"log", "sqrt", "divide", "power"}


def arguments(name, count=23):
    """Vectors of arguments where the function is defined, its kinks at 0 not among them."""
    random = np.random.default_rng(5)
    a, b, c = (random.uniform(-4, 4, count) for _ in range(3))
    if name in POSITIVE:
        a, b = np.abs(a) + 0.1, np.abs(b) + 0.1
    if name == "power":
        b = np.float64(1.7)
    return [a, b, c][: FUNCTIONS[name].arity]


def text(source, **names):
    return evaluate(ast.parse(source, mode="eval").body, names, {})


def test_the_table_has_a_second_meaning_for_every_function():
    assert set(MEANS) == set(FUNCTIONS)


@pytest.mark.parametrize("name", [n for n in PRIMITIVE if n != "mean"])
def test_the_value_on_numbers(name):
    for numbers in zip(*np.broadcast_arrays(*arguments(name)), strict=True):
        assert FUNCTIONS[name].evaluate(*map(float, numbers)) == pytest.approx(float(MEANS[name](*numbers)), abs=1e-14)


@pytest.mark.parametrize(
    ("name", "numbers", "value"),
    [
        ("sigmoid", (-1000,), 0.0),
        ("sigmoid", (1000,), 1.0),
        ("softplus", (-1000,), 0.0),
        ("softplus", (1000,), 1000.0),
        ("relu", (0,), 0.0),
        ("step", (0,), 0.0),
        ("sign", (0,), 0.0),
        ("below", (1, 1), 0.5),
        ("below", (math.nan, 1), 1.0),
        ("where", (0, 2, 3), 3.0),
        ("where", (math.nan, 2, 3), 2.0),
        ("mean", (3,), 3.0),
    ],
)
def test_the_value_on_numbers_at_the_edges(name, numbers, value):
    assert FUNCTIONS[name].evaluate(*map(float, numbers)) == value


@pytest.mark.parametrize("name", PRIMITIVE)
def test_the_gradient_is_that_of_the_function(name):
    """What the row says flows back, against central differences of the function's second meaning."""
    row, args = FUNCTIONS[name], arguments(name)
    g = np.random.default_rng(6).uniform(-1, 1, args[0].shape)
    y = MEANS[name](*args)
    for k, gradient in enumerate(row.gradients):
        if name == "power" and k == 1:
            continue  # the exponent is a number of the text; nothing flows to it
        found = np.zeros_like(g) + text(gradient, g=g, y=y, **dict(zip("abc", args, strict=False)))
        step = 1e-5
        expected = np.zeros_like(g)
        for unit in range(len(g)):  # unit by unit, since `mean` mixes them
            move = np.zeros_like(g)
            move[unit] = step
            up, down = (MEANS[name](*args[:k], args[k] + s * move, *args[k + 1 :]) for s in (1, -1))
            expected[unit] = np.sum(g * (up - down)) / (2 * step)
        np.testing.assert_allclose(found, expected, rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("name", COMPOSED)
def test_the_definition_is_the_function(name):
    (a,) = arguments(name)
    for values in (a, np.array([0.0, -1.0, 1.0, 3.0, -3.0, 30.0, -30.0])):
        np.testing.assert_allclose(
            text(FUNCTIONS[name].definition, a=values), MEANS[name](values), rtol=1e-12, atol=1e-12
        )


def test_a_row_is_whole():
    for name, row in FUNCTIONS.items():
        assert row.name == name
        assert row.summary
        assert row.arity in (1, 2, 3)
        assert len(row.gradients) == (0 if row.definition else row.arity)
