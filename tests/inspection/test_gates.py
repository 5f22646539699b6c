import re

import pytest
import torch

from recurra import cells
from recurra.cells import CATALOGUE, Cell, modifiers
from recurra.inspection import Saturation, gates, keeping_gate, saturation
from recurra.nn import Recurrent


@pytest.mark.parametrize("cell", CATALOGUE.values(), ids=CATALOGUE)
def test_gates_are_the_lines_that_are_a_sigmoid_or_a_tanh(cell):
    lines = dict(line.split("[t]", 1) for line in cell.text.splitlines() if re.match(r"\w+\[t\]", line))
    expected = {
        name: kind
        for name, line in lines.items()
        for kind in ("sigmoid", "tanh")
        if line.split("=", 1)[1].strip().startswith(f"{kind}(") and line.count("(") == balanced(line)
    }
    assert gates(cell) == expected


def balanced(line):
    """How many parentheses a line has, if the first one closes at its end; else none."""
    depth, body = 0, line.split("=", 1)[1].strip()
    for place, sign in enumerate(body):
        depth += (sign == "(") - (sign == ")")
        if depth == 0 and sign == ")":
            return line.count("(") if place == len(body) - 1 else -1
    return -1


@pytest.mark.parametrize(
    ("name", "gate"),
    [
        ("simplified-gru", ("update", 0, None)),
        ("gru", ("update", 0, None)),
        ("gru-reset-after", ("update", 1, None)),
        ("lstm", ("forget", 1, "input")),
        ("peephole-lstm", ("forget", 1, "input")),
        ("full-peephole-lstm", ("forget", 1, "input")),
        ("coupled-lstm", ("input", 0, None)),
        ("minimal-gated-unit", ("forget", 0, None)),
        ("li-gru", ("update", 1, None)),
        ("min-gru", ("update", 0, None)),
        ("rnn", None),
        ("irnn", None),
        ("echo-state", None),
    ],
)
def test_the_gate_that_keeps_is_read_from_the_equations(name, gate):
    found = keeping_gate(CATALOGUE[name])
    assert (found and (found.name, found.keeps_at, found.writes)) == gate
    assert gate is None or (found.bias == f"b_{gate[0]}" and found.writes_bias == (gate[2] and f"b_{gate[2]}"))


@pytest.mark.parametrize("name", ["gru", "gru-reset-after", "lstm", "coupled-lstm", "minimal-gated-unit"])
def test_a_gate_at_its_keeping_end_keeps(name):
    """Held there by its bias, it leaves the state what it was."""
    cell = CATALOGUE[name]
    gate = keeping_gate(cell)
    layer = Recurrent(cell, 2, 3, initial={f"b_{gate.name}": 40.0 if gate.keeps_at else -40.0})
    if name == "lstm":
        torch.nn.init.constant_(layer.layers[0].b_input, -40.0)
    state = {key: torch.rand(1, 4, 3) for key in cell.carried}
    kept = [key for key in cell.carried if name not in ("lstm", "coupled-lstm") or key == "memory"]
    _, last = layer(torch.randn(4, 5, 2), state)
    assert all(torch.allclose(last[key], state[key], atol=1e-6) for key in kept)


def test_a_gate_that_only_a_matrix_sees_keeps_nothing():
    cell = Cell("reset[t] = sigmoid(W @ x[t])\nh[t] = tanh(V @ [reset[t] * h[t-1], x[t]])")
    assert keeping_gate(cell) is None


def test_modified_cells_have_their_gates():
    assert gates(modifiers.zoneout(cells.LSTM, 0.1).at_rest) == gates(cells.LSTM)
    assert keeping_gate(modifiers.layer_norm(cells.GRU)) == keeping_gate(cells.GRU)


def test_saturation_counts_the_lowest_and_the_highest_tenth_of_the_steps_that_count():
    update = torch.tensor([0.05, 0.5, 0.95, 0.099, 0.101, 0.899, 0.901, 0.5])[:, None, None]
    values = {"update": update, "relevance": update, "candidate": 2 * update - 1}
    whole = saturation(cells.GRU, values)
    assert list(whole) == ["update", "relevance", "candidate"]
    assert all(own == Saturation(0.25, 0.25) for own in whole.values())
    assert saturation(cells.GRU, values, torch.tensor([2]))["candidate"] == Saturation(0.5, 0.0)
    assert whole["update"].share == 0.5
