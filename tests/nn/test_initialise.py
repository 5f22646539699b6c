"""How parameters begin: each initialiser by its property, which rule is followed, and what is refused."""

import math

import pytest
import torch

from recurra import Cell, Recurrent
from recurra.cells import CATALOGUE
from recurra.errors import SettingError
from recurra.nn import chrono_, initialise_
from recurra.nn.initialise import INITIALISERS, key_for

BOTH = Cell("h[t] = tanh(W @ [h[t-1], x[t]] + b)")
INPUT_ONLY = Cell("h[t] = tanh(w * h[t-1] + U @ x[t] + b)")
EVERY_CELL = pytest.mark.parametrize("cell", CATALOGUE.values(), ids=CATALOGUE)
H, I = 48, 30  # noqa: E741


def begun(cell=BOTH, initial=None, *, hidden_size=H, input_size=I, dtype=torch.float64):
    """The parameters of a fresh layer by name."""
    layer = Recurrent(cell, input_size, hidden_size, initial=initial, dtype=dtype)
    return {name: tensor.detach() for name, tensor in layer.layers[0].named_parameters()}


def blocks(initial=None, **sizes):
    """The recurrent and the input block of W @ [h[t-1], x[t]]."""
    weights = begun(BOTH, initial, **sizes)["W"]
    return weights[:, : len(weights)], weights[:, len(weights) :]


def is_uniform(values, low, high):
    """Within the bounds, near them, and with the mean and deviation of a uniform distribution (5 standard errors)."""
    values = values.flatten()
    count, width = len(values), high - low
    assert low <= values.min() < low + 0.05 * width
    assert high - 0.05 * width < values.max() <= high
    assert abs(values.mean() - (low + high) / 2) < 5 * width / math.sqrt(12 * count)
    assert abs(values.std() - width / math.sqrt(12)) < 5 * width / math.sqrt(12 * count)


# Each by its property ------------------------------------------------------------------------------------------------


def test_orthogonal_is_orthogonal_and_not_a_fixed_matrix():
    recurrent, _ = blocks({"W": "orthogonal"})
    torch.testing.assert_close(recurrent @ recurrent.T, torch.eye(H, dtype=torch.float64), rtol=0, atol=1e-13)
    assert not torch.equal(recurrent, blocks({"W": "orthogonal"})[0])
    scaled, _ = blocks({"W": "orthogonal(0.5)"})
    torch.testing.assert_close(scaled @ scaled.T, 0.25 * torch.eye(H, dtype=torch.float64), rtol=0, atol=1e-13)


@pytest.mark.parametrize(("dtype", "bound"), [(torch.float32, 1e-5), (torch.bfloat16, 1e-1), (torch.float16, 1e-2)])
def test_orthogonal_in_fewer_digits_is_so_to_its_rounding(dtype, bound):
    recurrent, _ = blocks({"W": "orthogonal"}, dtype=dtype)
    assert recurrent.dtype == dtype
    assert float((recurrent.double() @ recurrent.double().T - torch.eye(H)).abs().max()) < bound


def test_identity_begins_as_the_identity():
    assert torch.equal(blocks({"W": "identity"})[0], torch.eye(H, dtype=torch.float64))
    assert torch.equal(blocks({"W": "identity(0.25)"})[0], 0.25 * torch.eye(H, dtype=torch.float64))


@pytest.mark.parametrize(("radius", "density"), [(0.9, 1.0), (1.25, 0.2), (0.0, 1.0)])
def test_spectral_radius_is_the_largest_eigenvalue(radius, density):
    recurrent, _ = blocks({"W": f"spectral_radius({radius}, {density})"})
    assert float(torch.linalg.eigvals(recurrent).abs().max()) == pytest.approx(radius, rel=1e-12, abs=1e-12)
    if radius:
        filled, spread = float((recurrent != 0).double().mean()), math.sqrt(density * (1 - density)) / H
        assert abs(filled - density) <= 5 * spread


def test_spectral_radius_without_numbers_is_the_echo_state_property():
    recurrent, _ = blocks({"W": "spectral_radius"})
    assert float(torch.linalg.eigvals(recurrent).abs().max()) == pytest.approx(0.9)


def test_glorot_and_he_are_scaled_by_the_fans_of_each_block():
    """A concatenation changes nothing: the bounds are those of the block, not of the whole matrix."""
    recurrent, inputs = blocks({"W": "glorot"})
    bound = math.sqrt(6 / (H + H))
    is_uniform(recurrent, -bound, bound)
    bound = math.sqrt(6 / (H + I))
    is_uniform(inputs, -bound, bound)
    recurrent, inputs = blocks({"W": "he"})
    is_uniform(recurrent, -math.sqrt(6 / H), math.sqrt(6 / H))
    is_uniform(inputs, -math.sqrt(6 / I), math.sqrt(6 / I))


def test_uniform_normal_and_numbers():
    is_uniform(begun(initial={"W": "uniform"})["W"], -0.1, 0.1)
    is_uniform(begun(initial={"W": "uniform(2, 3)"})["W"], 2, 3)
    is_uniform(begun(initial={"b": "uniform(-2, -1)"}, hidden_size=400)["b"], -2, -1)
    for rule, deviation in (("normal", 0.01), ("normal(2)", 2.0)):
        weights = begun(initial={"W": rule})["W"]
        assert abs(float(weights.mean())) < 5 * deviation / math.sqrt(weights.numel())
        assert float(weights.std()) == pytest.approx(deviation, rel=5 / math.sqrt(2 * weights.numel()))
        assert float(weights.abs().max()) > 2.5 * deviation
    for rule, value in (("zeros", 0.0), ("ones", 1.0), (0.25, 0.25), (-3, -3.0), (" ones ", 1.0)):
        parameters = begun(initial={"*": rule})
        assert all(bool((tensor == value).all()) for tensor in parameters.values()), rule


def test_chrono_is_the_logarithm_of_a_uniform_span():
    biases = begun(initial={"b": "chrono(100)"}, hidden_size=400)["b"]
    is_uniform(biases.exp(), 1, 99)
    assert torch.equal(begun(initial={"b": "chrono(2)"})["b"], torch.zeros(H, dtype=torch.float64))


@pytest.mark.parametrize("name", [name for name, i in INITIALISERS.items() if i.suits in ("square", "matrix")])
def test_one_unit_is_enough(name):
    assert bool(begun(initial={"W": name}, hidden_size=1, input_size=1)["W"].isfinite().all())


# Defaults ------------------------------------------------------------------------------------------------------------


@EVERY_CELL
def test_a_cell_begins_as_it_says_and_else_by_kind(cell):
    parameters = begun(cell)
    assert all(bool(tensor.isfinite().all()) for tensor in parameters.values())
    for name, parameter in cell.parameters.items():
        if name in cell.initial:
            continue
        if parameter.kind != "matrix":
            assert not parameters[name].any(), name
            continue
        for block in parameters[name].split(parameter.column_sizes(I, H), dim=1):
            if block.shape[1] == H:
                torch.testing.assert_close(block @ block.T, torch.eye(H, dtype=torch.float64), rtol=0, atol=1e-12)
            else:
                bound = math.sqrt(6 / (H + I))
                is_uniform(block, -bound, bound)


@EVERY_CELL
def test_numbers_that_a_cell_names_are_where_it_begins(cell):
    parameters = begun(cell)
    for name, rule in cell.initial.items():
        if not isinstance(rule, str):
            assert bool((parameters[name] == rule).all()), name


def test_the_cells_with_beginnings_of_their_own_have_them():
    assert bool((begun("lstm")["b_forget"] == 1).all())
    irnn = begun("irnn")
    assert torch.equal(irnn["W_recurrent"], torch.eye(H, dtype=torch.float64))
    assert float(irnn["W_input"].std()) == pytest.approx(0.001, rel=0.1)
    assert not irnn["b"].any()
    is_uniform(begun("ind-rnn", hidden_size=400)["w_recurrent"], 0, 1)
    assert float(torch.linalg.eigvals(begun("echo-state")["W_reservoir"]).abs().max()) == pytest.approx(0.9)


def test_a_normalised_cell_begins_with_gains_of_1():
    layer = Recurrent("lstm", 3, 5, layer_norm=True)
    gains = {name: p for name, p in layer.layers[0].named_parameters() if name.startswith("gain_")}
    assert len(gains) == 4
    assert all(bool((gain == 1).all()) for gain in gains.values())
    assert bool((layer.layers[0].b_forget == 1).all())


def test_every_layer_and_direction_begins_by_itself():
    layer = Recurrent("gru", H, H // 2, num_layers=2, bidirectional=True, initial={"b_update": -2.0})
    drawn = [m.W_update.detach() for m in (*layer.layers, *layer.reverse_layers)]
    assert all(not torch.equal(a, b) for k, a in enumerate(drawn) for b in drawn[:k])
    assert all(bool((m.b_update == -2).all()) for m in (*layer.layers, *layer.reverse_layers))


# Which rule is followed ----------------------------------------------------------------------------------------------


def test_a_name_goes_before_a_pattern_that_before_the_cell_and_it_before_the_default():
    def forget(initial):
        return float(begun("lstm", initial)["b_forget"][0])

    assert forget(None) == 1.0
    assert float(begun(Cell(str(CATALOGUE["lstm"])))["b_forget"][0]) == 0.0
    assert forget({"b_*": 3.0}) == 3.0
    assert forget({"b_forget": 2.0, "b_*": 3.0}) == 2.0
    assert forget({"b_*": 3.0, "b_forget": 2.0}) == 2.0
    assert forget({"b_*": 3.0, "*_forget": 4.0, "W_*": "glorot"} | {"W_forget": "he"}) == 4.0
    assert forget({"*_forget": 4.0, "W_forget": "he", "b_*": 3.0}) == 3.0


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("W_forget", "W_forget"),
        ("W_input", "W_*"),
        ("b_forget", "*_forget"),
        ("gain", None),
        ("layers.0.W_forget", "W_forget"),
        ("layers.1.W_forget", "layers.1.W_forget"),
        ("layers.1.b_forget", "*_forget"),
    ],
)
def test_the_rule_for_a_name(name, expected):
    rules = {"layers.1.W_forget": "zeros", "W_forget": "he", "W_*": "glorot", "*_forget": 2.0}
    assert key_for(name, rules) == expected


def test_patterns_tell_capitals_apart():
    cell = Cell("h[t] = tanh(W_in @ x[t] + w_in * h[t-1])")
    assert float(begun(cell, {"w_*": 0.5, "W_*": 2.0})["w_in"][0]) == 0.5


def test_a_rule_for_recurrent_blocks_leaves_the_others_at_their_default():
    recurrent, inputs = blocks({"W": "identity"})
    assert torch.equal(recurrent, torch.eye(H, dtype=torch.float64))
    bound = math.sqrt(6 / (H + I))
    is_uniform(inputs, -bound, bound)


def test_a_pattern_for_recurrent_blocks_may_also_match_input_matrices():
    parameters = begun("irnn", {"W_*": "orthogonal(2)"})
    torch.testing.assert_close(parameters["W_recurrent"] @ parameters["W_recurrent"].T, 4 * torch.eye(H).double())
    bound = math.sqrt(6 / (H + I))
    is_uniform(parameters["W_input"], -bound, bound)


def test_a_concatenation_begins_as_matrices_apart_would():
    apart = Cell("h[t] = tanh(W @ h[t-1] + U @ x[t] + b)")
    torch.manual_seed(3)
    recurrent, inputs = blocks()
    torch.manual_seed(3)
    parameters = begun(apart)
    assert torch.equal(parameters["W"], recurrent)
    assert torch.equal(parameters["U"], inputs)


# Seeds, devices, and tensors that are not fresh ----------------------------------------------------------------------


@EVERY_CELL
def test_a_seed_repeats_the_beginning(cell):
    found = []
    for seed in (5, 5, 6):
        torch.manual_seed(seed)
        found.append(torch.cat([tensor.flatten() for tensor in begun(cell, hidden_size=6, input_size=3).values()]))
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])


def test_where_parameters_are_made_does_not_matter_to_what_is_drawn():
    """On a device that holds no numbers the same are drawn, so that what comes after is the same as well."""
    after = []
    for device in ("cpu", "meta"):
        torch.manual_seed(5)
        layer = Recurrent("echo-state", 3, 4, initial={"b": "uniform"}, device=device)
        assert all(p.device.type == device for p in layer.parameters())
        after.append(torch.rand(1))
        torch.manual_seed(5)
        with torch.device(device):
            Recurrent("irnn", 3, 4, initial={"W_recurrent": "spectral_radius"})
    assert torch.equal(after[0], after[1])


def test_parameters_are_set_in_place_whatever_their_layout():
    recurrent = torch.full((4, 6), torch.nan, dtype=torch.float64)
    tensors = {"W": torch.nn.Parameter(recurrent.T.contiguous().T[:, :6]), "b": torch.full((4,), torch.nan)}
    initialise_(BOTH, tensors, 2, {"b": 0.5})
    assert tensors["W"].requires_grad
    block = tensors["W"].detach()[:, :4]
    torch.testing.assert_close(block @ block.T, torch.eye(4, dtype=torch.float64))
    assert tensors["b"].tolist() == [0.5] * 4


# What is refused -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cell", "initial", "message"),
    [
        (
            BOTH,
            {"W": "orthogonl"},
            r"initial: W: there is no initialiser 'orthogonl'; did you mean orthogonal\? choose",
        ),
        (BOTH, {"W": "glorot(1"}, r"there is no initialiser 'glorot\(1'"),
        (BOTH, {"W": "xavier"}, "there is no initialiser 'xavier'; choose one of: glorot, he, orthogonal, identity, "),
        (BOTH, {"W": ""}, "there is no initialiser ''"),
        (BOTH, {"V": 0.0}, "initial: 'V' matches no parameter; they are: W, b$"),
        (BOTH, {"W_*": 0.0}, r"initial: 'W_\*' matches no parameter; "),
        ("lstm", {"b_forgt": 0.0}, r"'b_forgt' matches no parameter; did you mean b_forget\? they are: W_input, b_"),
        (BOTH, {"b": "orthogonal"}, "initial: b: 'orthogonal' is for matrices, and 'b' is a vector; give it a number"),
        (BOTH, {"b": "he"}, "'he' is for matrices"),
        (BOTH, {"*": "glorot"}, r"initial: \*: 'glorot' is for matrices, and 'b' is a vector"),
        (BOTH, {"W": "chrono(9)"}, r"initial: W: 'chrono\(9\)' is for vectors, and 'W' is a matrix"),
        (
            INPUT_ONLY,
            {"U": "identity"},
            "initial: U: 'identity' is for columns that meet a hidden vector, and there ar",
        ),
        (INPUT_ONLY, {"U*": "orthogonal(2)"}, r"initial: U\*: 'orthogonal\(2\)' is for columns that meet a hidden"),
        (BOTH, {"W": "uniform(a, b)"}, r"'uniform\(a, b\)': in the parentheses stand numbers, as in uniform\(-0.1, 0."),
        (BOTH, {"W": "uniform(nan, 1)"}, "in the parentheses stand numbers"),
        (BOTH, {"W": "uniform(0, inf)"}, "in the parentheses stand numbers"),
        (BOTH, {"W": "uniform(0, 1, 2)"}, r"'uniform\(0, 1, 2\)' has 3 numbers; the form is uniform\(low, high\)"),
        (BOTH, {"W": "zeros(1)"}, r"'zeros\(1\)' has 1 numbers; the form is zeros, without numbers"),
        (BOTH, {"b": "chrono"}, r"'chrono' has 0 numbers; the form is chrono\(longest\)"),
        (BOTH, {"b": "chrono(1)"}, "the longest span is 1; it is a number of steps from 2"),
        (BOTH, {"W": "uniform(1, 0)"}, "the lowest number, 1, is above the highest, 0"),
        (BOTH, {"W": "normal(-1)"}, "the standard deviation is -1; it is a number from 0"),
        (BOTH, {"W": "spectral_radius(-1)"}, "the radius is -1; it is a number from 0"),
        (BOTH, {"W": "spectral_radius(1, 0)"}, "the density is 0; it is a share above 0, at most 1"),
        (BOTH, {"W": "spectral_radius(1, 1e-9)"}, "with a density of 1e-09 have no nonzero eigenvalue; raise it"),
        (BOTH, {"b": math.nan}, "initial: b: nan is not a finite number"),
        (BOTH, {"b": True}, "a rule is the name of an initialiser or a number, not True"),
        (BOTH, {"b": None}, "a rule is the name of an initialiser or a number, not None"),
        (Cell(str(BOTH), initial={"W": "orthgonal"}), None, "initial: W: there is no initialiser 'orthgonal'; did you"),
        (Cell(str(INPUT_ONLY), initial={"U": "identity"}), None, "'identity' is for columns that meet a hidden vector"),
    ],
)
def test_refused_in_one_line(cell, initial, message):
    with pytest.raises(SettingError, match=message) as error:
        Recurrent(cell, 2, 4, initial=initial)
    assert "\n" not in str(error.value)


def test_what_is_refused_changes_nothing():
    tensors = {"W": torch.zeros(4, 6), "b": torch.zeros(4)}
    with pytest.raises(SettingError):
        initialise_(BOTH, tensors, 2, {"b": "glorot"})
    assert not tensors["W"].any()


def test_a_rule_that_another_stands_before_everywhere_is_no_mistake():
    assert float(begun(BOTH, {"b*": 1.0, "b": 2.0})["b"][0]) == 2.0


# chrono_ -------------------------------------------------------------------------------------------------------------


def test_chrono_sets_what_keeps_and_what_writes_together_in_every_layer():
    layer = Recurrent("lstm", 3, 400, num_layers=2, bidirectional=True, initial={"W_*": 0.0})
    before = layer.layers[0].b_output.clone()
    chrono_(layer, 50)
    for own in (*layer.layers, *layer.reverse_layers):
        is_uniform(own.b_forget.detach().exp(), 1, 49)
        assert torch.equal(own.b_input, -own.b_forget)
    assert not torch.equal(layer.layers[0].b_forget, layer.layers[1].b_forget)
    assert torch.equal(layer.layers[0].b_output, before)


def test_chrono_of_one_gate_alone():
    layer = Recurrent("gru", 3, 400, initial={"W_*": 0.0})
    chrono_(layer, 50, keep=None, write="b_update")
    is_uniform((-layer.layers[0].b_update.detach()).exp(), 1, 49)
    layer = Recurrent("li-gru", 3, 400, initial={"[UW]_*": 0.0})
    chrono_(layer, 50, keep="b_update", write=None)
    is_uniform(layer.layers[0].b_update.detach().exp(), 1, 49)


def test_chrono_reads_the_gates_from_equations_of_ones_own_in_whatever_holds_them():
    cell = """
        z[t] = sigmoid(W_z @ [x[t], h[t-1]] + theta + V @ x[t])
        h[t] = z[t] * h[t-1] + sigmoid(iota + U @ x[t]) * tanh(W @ [x[t], h[t-1]])
    """
    holds = torch.nn.ModuleDict({"one": Recurrent(cell, 3, 400), "other": Recurrent("gru", 3, 400)})
    chrono_(holds, 50)
    is_uniform(holds["one"].layers[0].theta.detach().exp(), 1, 49)
    is_uniform((-holds["other"].layers[0].b_update.detach()).exp(), 1, 49)


@pytest.mark.parametrize(
    ("name", "biases"),
    [
        ("gru-reset-after", {"b_update": 1}),
        ("peephole-lstm", {"b_forget": 1, "b_input": -1}),
        ("li-gru", {"b_update": 1}),
        ("coupled-lstm", {"b_input": -1}),
    ],
)
def test_chrono_sets_the_biases_that_keep_and_write(name, biases):
    layer, before = Recurrent(name, 3, 400), Recurrent(name, 3, 400).layers[0]
    chrono_(layer, 50)
    for bias, parameter in layer.layers[0].named_parameters():
        if bias in biases:
            is_uniform((biases[bias] * parameter.detach()).exp(), 1, 49)
        elif bias.startswith("b_"):
            assert torch.equal(parameter, getattr(before, bias))


def test_chrono_without_a_cell_asks_for_names():
    with pytest.raises(SettingError, match="there is no layer of a cell here; give keep or write"):
        chrono_(torch.nn.LSTM(2, 3), 10)


def test_chrono_makes_a_gate_keep_for_as_long_as_it_says():
    """Without input, a memory that is kept with sigmoid(log u) = u / (1 + u) falls to about 1 / e after u steps."""
    layer = Recurrent("lstm", 1, 64, initial={"W_*": 0.0}, dtype=torch.float64)
    chrono_(layer, 1000)
    spans = layer.layers[0].b_forget.detach().exp()
    ones = {"memory": torch.ones(1, 1, 64, dtype=torch.float64)}
    kept = layer(torch.zeros(1, 20, 1, dtype=torch.float64), ones)[1]["memory"][0, 0]
    torch.testing.assert_close(kept, (spans / (1 + spans)) ** 20)
    assert bool((kept[spans > 100] > 0.8).all())


UNBIASED = "forget[t] = sigmoid(W @ x[t])\nh[t] = forget[t] * h[t-1] + V @ x[t]"


@pytest.mark.parametrize(
    ("cell", "options", "message"),
    [
        ("gru", {"keep": "b_forget"}, "there is no parameter 'b_forget'; they are: W_candidate, W_relevance, "),
        ("rnn", {}, "no gate of the cell rnn scales what a state carries on, so none can begin by keeping"),
        (UNBIASED, {}, r"forget\[t\], which keeps the state of this cell, has no bias to begin with"),
        ("lstm", {"keep": "b_forgot"}, r"there is no parameter 'b_forgot'; did you mean b_forget\?"),
        ("lstm", {"write": "b_inputs"}, r"there is no parameter 'b_inputs'; did you mean b_input\?"),
        ("lstm", {"keep": "W_forget"}, "'W_forget' is a matrix; give the name of a gate's bias"),
        ("lstm", {"keep": "b_input", "write": "b_input"}, "keep and write are both 'b_input'; give two names, or one"),
        ("lstm", {"longest": 1}, "the longest span is 1; it is a number of steps from 2"),
        ("lstm", {"longest": math.inf}, "the longest span is inf"),
    ],
)
def test_chrono_refuses_in_one_line_and_changes_nothing(cell, options, message):
    layer = Recurrent(cell, 3, 4)
    before = {name: p.clone() for name, p in layer.named_parameters()}
    with pytest.raises(SettingError, match=message) as error:
        chrono_(layer, **{"longest": 10, **options})
    assert "\n" not in str(error.value)
    assert all(torch.equal(p, before[name]) for name, p in layer.named_parameters())
