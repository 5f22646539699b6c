"""Cells that take too long to compile are refused in one line, and run all the same under auto."""

import pytest
import torch

from recurra import Recurrent
from recurra.backends.choose import choose
from recurra.backends.cpu import limits
from recurra.cells import CATALOGUE
from recurra.equations import Cell
from recurra.errors import BackendError


def chain(count, line="tanh({})"):
    lines = ["a0[t] = h[t-1] + W @ x[t]", *(f"a{k}[t] = {line.format(f'a{k - 1}[t]')}" for k in range(1, count))]
    return Cell("\n".join([*lines, f"h[t] = a{count - 1}[t]"]))


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        (chain(400), r"has 401 products, means, carried values and functions such as tanh, .* at most 400"),
        (chain(2501, "{} * b + c"), r"has 5,002 operations, .* at most 5,000"),
        (
            Cell("h[t] = W @ x[t]" + "".join(f"\ns{k}[t] = s{k}[t-1] + s{k}[t-64]" for k in range(7))),
            r"has 448 products, means, carried values",
        ),
    ],
)
def test_a_cell_too_large_is_refused_with_its_count_and_the_limit(cell, message):
    with pytest.raises(BackendError, match=message) as caught:
        choose("cpu", cell)
    assert "\n" not in str(caught.value)
    choice = choose("auto", cell)
    assert choice.backend.name == "reference"
    assert str(limits.MOST_LONG) in choice.reason or f"{limits.MOST_OPERATIONS:,}" in choice.reason


def test_what_is_not_needed_does_not_count():
    unread = "\n".join(f"unread{k}[t] = tanh(W @ x[t] + b{k})" for k in range(500))
    assert limits.size_refusal(Cell(f"{unread}\nh[t] = W @ x[t]")) is None


@pytest.mark.parametrize("cell", CATALOGUE.values(), ids=CATALOGUE)
def test_no_cell_of_the_catalogue_is_near_the_limits(cell):
    graph = cell.graph.graph
    assert len(graph) < 0.02 * limits.MOST_OPERATIONS
    assert limits.size_refusal(cell) is None


def test_a_layer_of_a_cell_too_large_trains():
    layer = Recurrent(chain(450), 2, 3)
    layer(torch.randn(1, 2, 2))[0].sum().backward()
    assert layer.layers[0].W.grad.isfinite().all()
