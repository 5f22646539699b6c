import itertools
import sys

import pytest
import torch
import torch.nn.functional as F
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch.utils.flop_counter import FlopCounterMode

from recurra.errors import BackendError, SettingError, ShapeError
from recurra.nn import readout_loss as module
from recurra.nn.readout_loss import readout_loss


def problem(steps=11, hidden=3, classes=7, dtype=torch.float64, ignored=0.0, bias=True):
    operands = [torch.randn(steps, hidden, dtype=dtype), torch.randn(classes, hidden, dtype=dtype)]
    operands += [torch.randn(classes, dtype=dtype)] if bias else [None]
    targets = torch.randint(classes, (steps,))
    targets[torch.rand(steps) < ignored] = -100
    return [None if o is None else o.requires_grad_() for o in operands], targets


def plain(hidden, weight, bias, targets, label_smoothing=0.0):
    logits = F.linear(hidden, weight, bias)
    return F.cross_entropy(logits, targets, reduction="sum", ignore_index=-100, label_smoothing=label_smoothing)


WAYS = {"compiled": lambda *_: None, "torch": lambda *_: "a test forces torch's functions"}


@pytest.fixture(autouse=True, params=WAYS)
def way(request, monkeypatch):
    """By compiled code, and by torch's functions."""
    monkeypatch.setattr(module, "compiled_refusal", WAYS[request.param])
    return request.param


@pytest.fixture(params=[1, 20, 49, 2**22])
def chunk(request, monkeypatch):
    """How many logits are worked on at a time: a step's, less than that, several steps', all."""
    monkeypatch.setattr(module, "CHUNK", request.param)


@pytest.mark.usefixtures("chunk")
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("ignored", [0.0, 0.4, 1.0])
@pytest.mark.parametrize("smoothing", [0.0, 0.1, 1.0])
def test_the_loss_and_its_gradients_are_those_of_cross_entropy(bias, ignored, smoothing):
    operands, targets = problem(bias=bias, ignored=ignored)
    given = [o for o in operands if o is not None]
    ours = readout_loss(*operands, targets, label_smoothing=smoothing)
    theirs = plain(*operands, targets, smoothing)
    torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)
    for own, expected in zip(torch.autograd.grad(3 * ours, given), torch.autograd.grad(3 * theirs, given), strict=True):
        torch.testing.assert_close(own, expected, rtol=1e-11, atol=1e-12)


@pytest.mark.usefixtures("chunk")
@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_the_gradients_are_those_of_finite_differences(smoothing):
    operands, targets = problem(ignored=0.2)
    assert torch.autograd.gradcheck(lambda *o: readout_loss(*o, targets, label_smoothing=smoothing), operands)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])  # the way stays the same for all examples
@given(st.integers(1, 140), st.integers(1, 50), st.integers(1, 140), st.integers(1, 30_000))
def test_any_sizes_in_any_chunks(steps, hidden, classes, chunk):
    operands, targets = problem(steps, hidden, classes, torch.float32, ignored=0.2)
    before, module.CHUNK = module.CHUNK, chunk
    smoothing = chunk % 3 / 5
    try:
        ours = readout_loss(*operands, targets, label_smoothing=smoothing)
    finally:
        module.CHUNK = before
    theirs = plain(*operands, targets, smoothing)
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)
    for own, expected in zip(torch.autograd.grad(ours, operands), torch.autograd.grad(theirs, operands), strict=True):
        torch.testing.assert_close(own, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_what_is_too_improbable_for_a_number_has_its_loss_all_the_same(dtype, smoothing):
    hidden = torch.tensor([[1000.0], [95.0], [1.0], [-1e6]], dtype=dtype, requires_grad=True)
    weight = torch.tensor([[0.0], [1.0], [0.5]], dtype=dtype, requires_grad=True)
    targets = torch.tensor([0, 0, 0, 1])
    ours = readout_loss(hidden, weight, None, targets, label_smoothing=smoothing)
    theirs = plain(hidden, weight, None, targets, smoothing)
    torch.testing.assert_close(ours, theirs)
    pairs = zip(*(torch.autograd.grad(loss, (hidden, weight)) for loss in (ours, theirs)), strict=True)
    for gradient, expected in pairs:
        torch.testing.assert_close(gradient, expected)


@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
def test_what_is_not_finite_is_seen(bad):
    operands, targets = problem(dtype=torch.float32)
    with torch.no_grad():
        operands[0][3, 0] = bad
    assert not torch.isfinite(readout_loss(*operands, targets))


def test_only_what_needs_a_gradient_gets_one():
    (hidden, weight, bias), targets = problem()
    weight.requires_grad_(False)
    readout_loss(hidden, weight, bias, targets).backward()
    assert weight.grad is None
    assert hidden.grad is not None
    assert bias.grad is not None
    with torch.no_grad():
        assert not readout_loss(hidden, weight, bias, targets).requires_grad


def test_a_graph_that_is_retained_gives_the_same_twice():
    operands, targets = problem()
    loss = readout_loss(*operands, targets)
    first = torch.autograd.grad(loss / 5, operands, retain_graph=True)
    second = torch.autograd.grad(loss / 5, operands)
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


def test_a_second_derivative_is_refused_in_words():
    operands, targets = problem()
    with pytest.raises(BackendError, match="no second derivative: leave create_graph out"):
        torch.autograd.grad(readout_loss(*operands, targets), operands, create_graph=True)


def test_no_array_is_wider_than_a_chunk(monkeypatch, way):
    """The most that is alive at once: of operands, gradients and logits."""
    monkeypatch.setattr(module, "CHUNK", 10 * 1000)
    seen = []
    of, name = (module.readout, "losses") if way == "compiled" else (module, "_chunk")
    work = getattr(of, name)
    monkeypatch.setattr(of, name, lambda rows, *rest: seen.append(len(rows)) or work(rows, *rest))
    operands, targets = problem(steps=95, classes=1000, dtype=torch.float32)
    readout_loss(*operands, targets)
    assert sum(seen) == 95
    assert max(seen) <= 10
    assert max(seen[:-1]) == min(seen[:-1])


@pytest.mark.parametrize("smoothing", [0.0, 0.5])
def test_under_autocast_the_product_runs_in_half_the_bits(smoothing):
    (hidden, weight, bias), targets = problem(dtype=torch.float32, hidden=64)
    with torch.autocast("cpu", torch.bfloat16):
        loss = readout_loss(hidden, weight, bias, targets, label_smoothing=smoothing)
    assert loss.dtype == torch.float32
    exact = plain(hidden, weight, bias, targets, smoothing)
    assert 0 < abs(loss.item() - exact.item()) < 0.02 * exact.item()


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(ShapeError, match=r"hidden is \(2, 3\), weight \(7, 4\) and targets \(2,\)"):
        readout_loss(torch.ones(2, 3), torch.ones(7, 4), None, torch.zeros(2, dtype=torch.int64))
    with pytest.raises(ShapeError, match="targets"):
        readout_loss(torch.ones(2, 5, 3), torch.ones(7, 3), None, torch.zeros(2, dtype=torch.int64))


@pytest.mark.parametrize("smoothing", [-0.1, 1.5, float("nan"), "0.1", True])
def test_a_smoothing_that_is_no_share_is_refused(smoothing):
    with pytest.raises(SettingError, match=f"label_smoothing is {smoothing!r}; it is a number from 0 to 1"):
        readout_loss(
            torch.ones(2, 3), torch.ones(7, 3), None, torch.zeros(2, dtype=torch.int64), label_smoothing=smoothing
        )


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_in_half_precision_the_sum_is_that_of_float32(dtype):
    hidden, weight, targets = (
        torch.zeros(40_000, 2, dtype=dtype),
        torch.zeros(8, 2, dtype=dtype),
        torch.arange(40_000) % 8,
    )
    loss = readout_loss(hidden, weight, None, targets)  # 83,178 nats, beyond the numbers of float16
    assert loss.item() == pytest.approx(40_000 * torch.tensor(8.0).log().item(), rel=1e-5)


def test_nothing_needs_to_lie_in_order():
    """Outputs and weights that are transposed, sliced or expanded, and a bias with gaps."""
    steps, hidden, classes = 37, 20, 45
    targets = torch.randint(classes, (2 * steps,))[::2]
    drawn = [
        torch.randn(hidden, steps).t(),
        torch.randn(classes, 2 * hidden)[:, ::2],
        torch.randn(2 * classes)[::2],
    ]
    expanded = [torch.randn(1, hidden).expand(steps, hidden), torch.randn(hidden, classes).t(), torch.randn(classes)]
    for operands in (drawn, expanded):
        leaves = [operand.detach().requires_grad_() for operand in operands]
        ours, theirs = readout_loss(*leaves, targets), plain(*leaves, targets)
        torch.testing.assert_close(ours, theirs)
        pairs = zip(torch.autograd.grad(ours, leaves), torch.autograd.grad(theirs, leaves), strict=True)
        for gradient, expected in pairs:
            torch.testing.assert_close(gradient, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("steps", "hidden", "classes"), [(60, 50, 3000), (600, 33, 65), (17, 9, 2)])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_in_float32_nothing_is_further_off_than_its_roundings(steps, hidden, classes, smoothing):
    """Against float64: of what is added up the sizes, times as many roundings as a sum of random ones comes to."""
    operands, targets = problem(steps, hidden, classes, torch.float32)
    exact = [operand.detach().double().requires_grad_() for operand in operands]
    loss = readout_loss(*operands, targets, label_smoothing=smoothing)
    reference = plain(*exact, targets, smoothing)
    assert abs(loss.item() - reference.item()) < 1e-5 * reference.item()
    gradients = torch.autograd.grad(loss, operands)
    for gradient, expected in zip(gradients, torch.autograd.grad(reference, exact), strict=True):
        assert (gradient.double() - expected).abs().max() < 2e-5 * expected.abs().max()


@pytest.mark.parametrize(("steps", "hidden", "classes"), [(130, 70, 500), (300, 40, 65), (33, 20, 3000)])
@pytest.mark.parametrize("way", ["compiled"], indirect=True)
@pytest.mark.usefixtures("way")
def test_the_number_of_threads_changes_no_bit(monkeypatch, steps, hidden, classes):
    monkeypatch.setattr(module.readout, "SMALL", 0)
    monkeypatch.setattr(module, "CHUNK", 70 * classes)
    operands, targets = problem(steps, hidden, classes, torch.float32, ignored=0.1)
    before, results = torch.get_num_threads(), []
    for threads in (1, 2, 3, 5):
        torch.set_num_threads(threads)
        try:
            loss = readout_loss(*operands, targets, label_smoothing=0.1)
            results.append([loss.detach(), *torch.autograd.grad(loss, operands)])
        finally:
            torch.set_num_threads(before)
    for others in results[1:]:
        assert all(torch.equal(one, other) for one, other in zip(results[0], others, strict=True))


@pytest.mark.parametrize("wanted", [*itertools.product([True, False], repeat=3)])
def test_each_gradient_is_the_same_whichever_others_are_wanted(wanted):
    operands, targets = problem(40, 20, 50)
    expected = torch.autograd.grad(plain(*operands, targets), operands)
    for operand, needed in zip(operands, wanted, strict=True):
        operand.requires_grad_(needed)
    loss = readout_loss(*operands, targets)
    assert loss.requires_grad == any(wanted)
    if any(wanted):
        loss.backward()
    for operand, needed, gradient in zip(operands, wanted, expected, strict=True):
        assert (operand.grad is not None) == needed
        if needed:
            torch.testing.assert_close(operand.grad, gradient)


def test_a_class_that_is_ruled_out_has_no_probability():
    """A bias of minus infinity, as constraints have it."""
    operands, targets = problem(20, 5, 40)
    targets[targets == 3] = 4
    with torch.no_grad():
        operands[2][3] = -torch.inf
    ours, theirs = readout_loss(*operands, targets), plain(*operands, targets)
    torch.testing.assert_close(ours, theirs)
    for gradient, expected in zip(
        torch.autograd.grad(ours, operands), torch.autograd.grad(theirs, operands), strict=True
    ):
        torch.testing.assert_close(gradient, expected)


@pytest.mark.parametrize("target", [-1, 7, 2**40])
def test_a_target_that_is_no_class_is_refused(way, target):
    operands, targets = problem()
    targets[4] = target
    if way == "torch":
        with pytest.raises(RuntimeError, match="out of bounds"):
            readout_loss(*operands, targets)
    else:
        with pytest.raises(ShapeError, match=f"a target is {target}; expected ignore_index, or a class from 0 to 6"):
            readout_loss(*operands, targets)


def test_memory_that_is_used_again_holds_nothing_of_before():
    """The gradients of one call stay what they are when others are made, and what they held is written over."""
    operands, targets = problem(300, 40, 1000, torch.float32)
    first = torch.autograd.grad(readout_loss(*operands, targets), operands)
    copies = [gradient.clone() for gradient in first]
    for gradient in torch.autograd.grad(readout_loss(*operands, targets), operands):
        gradient.fill_(torch.nan)
    del gradient
    again = torch.autograd.grad(readout_loss(*operands, targets), operands)
    assert all(torch.equal(one, copy) for one, copy in zip(first, copies, strict=True))
    assert all(torch.equal(one, copy) for one, copy in zip(again, copies, strict=True))


def test_why_it_is_not_compiled_is_said(monkeypatch):
    monkeypatch.undo()
    operands, targets = problem()
    refusal = module.compiled_refusal
    if sys.platform != "darwin":
        assert refusal(targets, operands) is None
    assert refusal(targets.int(), operands) == "the targets are torch.int32"
    with torch.device("meta"):
        assert refusal(targets, [torch.empty(3)]) == "a tensor has no memory of its own"
    with FlopCounterMode(display=False):
        assert refusal(targets, operands) == "a TorchDispatchMode watches each operation"
    monkeypatch.setattr(sys, "platform", "darwin")
    assert refusal(targets, operands).startswith("torch's products run on a matrix unit")


def test_what_watches_each_operation_sees_the_products(monkeypatch):
    monkeypatch.undo()
    operands, targets = problem(steps=11, hidden=3, classes=7)
    with FlopCounterMode(display=False) as counter:
        readout_loss(*operands, targets).backward()
    assert counter.get_total_flops() == 2 * 2 * 11 * 3 * 7  # it knows no addmm_, which is the third
