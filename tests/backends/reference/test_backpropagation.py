"""Three gradients, derived three ways, agree: autograd, the derived backward graph, and finite differences.

The finite differences are those of a second reading of the text (tests/support/meaning.py), so the forward pass, the
reader, the simplification and both gradients would all have to be wrong in the same way.
"""

import pytest
import torch

from recurra.backends import reference
from recurra.equations import Cell
from support.classical import CLASSICAL
from support.differences import differences
from support.edges import EXPRESSIONS, assert_same_numbers, edge_problem
from support.problems import random_problem, worst_error
from support.random_cells import random_cell, random_equations

SIZES = [(1, 1, 1, 1), (1, 3, 3, 5), (2, 3, 1, 3), (3, 1, 5, 7), (5, 3, 3, 1), (7, 3, 1, 3), (4, 5, 3, 3)]
"""T, B, I and H."""


def problem_of(cell, seed, **more):
    steps, batch, inputs, hidden = SIZES[seed % len(SIZES)]
    more = {"ragged": seed % 4 > 0, "reverse": seed % 2 == 1, **more}
    return random_problem(cell, seed, steps=steps, batch=batch, input_size=inputs, hidden_size=hidden, **more)


def test_gradients_of_random_cells_against_finite_differences():
    """In double precision; with given initial states, and gradients arriving at outputs and at final states."""
    worst = {"autograd": 0.0, "backpropagation": 0.0}
    for seed in range(140):
        written = random_equations(seed, smooth=True, noise=seed % 3 == 0)
        problem = problem_of(written.cell(), seed)
        expected = differences(problem, written.text)
        for name, found in (("autograd", problem.autograd()), ("backpropagation", problem.backpropagate())):
            error = worst_error(found, expected)
            assert error < 1e-6, f"{name}, seed {seed}: {error:.1e}\n{written.text}"
            worst[name] = max(worst[name], error)
    print(f"worst relative error to finite differences over 140 random cells: {worst}")


@pytest.mark.parametrize("name", CLASSICAL)
def test_gradients_of_known_cells_against_finite_differences(name):
    worst = 0.0
    for seed in range(len(SIZES)):
        problem = problem_of(CLASSICAL[name], seed)
        expected = differences(problem)
        for found in (problem.autograd(), problem.backpropagate()):
            worst = max(worst, worst_error(found, expected))
    print(f"{name}: worst relative error to finite differences {worst:.1e}")
    assert worst < 1e-6


def test_backpropagation_is_autograd_for_random_cells():
    """Kinks and all: both read the same table, so that at a tie they choose alike."""
    worst = 0.0
    for seed in range(1000, 1300):
        problem = problem_of(random_cell(seed, noise=True), seed)
        error = worst_error(problem.backpropagate(), problem.autograd())
        assert error < 1e-9, f"seed {seed}: {error:.1e}\n{problem.cell}"
        worst = max(worst, error)
    print(f"worst relative difference of backpropagation and autograd over 300 random cells: {worst:.1e}")


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_a_function_passes_back_what_autograd_does_at_its_edges(name):
    problem = edge_problem(name)
    assert_same_numbers(problem.backpropagate(), problem.autograd())


def test_what_is_infinite_or_no_number_is_so_by_autograd_too():
    """What selects in a cell selects in its gradient: nothing is lost to infinity times 0."""
    finite = 0
    for seed in range(200):
        problem = problem_of(random_cell(seed, infinite=True), seed)
        expected = problem.autograd()
        assert_same_numbers(problem.backpropagate(), expected, tolerance=1e-6)
        finite += all(bool(gradient.isfinite().all()) for gradient in expected.values())
    assert 0 < finite < 200


def test_single_precision_gradients_are_as_good_as_they_can_be():
    worst = 0.0
    for seed in range(60):
        problem = problem_of(random_cell(seed, smooth=True, noise=True), seed)
        exact = problem.backpropagate()
        for found in (problem.to(torch.float32).autograd(), problem.to(torch.float32).backpropagate()):
            worst = max(worst, worst_error(found, exact))
    print(f"worst relative error of float32 gradients over 60 random cells: {worst:.1e}")
    assert worst < 1e-4


@pytest.mark.parametrize("where", ["at the outputs", "at the final state"])
@pytest.mark.parametrize("name", CLASSICAL)
def test_gradients_that_arrive_in_one_place_only(name, where):
    problem = problem_of(CLASSICAL[name], 6)
    if where == "at the outputs":
        nothing = {key: torch.zeros_like(g) for key, g in problem.state_gradients.items()}
        problem = problem.replace(state_gradients=nothing)
    else:
        problem = problem.replace(output_gradients=torch.zeros_like(problem.output_gradients))
    found = problem.backpropagate()
    assert worst_error(found, problem.autograd()) < 1e-10
    assert found["x"].any()


def test_a_gradient_at_each_slot_of_a_longer_memory():
    """What arrives at the final h[t-1] and h[t-2] goes to the step they were made at, or to the initial state."""
    cell = Cell("h[t] = 2 * h[t-3] + W @ x[t]")
    x, one = torch.zeros(2, 1, 1), torch.ones(1, 1)
    state = {key: torch.zeros(1, 1) for key in cell.carried}
    for key, to_x, to_state in (
        ("h", [0.0, 1.0], {"h[t-1]": 2.0}),  # made at the second step, of h three steps before
        ("h[t-1]", [1.0, 0.0], {"h[t-2]": 2.0}),  # made at the first
        ("h[t-2]", [0.0, 0.0], {"h": 1.0}),  # there from the beginning
    ):
        gradients = {k: one * (k == key) for k in cell.carried}
        found = reference.backpropagate(cell, {"W": one}, x, state, torch.zeros(2, 1, 1), gradients)
        assert found.x.flatten().tolist() == to_x
        assert {k: g.item() for k, g in found.state.items() if g.any()} == to_state


def test_the_gradient_of_what_nothing_depends_on_is_zero():
    cell = Cell("unread[t] = V @ x[t] + c\nh[t] = step(W @ x[t]) + b")
    problem = random_problem(cell, 0, steps=3, batch=2, input_size=3, hidden_size=5)
    found = problem.backpropagate()
    assert not any(found[name].any() for name in ("x", "parameter V", "parameter c", "parameter W"))
    assert found["parameter b"].any()
    assert worst_error(found, problem.autograd()) == 0.0


def test_gradients_need_no_graph_and_leave_none():
    problem = random_problem(CLASSICAL["lstm"], 0, steps=3, batch=2, input_size=3, hidden_size=5)
    problem = problem.replace(parameters={n: p.requires_grad_() for n, p in problem.parameters.items()})
    assert not any(g.requires_grad for g in problem.backpropagate().values())
