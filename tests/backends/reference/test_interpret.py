"""Every function in PyTorch is the one of the table: its values, at the edges too, and its gradient."""

import numpy as np
import pytest
import torch

from recurra.backends.reference.interpret import FUNCTIONS
from recurra.equations import FUNCTIONS as TABLE
from recurra.equations import Cell
from support.meaning import ARITHMETIC
from support.meaning import FUNCTIONS as MEANING
from support.problems import random_problem, worst_error

PRIMITIVE = [name for name, row in TABLE.items() if not row.definition]
MEANS = {
    **MEANING,
    **dict(zip(("add", "subtract", "multiply", "divide", "power", "negate"), ARITHMETIC.values(), strict=False)),
}
EDGES = [0.0, 1.0, -1.0, 0.5, -0.5, 20.5, -20.5, 36.0, -36.0, 300.0, -300.0, 1e-9, -1e-9, 3.0, -3.0]


def test_there_is_one_for_every_function_that_is_not_composed():
    assert set(FUNCTIONS) == set(PRIMITIVE)


@pytest.mark.parametrize("name", PRIMITIVE)
def test_values(name):
    a = np.array(EDGES)
    if name in ("log", "sqrt"):
        a = np.abs(a) + 1e-12
    arguments = [a, np.roll(a, 4), np.roll(a, 7)][: TABLE[name].arity]
    arguments = [a, 3.0] if name == "power" else arguments
    if name == "divide":
        arguments[1] = arguments[1] + 0.25
    with np.errstate(over="ignore"):
        expected = MEANS[name](*arguments)
    found = FUNCTIONS[name](*(v if isinstance(v, float) else torch.tensor(v) for v in arguments))
    atol = 1e-14 if name == "mean" else 1e-300
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-13, atol=atol)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
@pytest.mark.parametrize("name", PRIMITIVE)
def test_dtype_is_kept(name, dtype):
    arguments = [torch.rand(2, 3).to(dtype) + 1 for _ in range(TABLE[name].arity)]
    arguments = [arguments[0], 2.0] if name == "power" else arguments
    assert FUNCTIONS[name](*arguments).dtype == dtype


@pytest.mark.parametrize(
    "text",
    [
        "relu(h[t-1])",
        "abs(h[t-1])",
        "sign(h[t-1]) + h[t-1]",
        "step(h[t-1]) * h[t-1]",
        "minimum(h[t-1], h[t-1])",
        "maximum(h[t-1], 2 * h[t-1])",
        "maximum(h[t-1], 0)",
        "minimum(c[t-1], h[t-1])",
        "below(c[t-1], h[t-1]) * h[t-1] + c[t-1]",
        "where(h[t-1], c[t-1] + 1, h[t-1])",
        "elu(h[t-1])",
        "leaky_relu(h[t-1])",
        "hard_tanh(h[t-1])",
        "hard_sigmoid(3 * h[t-1])",
        "softsign(h[t-1])",
        "minimum(maximum(h[t-1], -1), 1)",
    ],
)
def test_at_a_tie_both_gradients_are_the_same(text):
    """At 0 and at ±1, where the two sides meet, autograd and the derived gradient choose alike."""
    cell = Cell(f"c[t] = c[t-1]\nh[t] = {text} + W @ x[t] + 0 * c[t-1]")
    problem = random_problem(cell, 0, steps=1, batch=3, input_size=1, hidden_size=3, ragged=False)
    ties = torch.tensor([[0.0, 1.0, -1.0]]).repeat(3, 1).double()
    problem = problem.replace(state=dict.fromkeys(problem.state, ties), parameters={"W": torch.zeros(3, 1).double()})
    assert worst_error(problem.backpropagate(), problem.autograd()) == 0.0


def test_softplus_is_exact_where_it_is_nearly_the_identity():
    a = torch.tensor([20.5, 25.0, 30.0], dtype=torch.float64)
    np.testing.assert_allclose(FUNCTIONS["softplus"](a).numpy(), a.numpy() + np.log1p(np.exp(-a.numpy())), rtol=1e-15)
