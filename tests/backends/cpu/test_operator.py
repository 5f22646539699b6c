"""The compiled loops as operators of a graph: the same numbers, and everything that PyTorch asks of an operator."""

import json

import pytest
import torch

from recurra.backends import reference
from recurra.backends.cpu import operator
from recurra.backends.cpu.operator import describe, read
from recurra.backends.cpu.run import operands
from recurra.cells import CATALOGUE, GRU, LSTM, modifiers
from recurra.equations import Cell
from recurra.errors import ShapeError
from support.odd_cells import ODD
from support.problems import loss, random_problem, worst_error
from support.random_cells import random_cell

NOISY = modifiers.state_dropout(modifiers.zoneout(GRU, 0.3), 0.2)
MODIFIED = {
    "noisy gru": NOISY,
    "normalised lstm": modifiers.layer_norm(LSTM),
    "further back": Cell("h[t] = tanh(W @ [h[t-2], x[t]])"),
}
CELLS = {**CATALOGUE, **MODIFIED, **ODD}
EVERY_CELL = pytest.mark.parametrize("cell", CELLS.values(), ids=CELLS)
SOME_CELLS = pytest.mark.parametrize("cell", [LSTM, NOISY, ODD["functions of the input"]], ids=["lstm", "noisy", "odd"])


def small(cell, seed=0, **options):
    return random_problem(cell, seed, **{"steps": 4, "batch": 3, "input_size": 2, "hidden_size": 5, **options})


def given(problem, *, training=True, needs=False):
    """What the operator takes for a problem."""
    drawn = problem.noise or {}
    described, wanted = operator._traced(problem.cell)
    hidden = next(iter(problem.parameters.values())).shape[0]
    found = operands(problem.cell, wanted, hidden, problem.x, problem.lengths, drawn)
    groups = [found, problem.parameters.values(), problem.state.values(), drawn.values()]
    groups = [[t.detach().clone().requires_grad_(needs and k < 3) for t in group] for k, group in enumerate(groups)]
    return described, *groups, problem.lengths, *problem.x.shape, problem.reverse, training


# A cell as a string --------------------------------------------------------------------------------------------------


def same(cell):
    made = read(describe(cell))
    assert made == cell
    assert made.constants == cell.constants
    assert list(made.noise.items()) == list(cell.noise.items())
    assert list(made.parameters.items()) == list(cell.parameters.items())
    assert list(made.carried.items()) == list(cell.carried.items())
    assert made.text == cell.text


@EVERY_CELL
def test_a_cell_is_what_its_description_says(cell):
    read.cache_clear()
    same(cell)
    same(cell.at_rest)


@pytest.mark.parametrize("seed", range(20))
def test_so_is_a_cell_that_nobody_wrote(seed):
    same(random_cell(seed))


def test_a_description_tells_cells_apart_that_differ_in_numbers_alone():
    text = "h[t] = (1 - a) * h[t-1] + a * tanh(W @ [h[t-1], x[t]])"
    cells = [Cell(text, constants={"a": a}) for a in (0.1, 0.2, 0.1 + 2**-50)]
    assert len({describe(cell) for cell in cells}) == 3
    assert len({describe(modifiers.zoneout(LSTM, rate)) for rate in (0.1, 0.2)}) == 2
    for cell in cells:
        same(cell)


def test_a_description_can_be_read_by_people():
    parts = json.loads(describe(NOISY))
    assert parts["equations"] == str(NOISY)
    assert parts["noise"]["zoneout_h"]["probability"] == 0.3


# The same numbers ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ragged", [False, True])
@EVERY_CELL
def test_results_and_gradients_are_the_reference_s(cell, ragged):
    problem = small(cell, ragged=ragged, reverse=ragged)
    outputs, last = problem.run(operator.run)
    expected, state = problem.run(reference.run)
    torch.testing.assert_close(outputs, expected, rtol=1e-12, atol=1e-13)
    for key in state:
        torch.testing.assert_close(last[key], state[key], rtol=1e-12, atol=1e-13)
    assert worst_error(problem.autograd(operator.run), problem.autograd(reference.run)) < 1e-12


@pytest.mark.parametrize("hidden_size", [1, 16, 17])
def test_whatever_the_width_and_in_float32(hidden_size):
    problem = small(LSTM, hidden_size=hidden_size, dtype=torch.float32)
    found, expected = problem.autograd(operator.run), problem.to(torch.float64).autograd(reference.run)
    assert all(g.dtype == torch.float32 for g in found.values())
    assert worst_error(found, expected) < 1e-5


@SOME_CELLS
def test_a_gradient_of_a_gradient_is_the_reference_s(cell):
    problem = small(cell)

    def penalty(run):
        values = [t.detach().clone().requires_grad_() for t in [problem.x, *problem.parameters.values()]]
        leaf = problem.replace(x=values[0], parameters=dict(zip(problem.parameters, values[1:], strict=True)))
        first = torch.autograd.grad(loss(*leaf.run(run), leaf), values, create_graph=True)
        second = torch.autograd.grad(sum(g.square().sum() for g in first), values)
        return dict(enumerate(g.detach() for g in [*first, *second]))

    assert worst_error(penalty(operator.run), penalty(reference.run)) < 1e-11


@pytest.mark.parametrize("padding", [0.0, -1.0, torch.nan, torch.inf])
def test_what_padding_holds_reaches_no_gradient(padding):
    """Though a function of it is infinite, or nothing at all."""
    cell = Cell("h[t] = tanh(W @ [h[t-1], log(x[t])] + V @ x[t])")
    problem = small(cell, seed=1)
    past = torch.arange(4)[:, None] >= problem.lengths
    assert past.any()
    problem = problem.replace(x=problem.x.abs() + 0.1)
    expected = problem.autograd(reference.run)
    found = problem.replace(x=problem.x.masked_fill(past[..., None], padding)).autograd(operator.run)
    assert worst_error(found, expected) < 1e-12
    assert not found["x"][past].any()


def test_only_what_is_asked_for_gets_a_gradient():
    problem = small(LSTM)
    weight = problem.parameters["W_forget"].requires_grad_()
    outputs, _ = problem.run(operator.run)
    (gradient,) = torch.autograd.grad(outputs.sum(), weight)
    (expected,) = torch.autograd.grad(problem.run(reference.run)[0].sum(), weight)
    torch.testing.assert_close(gradient, expected, rtol=1e-12, atol=1e-13)
    state = problem.state["memory"].requires_grad_()
    (gradient,) = torch.autograd.grad(problem.run(operator.run)[1]["memory"].sum(), state)
    (expected,) = torch.autograd.grad(problem.run(reference.run)[1]["memory"].sum(), state)
    torch.testing.assert_close(gradient, expected, rtol=1e-12, atol=1e-13)


def test_autocast_changes_nothing():
    problem = small(LSTM, dtype=torch.float32)
    expected = problem.autograd(operator.run)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = problem.autograd(operator.run)
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_going_back_twice_gives_the_same_twice():
    """The backward loop writes over what was kept; here that is a copy."""
    inputs = given(small(LSTM, ragged=False), needs=True)
    outputs, *_ = torch.ops.recurra.recurrence(*inputs)
    leaves = [t for group in inputs[1:4] for t in group]
    first = torch.autograd.grad(outputs.sum(), leaves, retain_graph=True)
    again = torch.autograd.grad(outputs.sum(), leaves)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))


# What PyTorch asks of an operator ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cell", "ragged", "hidden_size"),
    [(LSTM, False, 16), (NOISY, True, 5), (ODD["functions of the input"], True, 16)],
    ids=["lstm", "noisy", "odd"],
)
def test_pytorch_s_own_checks(cell, ragged, hidden_size):
    """Of the schema, the shapes that are told beforehand, the gradient, and of graphs with shapes that vary."""
    inputs = given(small(cell, ragged=ragged, hidden_size=hidden_size), needs=True)
    torch.library.opcheck(torch.ops.recurra.recurrence.default, inputs)
    inputs = torch.utils._pytree.tree_map_only(torch.Tensor, torch.Tensor.detach, inputs)
    *outputs, saved = torch.ops.recurra.recurrence(*inputs)
    needs = [bool(k % 2) for k in range(sum(len(group) for group in inputs[1:4]))]
    torch.library.opcheck(torch.ops.recurra.recurrence_backward.default, (*inputs[:-1], saved, outputs, needs))


@pytest.mark.parametrize("ragged", [False, True])
@SOME_CELLS
def test_no_result_shares_memory_with_anything(cell, ragged):
    inputs = given(small(cell, ragged=ragged, hidden_size=16))
    results = torch.ops.recurra.recurrence(*inputs)
    *outputs, saved = results
    needs = [True] * sum(len(group) for group in inputs[1:4])
    gradients = torch.ops.recurra.recurrence_backward(*inputs[:-1], saved, outputs, needs)
    assert len(gradients) == len(needs)
    tensors = [t for group in inputs[1:5] for t in group]
    places = [t.untyped_storage().data_ptr() for t in [*tensors, *results, *gradients] if t.numel()]
    assert len(places) == len(set(places))


def test_tensors_that_do_not_go_together_are_refused():
    """Compiled code takes addresses, and would read one dtype as another."""
    inputs = list(given(small(LSTM)))
    for group in (1, 2, 3):
        wrong = [*inputs[group][:-1], inputs[group][-1].float()]
        with pytest.raises(ShapeError, match=r"torch\.float\d+ on cpu, and operand 0 torch\.float\d+ on cpu; move one"):
            torch.ops.recurra.recurrence(*inputs[:group], wrong, *inputs[group + 1 :])


def test_nothing_is_kept_where_no_gradient_will_be_taken():
    problem = small(LSTM)
    assert len(torch.ops.recurra.recurrence(*given(problem, training=False))) == 1 + 2
    assert len(torch.ops.recurra.recurrence(*given(problem))) == 1 + 2 + 1


def test_what_is_kept_has_no_gradient():
    *outputs, saved = torch.ops.recurra.recurrence(*given(small(LSTM), needs=True))
    assert all(t.requires_grad for t in outputs)
    assert not saved.requires_grad
