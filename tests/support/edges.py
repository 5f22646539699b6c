"""Every function of the language where its value or its slope jumps, is infinite, or is not a number.

    for name in EXPRESSIONS:
        problem = edge_problem(name)
        assert_same_numbers(problem.backpropagate(), problem.autograd())

One step of one unit, with a row for each combination of arguments and of the gradient that arrives at the result, so
that what is not a number in one row is in no other.
"""

from __future__ import annotations

import itertools
import math

import torch
from torch import Tensor

from recurra.equations import FUNCTIONS, Cell
from support.problems import Problem

__all__ = ["EXPRESSIONS", "assert_same_numbers", "edge_problem"]

ARGUMENTS = ["h[t-1]", "c[t-1]", "d[t-1]"]
VALUES = [0.0, 1.0, -1.0, 3.0, -3.0, 1e-9, 1e5, -1e5, math.inf, -math.inf, math.nan]
"""What the arguments are; at 0, 1, -1, 3 and -3 some function has a kink."""
ARRIVING = [1.0, 0.0, math.inf]
"""What the gradient at the result is."""
EXPONENTS = ["0", "0.5", "-0.5", "1.5", "2", "3", "-1", "-2", "2.5"]


def _expression(name: str) -> str:
    function = FUNCTIONS[name]
    arguments = ARGUMENTS[: function.arity]
    if function.symbol:
        return f" {function.symbol} ".join(arguments) if function.arity == 2 else f"{function.symbol}{arguments[0]}"
    return f"{name}({', '.join(arguments)})"


EXPRESSIONS = {name: _expression(name) for name in FUNCTIONS if name != "power"}
EXPRESSIONS |= {f"power {exponent}": f"h[t-1] ** {exponent}" for exponent in EXPONENTS}


def edge_problem(name: str) -> Problem:
    """A function at all combinations of `VALUES`, each with all of `ARRIVING`."""
    cell = Cell(f"c[t] = c[t-1]\nd[t] = d[t-1]\nh[t] = {EXPRESSIONS[name]} + b")
    arity = FUNCTIONS[name.split()[0]].arity if " " not in name else 1
    rows = torch.tensor(list(itertools.product(*[VALUES] * arity, ARRIVING)), dtype=torch.float64)
    batch = len(rows)
    state = {key: torch.ones(batch, 1, dtype=torch.float64) for key in cell.carried}
    state |= {ARGUMENTS[place][0]: rows[:, place : place + 1] for place in range(arity)}
    return Problem(
        cell,
        {"b": torch.zeros(1, dtype=torch.float64)},
        torch.zeros(1, batch, 1, dtype=torch.float64),
        state,
        rows[:, -1:][None],
        {key: torch.zeros_like(value) for key, value in state.items()},
    )


def assert_same_numbers(found: dict[str, Tensor], expected: dict[str, Tensor], tolerance: float = 1e-9) -> None:
    """The same names and values: infinite where those expected are, and not a number nowhere else."""
    assert list(found) == list(expected)
    for name, tensor in expected.items():
        torch.testing.assert_close(
            found[name], tensor, rtol=tolerance, atol=tolerance, equal_nan=True, msg=lambda m, name=name: f"{name}: {m}"
        )
