"""A plan does what its cell does: shown by running it, stage by stage, with no backend in between.

The runner below is numpy and knows nothing of how a backend lays out memory, only the rules of a plan: within a stage
every unit is on its own, so a product or a mean reads what was whole before the stage began; what later stages read is
scratch; what the gradient reads was saved.
"""

import numpy as np
import pytest
import torch

from recurra.backends.plan import CHEAP, SLOW, Operation, plan
from recurra.backends.reference.interpret import Program, constants
from recurra.cells import CATALOGUE, modifiers
from recurra.equations import Cell
from support.classical import CLASSICAL
from support.meaning import FUNCTIONS as MEANING
from support.odd_cells import ODD
from support.problems import random_problem
from support.random_cells import random_cell

FUNCTIONS = {
    **MEANING,
    "add": np.add,
    "subtract": np.subtract,
    "multiply": np.multiply,
    "divide": np.divide,
    "negate": np.negative,
    "power": np.power,
}
OTHERS = {**CLASSICAL, **ODD}
EVERY_CELL = pytest.mark.parametrize("cell", CATALOGUE.values(), ids=CATALOGUE)


# A plan, run ---------------------------------------------------------------------------------------------------------


class Step:
    """One step of a loop: what is in memory, and what the stages bring forth.

    Args:
        loop: The loop.
        leaves: The value of a leaf.
        blocks: The block of each matrix and part.
        kept: What is told of each value that is kept, at the end of its stage.
    """

    def __init__(self, loop, leaves, blocks, kept=lambda place: None):
        self.loop, self.leaves, self.blocks, self.kept = loop, leaves, blocks, kept
        self.memory = {}
        self.stored = []

    def run(self):
        """The stores, in order, with their values."""
        for stage in self.loop.stages:
            self._stage(stage)
        return self.stored

    def _leaf(self, number):
        return self.leaves(self.loop.operations[number].leaf)

    def _whole(self, number):
        """All units of something, as a product or a mean reads it."""
        leaf = self.loop.operations[number].leaf
        if leaf is not None and leaf.kind in {"state", "saved"}:
            return self._leaf(number)
        assert number in self.memory, f"operation {number} is not in memory when a stage that needs all of it begins"
        return self.memory[number]

    def _stage(self, stage):
        values = {}
        for number in stage.sums:
            values[number] = sum(self._product(term) for term in self.loop.operations[number].sum.terms)
        for number in stage.means:
            (averaged,) = self.loop.operations[number].args
            values[number] = MEANING["mean"](self._whole(averaged))

        def value(number):
            if number in values:
                return values[number]
            if self.loop.operations[number].leaf is not None:
                return self._leaf(number)
            assert number in self.memory, f"operation {number} is read before it is there"
            return self.memory[number]

        for number in stage.work:
            operation = self.loop.operations[number]
            # What is not selected may be infinite, or not a number.
            with np.errstate(divide="ignore", invalid="ignore"):
                values[number] = FUNCTIONS[operation.function](*(value(a) for a in operation.args))
        leaving = [(store, value(store.operation)) for store in stage.stores]
        for number in stage.means:
            self.memory[number] = values[number]
        for store, left in leaving:
            if store.kind == "scratch":
                assert self.loop.scratch[store.index] == store.operation
                self.memory[store.operation] = left
            elif store.kind == "saved":
                self.memory[store.operation] = left
                self.kept(store.index)
        self.stored += [pair for pair in leaving if pair[0].kind != "scratch"]

    def _product(self, term):
        block = self.blocks[term.matrix, term.part]
        return self._whole(term.operand) @ (block if term.transposed else block.T)


class Runner:
    """A plan run over a batch of sequences of equal length, there and back."""

    def __init__(self, problem):
        self.problem, self.plan = problem, plan(problem.cell)
        self.steps, self.batch, inputs = problem.x.shape
        self.hidden = problem.hidden_size
        self.blocks = {}
        for name, parameter in problem.cell.parameters.items():
            if parameter.kind == "matrix":
                sizes = parameter.column_sizes(inputs, self.hidden)
                parts = np.split(problem.parameters[name].numpy(), np.cumsum(sizes)[:-1], axis=1)
                self.blocks.update({(name, part): block for part, block in enumerate(parts)})
        self.operands = self._operands()
        self.products = [self._outside(*product) for product in self.plan.products]
        # The value of every state at each step, those before the first among them, and the gradient there.
        self.values = {(n, -lag): problem.state[key].numpy() for key, (n, lag) in problem.cell.carried.items()}
        self.flows = {}
        for key, (name, lag) in problem.cell.carried.items():
            self._add(self.flows, (name, self.steps - lag), problem.state_gradients[key].numpy())
        self.saved = [{} for _ in range(self.steps)]

    def _operands(self):
        """What the products before the loop read: made of x alone, by node, (T, B, width) each."""
        graph = self.problem.cell.graph.graph
        self.x = self.problem.x.clone().requires_grad_()
        values = constants(graph, self.x, self.x.shape[2], self.hidden)
        for number, node in enumerate(graph.nodes):
            if node.kind == "input":
                values[number] = self.x
            elif node.kind == "noise":
                values[number] = self._noise(node.name)
        wanted = [operand for *_, operand in self.plan.products]
        Program(graph, wanted).run(values, {})
        return {n: values[n].expand(self.steps, self.batch, values[n].shape[-1]) for n in wanted}

    def _noise(self, name):
        drawn = self.problem.noise[name]
        return drawn if drawn.dim() == 3 else drawn.expand(self.steps, *drawn.shape)

    def _outside(self, matrix, part, transposed, operand):
        block = self.blocks[matrix, part]
        return self.operands[operand].detach().numpy() @ (block if transposed else block.T)

    def _add(self, sums, key, value):
        sums[key] = sums[key] + value if key in sums else value

    def _leaves(self, t):
        problem = self.problem

        def value(leaf):
            if leaf.kind == "number":
                return np.full((self.batch, self.hidden), leaf.number)
            if leaf.kind == "vector":
                return np.broadcast_to(problem.parameters[leaf.name].numpy(), (self.batch, self.hidden))
            if leaf.kind == "noise":
                return self._noise(leaf.name)[t].numpy()
            if leaf.kind == "state":
                return self.values[leaf.name, t - leaf.index]
            if leaf.kind == "product":
                return self.products[leaf.index][t]
            if leaf.kind == "saved":
                return self.saved[t][leaf.index]
            assert leaf.kind == "received"
            flow = self.flows.get((leaf.name, t), np.zeros((self.batch, self.hidden)))
            output = leaf.name == problem.cell.output
            return flow + problem.output_gradients[t].numpy() if output else flow

        return value

    def forward(self, loop):
        """The outputs; the values of the states and what is saved stay here."""
        outputs = []
        for t in range(self.steps):
            for store, value in Step(loop, self._leaves(t), self.blocks).run():
                assert value.shape == (self.batch, self.hidden)
                if store.kind == "state":
                    self.values[store.name, t] = value
                elif store.kind == "saved":
                    self.saved[t][store.index] = value
                else:
                    assert store.kind == "output"
                    outputs.append(value)
        return np.stack(outputs)

    def last(self):
        """The state after the last step, by key."""
        return {key: self.values[name, self.steps - lag] for key, (name, lag) in self.problem.cell.carried.items()}

    def backward(self):
        """Every gradient by name, from what the forward pass saved."""
        made, problem = self.plan, self.problem
        vectors, left = {}, [{} for _ in range(self.steps)]
        for t in reversed(range(self.steps)):

            def moves_in(place, t=t):
                """A gradient takes the place of a saved value, which is gone then."""
                if made.homes[place] >= 0:
                    del self.saved[t][made.homes[place]]

            for store, value in Step(made.backward, self._leaves(t), self.blocks, moves_in).run():
                if store.kind == "flow":
                    self._add(self.flows, (store.name, t - store.index), value)
                elif store.kind == "vector":
                    self._add(vectors, store.name, value.sum(0))
                else:
                    assert store.kind == "saved"
                    left[t][store.index] = value
        arrays = {side: self._stacked(kept) for side, kept in (("saved", self.saved), ("gradient", left))}
        gradients = {name: np.zeros(p.shape) for name, p in problem.parameters.items()}
        for name, gradient in vectors.items():
            gradients[name] = gradient
        for term in made.outer:
            rows, columns = (arrays[side][place] for side, place in (term.rows, term.columns))
            self._block(gradients, term.matrix, term.part)[...] += np.einsum("tbr,tbc->rc", rows, columns)
        into = dict.fromkeys(self.operands, 0)
        for (matrix, part, transposed, operand), place in zip(made.products, made.product_gradients, strict=True):
            if place >= 0:
                delta, block = arrays["gradient"][place], self.blocks[matrix, part]
                outer = np.einsum("tbr,tbc->rc", delta, self.operands[operand].detach().numpy())
                self._block(gradients, matrix, part)[...] += outer.T if transposed else outer
                into[operand] = into[operand] + delta @ (block.T if transposed else block)
        return {
            "x": self._input_gradient(into),
            **{f"state {key}": self.flows.get((n, -lag), 0.0) for key, (n, lag) in problem.cell.carried.items()},
            **{f"parameter {name}": gradient for name, gradient in gradients.items()},
        }

    def _stacked(self, kept):
        return {place: np.stack([step[place] for step in kept]) for place in kept[0]}

    def _block(self, gradients, matrix, part):
        sizes = self.problem.cell.parameters[matrix].column_sizes(self.x.shape[2], self.hidden)
        start = sum(sizes[:part])
        return gradients[matrix][:, start : start + sizes[part]]

    def _input_gradient(self, into):
        """From the gradients at the operands that are made of x."""
        reached = [(self.operands[n], torch.from_numpy(g)) for n, g in into.items() if not np.isscalar(g)]
        reached = [(operand, gradient) for operand, gradient in reached if operand.requires_grad]
        if not reached:
            return np.zeros(self.x.shape)
        tensors, gradients = zip(*reached, strict=True)
        (found,) = torch.autograd.grad(tensors, [self.x], gradients, allow_unused=True)
        return np.zeros(self.x.shape) if found is None else found.numpy()


def check(cell, seed=0):
    """Run a plan and compare with the reference: what leaves without a gradient, with one, and every gradient."""
    problem = random_problem(cell, seed, steps=4, batch=2, input_size=3, hidden_size=4, ragged=False)
    expected, last = problem.run()
    for which in ("forward", "training"):
        runner = Runner(problem)
        np.testing.assert_allclose(runner.forward(getattr(runner.plan, which)), expected, rtol=1e-12, atol=1e-13)
        for key, value in runner.last().items():
            np.testing.assert_allclose(value, last[key], rtol=1e-12, atol=1e-13, err_msg=key)
    assert all(sorted(saved) == list(range(len(runner.plan.saved))) for saved in runner.saved)
    gradients = problem.autograd()
    size = max(float(g.abs().max()) for g in gradients.values() if g.numel())
    for name, found in runner.backward().items():
        np.testing.assert_allclose(found, gradients[name], rtol=1e-9, atol=1e-12 * size, err_msg=name)


@EVERY_CELL
def test_the_plan_of_every_cell_of_the_catalogue_does_what_the_cell_does(cell):
    check(cell)
    check(modifiers.layer_norm(cell), 1)
    check(modifiers.zoneout(cell, 0.3), 2)


@pytest.mark.parametrize("name", OTHERS)
def test_the_plan_of_other_cells_does_what_they_do(name):
    check(OTHERS[name])


@pytest.mark.parametrize("block", range(10))
def test_the_plans_of_random_cells_do_what_they_do(block):
    for seed in range(15 * block, 15 * (block + 1)):
        cell = random_cell(seed, noise=True)
        try:
            check(cell, seed)
        except Exception as error:
            raise AssertionError(f"seed {seed}\n{cell}") from error


# What it decides -----------------------------------------------------------------------------------------------------


def stages_with_products(loop):
    return sum(bool(stage.sums) for stage in loop.stages)


def terms(loop):
    return [term for stage in loop.stages for n in stage.sums for term in loop.operations[n].sum.terms]


def kinds(cell):
    """What a plan saves, by kind and name."""
    graph = cell.backward_graph.graph
    return sorted(f"{graph[n].kind} {graph[n].name}".strip() for n in plan(cell).saved)


@pytest.mark.parametrize(
    ("name", "stages", "products"),
    [
        ("rnn", 1, 1),
        ("lstm", 1, 4),
        ("peephole-lstm", 1, 4),
        ("gru-reset-after", 1, 3),
        ("simplified-gru", 1, 2),
        ("antisymmetric-rnn", 1, 2),
        ("s-lstm", 1, 4),
        ("gru", 2, 3),  # the candidate reads what the gates have made of the state
        ("minimal-gated-unit", 2, 2),
        ("full-peephole-lstm", 2, 7),  # the output gate reads the memory of this step, as a whole
        ("min-gru", 0, 0),
        ("min-lstm", 0, 0),
        ("ind-rnn", 0, 0),
    ],
)
def test_products_run_in_as_few_stages_as_can_be(name, stages, products):
    made = plan(CATALOGUE[name])
    for loop in (made.forward, made.training):
        assert stages_with_products(loop) == stages
        assert len(loop.stages) == max(stages, 1)
        assert len(terms(loop)) == products
    assert stages_with_products(made.backward) == stages
    assert len(terms(made.backward)) == products


@EVERY_CELL
def test_a_product_with_what_no_state_reaches_leaves_the_loop(cell):
    """And every other stays in it, once."""
    graph, made = cell.graph.graph, plan(cell)
    first = len(cell.graph.owners)
    products = [n for n in range(first) if graph[n].kind in {"product", "adjoint"}]

    def reached(number):
        return graph[number].kind in {"state", "product", "adjoint"} or any(reached(a) for a in graph[number].args)

    outside = [n for n in products if not any(reached(a) for a in graph[n].args)]
    assert len(made.products) == len(outside)
    assert len(terms(made.forward)) == len(products) - len(outside)
    assert {p[3] for p in made.products} <= {n for n in range(first) if not reached(n)}


@pytest.mark.parametrize("name", ["min-gru", "min-lstm", "ind-rnn"])
def test_a_cell_without_recurrent_products_has_none_either_way(name):
    made = plan(CATALOGUE[name])
    for loop in (made.forward, made.training, made.backward):
        assert terms(loop) == []
        assert len(loop.stages) == 1
        assert loop.scratch == ()
    assert made.outer == ()


def test_products_that_are_added_up_are_one_sum():
    """The gradient at h[t-1] of an LSTM is one sum of four products; the force on an oscillator one of two."""
    made = plan(CATALOGUE["lstm"])
    (stage,) = [s for s in made.backward.stages if s.sums]
    (total,) = [made.backward.operations[n].sum for n in stage.sums]
    assert sorted(t.matrix for t in total.terms) == ["W_candidate", "W_forget", "W_input", "W_output"]
    assert all(t.transposed and t.part == 0 for t in total.terms)
    (stage,) = plan(CATALOGUE["co-rnn"]).forward.stages
    (total,) = [plan(CATALOGUE["co-rnn"]).forward.operations[n].sum for n in stage.sums]
    assert [t.part for t in total.terms] == [0, 1]


def test_a_product_that_is_used_twice_is_computed_once():
    """It is a sum of its own, and no part of another."""
    made = plan(ODD["a product in two sums"])
    assert sorted(term.matrix for term in terms(made.forward)) == ["U", "W"]


@pytest.mark.parametrize(
    ("name", "saved"),
    [
        ("rnn", ["state h", "tanh"]),
        ("lstm", ["sigmoid", "sigmoid", "sigmoid", "state h", "state memory", "tanh", "tanh"]),
        ("gru", ["multiply", "sigmoid", "sigmoid", "state h", "tanh"]),
        ("min-gru", ["add", "sigmoid", "state h"]),
        ("ind-rnn", ["relu", "state h"]),
    ],
)
def test_what_is_kept_for_the_gradient(name, saved):
    """The GRU keeps its one product of values as well: the columns of its candidate's gradient.

    What is added to a product before the loop is kept where the gradient reads it, since that product is gone by then.
    """
    assert kinds(CATALOGUE[name]) == saved


@EVERY_CELL
def test_nothing_is_kept_that_is_sooner_computed_again_or_there_anyway(cell):
    made, graph = plan(cell), cell.backward_graph.graph
    assert len(set(made.saved)) == len(made.saved)
    matrices = {place for term in made.outer for side, place in (term.rows, term.columns) if side == "saved"}

    def on_products(number):
        cheap = [a for a in graph[number].args if graph[a].kind in CHEAP]
        return any(graph[a].kind in {"product", "adjoint"} for a in graph[number].args) or any(map(on_products, cheap))

    for place, number in enumerate(made.saved):
        assert graph[number].kind not in CHEAP or place in matrices or on_products(number)
        assert graph[number].kind not in {"number", "vector", "noise", "input"}
    outside = {(m, p, graph[n].kind == "adjoint") for m, p, _, n in made.products for n in made.saved}
    described = {(graph[n].name, graph[n].index, graph[n].kind == "adjoint") for n in made.saved}
    assert not outside & described
    read = {o.leaf.index for o in made.backward.operations if o.leaf is not None and o.leaf.kind == "saved"}
    assert read | matrices == set(range(len(made.saved)))


def test_the_gradient_needs_no_product_before_the_loop_again():
    """They are computed for a few steps at a time, and never again: what the gradient reads of them is kept."""
    plain = CATALOGUE.values()
    random = [random_cell(seed, noise=True) for seed in range(50)]
    for cell in (*plain, *OTHERS.values(), *map(modifiers.layer_norm, plain), *random):
        assert plan(cell).backward.products == (), cell


def test_a_gradient_stands_where_what_was_kept_for_it_stood():
    """Where nothing reads that again: no later stage, no matrix, nor what waits in the same stage for something else.

    A stage has waits in it if it computes slow functions, and products wait for all units of what they read.
    """
    random = [random_cell(seed, noise=True) for seed in range(100)]
    for cell in (*CATALOGUE.values(), *OTHERS.values(), *map(modifiers.layer_norm, CATALOGUE.values()), *random):
        made = plan(cell)
        assert len(made.homes) == len(made.gradients)
        homes = {home: place for place, home in enumerate(made.homes) if home >= 0}
        assert len(homes) == sum(home >= 0 for home in made.homes)
        assert not {place for o in made.outer for side, place in (o.rows, o.columns) if side == "saved"} & homes.keys()
        gone = set()
        for stage in made.backward.stages:
            operations = [made.backward.operations[n] for n in (*stage.sums, *stage.means, *stage.work)]
            simple = {a for o in operations for a in o.args} | {s.operation for s in stage.stores}
            operands = {t.operand for o in operations if o.sum for t in o.sum.terms}
            comes = {made.homes[s.index] for s in stage.stores if s.kind == "saved"} - {-1}
            assert not gone & saved_places(made, simple | operands), cell
            waits = any(o.function in SLOW for o in operations)
            assert not comes & saved_places(made, simple | operands if waits else operands), cell
            gone |= comes
        assert gone == homes.keys()


def saved_places(made, numbers):
    leaves = [made.backward.operations[n].leaf for n in numbers]
    return {leaf.index for leaf in leaves if leaf is not None and leaf.kind == "saved"}


@pytest.mark.parametrize("name", ["rnn", "lstm", "gru", "gru-reset-after", "peephole-lstm", "min-gru"])
def test_the_gradients_of_gates_need_no_memory_of_their_own(name):
    made = plan(CATALOGUE[name])
    assert made.gradients
    assert -1 not in made.homes


@EVERY_CELL
def test_a_forward_pass_that_keeps_nothing_stores_nothing_else(cell):
    made = plan(cell)
    stored = [(s.kind, s.name) for stage in made.forward.stages for s in stage.stores if s.kind != "scratch"]
    assert sorted(stored) == sorted([("output", ""), *(("state", name) for name in cell.states)])
    kept = [s.index for stage in made.training.stages for s in stage.stores if s.kind == "saved"]
    assert sorted(kept) == list(range(len(made.saved)))


@EVERY_CELL
def test_scratch_is_what_later_stages_read_and_no_more(cell):
    for cell_ in (cell, modifiers.layer_norm(cell)):
        made = plan(cell_)
        for loop in (made.forward, made.training, made.backward):
            assert len(set(loop.scratch)) == len(loop.scratch)
            written, read = [], set()
            for stage in loop.stages:
                here = {*stage.sums, *stage.means, *stage.work}
                operations = [loop.operations[n] for n in here]
                read |= {t.operand for o in operations if o.sum for t in o.sum.terms}
                read |= {o.args[0] for o in operations if o.function == "mean"}
                read |= {a for o in operations for a in o.args if a not in here}
                read |= {s.operation for s in stage.stores if s.kind != "scratch" and s.operation not in here}
                written += [s.operation for s in stage.stores if s.kind == "scratch"]
            assert sorted(written) == sorted(loop.scratch)
            assert set(loop.scratch) <= read


@pytest.mark.parametrize("cell", [*CATALOGUE.values(), *OTHERS.values()], ids=[*CATALOGUE, *OTHERS])
def test_every_flow_back_is_begun_by_the_furthest(cell):
    """The furthest is the first to reach its step, and so begins the sum there, if only with nothing."""
    made = plan(cell)
    flows = [(s.name, s.index) for stage in made.backward.stages for s in stage.stores if s.kind == "flow"]
    assert len(set(flows)) == len(flows)
    assert {(name, furthest) for name, furthest in cell.states.items()} <= set(flows)


def test_stages_are_no_more_than_what_depends_on_what():
    """A chain of products is as many stages as it is long; what stands beside it joins the sum that it is added to."""
    cell = Cell("""
        a[t] = A @ h[t-1]
        b[t] = B @ tanh(a[t])
        h[t] = tanh(C @ tanh(b[t]) + D @ h[t-1] + V @ x[t])
    """)
    loop = plan(cell).forward
    assert [[t.matrix for n in s.sums for t in loop.operations[n].sum.terms] for s in loop.stages] == [
        ["A"],
        ["B"],
        ["C", "D"],
    ]
    check(cell)


def test_what_is_read_twice_is_read_from_one_place():
    made = plan(CATALOGUE["lstm"])
    for loop in (made.forward, made.training, made.backward):
        assert len(set(loop.operations)) == len(loop.operations)
        assert all(isinstance(o, Operation) for o in loop.operations)


def test_a_plan_is_made_once():
    assert plan(CATALOGUE["lstm"]) is plan(Cell(CATALOGUE["lstm"].text, initial={"b_forget": 1.0}))
