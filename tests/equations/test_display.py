"""What `print(cell.backward)` shows is what is computed: the printed lines are read and run, and give the gradient."""

import ast
import re
import textwrap

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from recurra.equations import FUNCTIONS, Cell
from support.classical import CLASSICAL
from support.meaning import evaluate, lines
from support.problems import random_problem
from support.random_cells import cells, random_cell

INPUT, HIDDEN = 3, 5


class PrintedBackward:
    """Reads the printed gradient of a step and runs it, for one row, in numpy.

    A line is `left = right`, which names a value, or `left += right`, which adds to one. `W[:, a]` is the block of W's
    columns that meets the operand a, and outer(a, [b, c]) the outer product of a with b and c side by side.
    """

    def __init__(self, cell):
        self.cell = cell
        self.widths = {f"grad_{n}": p.column_sizes(INPUT, HIDDEN) for n, p in cell.parameters.items()}
        self.blocks = {}  # a name for every block of columns that may be read: (matrix, first column, last column)
        text = str(cell.backward)
        for name, parameter in cell.parameters.items():
            ends = np.cumsum(parameter.column_sizes(INPUT, HIDDEN))
            texts = list(parameter.operands)
            for part, operand in enumerate(texts):
                place = f" ({part + 1})" if texts.count(operand) > 1 else ""
                block = f"{name}__{part}"
                self.blocks[block] = (name, ends[part] - parameter.columns[part].size(INPUT, HIDDEN), ends[part])
                text = re.sub(
                    rf"(?<!\w)(grad_)?{re.escape(name)}\[:, {re.escape(operand + place)}\]", rf"\1{block}", text
                )
        assert ":," not in text, text
        self.lines = [re.fullmatch(r"(\S+) +(\+?=) (.*)", line).groups() for line in text.split("\n") if line]

    def run(self, parameters, steps):
        """The gradients, by the name they are printed under, from the values of the step and what is received."""
        names = {**parameters, **{n: np.float64(v) for n, v in self.cell.constants.items()}}
        for block, (matrix, first, last) in self.blocks.items():
            names[block] = parameters[matrix][:, first:last]
        found = {f"grad_{name}": np.zeros_like(value) for name, value in parameters.items()}
        blocks = {f"grad_{block}": (f"grad_{m}", first, last) for block, (m, first, last) in self.blocks.items()}
        for left, sign, right in self.lines:
            matrix, first, last = blocks.get(left, (left, 0, 0))
            widths = [last - first] if left in blocks else self.widths.get(left)
            value = self.evaluate(ast.parse(right, mode="eval").body, names, steps, widths)
            name, lag = re.fullmatch(r"(\w+)(?:\[t(?:-(\d+))?\])?", left).groups()
            if left in blocks:
                assert sign == "+="
                found[matrix][:, first:last] += value
            elif left in found:
                assert sign == "+="
                found[left] = found[left] + value
            elif lag or left == "grad_x[t]":
                assert sign == "="
                assert left not in steps
                found[left] = value
            else:
                # A value is named once, before it is read; only what is received can be added to.
                assert ((name, 0) in steps) == (sign == "+=")
                steps[name, 0] = steps[name, 0] + value if sign == "+=" else value
        return found

    @staticmethod
    def evaluate(node, names, steps, widths):
        if isinstance(node, ast.Call) and node.func.id == "outer":
            left, right = node.args
            parts = right.elts if isinstance(right, ast.List) else [right]
            columns = [np.zeros(w) + evaluate(p, names, steps) for p, w in zip(parts, widths, strict=True)]
            return np.outer(evaluate(left, names, steps), np.concatenate(columns))
        return evaluate(node, names, steps)


def printed_against_autograd(cell, seed):
    """The gradients of one step of one row, by the printed lines and by autograd, each by its printed name."""
    problem = random_problem(cell, seed, steps=1, batch=1, input_size=INPUT, hidden_size=HIDDEN, ragged=False)
    # What a longer lag receives has only been handed on: leave it out, so that received is what arrives at step t.
    received = {k: g * (k in cell.states) for k, g in problem.state_gradients.items()}
    problem = problem.replace(state_gradients=received)
    expected = {}
    for name, gradient in problem.autograd().items():
        kind, _, rest = name.rpartition(" ")
        if kind == "parameter":
            expected[f"grad_{rest}"] = gradient.numpy()
        elif kind == "state":
            value, lag = cell.carried[rest]
            expected[f"grad_{value}[t-{lag}]"] = gradient[0].numpy()
        else:
            expected["grad_x[t]"] = gradient[0, 0].numpy()
    steps = {("x", 0): problem.x[0, 0].numpy()}
    steps |= {place: problem.state[key][0].numpy() for key, place in cell.carried.items()}
    steps |= {(name, 0): drawn.flatten().numpy() for name, drawn in problem.noise.items()}
    parameters = {name: p.numpy() for name, p in problem.parameters.items()}
    names = {**parameters, **{n: np.float64(v) for n, v in cell.constants.items()}}
    for name, expression in lines(cell.text):
        steps[name, 0] = np.zeros(HIDDEN) + evaluate(expression, names, steps)
    for name in {*cell.states, cell.output}:
        steps[f"grad_{name}", 0] = received[name][0].numpy() if name in received else np.zeros(HIDDEN)
    steps[f"grad_{cell.output}", 0] = steps[f"grad_{cell.output}", 0] + problem.output_gradients[0, 0].numpy()
    found = PrintedBackward(cell).run(parameters, steps)
    assert set(found) <= set(expected)
    return {name: found.get(name, np.zeros_like(e)) + np.zeros_like(e) for name, e in expected.items()}, expected, steps


def check(cell, seed):
    found, expected, _ = printed_against_autograd(cell, seed)
    for name, gradient in expected.items():
        np.testing.assert_allclose(
            found[name], gradient, rtol=1e-9, atol=1e-10, err_msg=f"{name} of\n{cell}\nas in\n{cell.backward}"
        )


@pytest.mark.parametrize("seed", range(100))
def test_the_printed_gradient_of_random_cells_is_the_gradient(seed):
    check(random_cell(seed, smooth=True, noise=True), seed)


@settings(max_examples=settings().max_examples // 10)
@given(cells(smooth=True, noise=True), st.integers(0, 2**32))
def test_the_printed_gradient_of_any_cell_is_the_gradient(cell, seed):
    check(cell, seed)


@pytest.mark.parametrize("name", CLASSICAL)
def test_the_printed_gradient_of_known_cells_is_the_gradient(name):
    check(CLASSICAL[name], 1)


@pytest.mark.parametrize(
    "text",
    [
        # names that stand for the same value, both of them carried
        "c[t] = tanh(W @ [h[t-1], x[t]])\nh[t] = c[t]\no[t] = V @ c[t-1] + U @ h[t]",
        "c[t] = tanh(W @ [h[t-1], x[t]])\nh[t] = c[t]\no[t] = c[t] + c[t-1]",
        "c[t] = tanh(W @ x[t])\nh[t] = c[t]\no[t] = h[t-1] + c[t-1]\np[t] = c[t]",
        "c[t] = tanh(W @ x[t])\nh[t] = -c[t]\nd[t] = -h[t] + d[t-1] * c[t-1] * h[t-1]",
        "a[t] = h[t-1]\nb[t] = a[t]\nh[t] = tanh(W @ [a[t], b[t-1], x[t]]) * a[t-2]",
        "h[t] = W @ x[t]\na[t] = h[t-2]\nb[t] = a[t-1] + h[t-1]",
        # operands that read the same
        "h[t] = tanh(W @ [h[t-1], h[t-1], x[t], x[t]])",
        "h[t] = tanh(W @ [h[t-1], x[t]] + W @ [x_0 * h[t-1], x[t]])",
        "h[t] = tanh(W @ [h[t-1], h[t-1]] - W @ [h[t-1], b])",
        # nothing to be learned, nothing read, nothing carried
        "h[t] = 0.5",
        "h[t] = 0.5 * h[t-1]",
        "h[t] = sign(h[t-1]) + step(W @ x[t])",
        "unread[t] = W @ x[t]\nh[t] = b",
        "a[t] = 2\nh[t] = W @ [a[t], h[t-1]] * a[t]",
        # pieces that are read more than once
        "h[t] = square(square(square(square(h[t-1] + b)))) * layer_norm(U @ x[t])",
        "h[t] = exp(p) * h[t-1] + exp(p) * tanh(W @ x[t] + exp(p))",
        "h_2[t] = tanh(W @ x[t]) * tanh(V @ x[t])\nh[t] = tanh(h_2[t] * tanh(U @ h[t-1])) + gelu(h_2[t])",
        "h[t] = tanh(transpose(W) @ h[t-1] - W @ tanh(W @ h[t-1]))",
    ],
)
def test_the_printed_gradient_of_odd_cells_is_the_gradient(text):
    for seed in range(3):
        check(Cell(text), seed)


@pytest.mark.parametrize("name", CLASSICAL)
def test_the_gradient_shown_for_a_value_is_its_own(name):
    """Beside each line a learned vector of zeros is added; its gradient is that of the line's value."""
    cell = CLASSICAL[name]
    *_, steps = printed_against_autograd(cell, 2)
    probed = Cell(
        "\n".join(f"{value}[t] = {ast.unparse(expression)} + probe_{value}" for value, expression in lines(cell.text)),
        constants=cell.constants,
    )
    problem = random_problem(cell, 2, steps=1, batch=1, input_size=INPUT, hidden_size=HIDDEN, ragged=False)
    probes = {f"probe_{value}": torch.zeros(HIDDEN, dtype=torch.float64) for value in cell.values}
    expected = problem.replace(
        cell=probed,
        parameters={**problem.parameters, **probes},
        state_gradients={k: g * (k in cell.states) for k, g in problem.state_gradients.items()},
    ).autograd()
    shown = [value for value in cell.values if (f"grad_{value}", 0) in steps]
    assert cell.output in shown
    for value in shown:
        np.testing.assert_allclose(steps[f"grad_{value}", 0], expected[f"parameter probe_{value}"].numpy(), rtol=1e-10)


GOLDEN = {
    "rnn": """
        delta_h[t]   = grad_h[t] * (1 - h[t] * h[t])
        grad_h[t-1]  = transpose(W[:, h[t-1]]) @ delta_h[t]
        grad_x[t]    = transpose(W[:, x[t]]) @ delta_h[t]
        grad_W      += outer(delta_h[t], [h[t-1], x[t]])
        grad_b      += delta_h[t]
    """,
    "gru": """
        grad_update[t]        = grad_h[t] * candidate[t] - grad_h[t] * h[t-1]
        grad_candidate[t]     = grad_h[t] * update[t]
        delta_candidate[t]    = grad_candidate[t] * (1 - candidate[t] * candidate[t])
        delta_candidate_2[t]  = transpose(W_candidate[:, relevance[t] * h[t-1]]) @ delta_candidate[t]
        grad_relevance[t]     = delta_candidate_2[t] * h[t-1]
        delta_relevance[t]    = grad_relevance[t] * relevance[t] * (1 - relevance[t])
        delta_update[t]       = grad_update[t] * update[t] * (1 - update[t])
        grad_h[t-1]           = grad_h[t] * (1 - update[t]) + delta_candidate_2[t] * relevance[t]
                              + transpose(W_relevance[:, h[t-1]]) @ delta_relevance[t]
                              + transpose(W_update[:, h[t-1]]) @ delta_update[t]
        grad_x[t]             = transpose(W_candidate[:, x[t]]) @ delta_candidate[t]
                              + transpose(W_relevance[:, x[t]]) @ delta_relevance[t]
                              + transpose(W_update[:, x[t]]) @ delta_update[t]
        grad_W_update        += outer(delta_update[t], [h[t-1], x[t]])
        grad_b_update        += delta_update[t]
        grad_W_relevance     += outer(delta_relevance[t], [h[t-1], x[t]])
        grad_b_relevance     += delta_relevance[t]
        grad_W_candidate     += outer(delta_candidate[t], [relevance[t] * h[t-1], x[t]])
        grad_b_candidate     += delta_candidate[t]
    """,
    "lstm": """
        part_h[t]           = tanh(c[t])
        grad_output[t]      = grad_h[t] * part_h[t]
        grad_c[t]          += grad_h[t] * output[t] * (1 - part_h[t] * part_h[t])
        grad_update[t]      = grad_c[t] * candidate[t]
        grad_candidate[t]   = grad_c[t] * update[t]
        grad_forget[t]      = grad_c[t] * c[t-1]
        delta_candidate[t]  = grad_candidate[t] * (1 - candidate[t] * candidate[t])
        delta_output[t]     = grad_output[t] * output[t] * (1 - output[t])
        delta_forget[t]     = grad_forget[t] * forget[t] * (1 - forget[t])
        delta_update[t]     = grad_update[t] * update[t] * (1 - update[t])
        grad_c[t-1]         = grad_c[t] * forget[t]
        grad_h[t-1]         = transpose(W_candidate[:, h[t-1]]) @ delta_candidate[t]
                            + transpose(W_output[:, h[t-1]]) @ delta_output[t]
                            + transpose(W_forget[:, h[t-1]]) @ delta_forget[t]
                            + transpose(W_update[:, h[t-1]]) @ delta_update[t]
        grad_x[t]           = transpose(W_candidate[:, x[t]]) @ delta_candidate[t]
                            + transpose(W_output[:, x[t]]) @ delta_output[t]
                            + transpose(W_forget[:, x[t]]) @ delta_forget[t]
                            + transpose(W_update[:, x[t]]) @ delta_update[t]
        grad_W_update      += outer(delta_update[t], [h[t-1], x[t]])
        grad_b_update      += delta_update[t]
        grad_W_forget      += outer(delta_forget[t], [h[t-1], x[t]])
        grad_b_forget      += delta_forget[t]
        grad_W_output      += outer(delta_output[t], [h[t-1], x[t]])
        grad_b_output      += delta_output[t]
        grad_W_candidate   += outer(delta_candidate[t], [h[t-1], x[t]])
        grad_b_candidate   += delta_candidate[t]
    """,
}


@pytest.mark.parametrize("name", GOLDEN)
def test_the_printed_gradient_of(name):
    expected = re.sub(r"\n +\+ transpose", " + transpose", textwrap.dedent(GOLDEN[name]).strip())
    assert str(CLASSICAL[name].backward) == expected


def test_names_that_stand_for_one_value_are_shown_as_the_first():
    cell = Cell("c[t] = tanh(W @ [h[t-1], x[t]])\nh[t] = c[t]\no[t] = V @ c[t-1] + U @ h[t]")
    assert str(cell.backward).split("\n")[0] == "grad_c[t]   += transpose(U) @ grad_o[t] + grad_h[t]"


def test_a_line_that_is_a_number_is_shown_by_its_name():
    cell = Cell("half[t] = 0.5\nh[t] = W @ [half[t], h[t-1]] * half[t]")
    assert str(cell.backward).split("\n") == [
        "delta_h[t]   = grad_h[t] * half[t]",
        "grad_h[t-1]  = transpose(W[:, h[t-1]]) @ delta_h[t]",
        "grad_W      += outer(delta_h[t], [half[t], h[t-1]])",
    ]


def test_operands_that_read_the_same_are_told_apart_by_their_place():
    printed = str(Cell("h[t] = W @ [h[t-1], h[t-1]]").backward)
    assert "transpose(W[:, h[t-1] (1)]) @ grad_h[t]" in printed
    assert "transpose(W[:, h[t-1] (2)]) @ grad_h[t]" in printed


@pytest.mark.parametrize("name", [n for n, f in FUNCTIONS.items() if not f.symbol])
def test_what_is_printed_stays_short_however_deep_the_equations(name):
    """Seventy functions inside one another: a text that doubled with each would never end."""
    expression = "h[t-1]"
    for k in range(70):
        others = [f"h[t-{(k + place) % 3 + 1}]" for place in range(FUNCTIONS[name].arity - 1)]
        expression = f"{name}({', '.join([expression, *others])})"
    printed = str(Cell(f"h[t] = {expression}").backward)
    assert len(printed) < 100_000
    assert max(map(len, printed.split("\n")), default=0) < 5_000


def test_a_sum_of_hundreds_is_printed():
    """The gradient of x[t] is a sum over all lines: it is broken up before it nests too deeply to be written."""
    text = "\n".join(f"v{k}[t] = tanh(W{k} @ [v{k}[t-1], x[t]])" for k in range(300)) + "\nh[t] = v0[t]"
    assert "grad_x[t]" in str(Cell(text).backward)
