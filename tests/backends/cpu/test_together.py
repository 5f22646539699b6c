"""Jobs that wait for nothing of one another, run side by side."""

import pytest
import torch

from recurra import Recurrent
from recurra.backends.cpu import arrange, arrangement, threads


@pytest.fixture
def two_threads(monkeypatch):
    """Two threads, and no call too small for them; gives how many calls each launch had, and on how many threads."""
    launched = []
    parallel = threads.parallel

    def counted(address, table, used):
        launched.append(used)
        parallel(address, table, used)

    for module in (arrange, arrangement):
        monkeypatch.setattr(module, "SMALL", 0)
    monkeypatch.setattr(threads, "parallel", counted)
    monkeypatch.setattr(threads, "available", lambda: 2)
    arrange._arrange.cache_clear()
    yield launched
    arrange._arrange.cache_clear()


def results(layer, x, lengths, upstream):
    """Outputs, last states, and the gradients of x and of every parameter."""
    x = x.clone().requires_grad_()
    outputs, last = layer(x, lengths=lengths)
    total = (outputs * upstream).sum() + sum(value.square().sum() for value in last.values())
    gradients = torch.autograd.grad(total, [x, *layer.parameters()])
    return [outputs, *last.values(), *gradients]


@pytest.mark.parametrize("cell", ["lstm", "gru", "min-gru"])
@pytest.mark.parametrize("lengths", [None, [4, 7, 1]], ids=["dense", "ragged"])
def test_two_directions_give_what_each_gives_alone(cell, lengths, two_threads):
    torch.manual_seed(0)
    layer = Recurrent(cell, 5, 9, num_layers=2, bidirectional=True, dtype=torch.float64)
    x, upstream = torch.randn(3, 7, 5, dtype=torch.float64), torch.randn(3, 7, 18, dtype=torch.float64)
    layer.backend = "reference"
    expected = results(layer, x, lengths, upstream)
    layer.backend = "cpu"
    two_threads.clear()
    found = results(layer, x, lengths, upstream)
    assert two_threads == [2] * 4  # both directions at once: two layers, forward and backward
    for got, want in zip(found, expected, strict=True):
        torch.testing.assert_close(got, want, rtol=0, atol=1e-12)
    for _ in range(5):
        assert all(torch.equal(a, b) for a, b in zip(results(layer, x, lengths, upstream), found, strict=True))


def test_without_gradients_and_with_many_rows(two_threads):
    """Where rows are enough for all threads, one direction follows the other, each on all of them."""
    layer = Recurrent("gru", 5, 9, bidirectional=True, backend="cpu")
    for batch, launches in ((2, [2]), (40, [2, 2])):
        two_threads.clear()
        with torch.no_grad():
            layer(torch.randn(batch, 4, 5))
        assert two_threads == launches


def test_a_second_backward_pass_and_a_gradient_of_a_gradient(two_threads):
    torch.manual_seed(0)
    layer = Recurrent("gru", 3, 4, bidirectional=True, dtype=torch.float64, backend="cpu")
    x = torch.randn(1, 4, 3, dtype=torch.float64, requires_grad=True)
    loss = layer(x)[0].square().sum()
    first = torch.autograd.grad(loss, x, retain_graph=True)[0]
    assert torch.equal(torch.autograd.grad(loss, x, retain_graph=True)[0], first)
    assert torch.autograd.gradgradcheck(lambda x: layer(x)[0].square().sum(), (x,))


def test_only_what_is_wanted_has_a_gradient(two_threads):
    layer = Recurrent("lstm", 3, 4, bidirectional=True, backend="cpu")
    for parameter in layer.reverse_layers.parameters():
        parameter.requires_grad_(False)
    layer(torch.randn(2, 4, 3))[0].sum().backward()
    assert all(p.grad is not None for p in layer.layers.parameters())
    assert all(p.grad is None for p in layer.reverse_layers.parameters())
