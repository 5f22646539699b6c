"""Compiled code touches the arrays it is given and nothing else, and what it has not written never reaches a result."""

import contextlib
import ctypes
import functools
import mmap
import os
import threading

import numpy as np
import pytest
import torch

from recurra import Recurrent, cells
from recurra.backends import reference
from recurra.backends.cpu import arrangement, spare
from recurra.backends.cpu import run as cpu
from recurra.backends.cpu import threads as pool
from recurra.backends.cpu.arrange import _arrange, _Arranger
from recurra.backends.cpu.arrangement import Arrangement
from recurra.backends.cpu.prepare import prepare
from recurra.backends.plan import plan
from recurra.cells import modifiers
from support.classical import CLASSICAL
from support.problems import loss, random_problem, worst_error

CELLS = {
    "lstm": cells.LSTM,
    "gru": cells.GRU,
    "min-gru": cells.MinGRU,
    "antisymmetric": cells.AntisymmetricRNN,
    "further back": CLASSICAL["further back"],
    "normalised and dropped": modifiers.zoneout(modifiers.layer_norm(cells.RNN), 0.3),
}
SIZES = [(3, 5, 4, 17), (2, 1, 5, 1), (1, 7, 2, 33), (2, 4, 5, 16), (2, 3, 2, 31), (2, 17, 5, 39), (3, 35, 7, 20)]
"""T, B, I and H; nothing else is as wide as a row of hidden units with what fills its last vector. With the most rows
products are of parts, where a processor can."""
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


def forbid(address):
    """Let nobody touch a page."""
    protect = ctypes.CDLL(None, use_errno=True).mprotect
    protect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    assert protect(address, PAGE, 0) == 0, os.strerror(ctypes.get_errno())


class Guarded:
    """Memory of some bytes that ends where a page begins that nobody may touch, or begins where one ends."""

    def __init__(self, count, *, at_end):
        pages = max(1, -(-count // PAGE))
        self.map = mmap.mmap(-1, (pages + 2) * PAGE)
        start = ctypes.addressof(ctypes.c_char.from_buffer(self.map))
        forbid(start)
        forbid(start + (pages + 1) * PAGE)
        self.address = start + PAGE + (pages * PAGE - count if at_end else 0)

    def prepare(self):
        pass


@contextlib.contextmanager
def moved(place):
    """Run compiled code on copies of its arrays, where `place(tensor)` puts them; their content goes there and back.

    A copy stays as long as this goes on, since addresses are kept from call to call.
    """
    moves = []
    own_address, own_parallel = torch.Tensor.data_ptr, pool.parallel

    def address(tensor):
        assert tensor.is_contiguous(), "compiled code knows no strides"
        copy = place(tensor)
        if copy is None:
            return own_address(tensor)
        moves.append((tensor, copy))
        return copy.address

    def parallel(*arguments):
        assert moves, "no array was handed over by its address"
        for tensor, copy in moves:
            ctypes.memmove(copy.address, own_address(tensor), tensor.nbytes)
        for _, copy in moves:
            copy.prepare()
        own_parallel(*arguments)
        for tensor, copy in moves:
            ctypes.memmove(own_address(tensor), copy.address, tensor.nbytes)

    _arrange.cache_clear()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.Tensor, "data_ptr", address)
        patch.setattr(pool, "parallel", parallel)
        try:
            yield
        finally:
            _arrange.cache_clear()


@contextlib.contextmanager
def walled(*, at_end):
    """A call's own memory with a page that nobody may touch before and behind every array in it.

    Gives what tells whether a tensor is such memory.
    """
    walls, spaces, empty, new = {}, [], torch.empty, Arrangement._new

    def room(arranger, name, numbers):
        each = PAGE // arranger.size
        begin = arranger.space + each
        end = begin + max(1, -(-numbers // each)) * each
        walls.setdefault(id(arranger.places), (arranger.places, []))[1].append(arranger.space * arranger.size)
        arranger.places[name] = end - numbers if at_end else begin
        arranger.space = end

    def made(arrangement, owner):
        places, own = walls[id(arrangement.places)]
        assert places is arrangement.places
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(
                torch, "empty", lambda count, dtype, device: space(count, dtype, [*own, count * dtype.itemsize])
            )
            return new(arrangement, owner)

    def space(count, dtype, walls):
        if not dtype.is_floating_point:
            return empty(count, dtype=dtype)
        memory = mmap.mmap(-1, count * dtype.itemsize + PAGE)
        tensor = torch.frombuffer(memory, dtype=dtype, count=count)
        spaces.append(tensor)
        for wall in (*walls, tensor.nbytes):
            forbid(tensor.untyped_storage().data_ptr() + wall)
        return tensor

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_Arranger, "_room", room)
        patch.setattr(Arrangement, "_new", made)
        patch.setattr(spare, "LEAST", 1 << 62)  # each call's own, since the pages stand where its arrays end
        yield lambda tensor: any(tensor is space for space in spaces)
    assert spaces


def in_a_thread(work):
    """Run several threads in the copy of a process: one that has run some before has lost them there."""
    errors = []

    def tried():
        try:
            work()
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=tried)
    thread.start()
    thread.join()
    for error in errors:
        raise error


@pytest.mark.parametrize("at_end", [True, False], ids=["end", "beginning"])
@EVERY_DTYPE
@EVERY_CELL
def test_nothing_is_touched_beyond_the_arrays(start, shared, cell, dtype, at_end):
    """Each array stands against a guard page, at whatever address that gives, and results are the same as ever."""
    units = not any(stage.means for stage in plan(cell).forward.stages)
    shares = [(1, False), (4, units)]
    expected = []
    for count, by in shares:
        with shared(count, units=by):
            expected += [everything(problem) for problem in problems(cell, dtype)]

    def work():
        found = []
        for count, by in shares:
            with shared(count, units=by), walled(at_end=at_end) as already:
                place = lambda t: None if already(t) else Guarded(t.nbytes, at_end=at_end)  # noqa: E731
                with moved(place):
                    found += [everything(problem) for problem in problems(cell, dtype)]
        for pair in zip(found, expected, strict=True):
            identical(*pair)

    assert start(lambda: in_a_thread(work))() == 0


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
        self.tensor, self.hidden = tensor.clone(), hidden
        self.address = self.tensor.untyped_storage().data_ptr()
        self.padded = tensor.dim() >= 2 and tensor.is_floating_point() and tensor.shape[-1] == width > hidden
        Poisoned.count += self.padded

    def prepare(self):
        if self.padded:
            self.tensor[..., self.hidden :] = torch.nan


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
    made, empty, memory = [], torch.empty, Arrangement.memory

    def poisoned(*arguments, **options):
        tensor = empty(*arguments, **options)
        if tensor.is_floating_point() and tensor.device.type == "cpu":
            made.append(tensor.fill_(torch.nan))
        return tensor

    def used_again(arrangement, layout, owner):
        """All but the panels, which are what they were where weights are."""
        found, ends = memory(arrangement, layout, owner), [*arrangement.places.values(), arrangement.space]
        for name, begin in arrangement.places.items():
            if not name.startswith(("panels.", "input.", "vectors")):
                found.space[begin : min(end for end in ends if end > begin)] = torch.nan
        return found

    monkeypatch.setattr(torch, "empty", poisoned)
    monkeypatch.setattr(torch, "empty_like", lambda tensor: poisoned(tensor.shape, dtype=tensor.dtype))
    monkeypatch.setattr(Arrangement, "memory", used_again)
    for problem, result in zip(problems(cell, dtype), expected, strict=True):
        identical(everything(problem), result)
    assert made


# Memory that is used again -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("share", [(1, False), (2, False), (2, True)], ids=["one thread", "rows", "units"])
@EVERY_CELL
def test_a_result_is_no_memory_that_is_used_again(cell, share, shared):
    """Later calls leave it as it is, and what is done to it changes none of theirs."""
    count, units = share
    sizes = {"steps": 3, "batch": 5, "input_size": 3, "hidden_size": 16}
    one, two = (random_problem(cell, seed, **sizes, ragged=False) for seed in (1, 2))
    units = units and not any(stage.means for stage in plan(cell).forward.stages)
    with shared(count, units=units):
        first = everything(one)
        before = {name: tensor.clone() for name, tensor in first.items()}
        second = everything(two)
        identical(first, before)
        again = {name: tensor.clone() for name, tensor in second.items()}
        for tensor in first.values():
            tensor.fill_(torch.nan)
        identical(second, again)
        identical(everything(one), before)
        # Two passes forward, then back, the first last.
        graphs = [as_leaves(problem) for problem in (one, two)]
        found = [torch.autograd.grad(total, leaves, allow_unused=True) for total, leaves in reversed(graphs)][::-1]
        for gradients, expected in zip(found, (before, again), strict=True):
            for gradient, own in zip(gradients, list(expected.values())[-len(gradients) :], strict=True):
                assert torch.equal(torch.zeros_like(own) if gradient is None else gradient, own)


def as_leaves(problem):
    """The loss of a problem, and what it is differentiated by, in the order of its gradients by name."""
    leaf = problem.replace(
        parameters={name: p.detach().requires_grad_() for name, p in problem.parameters.items()},
        x=problem.x.detach().requires_grad_(),
        state={key: s.detach().requires_grad_() for key, s in problem.state.items()},
    )
    return loss(*leaf.run(cpu.run), leaf), [leaf.x, *leaf.state.values(), *leaf.parameters.values()]


CHANGES = {
    "in place": lambda p: p.mul_(2),
    "behind autograd": lambda p: p.data[-1].add_(1),
    "by NumPy": lambda p: np.add(p.detach().numpy(), 1, out=p.detach().numpy()),
    "one number": lambda p: p.view(-1)[-1:].add_(1e-3),
    "two swapped": lambda p: p.view(-1)[:2].copy_(p.view(-1)[:2].flip(0).clone()),
    "other memory": lambda p: setattr(p, "data", p.data + 1),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("threads", [1, 2])
def test_weights_that_change_between_calls_are_seen(change, threads, shared):
    """Panels are kept where there are no gradients: those of weights that are others are made anew."""
    layer, x = Recurrent("lstm", 9, 40, backend="cpu", dtype=torch.float64), torch.randn(1, 3, 9, dtype=torch.float64)
    other = Recurrent("lstm", 9, 40, backend="reference", dtype=torch.float64)
    with torch.no_grad(), shared(threads, units=threads > 1):
        assert torch.equal(layer(x)[0], layer(x)[0])
        for name, parameter in layer.named_parameters():
            CHANGES[change](parameter)
            other.load_state_dict(layer.state_dict())
            torch.testing.assert_close(layer(x)[0], other(x)[0], rtol=0, atol=1e-12, msg=name)


def test_panels_of_weights_that_are_as_before_are_not_made_again():
    """Seen by what comes of panels that were spoilt."""
    layer, x = Recurrent("lstm", 9, 40, backend="cpu"), torch.randn(1, 3, 9)
    memory, seen = Arrangement.memory, []

    def spoilt(arrangement, layout, owner):
        seen.append(memory(arrangement, layout, owner))
        seen[-1].space.fill_(torch.nan)
        return seen[-1]

    with torch.no_grad(), pytest.MonkeyPatch.context() as patch:
        first = layer(x)[0]
        patch.setattr(Arrangement, "memory", spoilt)
        assert layer(x)[0].isnan().any()
        for parameter in layer.parameters():
            parameter.mul_(-1)
        assert not layer(x)[0].isnan().any()
    assert first.isfinite().all()
    assert seen[0] is seen[1]


@pytest.mark.parametrize("count", [2, 12])
def test_layers_of_one_size_have_each_their_own_panels(count, monkeypatch):
    """Up to so many, without new memory; more take that of others, and what is in it is made anew."""
    x = torch.randn(2, 3, 7)
    layers = [Recurrent("gru", 7, 20, backend="cpu") for _ in range(count)]
    new, made = Arrangement._new, []
    _arrange.cache_clear()
    monkeypatch.setattr(Arrangement, "_new", lambda *given: made.append(given) or new(*given))
    with torch.no_grad():
        apart = [layer(x)[0] for layer in layers]
        for _ in range(3):
            for layer, expected in zip(layers, apart, strict=True):
                assert torch.equal(layer(x)[0], expected)
    assert len(made) == min(count, arrangement.OWNERS)


# What is given -------------------------------------------------------------------------------------------------------


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
