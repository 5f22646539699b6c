"""Texts of a thousand operations are worked on as those of ten are: nothing nests in Python, nothing is done twice.

What goes through a value once for each way to it would never end here.
"""

import copy
import pickle

import pytest

from recurra.backends.plan import plan
from recurra.cells import modifiers
from recurra.equations import Cell, gates
from recurra.equations.parse import LONGEST_CHAIN
from recurra.errors import EquationError


def lines(first, line, count, last="h[t] = a{}[t]"):
    return "\n".join([first, *(line.format(k, k - 1) for k in range(1, count)), last.format(count - 1)])


TEXTS = {
    "a chain of lines": lines("a0[t] = tanh(W @ [h[t-1], x[t]])", "a{}[t] = tanh(a{}[t])", 1000),
    "values used many times": lines("a0[t] = W @ [h[t-1], x[t]]", "a{0}[t] = 0.4 * (a{1}[t] * a{1}[t] + a{1}[t])", 300),
    "states that read one another": lines("a0[t] = tanh(W @ x[t] + h[t-1])", "a{}[t] = tanh(a{}[t-1])", 500),
    "a sum": "h[t] = W @ [h[t-1], x[t]]" + "".join(f" + b{k % 40} * h[t-{k % 3 + 1}]" for k in range(900)),
    "a product": "h[t] = W @ [h[t-1], x[t]]" + "".join(f" * u{k}" for k in range(900)),
    "differences": "h[t] = W @ [h[t-1], x[t]]" + "".join(f" - b{k}" for k in range(900)),
    "a sum inside a product": "h[t] = W @ (V @ [h[t-1], x[t]]" + "".join(f" + b{k}" for k in range(900)) + ")",
    "many matrices": "h[t] = tanh(b" + "".join(f" + W{k} @ [h[t-1], x[t]]" for k in range(300)) + ")",
    "products of products": lines("a0[t] = W0 @ [h[t-1], x[t]]", "a{0}[t] = W{0} @ a{1}[t]", 300),
    "many lags": "h[t] = W @ [h[t-1], x[t]]" + "".join(f" + u{k} * h[t-{k}]" for k in range(1, 65)),
    "a concatenation": "h[t] = W @ [" + ", ".join(f"u{k} * h[t-1]" for k in range(500)) + "]",
    "matrices in a row": "h[t] = " + "W @ (" * 40 + "h[t-1]" + ")" * 40 + " + V @ x[t]",
}


@pytest.fixture(params=TEXTS)
def cell(request):
    return Cell(TEXTS[request.param])


def test_they_are_read_written_compared_and_copied(cell):
    again = Cell(cell.text)
    assert again == cell
    assert hash(again) == hash(cell)
    assert pickle.loads(pickle.dumps(cell)) == cell
    assert copy.deepcopy(cell) == cell


def test_their_gradients_are_printed_in_lines_of_bounded_length(cell):
    printed = str(cell.backward)
    assert "grad_W" in printed
    assert max(map(len, printed.split("\n"))) < 20_000


def test_they_are_planned(cell):
    made = plan(cell)
    assert made.forward.stages
    assert made.backward.stages


@pytest.mark.parametrize(
    "modifier",
    [modifiers.layer_norm, lambda cell: modifiers.zoneout(cell, 0.1), lambda cell: modifiers.state_dropout(cell, 0.1)],
    ids=["layer_norm", "zoneout", "state_dropout"],
)
@pytest.mark.parametrize("name", ["a chain of lines", "a sum", "a sum inside a product"])
def test_they_are_modified(name, modifier):
    changed = modifier(Cell(TEXTS[name]))
    assert gates.keeping_gate(changed.at_rest) is None


def test_a_chain_of_operators_has_a_limit_and_the_error_says_it():
    chain = " + ".join(["h[t-1]"] * (LONGEST_CHAIN + 1))
    assert Cell(f"h[t] = W @ x[t]\nc[t] = {chain}").text
    with pytest.raises(EquationError, match="line 2: the expression has 1,001 operators in a row; at most 1,000"):
        Cell(f"h[t] = W @ x[t]\nc[t] = {chain} - b")
    with pytest.raises(EquationError, match="more than 1,000 operators in a row"):
        Cell("h[t] = " + " + ".join(["b"] * 20_000))


def test_what_nests_has_the_limit_that_it_had():
    nested = "h[t] = " + "tanh(" * 85 + "h[t-1]" + ")" * 85
    with pytest.raises(EquationError, match="nests deeper than 80 levels"):
        Cell(nested)
    with pytest.raises(EquationError, match="nests deeper than 80 levels"):
        Cell("h[t] = " + "(b + " * 85 + "h[t-1]" + ")" * 85)
