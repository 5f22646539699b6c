"""Simplification changes what is computed, never what comes out."""

import pytest
import torch

from recurra.backends.reference.interpret import Program, blocks, constants
from recurra.equations import FUNCTIONS, Cell
from recurra.equations.graph import Graph, Node, build
from recurra.equations.shapes import HIDDEN, INPUT
from recurra.equations.simplify import SimplifiedGraph, simplify
from recurra.errors import EquationError
from support.classical import CLASSICAL
from support.problems import random_problem
from support.random_cells import random_cell


def plain(cell):
    """The step graph of a cell as it was written, with nothing simplified."""
    return build(cell.equations, cell.parameters, cell.states, cell.constants, cell.noise, Graph())


def spelled(graph, number):
    """What a node computes, as nested tuples; arguments that may change places are sorted."""
    node = graph[number]
    args = [spelled(graph, a) for a in node.args]
    if node.kind in {"add", "multiply", "minimum", "maximum"}:
        args.sort(key=repr)
    return (node.kind, node.name, node.index, node.number, str(node.width), *args)


def evaluated(graph, roots, problem):
    """The values of nodes at one step of a problem."""
    values = constants(graph, problem.x, problem.x.shape[2], problem.hidden_size)
    for number, node in enumerate(graph.nodes):
        if node.kind == "vector":
            values[number] = problem.parameters[node.name]
        elif node.kind == "input":
            values[number] = problem.x[0]
        elif node.kind == "noise":
            drawn = problem.noise[node.name]
            values[number] = drawn[0] if drawn.dim() == 3 else drawn
        elif node.kind == "state":
            values[number] = problem.state[node.name if node.index == 1 else f"{node.name}[t-{node.index - 1}]"]
    matrices = blocks(problem.cell.parameters, problem.parameters, problem.x.shape[2])
    Program(graph, roots).run(values, matrices)
    return [torch.as_tensor(values[r]).expand(problem.x.shape[1], problem.hidden_size) for r in roots]


def check(cell, seed):
    step = plain(cell)
    wanted = list(step.values.values())
    simple, moved = simplify(step.graph, wanted)
    grown = cell.graph
    assert [spelled(simple, m) for m in moved] == [spelled(grown.graph, n) for n in grown.values.values()]
    problem = random_problem(cell, seed, steps=1, batch=3, input_size=3, hidden_size=5, ragged=False)
    expected = evaluated(step.graph, wanted, problem)
    for graph, roots in ((simple, moved), (grown.graph, list(grown.values.values()))):
        for name, a, b in zip(step.values, evaluated(graph, roots, problem), expected, strict=True):
            torch.testing.assert_close(a, b, rtol=1e-11, atol=1e-11, msg=f"{name} of\n{cell}")


@pytest.mark.parametrize("seed", range(80))
def test_a_simplified_graph_computes_the_same(seed):
    check(random_cell(seed, smooth=True, noise=True), seed)


@pytest.mark.parametrize("name", CLASSICAL)
def test_a_simplified_graph_of_a_known_cell_computes_the_same(name):
    check(CLASSICAL[name], 0)


@pytest.mark.parametrize(
    ("written", "simple"),
    [
        ("h[t-1] + 0", "h[t-1]"),
        ("0 + h[t-1]", "h[t-1]"),
        ("h[t-1] - 0", "h[t-1]"),
        ("0 - h[t-1]", "-h[t-1]"),
        ("h[t-1] * 1", "h[t-1]"),
        ("1 * h[t-1]", "h[t-1]"),
        ("h[t-1] * 0", "0"),
        ("0 * (V @ x[t])", "0"),
        ("-1 * h[t-1]", "-h[t-1]"),
        ("h[t-1] / 1", "h[t-1]"),
        ("0 / h[t-1]", "0"),
        ("--h[t-1]", "h[t-1]"),
        ("-(b - h[t-1])", "h[t-1] - b"),
        ("h[t-1] + -b", "h[t-1] - b"),
        ("-b + h[t-1]", "h[t-1] - b"),
        ("h[t-1] - -b", "h[t-1] + b"),
        ("-h[t-1] * b", "-(h[t-1] * b)"),
        ("h[t-1] * -b", "-(h[t-1] * b)"),
        ("-h[t-1] * -b", "h[t-1] * b"),
        ("-h[t-1] * -h[t-1]", "h[t-1] * h[t-1]"),
        ("-h[t-1] / b", "-(h[t-1] / b)"),
        ("h[t-1] ** 2", "h[t-1] * h[t-1]"),
        ("h[t-1] ** 1", "h[t-1]"),
        ("h[t-1] ** 0", "1"),
        ("h[t-1] ** 0.5", "sqrt(h[t-1])"),
        ("where(2, h[t-1], b)", "h[t-1]"),
        ("where(0, h[t-1], 3)", "3"),
        ("where(h[t-1], b, b)", "b"),
        ("square(h[t-1])", "h[t-1] * h[t-1]"),
        ("mean(mean(b))", "mean(b)"),
        ("2 * 3 + h[t-1]", "6 + h[t-1]"),
        ("tanh(0) + sigmoid(0) * h[t-1]", "0.5 * h[t-1]"),
        ("h[t-1] * 2 ** -1", "h[t-1] * 0.5"),
        ("minimum(2, 3) * maximum(h[t-1], b)", "2 * maximum(b, h[t-1])"),
        ("h[t-1] + (0 * b + 0) * exp(b)", "h[t-1]"),
        ("W @ [h[t-1], x[t]]", "W @ [h[t-1], x[t]] - 0"),
    ],
)
def test_the_rules_one_by_one(written, simple):
    one, other = (Cell(f"h[t] = {e} + c[t-1] * 0\nc[t] = h[t-1] + b * 0 + 0 * (V @ x[t])") for e in (written, simple))
    assert spelled(one.graph.graph, one.graph.values["h"]) == spelled(other.graph.graph, other.graph.values["h"])


def test_a_line_that_is_a_number_is_as_wide_as_the_hidden_state():
    cell = Cell("a[t] = 2 * 0.25\nb[t] = a[t] * 4\nh[t] = W @ [a[t], b[t]] + h[t-1]")
    graph, values = cell.graph.graph, cell.graph.values
    assert (graph[values["a"]].number, graph[values["b"]].number) == (0.5, 2.0)
    assert graph[values["a"]].width == graph[values["b"]].width == HIDDEN


def test_nothing_times_the_input_is_as_wide_as_the_input():
    graph = SimplifiedGraph()
    x = graph.add(Node("input", name="x", width=INPUT))
    assert graph[graph.apply("multiply", graph.number(0), x)].width == INPUT
    assert graph[graph.apply("divide", graph.number(0), x)].width == INPUT
    assert graph[graph.apply("power", x, graph.number(0))].width == INPUT


def test_equal_nodes_are_one():
    graph = Graph()
    a, b = graph.add(Node("vector", name="a")), graph.add(Node("vector", name="b"))
    for function in ("add", "multiply", "minimum", "maximum"):
        assert graph.apply(function, a, b) == graph.apply(function, b, a)
    for function in ("subtract", "divide", "below"):
        assert graph.apply(function, a, b) != graph.apply(function, b, a)
    assert graph.number(1) == graph.number(1.0)
    assert graph.number(1) != graph.number(1, HIDDEN)
    assert graph.add(Node("product", (a,), "W", 0)) != graph.add(Node("product", (a,), "W", 1))
    assert graph.add(Node("product", (a,), "W")) != graph.add(Node("adjoint", (a,), "W"))
    assert graph.add(Node("state", name="a", index=1)) != graph.add(Node("state", name="a", index=2))
    size = len(graph)
    assert len(Graph(graph.nodes)) == size
    assert Graph(graph.nodes).nodes == graph.nodes


def test_every_node_stands_after_what_it_needs_and_has_an_owner():
    for seed in range(40):
        step = random_cell(seed, noise=True).graph
        assert len(step.owners) == len(step.graph)
        assert set(step.owners) <= set(step.values)
        for number, node in enumerate(step.graph.nodes):
            assert all(a < number for a in node.args)
            assert node.args or node.kind in {"number", "input", "state", "vector", "noise"}
            assert not (node.args and all(step.graph[a].kind == "number" for a in node.args)) or node.kind == "product"


def test_composed_functions_leave_only_the_table():
    known = {name for name, f in FUNCTIONS.items() if not f.definition}
    leaves = {"number", "input", "state", "vector", "noise", "product", "adjoint"}
    for seed in range(40):
        assert {node.kind for node in random_cell(seed, noise=True).graph.graph.nodes} <= known | leaves


def test_folding_to_what_is_not_finite_is_refused():
    graph = Graph()
    with pytest.raises(EquationError, match=r"divide\(1, 0\) is not a finite number"):
        graph.apply("divide", graph.number(1), graph.number(0))
