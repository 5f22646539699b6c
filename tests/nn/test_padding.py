"""Padding, the order of a batch and how it is split never change an answer or a gradient, whatever the cell.

A new cell or backend needs no line here.
"""

import pytest
import torch

from recurra import Recurrent
from recurra.backends.choose import BACKENDS
from recurra.cells import CATALOGUE
from recurra.nn.dropout import recurrent_matrices
from support.problems import worst_error

LENGTHS = torch.tensor([3, 1, 5])  # neither sorted nor sorted back by the same exchange
STEPS = 5
BOUND = 1e-12

AT_REST = {
    "plain": {"num_layers": 2},
    "zoneout": {"zoneout": 0.3},
    "dropout": {"state_dropout": 0.3, "weight_drop": 0.3, "input_dropout": 0.3},
    "layer norm": {"layer_norm": True},
}


def cases():
    """Every cell on every backend; with modifiers on the one that needs no compiling, since they only make cells."""
    for backend in BACKENDS:
        for name, cell in CATALOGUE.items():
            for kind, options in AT_REST.items():
                if kind == "plain" or (backend == "reference" and (recurrent_matrices(cell) or kind != "dropout")):
                    yield pytest.param(cell, backend, options, id=f"{name}-{kind}-{backend}")


def layer_of(cell, backend, **options):
    """A layer in both directions, with no parameter at 0."""
    layer = Recurrent(cell, 3, 4, bidirectional=True, backend=backend, dtype=torch.float64, **options)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.uniform_(-0.8, 0.8)
    return layer.eval()


def state_of(layer, rows):
    """A state that the layer can be in, since it comes out of it."""
    return {key: value.detach() for key, value in layer(torch.randn(rows, 4, 3, dtype=torch.float64))[1].items()}


def everything(layer, batches, state, weights):
    """Outputs, last states and gradients of rows given in batches, put together as the rows of one batch.

    Args:
        layer: A layer.
        batches: For each batch its rows, its inputs (B, T, I), padded or not, and its lengths.
        state: The state before the first step of every row.
        weights: What the loss weighs outputs (rows, T, 2H) and last states by.
    """
    layer.zero_grad()
    rows = sum(len(rows) for rows, _, _ in batches)
    found = {"outputs": torch.zeros(rows, STEPS, 8).double(), "x": torch.zeros(rows, STEPS, 3).double()}
    found |= {f"{of} {key}": torch.zeros_like(value) for of in ("last", "gradient") for key, value in state.items()}
    for numbers, x, lengths in batches:
        x = x.clone().requires_grad_()
        given = {key: value[:, numbers].clone().requires_grad_() for key, value in state.items()}
        outputs, last = layer(x, given, lengths)
        steps = min(x.shape[1], STEPS)
        assert not outputs[:, steps:].any()
        loss = (outputs[:, :steps] * weights["outputs"][numbers, :steps]).sum()
        loss = loss + sum((value * weights[key][:, numbers]).sum() for key, value in last.items())
        loss.backward()
        assert not x.grad[:, steps:].any()
        found["outputs"][numbers, :steps] = outputs.detach()[:, :steps]
        found["x"][numbers, :steps] = x.grad[:, :steps]
        for key, value in last.items():
            found[f"last {key}"][:, numbers] = value.detach()
            found[f"gradient {key}"][:, numbers] = given[key].grad
    return found | {name: p.grad.clone() for name, p in layer.named_parameters() if p.grad is not None}


def padded(x, lengths, steps, fill):
    """The rows with other padding: so many steps, of which those that do not count hold `fill`."""
    whole = torch.full((len(x), steps, x.shape[2]), fill, dtype=x.dtype)
    for row, end in enumerate(lengths.tolist()):
        whole[row, :end] = x[row, :end]
    return whole


@pytest.mark.parametrize(("cell", "backend", "options"), list(cases()))
def test_padding_order_and_splitting_change_nothing(cell, backend, options):
    layer = layer_of(cell, backend, **options)
    rows = len(LENGTHS)
    x = torch.randn(rows, STEPS, 3, dtype=torch.float64)
    state = state_of(layer, rows)
    carried = {key: torch.randn_like(value) for key, value in state.items()}
    weights = {"outputs": torch.randn(rows, STEPS, 8, dtype=torch.float64), **carried}

    def batch(numbers, steps, fill):
        numbers = torch.tensor(numbers)
        return numbers, padded(x[numbers], LENGTHS[numbers], steps, fill), LENGTHS[numbers]

    # The truth: every row by itself, cut to its length, so that there is neither padding nor a batch.
    alone = [(torch.tensor([row]), x[row : row + 1, :end], None) for row, end in enumerate(LENGTHS.tolist())]
    expected = everything(layer, alone, state, weights)
    for name, batches in {
        "together, reordered, padded with not-a-number": [batch([1, 2, 0], STEPS, torch.nan)],
        "split, with more padding": [batch([1, 2], STEPS + 2, torch.inf), batch([0], STEPS + 1, 0.0)],
    }.items():
        found = everything(layer, batches, state, weights)
        assert worst_error(found, expected) < BOUND, name


@pytest.mark.parametrize("cell", CATALOGUE.values(), ids=CATALOGUE)
def test_in_training_nothing_of_the_padding_is_read_either(cell):
    rates = {"num_layers": 2, "zoneout": 0.2, "input_dropout": 0.3, "dropout": 0.3, "layer_norm": True}
    if recurrent_matrices(cell):
        rates |= {"state_dropout": 0.3, "weight_drop": 0.3}
    layer = layer_of(cell, "reference", **rates).train()
    x = padded(torch.randn(3, STEPS, 3, dtype=torch.float64), LENGTHS, STEPS + 1, torch.nan).requires_grad_()
    outputs, last = layer(x, lengths=LENGTHS)
    (outputs.square().sum() + sum(value.sum() for value in last.values())).backward()
    for row, end in enumerate(LENGTHS.tolist()):
        assert not outputs[row, end:].any()
        assert not x.grad[row, end:].any()
        assert bool(x.grad[row, :end].isfinite().all())
    for value in (outputs, *last.values(), *(p.grad for p in layer.parameters() if p.grad is not None)):
        assert bool(value.isfinite().all())


def test_the_answer_depends_on_every_step_that_counts():
    """So that a layer which reads nothing at all does not pass."""
    layer = layer_of(CATALOGUE["gru"], "reference", num_layers=2)
    x = torch.randn(3, STEPS, 3, dtype=torch.float64, requires_grad=True)
    outputs, _ = layer(x, lengths=LENGTHS)
    for row, end in enumerate(LENGTHS.tolist()):
        for step in range(end):
            (gradient,) = torch.autograd.grad(outputs[row, step].sum(), x, retain_graph=True)
            assert bool((gradient[row, :end].abs().sum(-1) > 0).all())
            assert not gradient[row, end:].any()
            assert not gradient[[other for other in range(3) if other != row]].any()
