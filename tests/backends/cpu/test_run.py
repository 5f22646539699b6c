"""Compiled code as an operation of PyTorch: what autograd, its transforms and its modes make of it."""

import copy
import re

import numpy as np
import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.autograd import forward_ad

from recurra import Recurrent, cells
from recurra.backends import reference
from recurra.backends.choose import choose
from recurra.backends.cpu import passes
from recurra.backends.cpu import run as cpu
from recurra.backends.cpu.prepare import prepare
from recurra.cells import modifiers
from recurra.equations import Cell
from recurra.errors import BackendError
from support.problems import loss, random_problem, worst_error

DROPPED = modifiers.zoneout(cells.GRU, 0.3)
CELLS = {
    "lstm": cells.LSTM,
    "gru": DROPPED,
    "min-gru": cells.MinGRU,
    "further back": Cell("h[t] = tanh(W @ [h[t-2], x[t]])"),
}
EVERY_CELL = pytest.mark.parametrize("cell", CELLS.values(), ids=CELLS)


def small(cell, seed=0, **options):
    options = {"steps": 3, "batch": 3, "input_size": 2, "hidden_size": 3, **options}
    return random_problem(cell, seed, **options)


def as_function(problem, run):
    """Outputs and last states as a function of x, the parameters and the states, and the values of those."""
    names = [*problem.parameters, *problem.state]
    values = [problem.x, *problem.parameters.values(), *problem.state.values()]
    first = len(problem.parameters)

    def function(x, *tensors):
        given = dict(zip(names, tensors, strict=True))
        parameters = {n: given[n] for n in names[:first]}
        state = {n: given[n] for n in names[first:]}
        outputs, last = problem.replace(x=x, parameters=parameters, state=state).run(run)
        return outputs, *last.values()

    return function, [value.detach().clone().requires_grad_() for value in values]


# Gradients of gradients ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("reverse", [False, True])
@EVERY_CELL
def test_gradients_and_gradients_of_gradients_against_finite_differences(cell, reverse):
    function, values = as_function(small(cell, steps=2, batch=2, input_size=1, hidden_size=2, reverse=reverse), cpu.run)
    assert torch.autograd.gradcheck(function, values)
    assert torch.autograd.gradgradcheck(function, values)


def penalty(problem, run):
    """The gradients of a gradient penalty, by name."""
    function, values = as_function(problem, run)
    outputs, *last = function(*values)
    total = loss(outputs, dict(zip(problem.cell.carried, last, strict=True)), problem)
    first = torch.autograd.grad(total, values, create_graph=True)
    second = torch.autograd.grad(sum(g.square().sum() for g in first), values)
    return dict(enumerate(g.detach() for g in [*first, *second]))


@EVERY_CELL
def test_a_gradient_penalty_is_the_reference_s(cell):
    problem = small(cell, hidden_size=17)
    assert worst_error(penalty(problem, cpu.run), penalty(problem, reference.run)) < 1e-11


def test_a_gradient_of_which_no_gradient_is_taken_is_the_same_with_a_graph_as_without():
    problem = small(cells.LSTM, hidden_size=17)
    function, values = as_function(problem, cpu.run)
    total = sum(t.square().sum() for t in function(*values))
    kept = torch.autograd.grad(total, values, create_graph=True)
    plain = torch.autograd.grad(total, values)
    assert worst_error(dict(enumerate(g.detach() for g in kept)), dict(enumerate(plain))) < 1e-12


# Transforms that it knows nothing of ---------------------------------------------------------------------------------

TRANSFORMS = {
    "vmap": lambda f, x: torch.func.vmap(f)(x.expand(2, *x.shape)),
    "grad": lambda f, x: torch.func.grad(lambda y: f(y).sum())(x),
    "jvp": lambda f, x: torch.func.jvp(f, (x,), (torch.ones_like(x),))[1],
    "jacrev": lambda f, x: torch.func.jacrev(f)(x),
    "jacfwd": lambda f, x: torch.func.jacfwd(f)(x),
    "jacobian": lambda f, x: torch.autograd.functional.jacobian(f, x),
}


def tangent(f, x):
    with forward_ad.dual_level():
        return forward_ad.unpack_dual(f(forward_ad.make_dual(x, torch.ones_like(x)))).tangent


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")  # torch's own, when it first needs a tangent
@pytest.mark.parametrize("hidden_size", [3, 16])
@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize("name", [*TRANSFORMS, "dual numbers", "dual numbers without gradients"])
def test_a_transform_gives_what_the_reference_gives_or_says_why_not(name, frozen, hidden_size):
    """Never a gradient or a tangent that is silently nothing; and nothing is left behind that later calls trip over."""
    torch.manual_seed(0)
    layer = Recurrent("gru", 2, hidden_size, dtype=torch.float64).requires_grad_(not frozen)
    x = torch.randn(3, 4, 2, dtype=torch.float64)

    def apply(backend):
        layer.backend = backend
        if name in TRANSFORMS:
            return TRANSFORMS[name](lambda x: layer(x)[0], x)
        with torch.set_grad_enabled(name == "dual numbers"):
            return tangent(lambda x: layer(x)[0], x)

    expected = apply("reference")
    torch.testing.assert_close(apply("auto"), expected)
    if name == "jacobian":
        torch.testing.assert_close(apply("cpu"), expected)
    else:
        with pytest.raises(BackendError, match="goes through PyTorch's own operations only"):
            apply("cpu")
    assert layer(x)[0].shape == (3, 4, hidden_size)


@pytest.mark.parametrize("hidden_size", [3, 16])
def test_many_gradients_at_once(hidden_size):
    """As torch.autograd.functional.jacobian(..., vectorize=True) sends them; known only when they come back."""
    layer = Recurrent("gru", 2, hidden_size, dtype=torch.float64, backend="cpu")
    x = torch.randn(3, 4, 2, dtype=torch.float64, requires_grad=True)
    outputs = layer(x)[0].sum((0, 1))
    every = torch.eye(hidden_size, dtype=torch.float64)
    expected = torch.stack([torch.autograd.grad(outputs, x, e, retain_graph=True)[0] for e in every])
    (found,) = torch.autograd.grad(outputs, x, every, is_grads_batched=True)
    torch.testing.assert_close(found, expected)


# Modes ---------------------------------------------------------------------------------------------------------------


@pytest.fixture(params=["lstm", "gru"])
def layer(request):
    torch.manual_seed(0)
    return Recurrent(request.param, 3, 17, num_layers=2, bidirectional=True, backend="cpu")


@pytest.fixture
def x():
    return torch.randn(4, 5, 3, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_without_gradients_the_numbers_are_the_same(layer, x, mode):
    outputs, state = layer(x)
    with mode():
        found, last = layer(x)
    assert not found.requires_grad
    torch.testing.assert_close(found, outputs, rtol=1e-6, atol=1e-7)
    for key in state:
        torch.testing.assert_close(last[key], state[key], rtol=1e-6, atol=1e-7)


def test_inference_leaves_nothing_behind_that_training_would_trip_over(x):
    layer = Recurrent("gru", 3, 19, backend="cpu")
    with torch.inference_mode():
        layer(x)
        inner = torch.randn(4, 5, 3)
        lengths = torch.tensor([5, 2, 3, 1])
        layer(x, lengths=lengths)
    outputs, _ = layer(inner, lengths=[5, 2, 3, 1])
    outputs.sum().backward()
    assert all(p.grad is not None for p in layer.parameters())


def test_only_what_is_asked_for_gets_a_gradient(layer, x):
    """Frozen parameters, an input that requires no gradient, an input alone."""
    every = dict(layer.named_parameters())
    layer(x)[0].sum().backward()
    expected = {name: p.grad.clone() for name, p in every.items()}
    for frozen in ("W_", "b_", "reverse_layers", "layers.0"):
        layer.zero_grad()
        for name, p in every.items():
            p.requires_grad_(frozen not in name)
        layer(x)[0].sum().backward()
        for name, p in every.items():
            if frozen in name:
                assert p.grad is None
            else:
                torch.testing.assert_close(p.grad, expected[name])
    layer.requires_grad_(False)
    assert not layer(x)[0].requires_grad
    leaf = x.clone().requires_grad_()
    (found,) = torch.autograd.grad(layer(leaf)[0].sum(), leaf)
    other = copy.deepcopy(layer)
    other.backend = "reference"
    (gradient,) = torch.autograd.grad(other(leaf)[0].sum(), leaf)
    torch.testing.assert_close(found, gradient)


def test_a_state_alone_may_be_what_is_differentiated():
    problem = small(cells.LSTM)
    state = {key: s.requires_grad_() for key, s in problem.state.items()}

    def gradients(run):
        _, last = problem.replace(state=state).run(run)
        return dict(enumerate(torch.autograd.grad(last["memory"].sum(), list(state.values()))))

    assert worst_error(gradients(cpu.run), gradients(reference.run)) < 1e-12


def test_going_back_twice_needs_the_graph_to_be_kept(layer, x):
    total = layer(x)[0].sum()
    total.backward(retain_graph=True)
    first = {name: p.grad.clone() for name, p in layer.named_parameters()}
    total.backward()
    for name, p in layer.named_parameters():
        assert torch.equal(p.grad, 2 * first[name])
    with pytest.raises(RuntimeError, match="second time"):
        total.backward()


def test_a_parameter_that_was_changed_meanwhile_is_noticed(layer, x):
    total = layer(x)[0].sum()
    with torch.no_grad():
        next(layer.parameters()).add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        total.backward()


@pytest.mark.parametrize("hidden_size", [16, 17])
def test_outputs_may_be_changed_in_place(hidden_size, x):
    """As by a ReLU with inplace=True after the layer."""
    layer = Recurrent("lstm", 3, hidden_size, backend="cpu")
    outputs, state = layer(x)
    (torch.relu_(outputs).sum() + state["h"].mul_(2).sum()).backward()
    found = {name: p.grad.clone() for name, p in layer.named_parameters()}
    layer.zero_grad()
    outputs, state = layer(x)
    (torch.relu(outputs).sum() + (state["h"] * 2).sum()).backward()
    for name, p in layer.named_parameters():
        assert torch.equal(found[name], p.grad)


def test_autocast_changes_nothing(layer, x):
    """The layer computes in the dtype of its parameters, as the reference does."""
    expected, _ = layer(x)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        outputs, _ = layer(x)
        outputs.sum().backward()
    assert torch.equal(outputs, expected)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_a_module_may_move_between_dtypes_and_be_copied(layer, x, dtype):
    expected, _ = layer(x)
    moved = copy.deepcopy(layer).double().to(dtype)
    outputs, _ = moved(x.to(dtype))
    assert outputs.dtype == dtype
    torch.testing.assert_close(outputs.float(), expected, rtol=1e-5, atol=1e-6)
    moved.load_state_dict(layer.state_dict())
    torch.testing.assert_close(moved(x.to(dtype))[0], outputs, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("ragged", [False, True])
def test_a_default_device_is_for_what_names_none(layer, x, ragged, start):
    """All tensors are on the processor, whatever device the caller makes others on; in a copy that may end badly."""
    lengths = [5, 2, 3, 1] if ragged else None
    expected, _ = layer(x, lengths=lengths)

    def work():
        with torch.device("meta"):
            outputs, _ = layer(x, lengths=lengths)
        assert torch.equal(outputs, expected)

    assert start(work)() == 0


def test_tensors_without_memory_are_refused(layer, x, start):
    """As tracers make them up, for shapes alone; in a copy of this process, which may end badly."""

    def work():
        with FakeTensorMode(allow_non_fake_inputs=True) as mode, pytest.raises(BackendError, match="have memory"):
            layer(mode.from_tensor(x))
        layer(x)

    assert start(work)() == 0


def test_what_is_kept_has_memory_though_it_was_first_asked_for_where_nothing_has(start):
    """Shapes and zeros are kept from call to call, and such a mode makes up all that is made in it."""
    problem = small(cells.LSTM, ragged=False)
    steps, batch, input_size = problem.x.shape
    prepared = prepare(problem.cell, True, input_size, problem.state["h"].shape[1])

    def work():
        for kept in (passes.results, passes._zeros):
            kept.cache_clear()
        with FakeTensorMode(allow_non_fake_inputs=True):
            passes.results(prepared, steps, batch)
        assert passes.results.cache_info().currsize
        assert worst_error(problem.autograd(cpu.run), problem.autograd()) < 1e-12

    assert start(work)() == 0


# Numbers too small to be normal --------------------------------------------------------------------------------------


def slow(dtype):
    """Something that halves itself: states that go through all small numbers there are."""
    cell = Cell("h[t] = 0.5 * h[t-1] + b")
    tiny = torch.finfo(dtype).tiny
    state = {"h": torch.full((2, 5), 4 * tiny, dtype=dtype)}
    return cell, {"b": torch.zeros(5, dtype=dtype)}, torch.zeros(8, 2, 1, dtype=dtype), state


def has_denormals():
    """Whether numbers too small to be normal are computed with, by numpy and by torch, on each of its threads."""
    single, double = np.array([1e-40], np.float32), np.array([1e-310])
    many = torch.full((200_000,), 1e-40)
    return bool(((single * 1 > 0) & (double * 1 > 0)).all()) and bool((many * 0.5 > 0).all())


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_they_are_zero_inside_and_what_they_were_outside(dtype, count, threads):
    threads(count)
    assert has_denormals()
    given = slow(dtype)
    expected, _ = reference.run(*given)
    outputs, last = cpu.run(*given)
    normal = expected.abs() >= torch.finfo(dtype).tiny
    assert torch.equal(outputs[normal], expected[normal])
    assert not outputs[~normal].any()
    assert expected[~normal].all()
    assert not last["h"].any()
    assert has_denormals()
    parameters = {n: p.requires_grad_() for n, p in given[1].items()}
    cpu.run(given[0], parameters, *given[2:])[0].sum().backward()
    assert has_denormals()


def test_whoever_flushes_them_already_goes_on_doing_so():
    try:
        assert torch.set_flush_denormal(True)
        cpu.run(*slow(torch.float32))
        assert float(torch.tensor(1e-38) * 0.1) == 0.0
    finally:
        torch.set_flush_denormal(False)
    assert has_denormals()


# Refusals ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cell", "device", "dtype", "reason"),
    [
        (cells.LSTM, "cpu", torch.bfloat16, "it computes in float32 and float64, not torch.bfloat16"),
        (cells.LSTM, "cpu", torch.int64, "it computes in float32 and float64, not torch.int64"),
        (cells.LSTM, "cuda:1", torch.float32, "it is for processors, and the tensors are on cuda:1"),
        (cells.LSTM, "meta", torch.float32, "it is for processors, and the tensors are on meta"),
        (Cell("h[t] = h[t-1] / 2"), "cpu", torch.float32, "the cell has no parameters, and so nothing tells its width"),
    ],
)
def test_what_it_cannot_run_it_says(cell, device, dtype, reason):
    assert cpu.refusal(cell, torch.device(device), dtype) == reason
    with pytest.raises(BackendError, match=re.escape(f"the cpu backend cannot run this cell: {reason}")):
        choose("cpu", cell, device, dtype)
    assert choose("auto", cell, device, torch.float32).backend.name == (
        "reference" if device != "cpu" or not cell.parameters else "cpu"
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_everything_else_it_runs(dtype):
    for cell in (*cells.CATALOGUE.values(), *CELLS.values()):
        assert cpu.refusal(cell, torch.device("cpu"), dtype) is None
