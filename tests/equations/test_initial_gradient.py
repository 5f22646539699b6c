"""What is said of the gradient at the values that parameters begin at, against gradients that are computed."""

import random

import pytest
import torch

from recurra import Recurrent
from recurra.cells import CATALOGUE
from recurra.cells.modifiers import layer_norm, zoneout
from recurra.equations import Cell
from recurra.equations.initial_gradient import initial_gradient
from support.random_cells import random_equations

DELTANET = """
    u[t]    = W_in @ x[t]
    k0[t]   = mean(K0 * u[t])
    k1[t]   = mean(K1 * u[t])
    norm[t] = sqrt(k0[t] * k0[t] + k1[t] * k1[t] + 0.000001)
    old[t]  = s0[t-1] * k0[t] / norm[t] + s1[t-1] * k1[t] / norm[t]
    s0[t]   = s0[t-1] + (W_v @ x[t] - old[t]) * k0[t] / norm[t]
    s1[t]   = s1[t-1] + (W_v @ x[t] - old[t]) * k1[t] / norm[t]
    h[t]    = s0[t] * mean(Q0 * u[t]) + s1[t] * mean(Q1 * u[t])
"""
LOW_RANK = "h[t] = tanh(m * mean(n * h[t-1]) + W @ x[t])"
LEAKY = "h[t] = (1 - dt) * h[t-1] + dt * tanh(W @ [h[t-1], x[t]] + b)"
SPIKING = "v[t] = 0.9 * v[t-1] + W @ x[t]\nh[t] = step(v[t] - 1) + U @ x[t]"

CASES = {
    "two vectors that multiply": (LOW_RANK, (), ("m", "n"), (), {"m": 0.0, "n": 0.0}),
    "a matrix state by columns": (
        DELTANET,
        (),
        ("W_in", "K0", "K1", "W_v", "Q0", "Q1"),
        (),
        {"K0": 0.0, "K1": 0.0, "Q0": 0.0, "Q1": 0.0},
    ),
    "a constant without a value": (LEAKY, (), (), ("W", "b"), {"dt": 0.0}),
    "what no gradient passes through": (SPIKING, (), ("W",), (), {}),
    "half of a product is trained": (LOW_RANK, ("n",), ("m",), (), {}),
    "a bias is not a cause": ("h[t] = relu(b * c) + W @ x[t]", (), ("b", "c"), (), {"b": 0.0, "c": 0.0}),
}


def begin(layer):
    return layer.layers[0].uniform_values(layer.cell)


@pytest.mark.parametrize("case", CASES)
def test_who_gets_no_gradient(case):
    text, frozen, dead, waiting, causes = CASES[case]
    torch.manual_seed(0)
    layer = Recurrent(Cell(text), 3, 4, dtype=torch.float64, backend="reference")
    analysis = initial_gradient(layer.cell, begin(layer), frozen)
    assert (analysis.dead, analysis.waiting, analysis.causes, analysis.not_finite) == (dead, waiting, causes, ())
    assert bool(analysis.problems)
    for name in frozen:
        getattr(layer.layers[0], name).requires_grad_(False)
    assert layer.training_notices() == analysis.problems
    gradients = train(layer, steps=4)
    learned = [name for name in layer.cell.parameters if name not in frozen]
    assert {name for name in learned if not any(map(torch.any, gradients[name]))} == set(dead)
    assert {name for name in learned if not gradients[name][0].any()} == {*dead, *waiting}


@pytest.mark.parametrize("case", [c for c in CASES if CASES[c][4]])
def test_where_the_causes_begin_elsewhere_all_is_well(case):
    text, frozen, *_, causes = CASES[case]
    layer = Recurrent(Cell(text), 3, 4, initial=dict.fromkeys(causes, "uniform(0.5, 1)"), backend="reference")
    assert initial_gradient(layer.cell, begin(layer), frozen).problems == []
    gradients = train(layer, steps=1)
    assert all(gradients[name][0].any() for name in layer.cell.parameters)


def train(layer, steps):
    """The gradients of each parameter in some steps of Adam; None counts as 0."""
    optimiser = torch.optim.Adam([p for p in layer.parameters() if p.requires_grad], 0.1)
    gradients = {name: [] for name in layer.cell.parameters}
    for _ in range(steps):
        optimiser.zero_grad()
        dtype = next(layer.parameters()).dtype
        (layer(torch.randn(5, 6, 3, dtype=dtype))[0] - torch.randn(5, 6, 4, dtype=dtype)).square().sum().backward()
        for name, tensor in layer.layers[0].tensors(layer.cell).items():
            gradients[name].append(torch.zeros(1) if tensor.grad is None else tensor.grad.clone())
        optimiser.step()
    return gradients


@pytest.mark.parametrize(
    ("text", "what", "causes"),
    [
        ("phase[t] = phase[t-1] + 1 / period\nh[t] = phase[t] * (W @ x[t])", ("phase[t]",), {"period": 0.0}),
        ("h[t] = W @ x[t] + log(p)", ("h[t]",), {"p": 0.0}),
        ("h[t] = sqrt(H) + W @ x[t]", ("the gradient of H",), {"H": 0.0}),
        ("n[t] = 1 + n[t-1]\nh[t] = W @ x[t] / n[t-1]", ("h[t]",), {}),
        ("spare[t] = 1 / p\nh[t] = W @ x[t]", (), None),
    ],
)
def test_what_is_not_finite_at_once(text, what, causes):
    layer = Recurrent(Cell(text), 3, 4, backend="reference")
    analysis = initial_gradient(layer.cell, begin(layer))
    assert (analysis.not_finite, analysis.causes if what else None) == (what, causes)
    outputs, _ = layer(torch.randn(5, 6, 3))
    outputs.sum().backward()
    tensors = [outputs, *(p.grad for p in layer.parameters() if p.grad is not None)]
    assert all(bool(t.isfinite().all()) for t in tensors) != bool(what)


@pytest.mark.parametrize("name", CATALOGUE)
def test_every_cell_of_the_catalogue_learns_from_where_it_begins(name):
    for cell in (CATALOGUE[name], zoneout(CATALOGUE[name], 0.1)):
        assert Recurrent(cell, 3, 4, num_layers=2, bidirectional=True).training_notices() == []
    if any(p.kind == "matrix" for p in CATALOGUE[name].parameters.values()):
        with_norm = Recurrent(CATALOGUE[name], 3, 4, layer_norm=name != "li-gru", learn_initial_state=True)
        assert with_norm.training_notices() == []
    assert layer_norm(CATALOGUE["lstm"]).initial["gain_W_forget"] == 1.0


def test_a_learned_initial_state_can_wake_what_would_be_dead():
    text = "h[t] = 0.9 * h[t-1] + k * (p * h[t-1])"
    layer = Recurrent(Cell(text), 3, 4)
    assert initial_gradient(layer.cell, begin(layer)).dead == ("k", "p")  # of a state that stays 0
    again = initial_gradient(layer.cell, {"k": 0.0, "p": 1.0}, learned_states=True)
    assert (again.dead, again.waiting) == ((), ("k", "p"))


@pytest.mark.parametrize("block", range(4))
def test_of_random_cells_what_is_called_dead_has_no_gradient(block):
    """And what gets one at the first step is not called so."""
    named = 0
    for seed in range(30 * block, 30 * (block + 1)):
        draw = random.Random(seed)
        cell = random_equations(draw).cell()
        torch.manual_seed(seed)
        layer = Recurrent(cell, 3, 4, dtype=torch.float64, backend="reference")
        analysis = initial_gradient(cell, begin(layer))
        named += len(analysis.dead) + len(analysis.waiting)
        if analysis.not_finite:
            continue
        outputs, _ = layer(torch.randn(5, 6, 3, dtype=torch.float64))
        if outputs.requires_grad:
            outputs.backward(torch.randn_like(outputs))
        for parameter in (*analysis.dead, *analysis.waiting):
            gradient = getattr(layer.layers[0], parameter).grad
            assert gradient is None or not gradient.any(), (seed, parameter)
    assert named > 3


def test_messages_are_one_sentence_that_names_the_remedy():
    layer = Recurrent(Cell(LEAKY), 3, 4)
    assert layer.training_notices() == [
        "the gradient of W and b is exactly 0 until dt has moved, since dt begins at 0; begin elsewhere: "
        'initial={"dt": 1.0}, or --initial "dt = 1"; if dt is meant to be a constant, add a line dt = 0.1'
    ]
    [many] = Recurrent(Cell(DELTANET), 3, 4).training_notices()
    assert many.startswith(
        "W_in, K0, K1, W_v, Q0 and Q1 will never learn: the gradient is exactly 0 for ever, since K0,"
    )
    assert (
        '{"K0": "normal(0.1)", "K1": "normal(0.1)", ...}, or --initial "K0 = normal(0.1); K1 = normal(0.1); ..."'
        in (many)
    )
    assert Recurrent(Cell(LOW_RANK), 3, 4).training_notices() == [
        "m and n begin at 0, where the gradient is exactly 0 for ever: they will never learn; begin elsewhere: "
        'initial={"m": "normal(0.1)", "n": "normal(0.1)"}, or --initial "m = normal(0.1); n = normal(0.1)"'
    ]
