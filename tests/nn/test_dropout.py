"""Every kind of dropout in training and at rest, on any cell, by what it does to numbers that show its masks."""

import math

import pytest
import torch

from recurra import Cell, Recurrent, cells
from recurra.backends.choose import BACKENDS
from recurra.cells import CATALOGUE, modifiers
from recurra.errors import SettingError
from recurra.nn import Dropout, LockedDropout
from recurra.nn.dropout import check_rate, draw_kept, draw_noise, drop_weights, recurrent_matrices

EVERY_CELL = pytest.mark.parametrize("cell", CATALOGUE.values(), ids=CATALOGUE)
EVERY_BACKEND = pytest.mark.parametrize("backend", BACKENDS)
RECURRENT = [cell for cell in CATALOGUE.values() if recurrent_matrices(cell)]
EVERY_RECURRENT_CELL = pytest.mark.parametrize("cell", RECURRENT, ids=lambda cell: cell.name)
PASS = Cell("h[t] = W @ x[t]")
"""With W the identity, what goes in comes out."""
ADD = Cell("h[t] = h[t-1] + W @ x[t]")
"""Likewise, and what comes is added up: each step adds what was not dropped or zoned out."""
REPEAT = Cell("h[t] = W @ [x[t], h[t-1]]")
SIZE, BATCH, STEPS = 40, 4, 5


def layer_of(cell, **options):
    """A layer whose products with x[t] and h[t-1] give back what they are given, in training."""
    layer = Recurrent(cell, SIZE, SIZE, **{"backend": "reference", "dtype": torch.float64, **options})
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.copy_(torch.eye(SIZE).repeat(1, parameter.shape[1] // SIZE))
    return layer.train()


def ones(*shape):
    return torch.ones(*shape, dtype=torch.float64)


def is_inverted_dropout(mask, rate):
    """Only zeros and 1 / (1 - rate), as many zeros as the rate says within 5 standard errors."""
    dropped = mask == 0
    torch.testing.assert_close(mask[~dropped], torch.full_like(mask[~dropped], 1 / (1 - rate)))
    assert abs(float(dropped.double().mean()) - rate) < 5 * math.sqrt(rate * (1 - rate) / mask.numel())


def all_differ(masks):
    return all(not torch.equal(a, b) for k, a in enumerate(masks) for b in masks[:k])


# Between layers ------------------------------------------------------------------------------------------------------


@EVERY_BACKEND
def test_dropout_between_layers_is_drawn_anew_at_every_step(backend):
    layer = layer_of(PASS, num_layers=2, dropout=0.3, backend=backend)
    outputs, _ = layer(ones(BATCH, STEPS, SIZE))
    is_inverted_dropout(outputs, 0.3)
    assert all_differ(outputs.flatten(0, 1))


def test_dropout_is_between_layers_alone():
    """As in torch.nn: neither what goes into the first layer nor what comes out of the last is touched."""
    x = torch.randn(BATCH, STEPS, SIZE, dtype=torch.float64)
    assert torch.equal(layer_of(PASS, dropout=0.9)(x)[0], x)
    layer = layer_of(ADD, num_layers=3, dropout=0.25)
    _, last = layer(ones(BATCH, 1, SIZE))
    first, second, third = last["h"]
    assert bool((first == 1).all())
    is_inverted_dropout(second, 0.25)
    torch.testing.assert_close(third[third != 0], torch.full_like(third[third != 0], (1 / 0.75) ** 2))
    assert int((third != 0).sum()) < int((second != 0).sum())


def test_both_directions_read_what_is_left_between_layers():
    layer = layer_of(PASS, num_layers=2, dropout=0.5, bidirectional=True)
    ahead, back = layer(ones(BATCH, STEPS, SIZE))[0].chunk(2, -1)
    assert torch.equal(ahead, back)
    assert set(ahead.unique().tolist()) == {0.0, 2.0, 4.0}


# On the input, locked ------------------------------------------------------------------------------------------------


@EVERY_BACKEND
def test_input_dropout_is_one_mask_a_sequence_and_direction(backend):
    layer = layer_of(PASS, input_dropout=0.3, bidirectional=True, backend=backend)
    outputs, _ = layer(ones(BATCH, STEPS, SIZE))
    masks = outputs[:, 0]
    is_inverted_dropout(masks, 0.3)
    assert bool((outputs == masks[:, None]).all())
    assert all_differ([*masks[:, :SIZE], *masks[:, SIZE:]])


def test_input_dropout_is_on_every_layer():
    layer = layer_of(PASS, input_dropout=0.5, num_layers=2)
    outputs, _ = layer(ones(BATCH, STEPS, SIZE))
    assert set(outputs.unique().tolist()) == {0.0, 4.0}
    assert abs(float((outputs[:, 0] == 0).double().mean()) - 0.75) < 5 * math.sqrt(0.75 * 0.25 / (BATCH * SIZE))


def test_input_dropout_with_time_first():
    outputs, _ = layer_of(PASS, input_dropout=0.5, batch_first=False)(ones(STEPS, BATCH, SIZE))
    assert bool((outputs == outputs[:1]).all())
    assert all_differ(outputs[0])


def test_locked_dropout_alone():
    x = torch.randn(3, 7, 50, 2)
    dropout = LockedDropout(0.4)
    factors = dropout(x) / x
    is_inverted_dropout(factors[:, 0], 0.4)
    torch.testing.assert_close(factors, factors[:, :1].expand_as(factors))
    factors = dropout(x, time=0) / x
    torch.testing.assert_close(factors, factors[:1].expand_as(factors))
    assert all_differ(factors[0].unbind(0))
    assert dropout.eval()(x) is x
    assert LockedDropout(0.0)(x) is x
    assert repr(dropout) == "LockedDropout(rate=0.4)"


# Masks drawn four at a time -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("probability", [1e-6, 0.002, 0.2, 1 / 3, 0.5, 0.75, 0.999, 1 - 1e-6])
def test_kept_are_drawn_with_their_probability(probability, dtype):
    kept = draw_kept((1001, 999), probability, torch.zeros(1, dtype=dtype))
    assert kept.shape == (1001, 999)
    assert kept.dtype == dtype
    share, deviation = float(kept.double().mean()), math.sqrt(probability * (1 - probability) / kept.numel())
    assert abs(share - probability) < 5 * deviation + 1e-3 * min(probability, 1 - probability)
    assert bool(((kept == 0) | (kept == 1)).all())


@pytest.mark.parametrize(("probability", "value"), [(0.0, 0.0), (1.0, 1.0)])
def test_kept_for_certain(probability, value):
    assert draw_kept((70_000,), probability, torch.zeros(1)).unique().tolist() == [value]


@pytest.mark.parametrize("size", [0, 1, 2, 3, 4, 5, 1023])
def test_kept_of_any_number_repeat_with_the_seed_and_differ_without(size):
    draws = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        draws.append(draw_kept((size,), 0.5, torch.zeros(1)))
    assert draws[0].shape == (size,)
    assert torch.equal(draws[0], draws[1])
    assert size < 1000 or not torch.equal(draws[0], draws[2])


def test_kept_of_neighbours_are_independent():
    """Four elements share one draw of 64 bits: each of its quarters is as random as another."""
    kept = draw_kept((250_000, 4), 0.3, torch.zeros(1, dtype=torch.float64))
    torch.testing.assert_close(torch.corrcoef(kept.T), torch.eye(4, dtype=torch.float64), atol=0.01, rtol=0)
    torch.testing.assert_close(kept.mean(0), kept.new_full((4,), 0.3), atol=0.005, rtol=0)


def test_dropout_is_torchs_but_for_the_draw():
    x = torch.randn(400, 50, dtype=torch.float64, requires_grad=True)
    dropout = Dropout(0.4)
    y = dropout(x)
    factors = (y / x).detach()
    is_inverted_dropout(factors, 0.4)
    (gradient,) = torch.autograd.grad(y.sum(), x)
    torch.testing.assert_close(gradient, factors)
    assert dropout.eval()(x) is x
    assert Dropout(0.0)(x) is x
    assert repr(dropout) == repr(torch.nn.Dropout(0.4)) == "Dropout(p=0.4, inplace=False)"
    with pytest.raises(SettingError, match="p is 1"):
        Dropout(1)


# On the state, locked ------------------------------------------------------------------------------------------------


@EVERY_BACKEND
def test_state_dropout_is_one_mask_a_sequence_layer_and_direction(backend):
    layer = layer_of("h[t] = W @ h[t-1]", state_dropout=0.3, bidirectional=True, backend=backend)
    outputs, _ = layer(ones(BATCH, STEPS, SIZE), {"h": ones(2, BATCH, SIZE)})
    ahead, back = outputs[..., :SIZE], outputs[..., SIZE:].flip(1)
    for steps in (ahead, back):
        is_inverted_dropout(steps[:, 0], 0.3)
        for t in range(STEPS):
            torch.testing.assert_close(steps[:, t], steps[:, 0] ** (t + 1))
    assert all_differ([*ahead[:, 0], *back[:, 0]])


def test_states_are_dropped_each_at_its_own_rate():
    cell = Cell("a[t] = A @ a[t-1]\nb[t] = B @ b[t-1]\nh[t] = a[t] + b[t]")
    layer = layer_of(cell, state_dropout={"a": 0.5})
    _, last = layer(ones(BATCH, 1, SIZE), {"a": ones(1, BATCH, SIZE), "b": ones(1, BATCH, SIZE)})
    is_inverted_dropout(last["a"], 0.5)
    assert bool((last["b"] == 1).all())


# Zoneout -------------------------------------------------------------------------------------------------------------


@EVERY_BACKEND
@pytest.mark.parametrize("rate", [0.1, 0.6])
def test_zoneout_keeps_units_drawn_anew_at_every_step(rate, backend):
    outputs, last = layer_of(ADD, zoneout=rate, bidirectional=True, backend=backend)(ones(BATCH, STEPS, SIZE))
    start = torch.zeros(BATCH, 1, SIZE, dtype=torch.float64)
    ahead = torch.cat([start, outputs[..., :SIZE]], 1).diff(dim=1)
    back = torch.cat([start, outputs[..., SIZE:].flip(1)], 1).diff(dim=1)
    renewed = torch.stack([ahead, back])
    assert set(renewed.unique().tolist()) == {0.0, 1.0}
    spread = math.sqrt(rate * (1 - rate) / renewed.numel())
    assert abs(float((renewed == 0).double().mean()) - rate) < 5 * spread
    assert all_differ(renewed.flatten(0, 2))
    assert torch.equal(last["h"][0], outputs[:, -1, :SIZE])


def test_zoneout_at_a_rate_for_each_state():
    layer = Recurrent("lstm", 3, 5, zoneout={"h": 0.05, "memory": 0.5})
    assert layer.cell == modifiers.zoneout(cells.LSTM, {"h": 0.05, "memory": 0.5})
    assert Recurrent("s-lstm", 3, 5, zoneout={"h": 0.1}).cell.noise.keys() == {"zoneout_h"}


# Weight drop ---------------------------------------------------------------------------------------------------------


@EVERY_BACKEND
def test_weight_drop_is_on_the_columns_that_meet_the_state(backend):
    """A row of the batch for each column of W: what comes out is the column as it was in this pass."""
    layer = Recurrent(REPEAT, SIZE, SIZE, weight_drop=0.3, backend=backend, dtype=torch.float64)
    weights = layer.layers[0].W.detach()
    eye, zero = torch.eye(SIZE).double(), torch.zeros(SIZE, SIZE).double()
    _, last = layer(zero[:, None], {"h": eye[None]})
    is_inverted_dropout(last["h"][0].T / weights[:, SIZE:], 0.3)
    torch.testing.assert_close(layer(eye[:, None])[1]["h"][0].T, weights[:, :SIZE])


def test_weight_drop_is_the_same_at_every_step_and_for_every_row():
    layer = Recurrent("h[t] = W @ h[t-1]", SIZE, SIZE, weight_drop=0.3, dtype=torch.float64)
    outputs, _ = layer(torch.zeros(SIZE, 3, SIZE).double(), {"h": torch.eye(SIZE).double()[None]})
    once = outputs[:, 0].T
    torch.testing.assert_close(outputs[:, 1].T, once @ once)
    torch.testing.assert_close(outputs[:, 2].T, once @ once @ once)


def test_weight_drop_is_drawn_anew_for_every_pass_layer_and_direction():
    layer = Recurrent("h[t] = W @ h[t-1]", SIZE, SIZE, 2, True, weight_drop=0.3)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.fill_(1.0)
    state = {"h": torch.ones(4, 1, SIZE)}
    passes = [layer(torch.zeros(1, 1, SIZE), state)[1]["h"][:, 0] for _ in range(2)]
    assert all_differ([mask for made in passes for mask in made])


@EVERY_RECURRENT_CELL
def test_dropped_weights_are_those_of_recurrent_columns(cell):
    layer = Recurrent(cell, 6, 8)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.uniform_(0.5, 1.0)
    whole = layer.layers[0].tensors(cell)
    dropped = drop_weights(cell, whole, 6, 0.4)
    assert list(dropped) == list(whole)
    factors = []
    for name, parameter in cell.parameters.items():
        if name not in recurrent_matrices(cell):
            assert dropped[name] is whole[name]
            continue
        assert parameter.kind == "matrix"
        sizes = parameter.column_sizes(6, 8)
        pieces = zip(*(t.detach().split(sizes, dim=1) for t in (dropped[name], whole[name])), strict=True)
        for recurrent, operand, (new, old) in zip(parameter.recurrent, parameter.operands, pieces, strict=True):
            assert recurrent == (operand != "x[t]")
            if recurrent:
                factors.append((new / old).flatten())
            else:
                assert torch.equal(new, old)
    is_inverted_dropout(torch.cat(factors), 0.4)


@EVERY_BACKEND
def test_gradients_flow_through_the_weights_that_are_kept(backend):
    layer = Recurrent(REPEAT, SIZE, SIZE, weight_drop=0.3, backend=backend, dtype=torch.float64)
    weights = layer.layers[0].W
    state = {"h": torch.eye(SIZE).double()[None]}
    _, last = layer(torch.zeros(SIZE, 1, SIZE).double(), state)
    last["h"].sum().backward()
    kept = last["h"][0].T.detach() != 0
    gradient = weights.grad[:, SIZE:]
    assert not gradient[~kept].any()
    torch.testing.assert_close(gradient[kept], torch.full_like(gradient[kept], 1 / 0.7))
    assert 0 < int(kept.sum()) < kept.numel()


def test_the_matrices_that_are_recurrent():
    assert recurrent_matrices(cells.GRU) == ["W_update", "W_relevance", "W_candidate"]
    assert recurrent_matrices(cells.LiGRU) == ["U_update", "U_candidate"]
    assert recurrent_matrices(cells.AntisymmetricRNN) == ["W_recurrent"]
    assert recurrent_matrices(Cell("a[t] = V @ x[t]\nh[t] = W @ h[t-1] + U @ a[t]")) == ["W"]
    assert recurrent_matrices(cells.MinGRU) == recurrent_matrices(cells.IndRNN) == []


# On every cell -------------------------------------------------------------------------------------------------------

RATES = {"dropout": 0.3, "input_dropout": 0.3, "zoneout": 0.3, "state_dropout": 0.3, "weight_drop": 0.3}
NEEDS_RECURRENT_MATRIX = {"state_dropout", "weight_drop"}


def kinds_for(cell):
    return {
        kind: rate for kind, rate in RATES.items() if recurrent_matrices(cell) or kind not in NEEDS_RECURRENT_MATRIX
    }


def small(cell, **options):
    """A layer in both directions, and where there is dropout between layers two of them."""
    torch.manual_seed(1)
    layers = 2 if "dropout" in options else 1
    return Recurrent(
        cell, 3, 5, num_layers=layers, bidirectional=True, backend="reference", dtype=torch.float64, **options
    )


def run(layer, seed=0):
    x = torch.randn(3, 4, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    torch.manual_seed(seed)
    outputs, last = layer(x, lengths=[4, 2, 3])
    return torch.cat([outputs.flatten(), *(value.flatten() for value in last.values())])


@EVERY_CELL
@pytest.mark.parametrize("kind", RATES)
def test_a_seed_repeats_a_pass_and_at_rest_there_is_no_chance(cell, kind):
    if kind not in kinds_for(cell):
        with pytest.raises(
            SettingError, match=f"{kind}: no .*{cell.name}.* nothing to drop|so there is no weight to dro"
        ):
            Recurrent(cell, 3, 5, **{kind: 0.3})
        assert Recurrent(cell, 3, 5, **{kind: 0.0}).cell is cell
        return
    layer = small(cell, **{kind: 0.3})
    first, second, other = run(layer, 0), run(layer, 0), run(layer, 1)
    assert bool(first.isfinite().all())
    assert torch.equal(first, second)
    assert not torch.equal(first, other)
    layer.eval()
    at_rest = run(layer, 0)
    assert torch.equal(at_rest, run(layer, 1))
    if kind != "zoneout":
        plain = small(cell, **({"dropout": 0.0} if kind == "dropout" else {}))
        plain.load_state_dict(layer.state_dict())
        torch.testing.assert_close(at_rest, run(plain), rtol=1e-14, atol=1e-14)


@EVERY_CELL
def test_zoneout_at_rest_moves_each_unit_by_its_expectation(cell):
    layer, plain = small(cell, zoneout=0.3).eval(), small(cell)
    x = torch.randn(3, 4, 3, dtype=torch.float64)
    _, before = plain(x)
    _, new = plain(x[:, :1], before)
    _, after = layer(x[:, :1], before)
    for key, (_, lag) in cell.carried.items():
        expected = 0.3 * before[key] + 0.7 * new[key] if lag == 1 else new[key]
        torch.testing.assert_close(after[key], expected, rtol=1e-12, atol=1e-12)


@EVERY_CELL
def test_all_kinds_together_give_every_parameter_a_gradient(cell):
    layer = small(cell, **dict.fromkeys(kinds_for(cell), 0.1), layer_norm=True)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.uniform_(0.1, 0.5)
    x = torch.randn(20, 4, 3, dtype=torch.float64)
    outputs, last = layer(x)
    (outputs.square().sum() + sum(value.sum() for value in last.values())).backward()
    for name, parameter in layer.named_parameters():
        assert bool(parameter.grad.isfinite().all()), name
        assert parameter.grad.any(), name


@EVERY_CELL
def test_the_keywords_are_the_modifiers_of_the_cell(cell):
    rates = {kind: rate for kind, rate in kinds_for(cell).items() if kind in ("zoneout", "state_dropout")}
    expected = modifiers.layer_norm(cell)
    if "state_dropout" in rates:
        expected = modifiers.state_dropout(expected, 0.3)
    expected = modifiers.zoneout(expected, 0.3)
    assert Recurrent(cell, 3, 5, layer_norm=True, **rates).cell == expected


def test_a_cell_that_was_modified_already_draws_in_the_layer():
    """So that a modifier may be applied to the cell as well."""
    layer = small(modifiers.zoneout(cells.GRU, 0.3))
    assert torch.equal(run(layer), run(small("gru", zoneout=0.3)))


# Noise ---------------------------------------------------------------------------------------------------------------


def test_noise_has_the_shape_dtype_and_odds_it_says():
    cell = modifiers.zoneout(modifiers.state_dropout(cells.RNN, 0.2), 0.6)
    noise = draw_noise(cell, 50, 4, 30, torch.empty(0, dtype=torch.float64))
    assert {name: tuple(drawn.shape) for name, drawn in noise.items()} == {
        "dropout_h": (4, 30),
        "zoneout_h": (50, 4, 30),
    }
    is_inverted_dropout(noise["dropout_h"], 0.2)
    kept = noise["zoneout_h"]
    assert kept.dtype == torch.float64
    assert set(kept.unique().tolist()) == {0.0, 1.0}
    assert abs(float(kept.mean()) - 0.6) < 5 * math.sqrt(0.24 / kept.numel())
    assert draw_noise(cell.at_rest, 50, 4, 30, kept) == {}


# What is refused -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*RATES])
@pytest.mark.parametrize("rate", [1, 1.0, 1.5, -0.1, math.nan, math.inf, "0.5", None, True])
def test_a_rate_is_a_probability_below_1(name, rate):
    with pytest.raises(SettingError, match=f"^{name} is {rate!r}; it is a probability from 0 up to, not including, 1$"):
        Recurrent("lstm", 3, 5, **{name: rate})
    with pytest.raises(SettingError, match=f"{name} is {rate!r}"):
        check_rate(name, rate)


def test_locked_dropout_refuses_what_is_no_rate():
    with pytest.raises(SettingError, match="rate is 2; it is a probability"):
        LockedDropout(2)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"cell": "lstm", "zoneout": {"c": 0.1}},
            "zoneout: 'c' is no state that it can act on here; those are: memory, h",
        ),
        ({"cell": "lstm", "zoneout": {"h": 1}}, "zoneout: the rate is 1; it is a probability"),
        ({"cell": "lstm", "state_dropout": {"memory": 0.1}}, "state_dropout: 'memory' is no state that it can act on"),
        ({"cell": PASS, "zoneout": 0.1}, "zoneout: this cell carries no state"),
        ({"cell": PASS, "weight_drop": 0.1}, "weight_drop: no matrix of this cell meets a value that depends on earli"),
        ({"cell": "min-gru", "weight_drop": 0.1}, "weight_drop: no matrix of the cell min-gru meets a value"),
        ({"cell": "h[t] = u * h[t-1]", "layer_norm": True}, "layer_norm: this cell has no product"),
    ],
)
def test_where_there_is_nothing_to_act_on_it_says_so_in_one_line(options, message):
    with pytest.raises(SettingError, match=message) as error:
        Recurrent(**options, input_size=3, hidden_size=5)
    assert "\n" not in str(error.value)
