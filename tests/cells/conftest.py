"""What a cell of the catalogue is run on: a ragged batch that begins from a state the cell can be in."""

import pytest
import torch

from recurra.backends import reference
from support.problems import random_problem


def possible_problem(cell, seed=0, *, steps=6, batch=3, input_size=3, hidden_size=5, **options):
    """A random problem whose given state is what the cell itself ends in after a few other steps.

    Not every state is one: the normaliser of an sLSTM, say, is never negative.
    """
    sizes = {"batch": batch, "input_size": input_size, "hidden_size": hidden_size}
    problem = random_problem(cell, seed, steps=steps, **sizes, **options)
    rest = cell.at_rest
    before = random_problem(rest, seed + 1, steps=4, **sizes, ragged=False)
    zero = {key: torch.zeros_like(value) for key, value in before.state.items()}
    parameters = {name: problem.parameters[name].double() for name in rest.parameters}
    _, state = reference.run(rest, parameters, before.x, zero)
    return problem.replace(state={key: value.to(problem.x.dtype) for key, value in state.items()})


@pytest.fixture(scope="session")
def problem_of():
    return possible_problem
