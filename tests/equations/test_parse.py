"""Text becomes equations and equations text, and neither loses anything."""

import ast
import random

import numpy as np
import pytest
from hypothesis import given, settings

from recurra.equations import Cell
from recurra.equations.expression import Call, Constant, Equation, Number, Place, Product, Step, Vector, render, walk
from recurra.equations.graph import Graph, build
from recurra.equations.parse import parse, parse_expression
from recurra.errors import EquationError
from support.classical import CLASSICAL
from support.meaning import evaluate
from support.random_cells import equations, random_equations

H, X = Step("h", 1), Step("x")


def same(cell, again):
    """Whether two cells are one: equations, parameters, states, graph."""
    return (
        again == cell
        and hash(again) == hash(cell)
        and again.text == cell.text
        and again.parameters == cell.parameters
        and again.carried == cell.carried
        and again.graph.graph.nodes == cell.graph.graph.nodes
        and again.graph.values == cell.graph.values
    )


@pytest.mark.parametrize("seed", range(80))
def test_what_is_printed_reads_back_as_the_same_cell(seed):
    cell = random_equations(seed, noise=True).cell()
    assert same(cell, Cell(str(cell), constants=cell.constants, noise=cell.noise))


@settings(max_examples=settings().max_examples // 5)
@given(equations(noise=True))
def test_what_is_printed_reads_back_as_the_same_cell_whatever_the_cell(written):
    cell = written.cell()
    assert same(cell, Cell(str(cell), constants=cell.constants, noise=cell.noise))


@pytest.mark.parametrize("name", CLASSICAL)
def test_known_cells_read_back(name):
    cell = CLASSICAL[name]
    assert same(cell, Cell(cell.text, constants=cell.constants))


@pytest.mark.parametrize(
    ("text", "expression"),
    [
        ("2", Number(2)),
        ("-2", Number(-2)),
        ("+2", Number(2)),
        ("--2", Number(2)),
        ("1_000", Number(1000)),
        ("0x10", Number(16)),
        (".5e1", Number(5)),
        ("b", Vector("b")),
        ("+b", Vector("b")),
        ("x[t]", X),
        ("h[t]", Step("h")),
        ("h[t-1]", H),
        ("h[ t - 3 ]", Step("h", 3)),
        ("h[t-64]", Step("h", 64)),
        ("-h[t-1]", Call("negate", (H,))),
        ("-(-b)", Call("negate", (Call("negate", (Vector("b"),)),))),
        ("h[t-1] + b", Call("add", (H, Vector("b")))),
        ("a - b - c", Call("subtract", (Call("subtract", (Vector("a"), Vector("b"))), Vector("c")))),
        ("a - (b - c)", Call("subtract", (Vector("a"), Call("subtract", (Vector("b"), Vector("c")))))),
        ("a / b * c", Call("multiply", (Call("divide", (Vector("a"), Vector("b"))), Vector("c")))),
        ("a + b * c", Call("add", (Vector("a"), Call("multiply", (Vector("b"), Vector("c")))))),
        ("a ** 2 ** 3", Call("power", (Vector("a"), Call("power", (Number(2), Number(3)))))),
        ("-a ** 2", Call("negate", (Call("power", (Vector("a"), Number(2))),))),
        ("(-a) ** 2", Call("power", (Call("negate", (Vector("a"),)), Number(2)))),
        ("a ** -2", Call("power", (Vector("a"), Number(-2)))),
        ("-2 ** 2", Call("negate", (Call("power", (Number(2), Number(2))),))),
        ("W @ x[t]", Product("W", (X,))),
        ("W @ [x[t]]", Product("W", (X,))),
        ("W @ [h[t-1], x[t]]", Product("W", (H, X))),
        ("transpose(W) @ h[t-1]", Product("W", (H,), transposed=True)),
        ("W @ -x[t]", Product("W", (Call("negate", (X,)),))),
        ("-W @ x[t]", None),
        ("W @ (V @ x[t])", Product("W", (Product("V", (X,)),))),
        ("W @ x[t] * b", Call("multiply", (Product("W", (X,)), Vector("b")))),
        ("b * (W @ x[t])", Call("multiply", (Vector("b"), Product("W", (X,))))),
        ("tanh(a)", Call("tanh", (Vector("a"),))),
        ("minimum(a, b)", Call("minimum", (Vector("a"), Vector("b")))),
    ],
)
def test_how_an_expression_reads(text, expression):
    if expression is None:  # unary minus binds before @, as it does in Python
        with pytest.raises(EquationError, match="left side of @"):
            parse_expression(text)
        return
    assert parse_expression(text) == expression
    assert parse_expression(render(expression)) == expression


def random_expression(draw, depth):
    """A tree of any shape over scalars, sensible or not."""
    kind = draw.randrange(9) if depth else draw.randrange(2)
    if kind == 0:
        return Number(draw.choice([0.5, 2, -1, -0.25, 3]))
    if kind == 1:
        return draw.choice([Vector("a"), Step("h", 1), Step("x"), Constant("k")])
    if kind == 2:
        inner = random_expression(draw, depth - 1)
        return Number(-inner.value) if isinstance(inner, Number) else Call("negate", (inner,))
    if kind == 3:
        return Product(draw.choice("WV"), tuple(random_expression(draw, depth - 1) for _ in range(draw.randint(1, 2))))
    names = ["add", "subtract", "multiply", "divide", "power", "maximum"]
    return Call(draw.choice(names), (random_expression(draw, depth - 1), random_expression(draw, depth - 1)))


def test_parentheses_are_enough_and_never_too_many():
    """Any tree is read back from its text, and no pair of its parentheses could be left out."""
    draw = random.Random(1)
    for _ in range(400):
        tree = random_expression(draw, draw.randint(1, 5))
        text = render(tree)
        [equation] = parse(f"y[t] = {text}", ["k"])
        assert equation.expression == tree, text
        for place, character in enumerate(text):
            if character == "(" and (place == 0 or not text[place - 1].isalnum()):
                assert read_without(text, place) != tree, text


def read_without(text, place):
    """The tree of the text without the parentheses that open at a place; None if it has none."""
    depth = 0
    for end in range(place, len(text)):
        depth += (text[end] == "(") - (text[end] == ")")
        if depth == 0:
            break
    try:
        [equation] = parse(f"y[t] = {text[:place]}{text[place + 1 : end]}{text[end + 1 :]}", ["k"])
    except EquationError:
        return None
    return equation.expression


def test_arithmetic_means_what_it_means_in_python():
    """A value by our tree is the value by Python's: precedence and grouping are the same."""
    draw = random.Random(2)
    names = {"a": np.float64(1.3), "b": np.float64(-0.7), "c": np.float64(2.1)}
    for _ in range(300):
        pieces = [draw.choice(["a", "b", "c", "2", ".5"])]
        for _ in range(draw.randint(1, 7)):
            pieces += [
                draw.choice([" + ", "-", " * ", "/", "+ -", "* -"]),
                draw.choice(["a", "b", "c", "3", "(a - b)"]),
            ]
        text = "".join(pieces)
        expected = evaluate(ast.parse(text, mode="eval").body, names, {})
        assert value(parse_expression(text), names) == expected, text


def value(expression, names):
    if isinstance(expression, Number):
        return expression.value
    if isinstance(expression, Vector):
        return names[expression.name]
    arguments = [value(a, names) for a in expression.arguments]
    operations = {"add": np.add, "subtract": np.subtract, "multiply": np.multiply, "divide": np.divide}
    return -arguments[0] if expression.function == "negate" else operations[expression.function](*arguments)


def test_spaces_comments_blank_lines_and_line_ends_mean_nothing():
    plain = Cell("a[t] = W @ x[t]\nh[t] = tanh(a[t] + u * h[t-1])")
    for text in (
        "\n\n   a[t]=W@x[t]   # the input\n\n# nothing\n      h[t] = tanh( a[t]+u*h[ t-1 ] )\n\n",
        "a[t] = W @ x[t]\r\nh[t] = tanh(a[t] + u * h[t-1])\r\n",
        "a[t] = W @ x[t]\rh[t] = tanh(a[t] + u * h[t-1])",
        "\ta[t]\t=\tW @ x[t]\n\th[t] = tanh(a[t] +\tu * h[t-1])",
        "a[t] = W @ x[t]; h[t] = tanh(a[t] + u * h[t-1])",
        "a[t] = W @ x[t]\nh[t] = tanh(a[t]\n    + u * h[t-1])",
        "a[t] = W @ x[t]\nh[t] = \\\n  tanh(a[t] + u * h[t-1])",
    ):
        assert Cell(text) == plain, text


def test_words_of_any_script_are_names():
    cell = Cell("Δ[t] = σ_W @ x[t]\nℎ[t] = tanh(Δ[t] + ℎ[t-1])")
    assert cell.values == ("Δ", "h")  # as Python reads them: ℎ is h in another typeface
    assert list(cell.parameters) == ["σ_W"]
    assert Cell(cell.text) == cell


def test_words_that_python_uses_now_and_then_are_names():
    assert Cell("match[t] = W @ x[t]\ntype[t] = case + match[t]\n_[t] = type[t]").values == ("match", "type", "_")


def test_every_part_knows_where_it_stands():
    text = "é[t] = ü @ x[t]\n   h[t] = tanh(é[t] + ß * h[t-1])"
    lines = [line.strip() for line in text.split("\n")]
    found = {}
    for equation in parse(text):
        for part in (equation, *walk(equation.expression)):
            place = part.place
            found[type(part), lines[place.line - 1][place.column : place.column + place.length]] = place.line
    assert found == {
        (Equation, "é[t]"): 1,
        (Product, "ü @ x[t]"): 1,
        (Step, "x[t]"): 1,
        (Equation, "h[t]"): 2,
        (Call, "tanh(é[t] + ß * h[t-1])"): 2,
        (Call, "é[t] + ß * h[t-1]"): 2,
        (Step, "é[t]"): 2,
        (Call, "ß * h[t-1]"): 2,
        (Vector, "ß"): 2,
        (Step, "h[t-1]"): 2,
    }
    assert Place() == Place(0, 0, 1)


def test_the_longest_text_and_the_deepest_nesting():
    line = "h{} [t] = tanh(W @ h{}[t-1])\n"
    assert len(Cell("".join(line.format(i, i) for i in range(500))).values) == 500
    Cell("h[t] = " + "tanh(" * 76 + "h[t-1]" + ")" * 76)
    with pytest.raises(EquationError, match="nests deeper than 80 levels"):
        Cell("h[t] = " + "tanh(" * 80 + "h[t-1]" + ")" * 80)
    with pytest.raises(EquationError, match="the text has 100,001 characters; at most 100,000 are read"):
        Cell("h[t] = b".ljust(100_001))


def test_the_graph_of_what_is_read_back_is_the_same_without_simplification_too():
    for seed in range(40):
        cell = random_equations(seed, noise=True).cell()
        again = Cell(cell.text, constants=cell.constants, noise=cell.noise)
        graphs = [build(c.equations, c.parameters, c.states, c.constants, c.noise, Graph()) for c in (cell, again)]
        assert graphs[0].graph.nodes == graphs[1].graph.nodes
        assert graphs[0].owners == graphs[1].owners
