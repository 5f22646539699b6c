"""The recurrent layer: names, shapes, depth, direction, lengths and state, against the equations run by hand."""

import copy
import io
import pickle
import re

import numpy as np
import pytest
import safetensors.torch
import torch
from torch.nn.utils import parametrize

from recurra import Cell, Recurrent, cells
from recurra.backends import choose as choices
from recurra.backends import reference
from recurra.backends.choose import BACKENDS
from recurra.cells import CATALOGUE
from recurra.errors import BackendError, EquationError, SettingError, ShapeError
from recurra.nn.recurrent import as_cell
from support.meaning import forward as meaning
from support.problems import worst_error

EVERY_CELL = pytest.mark.parametrize("cell", CATALOGUE.values(), ids=CATALOGUE)
EVERY_BACKEND = pytest.mark.parametrize("backend", BACKENDS)
SECOND_ORDER = Cell("turn[t] = tanh(W @ [h[t-1], x[t]] + U @ h[t-2] + b)\nh[t] = turn[t] + 0.1 * turn[t-1]")
SOME = pytest.mark.parametrize("cell", [cells.GRU, cells.LSTM, SECOND_ORDER], ids=["gru", "lstm", "second order"])
STATELESS = Cell("h[t] = W @ x[t]")
I, H, B, T = 3, 4, 3, 5  # noqa: E741
LENGTHS = [3, 1, 5]


def layer_of(cell, *, spread=0.8, **options):
    """A layer in float64 with no parameter at 0."""
    layer = Recurrent(cell, I, H, **{"dtype": torch.float64, **options})
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.uniform_(-spread, spread)
    return layer


def inputs(*shape, dtype=torch.float64):
    return torch.randn(*shape, dtype=dtype)


def state_of(layer, rows=B):
    """A state that the layer can be in, since it comes out of it."""
    return {key: value.detach() for key, value in layer(inputs(rows, 4, I))[1].items()}


def same(found, expected, tolerance=1e-12):
    assert list(found[1]) == list(expected[1])
    torch.testing.assert_close(found[0], expected[0], rtol=tolerance, atol=tolerance)
    for key, value in expected[1].items():
        torch.testing.assert_close(found[1][key], value, rtol=tolerance, atol=tolerance)


# Names and shapes ----------------------------------------------------------------------------------------------------


@EVERY_CELL
def test_parameters_are_called_and_shaped_as_in_the_text(cell):
    layer = Recurrent(cell, I, H, num_layers=2, bidirectional=True)
    found = {name: tuple(p.shape) for name, p in layer.named_parameters()}
    expected = {}
    for place in ("layers.0", "layers.1", "reverse_layers.0", "reverse_layers.1"):
        width = I if place.endswith("0") else 2 * H
        for name, parameter in cell.parameters.items():
            columns = sum(column.size(width, H) for column in parameter.columns)
            expected[f"{place}.{name}"] = (H, columns) if parameter.kind == "matrix" else (H,)
            assert re.search(rf"\b{name}\b", cell.text)
    assert found == expected
    assert list(layer.state_dict()) == list(found)
    assert sum(p.numel() for p in layer.parameters()) == 2 * (
        cell.parameter_count(I, H) + cell.parameter_count(2 * H, H)
    )


def test_a_matrix_has_its_columns_in_the_order_of_the_concatenation():
    layer = Recurrent("h[t] = W @ [x[t], h[t-1], x[t]]", I, H, dtype=torch.float64)
    weights = layer.layers[0].W.detach()
    assert weights.shape == (H, I + H + I)
    x, h = inputs(1, 1, I), inputs(1, 1, H)
    expected = weights[:, :I] @ x[0, 0] + weights[:, I : I + H] @ h[0, 0] + weights[:, I + H :] @ x[0, 0]
    torch.testing.assert_close(layer(x, {"h": h})[0][0, 0], expected)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("h[t] = tanh(W @ [h[t-1], x[t]] + half)", "half"),
        ("h[t] = tanh(forward @ [h[t-1], x[t]])", "forward"),
        ("h[t] = tanh(W @ [h[t-1], x[t]] + initial_h)", "initial_h"),
        ("h_2[t] = tanh(W @ [h_2[t-1], x[t]])\nh[t] = h_2[t] + 0.1 * h[t-2]", "initial_h_2"),
    ],
)
def test_a_name_that_a_layer_needs_itself_is_refused(text, name):
    with pytest.raises(SettingError, match=f"'{name}' has a meaning of its own in a layer; rename it in the equations"):
        Recurrent(text, I, H, learn_initial_state=True)


def test_sizes_are_whole_numbers_of_any_kind():
    layer = Recurrent("gru", np.int64(I), np.int32(H), np.int8(2))
    assert [type(size) for size in (layer.input_size, layer.hidden_size, layer.num_layers)] == [int, int, int]
    assert layer(torch.randn(B, T, I))[0].shape == (B, T, H)


def test_a_weight_may_be_parametrised():
    layer, x = layer_of("gru"), inputs(B, T, I)
    before = layer(x)[0]
    parametrize.register_parametrization(layer.layers[0], "W_update", torch.nn.Identity())
    torch.testing.assert_close(layer(x)[0], before)
    layer.layers[0].parametrizations.W_update[0].forward = lambda weights: 2 * weights
    assert not torch.allclose(layer(x)[0], before)


def test_sizes_of_one():
    outputs, state = Recurrent("lstm", 1, 1)(torch.randn(1, 1, 1))
    assert outputs.shape == state["h"].shape == state["memory"].shape == (1, 1, 1)


# The cell ------------------------------------------------------------------------------------------------------------


def test_a_cell_is_given_as_itself_by_name_or_as_text():
    for cell in (cells.GRU, "gru", str(cells.GRU)):
        assert Recurrent(cell, I, H).cell == cells.GRU
    assert as_cell("irnn") is cells.IRNN


@pytest.mark.parametrize(
    ("cell", "error", "message"),
    [
        ("gruu", SettingError, r"there is no cell 'gruu'; did you mean gru\? The cells are: rnn, "),
        ("", SettingError, "there is no cell ''"),
        (3, SettingError, "a cell is a Cell, a name or the text of equations, not int"),
        (torch.nn.GRU, SettingError, "a cell is a Cell, a name or the text of equations, not type"),
        ("h[t] = tanh(W @ [h[t-1], y[t]])", EquationError, "'y' is not defined"),
    ],
)
def test_what_is_no_cell_is_refused(cell, error, message):
    with pytest.raises(error, match=message):
        Recurrent(cell, I, H)


# What is computed ----------------------------------------------------------------------------------------------------


def deep_meaning(layer, x, state):
    """The network in numpy, read off the text of its cell and the names of its state_dict, a row and a step at a time.

    Returns the outputs (B, T, D · H) and the last states (L · D, B, H).
    """
    names = {name: tensor.numpy() for name, tensor in layer.state_dict().items()}
    last = {key: [] for key in state}
    sequence, number = x.transpose(0, 1).numpy(), 0
    for depth in range(layer.num_layers):
        outputs = []
        for place in ("layers", "reverse_layers")[: layer.num_directions]:
            front = f"{place}.{depth}."
            own = {name.removeprefix(front): array for name, array in names.items() if name.startswith(front)}
            constants = {name: np.float64(value) for name, value in layer.cell.constants.items()}
            given = {key: value[number].numpy() for key, value in state.items()}
            reverse = place == "reverse_layers"
            made, ended = meaning(
                layer.cell.text, {**constants, **own}, sequence, given, H, lengths=LENGTHS, reverse=reverse
            )
            outputs.append(made)
            number += 1
            for key, value in ended.items():
                last[key].append(torch.from_numpy(value))
        sequence = np.concatenate(outputs, -1)
    return torch.from_numpy(sequence).transpose(0, 1), {key: torch.stack(values) for key, values in last.items()}


@EVERY_BACKEND
@EVERY_CELL
def test_the_network_is_its_equations_read_with_its_state_dict(cell, backend):
    layer = layer_of(cell, num_layers=2, bidirectional=True, backend=backend)
    x, state = inputs(B, T, I), state_of(layer)
    same(layer(x, state, LENGTHS), deep_meaning(layer, x, state))


def by_hand(layer, x, state, lengths):
    """The layers one after the other on the reference backend, both directions side by side, as autograd sees them."""
    sequence, number = x.transpose(0, 1), 0
    last = {key: [] for key in layer.cell.carried}
    for depth in range(layer.num_layers):
        outputs = []
        for own, reverse in ((layer.layers[depth], False), (layer.reverse_layers[depth], True)):
            given = {key: value[number] for key, value in state.items()}
            tensors = {name: getattr(own, name) for name in layer.cell.parameters}
            made, ended = reference.run(layer.cell, tensors, sequence, given, lengths=lengths, reverse=reverse)
            outputs.append(made)
            number += 1
            for key, value in ended.items():
                last[key].append(value)
        sequence = torch.cat(outputs, -1)
    return sequence.transpose(0, 1), {key: torch.stack(values) for key, values in last.items()}


def gradients(layer, run, x, state, weights):
    """Of a weighing of outputs and last states: by name, that of the input, each state and each parameter."""
    x = x.clone().requires_grad_()
    state = {key: value.clone().requires_grad_() for key, value in state.items()}
    outputs, last = run(x, state)
    loss = (outputs * weights["outputs"]).sum() + sum((last[key] * weights[key]).sum() for key in last)
    named = {"x": x, **state, **dict(layer.named_parameters())}
    return dict(zip(named, torch.autograd.grad(loss, list(named.values())), strict=True))


@EVERY_BACKEND
@SOME
@pytest.mark.parametrize("lengths", [None, torch.tensor(LENGTHS)], ids=["whole", "ragged"])
def test_three_layers_in_both_directions_are_those_of_one_composed(cell, backend, lengths):
    layer = layer_of(cell, num_layers=3, bidirectional=True, backend=backend)
    x, state = inputs(B, T, I), state_of(layer)
    assert all(value.shape == (6, B, H) for value in state.values())
    same(layer(x, state, lengths), by_hand(layer, x, state, lengths))
    weights = {"outputs": inputs(B, T, 2 * H), **{key: inputs(6, B, H) for key in state}}
    found = gradients(layer, lambda *given: layer(*given, lengths), x, state, weights)
    expected = gradients(layer, lambda *given: by_hand(layer, *given, lengths), x, state, weights)
    assert worst_error(found, expected) < 1e-12


@EVERY_BACKEND
@SOME
def test_the_other_direction_is_the_same_layer_on_reversed_rows(cell, backend):
    both = layer_of(cell, bidirectional=True, backend=backend)
    forward, backward = (layer_of(cell, backend=backend) for _ in range(2))
    forward.layers.load_state_dict(both.layers.state_dict())
    backward.layers.load_state_dict(both.reverse_layers.state_dict())
    x, state = inputs(B, T, I), state_of(both)

    def reversed_rows(sequence):
        rows = [torch.cat([row[:n].flip(0), row[n:]]) for row, n in zip(sequence, LENGTHS, strict=True)]
        return torch.stack(rows)

    outputs, last = both(x, state, LENGTHS)
    ahead, ahead_last = forward(x, {key: value[:1] for key, value in state.items()}, LENGTHS)
    back, back_last = backward(reversed_rows(x), {key: value[1:] for key, value in state.items()}, LENGTHS)
    expected_last = {key: torch.cat([ahead_last[key], back_last[key]]) for key in state}
    same((outputs, last), (torch.cat([ahead, reversed_rows(back)], -1), expected_last))


@EVERY_BACKEND
@SOME
def test_in_chunks_is_as_in_one(cell, backend):
    layer = layer_of(cell, num_layers=2, backend=backend)
    x, first = inputs(B, 7, I), state_of(layer)
    whole = layer(x, first)
    for cuts in ([1, 6], [3, 1, 3], [1] * 7):
        outputs, state = [], first
        for chunk in x.split(cuts, dim=1):
            made, state = layer(chunk, state)
            outputs.append(made)
        same((torch.cat(outputs, 1), state), whole)


def test_without_a_state_it_begins_at_zero():
    layer, x = layer_of("lstm", num_layers=2), inputs(B, T, I)
    zero = {key: torch.zeros(2, B, H, dtype=torch.float64) for key in layer.cell.carried}
    same(layer(x), layer(x, zero), 0.0)
    same(layer(x, {}), layer(x, zero), 0.0)
    memory = inputs(2, B, H)
    same(layer(x, {"memory": memory}), layer(x, {**zero, "memory": memory}), 0.0)


def test_a_state_that_is_given_stays_as_it_is():
    layer, x = layer_of(SECOND_ORDER), inputs(B, T, I)
    state = state_of(layer)
    before = copy.deepcopy(state)
    _, last = layer(x, state)
    assert list(last) == list(SECOND_ORDER.carried) == ["turn", "h", "h[t-1]"]
    assert all(torch.equal(state[key], before[key]) for key in before)
    torch.testing.assert_close(last["h[t-1]"], layer(x[:, :-1], state)[1]["h"])


def test_batch_first_or_not():
    layer, x = layer_of("gru", num_layers=2, bidirectional=True), inputs(B, T, I)
    other = layer_of("gru", num_layers=2, bidirectional=True, batch_first=False)
    other.load_state_dict(layer.state_dict())
    state = state_of(layer)
    outputs, last = layer(x, state, LENGTHS)
    same(other(x.transpose(0, 1), state, LENGTHS), (outputs.transpose(0, 1), last), 0.0)


@pytest.mark.parametrize("batch_first", [True, False])
def test_one_sequence_alone(batch_first):
    layer = layer_of("lstm", num_layers=2, bidirectional=True, batch_first=batch_first)
    batched = layer_of("lstm", num_layers=2, bidirectional=True)
    batched.load_state_dict(layer.state_dict())
    x, state = inputs(T, I), state_of(batched, rows=1)
    expected, expected_last = batched(x[None], state, [4])
    outputs, last = layer(x, {key: value[:, 0] for key, value in state.items()}, [4])
    assert outputs.shape == (T, 2 * H)
    same((outputs, last), (expected[0], {key: value[:, 0] for key, value in expected_last.items()}), 0.0)


@pytest.mark.parametrize(
    "lengths",
    [
        tuple(LENGTHS),
        torch.tensor(LENGTHS),
        torch.tensor(LENGTHS, dtype=torch.int32),
        torch.tensor(LENGTHS, dtype=torch.uint8),
        torch.tensor(LENGTHS, dtype=torch.uint16),
        np.array(LENGTHS),
    ],
    ids=["tuple", "int64", "int32", "uint8", "uint16", "numpy"],
)
def test_lengths_in_every_form(lengths):
    layer, x = layer_of("gru"), inputs(B, T, I)
    same(layer(x, lengths=lengths), layer(x, lengths=LENGTHS), 0.0)
    same(layer(x, lengths=[T] * B), layer(x), 0.0)


def test_past_the_end_of_a_row_outputs_are_zero_and_the_state_is_its_last():
    layer, x = layer_of("rnn", num_layers=2), inputs(B, T, I)
    outputs, last = layer(x, lengths=LENGTHS)
    for row, end in enumerate(LENGTHS):
        assert not outputs[row, end:].any()
        assert torch.equal(outputs[row, end - 1], last["h"][1, row])


def test_a_cell_that_carries_nothing():
    layer = layer_of(STATELESS, num_layers=2, bidirectional=True)
    outputs, state = layer(inputs(B, T, I), lengths=LENGTHS)
    assert outputs.shape == (B, T, 2 * H)
    assert state == {}


def test_a_cell_that_learns_nothing():
    layer = Recurrent("h[t] = 0.5 * h[t-1]", I, H)
    outputs, _ = layer(torch.randn(2, 3, I), {"h": torch.ones(1, 2, H)})
    torch.testing.assert_close(outputs, torch.tensor([0.5, 0.25, 0.125])[None, :, None].expand(2, 3, H))


# Learned initial state -----------------------------------------------------------------------------------------------


@EVERY_BACKEND
@SOME
def test_a_learned_state_is_that_given_to_each_row(cell, backend):
    layer = layer_of(cell, num_layers=2, bidirectional=True, backend=backend, learn_initial_state=True)
    learned = {name: p for name, p in layer.named_parameters() if "initial_" in name}
    assert len(learned) == 4 * len(cell.carried)
    assert all(p.shape == (H,) for p in learned.values())
    order = [own for pair in zip(layer.layers, layer.reverse_layers, strict=True) for own in pair]
    state = {
        key: torch.stack([getattr(own, own.initial_states[key]).detach().expand(B, H) for own in order])
        for key in cell.carried
    }
    x = inputs(B, T, I)
    same(layer(x, lengths=LENGTHS), layer(x, state, LENGTHS))
    outputs, last = layer(x, lengths=LENGTHS)
    (outputs.sum() + sum(value.sum() for value in last.values())).backward()
    assert all(bool((p.grad.abs() > 0).all()) for p in learned.values())


def test_learned_states_begin_at_zero_under_the_names_of_their_values():
    layer = Recurrent(SECOND_ORDER, I, H, learn_initial_state=True)
    learned = {name: p for name, p in layer.layers[0].named_parameters() if name.startswith("initial_")}
    assert list(learned) == ["initial_turn", "initial_h", "initial_h_2"]
    assert not any(p.any() for p in learned.values())
    assert not any("initial" in name for name, _ in Recurrent(SECOND_ORDER, I, H).named_parameters())


def test_a_state_that_is_given_goes_before_what_is_learned():
    layer, x = layer_of("lstm", learn_initial_state=True), inputs(B, T, I)
    outputs, _ = layer(x, {"h": inputs(1, B, H)})
    outputs.sum().backward()
    assert layer.layers[0].initial_h.grad is None
    assert bool((layer.layers[0].initial_memory.grad != 0).all())


# A module as others are ----------------------------------------------------------------------------------------------


def test_a_state_dict_is_saved_and_loaded(tmp_path):
    first, second = (layer_of("lstm", num_layers=2, bidirectional=True, learn_initial_state=True) for _ in range(2))
    x = inputs(B, T, I)
    assert not torch.allclose(first(x)[0], second(x)[0])
    torch.save(first.state_dict(), tmp_path / "layer.pt")
    second.load_state_dict(torch.load(tmp_path / "layer.pt", weights_only=True))
    same(second(x), first(x), 0.0)
    third = layer_of("lstm", num_layers=2, bidirectional=True, learn_initial_state=True)
    safetensors.torch.save_file(first.state_dict(), tmp_path / "layer.safetensors")
    third.load_state_dict(safetensors.torch.load_file(tmp_path / "layer.safetensors"))
    same(third(x), first(x), 0.0)


def test_a_state_dict_of_another_cell_is_refused_by_name():
    with pytest.raises(RuntimeError, match=r'Missing key.*"layers.0.W_update"'):
        Recurrent("gru", I, H).load_state_dict(Recurrent("rnn", I, H).state_dict())


def test_copied_and_pickled_it_is_another_that_does_the_same():
    layer, x = layer_of("lstm", zoneout=0.1, dropout=0.1, num_layers=2), inputs(B, T, I)
    file = io.BytesIO()
    torch.save(layer, file)
    file.seek(0)
    for made in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer)), torch.load(file, weights_only=False)):
        for mode in (True, False):
            torch.manual_seed(1)
            expected = layer.train(mode)(x)
            torch.manual_seed(1)
            same(made.train(mode)(x), expected, 0.0)
        with torch.no_grad():
            made.layers[0].b_input.zero_()
        assert layer.layers[0].b_input.all()


def test_moved_to_another_dtype():
    layer, x = layer_of("gru", dtype=torch.float32), inputs(B, T, I, dtype=torch.float32)
    single = layer(x)[0]
    double = copy.deepcopy(layer).double()(x.double())[0]
    assert single.dtype == torch.float32
    assert double.dtype == torch.float64
    torch.testing.assert_close(single.double(), double, rtol=1e-5, atol=1e-6)
    half = copy.deepcopy(layer).to(torch.bfloat16)(x.bfloat16())
    assert {half[0].dtype, half[1]["h"].dtype} == {torch.bfloat16}
    torch.testing.assert_close(half[0].double(), double, rtol=0.1, atol=0.1)
    assert Recurrent("gru", I, H, dtype=torch.float16, device="meta").layers[0].b_update.dtype == torch.float16


def test_its_parameters_train():
    layer = Recurrent("gru", I, H, backend="reference")
    x, target = torch.randn(B, T, I), torch.rand(B, T, H) - 0.5
    optimiser = torch.optim.Adam(layer.parameters(), lr=0.05)
    losses = []
    for _ in range(30):
        loss = (layer(x)[0] - target).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < losses[0] / 2


def test_printed_it_says_what_it_is():
    layer = Recurrent(
        "gru", 3, 5, 2, True, batch_first=False, zoneout=0.1, weight_drop=0.2, input_dropout=0.3, backend="reference"
    )
    lines = [line.strip() for line in repr(layer).splitlines()]
    assert lines[1] == (
        "gru+zoneout, 3, 5, num_layers=2, bidirectional=True, batch_first=False, weight_drop=0.2, backend='reference'"
    )
    assert "(input_dropout): LockedDropout(rate=0.3)" in lines
    assert lines.count("(5, 8): W_update, W_relevance, W_candidate") == 2
    assert lines.count("(5, 15): W_update, W_relevance, W_candidate") == 2
    assert lines.count("(5,): b_update, b_relevance, b_candidate") == 4
    assert repr(Recurrent("rnn", 3, 5)).splitlines()[1] == "  rnn, 3, 5"
    assert repr(Recurrent(STATELESS, 3, 5)).splitlines()[1] == "  cell of its own, 3, 5"


# Which backend runs --------------------------------------------------------------------------------------------------


@EVERY_BACKEND
def test_a_backend_that_is_asked_for_runs(backend):
    choice = Recurrent("gru", I, H, backend=backend).choice()
    assert choice.backend is BACKENDS[backend]
    assert choice.reason == "it was asked for"


@pytest.fixture
def only_at_rest(monkeypatch):
    """A table with a backend that refuses whatever is drawn at random, and anything but float64."""

    def refusal(cell, device, dtype):
        if cell.noise:
            return "it draws nothing at random"
        return None if dtype == torch.float64 else f"it computes in float64, not {dtype}"

    backend = choices.Backend("calm", "for the tests", reference.run, refusal)
    monkeypatch.setattr(choices, "BACKENDS", {"calm": backend, "reference": BACKENDS["reference"]})


@pytest.mark.usefixtures("only_at_rest")
def test_whether_a_backend_can_run_is_asked_when_it_is_to_run():
    layer, x = Recurrent("gru", I, H, zoneout=0.1, backend="calm"), inputs(B, T, I)
    with pytest.raises(BackendError, match="the calm backend cannot run this cell: it draws nothing at random"):
        layer.double()(x)
    layer.eval()(x)
    assert layer.choice().backend.name == "calm"
    with pytest.raises(BackendError, match=r"it computes in float64, not torch\.float32"):
        layer.float()(x.float())
    layer = Recurrent("gru", I, H, zoneout=0.1, dtype=torch.float64)
    assert layer.choice().backend.name == "reference"
    assert "calm: it draws nothing at random" in layer.choice().reason
    assert layer.eval().choice().backend.name == "calm"


# What is refused -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"input_size": 0}, "input_size is 0; it is a whole number from 1"),
        ({"hidden_size": -1}, "hidden_size is -1"),
        ({"hidden_size": 4.0}, "hidden_size is 4.0"),
        ({"num_layers": True}, "num_layers is True"),
        ({"dtype": torch.int64}, "dtype is torch.int64; it is one of floating-point numbers"),
        ({"backend": "cuda"}, "there is no backend 'cuda'; choose one of: auto, "),
        ({"initial": {"W_updat": 0.0}}, r"'W_updat' matches no parameter; did you mean W_update\?"),
    ],
)
def test_settings_are_refused_in_one_line(options, message):
    with pytest.raises(SettingError, match=message) as error:
        Recurrent(**{"cell": "gru", "input_size": I, "hidden_size": H, **options})
    assert "\n" not in str(error.value)


LAYER = Recurrent("lstm", I, H, num_layers=2)
X = torch.zeros(B, T, I)


@pytest.mark.parametrize(
    ("x", "state", "lengths", "message"),
    [
        (
            torch.zeros(B, T, 2),
            None,
            None,
            r"x has the shape \(3, 5, 2\); expected \(B, T, I\) with I = 3, or \(T, I\)",
        ),
        (torch.zeros(I), None, None, r"x has the shape \(3,\); expected \(B, T, I\)"),
        (torch.zeros(1, B, T, I), None, None, r"x has the shape \(1, 3, 5, 3\)"),
        (torch.zeros(T, 2), None, None, r"x has the shape \(5, 2\)"),
        (torch.zeros(0, T, I), None, None, r"x has the shape \(0, 5, 3\); expected at least one row and one step"),
        (torch.zeros(B, 0, I), None, None, "at least one row and one step"),
        (torch.zeros(0, I), None, None, r"x has the shape \(0, 3\); expected at least one row and one step"),
        (X.double(), None, None, r"x is torch.float64 on cpu, and the layer torch.float32 on cpu; move one of them"),
        (X.long(), None, None, "x is torch.int64 on cpu"),
        (X.to("meta"), None, None, "x is torch.float32 on meta, and the layer torch.float32 on cpu"),
        ([[1.0]], None, None, "x is a list; expected"),
        (torch.nn.utils.rnn.pack_sequence([X[0]]), None, None, "x is a PackedSequence; .* pad ragged sequences and gi"),
        (X, None, [3, 5], r"lengths has the shape \(2,\) and dtype torch.int64; expected 3 whole numbers, one a row"),
        (X, None, 3, "lengths is 3; expected 3 whole numbers, one a row"),
        (X, None, [3.0, 5.0, 1.0], r"lengths has the shape \(3,\) and dtype torch.float32"),
        (X, None, [3j, 5, 1], "and dtype torch.complex64"),
        (X, None, [True, True, False], r"lengths is \[True, True, False\]; expected 3 whole numbers"),
        (X, None, torch.tensor([True, True, False]), "and dtype torch.bool"),
        (X, None, ["3", "5", "1"], r"lengths is \['3', '5', '1'\]; expected 3 whole numbers, one a row"),
        (X, None, [3, None, 1], r"lengths is \[3, None, 1\]; expected 3 whole numbers"),
        (X, None, [3, 0, 1], "the length of row 1 is 0; expected 1 to T = 5: leave empty sequences out"),
        (X, None, [3, 5, 6], "the length of row 2 is 6; expected 1 to T = 5"),
        (X, None, [-1, 5, 1], "the length of row 0 is -1"),
        (X, {"c": torch.zeros(2, B, H)}, None, "'c' is not a state of this cell; its states are: memory, h$"),
        (
            X,
            {"h": torch.zeros(1, B, H)},
            None,
            r"'h' has the shape \(1, 3, 4\); expected \(L · D, B, H\) = \(2, 3, 4\)",
        ),
        (X, {"h": torch.zeros(2, H)}, None, r"'h' has the shape \(2, 4\); expected \(L · D, B, H\)"),
        (X[0], {"h": torch.zeros(2, 1, H)}, None, r"'h' has the shape \(2, 1, 4\); expected \(L · D, H\) = \(2, 4\)"),
        (X[0], {"h": torch.zeros(())}, None, r"'h' has the shape \(\); expected \(L · D, H\)"),
        (
            X,
            {"h": torch.zeros(2, B, H).double()},
            None,
            "the state 'h' is torch.float64 on cpu, and the layer torch.fl",
        ),
        (X, {"h": 0.0}, None, r"the state 'h' is 0.0; expected \(L · D, B, H\)"),
        (X, torch.zeros(2, B, H), None, "the state is a Tensor; expected a dict by the names of states: memory, h$"),
        (X, (torch.zeros(2, B, H),) * 2, None, "the state is a tuple; expected a dict"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(x, state, lengths, message):
    with pytest.raises(ShapeError, match=message) as error:
        LAYER(x, state, lengths)
    assert "\n" not in str(error.value)


def test_the_axes_in_a_message_are_those_that_were_asked_for():
    with pytest.raises(ShapeError, match=r"expected \(T, B, I\) with I = 3"):
        Recurrent("gru", I, H, batch_first=False)(torch.zeros(T, B, 2))


def test_a_cell_without_a_state_takes_none():
    with pytest.raises(ShapeError, match="'h' is not a state of this cell; its states are: none"):
        Recurrent(STATELESS, I, H)(X, {"h": torch.zeros(1, B, H)})


def test_dropped_weights_and_zoneout_go_together():
    layer = Recurrent("rnn", 3, 4, weight_drop=0.2, zoneout=0.1)
    outputs, _ = layer(torch.randn(2, 5, 3))
    outputs.sum().backward()
    assert all(bool(parameter.grad.isfinite().all()) for parameter in layer.parameters())
