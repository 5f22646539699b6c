"""Parameters, shapes and states, derived; against a second derivation straight from Python's syntax tree."""

import ast

import pytest
from hypothesis import given, settings

from recurra.equations import Cell
from recurra.equations.shapes import HIDDEN, INPUT, NUMBER, Parameter, Width
from support.classical import CLASSICAL
from support.meaning import lag, lines
from support.random_cells import equations, random_equations


class Oracle:
    """What a text says of its parameters and states, found by walking Python's own tree."""

    def __init__(self, text, constants):
        self.constants = constants
        self.parameters = {}  # name: (kind, columns, recurrent)
        self.states = {}
        self.recurrent = {}
        for name, expression in lines(text):
            self.visit(expression, None)
            self.recurrent[name] = self.late(expression)

    def late(self, node):
        """Whether the value reads an earlier step, at whatever distance."""
        steps = [n for n in ast.walk(node) if isinstance(n, ast.Subscript)]
        return any(lag(s.slice) or self.recurrent.get(s.value.id, False) for s in steps)

    def wide(self, node):
        """I or H: an expression is as wide as the input if it reads x[t] outside any product."""
        if isinstance(node, ast.Subscript):
            return "I" if node.value.id == "x" else "H"
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.MatMult):
            return "H"
        parts = node.args if isinstance(node, ast.Call) else list(ast.iter_child_nodes(node))
        return "I" if any(self.wide(p) == "I" for p in parts) else "H"

    def visit(self, node, parent):
        if isinstance(node, ast.Subscript):
            if lag(node.slice):
                self.states[node.value.id] = max(lag(node.slice), self.states.get(node.value.id, 0))
        elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.MatMult):
            self.product(node)
        elif isinstance(node, ast.Call):
            for argument in node.args:
                self.visit(argument, "other")
        elif isinstance(node, ast.BinOp):
            summed = isinstance(node.op, ast.Add | ast.Sub)
            for part in (node.left, node.right):
                self.visit(part, "sum" if summed else "other")
        elif isinstance(node, ast.UnaryOp):
            self.visit(node.operand, parent)
        elif isinstance(node, ast.Name) and node.id not in self.constants:
            before = self.parameters.get(node.id, ("bias",))[0]
            self.parameters[node.id] = ("bias" if parent == "sum" and before == "bias" else "weight", (), ())

    def product(self, node):
        name = node.left.args[0].id if isinstance(node.left, ast.Call) else node.left.id
        operands = node.right.elts if isinstance(node.right, ast.List) else [node.right]
        late = tuple(self.late(o) for o in operands)
        if name in self.parameters:
            late = tuple(a or b for a, b in zip(late, self.parameters[name][2], strict=True))
        self.parameters[name] = ("matrix", tuple(self.wide(o) for o in operands), late)
        for operand in operands:
            self.visit(operand, "other")


def check(text, cell):
    oracle = Oracle(text, cell.constants)
    letters = {INPUT: "I", HIDDEN: "H"}
    found = {n: (p.kind, tuple(letters[c] for c in p.columns), p.recurrent) for n, p in cell.parameters.items()}
    assert list(found.items()) == list(oracle.parameters.items())  # and in the order of the text
    assert cell.states == oracle.states
    assert list(cell.states) == [name for name in cell.values if name in oracle.states]
    sizes = {"I": 3, "H": 5}
    for name, (kind, columns, _) in oracle.parameters.items():
        shape = (5, sum(sizes[c] for c in columns)) if kind == "matrix" else (5,)
        assert cell.parameters[name].shape(3, 5) == shape


@pytest.mark.parametrize("seed", range(80))
def test_parameters_and_states_of_random_cells(seed):
    written = random_equations(seed, noise=True)
    check(written.text, written.cell())


@settings(max_examples=settings().max_examples // 5)
@given(equations(noise=True))
def test_parameters_and_states_of_any_cell(written):
    check(written.text, written.cell())


@pytest.mark.parametrize("name", CLASSICAL)
def test_parameters_and_states_of_known_cells(name):
    check(CLASSICAL[name].text, CLASSICAL[name])


def test_an_lstm_spelled_out():
    cell = CLASSICAL["peephole lstm"]
    assert {name: str(p) for name, p in cell.parameters.items()} == {
        "W_update": "(H, H + I)",
        "p_update": "(H,)",
        "b_update": "(H,)",
        "W_forget": "(H, H + I)",
        "p_forget": "(H,)",
        "b_forget": "(H,)",
        "W_cell": "(H, H + I)",
        "b_cell": "(H,)",
        "W_output": "(H, H + I)",
        "p_output": "(H,)",
        "b_output": "(H,)",
    }
    kinds = {name: p.kind for name, p in cell.parameters.items()}
    assert {n[0] for n, kind in kinds.items() if kind == "weight"} == {"p"}
    assert {n[0] for n, kind in kinds.items() if kind == "bias"} == {"b"}
    assert cell.parameters["W_output"].recurrent == (True, False)
    assert cell.parameters["W_output"].operands == ("h[t-1]", "x[t]")
    assert cell.states == {"c": 1, "h": 1}


@pytest.mark.parametrize(
    ("expression", "kind"),
    [
        ("W @ x[t] + b", "bias"),
        ("W @ x[t] - b", "bias"),
        ("b - W @ x[t]", "bias"),
        ("-b + W @ x[t]", "bias"),
        ("1 - b", "bias"),
        ("tanh(W @ x[t] + b)", "bias"),
        ("(h[t-1] + b) * h[t-1]", "bias"),
        ("b * h[t-1]", "weight"),
        ("h[t-1] / b", "weight"),
        ("-b * h[t-1]", "weight"),
        ("h[t-1] - -b * h[t-1]", "weight"),
        ("exp(b) * h[t-1]", "weight"),
        ("b ** 2 + h[t-1]", "weight"),
        ("W @ [b, x[t]]", "weight"),
        ("maximum(W @ x[t], b)", "weight"),
        ("b", "weight"),
        ("-b", "weight"),
        ("(W @ x[t] + b) * b", "weight"),
        ("b * h[t-1] + b", "weight"),
    ],
)
def test_a_bias_is_only_ever_added(expression, kind):
    assert Cell(f"h[t] = {expression}").parameters["b"].kind == kind


def test_which_parts_of_an_operand_depend_on_earlier_steps():
    cell = Cell("""
        now[t]   = U @ [x[t], x[t] * 2]
        later[t] = V @ [now[t], h[t-1], now[t] * c[t-2], b]
        h[t]     = W @ [later[t], now[t], x[t]]
        c[t]     = tanh(p * h[t])
    """)
    assert {name: p.recurrent for name, p in cell.parameters.items()} == {
        "U": (False, False),
        "V": (False, True, True, False),
        "b": (),
        "W": (True, False, False),
        "p": (),
    }


def test_a_shared_matrix_is_recurrent_if_any_of_its_uses_is():
    cell = Cell("a[t] = W @ [b, x[t]]\nh[t] = a[t] + W @ [h[t-1], x[t]] + W @ [a[t], x[t]]")
    assert cell.parameters["W"].recurrent == (True, False)
    assert cell.parameters["W"].operands == ("b", "x[t]")


def test_noise_is_no_parameter_and_no_state():
    noises = [random_equations(seed, noise=True) for seed in range(60)]
    cells = [n.cell() for n in noises if n.noise]
    assert len(cells) > 10
    for cell in cells:
        assert not set(cell.noise) & {*cell.parameters, *cell.states, *cell.values}


def test_widths_add_and_read():
    assert Width(1, 2) == INPUT + HIDDEN + HIDDEN
    assert (str(Width(1, 2)), str(Width(2, 0)), str(NUMBER)) == ("2H + I", "2I", "1")
    assert Width(1, 2).size(3, 5) == 13
    assert Parameter("W", "matrix", (HIDDEN, INPUT, HIDDEN)).column_sizes(3, 5) == (5, 3, 5)
