"""A network that is advanced one step a call."""

import copy
import pickle

import numpy as np
import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.testing._internal.two_tensor import TwoTensor

from recurra import Cell, Recurrent
from recurra.cells import CATALOGUE
from recurra.errors import SettingError, ShapeError

BACKENDS = ("cpu", "reference")
EVERY_BACKEND = pytest.mark.parametrize("backend", BACKENDS)


def layer_of(cell="lstm", backend="cpu", sizes=(5, 7), **options):
    torch.manual_seed(0)
    return Recurrent(cell, *sizes, backend=backend, dtype=torch.float64, **options)


def streamed(stream, x):
    return torch.stack([stream.step(x[:, t]) for t in range(x.shape[1])], 1)


@EVERY_BACKEND
@pytest.mark.parametrize("name", CATALOGUE)
def test_steps_are_what_a_whole_pass_is(name, backend):
    layer = layer_of(name, backend)
    x = torch.randn(3, 6, 5, dtype=torch.float64)
    stream = layer.stream(batch_size=3)
    outputs, last = layer(x)
    torch.testing.assert_close(streamed(stream, x), outputs, rtol=0, atol=1e-12)
    for key, value in stream.state.items():
        torch.testing.assert_close(value, last[key], rtol=0, atol=1e-12)


@EVERY_BACKEND
@pytest.mark.parametrize(("batch", "hidden"), [(1, 1), (2, 3), (5, 33), (1, 64), (9, 100)])
def test_deep_networks_of_every_size(batch, hidden, backend):
    layer = layer_of("gru", backend, sizes=(3, hidden), num_layers=3)
    x = torch.randn(batch, 4, 3, dtype=torch.float64)
    stream = layer.stream(batch)
    outputs, last = layer(x)
    torch.testing.assert_close(streamed(stream, x), outputs, rtol=0, atol=1e-12)
    torch.testing.assert_close(stream.state["h"], last["h"], rtol=0, atol=1e-12)


ODD = {
    "further back": "h[t] = tanh(W @ [h[t-3], x[t]] + U @ h[t-1])",
    "a product with what x becomes": "h[t] = tanh(W @ h[t-1] + U @ sigmoid(x[t]))",
}


@EVERY_BACKEND
@pytest.mark.parametrize("text", ODD.values(), ids=ODD)
def test_cells_that_read_something_else(text, backend):
    layer = layer_of(Cell(text), backend, sizes=(7, 7))
    x = torch.randn(2, 8, 7, dtype=torch.float64)
    torch.testing.assert_close(streamed(layer.stream(2), x), layer(x)[0], rtol=0, atol=1e-12)


def looked_up(stream, table, ids, hidden):
    rows, out = torch.zeros(len(ids), dtype=torch.int64), torch.empty(len(ids), hidden, dtype=table.dtype)
    advance, outputs = stream.lookup(table, rows, out), []
    for t in range(ids.shape[1]):
        rows.copy_(ids[:, t])
        advance()
        outputs.append(out.clone())
    return torch.stack(outputs, 1)


@EVERY_BACKEND
@pytest.mark.parametrize("name", [*CATALOGUE, *ODD.values()])
@pytest.mark.parametrize(("batch", "layers"), [(1, 1), (3, 2)])
def test_steps_whose_inputs_are_rows_of_a_table_are_what_a_whole_pass_is(name, batch, layers, backend):
    layer = layer_of(name if name in CATALOGUE else Cell(name), backend, sizes=(7, 7), num_layers=layers)
    table, ids = torch.randn(8, 7, dtype=torch.float64), torch.randint(8, (batch, 6))
    stream = layer.stream(batch)
    stream.step(table[ids[:, 0]])
    outputs, last = layer(table[ids])
    torch.testing.assert_close(looked_up(stream, table, ids[:, 1:], 7), outputs[:, 1:], rtol=0, atol=1e-12)
    for key, value in stream.state.items():
        torch.testing.assert_close(value, last[key], rtol=0, atol=1e-12)


@pytest.mark.parametrize("batch", [1, 2])
def test_a_large_table_is_read_row_by_row(monkeypatch, batch):
    layer = layer_of("lstm")
    table, ids = torch.randn(9, 5, dtype=torch.float64), torch.randint(9, (batch, 4))
    kept = looked_up(layer.stream(batch), table, ids, 7)
    monkeypatch.setattr("recurra.backends.cpu.stream.MOST_PRODUCTS", 9 * 4 * 7 - 1)
    assert torch.equal(looked_up(layer.stream(batch), table, ids, 7), kept)


@EVERY_BACKEND
@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize("row", [-1, 9])
def test_a_row_that_a_table_has_not_is_not_read(backend, batch, row):
    rows, out = torch.zeros(batch, dtype=torch.int64), torch.empty(batch, 7, dtype=torch.float64)
    advance = layer_of("gru", backend).stream(batch).lookup(torch.randn(9, 5, dtype=torch.float64), rows, out)
    rows[-1] = row
    with pytest.raises((IndexError, RuntimeError), match=r"no row|out of range"):
        advance()


def test_a_table_that_does_not_fit_is_refused():
    stream = layer_of("gru").stream(2)
    table, rows, out = torch.randn(9, 5, dtype=torch.float64), torch.zeros(2, dtype=torch.int64), torch.empty(2, 7)
    good = {"inputs": table, "rows": rows, "out": out.double()}
    wrong = {
        "inputs": (table[:, :4], table.float(), table.T.contiguous().T, torch.nn.Parameter(table)),
        "rows": (rows[:1], rows.int(), torch.zeros(4, dtype=torch.int64)[::2]),
        "out": (out, out.double()[:1], out.double()[:, :6]),
    }
    for name, tensors in wrong.items():
        for tensor in tensors:
            with pytest.raises(ShapeError, match=f"{name} is .*; expected"):
                stream.lookup(**{**good, name: tensor})


def test_what_is_dropped_in_training_is_not_in_a_stream():
    layer = layer_of("lstm", num_layers=2, dropout=0.5, zoneout=0.3, weight_drop=0.5, input_dropout=0.5)
    x = torch.randn(2, 5, 5, dtype=torch.float64)
    found = streamed(layer.stream(2), x)
    torch.testing.assert_close(found, layer.eval()(x)[0], rtol=0, atol=1e-12)


@EVERY_BACKEND
def test_rows_go_back_to_where_they_began(backend):
    layer = layer_of("lstm", backend, learn_initial_state=True)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.normal_()
    x = torch.randn(3, 4, 5, dtype=torch.float64)
    stream = layer.stream(3)
    first = streamed(stream, x)
    torch.testing.assert_close(first, layer(x)[0], rtol=0, atol=1e-12)
    before = stream.state
    stream.reset([1])
    assert all(torch.equal(stream.state[key][:, [0, 2]], before[key][:, [0, 2]]) for key in before)
    again = stream.step(x[:, 0])
    torch.testing.assert_close(again[1], first[1, 0])
    assert not torch.allclose(again[0], first[0, 0])
    stream.reset()
    assert torch.equal(streamed(stream, x), first)


def test_a_state_is_given_and_taken():
    layer = layer_of("lstm", num_layers=2)
    x = torch.randn(2, 6, 5, dtype=torch.float64)
    _, state = layer(x[:, :3])
    stream = layer.stream(2)
    stream.state = state
    torch.testing.assert_close(streamed(stream, x[:, 3:]), layer(x)[0][:, 3:], rtol=0, atol=1e-12)
    taken = stream.state
    stream.step(x[:, 0])
    assert not torch.equal(taken["h"], stream.state["h"])


@EVERY_BACKEND
def test_weights_are_taken_when_asked(backend):
    layer = layer_of("gru", backend)
    x = torch.randn(1, 3, 5, dtype=torch.float64)
    stream = layer.stream()
    old = streamed(stream, x)
    with torch.no_grad():
        layer.layers[0].W_update.mul_(2)
    stream.reset()
    assert torch.equal(streamed(stream, x), old)
    state = stream.state
    stream.refresh()
    assert torch.equal(stream.state["h"], state["h"])
    stream.reset()
    torch.testing.assert_close(streamed(stream, x), layer(x)[0], rtol=0, atol=1e-12)


def test_outputs_are_tensors_of_their_own():
    stream = layer_of().stream()
    outputs = [stream.step(torch.randn(1, 5, dtype=torch.float64)) for _ in range(80)]
    copies = [output.clone() for output in outputs]
    for _ in range(80):
        stream.step(torch.randn(1, 5, dtype=torch.float64)).fill_(9)
    assert all(torch.equal(a, b) for a, b in zip(outputs, copies, strict=True))
    assert not outputs[0].requires_grad


def test_one_row_may_come_without_its_axis():
    layer = layer_of()
    x = torch.randn(4, 5, dtype=torch.float64)
    stream = layer.stream()
    found = torch.stack([stream(row) for row in x])
    torch.testing.assert_close(found, layer(x)[0], rtol=0, atol=1e-12)
    wide = torch.randn(5, 4, dtype=torch.float64).T[:1]  # not contiguous
    stream.reset()
    torch.testing.assert_close(stream(wide), layer(wide)[0], rtol=0, atol=1e-12)
    stream.reset()
    torch.testing.assert_close(stream(torch.nn.Parameter(wide)), layer(wide)[0], rtol=0, atol=1e-12)


def with_state(count=3):
    """A stream of two layers after a step, and what it holds."""
    stream = layer_of("lstm", num_layers=2).stream(count)
    stream.step(torch.randn(count, 5, dtype=torch.float64))
    return stream, stream.state


MASKS = {
    "tensor": torch.tensor([False, True, True]),
    "list": [False, True, True],
    "array": np.array([False, True, True]),
    "numbers": [1, 2],
    "tensor of numbers": torch.tensor([1, 2], dtype=torch.int32),
    "array of numbers": np.array([2, 1]),
    "numbers of another kind": [np.int64(1), torch.tensor(2)],
}


@pytest.mark.parametrize("rows", MASKS.values(), ids=MASKS)
def test_rows_are_given_by_number_or_as_a_mask(rows):
    stream, before = with_state()
    stream.reset(rows)
    for key, state in stream.state.items():
        assert torch.equal(state[:, 0], before[key][:, 0])
        assert not state[:, 1:].any()


NO_ROWS = {
    "a fraction": [0.7],
    "floats": torch.tensor([0.0, 1.0]),
    "text": "12",
    "a mask of another size": [True, False],
    "a mask of two axes": torch.ones(3, 1, dtype=torch.bool),
    "truth values among numbers": [0, True],
    "one number": 1,
    "a tensor of one": torch.tensor(1),
    "nothing": [None],
}


@pytest.mark.parametrize("rows", NO_ROWS.values(), ids=NO_ROWS)
def test_what_are_no_rows_resets_none(rows):
    stream, before = with_state()
    with pytest.raises(ShapeError, match=r"is no row; expected|^rows is |mask of rows has 2"):
        stream.reset(rows)
    assert all(torch.equal(stream.state[key], before[key]) for key in before)


def test_no_rows_are_none():
    stream, before = with_state()
    for rows in ([], torch.zeros(0, dtype=torch.long), [False] * 3):
        stream.reset(rows)
    assert all(torch.equal(stream.state[key], before[key]) for key in before)


COPIES = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "pickle": lambda stream: pickle.loads(pickle.dumps(stream)),
}


@EVERY_BACKEND
@pytest.mark.parametrize("copied", COPIES.values(), ids=COPIES)
def test_a_copy_goes_on_by_itself(backend, copied):
    layer = layer_of("lstm", backend, num_layers=2, learn_initial_state=True)
    x = torch.randn(2, 4, 5, dtype=torch.float64)
    stream, whole = layer.stream(2), layer(x)[0]
    stream.step(x[:, 0])
    other = copied(stream)
    torch.testing.assert_close(streamed(other, x[:, 1:]), whole[:, 1:], rtol=0, atol=1e-12)
    torch.testing.assert_close(streamed(stream, x[:, 1:]), whole[:, 1:], rtol=0, atol=1e-12)
    other.reset()
    torch.testing.assert_close(other.step(x[:, 0]), whole[:, 0], rtol=0, atol=1e-12)


def test_a_module_that_keeps_a_stream_is_copied_with_it():
    model = torch.nn.Module()
    model.layer = layer_of("gru")
    model.stream = model.layer.stream()
    other = copy.deepcopy(model)
    assert other.stream.layer is other.layer


@EVERY_BACKEND
def test_it_outlives_the_mode_that_it_was_made_in(backend):
    layer = layer_of("gru", backend)
    x = torch.randn(1, 5, dtype=torch.float64)
    expected = layer(x[:, None])[0][:, 0]
    with torch.inference_mode():
        stream = layer.stream()
        stream.step(x)
    stream.reset()
    torch.testing.assert_close(stream.step(x), expected, rtol=0, atol=1e-12)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        stream.reset()
        torch.testing.assert_close(stream.step(x), expected, rtol=0, atol=1e-12)
    if backend == "cpu":
        with FakeTensorMode(allow_non_fake_inputs=True):
            stream = layer.stream()
            found = stream.step(x)
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)


@EVERY_BACKEND
def test_an_input_that_is_not_to_be_read_from_memory_is_refused(backend):
    stream = layer_of("gru", backend).stream()
    x = torch.randn(1, 5, dtype=torch.float64)
    for wrong, message in ((x.to_sparse(), "has the layout torch.sparse_coo"), (TwoTensor(x, x), "x is a TwoTensor")):
        with pytest.raises(ShapeError, match=message):
            stream.step(wrong)


WRONG = {
    "another width": torch.zeros(1, 4, dtype=torch.float64),
    "another batch": torch.zeros(2, 5, dtype=torch.float64),
    "another dtype": torch.zeros(1, 5),
    "a whole sequence": torch.zeros(1, 3, 5, dtype=torch.float64),
    "a list": [0.0] * 5,
}


@pytest.mark.parametrize("x", WRONG.values(), ids=WRONG)
def test_what_does_not_fit_is_refused(x):
    with pytest.raises(ShapeError, match=r"expected \(B, I\) = \(1, 5\), torch.float64 on cpu"):
        layer_of().stream().step(x)


def test_what_cannot_be_streamed_is_refused():
    with pytest.raises(SettingError, match="bidirectional layer cannot be streamed"):
        layer_of(bidirectional=True).stream()
    for size in (0, -1, True, 2.0):
        with pytest.raises(SettingError, match="a whole number from 1"):
            layer_of().stream(size)
    stream = layer_of().stream(2)
    for row in (-1, 2):
        with pytest.raises(ShapeError, match=f"there is no row {row}; rows are 0 to 1"):
            stream.reset([row])
    with pytest.raises(ShapeError, match="not a state of this cell; its states are: memory, h"):
        stream.state = {"c": torch.zeros(1, 2, 7)}
    for value in (torch.zeros(2, 7), [0.0], None):
        with pytest.raises(ShapeError, match=r"expected \(L, B, H\) = \(1, 2, 7\)"):
            stream.state = {"h": value}
    with pytest.raises(ShapeError, match=r"the state 'h' is torch\.int64; expected torch\.float64"):
        stream.state = {"h": torch.zeros(1, 2, 7, dtype=torch.long)}
    with pytest.raises(ShapeError, match="expected a dict by the names of states: memory, h"):
        stream.state = torch.zeros(1, 2, 7)
