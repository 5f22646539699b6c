"""A stage: its products, and passes of elementwise work behind them, whatever there is of either."""

import re

import llvmlite.binding as llvm
import pytest

from recurra import cells
from recurra.backends import reference
from recurra.backends.cpu import run as cpu
from recurra.backends.cpu.prepare import loop_ir
from recurra.backends.cpu.stages import ROWS, SIDE_BY_SIDE, StageEmitter
from recurra.backends.cpu.target import host
from recurra.backends.plan import SLOW, plan
from recurra.cells import CATALOGUE, modifiers
from recurra.equations import Cell
from recurra.equations.functions import FUNCTIONS
from support.problems import random_problem, worst_error

LOOPS = ("forward", "training", "backward")

CHAINS = {
    "in one stage": Cell("""
        near[t] = tanh(W @ [h[t-1], x[t]] + b)
        far[t]  = sigmoid(exp(tanh(softplus(near[t] * h[t-1]) + near[t])) * near[t])
        h[t]    = far[t] * near[t] + tanh(far[t]) * (U @ h[t-1])
    """),
    "without products": Cell("h[t] = tanh(sigmoid(exp(tanh(a * h[t-1] + V @ x[t])) - h[t-1]) + h[t-1])"),
    "behind a mean": Cell("h[t] = tanh(exp(tanh(layer_norm(W @ [h[t-1], x[t]])) * h[t-1]) - sigmoid(h[t-1]))"),
    "over several stages": Cell("""
        near[t] = tanh(exp(tanh(W @ [h[t-1], x[t]])))
        h[t]    = tanh(sigmoid(U @ near[t]) * near[t] + tanh(near[t])) - near[t]
    """),
}
"""Functions that take long behind others of the kind, read again further on."""


@pytest.mark.parametrize("batch", [1, 3, SIDE_BY_SIDE + 1, ROWS + 2])
@pytest.mark.parametrize("name", CHAINS)
def test_slow_functions_behind_one_another(name, batch):
    """With fewer rows than are worked on side by side, and with more than fit what the sums are kept in."""
    for hidden in (5, 33):
        sizes = {"steps": 3, "batch": batch, "input_size": 3, "hidden_size": hidden}
        problem = random_problem(CHAINS[name], batch, **sizes, ragged=hidden == 5)
        assert worst_error(problem.autograd(cpu.run), problem.autograd(reference.run)) < 1e-12
        outputs, _ = problem.run(cpu.run)
        assert worst_error({"": outputs}, {"": problem.run()[0]}) < 1e-13


def passes_of(loop, stage):
    emitter = StageEmitter.__new__(StageEmitter)
    emitter.loop, emitter.current = loop, stage
    found = emitter._passes()
    return found, emitter._crossing(found)


@pytest.mark.parametrize("which", LOOPS)
def test_passes_hold_all_work_once_and_in_an_order_in_which_it_can_be_done(which):
    for cell in (*CATALOGUE.values(), *CHAINS.values(), *map(modifiers.layer_norm, CATALOGUE.values())):
        loop = getattr(plan(cell), which)
        for stage in loop.stages:
            passes, crossing = passes_of(loop, stage)
            assert sorted(n for work in passes for n in work) == sorted(stage.work)
            at = {number: place for place, work in enumerate(passes) for number in work}
            for work in passes:
                for place, number in enumerate(work):
                    args = [a for a in loop.operations[number].args if a in at]
                    assert all(at[a] < at[number] or a in work[:place] for a in args)
                    # Nothing slow waits for something slow of the same pass.
                    assert loop.operations[number].function not in SLOW or not any(
                        slow_before(loop, a, set(work)) for a in args
                    )
            later = {a for number in stage.work for a in loop.operations[number].args if at.get(a, 99) < at[number]}
            assert set(crossing) == later


def slow_before(loop, number, work):
    operation = loop.operations[number]
    return number in work and (operation.function in SLOW or any(slow_before(loop, a, work) for a in operation.args))


def test_a_chain_has_as_many_passes_as_slow_functions():
    stage = plan(CHAINS["without products"]).forward.stages[0]
    assert len(passes_of(plan(CHAINS["without products"]).forward, stage)[0]) == 4
    stage = plan(cells.LSTM).forward.stages[0]
    assert len(passes_of(plan(cells.LSTM).forward, stage)[0]) == 2


def test_what_takes_long_is_known_by_a_name_of_the_language():
    assert set(FUNCTIONS) >= SLOW


@pytest.mark.parametrize("which", LOOPS)
def test_each_product_of_a_stage_is_called_once(which):
    """By its address, which the table has; beside the products before the loop there is no other call of the kind.

    Sums that read the same operand are products of one loop.
    """
    for cell in (
        cells.LSTM,
        cells.FullPeepholeLSTM,
        cells.CoRNN,
        modifiers.zoneout(modifiers.layer_norm(cells.GRU), 0.3),
    ):
        loop = getattr(plan(cell), which)
        module = llvm.parse_assembly(loop_ir(cell, which, host(), double=False)[1]())
        functions = {f.name: str(f) for f in module.functions if not f.is_declaration}
        by_address = r"call void %"
        for number, stage in enumerate(loop.stages):
            sums = [loop.operations[place].sum.terms for place in stage.sums]
            alike = len(sums) > 1 and len({tuple(t.operand for t in terms) for terms in sums}) == 1
            calls = 1 if alike and len(sums[0]) == 1 else sum(map(len, sums))
            assert len(re.findall(by_address, functions[f"stage_{number}"])) == calls
        assert f"stage_{len(loop.stages)}" not in functions
        assert len(re.findall(by_address, functions.get("inputs", ""))) == len(loop.products)
