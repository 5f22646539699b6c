import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

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


@given(st.integers(1, 40), st.integers(1, 5), st.integers(1, 30), st.integers(1, 300))
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
        torch.testing.assert_close(own, expected, rtol=1e-4, atol=1e-5)


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


def test_no_array_is_wider_than_a_chunk(monkeypatch):
    """The most that is alive at once: of operands, gradients and logits."""
    monkeypatch.setattr(module, "CHUNK", 10 * 1000)
    seen = []
    monkeypatch.setattr(
        module, "_chunk", lambda rows, *given, own=module._chunk: seen.append(len(rows)) or own(rows, *given)
    )
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
