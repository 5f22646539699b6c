"""Echo state networks against their equations, the closed form of their readout, and the published benchmark."""

import copy
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from recurra.cells import CATALOGUE, GRU
from recurra.data.mackey_glass import mackey_glass
from recurra.equations import Cell
from recurra.errors import DataError, SettingError, ShapeError, TrainingError
from recurra.nn import echo_state
from recurra.nn.echo_state import EchoStateNetwork

WAVE = torch.sin(0.2 * torch.arange(400, dtype=torch.float64))[:, None]


def series(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * 2 - 1


def close(a, b, tolerance=1e-10):
    torch.testing.assert_close(a, b, rtol=0, atol=tolerance)


# The benchmark -------------------------------------------------------------------------------------------------------

RUNS, FORCED, AHEAD = 50, 1000, 84


def nrmse84(network, test):
    """Jaeger's equation 25: runs that follow one another, forced, then free; the errors at the last step, in the
    coordinates and in units of the standard deviation of the original series."""
    runs = test.view(RUNS, FORCED + AHEAD, 1)
    last = network.generate(AHEAD, primer=torch.tanh(runs[:, :FORCED] - 1))[:, -1]
    errors = torch.atanh(last) + 1 - runs[:, -1]
    return float((errors.square().mean() / test.var()).sqrt())


def test_mackey_glass_is_predicted_84_steps_ahead_with_an_error_below_a_thousandth():
    original = mackey_glass(3000 + RUNS * (FORCED + AHEAD), scheme="euler")
    # The report's network, with two changes: squares for the readout, and a density of 5% and not 1.25%. Its decay of
    # 0.9 and time constant of 0.44 are a leak of 0.396 with the states, and so the radius of 0.79, in units of 0.9.
    network = EchoStateNetwork(
        0,
        400,
        1,
        feedback=True,
        squares=True,
        density=0.05,
        spectral_radius=0.79 / 0.9,
        leak=0.44 * 0.9,
        feedback_scaling=0.56,
        bias_scaling=0.2 * 0.14,
    )
    network.fit(None, torch.tanh(original[:3000, None] - 1), washout=1000, ridge=1e-15)
    error = nrmse84(network, original[3000:])
    print(f"\nMackey-Glass, delay 17: 400 units, 3,000 steps of training, NRMSE84 = {error:.2g} (published: 0.00028)")
    assert error < 0.001


# The equations -------------------------------------------------------------------------------------------------------


def by_hand(network, x, y, free=False):
    """The network as its docstring writes it, a step of one series at a time."""
    own = network.reservoir.layers[0]
    leak = network.reservoir.cell.constants["leak"]
    h, before, outputs = torch.zeros(network.hidden_size, dtype=torch.float64), torch.zeros_like(y[0]), []
    for t in range(len(y)):
        heard = torch.cat([x[t], before]) if network.feedback else x[t]
        h = (1 - leak) * h + leak * torch.tanh(own.W_reservoir @ h + own.W_input @ heard + own.b)
        features = [torch.ones(1, dtype=torch.float64), heard, h, *([h * h] if network.squares else [])]
        outputs.append(network.readout @ torch.cat(features))
        before = outputs[-1] if free else y[t]
    return torch.stack(outputs)


@pytest.mark.parametrize("squares", [False, True])
@pytest.mark.parametrize(("inputs", "feedback"), [(2, False), (2, True), (0, True)])
def test_a_network_is_its_equations(inputs, feedback, squares):
    network = EchoStateNetwork(inputs, 12, 3, feedback=feedback, squares=squares, leak=0.6)
    network.readout.copy_(0.1 * series(*network.readout.shape, seed=1))
    x, y = series(4, 9, inputs), series(4, 9, 3, seed=2)
    given = x if inputs else None
    forced = network.predict(given, y if feedback else None)
    for row in range(4):
        close(forced[row], by_hand(network, x[row], y[row]))
    if feedback:
        free = torch.stack([by_hand(network, x[row], y[row], free=True) for row in range(4)])
        close(network.generate(9, inputs=given) if inputs else network.generate(9).expand(4, 9, 3), free)


def test_a_primer_is_forced_and_what_follows_is_free():
    network = EchoStateNetwork(2, 12, 1, feedback=True).fit(series(60, 2), series(60, 1, seed=1), washout=5)
    x, primer = series(3, 10, 2, seed=2), series(3, 6, 1, seed=3)
    _, state = network(x[:, :6], primer)
    close(state["output"][0], primer[:, -1])
    expected, _ = network(x[:, 6:], None, state)
    generated = network.generate(4, primer, x)
    close(generated, expected)
    close(network.generate(4, primer[0], x[0]), expected[0])
    # The first step generated has heard the primer's last step, and is therefore what a forced run says there.
    close(generated[:, 0], network.predict(x[:, :7], torch.cat([primer, generated[:, :1]], 1))[:, -1])


@pytest.mark.parametrize("forced", [True, False])
def test_a_run_goes_on_from_the_state_of_the_one_before(forced):
    network = EchoStateNetwork(1, 10, 2, feedback=True).fit(series(50, 1), series(50, 2, seed=1), washout=5)
    x, y = series(2, 9, 1, seed=2), series(2, 9, 2, seed=3) if forced else None
    for row in (slice(None), 0):
        own = None if y is None else y[row]
        whole, last = network(x[row], own)
        cut = x[row].shape[-2] - 5
        first, state = network(x[row][..., :cut, :], None if own is None else own[..., :cut, :])
        rest, end = network(x[row][..., cut:, :], None if own is None else own[..., cut:, :], state)
        close(torch.cat([first, rest], -2), whole)
        for key in last:
            close(end[key], last[key])


# The readout ---------------------------------------------------------------------------------------------------------


def features_and_targets(network, x, y, washout):
    """What the regression is over, from the network's own states, run by run."""
    rows = []
    for row in range(len(y)):
        drive = network._drive(x[row][None], y[row][None], torch.zeros(1, 1, y.shape[2], dtype=torch.float64))
        hidden, _ = network.reservoir(drive)
        rows.append(torch.cat(network._features(drive, hidden), -1)[0, washout:])
    return torch.cat(rows).numpy(), y[:, washout:].reshape(-1, y.shape[2]).numpy()


@given(
    st.integers(1, 3),
    st.integers(0, 2),
    st.booleans(),
    st.integers(0, 9),
    st.sampled_from([0.0, 1e-3, 1.0, 1e6]),
    st.sampled_from([7, 40, 1 << 16]),
)
@settings(max_examples=25)
def test_the_readout_minimises_the_penalised_error(batch, inputs, squares, washout, ridge, rows):
    """Against least squares of the same problem with the penalty written as further rows."""
    network = EchoStateNetwork(inputs, 8, 2, feedback=True, squares=squares, density=0.5)
    x, y = series(batch, 40, inputs, seed=1), 5 + series(batch, 40, 2, seed=2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(echo_state, "ROWS", rows)  # however the series is cut into parts
        network.fit(x if inputs else None, y, washout=washout, ridge=ridge)
    features, targets = features_and_targets(network, x, y, washout)
    penalty = math.sqrt(ridge) * np.eye(features.shape[1])[1:]
    expected = np.linalg.lstsq(np.vstack([features, penalty]), np.vstack([targets, np.zeros((len(penalty), 2))]))[0]
    np.testing.assert_allclose(network.readout.numpy(), expected.T, rtol=1e-6, atol=1e-7)


def test_with_fewer_steps_than_features_the_readout_is_the_smallest_that_fits():
    network = EchoStateNetwork(1, 50, 1)
    x, y = series(1, 20, 1), series(1, 20, 1, seed=1)
    network.fit(x, y, washout=0, ridge=0.0)
    close(network.predict(x), y, 1e-9)
    features, targets = features_and_targets(network, x, y, 0)
    centred = features[:, 1:] - features[:, 1:].mean(0)
    smallest = np.linalg.pinv(centred) @ (targets - targets.mean(0))
    np.testing.assert_allclose(network.readout[:, 1:].numpy(), smallest.T, atol=1e-8)


def test_one_step_is_enough_for_a_constant():
    network = EchoStateNetwork(1, 5, 2).fit(series(3, 1), series(3, 2, seed=1), washout=2)
    close(network.readout[:, 0], series(3, 2, seed=1)[2])


def test_the_constant_is_not_penalised():
    x, y = series(80, 1), series(80, 1, seed=1)
    near, far = (EchoStateNetwork(1, 10, 1).fit(x, y + shift, ridge=0.5, washout=9).predict(x) for shift in (0, 300))
    close(far, near + 300, 1e-8)
    flat = EchoStateNetwork(1, 10, 1).fit(x, y, ridge=1e12, washout=9).predict(x)
    close(flat, y[9:].mean().expand(80, 1), 1e-6)


def test_almost_dependent_states_do_not_drown_the_readout():
    """A small ridge on a reservoir that barely moves: the normal equations lose this by orders of magnitude."""
    network = EchoStateNetwork(0, 60, 1, feedback=True, feedback_scaling=1e-3, bias_scaling=0.1)
    network.fit(None, WAVE, washout=100, ridge=1e-18)
    error = (network.predict(None, WAVE) - WAVE)[100:].abs().max()
    features, targets = features_and_targets(network, WAVE[None, :, :0], WAVE[None], 100)
    normal = np.linalg.lstsq(features.T @ features, features.T @ targets)[0]
    assert error < 1e-8
    assert error < 0.1 * np.abs(features @ normal - targets).max()


def test_several_series_are_fitted_and_predicted_as_each_alone():
    x, y = series(3, 60, 2), series(3, 60, 1, seed=1)
    network = EchoStateNetwork(2, 10, 1, feedback=True).fit(x, y, washout=10)
    close(network.predict(x, y), torch.stack([network.predict(a, b) for a, b in zip(x, y, strict=True)]))
    close(
        network.generate(5, y, torch.cat([x, x[:, :5]], 1))[1], network.generate(5, y[1], torch.cat([x[1], x[1, :5]]))
    )


# The theory ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("radius", [0.5, 0.95, 2.5])
def test_below_a_spectral_radius_of_one_the_beginning_is_forgotten(radius):
    """The echo state property: the input alone decides the state, once the beginning is washed out."""
    network = EchoStateNetwork(
        1, 60, 1, spectral_radius=radius, density=1.0, input_scaling=0.05, leak=1.0, bias_scaling=0.0
    )
    x = series(2000, 1).expand(2, 2000, 1)
    hidden, _ = network.reservoir(x, {"h": series(1, 2, 60, seed=1)})
    apart = (hidden[0] - hidden[1]).abs().amax(-1)
    assert (apart[-1] < 1e-12) == (radius < 1)
    assert apart[0] > 1e-2


def test_the_reservoir_is_as_asked():
    network = EchoStateNetwork(
        2,
        100,
        1,
        feedback=True,
        spectral_radius=0.7,
        density=0.2,
        input_scaling=0.3,
        feedback_scaling=2.0,
        bias_scaling=0.1,
    )
    own = network.reservoir.layers[0]
    assert float(torch.linalg.eigvals(own.W_reservoir).abs().max()) == pytest.approx(0.7, abs=1e-6)
    assert float((own.W_reservoir != 0).double().mean()) == pytest.approx(0.2, abs=0.02)
    largest = own.W_input.abs().amax(0)
    assert ((largest > torch.tensor([0.28, 0.28, 1.8])) & (largest <= torch.tensor([0.3, 0.3, 2.0]))).all()
    assert 0.09 < float(own.b.abs().max()) <= 0.1
    assert not any(p.requires_grad for p in network.parameters())
    assert {p.dtype for p in network.parameters()} == {torch.float64}


def test_a_reservoir_recalls_what_it_heard_and_the_older_the_less():
    x = series(900, 1)
    network = EchoStateNetwork(1, 60, 12, leak=1.0, input_scaling=0.1, bias_scaling=0.0)
    y = torch.cat([torch.cat([x.new_zeros(k, 1), x[: 900 - k]]) for k in range(1, 13)], -1)
    recalled = network.fit(x[:600], y[:600], washout=50).predict(x)[600:]
    errors = ((recalled - y[600:]).square().mean(0) / y[600:].var(0)).sqrt()
    assert errors[2] < 0.02
    assert 3 * errors[2] < errors[9]


def test_noise_in_training_makes_a_melody_return_to_its_course():
    """Jaeger's section 4.1: without noise the learned melody is no attractor, and a small error grows."""
    melody = series(12, 1, seed=1).repeat(60, 1) / 2
    disturbed = melody[:120] + 0.01 * series(120, 1, seed=2)
    off = {}
    for noise in (0.0, 1e-4):
        network = EchoStateNetwork(
            0, 100, 1, feedback=True, leak=1.0, spectral_radius=0.8, feedback_scaling=1.0, bias_scaling=0.0
        )
        network.fit(None, melody[:600], washout=200, noise=noise, ridge=0.0)
        off[noise] = (network.generate(600, disturbed) - melody[120:]).abs()
    assert off[0.0][:12].max() < 0.1 < off[0.0][-12:].max()
    assert off[1e-4][:12].max() > 1e-3 > 10 * off[1e-4][-12:].max()


@pytest.mark.parametrize("name", CATALOGUE)
def test_any_cell_is_a_reservoir(name):
    network = EchoStateNetwork(0, 30, 1, cell=name, feedback=True)
    network.fit(None, WAVE[:300], washout=100)
    errors = (network.predict(None, WAVE) - WAVE)[100:300]
    # From the step before alone a sine is predicted up to sin(0.2) = 0.2 of its own size.
    assert (errors.square().mean() / WAVE.var()).sqrt() < 0.03
    assert network.generate(20, WAVE[:300]).isfinite().all()


def test_a_cell_of_ones_own_is_a_reservoir_and_keeps_its_initial_values():
    cell = Cell("h[t] = tanh(W @ [h[t-1], x[t]] + 0.1 * h[t-2] + b)", initial={"b": 0.25})
    network = EchoStateNetwork(1, 30, 1, cell=cell, spectral_radius=0.4, input_scaling=0.2)
    own = network.reservoir.layers[0]
    assert float(torch.linalg.eigvals(own.W[:, :30]).abs().max()) == pytest.approx(0.4, abs=1e-6)
    assert float(own.W[:, 30].abs().max()) <= 0.2
    assert (own.b == 0.25).all()
    assert set(network.fit(series(50, 1), series(50, 1), washout=9)(series(5, 1))[1]) == {"h", "h[t-1]"}


# A module like any other ---------------------------------------------------------------------------------------------


def test_a_seed_repeats_the_network_and_leaves_the_global_generator_alone():
    before = torch.get_rng_state()
    a, b, c = (EchoStateNetwork(0, 20, 1, feedback=True, seed=seed) for seed in (3, 3, 4))
    a.fit(None, WAVE, noise=1e-3)
    b.fit(None, WAVE, noise=1e-3)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(a.readout, b.readout)
    assert not torch.equal(a.reservoir.layers[0].W_reservoir, c.reservoir.layers[0].W_reservoir)
    assert not torch.equal(a.readout, b.fit(None, WAVE, noise=1e-3, seed=1).readout)


def test_a_state_dict_is_the_whole_network(tmp_path):
    network = EchoStateNetwork(0, 20, 1, feedback=True, squares=True).fit(None, WAVE, washout=50)
    assert list(network.state_dict()) == [
        "readout",
        "reservoir.layers.0.W_reservoir",
        "reservoir.layers.0.W_input",
        "reservoir.layers.0.b",
    ]
    save_file(network.state_dict(), tmp_path / "network.safetensors")
    other = EchoStateNetwork(0, 20, 1, feedback=True, squares=True, seed=9)
    assert not other.fitted
    other.load_state_dict(load_file(tmp_path / "network.safetensors"))
    assert other.fitted
    for same in (other, copy.deepcopy(network)):
        assert torch.equal(same.generate(30, WAVE), network.generate(30, WAVE))


def test_it_works_in_float32_and_takes_series_of_any_dtype():
    network = EchoStateNetwork(0, 30, 1, feedback=True, dtype=torch.float32).fit(None, WAVE[:300], ridge=1e-6)
    generated = network.generate(50, WAVE[:300].float())
    assert generated.dtype == torch.float32
    assert (generated - WAVE[300:350]).abs().max() < 0.05


def test_gradients_reach_the_inputs():
    network = EchoStateNetwork(2, 10, 1).fit(series(60, 2), series(60, 1), washout=5)
    x = series(1, 6, 2, seed=5).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: network(x)[0], x)
    assert not network.predict(x).requires_grad


def test_its_repr_says_what_it_is():
    text = repr(EchoStateNetwork(1, 5, 2, feedback=True))
    assert text.startswith("EchoStateNetwork(\n  1, 5, 2, feedback=True, not fitted\n")


# Mistakes ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"input_size": 0}, "input_size is 0 and feedback False, so nothing drives the reservoir; set feedback=True"),
        ({"input_size": -1}, "input_size is -1; it is a whole number from 0"),
        ({"seed": -1}, "seed is -1; it is a whole number from 0"),
        ({"density": "all"}, "density is 'all'; it is a finite number from 0"),
        ({"output_size": 0}, "output_size is 0; it is a whole number from 1"),
        ({"hidden_size": 0}, "hidden_size is 0; it is a whole number from 1"),
        ({"density": 0}, "density is 0; it is a share above 0, at most 1"),
        ({"density": 1.5}, "density is 1.5; it is a share above 0, at most 1"),
        ({"spectral_radius": -0.1}, "spectral_radius is -0.1; it is a finite number from 0"),
        ({"input_scaling": math.nan}, "input_scaling is nan; it is a finite number from 0"),
        ({"feedback_scaling": "a"}, "feedback_scaling is 'a'; it is a finite number from 0"),
        ({"bias_scaling": math.inf}, "bias_scaling is inf; it is a finite number from 0"),
        ({"leak": 0}, "leak is 0; it is a number above 0, at most 1"),
        ({"cell": GRU, "leak": 0.5}, "this cell has no constant 'leak' to set; its constants: none. Give leak=None"),
        ({"cell": "gruu"}, "there is no cell 'gruu'; did you mean gru?"),
        ({"cell": "output[t] = tanh(W @ [output[t-1], x[t]])"}, "the state of a reservoir cannot be called 'output'"),
        ({"backend": "abacus"}, "there is no backend 'abacus'"),
    ],
)
def test_an_impossible_setting_is_refused(arguments, message):
    with pytest.raises(SettingError) as caught:
        EchoStateNetwork(**{"input_size": 1, "hidden_size": 4, "output_size": 1, **arguments})
    assert str(caught.value).startswith(message)


X, Y = series(20, 2), series(20, 1)
HOLE = torch.where(torch.arange(20)[:, None] == 7, math.nan, X)
MISTAKES = [
    (lambda n: n.fit(X, Y, washout=20), DataError, "the series has 20 steps, and washout=20 leaves none of them"),
    (lambda n: n.fit(X, Y, washout=-1), SettingError, "washout is -1; it is a whole number from 0"),
    (lambda n: n.fit(X, Y, ridge=-1.0), SettingError, "ridge is -1.0; it is a finite number from 0"),
    (lambda n: n.fit(X, Y, noise=math.nan), SettingError, "noise is nan; it is a finite number from 0"),
    (lambda n: n.fit(HOLE, Y), DataError, "inputs holds nan at step 7, column 0; expected finite numbers: fill"),
    (lambda n: n.fit(X[None], 1 / (Y[None] * 0)), DataError, "targets holds "),
    (lambda n: n.fit(Y, Y), ShapeError, "inputs has the shape (20, 1); expected (B, T, I) or (T, I) with I = 2"),
    (lambda n: n.fit(X, X), ShapeError, "targets has the shape (20, 2); expected (B, T, O) or (T, O) with O = 1"),
    (lambda n: n.fit(X, Y[:, 0]), ShapeError, "targets has the shape (20,); expected (B, T, O) or (T, O) with O = 1"),
    (lambda n: n.fit(X, Y[:9]), ShapeError, "inputs has the shape (20, 2) and targets (9, 1); expected both with as"),
    (lambda n: n.fit(X, Y[None]), ShapeError, "inputs has the shape (20, 2) and targets (1, 20, 1); expected both"),
    (lambda n: n.fit(X[:0], Y[:0]), ShapeError, "inputs has the shape (0, 2); expected"),
    (lambda n: n.fit(None, Y), ShapeError, "no inputs were given; expected (B, T, I) or (T, I) with I = 2"),
    (lambda n: n.predict(X, Y), TrainingError, "the network has no readout yet; call fit(inputs, targets)"),
    (lambda n: n.generate(3, Y), TrainingError, "the network has no readout yet"),
    (lambda n: fitted(n).generate(0), SettingError, "steps is 0; it is a whole number from 1"),
    (lambda n: fitted(n).generate(3, Y, X), ShapeError, "inputs has the shape (20, 2); expected 23 steps, 20 of the"),
    (lambda n: fitted(n).generate(3, Y), ShapeError, "no inputs were given"),
    (lambda n: fitted(n).generate(3, Y[:, 0], X[:3]), ShapeError, "primer has the shape (20,)"),
    (lambda n: fitted(n)(X, Y, {"output": Y[:, 0]}), ShapeError, "the state 'output' is (20, 1) with its batch; expe"),
    (lambda n: fitted(n)(X, Y, {"c": Y[:1]}), ShapeError, "'c' is not a state of this cell"),
]


def fitted(network):
    return network.fit(X, Y, washout=2)


@pytest.mark.parametrize(("call", "kind", "message"), MISTAKES)
def test_a_mistake_is_named_and_changes_nothing(call, kind, message):
    network = EchoStateNetwork(2, 6, 1, feedback=True)
    with pytest.raises(kind) as caught:
        call(network)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


def test_a_fit_that_fails_leaves_the_readout_as_it_was():
    network = fitted(EchoStateNetwork(2, 6, 1, feedback=True))
    before = network.readout.clone()
    with pytest.raises(DataError):
        network.fit(HOLE, Y, washout=2)
    assert torch.equal(network.readout, before)


def test_a_network_without_feedback_hears_no_targets_and_does_not_generate():
    network = EchoStateNetwork(2, 6, 1).fit(X, Y, washout=2)
    with pytest.raises(ShapeError, match="targets were given to a network that has no feedback"):
        network.predict(X, Y)
    with pytest.raises(SettingError, match="on what is fed back, and this network has no feedback; leave it 0"):
        network.fit(X, Y, washout=2, noise=0.1)
    with pytest.raises(SettingError, match="has no feedback, so it cannot run freely; build it with feedback=True"):
        network.generate(5)


# What series come in -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "convert",
    [
        torch.Tensor.numpy,
        torch.Tensor.tolist,
        list,
        lambda x: [row.numpy() for row in x],
        lambda x: x.numpy()[::-1].copy()[::-1],
    ],
)
def test_series_in_arrays_and_lists_are_the_same_series(convert):
    x, y = torch.stack([X, -X]), torch.stack([Y, Y * Y])
    expected = EchoStateNetwork(2, 6, 1, feedback=True).fit(x, y, washout=2)
    network = EchoStateNetwork(2, 6, 1, feedback=True).fit(convert(x), convert(y), washout=2)
    assert torch.equal(network.readout, expected.readout)
    assert torch.equal(network.predict(convert(x), convert(y)), expected.predict(x, y))
    longer = torch.cat([x, x[:, :3]], 1)
    assert torch.equal(network.generate(3, convert(y), convert(longer)), expected.generate(3, y, longer))


def test_whole_numbers_make_a_series():
    steps = torch.arange(20)[:, None] % 3
    expected = EchoStateNetwork(1, 6, 1).fit(steps.double(), steps.double(), washout=2)
    assert torch.equal(
        EchoStateNetwork(1, 6, 1).fit(steps.numpy(), steps.tolist(), washout=2).readout, expected.readout
    )


@pytest.mark.parametrize("kind", [lambda s: s, torch.Tensor.numpy, torch.Tensor.tolist])
def test_series_of_different_lengths_are_fitted_as_one_regression(kind):
    inputs, targets, network = [X, X[:9], -X[3:]], [Y, Y[:9], Y[3:] ** 2], EchoStateNetwork(2, 6, 1)
    network.fit([kind(x) for x in inputs], tuple(kind(y) for y in targets), washout=4, ridge=0.3)
    # The normal equations of all rows together, the constant not penalised.
    rows = []
    for x in inputs:
        hidden, _ = network.reservoir(x.to(network.readout)[None])
        rows.append(torch.cat([torch.ones(len(x), 1), x.double(), hidden[0]], 1)[4:])
    features, wanted = torch.cat(rows), torch.cat([y[4:] for y in targets]).double()
    penalty = 0.3 * torch.eye(features.shape[1], dtype=torch.float64)
    penalty[0, 0] = 0
    solved = torch.linalg.solve(features.T @ features + penalty, features.T @ wanted).T
    torch.testing.assert_close(network.readout, solved, rtol=1e-9, atol=1e-11)
    outputs = network.predict([kind(x) for x in inputs])
    for x, output in zip(inputs, outputs, strict=True):
        assert torch.equal(output, network.predict(x))


def test_a_network_that_hears_itself_is_fitted_to_series_of_different_lengths():
    network = EchoStateNetwork(0, 6, 1, feedback=True).fit(None, [Y, Y[:9]], washout=2, noise=0.01)
    assert network.fitted
    assert [len(output) for output in network.predict(None, [Y, Y[:9]])] == [20, 9]


@pytest.mark.parametrize(
    ("inputs", "targets", "message"),
    [
        ([X, X[:9]], [Y], "inputs holds 2 series and targets 1; expected as many of each"),
        ([X, X[:9]], Y, "inputs holds 2 series and targets 1; expected as many of each"),
        ([X, X[:9]], [Y, Y[:8]], "inputs has the shape (9, 2) and targets (8, 1); expected both with as many"),
        ("ab", Y, "inputs is a str; expected real numbers: a tensor, an array, or a list of series"),
        (X, {"y": 1}, "targets is a dict; expected real numbers"),
        ([[1.0, 2.0], [3.0]], Y, "inputs is a list; expected real numbers"),
        (X > 0, Y, "inputs is a Tensor of torch.bool; expected real numbers"),
        (X * 1j, Y, "inputs is a Tensor of torch.complex128; expected real numbers"),
        ([0.5, 0.25], Y, "inputs has the shape (2,); expected (B, T, I) or (T, I)"),
        ([], Y, "inputs has the shape (0,); expected (B, T, I) or (T, I)"),
    ],
)
def test_what_is_no_series_is_refused_in_one_line(inputs, targets, message):
    with pytest.raises(ShapeError) as caught:
        EchoStateNetwork(2, 6, 1).fit(inputs, targets, washout=2)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


def test_only_fit_and_predict_take_series_of_different_lengths():
    network = fitted(EchoStateNetwork(2, 6, 1, feedback=True))
    with pytest.raises(
        ShapeError, match="inputs is a list of series of 9 to 20 steps; expected series of equal length"
    ):
        network([X, X[:9]])
    with pytest.raises(ShapeError, match="primer is a list of series of 9 to 20 steps"):
        network.generate(3, [Y, Y[:9]], X)


def test_a_network_on_the_meta_device_has_a_repr_and_no_readout():
    network = EchoStateNetwork(1, 5, 2, device="meta")
    assert "not fitted" in repr(network)
    with pytest.raises(TrainingError, match="no readout yet"):
        network(torch.zeros(3, 1))


@pytest.mark.parametrize("seed", [2**32, 2**64, 1.0, True, "0"])
def test_a_seed_is_a_whole_number_within_its_range(seed):
    for use in (lambda: EchoStateNetwork(1, 5, 2, seed=seed), lambda: EchoStateNetwork(2, 6, 1).fit(X, Y, seed=seed)):
        with pytest.raises(SettingError, match="it is a whole number from 0 to 4294967295"):
            use()


def test_settings_are_numbers_of_any_type():
    plain = EchoStateNetwork(1, 5, 2, leak=0.5, density=1, input_scaling=0.25, seed=3)
    numpy = EchoStateNetwork(
        np.int64(1),
        torch.tensor(5),
        np.uint8(2),
        leak=np.float32(0.5),
        density=np.int64(1),
        input_scaling=np.float32(0.25),
        seed=np.int64(3),
    )
    assert all(
        torch.equal(numpy.state_dict()[name], value) for name, value in plain.state_dict().items() if name != "readout"
    )
