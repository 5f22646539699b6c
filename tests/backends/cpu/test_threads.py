"""Threads share the rows out; how many there are, and what else runs, changes no result."""

import ctypes
import itertools
import os
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from recurra import Recurrent, cells
from recurra.backends.cpu import library
from recurra.backends.cpu import run as cpu
from recurra.backends.cpu import threads as pool
from recurra.backends.cpu.target import host
from recurra.cells import modifiers
from support.problems import random_problem, worst_error

CELLS = {"lstm": cells.LSTM, "gru": cells.GRU, "normalised": modifiers.layer_norm(cells.RNN)}
EVERY_CELL = pytest.mark.parametrize("cell", CELLS.values(), ids=CELLS)


def problems(cell):
    for seed, batch in enumerate((1, 2, 3, 8, 13)):
        options = {"ragged": seed % 2 == 1, "reverse": batch == 3}
        yield random_problem(cell, seed, steps=4, batch=batch, input_size=3, hidden_size=17, **options)


def everything(problem):
    outputs, last = problem.run(cpu.run)
    return {"outputs": outputs, **{f"last {key}": s for key, s in last.items()}, **problem.autograd(cpu.run)}


@EVERY_CELL
@pytest.mark.parametrize("count", [2, 3])
def test_any_number_of_threads_gives_the_same(cell, count, threads):
    """To the last bit but for sums over the rows, which are taken in another order."""
    for problem in problems(cell):
        threads(1)
        expected = everything(problem)
        threads(count)
        found = everything(problem)
        for name in ("outputs", *(name for name in expected if name.startswith("last"))):
            assert torch.equal(found[name], expected[name]), name
        assert worst_error(found, expected) < 1e-14


@pytest.mark.parametrize("count", [1, 2, 3])
def test_the_same_call_gives_the_same_bits(count, threads):
    threads(count)
    for problem in problems(cells.LSTM):
        expected = everything(problem)
        for _ in range(3):
            found = everything(problem)
            assert all(torch.equal(found[name], expected[name]) for name in expected)


@pytest.mark.parametrize("count", [1, 2])
def test_several_python_threads_may_run_one_layer_at_once(count, threads):
    threads(count)
    layer = Recurrent("gru", 3, 17, num_layers=2, bidirectional=True, backend="cpu")
    inputs = [torch.randn(7, 9, 3) for _ in range(4)]
    lengths = [torch.randint(1, 10, (7,)) for _ in range(4)]

    def work(k):
        x = inputs[k].clone().requires_grad_()
        outputs, state = layer(x, lengths=lengths[k])
        (gradient,) = torch.autograd.grad(outputs.square().sum() + state["h"].sum(), x)
        return outputs.detach(), gradient

    expected = [work(k) for k in range(4)]
    found, errors, gate = {}, [], threading.Barrier(4)

    def repeat(k):
        try:
            torch.set_num_threads(count)
            gate.wait()
            found[k] = [work(k) for _ in range(6)]
        except BaseException as error:
            errors.append(error)
            raise

    workers = [threading.Thread(target=repeat, args=(k,)) for k in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not errors
    for k in range(4):
        for outputs, gradient in found[k]:
            assert torch.equal(outputs, expected[k][0])
            assert torch.equal(gradient, expected[k][1])


WAIT = """
define void @entry(ptr %at) {
begin:
  br label %wait
wait:
  %k = phi i64 [ 0, %begin ], [ %next, %wait ]
  %next = add i64 %k, 1
  %seen = load atomic volatile i64, ptr %at seq_cst, align 8
  %told = icmp ne i64 %seen, 0
  %long = icmp ugt i64 %next, 1000000000
  %over = or i1 %told, %long
  br i1 %over, label %end, label %wait
end:
  %answer = zext i1 %told to i64
  %place = getelementptr i64, ptr %at, i64 1
  store atomic i64 %answer, ptr %place seq_cst, align 8
  ret void
}
"""


@pytest.mark.parametrize("count", [1, 2])
def test_python_runs_on_while_compiled_code_does(count):
    """Code that waits until another Python thread tells it to end: the interpreter's lock is let go."""
    code = library.load(WAIT, lambda: WAIT, host())
    words = (ctypes.c_int64 * 2)(0, 7)
    caller = threading.Thread(target=pool.parallel, args=(code.address, ctypes.addressof(words), count))
    caller.start()
    words[0] = 1
    caller.join()
    assert words[1] == 1, "it gave up waiting"


# How many, and which rows each has -----------------------------------------------------------------------------------


def used(monkeypatch, batch):
    """How many threads a call of so many rows runs on."""
    counts, own = [], pool.parallel

    def parallel(address, table, threads):
        counts.append(threads)
        own(address, table, threads)

    with monkeypatch.context() as patch:
        patch.setattr(pool, "parallel", parallel)
        random_problem(cells.GRU, 0, steps=2, batch=batch, input_size=3, hidden_size=5).autograd(cpu.run)
    assert len(counts) == 2
    return set(counts)


def test_torch_says_how_many(monkeypatch, threads):
    for count in (1, 2, 3):
        threads(count)
        assert used(monkeypatch, batch=8) == {count}
    threads(4)
    assert used(monkeypatch, batch=1) == {1}
    assert used(monkeypatch, batch=3) <= {1, 2, 3}


def test_without_a_runtime_to_call_there_is_one(monkeypatch, threads):
    threads(2)
    monkeypatch.setattr(pool, "_openmp", lambda: None)
    assert pool.available() == 1
    assert used(monkeypatch, batch=8) == {1}


def test_a_team_is_always_as_large_as_was_asked_for():
    """Rows are shared out before; a runtime that gave fewer threads, as these settings allow, would leave rows out."""
    program = textwrap.dedent("""
        import torch
        from recurra import cells
        from recurra.backends import reference
        from recurra.backends.cpu import run as cpu, threads
        from support.problems import random_problem, worst_error

        torch.set_num_threads(4)
        problem = random_problem(cells.GRU, 0, steps=3, batch=9, input_size=3, hidden_size=5)
        assert worst_error(problem.autograd(cpu.run), problem.autograd()) < 1e-12
        print(threads.available(), torch.get_num_threads())
    """)
    path = os.pathsep.join([str(Path(__file__).parents[2]), *filter(None, [os.environ.get("PYTHONPATH")])])
    settings = {"OMP_DYNAMIC": "true", "OMP_THREAD_LIMIT": "3", "PYTHONPATH": path}
    done = subprocess.run(
        [sys.executable, "-c", program], env={**os.environ, **settings}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["3", "4"]
