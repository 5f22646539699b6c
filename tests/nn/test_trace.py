"""A trace says what a call computes, and its gradients are those of the values themselves, derived three ways."""

import re

import numpy as np
import pytest
import torch
from torch import nn

from recurra.backends import reference
from recurra.cells import CATALOGUE, modifiers
from recurra.equations import Cell
from recurra.errors import SettingError, ShapeError
from recurra.nn import LSTM, Recurrent
from recurra.nn.trace import Recorder, recording
from support.meaning import forward

EVERY_CELL = pytest.mark.parametrize("cell", CATALOGUE.values(), ids=CATALOGUE)
I, H, B, T = 3, 4, 3, 6  # noqa: E741
LENGTHS = [6, 2, 5]


def layer_of(cell, **options):
    return Recurrent(cell, I, H, dtype=torch.float64, **options)


def inputs(batch_first=True):
    return torch.randn(B, T, I, dtype=torch.float64) if batch_first else torch.randn(T, B, I, dtype=torch.float64)


def worst(found, expected):
    return max(float((found[key] - expected[key]).detach().abs().max()) for key in expected)


# What is traced ------------------------------------------------------------------------------------------------------


@EVERY_CELL
@pytest.mark.parametrize("gradients", [True, False])
def test_outputs_and_state_are_those_of_a_call(cell, gradients):
    layer, x = layer_of(cell, num_layers=2, bidirectional=True, batch_first=gradients), inputs(batch_first=gradients)
    _, state = layer(x)  # a state that the cell can be in
    state = {key: value.detach() for key, value in state.items()}
    with torch.set_grad_enabled(gradients):
        outputs, last = layer(x, state, LENGTHS)
        trace = layer.trace(x, state, LENGTHS)
    assert float((trace.outputs - outputs).detach().abs().max()) < 1e-12
    assert worst(trace.state, last) < 1e-12
    assert trace.outputs.requires_grad is gradients


@EVERY_CELL
def test_the_values_obey_the_equations(cell):
    """The outputs are the last value, each layer's side by side; nothing is there past a row's length."""
    layer, x = layer_of(cell, num_layers=2, bidirectional=True), inputs()
    trace = layer.trace(x, lengths=LENGTHS)
    assert len(trace.layers) == len(trace.reverse_layers) == 2
    last = torch.cat([side[1][cell.output] for side in (trace.layers, trace.reverse_layers)], -1)
    assert torch.equal(last, trace.outputs)
    for values in [*trace.layers, *trace.reverse_layers]:
        assert tuple(values) == cell.values
        assert all(tuple(value.shape) == (B, T, H) for value in values.values())
        assert not any(value[row, length:].any() for value in values.values() for row, length in enumerate(LENGTHS))


def test_a_gate_is_what_its_equation_says():
    layer, x = layer_of("gru"), inputs()
    own = layer.layers[0]
    values = layer.trace(x).layers[0]
    before = torch.cat([torch.zeros(B, 1, H), values["h"][:, :-1]], 1)
    update = torch.sigmoid(torch.cat([before, x], -1) @ own.W_update.T + own.b_update)
    assert torch.allclose(values["update"], update, rtol=0, atol=1e-14)


def test_one_sequence_has_no_batch_axis():
    layer, x = layer_of("lstm", bidirectional=True), inputs()[0]
    trace = layer.trace(x)
    assert tuple(trace.reverse_layers[0]["memory"].shape) == (T, H)
    assert torch.allclose(trace.outputs, layer(x)[0])
    assert tuple(trace.gradients(trace.outputs.sum()).reverse_layers[0]["memory"].shape) == (T, H)


def test_the_axes_are_those_of_the_input():
    layer, x = layer_of("gru", batch_first=False), inputs(batch_first=False)[:, :2]
    trace = layer.trace(x)
    assert tuple(trace.layers[0]["update"].shape) == (T, 2, H)
    assert torch.equal(trace.layers[0]["h"], trace.outputs)
    assert tuple(trace.gradients(trace.outputs.sum()).layers[0]["h"].shape) == (T, 2, H)


@pytest.mark.parametrize("training", [True, False])
def test_noise_is_that_of_a_call_in_the_same_mode(training):
    """In training a seed gives a trace and a call the same noise; in evaluation there is none."""
    rates = {"dropout": 0.3, "input_dropout": 0.2, "state_dropout": 0.2, "zoneout": 0.2, "weight_drop": 0.2}
    layer, x = layer_of("lstm", num_layers=2, bidirectional=True, **rates).train(training), inputs()
    torch.manual_seed(3)
    outputs, state = layer(x, lengths=LENGTHS)
    drawn = torch.get_rng_state()
    torch.manual_seed(3)
    trace = layer.trace(x, lengths=LENGTHS)
    assert torch.equal(torch.get_rng_state(), drawn)
    assert float((trace.outputs - outputs).detach().abs().max()) < 1e-12
    assert worst(trace.state, state) < 1e-12
    again = layer.trace(x, lengths=LENGTHS)
    assert torch.equal(again.outputs, trace.outputs) is not training


def test_a_learned_initial_state_is_where_it_begins():
    layer, x = layer_of("gru", learn_initial_state=True), inputs()
    nn.init.constant_(layer.layers[0].initial_h, 0.5)
    assert torch.allclose(layer.trace(x).outputs, layer(x)[0], rtol=0, atol=1e-12)


def test_a_mistake_is_that_of_a_call():
    with pytest.raises(ShapeError, match=r"expected \(B, T, I\)"):
        layer_of("gru").trace(torch.ones(2, 3, 9, dtype=torch.float64))


# Its gradients -------------------------------------------------------------------------------------------------------


@EVERY_CELL
@pytest.mark.parametrize("reverse", [False, True])
def test_gradients_are_finite_differences_of_the_values(cell, reverse):
    """Each value is moved a little, in a random direction at all steps, in a second reading of the equations."""
    recorder = Recorder()
    parameters = {n: torch.randn(p.shape(I, H), dtype=torch.float64) * 0.5 for n, p in cell.parameters.items()}
    x, lengths = inputs(batch_first=False), torch.tensor(LENGTHS)
    nothing = {key: torch.zeros(B, H, dtype=torch.float64) for key in cell.carried}
    outputs, last = recorder.run(cell, parameters, x, nothing, lengths=lengths, reverse=reverse)
    to_outputs, to_last = torch.randn_like(outputs), {key: torch.randn_like(value) for key, value in last.items()}
    probes = recorder.passes[0].probes
    total = (outputs * to_outputs).sum() + sum((last[key] * to_last[key]).sum() for key in last)
    found = torch.autograd.grad(total, list(probes.values()), allow_unused=True)

    text = "\n".join(f"{name}[t] = ({right}) + poke_{name}[t]" for name, right in split_lines(cell.text))
    names = {**{n: p.numpy() for n, p in parameters.items()}, **cell.constants}

    def loss(pokes):
        noise = {f"poke_{name}": pokes.get(name, np.zeros((T, B, H))) for name in cell.values}
        state = {key: value.numpy() for key, value in nothing.items()}
        y, after = forward(text, names, x.numpy(), state, H, lengths=LENGTHS, reverse=reverse, noise=noise)
        return (y * to_outputs.numpy()).sum() + sum((after[key] * to_last[key].numpy()).sum() for key in after)

    step = 1e-6
    for (name, probe), gradient in zip(probes.items(), found, strict=True):
        direction = torch.randn_like(probe)
        slope = (loss({name: step * direction.numpy()}) - loss({name: -step * direction.numpy()})) / (2 * step)
        expected = 0.0 if gradient is None else float((gradient * direction).sum())
        assert slope == pytest.approx(expected, rel=1e-5, abs=1e-6), name


def split_lines(text):
    """Name and expression of each value; lines of constants are left out."""
    return re.findall(r"^(\w+)\[t\]\s*= (.*)$", text, re.MULTILINE)


@EVERY_CELL
def test_the_gradient_of_the_output_is_that_of_the_derived_equations(cell):
    """dL/dh[t] is what arrives at the output at t, and what backpropagation of the steps after t sends to its state."""
    if cell.output not in cell.states:
        return
    layer, x = layer_of(cell), inputs()
    trace = layer.trace(x)
    arriving = torch.randn_like(trace.outputs)
    found = trace.gradients((trace.outputs * arriving).sum()).layers[0][cell.output]
    assert torch.equal(found[:, -1], arriving[:, -1])
    parameters = layer.layers[0].tensors(cell)
    for t in range(T - 1):
        # The state after step t; what is not the output flows around it.
        _, state = reference.run(cell, parameters, x[:, : t + 1].transpose(0, 1), zero_state(cell))
        after = arriving[:, t + 1 :].transpose(0, 1)
        nothing = {key: torch.zeros(B, H, dtype=torch.float64) for key in cell.carried}
        back = reference.backpropagate(cell, parameters, x[:, t + 1 :].transpose(0, 1), state, after, nothing)
        assert torch.allclose(found[:, t], arriving[:, t] + back.state[cell.output], rtol=1e-9, atol=1e-12)


def zero_state(cell):
    return {key: torch.zeros(B, H, dtype=torch.float64) for key in cell.carried}


def test_two_names_of_one_value_have_gradients_of_their_own():
    cell = Cell("one[t] = tanh(W @ x[t])\nother[t] = tanh(W @ x[t])\nh[t] = one[t] + 2 * other[t]")
    trace = layer_of(cell).trace(inputs())
    gradients = trace.gradients(trace.outputs.sum()).layers[0]
    assert {name: gradients[name].unique().tolist() for name in cell.values} == {
        "one": [1.0],
        "other": [2.0],
        "h": [1.0],
    }


def test_a_value_that_is_simplified_away_has_its_gradient():
    """And one that no state reaches, which is computed for all steps at once, at each step its own."""
    cell = Cell("lost[t] = -sigmoid(W @ x[t])\nnumber[t] = 3\nh[t] = 0.5 * h[t-1] - lost[t] * number[t]")
    trace = layer_of(cell).trace(inputs())
    gradients = trace.gradients(trace.outputs[:, -1].sum()).layers[0]
    expected = torch.tensor([0.5**k for k in reversed(range(T))], dtype=torch.float64)[:, None].expand(B, T, H)
    assert torch.allclose(gradients["lost"], -3 * expected)
    assert torch.allclose(gradients["number"], -trace.layers[0]["lost"] * expected)


def test_gradients_go_through_all_layers_and_past_no_length():
    layer, x = layer_of("gru", num_layers=2, bidirectional=True), inputs()
    trace = layer.trace(x, lengths=LENGTHS)
    gradients = trace.gradients(trace.outputs.square().sum())
    for values in [*gradients.layers, *gradients.reverse_layers]:
        for name, value in values.items():
            # At a row's first step there is no state for relevance[t] to act on.
            assert name == "relevance" or all(value[row, :length].all() for row, length in enumerate(LENGTHS))
            assert not any(value[row, length:].any() for row, length in enumerate(LENGTHS))
    assert not any(p.grad is not None for p in layer.parameters())


def test_a_loss_may_be_of_a_value_and_be_asked_about_twice():
    layer, x = layer_of("lstm"), inputs()
    trace = layer.trace(x)
    loss = trace.layers[0]["memory"][:, 2].sum()
    gradients = trace.gradients(loss).layers[0]
    assert gradients["memory"][:, 2].unique().tolist() == [1.0]
    assert not gradients["memory"][:, 3:].any()
    assert gradients["memory"][:, 1].any()
    assert torch.equal(trace.gradients(loss).layers[0]["h"], gradients["h"])
    loss.backward()
    assert layer.layers[0].W_forget.grad.any()


def test_names_that_are_taken_are_gone_around():
    cell = Cell("probe_h[t] = sigmoid(probe_of_h @ x[t])\nh[t] = tanh(W @ [h[t-1], x[t]]) * probe_h[t]")
    trace = layer_of(cell).trace(inputs())
    assert trace.gradients(trace.outputs.sum()).layers[0]["probe_h"].all()


def test_every_modified_cell_is_traced():
    for modify in (
        lambda c: modifiers.zoneout(c, 0.3),
        lambda c: modifiers.state_dropout(c, 0.3),
        modifiers.layer_norm,
    ):
        cell = modify(CATALOGUE["lstm"])
        layer = layer_of(cell)
        trace = layer.trace(inputs())
        assert tuple(trace.layers[0]) == cell.values
        assert tuple(trace.gradients(trace.outputs.sum()).layers[0]) == cell.values


@pytest.mark.parametrize(
    ("loss", "error", "words"),
    [
        (lambda trace: trace.outputs, ShapeError, "expected one number"),
        (lambda trace: torch.tensor(1.0), SettingError, "does not depend on this trace"),
        (lambda trace: torch.ones(1, requires_grad=True).sum(), SettingError, "does not depend on this trace"),
    ],
)
def test_a_loss_that_is_none_is_refused(loss, error, words):
    trace = layer_of("gru").trace(inputs())
    with pytest.raises(error, match=words):
        trace.gradients(loss(trace))


def test_without_gradients_there_are_none():
    with torch.no_grad():
        trace = layer_of("gru").trace(inputs())
    with pytest.raises(SettingError, match="gradients off"):
        trace.gradients(trace.outputs.sum())


# Layers within a module ----------------------------------------------------------------------------------------------


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = Recurrent("gru", I, H), Recurrent("lstm", H, H, bidirectional=True)
        self.unused = Recurrent("rnn", I, H)
        self.other = LSTM(I, H)

    def forward(self, x):
        return self.second(self.first(x)[0])[0] + self.other(x)[0].sum()


def test_every_layer_of_a_module_is_recorded_and_then_runs_as_before():
    model, x = Model(), torch.randn(B, T, I)
    with recording(model) as recorders:
        outputs = model(x)
        assert model.first.choice().backend.name == "trace"
    assert list(recorders) == ["first", "second", "unused", "other"]
    assert [len(own.passes) for own in recorders.values()] == [1, 2, 0, 1]
    assert [own.reverse for own in recorders["second"].passes] == [False, True]
    assert model.first.choice().backend.name != "trace"
    assert "choice" not in vars(model.first)
    assert torch.allclose(model(x), outputs, atol=1e-6)
    assert [len(own.passes) for own in recorders.values()] == [1, 2, 0, 1]


def test_an_error_inside_leaves_the_layers_as_they_were():
    model = Model()
    with pytest.raises(ShapeError), recording(model):
        model(torch.randn(B, T, 9))
    assert not any("choice" in vars(module) for module in model.modules())


def test_recordings_may_be_nested():
    layer, x = Recurrent("gru", I, H), torch.randn(B, T, I)
    with recording(layer) as outer:
        layer(x)
        with recording(layer) as inner:
            layer(x)
        layer(x)
    assert (len(outer[""].passes), len(inner[""].passes)) == (2, 1)
