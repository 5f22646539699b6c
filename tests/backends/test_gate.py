"""What a backend is given is what the cell says, or is refused in one line; and its bits are its numbers."""

import re

import pytest
import torch
from torch import nn
from torch.fx.experimental.proxy_tensor import make_fx
from torch.testing._internal.two_tensor import TwoTensor
from torch.utils.flop_counter import FlopCounterMode

import recurra.nn
from recurra import Recurrent
from recurra.backends.choose import choose
from recurra.backends.cpu import run as cpu
from recurra.cells import GRU
from recurra.errors import BackendError, ShapeError
from support import misuse
from support.processes import copied, ended

BACKENDS = pytest.mark.parametrize("backend", ["cpu", "reference", "auto"])
GRADIENTS = pytest.mark.parametrize("gradients", [True, False])


@pytest.fixture
def x():
    return torch.randn(4, 5, 3)


def refused(run, error, message):
    with pytest.raises(error, match=f"^{re.escape(message)}") as raised:
        run()
    assert "\n" not in str(raised.value)


# Shapes --------------------------------------------------------------------------------------------------------------


def others(weight):
    """Weights of other shapes, by what was done: what compiled code would read past the end, or PyTorch broadcast."""
    shape = tuple(weight.shape)
    yield "units cut out", weight[:, :-1].clone(), (shape[0], shape[1] - 1)
    yield "rows cut out", weight[:-1], (shape[0] - 1, shape[1])
    yield "one row", weight[:1], (1, shape[1])
    yield "one number", torch.zeros(()), ()
    yield "nothing", torch.zeros(0), (0,)


@BACKENDS
@GRADIENTS
def test_a_weight_of_another_shape_is_named(backend, gradients, x):
    layer = Recurrent("gru", 3, 6, num_layers=2, bidirectional=True, backend=backend)
    weight = layer.reverse_layers[1].W_update
    right = weight.data
    for _, other, shape in others(right):
        weight.data = other
        message = f"the parameter reverse_layers.1.W_update has the shape {shape}; expected (6, 18): "
        with torch.set_grad_enabled(gradients):
            refused(lambda: layer(x), ShapeError, message)
    weight.data = right.T.contiguous()
    refused(lambda: layer(x), ShapeError, f"{message.replace(str(shape), '(18, 6)')}transpose it with .T")


@BACKENDS
@pytest.mark.parametrize("kind", ["RNN", "GRU", "LSTM"])
def test_so_is_a_weight_of_the_layers_in_place_of_torch_s(backend, kind, x):
    layer = getattr(recurra.nn, kind)(3, 6, num_layers=2, backend=backend)
    for name, weight in layer.named_parameters():
        right = weight.data
        for _, other, shape in others(right) if weight.dim() == 2 else [("", right[:-1], (len(right) - 1,))]:
            weight.data = other
            refused(lambda: layer(x), ShapeError, f"{name} has the shape {shape}; expected {tuple(right.shape)}: ")
        weight.data = right


@BACKENDS
def test_a_stream_refuses_it_when_it_takes_the_weights(backend):
    layer = Recurrent("lstm", 3, 6, num_layers=2, learn_initial_state=True, backend=backend)
    stream = layer.stream()
    layer.layers[1].initial_h.data = torch.zeros(1)
    refused(stream.reset, ShapeError, "the parameter layers.1.initial_h has the shape (1,); expected (6,)")
    layer.layers[1].b_forget.data = torch.zeros(1)
    message = "the parameter layers.1.b_forget has the shape (1,); expected (6,)"
    refused(stream.refresh, ShapeError, message)
    refused(layer.stream, ShapeError, message)


@BACKENDS
def test_a_learned_initial_state_and_dropped_weights_are_checked_before_they_are_broadcast(backend, x):
    layer = Recurrent("gru", 3, 6, learn_initial_state=True, weight_drop=0.5, backend=backend)
    layer.layers[0].initial_h.data = torch.zeros(1)
    refused(lambda: layer(x), ShapeError, "the parameter layers.0.initial_h has the shape (1,); expected (6,)")
    layer.layers[0].W_update.data = torch.zeros(6, 1)
    refused(lambda: layer(x), ShapeError, "the parameter layers.0.W_update has the shape (6, 1); expected (6, 9)")


def test_a_weight_replaced_between_the_passes_is_refused(x):
    """Its shape was right in the forward pass; the gradient reads it again."""
    for layer, name, shapes in (
        (Recurrent("gru", 3, 6, backend="cpu"), "layers.0.W_update", "the parameter layers.0.W_update, in the back"),
        (
            recurra.nn.RNN(3, 6, backend="cpu"),
            "weight_hh_l0",
            "the parameter W_hh, in the backward pass, has the shape",
        ),
    ):
        weight, outputs = layer.get_parameter(name), layer(x)[0]
        weight.data = weight.data[:, :-1].clone()
        refused(outputs.sum().backward, ShapeError, shapes)


@pytest.mark.parametrize("group", [0, 1, 2])
def test_the_operator_of_a_graph_checks_what_it_is_given(group):
    from recurra.backends.cpu.operator import describe

    groups = [[torch.randn(5, 4, 3)], [torch.randn(s) for s in ((6, 9), (6,)) * 3], [torch.randn(4, 6)]]
    arguments = [None, 5, 4, 3, False, False]
    torch.ops.recurra.recurrence(describe(GRU), *groups, [], *arguments)
    groups[group][0] = groups[group][0][:, :-1]
    with pytest.raises(ShapeError, match="has the shape"):
        torch.ops.recurra.recurrence(describe(GRU), *groups, [], *arguments)


@pytest.mark.parametrize("lengths", [[6, 1, 1, 1], [0, 1, 1, 1], [1, 1, 1], [1.0] * 4, [True] * 4])
def test_nor_are_lengths_taken_on_trust(lengths):
    layer = Recurrent("gru", 3, 6)
    given = layer.cell, dict(layer.layers[0].named_parameters()), torch.randn(5, 4, 3), {"h": torch.zeros(4, 6)}
    with pytest.raises(ShapeError, match=r"^lengths (has|are)"):
        cpu.run(*given, lengths=torch.tensor(lengths))


# The bits are the numbers --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", [misuse.turned, torch._neg_view], ids=["imaginary part", "view"])
@pytest.mark.parametrize("hidden_size", [5, 16])
def test_a_sign_that_is_still_to_be_turned_is(form, hidden_size, x):
    """In whatever a layer is given: input, state, weights, gradients."""
    layer = Recurrent("lstm", 3, hidden_size)
    x = torch.randn(4, 5, 3)
    state = {key: torch.randn(1, 4, hidden_size) for key in ("h", "memory")}

    def results(change):
        for p, value in zip(layer.parameters(), values, strict=True):
            p.data, p.grad = change(value.clone()), None
        inputs = change(x.clone()).detach().requires_grad_()
        outputs, last = layer(inputs, {key: change(value.clone()) for key, value in state.items()})
        upstream = [change(torch.ones_like(t)) for t in (outputs, *last.values())]
        torch.autograd.backward([outputs, *last.values()], upstream)
        stream = layer.stream(4)
        return [outputs, *last.values(), inputs.grad, *(p.grad for p in layer.parameters()), stream.step(inputs[:, 0])]

    values = [p.data for p in layer.parameters()]
    found, expected = results(form), results(lambda t: form(t).resolve_neg())
    assert form(x).is_neg()
    for f, e in zip(found, expected, strict=True):
        torch.testing.assert_close(f.resolve_neg(), e.resolve_neg())


# No memory of their own ----------------------------------------------------------------------------------------------


@BACKENDS
def test_what_stands_for_other_tensors_is_for_the_reference(backend, x):
    """Left to choose, a layer says so; the backend that was asked for says why it cannot."""
    layer = Recurrent("gru", 3, 6, backend=backend)
    expected, _ = layer(x)
    for name, parameter in layer.layers[0]._parameters.items():
        layer.layers[0]._parameters[name] = nn.Parameter(TwoTensor(parameter.data, parameter.data.clone()))
    message = "the cpu backend cannot run this cell: the parameter layers.0.W_update is a TwoTensor"
    if backend == "cpu":
        refused(lambda: layer(x), BackendError, message)
        refused(layer.choice, BackendError, message)
        refused(layer.stream, BackendError, message.replace("layers.0.", ""))
        return
    torch.testing.assert_close(layer(x)[0].a, expected)
    assert layer.choice().backend.name == "reference"
    if backend == "auto":
        assert "layers.0.W_update is a TwoTensor" in layer.choice().reason


def test_so_is_an_input_and_a_gradient(x):
    layer = Recurrent("lstm", 3, 6)
    expected, _ = layer(x)
    expected.sum().backward()
    gradients = [p.grad for p in layer.parameters()]
    torch.testing.assert_close(layer(TwoTensor(x, x.clone()))[0].a, expected)
    layer.zero_grad()
    outputs, _ = layer(x)
    outputs.backward(TwoTensor(torch.ones_like(outputs), torch.ones_like(outputs)))
    for p, gradient in zip(layer.parameters(), gradients, strict=True):
        torch.testing.assert_close(p.grad.a, gradient)


def wrapped_data(tensor):
    """A plain tensor that was given the data of one that stands for others, and so has none."""
    plain = torch.zeros(tensor.shape)
    plain.data = TwoTensor(tensor, tensor.clone())
    return plain


ODD = {
    "a wrapper's": (wrapped_data, BackendError, "and no memory: its storage was let go of"),
    "freed": (misuse.freed, BackendError, "and no memory: its storage was let go of"),
    "sparse": (torch.Tensor.to_sparse, ShapeError, "has the layout torch.sparse_coo; expected a dense tensor"),
    "mkldnn": (torch.Tensor.to_mkldnn, ShapeError, "has the layout torch._mkldnn; expected a dense tensor"),
}


@BACKENDS
@GRADIENTS
@pytest.mark.parametrize("kind", ODD)
def test_what_is_laid_out_otherwise_is_refused(backend, gradients, kind, x):
    change, error, message = ODD[kind]
    layer = Recurrent("gru", 3, 6, backend=backend, batch_first=False)
    with torch.set_grad_enabled(gradients):
        with pytest.raises(error, match=re.escape(message)):
            layer(change(x))
        layer.layers[0]._parameters["W_update"] = nn.Parameter(change(layer.layers[0].W_update.detach()))
        with pytest.raises(error, match=f"^the parameter .*{re.escape(message)}"):
            layer(x)
        with pytest.raises(error, match=f"^the parameter .*{re.escape(message)}"):
            layer.stream()


@BACKENDS
@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
def test_a_nested_weight_is_refused(backend, x):
    """After a call with weights that fit, too."""
    layer = Recurrent("gru", 3, 6, backend=backend)
    layer(x)
    layer.layers[0]._parameters["b_update"] = torch.nested.nested_tensor([torch.ones(3), torch.ones(3)])
    with pytest.raises(ShapeError, match=r"^the parameter layers\.0\.b_update is a nested tensor; pad it"):
        layer(x)


def test_zeros_that_are_not_stored_are_zeros(x):
    layer = Recurrent("gru", 3, 6, num_layers=2, backend="cpu")
    zeros = torch._efficientzerotensor((2, 4, 6), dtype=torch.float32)
    torch.testing.assert_close(layer(x, {"h": zeros})[0], layer(x)[0])


# Tracers and modes ---------------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning", "ignore:.*torch.jit:DeprecationWarning")
@GRADIENTS
@pytest.mark.parametrize("make", [lambda: Recurrent("gru", 3, 6), lambda: recurra.nn.LSTM(3, 6, batch_first=True)])
def test_a_traced_module_answers_as_the_module_does(make, gradients, x):
    class Outputs(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = make()

        def forward(self, x):
            return self.layer(x)[0]

    module = Outputs()
    with torch.set_grad_enabled(gradients):
        traced = torch.jit.trace(module, (torch.randn(4, 5, 3),), check_trace=False)
        torch.testing.assert_close(traced(x), module(x))


def test_while_it_is_traced_only_the_reference_runs(monkeypatch):
    monkeypatch.setattr(torch._C, "_is_tracing", lambda: True)
    with pytest.raises(BackendError, match=r"torch\.jit\.trace follows PyTorch's own operations only"):
        choose("cpu", GRU)
    choice = choose("auto", GRU)
    assert (choice.backend.name, "torch.jit.trace" in choice.reason) == ("reference", True)


@BACKENDS
def test_a_mode_that_watches_operations_sees_one(backend, x):
    """And what it makes of them is not a constant."""
    layer, other = Recurrent("gru", 3, 6, backend=backend), torch.randn(4, 5, 3)
    graph = make_fx(lambda x: layer(x)[0])(x)
    torch.testing.assert_close(graph(other), layer(other)[0])
    expected = torch.autograd.grad(layer(x)[0].sum(), [*layer.parameters()])
    with FlopCounterMode(display=False):
        found = torch.autograd.grad(layer(x)[0].sum(), [*layer.parameters()])
    for f, e in zip(found, expected, strict=True):
        torch.testing.assert_close(f, e)


@pytest.mark.parametrize("backend", ["cpu", "auto"])
@pytest.mark.parametrize("kind", ["RNN", "GRU", "LSTM"])
def test_weights_may_change_between_the_passes_where_that_is_allowed(backend, kind, x):
    layer = getattr(recurra.nn, kind)(3, 6, backend=backend)
    expected = torch.autograd.grad(layer(x)[0].sum(), [*layer.parameters()])
    with torch.autograd.graph.allow_mutation_on_saved_tensors():
        outputs, _ = layer(x)
        with torch.no_grad():
            for p in layer.parameters():
                p.add_(1)
        found = torch.autograd.grad(outputs.sum(), [*layer.parameters()])
    for f, e in zip(found, expected, strict=True):
        torch.testing.assert_close(f, e)


def test_where_it_is_not_the_change_is_noticed_at_the_weight(x):
    layer = recurra.nn.GRU(3, 6, backend="cpu")
    total = layer(x)[0].sum()
    with torch.no_grad():
        layer.weight_hh_l0.add_(1)
    with pytest.raises(RuntimeError, match=r"modified by an inplace operation: a weight was changed"):
        total.backward()


# At random -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("block", range(6))
def test_misuses_end_in_right_numbers_or_in_words(block):
    """In a copy of this process, which may end badly."""

    def work():
        for seed in range(50 * block, 50 * (block + 1)):
            print("seed", seed, misuse.compare(seed))

    assert ended(copied(work)) == 0
