"""Cells are what their papers say: each is another in a special case, or equals a second derivation."""

import cmath
import itertools
import math

import pytest
import torch
import torch.nn.functional as F

from recurra import cells
from recurra.backends import reference
from recurra.cells import CATALOGUE
from recurra.equations import Cell
from support.problems import worst_error

OPEN = torch.full((5,), 1e3, dtype=torch.float64)  # the bias of a gate that is 1; its negative shuts it


def gates(p, **sources):
    """For each gate named, the W and b of another."""
    return {f"{kind}_{gate}": p[f"{kind}_{source}"] for gate, source in sources.items() for kind in ("W", "b")}


def negated(p, **sources):
    return {name: -value for name, value in gates(p, **sources).items()}


def constant_gate(gate, bias):
    return {f"W_{gate}": torch.zeros(5, 8, dtype=torch.float64), f"b_{gate}": bias}


def whole(p):
    """W @ [h[t-1], x[t]] out of W_recurrent and W_input."""
    return torch.cat([p["W_recurrent"], p["W_input"]], dim=1)


PEEPHOLES = [f"peephole_{g}" for g in ("input", "forget", "output")]
VECTOR, SQUARE = torch.zeros(5, dtype=torch.float64), torch.zeros(5, 5, dtype=torch.float64)

# The special case, the general cell, and what the special one's parameters are in the general one.
SPECIAL_CASES = {
    "LSTM is the peephole LSTM without peepholes": (
        cells.LSTM,
        cells.PeepholeLSTM,
        lambda p: p | dict.fromkeys(PEEPHOLES, VECTOR),
    ),
    "LSTM is the full peephole LSTM without peepholes": (
        cells.LSTM,
        cells.FullPeepholeLSTM,
        lambda p: p | dict.fromkeys(PEEPHOLES, SQUARE),
    ),
    "the peephole LSTM is the full one with diagonal matrices": (
        cells.PeepholeLSTM,
        cells.FullPeepholeLSTM,
        lambda p: p | {name: torch.diag(p[name]) for name in PEEPHOLES},
    ),
    "the coupled LSTM is the LSTM whose forget gate is the input gate negated": (
        cells.CoupledLSTM,
        cells.LSTM,
        lambda p: p | negated(p, forget="input"),
    ),
    "the simplified GRU is the GRU with its relevance gate open": (
        cells.SimplifiedGRU,
        cells.GRU,
        lambda p: p | constant_gate("relevance", OPEN),
    ),
    "the minimal gated unit is the GRU with one gate for two": (
        cells.MinimalGatedUnit,
        cells.GRU,
        lambda p: gates(p, update="forget", relevance="forget", candidate="candidate"),
    ),
    "the simplified GRU is the GRU reset after with its reset gate open": (
        cells.SimplifiedGRU,
        cells.GRUResetAfter,
        lambda p: (
            negated(p, update="update")
            | constant_gate("reset", OPEN)
            | {
                "W_recurrent": p["W_candidate"][:, :5],
                "W_candidate": p["W_candidate"][:, 5:],
                "b_candidate": 0.3 * p["b_candidate"],
                "b_recurrent": 0.7 * p["b_candidate"],
            }
        ),
    ),
    "the IndRNN is the IRNN with a diagonal matrix": (
        cells.IndRNN,
        cells.IRNN,
        lambda p: {"W_recurrent": torch.diag(p["w_recurrent"]), "W_input": p["W"], "b": p["b"]},
    ),
    "the echo state cell with a leak of 1 is the plain network": (
        cells.EchoState.replace(list(cells.EchoState.equations), constants={"leak": 1.0}),
        cells.RNN,
        lambda p: {"W": whole({"W_recurrent": p["W_reservoir"], "W_input": p["W_input"]}), "b": p["b"]},
    ),
    "the simplified GRU with one matrix is the FastGRNN with zeta at 1 and nu at 0": (
        Cell("""
            update[t]    = sigmoid(W @ [h[t-1], x[t]] + b_update)
            candidate[t] = tanh(W @ [h[t-1], x[t]] + b_candidate)
            h[t]         = update[t] * h[t-1] + (1 - update[t]) * candidate[t]
        """),
        cells.FastGRNN,
        lambda p: p | {"zeta": OPEN, "nu": -OPEN},
    ),
}


@pytest.mark.parametrize("relation", SPECIAL_CASES)
def test_special_case(relation, problem_of):
    special, general, translate = SPECIAL_CASES[relation]
    problem = problem_of(special)
    expected, expected_last = problem.run()
    outputs, last = problem.replace(cell=general, parameters=translate(problem.parameters)).run()
    worst = worst_error({"outputs": outputs, **last}, {"outputs": expected, **{k: expected_last[k] for k in last}})
    print(f"{relation}: {worst:.1e}")
    assert worst < 1e-13


# Without recurrent products ------------------------------------------------------------------------------------------


def products_that_read_a_state(cell):
    graph = cell.graph.graph
    reached = set()
    for number, node in enumerate(graph.nodes):
        if node.kind == "state" or reached.intersection(node.args):
            reached.add(number)
    return [graph[n].name for n in reached if graph[n].kind in {"product", "adjoint"}]


@pytest.mark.parametrize("cell", [cells.MinGRU, cells.MinLSTM, cells.IndRNN], ids=lambda cell: cell.name)
def test_no_product_reads_a_state(cell, problem_of):
    """In the step graph, and in numbers: no unit of h[t-1] reaches another unit of h[t]."""
    assert products_that_read_a_state(cell) == []
    problem = problem_of(cell, steps=1, batch=1)
    jacobian = torch.autograd.functional.jacobian(
        lambda h: reference.run(cell, problem.parameters, problem.x, {"h": h})[0], problem.state["h"]
    ).reshape(5, 5)
    assert torch.equal(jacobian, torch.diag(jacobian.diagonal()))
    assert float(jacobian.diagonal().abs().sum()) > 0


def test_every_other_cell_has_a_product_that_reads_a_state():
    without = {name for name, cell in CATALOGUE.items() if not products_that_read_a_state(cell)}
    assert without == {"min-gru", "min-lstm", "ind-rnn"}


def test_min_gru_is_a_weighted_sum_of_candidates(problem_of):
    """h[T] = product of all (1 - update) h[0] + sum over t of update[t] candidate[t] (1 - update) of later steps."""
    problem = problem_of(cells.MinGRU, ragged=False)
    p, x = problem.parameters, problem.x
    update = torch.sigmoid(x @ p["W_update"].T + p["b_update"])
    candidate = x @ p["W_candidate"].T + p["b_candidate"]
    kept = (1 - update).flip(0).cumprod(0).flip(0)  # from each step, itself included, to the end
    later = torch.cat([kept[1:], torch.ones_like(kept[:1])])
    expected = kept[0] * problem.state["h"] + (update * candidate * later).sum(0)
    torch.testing.assert_close(problem.run()[1]["h"], expected, rtol=1e-12, atol=1e-12)


def test_min_lstm_divides_its_gates_by_their_sum(problem_of):
    problem = problem_of(cells.MinLSTM, ragged=False)
    p, h = problem.parameters, problem.state["h"]
    for x in problem.x:
        f, i = (torch.sigmoid(x @ p[f"W_{g}"].T + p[f"b_{g}"]) for g in ("forget", "input"))
        h = f / (f + i) * h + i / (f + i) * (x @ p["W_candidate"].T + p["b_candidate"])
    torch.testing.assert_close(problem.run()[1]["h"], h, rtol=1e-12, atol=1e-12)


def test_min_lstm_has_no_0_by_0_where_both_gates_are_shut(problem_of):
    problem = problem_of(cells.MinLSTM, steps=1, ragged=False, dtype=torch.float32)
    shut = torch.full((5,), -200.0)  # sigmoid(-200) is 0 in float32
    outputs, _ = problem.replace(parameters=problem.parameters | {"b_forget": shut, "b_input": shut}).run()
    assert bool(outputs.isfinite().all())


# Dynamics ------------------------------------------------------------------------------------------------------------


def test_antisymmetric_eigenvalues_are_imaginary_less_the_diffusion(problem_of):
    """(dh[t]/dh[t-1] - 1) / step_size where tanh has slope 1: W - transpose(W) - diffusion."""
    cell = cells.AntisymmetricRNN
    step_size, diffusion = cell.constants["step_size"], cell.constants["diffusion"]
    problem = problem_of(cell, steps=1, batch=1)
    parameters = problem.parameters | {"b": torch.zeros(5, dtype=torch.float64)}
    x, h = torch.zeros_like(problem.x), torch.zeros_like(problem.state["h"])
    jacobian = torch.autograd.functional.jacobian(lambda h: reference.run(cell, parameters, x, {"h": h})[0], h)
    effective = (jacobian.reshape(5, 5) - torch.eye(5, dtype=torch.float64)) / step_size
    eigenvalues = torch.linalg.eigvals(effective)
    worst = float((eigenvalues.real + diffusion).abs().max())
    print(f"real parts of the eigenvalues: -{diffusion} to within {worst:.1e}")
    assert worst < 1e-12
    assert float(eigenvalues.imag.abs().max()) > 0.1


def test_co_rnn_nears_a_damped_oscillator_as_its_step_shrinks():
    """Without coupling or input, h'' = -frequency h - damping h', whose solution is known; the method is of order 1."""
    frequency, damping, end = 2.7, 0.8, 2.0
    root = cmath.sqrt(damping**2 / 4 - frequency)
    slow, fast = -damping / 2 + root, -damping / 2 - root
    exact = ((slow * cmath.exp(fast * end) - fast * cmath.exp(slow * end)) / (slow - fast)).real
    errors = []
    for steps in (100, 200, 400):
        constants = {"time_step": end / steps, "frequency": frequency, "damping": damping}
        cell = cells.CoRNN.replace(list(cells.CoRNN.equations), constants=constants)
        parameters = {n: torch.zeros(p.shape(1, 1), dtype=torch.float64) for n, p in cell.parameters.items()}
        start = {"h": torch.ones(1, 1).double(), "velocity": torch.zeros(1, 1).double()}
        _, last = reference.run(cell, parameters, torch.zeros(steps, 1, 1).double(), start)
        errors.append(abs(float(last["h"]) - exact))
    print(f"errors at 100, 200 and 400 steps: {', '.join(f'{e:.1e}' for e in errors)}")
    assert errors[0] < 0.02
    for coarse, fine in itertools.pairwise(errors):
        assert 1.8 < coarse / fine < 2.2


def test_an_echo_state_goes_a_leak_of_the_way_at_every_step(problem_of):
    """Without weights: h[T] = (1 - leak)^T h[0] + (1 - (1 - leak)^T) tanh(b)."""
    cell = cells.EchoState
    problem = problem_of(cell, ragged=False)
    parameters = {name: p * (p.dim() == 1) for name, p in problem.parameters.items()}
    kept = (1 - cell.constants["leak"]) ** len(problem.x)
    expected = kept * problem.state["h"] + (1 - kept) * parameters["b"].tanh()
    _, last = problem.replace(parameters=parameters).run()
    torch.testing.assert_close(last["h"], expected, rtol=1e-12, atol=1e-12)


def test_li_gru_normalises_what_it_reads_of_the_input(problem_of):
    problem = problem_of(cells.LiGRU, ragged=False)
    p, h = problem.parameters, problem.state["h"]
    for x in problem.x:
        drive = {
            g: F.layer_norm(x @ p[f"W_{g}"].T, (5,), p[f"gain_W_{g}"], p[f"b_{g}"]) + h @ p[f"U_{g}"].T
            for g in ("update", "candidate")
        }
        update = torch.sigmoid(drive["update"])
        h = update * h + (1 - update) * torch.relu(drive["candidate"])
    torch.testing.assert_close(problem.run()[1]["h"], h, rtol=1e-12, atol=1e-12)


# The sLSTM -----------------------------------------------------------------------------------------------------------


def s_lstm_gates(p, h, x):
    drive = {g: torch.cat([h, x], 1) @ p[f"W_{g}"].T + p[f"b_{g}"] for g in ("input", "forget", "candidate", "output")}
    return drive["input"], F.logsigmoid(drive["forget"]), drive["candidate"].tanh(), drive["output"].sigmoid()


def test_s_lstm_is_its_equations_without_the_stabiliser(problem_of):
    """The paper's equations before stabilisation, from nothing: c = f c + i z, n = f n + i, h = o c / n."""
    problem = problem_of(cells.SLSTM, ragged=False)
    zero = {key: torch.zeros_like(value) for key, value in problem.state.items()}
    outputs, last = problem.replace(state=zero).run()
    memory = normaliser = h = zero["h"]
    for t, x in enumerate(problem.x):
        log_input, log_forget, candidate, output = s_lstm_gates(problem.parameters, h, x)
        memory = log_forget.exp() * memory + log_input.exp() * candidate
        normaliser = log_forget.exp() * normaliser + log_input.exp()
        h = output * memory / normaliser
        torch.testing.assert_close(outputs[t], h, rtol=1e-12, atol=1e-12)
    scale = last["stabiliser"].exp()
    torch.testing.assert_close(last["memory"] * scale, memory, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(last["normaliser"] * scale, normaliser, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("size", [-1e6, -1e3, -100.0, 100.0, 1e3, 1e6])
@pytest.mark.parametrize("gate", ["input", "forget"])
def test_s_lstm_is_a_weighted_mean_however_large_its_gates(gate, size, problem_of):
    """In float32, against weights summed as logarithms in float64: no overflow, no 0 / 0, and the right answer.

    h[t] = output[t] * mean of the candidates up to t, weighted by input[s] times all forget gates since s.
    """
    problem = problem_of(cells.SLSTM, ragged=False, dtype=torch.float32)
    zero = {key: torch.zeros_like(value) for key, value in problem.state.items()}
    steep = {f"{kind}_{gate}": problem.parameters[f"{kind}_{gate}"] * abs(size) for kind in ("W", "b")}
    steep[f"b_{gate}"] = steep[f"b_{gate}"] + size
    problem = problem.replace(state=zero, parameters=problem.parameters | steep)
    outputs, last = problem.run()
    worst, p = 0.0, {name: value.double() for name, value in problem.parameters.items()}
    weights, candidates = [], []
    for t, x in enumerate(problem.x.double()):
        # Each step is taken from our own last output, so that what differs is this step's.
        h = outputs[t - 1].double() if t else zero["h"].double()
        log_input, log_forget, candidate, output = s_lstm_gates(p, h, x)
        weights = [w + log_forget for w in weights] + [log_input]
        candidates.append(candidate)
        expected = output * (torch.stack(weights).softmax(0) * torch.stack(candidates)).sum(0)
        worst = max(worst, float((outputs[t] - expected).abs().max()))
    print(f"{gate} gate at {size:g}: {worst:.1e}")
    assert worst < 1e-6
    assert all(bool(value.isfinite().all()) for value in (outputs, *last.values()))
    assert float(last["normaliser"].min()) >= 1
    assert float(outputs.abs().max()) <= 1


def test_s_lstm_begins_with_its_first_candidate_however_small_the_input_gate(problem_of):
    """n[0] = 0, so h[1] = output * candidate exactly, though exp(-1000) is 0: the paper's 0 / 0 does not arise."""
    problem = problem_of(cells.SLSTM, steps=1, ragged=False, dtype=torch.float32)
    zero = {key: torch.zeros_like(value) for key, value in problem.state.items()}
    parameters = problem.parameters | {"b_input": torch.full((5,), -1000.0)}
    outputs, last = problem.replace(state=zero, parameters=parameters).run()
    _, _, candidate, output = s_lstm_gates(parameters, zero["h"], problem.x[0])
    assert torch.equal(last["normaliser"], torch.ones_like(outputs[0]))
    torch.testing.assert_close(outputs[0], output * candidate, rtol=1e-6, atol=1e-7)


def test_the_forget_bias_of_1_keeps_most_of_a_memory():
    """What the default biases mean: an LSTM and a coupled LSTM begin by keeping sigmoid(1) of their memory."""
    for cell in (cells.LSTM, cells.CoupledLSTM):
        parameters = {n: torch.zeros(p.shape(1, 1)) for n, p in cell.parameters.items()}
        parameters |= {n: torch.full_like(parameters[n], value) for n, value in cell.initial.items()}
        state = {"h": torch.zeros(1, 1), "memory": torch.ones(1, 1)}
        _, last = reference.run(cell, parameters, torch.zeros(1, 1, 1), state)
        assert float(last["memory"]) == pytest.approx(1 / (1 + math.exp(-1)), abs=1e-6)
