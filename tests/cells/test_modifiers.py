"""Zoneout, variational dropout and layer norm: what they print, what they do, and what they refuse."""

import itertools
import math

import pytest
import torch
import torch.nn.functional as F

from recurra import cells
from recurra.cells import CATALOGUE
from recurra.cells.modifiers import layer_norm, state_dropout, zoneout
from recurra.equations import Cell, Noise
from recurra.errors import SettingError

EVERY_CELL = pytest.mark.parametrize("cell", CATALOGUE.values(), ids=CATALOGUE)
DROPPABLE = [cell for cell in CATALOGUE.values() if any(any(p.recurrent) for p in cell.parameters.values())]
TANH = Cell("h[t] = tanh(W @ [h[t-1], x[t]] + b)")


def same(ours, theirs, tolerance=1e-12):
    """The same outputs and states."""
    (outputs, last), (expected, expected_last) = ours, theirs
    torch.testing.assert_close(outputs, expected, rtol=tolerance, atol=tolerance)
    for key, value in expected_last.items():
        torch.testing.assert_close(last[key], value, rtol=tolerance, atol=tolerance)


def masks(problem, value):
    """Every noise of the cell, the same number everywhere."""
    return {name: torch.full_like(drawn, value) for name, drawn in problem.noise.items()}


# What they print -----------------------------------------------------------------------------------------------------


def test_zoneout_is_written_as_in_the_paper():
    assert str(zoneout(cells.LSTM, {"h": 0.05, "memory": 0.5})).splitlines()[4:] == [
        "new_memory[t] = forget[t] * memory[t-1] + input[t] * candidate[t]",
        "memory[t]     = zoneout_memory[t] * memory[t-1] + (1 - zoneout_memory[t]) * new_memory[t]",
        "new_h[t]      = output[t] * tanh(new_memory[t])",
        "h[t]          = zoneout_h[t] * h[t-1] + (1 - zoneout_h[t]) * new_h[t]",
    ]


def test_zoneout_of_some_states_leaves_the_others():
    cell = zoneout(cells.LSTM, {"memory": 0.5})
    assert list(cell.noise) == ["zoneout_memory"]
    assert str(cell).splitlines()[-1].split(" = ")[1] == "output[t] * tanh(new_memory[t])"


def test_dropout_reaches_every_state_inside_a_product_and_no_other():
    assert [line.split(" = ")[1] for line in str(state_dropout(cells.GRU, 0.5)).splitlines()] == [
        "sigmoid(W_update @ [dropout_h[t] * h[t-1], x[t]] + b_update)",
        "sigmoid(W_relevance @ [dropout_h[t] * h[t-1], x[t]] + b_relevance)",
        "tanh(W_candidate @ [relevance[t] * (dropout_h[t] * h[t-1]), x[t]] + b_candidate)",
        "update[t] * candidate[t] + (1 - update[t]) * h[t-1]",
    ]


def test_dropout_of_a_product_inside_a_product_is_applied_once():
    cell = state_dropout(Cell("h[t] = tanh(W @ (V @ h[t-1]) + U @ h[t-2] + B @ x[t])"), 0.5)
    assert str(cell) == "h[t] = tanh(W @ (V @ (dropout_h[t] * h[t-1])) + U @ (dropout_h[t] * h[t-2]) + B @ x[t])"


def test_layer_norm_gives_each_product_its_gain():
    text = "h[t] = tanh(W @ [h[t-1], x[t]] + (W @ [h[t-1], x[t]]) * (W @ [h[t-2], x[t]]) + W_2 @ x[t])"
    cell = layer_norm(Cell(text))
    first, second = "gain_W * layer_norm(W @ [h[t-1], x[t]])", "gain_W_2 * layer_norm(W @ [h[t-2], x[t]])"
    assert str(cell) == f"h[t] = tanh({first} + {first} * ({second}) + gain_W_2_2 * layer_norm(W_2 @ x[t]))"
    assert cell.initial == {"gain_W": 1.0, "gain_W_2": 1.0, "gain_W_2_2": 1.0}


def test_layer_norm_leaves_what_is_normalised():
    cell = layer_norm(cells.LiGRU)
    assert set(cell.parameters) - set(cells.LiGRU.parameters) == {"gain_U_update", "gain_U_candidate"}
    assert str(cell).count("layer_norm") == 4


def test_zoneout_keeps_the_value_one_step_back_whatever_the_cell_reads():
    cell = zoneout(Cell("h[t] = 0.5 * h[t-2] + W @ x[t]"), 0.5)
    assert str(cell).splitlines()[-1] == "h[t]     = zoneout_h[t] * h[t-1] + (1 - zoneout_h[t]) * new_h[t]"
    assert cell.states == {"h": 2}


def test_an_output_that_is_no_state_stays_the_last_line():
    cell = zoneout(Cell("s[t] = tanh(W @ [s[t-1], x[t]])\ny[t] = V @ s[t]"), 0.5)
    assert [line.split("[t]")[0] for line in str(cell).splitlines()] == ["new_s", "s", "y"]
    assert str(cell).endswith("V @ new_s[t]")


def test_what_a_cell_says_of_itself_is_kept():
    cell = zoneout(state_dropout(layer_norm(cells.LSTM), 0.2), 0.1)
    assert cell.name == "lstm+layer-norm+state-dropout+zoneout"
    assert cell.title == "Long short-term memory + layer norm + state dropout + zoneout"
    assert cell.paper == cells.LSTM.paper
    assert cell.initial["b_forget"] == 1.0
    assert cell.initial["gain_W_forget"] == 1.0
    assert zoneout(TANH, 0.1).name == ""


# Zoneout -------------------------------------------------------------------------------------------------------------


@EVERY_CELL
def test_a_rate_of_0_is_the_plain_cell(cell):
    assert zoneout(cell, 0.0) is cell
    assert zoneout(cell, {}) is cell
    if cell in DROPPABLE:
        assert state_dropout(cell, 0) is cell


@EVERY_CELL
def test_zoneout_with_no_unit_kept_is_the_plain_cell_and_with_all_kept_stands_still(cell, problem_of):
    problem = problem_of(zoneout(cell, 0.5))
    same(problem.replace(noise=masks(problem, 0.0)).run(), problem.replace(cell=cell, noise=None).run(), 0.0)
    _, last = problem.replace(noise=masks(problem, 1.0)).run()
    for key, before in problem.state.items():
        assert torch.equal(last[key], before)


def test_zoneout_is_the_papers_lstm(problem_of):
    """Krueger et al. 2016, equations of section 3, written out: the output sees the memory that was not zoned out."""
    problem = problem_of(zoneout(cells.LSTM, {"memory": 0.5, "h": 0.05}), ragged=False)
    p, h, c = problem.parameters, problem.state["h"], problem.state["memory"]
    for t, x in enumerate(problem.x):
        drive = {
            g: torch.cat([h, x], 1) @ p[f"W_{g}"].T + p[f"b_{g}"] for g in ("input", "forget", "candidate", "output")
        }
        new = drive["forget"].sigmoid() * c + drive["input"].sigmoid() * drive["candidate"].tanh()
        d_c, d_h = problem.noise["zoneout_memory"][t], problem.noise["zoneout_h"][t]
        h = d_h * h + (1 - d_h) * drive["output"].sigmoid() * new.tanh()
        c = d_c * c + (1 - d_c) * new
    _, last = problem.run()
    torch.testing.assert_close(last["h"], h, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(last["memory"], c, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("cell", [cells.GRU, cells.LSTM, cells.CoRNN], ids=lambda cell: cell.name)
def test_zoneout_at_rest_is_the_mean_over_every_mask(cell, problem_of):
    """All masks of one step, each with its probability: their mean is the cell at rest, exactly."""
    rate = 0.3
    zoned = zoneout(cell, rate)
    problem = problem_of(zoned, steps=1, batch=1, hidden_size=3)
    names, total = list(zoned.noise), dict.fromkeys(zoned.carried, 0.0)
    for drawn in itertools.product((0.0, 1.0), repeat=3 * len(names)):
        probability = math.prod(rate if d else 1 - rate for d in drawn)
        noise = dict(zip(names, torch.tensor(drawn, dtype=torch.float64).reshape(-1, 1, 1, 3), strict=True))
        _, last = problem.replace(noise=noise).run()
        total = {key: total[key] + probability * last[key] for key in total}
    _, rest = problem.replace(cell=zoned.at_rest, noise=None).run()
    for key, expected in rest.items():
        torch.testing.assert_close(total[key], expected, rtol=1e-13, atol=1e-13)


# Variational dropout -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cell", DROPPABLE, ids=lambda cell: cell.name)
def test_dropout_at_rest_or_with_a_mask_of_1_is_the_plain_cell(cell, problem_of):
    problem = problem_of(state_dropout(cell, 0.4))
    plain = problem.replace(cell=cell, noise=None).run()
    same(problem.replace(noise=masks(problem, 1.0)).run(), plain, 1e-15)
    same(problem.replace(cell=problem.cell.at_rest, noise=None).run(), plain, 1e-15)


@pytest.mark.parametrize("cell", DROPPABLE, ids=lambda cell: cell.name)
def test_a_dropped_unit_is_read_by_no_product(cell, problem_of):
    """With all units dropped, no weight of a recurrent column has a gradient."""
    problem = problem_of(state_dropout(cell, 0.4), steps=1)
    gradients = problem.replace(noise=masks(problem, 0.0)).autograd()
    read_now = {"peephole_output"}  # of a value of the step itself, which is not carried
    for name, parameter in cell.parameters.items():
        if parameter.kind == "matrix" and name not in read_now:
            pieces = torch.split(gradients[f"parameter {name}"], parameter.column_sizes(3, 5), dim=1)
            for recurrent, piece in zip(parameter.recurrent, pieces, strict=True):
                assert not recurrent or float(piece.abs().max()) == 0


def test_the_mean_over_every_dropout_mask_is_what_the_product_reads_at_rest(problem_of):
    """All masks, each with its probability, on a linear cell: inverted scaling leaves the mean as it was."""
    rate, linear = 0.3, Cell("h[t] = W @ [h[t-1], x[t]] + b")
    cell = state_dropout(linear, rate)
    problem = problem_of(cell, steps=1, batch=1)
    total = torch.zeros(1, 1, 5, dtype=torch.float64)
    for kept in itertools.product((0.0, 1.0), repeat=5):
        probability = math.prod(1 - rate if k else rate for k in kept)
        mask = torch.tensor([kept], dtype=torch.float64) * cell.noise["dropout_h"].value
        total += probability * problem.replace(noise={"dropout_h": mask}).run()[0]
    expected, _ = problem.replace(cell=linear, noise=None).run()
    torch.testing.assert_close(total, expected, rtol=1e-13, atol=1e-13)


def test_the_noises_are_those_of_the_papers():
    assert zoneout(cells.LSTM, {"memory": 0.5, "h": 0.05}).noise == {
        "zoneout_memory": Noise(0.5, 1.0, 0.5, "step"),
        "zoneout_h": Noise(0.05, 1.0, 0.05, "step"),
    }
    assert state_dropout(cells.LSTM, 0.2).noise == {"dropout_h": Noise(0.8, 1.25, 1.0, "sequence")}
    for rate in (0.1, 0.5, 0.9):
        for noise in (*zoneout(cells.LSTM, rate).noise.values(), *state_dropout(cells.LSTM, rate).noise.values()):
            assert noise.probability * noise.value == pytest.approx(noise.mean)


# Layer norm ----------------------------------------------------------------------------------------------------------


@EVERY_CELL
def test_layer_norm_does_not_see_the_scale_of_a_matrix(cell, problem_of):
    """W and 10 W give the same, up to the 0.00001 that keeps the division safe, which weights this large outweigh."""
    problem = problem_of(layer_norm(cell))

    def with_matrices_times(factor, cell):
        tensors = {name: problem.parameters[name] for name in cell.parameters}
        scaled = {name: p * factor if p.dim() == 2 else p for name, p in tensors.items()}
        return problem.replace(cell=cell, parameters=scaled).run()

    same(with_matrices_times(1e6, problem.cell), with_matrices_times(1e7, problem.cell), 1e-6)
    (plain, _), (other, _) = with_matrices_times(1, cell), with_matrices_times(10, cell)
    assert float((plain - other).abs().max()) > 1e-3, "the plain cell should see it"


def test_layer_norm_is_torchs(problem_of):
    problem = problem_of(layer_norm(TANH), steps=1)
    p = problem.parameters
    product = torch.cat([problem.state["h"], problem.x[0]], 1) @ p["W"].T
    expected = torch.tanh(F.layer_norm(product, (5,), p["gain_W"], p["b"], eps=1e-5))
    torch.testing.assert_close(problem.run()[0][0], expected, rtol=1e-12, atol=1e-12)


# Together, and what is refused ---------------------------------------------------------------------------------------


def test_modifiers_of_different_kinds_go_in_any_order():
    kinds = [layer_norm, lambda cell: state_dropout(cell, 0.3), lambda cell: zoneout(cell, {"h": 0.2, "memory": 0.4})]
    results = []
    for first, second, third in itertools.permutations(kinds):
        cell = third(second(first(cells.PeepholeLSTM)))
        results.append((cell, cell.initial))
    assert all(result == results[0] for result in results)


def test_one_state_after_another_can_be_zoned_out():
    assert zoneout(zoneout(cells.LSTM, {"h": 0.1}), {"memory": 0.2}) == zoneout(cells.LSTM, {"h": 0.1, "memory": 0.2})


@pytest.mark.parametrize(
    ("modify", "message"),
    [
        (lambda: zoneout(cells.LSTM, 1.0), "zoneout: the rate is 1.0; it is a probability from 0 up to, not incl"),
        (lambda: zoneout(cells.LSTM, -0.1), "the rate is -0.1"),
        (lambda: zoneout(cells.LSTM, math.nan), "the rate is nan"),
        (lambda: zoneout(cells.LSTM, True), "the rate is True"),
        (lambda: zoneout(cells.LSTM, "0.1"), "the rate is '0.1'"),
        (lambda: zoneout(cells.LSTM, {"h": 2}), "the rate is 2"),
        (lambda: zoneout(cells.GRU, {"memory": 0.1}), "'memory' is no state that it can act on here; those are: h"),
        (lambda: zoneout(Cell("h[t] = W @ x[t]"), 0.1), "zoneout: this cell carries no state"),
        (lambda: state_dropout(cells.LSTM, 1), "state_dropout: the rate is 1;"),
        (lambda: state_dropout(cells.LSTM, {"memory": 0.1}), "'memory' is no state that it can act on here"),
        (lambda: state_dropout(cells.MinGRU, 0.1), "no product of the cell min-gru reads a state, so"),
        (lambda: layer_norm(layer_norm(cells.GRU)), r"the cell gru\+layer-norm has no product that is not normalised"),
        (lambda: layer_norm(Cell("h[t] = tanh(u * h[t-1] + b)")), "this cell has no product"),
        (lambda: zoneout(zoneout(cells.GRU, 0.1), 0.1), r"'zoneout_h', which the cell gru\+zoneout has already"),
        (lambda: state_dropout(state_dropout(cells.GRU, 0.1), 0.1), "needs the name 'dropout_h'"),
        (lambda: zoneout(Cell("new_h[t] = W @ x[t]\nh[t] = new_h[t] + h[t-1]"), 0.1), "needs the name 'new_h'"),
        (lambda: layer_norm(Cell("h[t] = gain_W * h[t-1] + W @ x[t]")), "needs the name 'gain_W', which this cell"),
    ],
)
def test_refused_in_one_line(modify, message):
    with pytest.raises(SettingError, match=message) as error:
        modify()
    assert "\n" not in str(error.value)
