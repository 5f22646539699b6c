"""What the processor itself can do, measured: multiply-adds, which every figure is a fraction of, and reading."""

from __future__ import annotations

import ctypes
import time

import torch
from llvmlite import ir

from recurra.backends.cpu import library, threads
from recurra.backends.cpu.building import constant, loop_over
from recurra.backends.cpu.parts import (
    CHUNK,
    HIGH,
    OPERAND,
    PRODUCTS,
    SUM,
    WEIGHT,
    PartsEmitter,
    call_unit,
    configure,
    multiplies_parts,
)
from recurra.backends.cpu.target import Target, host

COUNT = 500_000
"""How often a call goes round the loop: a few milliseconds, beside which starting the threads is nothing."""


READ, READ_BYTES = 8, 1 << 28
"""How many vectors are read a turn of the loop, and about how many bytes a call."""

SIZES = tuple(1 << bits for bits in range(14, 24))
"""Of what is read: from what the nearest cache holds to more than the second one does."""


def fma_peak(used: int) -> tuple[float, float]:
    """The most multiply-adds in float32 that one thread does, and some threads at once, in GFLOP/s.

    Tried for longer where the threads do not reach their multiple of one, as when another program holds a core: too low
    a peak would flatter every figure.
    """
    one = _best(1, 0.5)
    all_ = max(one, _best(used, 0.5))
    for _ in range(8):
        if all_ > 0.97 * used * one:
            break
        all_ = max(all_, _best(used, 0.5))
    return one, all_


def matrix_peak(used: int) -> float:
    """The most operations of products of float32, each from six of bfloat16, on the matrix unit; 0 if there is none."""
    target = host()
    if not multiplies_parts(target, double=False):
        return 0.0
    code = library.load(f"matrix peak {COUNT}", lambda: _matrix_kernel(target), target)
    table = (ctypes.c_float * 16)()
    work = 2 * HIGH * HIGH * CHUNK * COUNT // len(PRODUCTS) * used
    return _fastest(code.address, ctypes.addressof(table), used, work, 0.5)


def reading_rates(used: int) -> list[tuple[int, float]]:
    """How fast some threads together read as many bytes again and again, each a part of them: (bytes, GB/s)."""
    return [(size, _reading(used, size)) for size in SIZES]


def _best(used: int, seconds: float) -> float:
    """The best of all calls in a while."""
    target = host()
    chains = _chains(target)
    code = library.load(f"peak {chains} {COUNT}", lambda: _kernel(target, chains), target)
    table = (ctypes.c_float * _lanes(target))()
    work = 2 * chains * COUNT * _lanes(target) * used
    return _fastest(code.address, ctypes.addressof(table), used, work, seconds)


def _reading(used: int, size: int) -> float:
    """The best of all calls in a while; the part that each thread reads is the same memory, which is no slower."""
    target = host()
    line = READ * target.vector_bytes
    turns, lines = -(-READ_BYTES // size), max(1, size // used // line)
    memory = torch.zeros(lines * line // 4)
    result = torch.zeros(target.vector_bytes // 4)
    code = library.load("reading", lambda: _reader(target), target)
    table = (ctypes.c_int64 * 4)(memory.data_ptr(), lines, turns, result.data_ptr())
    return _fastest(code.address, ctypes.addressof(table), used, lines * line * turns * used, 0.1)


def _fastest(address: int, table: int, used: int, work: int, seconds: float) -> float:
    """Work a second, in thousands of millions, of the best call in a while."""
    best, until = 0.0, time.perf_counter() + seconds
    while time.perf_counter() < until:
        begun = time.perf_counter()
        threads.parallel(address, table, used)
        best = max(best, work / (time.perf_counter() - begun) / 1e9)
    return best


def _lanes(target: Target) -> int:
    return target.vector_bytes // 4


def _chains(target: Target) -> int:
    """As many chains as registers hold beside the two constants.

    A multiply-add takes four or five steps of the clock, and two begin at each step: ten chains fill every pipe.
    """
    return target.registers - 4


def _kernel(target: Target, chains: int) -> str:
    """A loop of v = 0.999 v + 0.001 in every lane of every chain, from v = 2, 3, 4, ...

    All differ and none is 1, where v stays as it is: the compiler would see that and leave the chain out.
    """
    module = ir.Module("peak")
    module.triple = target.triple
    scalar, index = ir.FloatType(), ir.IntType(64)
    vector = ir.VectorType(scalar, _lanes(target))
    fmuladd = ir.Function(module, ir.FunctionType(vector, [vector] * 3), f"llvm.fmuladd.v{_lanes(target)}f32")

    def number(value: float) -> ir.Constant:
        return ir.Constant(vector, [ir.Constant(scalar, value)] * _lanes(target))

    function = ir.Function(module, ir.FunctionType(ir.VoidType(), [vector.as_pointer()]), "entry")
    before, loop, after = (function.append_basic_block(name) for name in ("before", "loop", "after"))
    b = ir.IRBuilder(before)
    b.branch(loop)
    b.position_at_end(loop)
    turn = b.phi(index)
    values = [b.phi(vector) for _ in range(chains)]
    following = b.add(turn, ir.Constant(index, 1))
    turn.add_incoming(ir.Constant(index, 0), before)
    turn.add_incoming(following, loop)
    # What follows the loop reads these and not `values`, or each chain would need two registers.
    renewed = [b.call(fmuladd, [value, number(0.999), number(0.001)]) for value in values]
    for place, (value, new) in enumerate(zip(values, renewed, strict=True)):
        value.add_incoming(number(2.0 + place), before)
        value.add_incoming(new, loop)
    b.cbranch(b.icmp_signed("<", following, ir.Constant(index, COUNT)), loop, after)
    b.position_at_end(after)
    total = renewed[0]
    for new in renewed[1:]:
        total = b.fadd(total, new)
    # Given away, so that no chain can be left out.
    b.store(total, function.args[0], align=4)
    b.ret_void()
    return str(module)


def _matrix_kernel(target: Target) -> str:
    """A chain of products of tiles, of nothing but zeros."""
    emitter = PartsEmitter(target, double=False)
    _, b = emitter.begin("entry", emitter.pointer)
    configure(b, emitter.code)
    tiles = (SUM, OPERAND, WEIGHT)
    for tile in tiles:
        call_unit(b, emitter.code, "tilezero", (tile,))
    with loop_over(b, constant(0), constant(COUNT)):
        call_unit(b, emitter.code, "tdpbf16ps", tiles)
    call_unit(b, emitter.code, "tilerelease", ())
    b.ret_void()
    return str(emitter.code)


def _reader(target: Target) -> str:
    """Numbers of a row added up in several vectors, again and again.

    The table: (the row, how often as many vectors as are read at a time, how often all of it, where the sum goes).
    """
    module = ir.Module("reading")
    module.triple = target.triple
    index, vector = ir.IntType(64), ir.VectorType(ir.FloatType(), _lanes(target))
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), [index.as_pointer()]), "entry")
    b = ir.IRBuilder(function.append_basic_block())
    words = [b.load(b.gep(function.args[0], [constant(place)])) for place in range(4)]
    row, result = (b.inttoptr(words[place], vector.as_pointer()) for place in (0, 3))
    zero = ir.Constant(vector, [ir.Constant(ir.FloatType(), 0.0)] * _lanes(target))
    sums = [b.alloca(vector) for _ in range(READ)]
    for place in sums:
        b.store(zero, place)
    with loop_over(b, constant(0), words[2]), loop_over(b, constant(0), words[1]) as line:
        first = b.gep(row, [b.mul(line, constant(READ))])
        for number, place in enumerate(sums):
            b.store(b.fadd(b.load(place), b.load(b.gep(first, [constant(number)]), align=4)), place)
    total = b.load(sums[0])
    for place in sums[1:]:
        total = b.fadd(total, b.load(place))
    b.store(total, result, align=4)
    b.ret_void()
    return str(module)
