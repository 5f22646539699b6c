"""The norms are those of recurrences whose gradient is known, and measuring changes nothing."""

import json
import math

import pytest
import torch
from torch import nn

from recurra.cells import CATALOGUE, Cell
from recurra.data import TokenBatch
from recurra.errors import DataError, SettingError, ShapeError
from recurra.inspection import gradient_flow, last_target_loss
from recurra.inspection.verdict import advise, decay_rate, describe, judge, reach
from recurra.models import LanguageModel
from recurra.nn import LSTM, Recurrent

B, T, H = 3, 12, 4


def leaky(rate, **options):
    """h[t] = rate h[t-1] + W x[t], whose gradient is rate^k after k steps."""
    cell = Cell("h[t] = rate * h[t-1] + W @ x[t]", constants={"rate": rate}, name="leaky")
    return Recurrent(cell, 2, H, dtype=torch.float64, **options)


def batch_of(rows=B, steps=T):
    return torch.randn(rows, steps, 2, dtype=torch.float64)


def last_step(layer, x):
    return layer(x)[0][:, -1].sum()


@pytest.mark.parametrize(
    ("rate", "verdict"), [(0.5, "vanishing"), (0.95, "healthy"), (1.0, "healthy"), (1.7, "exploding")]
)
def test_a_recurrence_of_known_gain_has_that_rate(rate, verdict):
    [layer] = gradient_flow(leaky(rate), batch_of(), last_step).layers
    assert layer.profile == pytest.approx([math.sqrt(H) * rate**k for k in range(T)])
    assert layer.rate == pytest.approx(rate)
    assert layer.verdict == verdict
    assert bool(layer.advice) is (verdict in ("vanishing", "exploding"))


def test_the_reverse_direction_is_followed_from_its_own_last_step():
    flow = gradient_flow(leaky(0.9, bidirectional=True), batch_of(), lambda layer, x: layer(x)[1]["h"].sum())
    assert [layer.reverse for layer in flow.layers] == [False, True]
    for layer in flow.layers:
        assert layer.profile == pytest.approx([2 * 0.9**k for k in range(T)])
    assert flow.layers[1].label == "layer 1, reverse"


@pytest.mark.parametrize("reverse", [False, True])
def test_rows_are_aligned_at_their_ends_and_padding_counts_for_nothing(reverse):
    """The squared norm at each distance is the mean over the rows that have such a step, each measured alone."""
    layer, x, lengths = Recurrent("gru", 2, H, bidirectional=True, dtype=torch.float64), batch_of(), [12, 5, 9]

    def flow(rows, ends):
        return gradient_flow(layer, x[rows], lambda m, x: m(x, lengths=ends)[1]["h"].square().sum()).layers[reverse]

    together = flow(slice(None), lengths).profile
    alone = [flow(slice(row, row + 1), [length]).profile for row, length in enumerate(lengths)]
    assert [len(profile) for profile in alone] == lengths
    for k, norm in enumerate(together):
        squares = [profile[k] ** 2 for profile in alone if k < len(profile)]
        assert norm == pytest.approx(math.sqrt(sum(squares) / len(squares)))


@pytest.mark.parametrize("cell", CATALOGUE)
def test_every_cell_is_measured_and_said_in_json(cell):
    flow = gradient_flow(Recurrent(cell, 2, H, 2, dtype=torch.float64), batch_of(), last_step)
    assert [layer.layer for layer in flow.layers] == [1, 2]
    content = json.loads(json.dumps(flow.to_json(), allow_nan=False))
    assert content["verdict"] == flow.verdict
    assert {len(layer["norms"][CATALOGUE[cell].output]) for layer in content["layers"]} == {T}


def test_the_verdict_of_an_lstm_rests_on_its_memory():
    """Where the output gate hides the memory, dL/dh goes at once and dL/dmemory stays."""
    layer = Recurrent("lstm", 2, H, initial={"b_forget": 20.0}, dtype=torch.float64)
    nn.init.zeros_(layer.layers[0].W_output)
    with torch.no_grad():
        for name in ("W_input", "W_forget", "W_candidate"):
            getattr(layer.layers[0], name)[:, :H] *= 1e-3
    [flow] = gradient_flow(layer, batch_of(steps=40), last_step).layers
    assert (flow.carrier, flow.verdict) == ("memory", "healthy")
    assert "of dL/dmemory is left" in flow.words
    assert judge(flow.norms["h"]) == "vanishing"


def test_the_loss_of_a_language_model_is_that_of_each_rows_last_target():
    model = LanguageModel(5, "gru", 3, H).eval()
    inputs = torch.randint(5, (3, 6))
    targets = torch.tensor([[1, 2, 3, 4, 0, 1], [1, 2, -100, -100, -100, -100], [-100] * 6])
    batch = TokenBatch(inputs=inputs, targets=targets, lengths=torch.tensor([6, 4, 6]))
    expected = sum(
        -model(inputs[row : row + 1, : t + 1])[0][0, -1].log_softmax(0)[int(targets[row, t])]
        for row, t in ((0, 5), (1, 1))
    )
    assert last_target_loss(model, batch).item() == pytest.approx(expected.item(), rel=1e-5)
    assert len(gradient_flow(model, batch).layers[0].profile) == 6
    nothing = TokenBatch(inputs=inputs, targets=torch.full_like(targets, -100))
    with pytest.raises(DataError, match="no target"):
        gradient_flow(model, nothing)


def test_measuring_leaves_the_model_as_it_was():
    model = LanguageModel(5, "lstm", 3, H, 2, dropout=0.5, zoneout=0.2, weight_drop=0.2).train()
    model.embedding.eval()
    batch = TokenBatch(inputs=torch.randint(5, (2, 6)), targets=torch.randint(5, (2, 6)))
    before = {name: p.clone() for name, p in model.state_dict().items()}
    modes, drawn = [m.training for m in model.modules()], torch.get_rng_state()
    first, second = gradient_flow(model, batch), gradient_flow(model, batch)
    assert first.to_json() == second.to_json()  # at rest, so that nothing is drawn
    assert torch.equal(torch.get_rng_state(), drawn)
    assert [m.training for m in model.modules()] == modes
    assert all(torch.equal(p, before[name]) for name, p in model.state_dict().items())
    assert all(p.grad is None for p in model.parameters())


def test_it_measures_under_no_grad():
    with torch.no_grad():
        assert gradient_flow(leaky(0.9), batch_of(), last_step).verdict == "healthy"


@pytest.mark.parametrize(
    ("model", "loss", "error", "words"),
    [
        (leaky(0.9), None, SettingError, "give loss="),
        (leaky(0.9), lambda m, x: m(x)[0], ShapeError, "expected one number"),
        (leaky(0.9), lambda m, x: m(x)[0].detach().sum(), SettingError, "does not depend on any"),
        (leaky(0.9), lambda m, x: x.sum(), SettingError, "ran"),
        (nn.LSTM(2, H).double(), lambda m, x: m(x)[0].sum(), SettingError, "ran"),
    ],
)
def test_what_cannot_be_measured_is_refused(model, loss, error, words):
    with pytest.raises(error, match=words):
        gradient_flow(model, batch_of(), loss)


def test_a_gradient_that_is_not_finite_has_exploded():
    flow = gradient_flow(leaky(1e200), batch_of(), last_step)
    assert flow.verdict == "exploding"
    assert "not finite" in flow.layers[0].words
    assert None in flow.to_json()["layers"][0]["norms"]["h"]


# In words ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("norms", "words"),
    [
        ([1.0] * 10, "healthy: 100% of dL/dh is left after 9 steps, times 1 a step"),
        (
            [0.1**k for k in range(6)],
            "vanishing beyond 2 steps: 1e-05 of dL/dh is left after 5 steps, times 0.1 a step",
        ),
        ([3.0**k for k in range(6)], "exploding: 5 steps back dL/dh is 2.4e+02 times as large, times 3 a step"),
        ([1.0, math.inf], "exploding: 1 step back dL/dh is not finite"),
        ([1.0, 0.5], "unmeasured: dL/dh reaches 2 steps, and a verdict takes 5"),
        ([], "unmeasured: dL/dh reaches 0 steps, and a verdict takes 5"),
        ([1.0, 0, 0, 0, 0], "vanishing beyond 0 steps: 0 of dL/dh is left after 4 steps"),
    ],
)
def test_the_verdict_in_words(norms, words):
    assert describe(norms) == words


def test_the_reach_is_the_last_step_with_a_hundredth_left():
    assert reach([1, 0.5, 0.001, 0.02, 0.009]) == 3
    assert decay_rate([1.0, 0.0, 0.25]) == pytest.approx(0.5)
    assert decay_rate([1.0, 0.0]) is None


@pytest.mark.parametrize("name", CATALOGUE)
def test_advice_names_what_the_cell_has(name):
    cell = CATALOGUE[name]
    [layer] = gradient_flow(Recurrent(cell, 2, H, dtype=torch.float64), batch_of(), last_step).layers
    for way in advise(cell, [1e-3**k for k in range(9)], layer.saturation):
        for word in way.replace('"', " ").split():
            if word.startswith(("b_", "W_")):
                assert word in cell.parameters
    assert advise(cell, [1e-3**k for k in range(9)], layer.saturation)
    assert advise(cell, [1.0] * 9, layer.saturation) == []


def test_the_layers_in_place_of_torchs_are_seen_as_well():
    torch.manual_seed(0)
    layer, x = LSTM(3, 4, num_layers=2, bidirectional=True, batch_first=True), torch.randn(2, 9, 3)
    flow = gradient_flow(layer, x, lambda layer, x: layer(x)[0][:, -1].sum())
    assert [(own.layer, own.reverse) for own in flow.layers] == [(1, False), (1, True), (2, False), (2, True)]
