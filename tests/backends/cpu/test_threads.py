"""Threads share out the rows, or the units; how many there are, and what else runs, changes no result."""

import ctypes
import os
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import pytest
import torch

from recurra import Recurrent, cells
from recurra.backends import reference
from recurra.backends.cpu import arrange, library
from recurra.backends.cpu import run as cpu
from recurra.backends.cpu import threads as pool
from recurra.backends.cpu.target import host
from recurra.cells import modifiers
from support.classical import CLASSICAL
from support.odd_cells import ODD
from support.problems import random_problem, worst_error

BY_ROWS = {"lstm": cells.LSTM, "gru": cells.GRU, "normalised": modifiers.layer_norm(cells.RNN)}
BY_UNITS = {
    "lstm": cells.LSTM,
    "gru": modifiers.zoneout(cells.GRU, 0.3),
    "gru-reset-after": cells.GRUResetAfter,
    "simplified-gru": cells.SimplifiedGRU,
    "peephole-lstm": cells.PeepholeLSTM,
    "full-peephole-lstm": cells.FullPeepholeLSTM,
    "s-lstm": cells.SLSTM,
    "min-gru": cells.MinGRU,
    "further back": CLASSICAL["further back"],
    "of low rank before the loop": ODD["of low rank before the loop"],
}
"""The threads share out the units of any cell but of those with means over them."""


def problems(cell, hidden_size=17):
    for seed, batch in enumerate((1, 2, 3, 8, 13)):
        options = {"ragged": seed % 2 == 1, "reverse": batch in (3, 8)}
        problem = random_problem(cell, seed, steps=4, batch=batch, input_size=3, hidden_size=hidden_size, **options)
        if cell is cells.SLSTM:  # whose normaliser is never negative
            problem = problem.replace(state={key: s.abs() for key, s in problem.state.items()})
        yield problem


def everything(problem, run=cpu.run):
    outputs, last = problem.run(run)
    return {"outputs": outputs, **{f"last {key}": s for key, s in last.items()}, **problem.autograd(run)}


def check(cell, **options):
    for problem in problems(cell, **options):
        assert worst_error(everything(problem), everything(problem, reference.run)) < 1e-12


@pytest.mark.parametrize("count", [2, 3])
@pytest.mark.parametrize("name", BY_ROWS)
def test_threads_that_share_out_the_rows(name, count, shared):
    """Fewer rows than there are threads, as many, and more."""
    with shared(count, units=False):
        check(BY_ROWS[name])


@pytest.mark.parametrize("count", [2, 3])
@pytest.mark.parametrize("name", BY_UNITS)
def test_threads_that_share_out_the_units(name, count, shared):
    """As many parts as there are two vectors of units, and more than one a thread; and one part, of one unit."""
    with shared(count, units=True):
        check(BY_UNITS[name], hidden_size=65 if count == 2 else 17)
        check(BY_UNITS[name], hidden_size=1)


@pytest.mark.parametrize("count", [2, 3])
@pytest.mark.parametrize("name", BY_ROWS)
def test_threads_that_take_the_rows_in_turn(name, count, shared, monkeypatch):
    """As they do where products are of parts, here on any processor; and nothing changes for rows of one length."""
    monkeypatch.setattr(arrange._Arranger, "_takes_turns", lambda self: True)
    with shared(count, units=False):
        check(BY_ROWS[name])


@pytest.mark.parametrize("units", [False, True], ids=["rows", "units"])
@pytest.mark.parametrize("count", [1, 2, 3])
def test_many_rows_of_different_lengths(count, units, shared):
    """So many that products are of parts where there are such, until few rows are left."""
    with shared(count, units=units):
        for seed, (cell, batch) in enumerate(((cells.LSTM, 41), (cells.GRU, 37), (cells.MinimalGatedUnit, 64))):
            problem = random_problem(cell, seed, steps=9, batch=batch, input_size=5, hidden_size=70, reverse=seed == 1)
            problem = problem.replace(lengths=torch.arange(batch) * 9 // batch + 1)
            expected, found = everything(problem, reference.run), everything(problem.to(torch.float32))
            for key, exact in expected.items():
                assert float((found[key] - exact).abs().max()) < 2e-5 * (1 + float(exact.abs().max())), key


@pytest.mark.parametrize("units", [False, True], ids=["rows", "units"])
@pytest.mark.parametrize("count", [2, 3])
def test_the_same_call_gives_the_same_bits(count, units, shared):
    with shared(count, units=units):
        for problem in list(problems(cells.GRU, hidden_size=33))[1:3]:
            expected = everything(problem)
            for _ in range(20):
                found = everything(problem)
                assert all(torch.equal(found[name], expected[name]) for name in expected)


SHARES = {"one": (1, False), "rows": (2, False), "units": (2, True)}


@pytest.mark.parametrize("share", SHARES.values(), ids=SHARES)
def test_several_python_threads_may_run_one_layer_at_once(share, shared):
    """And use memory again that others have used: each gets what it gets when it is alone."""
    count, units = share
    layer = Recurrent("gru", 3, 17, num_layers=2, bidirectional=True, backend="cpu")
    inputs = [torch.randn(7, 9, 3) for _ in range(4)]
    # Two of one layout, which share memory; two of others.
    lengths = [None, None, *(torch.randint(1, 10, (7,)) for _ in range(2))]

    def work(k):
        x = inputs[k].clone().requires_grad_()
        outputs, state = layer(x, lengths=lengths[k])
        (gradient,) = torch.autograd.grad(outputs.square().sum() + state["h"].sum(), x)
        return outputs.detach(), gradient

    found, errors, gate = {}, [], threading.Barrier(4)

    def repeat(k):
        try:
            gate.wait()
            found[k] = [work(k) for _ in range(6)]
        except BaseException as error:
            errors.append(error)
            raise

    with shared(count, units=units):
        expected = [work(k) for k in range(4)]
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


# How many -------------------------------------------------------------------------------------------------------------


def used(monkeypatch, batch):
    """How many threads a call of so many rows, which has enough to do for several, runs on."""
    counts, own = [], pool.parallel

    def parallel(address, table, threads):
        counts.append(threads)
        own(address, table, threads)

    with monkeypatch.context() as patch:
        patch.setattr(pool, "parallel", parallel)
        sizes = {"steps": 200, "batch": batch, "input_size": 3, "hidden_size": 48}
        random_problem(cells.GRU, 0, **sizes, ragged=False).autograd(cpu.run)
    assert len(counts) == 2
    return set(counts)


def test_torch_says_how_many(monkeypatch, threads):
    for count in (1, 2, 3):
        threads(count)
        assert used(monkeypatch, batch=8) == {count}
    threads(4)
    assert used(monkeypatch, batch=3) == {3}
    assert used(monkeypatch, batch=1) == {1}


def test_without_a_runtime_to_call_there_is_one(monkeypatch, threads):
    threads(2)
    monkeypatch.setattr(pool, "_openmp", lambda: None)
    assert pool.available() == 1
    assert used(monkeypatch, batch=8) == {1}


@pytest.mark.parametrize("error", [OSError, TypeError], ids=["no such library", "a name is wanted, as on Windows"])
def test_without_libraries_of_the_system_the_right_numbers_come_from_one_thread(monkeypatch, threads, error):
    """No OpenMP runtime and nothing that yields: what looks for them says so, and every cell runs all the same."""

    def fail(name):
        raise error(name)

    cached = (pool._openmp, pool.thread_number, pool.let_others_run, pool._limit, arrange._arrange)
    threads(2)
    with monkeypatch.context() as patch:
        patch.setattr(pool.ctypes, "CDLL", fail)
        for function in cached:
            function.cache_clear()
        if error is TypeError:  # only where there is no name
            patch.setattr(pool, "_openmp", lambda: None)
        assert (pool.available(), pool.thread_number(), pool.let_others_run()) == (1, pool.SINGLE, 0)
        problem = random_problem(cells.LSTM, 0, steps=4, batch=8, input_size=3, hidden_size=17)
        assert worst_error(everything(problem), everything(problem, reference.run)) < 1e-12
    for function in cached:
        function.cache_clear()


def test_a_team_is_always_as_large_as_was_asked_for():
    """Rows are shared out before, and threads wait for one another: were there fewer, as these settings allow, rows
    would be left out, or all would wait for ever.
    """
    program = textwrap.dedent("""
        import torch
        from recurra import cells
        from recurra.backends.cpu import arrange, run as cpu, threads
        from support.problems import random_problem, worst_error

        torch.set_num_threads(4)
        problem = random_problem(cells.GRU, 0, steps=3, batch=9, input_size=3, hidden_size=17)
        for units in (False, True):
            arrange._Arranger._share = lambda arranger: (arranger.most, units)
            arrange._arrange.cache_clear()
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


# In a copy of the process --------------------------------------------------------------------------------------------


def test_a_process_that_was_forked_waits_for_no_thread_of_its_parent(threads, start):
    """The runtime's threads are not there, neither for compiled code nor for PyTorch's own operations."""
    threads(2)
    layer = Recurrent("lstm", 64, 128, backend="cpu")
    x = torch.randn(32, 20, 64)
    with torch.no_grad():
        expected, _ = layer(x)
    assert pool._used

    def work():
        assert pool.available() == 1
        torch.testing.assert_close(layer(x)[0], expected, rtol=1e-6, atol=1e-6)
        layer(x)[0].sum().backward()

    assert start(work)() == 0
