"""What IR is written with: loops of any number of turns, and squares that are transposed."""

import ctypes

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from llvmlite import ir

from recurra.backends.cpu import library
from recurra.backends.cpu.building import constant, larger, loop_over, smaller, spread, transposed
from recurra.backends.cpu.mathematics import I64
from recurra.backends.cpu.target import host

VOID, WORDS = ir.VoidType(), I64.as_pointer()


def compiled(name, arguments, write):
    """A function whose body is written by `write(b, *arguments)`, to be called from here."""
    module = ir.Module(name)
    module.triple = host().triple
    function = ir.Function(module, ir.FunctionType(VOID, arguments), "entry")
    b = ir.IRBuilder(function.append_basic_block())
    write(b, *function.args)
    b.ret_void()
    code = library.load(str(module), lambda: str(module), host())
    kinds = [ctypes.c_int64 if kind == I64 else ctypes.c_void_p for kind in arguments]
    call = ctypes.CFUNCTYPE(None, *kinds)(code.address)
    call.code = code  # without which there is nothing to call
    return call


@pytest.fixture(scope="module")
def nested():
    """Each pair (i, j) with i from `first` to `end` by `by` and j from i to `end`, one after the other."""

    def write(b, out, first, end, by):
        count = b.alloca(I64)
        b.store(constant(0), count)
        with loop_over(b, first, end, by) as i, loop_over(b, i, end) as j:
            place = b.load(count)
            b.store(i, b.gep(out, [b.mul(place, constant(2))]))
            b.store(j, b.gep(out, [b.add(b.mul(place, constant(2)), constant(1))]))
            b.store(b.add(place, constant(1)), count)

    return compiled("nested", [WORDS, I64, I64, I64], write)


@given(st.integers(-5, 10), st.integers(-5, 10), st.integers(1, 4))
def test_a_loop_has_the_turns_of_a_range(nested, first, end, by):
    expected = [number for i in range(first, end, by) for j in range(i, end) for number in (i, j)]
    out = torch.full((1000,), -7)
    nested(out.data_ptr(), first, end, by)
    assert out[: len(expected)].tolist() == expected
    assert (out[len(expected) :] == -7).all()


@settings(max_examples=20)
@given(st.integers(-3, 3), st.integers(-3, 3))
def test_the_smaller_and_the_larger_of_two(x, y):
    def write(b, out, x, y):
        b.store(smaller(b, x, y), out)
        b.store(larger(b, x, y), b.gep(out, [constant(1)]))

    out = torch.zeros(2, dtype=torch.int64)
    compiled("pair", [WORDS, I64, I64], write)(out.data_ptr(), x, y)
    assert out.tolist() == [min(x, y), max(x, y)]


@pytest.mark.parametrize("lanes", [1, 2, 4, 8, 16])
def test_a_square_is_transposed_and_a_number_is_in_every_lane(lanes):
    numbers = ir.FloatType().as_pointer()
    row = ir.VectorType(ir.FloatType(), lanes)

    def write(b, to, from_):
        first, after = (b.bitcast(pointer, row.as_pointer()) for pointer in (from_, to))
        rows = [b.load(b.gep(first, [constant(k)]), align=4) for k in range(lanes)]
        for k, column in enumerate(transposed(b, rows)):
            b.store(column, b.gep(after, [constant(k)]), align=4)
        last = b.load(b.gep(from_, [constant(lanes * lanes - 1)]))
        b.store(spread(b, last, lanes), b.gep(after, [constant(lanes)]), align=4)

    square = torch.randn(lanes, lanes)
    out = torch.zeros(lanes + 1, lanes)
    compiled(f"square {lanes}", [numbers, numbers], write)(out.data_ptr(), square.data_ptr())
    assert torch.equal(out[:lanes], square.T)
    assert (out[lanes] == square[-1, -1]).all()
