"""Compiled code touches the arrays it is given and nothing else, and what it has not written never reaches a result."""

import contextlib
import ctypes
import functools
import mmap
import os

import pytest
import torch

from recurra import cells
from recurra.backends import reference
from recurra.backends.cpu import run as cpu
from recurra.backends.cpu import threads as pool
from recurra.backends.cpu.prepare import prepare
from recurra.cells import modifiers
from support.classical import CLASSICAL
from support.problems import random_problem, worst_error

CELLS = {
    "lstm": cells.LSTM,
    "gru": cells.GRU,
    "min-gru": cells.MinGRU,
    "antisymmetric": cells.AntisymmetricRNN,
    "further back": CLASSICAL["further back"],
    "normalised and dropped": modifiers.zoneout(modifiers.layer_norm(cells.RNN), 0.3),
}
SIZES = [(3, 5, 3, 17), (2, 1, 1, 1), (1, 7, 2, 33), (2, 4, 5, 16), (2, 3, 1, 31)]
"""T, B, I and H."""
DTYPES = {"float64": torch.float64, "float32": torch.float32}
EVERY_CELL = pytest.mark.parametrize("cell", CELLS.values(), ids=CELLS)
EVERY_DTYPE = pytest.mark.parametrize("dtype", DTYPES.values(), ids=DTYPES)


def problems(cell, dtype):
    for seed, (steps, batch, inputs, hidden) in enumerate(SIZES):
        sizes = {"steps": steps, "batch": batch, "input_size": inputs, "hidden_size": hidden}
        yield random_problem(cell, seed, **sizes, ragged=seed % 2 == 0, reverse=seed % 3 == 2, dtype=dtype)


def everything(problem):
    """Outputs without a gradient, outputs with one, and every gradient."""
    outputs, last = problem.run(cpu.run)
    return {"outputs": outputs, **{f"last {key}": s for key, s in last.items()}, **problem.autograd(cpu.run)}


def identical(found, expected):
    assert list(found) == list(expected)
    for name in expected:
        assert torch.equal(found[name], expected[name]), name


# Guard pages ---------------------------------------------------------------------------------------------------------

PAGE = mmap.PAGESIZE


class Guarded:
    """Memory of some bytes that ends where a page begins that nobody may touch, or begins where one ends."""

    def __init__(self, count, *, at_end):
        pages = max(1, -(-count // PAGE))
        self.map = mmap.mmap(-1, (pages + 2) * PAGE)
        start = ctypes.addressof(ctypes.c_char.from_buffer(self.map))
        protect = ctypes.CDLL(None, use_errno=True).mprotect
        protect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
        for guard in (start, start + (pages + 1) * PAGE):
            assert protect(guard, PAGE, 0) == 0, os.strerror(ctypes.get_errno())
        self.address = start + PAGE + (pages * PAGE - count if at_end else 0)


@contextlib.contextmanager
def moved(place):
    """Run compiled code on copies of its arrays, where `place(tensor)` puts them; their content is copied back."""
    moves = []
    own_address, own_parallel = torch.Tensor.data_ptr, pool.parallel

    def address(tensor):
        assert tensor.is_contiguous(), "compiled code knows no strides"
        copy = place(tensor)
        ctypes.memmove(copy.address, own_address(tensor), tensor.nbytes)
        moves.append((tensor, copy))
        return copy.address

    def parallel(*arguments):
        own_parallel(*arguments)
        for tensor, copy in moves:
            ctypes.memmove(own_address(tensor), copy.address, tensor.nbytes)
        assert moves, "no array was handed over by its address"
        moves.clear()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.Tensor, "data_ptr", address)
        patch.setattr(pool, "parallel", parallel)
        yield


@pytest.mark.parametrize("at_end", [True, False], ids=["end", "beginning"])
@EVERY_DTYPE
@EVERY_CELL
def test_nothing_is_touched_beyond_the_arrays(start, cell, dtype, at_end):
    """Each array stands against a guard page, at whatever address that gives, and results are the same as ever."""
    expected = [everything(problem) for problem in problems(cell, dtype)]

    def work():
        with moved(lambda tensor: Guarded(tensor.nbytes, at_end=at_end)):
            found = [everything(problem) for problem in problems(cell, dtype)]
        for pair in zip(found, expected, strict=True):
            identical(*pair)

    assert start(work)() == 0


def test_a_guard_page_ends_the_process_that_touches_it(start):
    guarded = Guarded(8, at_end=True)
    assert start(lambda: ctypes.memset(guarded.address, 1, 8))() == 0
    assert start(lambda: ctypes.memset(guarded.address, 1, 9))() < 0
    guarded = Guarded(8, at_end=False)
    assert start(lambda: ctypes.memset(guarded.address - 1, 1, 2))() < 0


# Poison --------------------------------------------------------------------------------------------------------------


class Poisoned:
    """A copy of an array; where its rows are wider than the hidden units, what is beyond them is NaN."""

    count = 0

    def __init__(self, tensor, hidden, width):
        self.tensor = tensor.clone()
        self.address = self.tensor.untyped_storage().data_ptr()
        if tensor.dim() >= 2 and tensor.is_floating_point() and tensor.shape[-1] == width > hidden:
            self.tensor[..., hidden:] = torch.nan
            Poisoned.count += 1


@EVERY_DTYPE
@EVERY_CELL
def test_what_lies_past_the_last_unit_of_a_row_never_reaches_a_result(cell, dtype):
    """Rows are as wide as a whole number of vectors; all that is beyond the hidden units is NaN here."""
    for problem in problems(cell, dtype):
        hidden = problem.hidden_size
        width = prepare(cell, dtype == torch.float64, problem.x.shape[2], hidden).width
        expected = everything(problem)
        Poisoned.count = 0
        with moved(functools.partial(Poisoned, hidden=hidden, width=width)):
            found = everything(problem)
        assert (Poisoned.count > 0) == (width > hidden)
        identical(found, expected)


@EVERY_DTYPE
@EVERY_CELL
def test_what_nobody_has_written_never_reaches_a_result(cell, dtype, monkeypatch):
    expected = [everything(problem) for problem in problems(cell, dtype)]
    made, empty = [], torch.empty

    def poisoned(*arguments, **options):
        tensor = empty(*arguments, **options)
        if tensor.is_floating_point() and tensor.device.type == "cpu":
            made.append(tensor.fill_(torch.nan))
        return tensor

    monkeypatch.setattr(torch, "empty", poisoned)
    for problem, result in zip(problems(cell, dtype), expected, strict=True):
        identical(everything(problem), result)
    assert made


@EVERY_CELL
def test_what_is_given_may_be_shared_and_is_never_written(cell):
    """All that comes from outside is memory that may be read only, one tensor standing for several."""
    problem = random_problem(cell, 1, steps=3, batch=16, input_size=16, hidden_size=16, ragged=False)
    one = torch.randn(16, 16, generator=torch.Generator().manual_seed(0), dtype=torch.float64) / 8
    shared = problem.replace(
        parameters={name: one if p.shape == one.shape else p for name, p in problem.parameters.items()},
        state=dict.fromkeys(problem.state, one),
        state_gradients=dict.fromkeys(problem.state_gradients, one),
        x=one.expand(3, 16, 16),
        output_gradients=one.expand(3, 16, 16),
    )
    before = one.clone()
    assert worst_error(shared.autograd(cpu.run), shared.autograd(reference.run)) < 1e-12
    assert torch.equal(one, before)


def test_a_tensor_of_another_dtype_is_refused_and_not_read_as_if_it_were_right():
    """Memory that is half as long as it is taken to be would be read beyond its end."""
    for cell in (cells.LSTM, modifiers.zoneout(cells.IndRNN, 0.3)):
        for hidden in (16, 17):
            problem = random_problem(cell, 1, steps=3, batch=4, input_size=3, hidden_size=hidden, ragged=False)
            for part in ("parameters", "state", "noise"):
                for name in getattr(problem, part) or ():
                    other = {**getattr(problem, part), name: getattr(problem, part)[name].float()}
                    with pytest.raises((RuntimeError, TypeError, ValueError)):
                        problem.replace(**{part: other}).run(cpu.run)
