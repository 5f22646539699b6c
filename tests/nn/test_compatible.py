"""Our RNN, GRU and LSTM are torch.nn's in every argument and form of input: values, gradients, parameters, errors."""

import copy
import dataclasses
import itertools
import pickle
import re

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.utils import parametrizations
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pack_sequence, pad_packed_sequence

from recurra import Recurrent
from recurra.backends import choose as choices
from recurra.errors import BackendError, RecurraError, SettingError, ShapeError
from recurra.nn import compatible

# Torch says so once a process, when oneDNN has no kernel for what it is asked; the values are right.
pytestmark = pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")

KINDS = {
    "RNN tanh": ("RNN", {}),
    "RNN relu": ("RNN", {"nonlinearity": "relu"}),
    "GRU": ("GRU", {}),
    "LSTM": ("LSTM", {}),
    "LSTM projected": ("LSTM", {"proj_size": 2}),
}
FORMS = (
    "time first",
    "batch first",
    "not contiguous",
    "unbatched",
    "unbatched, batch first",
    "packed, sorted, batch first",
    "packed, not sorted",
)
BOUNDS = {torch.float32: 1e-6, torch.float64: 1e-12}

kinds = pytest.mark.parametrize("kind", KINDS)


@dataclasses.dataclass(frozen=True)
class Case:
    """A layer, and what it is given."""

    kind: str
    num_layers: int = 1
    bidirectional: bool = False
    bias: bool = True
    form: str = "time first"
    with_state: bool = True
    input_size: int = 3
    hidden_size: int = 4
    lengths: tuple[int, ...] = (2, 4, 1, 4)
    dropout: float = 0.0

    def layer(self, module, dtype=torch.float32, seed=0, **more):
        name, arguments = KINDS[self.kind]
        torch.manual_seed(seed)
        return getattr(module, name)(
            self.input_size,
            self.hidden_size,
            self.num_layers,
            bias=self.bias,
            batch_first=self.form.endswith("batch first"),
            dropout=self.dropout,
            bidirectional=self.bidirectional,
            dtype=dtype,
            **arguments,
            **more,
        )

    def layers(self, dtype=torch.float32):
        """Torch's and ours, with the same weights."""
        return self.layer(nn, dtype), self.layer(compatible, dtype)

    def leaves(self, dtype=torch.float32):
        """The tensors to begin with by name, each to receive a gradient: the input, and h and c if there is a state."""
        steps, batch = max(self.lengths), len(self.lengths)
        single = self.form.startswith("unbatched")
        turned = self.form in ("batch first", "packed, sorted, batch first", "not contiguous")
        shape = (steps,) if single else (batch, steps) if turned else (steps, batch)
        made = {"input": torch.randn(*shape, self.input_size, dtype=dtype)}
        if self.with_state:
            rows = (self.num_layers * (1 + self.bidirectional),) + (() if single else (batch,))
            name, arguments = KINDS[self.kind]
            made["h"] = torch.randn(*rows, arguments.get("proj_size", self.hidden_size), dtype=dtype)
            if name == "LSTM":
                made["c"] = torch.randn(*rows, self.hidden_size, dtype=dtype)
        return {name: tensor.requires_grad_() for name, tensor in made.items()}

    def arguments(self, leaves):
        """What the layer is called with."""
        x, states = leaves["input"], tuple(tensor for name, tensor in leaves.items() if name != "input")
        if self.form == "not contiguous":
            x = x.transpose(0, 1)
        elif self.form.startswith("packed"):
            is_sorted, batch_first = "not sorted" not in self.form, self.form.endswith("batch first")
            lengths = sorted(self.lengths, reverse=True) if is_sorted else list(self.lengths)
            x = pack_padded_sequence(x, torch.tensor(lengths), batch_first, enforce_sorted=is_sorted)
        if not states:
            return (x,)
        return x, states if KINDS[self.kind][0] == "LSTM" else states[0]


def results(returned):
    """What a layer returned, by name; the order of a packed sequence is part of it."""
    outputs, state = returned
    found = {"outputs": outputs.data}
    if isinstance(outputs, PackedSequence):
        found |= {f: getattr(outputs, f) for f in outputs._fields[1:] if getattr(outputs, f) is not None}
    return found | dict(zip("hc", state if isinstance(state, tuple) else (state,), strict=False))


def everything(layer, case, leaves):
    """Outputs, states, and the gradient of a random weighing of them all by the name of each leaf and parameter."""
    found = results(layer(*case.arguments(leaves)))
    weighing = torch.Generator().manual_seed(7)
    total = sum(
        (value * torch.randn(value.shape, generator=weighing).to(value.dtype)).sum()
        for value in found.values()
        if value.is_floating_point()
    )
    named = {**leaves, **dict(layer.named_parameters())}
    gradients = torch.autograd.grad(total, list(named.values()))
    return found | {f"gradient of {name}": g for name, g in zip(named, gradients, strict=True)}


def difference(theirs, ours):
    """The largest difference between results by name, as a part of the largest number if that is above 1.

    The names and shapes are the same.
    """
    assert list(theirs) == list(ours)
    assert {n: (t.shape, t.dtype) for n, t in theirs.items()} == {n: (t.shape, t.dtype) for n, t in ours.items()}

    def largest(tensor):
        return float(tensor.detach().abs().max()) if tensor.numel() else 0.0

    return max(largest(theirs[n] - ours[n]) / max(1, largest(theirs[n])) for n in theirs)


def compare(case, dtype):
    """Ours against torch.nn computed in float64: in float32 its own rounding can be as large as what is to be found."""
    theirs, ours = case.layers(dtype)
    leaves = case.leaves(dtype)
    exact = {name: leaf.detach().double().requires_grad_() for name, leaf in leaves.items()}
    truth = everything(theirs.double(), case, exact)
    expected = {name: value.to(dtype) if value.is_floating_point() else value for name, value in truth.items()}
    return difference(expected, everything(ours, case, leaves))


@kinds
@pytest.mark.parametrize("dtype", BOUNDS, ids=str)
def test_agrees_with_torch_nn_in_every_argument_and_form(kind, dtype):
    cases = [
        Case(kind, layers, bidirectional, bias, form, with_state)
        for (layers, bidirectional), form, (bias, with_state) in itertools.product(
            ((1, False), (2, True)), FORMS, ((True, True), (True, False), (False, True))
        )
    ]
    errors = {case: compare(case, dtype) for case in cases}
    worst = max(errors, key=errors.get)
    print(f"\n{kind}, {dtype}: {errors[worst]:.1e} at most, over {len(cases)} layers; the worst is {worst}")
    assert errors[worst] < BOUNDS[dtype]


cases = st.builds(
    Case,
    st.sampled_from([kind for kind in KINDS if kind != "LSTM projected"]),
    num_layers=st.integers(1, 3),
    bidirectional=st.booleans(),
    bias=st.booleans(),
    form=st.sampled_from(FORMS),
    with_state=st.booleans(),
    input_size=st.integers(1, 9),
    hidden_size=st.integers(1, 9),
    lengths=st.lists(st.integers(1, 9), min_size=1, max_size=6).map(tuple),
)


@settings(max_examples=25)
@given(cases)
def test_agrees_with_torch_nn_at_any_size(case):
    assert compare(case, torch.float64) < 1e-12


@kinds
def test_packed_rows_are_as_each_sequence_by_itself(kind):
    case = Case(kind, 2, bidirectional=True)
    layer = case.layer(compatible, torch.float64)
    sequences = [torch.randn(length, 3, dtype=torch.float64) for length in (2, 5, 1, 5)]
    outputs, state = layer(pack_sequence(sequences, enforce_sorted=False))
    rows, lengths = pad_packed_sequence(outputs)
    found = results((rows, state))
    for number, sequence in enumerate(sequences):
        own = {"outputs": found["outputs"][: lengths[number]], **{name: found[name] for name in "hc" if name in found}}
        alone = results(layer(sequence))
        assert difference(alone, {name: value[:, number] for name, value in own.items()}) < 1e-14


@kinds
@pytest.mark.parametrize("form", ["time first", "batch first", "packed, not sorted"])
def test_dropout_of_one_seed_drops_the_same_units_as_torch_nn(kind, form):
    case = Case(kind, 3, bidirectional=True, form=form, dropout=0.5)
    leaves, found = case.leaves(torch.float64), {}
    for name, layer in zip(("theirs", "ours"), case.layers(torch.float64), strict=True):
        torch.manual_seed(5)
        found[name] = everything(layer, case, leaves)
        found[f"{name}, evaluated"] = everything(layer.eval(), case, leaves)
    assert difference(found["theirs"], found["ours"]) < 1e-12
    assert difference(found["theirs, evaluated"], found["ours, evaluated"]) < 1e-12
    assert difference(found["ours"], found["ours, evaluated"]) > 1e-3


@kinds
def test_gradients_of_gradients_are_those_of_torch_nn(kind):
    case = Case(kind, 2, bidirectional=True)
    leaves, seconds = case.leaves(torch.float64), []
    for layer in case.layers(torch.float64):
        named = {**leaves, **dict(layer.named_parameters())}
        outputs, _ = layer(*case.arguments(leaves))
        firsts = torch.autograd.grad(outputs.square().sum(), list(leaves.values()), create_graph=True)
        penalty = sum(first.square().sum() for first in firsts)
        # A parameter with which the gradient does not change is reached by none, in one way of writing it or another.
        found = torch.autograd.grad(penalty, list(named.values()), materialize_grads=True)
        seconds.append(dict(zip(named, found, strict=True)))
    assert difference(*seconds) < 1e-12


@kinds
def test_half_precision_is_taken(kind):
    case = Case(kind, 2, bidirectional=True, form="packed, not sorted")
    theirs, ours = case.layers(torch.bfloat16)
    arguments = case.arguments(case.leaves(torch.bfloat16))
    assert difference(results(theirs(*arguments)), results(ours(*arguments))) < 0.05


@kinds
@pytest.mark.parametrize("form", ["time first", "batch first"])
def test_no_rows_give_no_rows(kind, form):
    case = Case(kind, 2, bidirectional=True, form=form)
    theirs, ours = case.layers()
    x = torch.zeros(0, 5, 3) if form == "batch first" else torch.zeros(5, 0, 3)
    found = results(ours(x))
    assert difference(results(theirs(x)), found) == 0
    assert found["outputs"].numel() == 0


# Parameters


@kinds
@pytest.mark.parametrize("bias", [True, False])
def test_state_dicts_load_both_ways_through_a_file(kind, bias, tmp_path):
    case = Case(kind, 2, bidirectional=True, bias=bias)
    arguments = case.arguments(case.leaves())
    for source, target in ((nn, compatible), (compatible, nn)):
        giver, taker = case.layer(source, seed=1), case.layer(target, seed=2)
        assert list(giver.state_dict()) == list(taker.state_dict())
        torch.save(giver.state_dict(), tmp_path / "weights.pt")
        taker.load_state_dict(torch.load(tmp_path / "weights.pt", weights_only=True), strict=True)
        assert difference(results(giver(*arguments)), results(taker(*arguments))) < 1e-6


@kinds
def test_one_seed_gives_the_initial_weights_of_torch_nn(kind):
    theirs, ours = Case(kind, 2, bidirectional=True).layers()
    assert difference(theirs.state_dict(), ours.state_dict()) == 0
    ours.reset_parameters()
    assert difference(theirs.state_dict(), ours.state_dict()) > 0


@kinds
@pytest.mark.parametrize("copied", [copy.deepcopy, lambda layer: pickle.loads(pickle.dumps(layer))])
def test_a_copy_is_the_same_layer_with_weights_of_its_own(kind, copied):
    case = Case(kind, 2, bidirectional=True, form="packed, not sorted")
    layer, arguments = case.layer(compatible, backend="reference"), case.arguments(case.leaves())
    before = results(layer(*arguments))
    twin = copied(layer)
    assert (type(twin), repr(twin), twin.backend) == (type(layer), repr(layer), "reference")
    assert difference(before, results(twin(*arguments))) == 0
    with torch.no_grad():
        twin.weight_hh_l1_reverse.add_(1)
    assert difference(before, results(layer(*arguments))) == 0
    assert difference(before, results(twin(*arguments))) > 1e-3


@kinds
def test_weights_are_read_at_each_pass(kind):
    case = Case(kind, 2)
    theirs, ours = case.layers()
    arguments = case.arguments(case.leaves())
    first = results(ours(*arguments))
    for layer in (theirs, ours):
        with torch.no_grad():
            layer.weight_ih_l0.mul_(2)
        layer.bias_hh_l1 = nn.Parameter(torch.ones_like(layer.bias_hh_l1))
        layer.flatten_parameters()
    assert difference(results(theirs(*arguments)), results(ours(*arguments))) < 1e-6
    assert difference(first, results(ours(*arguments))) > 1e-3


@kinds
def test_a_module_moves_between_dtypes(kind):
    case = Case(kind, 2, bidirectional=True)
    theirs, ours = case.layers()
    leaves = case.leaves(torch.float64)
    assert difference(everything(theirs.double(), case, leaves), everything(ours.double(), case, leaves)) < 1e-12


@kinds
@pytest.mark.parametrize("norm", [parametrizations.weight_norm, parametrizations.spectral_norm])
def test_a_parametrised_weight_is_as_in_torch_nn(kind, norm):
    case = Case(kind, 2, bidirectional=True, form="packed, not sorted")
    found, leaves = [], case.leaves(torch.float64)
    for layer in case.layers(torch.float64):
        torch.manual_seed(3)
        norm(layer, "weight_hh_l0_reverse")
        norm(layer, "weight_ih_l1")
        found.append([everything(layer, case, leaves) for _ in range(2)])
    assert any("original" in name for name in found[1][0])
    # The second pass too: a spectral norm takes a step of its power iteration each time a weight is read.
    assert max(difference(theirs, ours) for theirs, ours in zip(*found, strict=True)) < 1e-12


@kinds
def test_weights_can_be_given_from_outside(kind):
    case = Case(kind, 2, bidirectional=True)
    theirs, ours = case.layers(torch.float64)
    arguments = case.arguments(case.leaves(torch.float64))
    weights = {name: 2 * weight.detach() for name, weight in theirs.named_parameters()}

    def loss(layer, given):
        return torch.func.functional_call(layer, given, arguments)[0].square().sum()

    gradients = [torch.func.grad(lambda given, layer=layer: loss(layer, given))(weights) for layer in (theirs, ours)]
    assert difference(*gradients) < 1e-10
    assert bool((gradients[0]["weight_ih_l0"] != 0).all())


def test_frozen_weights_and_an_input_without_gradient_need_none():
    layer = compatible.LSTM(3, 4)
    layer.requires_grad_(False)
    layer.bias_ih_l0.requires_grad_(True)
    layer(torch.randn(5, 2, 3))[0].sum().backward()
    assert [name for name, p in layer.named_parameters() if p.grad is not None] == ["bias_ih_l0"]
    with torch.no_grad():
        assert not layer(torch.randn(5, 2, 3))[0].requires_grad


# The classes


@kinds
def test_a_layer_is_one_of_torch_nn(kind):
    theirs, ours = Case(kind, 2, bidirectional=True, form="batch first", bias=False, dropout=0.25).layers()
    assert isinstance(ours, type(theirs))
    assert repr(ours) == repr(theirs)
    assert set(dir(theirs)) <= set(dir(ours))


def test_positional_arguments_are_those_of_torch_nn():
    ours, theirs = (m.RNN(3, 4, 2, "relu", False, True, 0.25, True) for m in (compatible, nn))
    assert {k: v for k, v in vars(ours).items() if k in nn.RNN.__constants__} == {
        k: v for k, v in vars(theirs).items() if k in nn.RNN.__constants__
    }
    assert (ours.nonlinearity, ours.mode, repr(ours)) == (theirs.nonlinearity, theirs.mode, repr(theirs))


@pytest.mark.parametrize("name", compatible.__all__)
def test_the_equations_in_the_docstring_are_those_that_run(name):
    layer = getattr(compatible, name)
    described = re.findall(r"^ *(\w+\[t\] += .*)$", layer.__doc__, flags=re.MULTILINE)
    assert described == str(layer(3, 4).cell).splitlines()


def test_the_cell_that_runs_can_be_read():
    assert "relu" in str(compatible.RNN(3, 4, nonlinearity="relu").cell)
    assert list(compatible.LSTM(3, 4).cell.states) == ["memory", "h"]
    assert "W_hr" in compatible.LSTM(3, 4, proj_size=2).cell.parameters


def test_an_unknown_backend_is_refused_when_the_layer_is_made():
    with pytest.raises(SettingError, match="no backend 'fast'; choose one of: auto, cpu, reference"):
        compatible.GRU(3, 4, backend="fast")


def test_a_backend_asked_for_by_name_is_the_one_that_runs(monkeypatch):
    ran = []

    def run(cell, *arguments, **more):
        ran.append(cell)
        return reference.run(cell, *arguments, **more)

    reference = choices.BACKENDS["reference"]
    counted = choices.Backend("counted", "", run, lambda cell, device, dtype: None)
    refusing = choices.Backend("refusing", "", run, lambda cell, device, dtype: "it never does")
    monkeypatch.setattr(choices, "BACKENDS", {**choices.BACKENDS, "counted": counted, "refusing": refusing})
    layer = compatible.GRU(3, 4, 2, bidirectional=True, backend="counted")
    layer(torch.randn(5, 2, 3))
    assert ran == [layer.cell] * 4
    assert layer.choice().backend is counted
    assert repr(layer) == "GRU(3, 4, num_layers=2, bidirectional=True, backend='counted')"

    layer = compatible.GRU(3, 4, backend="refusing")  # it may yet be moved to where the backend can run
    with pytest.raises(BackendError, match="it never does"):
        layer(torch.randn(5, 2, 3))
    layer.backend = "auto"
    assert layer(torch.randn(5, 2, 3))[0].shape == (5, 2, 4)


# Errors

X = torch.zeros(5, 2, 3)
PACKED = pack_padded_sequence(X, torch.tensor([3, 5]), enforce_sorted=False)


def zeros(*shape, dtype=torch.float32):
    """A state of that shape, given as h or as (h, c)."""
    return lambda pair: (torch.zeros(shape, dtype=dtype),) * 2 if pair else torch.zeros(shape, dtype=dtype)


WRONG_CALLS = {
    "width of the input": (torch.zeros(5, 2, 4), None),
    "width of a packed input": (pack_sequence([torch.zeros(2, 4)]), None),
    "dtype of the input": (X.double(), None),
    "whole numbers": (X.long(), None),
    "one dimension": (torch.zeros(3), None),
    "four dimensions": (torch.zeros(1, 5, 2, 3), None),
    "no steps": (torch.zeros(0, 2, 3), None),
    "a batch of states for one sequence": (torch.zeros(5, 3), zeros(1, 1, 4)),
    "one state for a batch": (X, zeros(1, 4)),
    "rows of the state": (X, zeros(1, 3, 4)),
    "layers of the state": (X, zeros(2, 2, 4)),
    "width of the state": (X, zeros(1, 2, 5)),
    "dtype of the state": (X, zeros(1, 2, 4, dtype=torch.float64)),
    "fewer states than packed rows": (PACKED, zeros(1, 1, 4)),
    "dimensions of the state of packed rows": (PACKED, zeros(1, 4)),
    "another form of state": (X, lambda pair: torch.zeros(1, 2, 4) if pair else (torch.zeros(1, 2, 4),) * 2),
}


@pytest.mark.parametrize("name", ["RNN", "GRU", "LSTM"])
@pytest.mark.parametrize("wrong", WRONG_CALLS)
def test_what_torch_nn_refuses_is_refused_in_one_line(name, wrong):
    x, state = WRONG_CALLS[wrong]
    hx = state(name == "LSTM") if state else None
    expected = RuntimeError  # where torch checks nothing, or trips over it
    try:
        getattr(nn, name)(3, 4)(x, hx)
    except (ValueError, RuntimeError) as theirs:
        expected = type(theirs)
    except (AttributeError, IndexError):
        pass
    with pytest.raises((expected, RecurraError)) as ours:
        getattr(compatible, name)(3, 4)(x, hx)
    assert "\n" not in str(ours.value)
    assert str(ours.value)


@pytest.mark.parametrize("name", ["RNN", "GRU"])
def test_states_of_more_rows_than_were_packed_are_refused(name):
    # Torch picks the first ones in silence.
    state = torch.zeros(1, 3, 4)
    assert getattr(nn, name)(3, 4)(PACKED, state)[1].shape == (1, 2, 4)
    with pytest.raises(RuntimeError, match=r"Expected hidden size \(1, 2, 4\), got \[1, 3, 4\]"):
        getattr(compatible, name)(3, 4)(PACKED, state)


def test_the_messages_of_our_own_errors_say_what_was_expected():
    lstm, gru = compatible.LSTM(3, 4), compatible.GRU(3, 4)
    for call, message in (
        (lambda: lstm(X, torch.zeros(1, 2, 4)), r"the state is a Tensor; expected a pair of tensors \(h, c\)"),
        (lambda: lstm(X, (torch.zeros(1, 2, 4),)), r"the state is a tuple of 1; expected a pair of tensors \(h, c\)"),
        (lambda: gru(X, (torch.zeros(1, 2, 4),) * 2), "the state is a tuple of 2; expected one tensor"),
        (lambda: gru(X, torch.zeros(1, 4)), "the state has 2 dimensions and the input 3; expected 3 for a batch"),
        (lambda: lstm(X[:0]), "the input has no steps"),
        (lambda: gru(X[0, 0]), "the input has 1 dimensions; expected 3, or 2 for one sequence"),
        (lambda: gru(X, torch.zeros(1, 2, 4).double()), "the state is torch.float64 and the input torch.float32"),
    ):
        with pytest.raises(ShapeError, match=message):
            call()


WRONG_ARGUMENTS = [
    {"hidden_size": 0},
    {"hidden_size": 4.0},
    {"input_size": "3"},
    {"num_layers": 0},
    {"bias": 1},
    {"batch_first": None},
    {"dropout": 2.0},
    {"proj_size": 9},
    {"nonlinearity": "softplus"},
    {"cell": "gru"},
]


@pytest.mark.parametrize("name", ["RNN", "GRU", "LSTM"])
@pytest.mark.parametrize("wrong", WRONG_ARGUMENTS, ids=str)
def test_arguments_that_torch_nn_refuses_are_refused_alike(name, wrong):
    arguments = {"input_size": 3, "hidden_size": 4, **wrong}
    with pytest.raises((ValueError, TypeError)) as theirs:
        getattr(nn, name)(**arguments)
    with pytest.raises(theirs.type) as ours:
        getattr(compatible, name)(**arguments)
    assert str(ours.value) == str(theirs.value)


def test_dropout_without_a_second_layer_is_warned_of_as_in_torch_nn():
    for module in (nn, compatible):
        with pytest.warns(UserWarning, match="dropout option adds dropout after all but last recurrent layer"):
            module.GRU(3, 4, dropout=0.5)


# Torch's tools around the layers -------------------------------------------------------------------------------------


@kinds
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("with_state", [False, True])
def test_under_autocast_it_runs_in_the_dtype_of_its_weights(kind, packed, with_state):
    name, more = KINDS[kind]
    layer = getattr(compatible, name)(3, 4, **more)
    x = torch.randn(5, 2, 3).bfloat16()
    given = pack_padded_sequence(x, [5, 3]) if packed else x
    states = [torch.randn(1, 2, width) for width in layer._state_widths]
    state = None if not with_state else states[0] if len(states) == 1 else tuple(states)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found, _ = layer(given, state)
    expected, _ = layer(given._replace(data=given.data.float()) if packed else x.float(), state)
    found, expected = (found.data, expected.data) if packed else (found, expected)
    assert torch.equal(found, expected)


class Text(torch.Tensor):
    """A subclass that only has a name of its own."""


@kinds
@pytest.mark.parametrize("packed", [False, True])
def test_outputs_are_of_the_input_s_class_as_torch_nn_s_are(kind, packed):
    name, more = KINDS[kind]
    theirs, ours = (getattr(module, name)(3, 4, **more) for module in (nn, compatible))
    x = torch.randn(5, 2, 3)
    pair = []
    for layer in (theirs, ours):
        given = pack_padded_sequence(x, [5, 3]) if packed else x
        given = given._replace(data=given.data.as_subclass(Text)) if packed else x.as_subclass(Text)
        outputs, last = layer(given)
        last = last if isinstance(last, tuple) else (last,)
        pair.append([type(outputs.data if packed else outputs), *map(type, last)])
    assert pair[0] == pair[1]
    assert pair[1][0] is Text


class Model(nn.Module):
    def __init__(self, layer):
        super().__init__()
        self.layer, self.readout = layer, nn.Linear(4, 2)

    def forward(self, x):
        outputs, _ = self.layer(x)
        return self.readout(outputs)


@pytest.mark.parametrize(
    "make",
    [lambda: compatible.LSTM(3, 4, batch_first=True), lambda: Recurrent("lstm", 3, 4)],
    ids=["LSTM", "Recurrent"],
)
def test_for_torch_fx_it_is_a_leaf(make):
    model, x = Model(make()), torch.randn(2, 5, 3)
    traced = torch.fx.symbolic_trace(model)
    assert ("call_module", "layer") in [(node.op, node.target) for node in traced.graph.nodes]
    assert torch.equal(traced(x), model(x))
    with pytest.raises(BackendError, match="cannot trace the layer itself"):
        torch.fx.symbolic_trace(model.layer)


def test_sequences_that_are_not_as_long_as_was_said_are_refused():
    packed = pack_padded_sequence(torch.randn(1, 3, 3), [2, 1, 1])  # which torch takes
    with pytest.raises(ShapeError, match="holds 3 steps, and its batch_sizes tell of 4"):
        compatible.GRU(3, 4)(packed)


@pytest.mark.parametrize("x", [[[0.0]], "text", None])
def test_an_input_that_is_no_tensor_is_refused(x):
    with pytest.raises(ShapeError, match=r"the input is a \w+; expected a tensor or a PackedSequence"):
        compatible.GRU(3, 4)(x)
