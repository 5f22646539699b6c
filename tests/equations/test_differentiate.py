"""The backward graph is well built: what it holds, in which order, and what it reads of the step."""

import pytest

from recurra.equations import Cell
from recurra.equations.differentiate import differentiate
from recurra.equations.graph import Graph, build
from support.classical import CLASSICAL
from support.random_cells import random_cell

CELLS = [random_cell(seed, noise=True) for seed in range(40)] + list(CLASSICAL.values())


@pytest.mark.parametrize("cell", CELLS, ids=range(len(CELLS)))
def test_the_graph_goes_on_from_the_step(cell):
    step, backward = cell.graph, cell.backward_graph
    first = len(step.graph)
    assert backward.graph.nodes[:first] == step.graph.nodes
    assert len(backward.owners) == len(backward.graph)
    assert backward.owners[:first] == step.owners
    for number, node in enumerate(backward.graph.nodes):
        assert all(a < number for a in node.args)
        assert node.kind != "received" or number >= first
    assert set(backward.received) == {*cell.states, cell.output}
    assert set(backward.state_gradients) <= set(cell.carried.values())
    assert {*backward.vector_gradients, *backward.matrix_gradients} <= set(cell.parameters)


@pytest.mark.parametrize("cell", CELLS, ids=range(len(CELLS)))
def test_what_is_saved_is_all_of_the_step_that_the_gradient_reads(cell):
    backward = cell.backward_graph
    first = len(backward.step.owners)
    read = set()
    for number in backward.graph.reachable(backward.roots):
        if number >= first:
            read |= set(backward.graph[number].args)
    outer = {n for parts in backward.matrix_gradients.values() for p in parts for n in (p.rows, p.columns)}
    assert {n for n in read | outer if n < first} <= set(backward.saved)
    assert all(n < first for n in backward.saved)


def test_an_lstm_saves_its_gates_and_nothing_of_their_insides():
    cell = CLASSICAL["lstm"]
    backward = cell.backward_graph
    kinds = [backward.graph[n].kind for n in backward.saved]
    assert sorted(kinds) == sorted([*["sigmoid"] * 3, *["tanh"] * 2, "state", "state", "input"])


def test_nothing_is_derived_for_what_no_gradient_can_reach():
    cell = Cell("gate[t] = step(W @ x[t])\nunread[t] = V @ x[t]\nh[t] = gate[t] * h[t-1]")
    backward = cell.backward_graph
    assert backward.matrix_gradients == {}
    assert backward.input_gradient is None
    assert list(backward.state_gradients) == [("h", 1)]


def test_each_use_of_a_matrix_is_an_outer_product():
    backward = Cell("h[t] = tanh(W @ [h[t-1], x[t]] + W @ [h[t-2], x[t]])").backward_graph
    assert [p.part for p in backward.matrix_gradients["W"]] == [0, 0, 1]  # both read the same x[t]: one product
    backward = Cell("h[t] = tanh(W @ h[t-1] - transpose(W) @ h[t-1])").backward_graph
    h = next(n for n, node in enumerate(backward.graph.nodes) if node.kind == "state")
    one, other = backward.matrix_gradients["W"]
    assert (one.rows == h) + (other.rows == h) == 1  # of the transposed, rows and columns change places
    assert (one.columns == h) + (other.columns == h) == 1


def test_a_step_that_was_not_simplified_can_be_differentiated_too():
    for cell in CELLS:
        step = build(cell.equations, cell.parameters, cell.states, cell.constants, cell.noise, Graph())
        backward = differentiate(step)
        assert backward.graph.nodes[: len(step.graph)] == step.graph.nodes
