"""What writing LLVM IR takes again and again: loops, constants, functions of a module's own, moves between lanes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir

from recurra.backends.cpu.mathematics import I32, I64, declared

__all__ = [
    "ask",
    "call_own",
    "constant",
    "flush_to_zero",
    "larger",
    "loop_over",
    "smaller",
    "spread",
    "take_tasks",
    "transposed",
]

VOID, BYTES, WORDS = ir.VoidType(), ir.IntType(8).as_pointer(), I64.as_pointer()


def constant(value: int) -> ir.Constant:
    """A 64-bit whole number."""
    return ir.Constant(I64, value)


class loop_over:  # noqa: N801  (reads as a statement)
    """`with loop_over(b, first, end) as i:` a loop in IR; the body may make blocks of its own.

    Args:
        b: Where it is written.
        first: The first index.
        end: The end, which is not reached; a loop may have no turn at all.
        by: From one index to the next; 1 if None.
    """

    def __init__(self, b: ir.IRBuilder, first: ir.Value, end: ir.Value, by: ir.Value | None = None) -> None:
        self.b, self.first, self.end = b, first, end
        self.by = constant(1) if by is None else by

    def __enter__(self) -> ir.Value:
        b = self.b
        before = b.block
        self.head = b.append_basic_block("loop")
        self.done = b.append_basic_block("done")
        b.cbranch(b.icmp_signed("<", self.first, self.end), self.head, self.done)
        b.position_at_end(self.head)
        self.index = b.phi(I64)
        self.index.add_incoming(self.first, before)
        return self.index

    def __exit__(self, *_: object) -> None:
        b = self.b
        following = b.add(self.index, self.by)
        self.index.add_incoming(following, b.block)
        b.cbranch(b.icmp_signed("<", following, self.end), self.head, self.done)
        b.position_at_end(self.done)


def call_own(
    b: ir.IRBuilder,
    name: str,
    body: Callable[..., None],
    arguments: Sequence[ir.Value | tuple[ir.Value, ...]],
) -> None:
    """Call a function of the module's own, written where it is first called: what several need is compiled once.

    Args:
        b: Where it is called.
        name: Its name.
        body: Writes its body, given where and the arguments.
        arguments: Its arguments; several together are given together.
    """
    several = [argument if isinstance(argument, tuple) else (argument,) for argument in arguments]
    flat = [value for values in several for value in values]
    function = b.module.globals.get(name)
    if function is None:
        kind = ir.FunctionType(ir.VoidType(), [value.type for value in flat])
        function = ir.Function(b.module, kind, name)
        function.linkage = "internal"
        function.attributes.add("noinline")
        own, inner = iter(function.args), ir.IRBuilder(function.append_basic_block())
        given = [tuple(next(own) for _ in values) for values in several]
        body(inner, *(g if isinstance(a, tuple) else g[0] for a, g in zip(arguments, given, strict=True)))
        inner.ret_void()
    b.call(function, flat)


def ask(b: ir.IRBuilder, address: ir.Value) -> ir.Value:
    """What the C function at an address, int f(void), says; 0 if the address is 0."""
    before = b.block
    with b.if_then(b.icmp_signed("!=", address, constant(0))):
        said = b.call(b.inttoptr(address, ir.FunctionType(I32, []).as_pointer()), [])
        asked = b.block
    answer = b.phi(I32)
    answer.add_incoming(ir.Constant(I32, 0), before)
    answer.add_incoming(said, asked)
    return answer


def take_tasks(b: ir.IRBuilder, counter: ir.Value, count: ir.Value, tasks: ir.Value, space: ir.Value) -> None:
    """Run tasks until all are taken; each thread that is free takes the next.

    Args:
        b: Where it is written.
        counter: Where it is counted how many are taken.
        count: How many there are.
        tasks: For each its function, its job, the first and the end of what it works on.
        space: What this thread may work in.
    """
    kind = ir.FunctionType(VOID, [WORDS, I64, I64, space.type]).as_pointer()
    look, run, done = (b.append_basic_block() for _ in range(3))
    b.branch(look)
    b.position_at_end(look)
    number = b.atomic_rmw("add", counter, constant(1), "monotonic")
    b.cbranch(b.icmp_signed("<", number, count), run, done)
    b.position_at_end(run)
    task = b.gep(tasks, [b.mul(number, constant(4))])
    function, job, first, end = (b.load(b.gep(task, [constant(k)])) for k in range(4))
    b.call(b.inttoptr(function, kind), [b.inttoptr(job, WORDS), first, end, space])
    b.branch(look)
    b.position_at_end(done)


def flush_to_zero(b: ir.IRBuilder, code: ir.Module) -> Callable[[], Any]:
    """Numbers too small to be normal cost a hundred times as much: make them zero, and give back what undoes it."""
    if code.triple.startswith(("x86_64", "i686", "i386", "amd64")):
        kind = ir.FunctionType(VOID, [BYTES])
        store = declared(code, "llvm.x86.sse.stmxcsr", kind)
        load = declared(code, "llvm.x86.sse.ldmxcsr", kind)
        old, new = b.alloca(I32), b.alloca(I32)
        b.call(store, [b.bitcast(old, BYTES)])
        b.store(b.or_(b.load(old), ir.Constant(I32, 0x8040)), new)
        b.call(load, [b.bitcast(new, BYTES)])
        return lambda: b.call(load, [b.bitcast(old, BYTES)])
    if code.triple.startswith(("aarch64", "arm64")):
        get = declared(code, "llvm.aarch64.get.fpcr", ir.FunctionType(I64, []))
        put = declared(code, "llvm.aarch64.set.fpcr", ir.FunctionType(VOID, [I64]))
        before = b.call(get, [])
        b.call(put, [b.or_(before, constant(1 << 24))])
        return lambda: b.call(put, [before])
    return lambda: None


def smaller(b: ir.IRBuilder, x: ir.Value, y: ir.Value) -> ir.Value:
    """The smaller of two whole numbers."""
    return b.select(b.icmp_signed("<", x, y), x, y)


def larger(b: ir.IRBuilder, x: ir.Value, y: ir.Value) -> ir.Value:
    """The larger of two whole numbers."""
    return b.select(b.icmp_signed(">", x, y), x, y)


def spread(b: ir.IRBuilder, value: ir.Value, lanes: int) -> ir.Value:
    """A vector with one number in every lane."""
    empty = ir.Constant(ir.VectorType(value.type, lanes), ir.Undefined)
    single = b.insert_element(empty, value, ir.Constant(I32, 0))
    return b.shuffle_vector(single, empty, _order([0] * lanes))


def _order(lanes: list[int]) -> ir.Constant:
    return ir.Constant(ir.VectorType(I32, len(lanes)), [ir.Constant(I32, lane) for lane in lanes])


def transposed(b: ir.IRBuilder, rows: list[ir.Value]) -> list[ir.Value]:
    """The columns of a square of numbers given as vectors, one a row; their number is a power of 2.

    In log2(n) rounds, each of which exchanges the off-diagonal quarters of squares half as large as before.
    """
    rows, lanes = list(rows), len(rows)
    half = lanes // 2
    while half:
        low = [lane if not lane & half else lane - half + lanes for lane in range(lanes)]
        high = [lane + half if not lane & half else lane + lanes for lane in range(lanes)]
        for place in range(lanes):
            if not place & half:
                upper, lower = rows[place], rows[place + half]
                rows[place] = b.shuffle_vector(upper, lower, _order(low))
                rows[place + half] = b.shuffle_vector(upper, lower, _order(high))
        half //= 2
    return rows
