"""What a cell tells of itself: its costs, its state, its text, and itself at rest."""

import copy
import pickle

import pytest

from recurra.cells import CATALOGUE
from recurra.cells.modifiers import zoneout
from recurra.equations import Cell, Noise
from recurra.errors import EquationError
from support.classical import CLASSICAL
from support.random_cells import random_cell


def gates(count, inputs, hidden):
    """Operations of so many gates f(W @ [h, x] + b): the products, their sum, the bias, the function."""
    return count * (2 * hidden * (hidden + inputs) + 3 * hidden)


@pytest.mark.parametrize(("inputs", "hidden"), [(1, 1), (3, 5), (128, 256)])
def test_flops_counted_by_hand(inputs, hidden):
    count = {name: cell.flops(inputs, hidden) for name, cell in CLASSICAL.items()}
    assert count["rnn"] == gates(1, inputs, hidden)
    # Four gates; f * c, i * g and their sum; tanh(c) and its product with the output gate.
    assert count["lstm"] == gates(4, inputs, hidden) + 5 * hidden
    # Three gates; r * h; u * g, 1 - u, times h, and their sum.
    assert count["gru"] == gates(3, inputs, hidden) + 5 * hidden
    # A product c * peephole and a sum for each gate more than the LSTM.
    assert count["peephole lstm"] == count["lstm"] + 3 * 2 * hidden


def test_what_nobody_needs_costs_nothing():
    cell = Cell("unread[t] = W @ tanh(x[t])\nh[t] = V @ x[t]")
    assert cell.flops(3, 5) == 2 * 5 * 3
    assert cell.parameter_count(3, 5) == 2 * 5 * 3  # a parameter is there all the same


def test_what_is_written_twice_is_computed_once():
    once = Cell("a[t] = W @ x[t]\nh[t] = tanh(a[t]) * h[t-1] + tanh(a[t])")
    assert Cell("h[t] = tanh(W @ x[t]) * h[t-1] + tanh(W @ x[t])").flops(3, 5) == once.flops(3, 5) == 30 + 15


@pytest.mark.parametrize(("inputs", "hidden"), [(1, 1), (3, 5)])
def test_parameters_counted_by_hand(inputs, hidden):
    one = hidden * (hidden + inputs) + hidden
    expected = {"rnn": one, "gru": 3 * one, "lstm": 4 * one, "peephole lstm": 4 * one + 3 * hidden}
    assert {name: CLASSICAL[name].parameter_count(inputs, hidden) for name in expected} == expected


def test_what_is_carried():
    assert CLASSICAL["lstm"].carried == {"c": ("c", 1), "h": ("h", 1)}
    assert CLASSICAL["further back"].carried == {"h": ("h", 1), "h[t-1]": ("h", 2), "h[t-2]": ("h", 3)}
    assert Cell("h[t] = tanh(W @ x[t])").carried == {}
    cell = Cell("c[t] = W @ [h[t-2], x[t]]\nh[t] = c[t] + c[t-1]")
    assert cell.carried == {"c": ("c", 1), "h": ("h", 1), "h[t-1]": ("h", 2)}
    assert cell.states == {"c": 1, "h": 2}


def test_output_and_values():
    cell = CLASSICAL["lstm"]
    assert cell.output == "h"
    assert cell.values == ("update", "forget", "output", "candidate", "c", "h")


def test_equality_is_of_equations_constants_and_noise():
    noise = Noise(0.9, 1.0, 0.9, "step")
    same = [Cell("h[t] = k * z[t] * h[t-1]", constants={"k": k}, noise={"z": noise}) for k in (2, 2.0)]
    assert same[0] == same[1]
    assert hash(same[0]) == hash(same[1])
    assert same[0] != Cell("h[t] = k * z[t] * h[t-1]", constants={"k": 3}, noise={"z": noise})
    other = Noise(0.9, 1.0, 0.9, "sequence")
    assert same[0] != Cell("h[t] = k * z[t] * h[t-1]", constants={"k": 2}, noise={"z": other})
    assert same[0] != Cell("h[t] = 2 * z[t] * h[t-1]", noise={"z": noise})
    assert same[0] != "h[t] = k * z[t] * h[t-1]"
    assert Cell("h[t] = W @ x[t]", name="a") == Cell("h[t]=W@x[t]", name="b")


def test_how_it_shows_itself():
    cell = Cell("update[t]=sigmoid(W@[h[t-1],x[t]])\nh[t]=update[t]*h[t-1]", name="mine")
    assert str(cell) == "update[t] = sigmoid(W @ [h[t-1], x[t]])\nh[t]      = update[t] * h[t-1]"
    assert repr(cell) == "<Cell mine: 2 equations, 1 parameters>"


def test_nothing_of_it_can_be_changed_from_outside():
    cell = Cell("h[t] = k * h[t-1] + W @ x[t]", constants={"k": 0.5})
    cell.parameters.clear()
    cell.states.clear()
    assert list(cell.parameters) == ["W"]
    assert cell.states == {"h": 1}


def test_a_copy_and_one_from_another_process_are_the_same_cell():
    cell = CLASSICAL["antisymmetric"]
    for again in (copy.copy(cell), copy.deepcopy(cell), pickle.loads(pickle.dumps(cell))):
        assert again == cell
        assert hash(again) == hash(cell)
        assert str(again.backward) == str(cell.backward)


def test_at_rest_every_noise_is_its_mean():
    zoneout = Cell(
        """
        new[t] = tanh(W @ [h[t-1], x[t]] + b)
        h[t]   = keep[t] * h[t-1] + (1 - keep[t]) * new[t] * scale - mask[t] * 0
        """,
        constants={"scale": 2.0},
        noise={"keep": Noise(0.1, 1.0, 0.1, "step"), "mask": Noise(0.5, 2.0, -1.5, "sequence")},
        initial={"W": "orthogonal", "b": 1.0},
        name="zoned",
        paper="a paper",
    )
    rest = zoneout.at_rest
    assert rest == Cell(
        """
        new[t] = tanh(W @ [h[t-1], x[t]] + b)
        h[t]   = 0.1 * h[t-1] + (1 - 0.1) * new[t] * scale - -1.5 * 0
        """,
        constants={"scale": 2.0},
    )
    assert rest.noise == {}
    assert (rest.initial, rest.name, rest.paper) == (zoneout.initial, "zoned", "a paper")
    assert rest.parameters == zoneout.parameters
    assert rest.at_rest is rest
    assert not any(node.kind == "noise" for node in rest.graph.graph.nodes)


def test_at_rest_a_noise_that_a_matrix_multiplies_stays_a_vector():
    noise = {name: Noise(0.5, 2.0, 0.75, "step") for name in ("a", "b", "c")}
    cell = Cell("h[t] = W @ [2 * a[t] - b[t], c[t] * x_scale, x[t]] + c[t] * h[t-1]", noise=noise)
    rest = cell.at_rest
    assert rest == Cell("""
        a[t] = 0.75
        b[t] = 0.75
        h[t] = W @ [2 * a[t] - b[t], 0.75 * x_scale, x[t]] + 0.75 * h[t-1]
    """)
    assert rest.parameters["W"].columns == cell.parameters["W"].columns


@pytest.mark.parametrize("seed", range(60))
def test_any_cell_at_rest_is_a_cell(seed):
    cell = random_cell(seed, noise=True)
    rest = cell.at_rest
    assert list(rest.parameters) == list(cell.parameters)
    assert rest.carried == cell.carried
    assert (rest is cell) == (not cell.noise)


def test_replace_keeps_the_rest():
    cell = Cell(
        "h[t] = k * tanh(W @ [h[t-1], x[t]] + b)", constants={"k": 0.5}, initial={"b": 1.0}, name="n", title="N"
    )
    again = cell.replace(list(cell.equations))
    assert again == cell
    assert (again.initial, again.name, again.title) == ({"b": 1.0}, "n", "N")
    assert cell.replace(list(cell.equations), initial={}).initial == {}
    with pytest.raises(EquationError, match="initial names 'c'"):
        cell.replace(list(cell.equations), initial={"c": 1.0})


LEAKY = "step_size = 0.3\nleak = step_size / 2\nh[t] = (1 - leak) * h[t-1] + leak * tanh(W @ [h[t-1], x[t]])"


def test_a_text_can_give_its_constants():
    cell = Cell(LEAKY)
    assert cell.constants == {"step_size": 0.3, "leak": 0.15}
    assert list(cell.parameters) == ["W"]
    given = Cell("\n".join(LEAKY.split("\n")[2:]), constants={"leak": 0.15})
    assert cell.graph.graph.nodes == given.graph.graph.nodes
    assert str(cell.backward) == str(given.backward)


def test_constants_of_the_text_are_defaults():
    assert Cell(LEAKY, constants={"step_size": 1.0}).constants == {"step_size": 1.0, "leak": 0.5}
    assert Cell(LEAKY, constants={"leak": 1.0}).constants == {"step_size": 0.3, "leak": 1.0}
    assert Cell(LEAKY).replace(list(Cell(LEAKY).equations), constants={"step_size": 1.0}) == Cell(
        LEAKY, constants={"step_size": 1.0}
    )


def test_a_text_is_the_whole_cell():
    for cell in (Cell(LEAKY), Cell(LEAKY, constants={"step_size": 1.0}), CATALOGUE["co-rnn"], CATALOGUE["echo-state"]):
        assert Cell(str(cell)) == cell
        assert pickle.loads(pickle.dumps(cell)) == cell
        assert Cell(str(cell)).constants == cell.constants
        assert Cell(str(zoneout(cell, 0.1)), noise=zoneout(cell, 0.1).noise) == zoneout(cell, 0.1)
        assert Cell(str(zoneout(cell, 0.1).at_rest)) == zoneout(cell, 0.1).at_rest
    assert str(Cell(LEAKY)).split("\n")[:2] == ["step_size = 0.3", "leak      = step_size / 2"]


@pytest.mark.parametrize(
    ("right", "value"),
    [
        ("-2", -2.0),
        ("1e-3", 1e-3),
        ("sqrt(2) * (1 - 3) ** 2", 32**0.5),
        ("silu(0)", 0.0),
        ("-0.0", 0.0),
        ("1e300", 1e300),
    ],
)
def test_a_constant_may_be_any_number_that_the_language_can_say(right, value):
    cell = Cell(f"k = {right}\nh[t] = k * (W @ x[t])")
    assert cell.constants == {"k": pytest.approx(value, rel=1e-15)}
    assert Cell(str(cell)) == cell
