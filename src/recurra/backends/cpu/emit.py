"""The loops of a plan as LLVM IR.

    entry(table)              one thread's part of a pass, flush-to-zero inside
      pack                      the weights, shared out over the threads
      for each chunk of steps:
        inputs                    products with what no state reaches, for all rows of the chunk at once
        for each step:
          enter                     the states of rows that begin here
          stage k                   see `stages`
          leave                     the states of rows that end here
      tasks                     products over all steps: gradients of matrices and inputs

The threads either have rows of their own, and then nothing to tell each other until the last step; or, where rows are
few and the weights many, share out the units of every stage. A thread then takes the parts that are its own first,
and after them what others have not begun, so that none waits for one whose processor is busy with something else.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Literal

from llvmlite import ir

from recurra.backends.cpu.building import ask, constant, flush_to_zero, larger, loop_over, smaller, take_tasks
from recurra.backends.cpu.mathematics import I64, Mathematics
from recurra.backends.cpu.parts import call_unit, configure, multiplies_parts, parts_of
from recurra.backends.cpu.stages import StageEmitter, on_parts
from recurra.backends.cpu.table import LINE, PACK_WORDS, SHARED_WORDS, slots
from recurra.backends.cpu.target import Target
from recurra.backends.plan import Loop

__all__ = ["emit", "home"]

SPINS = 2000
"""How often a thread looks whether the others are there before it lets others run between looks."""

VOID, WORDS = ir.VoidType(), I64.as_pointer()


def emit(
    loop: Loop,
    target: Target,
    *,
    double: bool,
    states: dict[str, int],
    carried: dict[str, tuple[str, int]],
    noises: tuple[str, ...],
    vectors: tuple[str, ...],
    counts: dict[str, int],
    output: str,
    keeps: Literal["saved", "gradients"],
    homes: tuple[int, ...],
    operands: tuple[int, ...],
) -> str:
    """The IR of a loop.

    Args:
        loop: What a step computes.
        target: The processor.
        double: Whether numbers are float64; else float32.
        states: The states and their furthest lag.
        carried: What is carried from call to call: of which state, how many steps back.
        noises: The noises.
        vectors: The learned vectors, in the order of the table's arrays.
        counts: How many "saved" values and "gradients" of their own a packed row has.
        output: The name of the output's value, whose received gradient comes from outside as well.
        keeps: The array that takes what the loop keeps.
        homes: For each gradient kept, the place among the saved values that it takes; -1 for one of its own.
        operands: For each product before the loop, the number of what it multiplies.
    """
    emitter = _Emitter(loop, target, double, states, carried, noises, vectors, counts, output, keeps, homes, operands)
    return str(emitter.module())


def home(homes: tuple[int, ...], place: int) -> tuple[str, int]:
    """The array that a gradient stands in, and its place there.

    Example:
        >>> home((-1, 3, -1), 1), home((-1, 3, -1), 2)
        (('saved', 3), ('gradients', 1))
    """
    if homes[place] >= 0:
        return "saved", homes[place]
    return "gradients", sum(other < 0 for other in homes[:place])


class _Emitter:
    def __init__(
        self,
        loop: Loop,
        target: Target,
        double: bool,
        states: dict[str, int],
        carried: dict[str, tuple[str, int]],
        noises: tuple[str, ...],
        vectors: tuple[str, ...],
        counts: dict[str, int],
        output: str,
        keeps: str,
        homes: tuple[int, ...],
        operands: tuple[int, ...],
    ) -> None:
        self.parts, self.operands = multiplies_parts(target, double=double), operands
        self.loop, self.target, self.states, self.vectors, self.counts = loop, target, states, vectors, counts
        self.carried, self.output, self.array, self.homes = carried, output, keeps, homes
        self.bytes = 8 if double else 4
        self.lanes = target.vector_bytes // self.bytes
        self.slots = slots(loop, states, noises, tuple(carried))
        self.code = ir.Module("recurra")
        self.code.triple = target.triple
        self.maths = Mathematics(self.code, self.lanes, double)
        self.means = [n for stage in loop.stages for n in stage.means]
        # What a stage keeps for good later stages can read there as well.
        self.stored = {s.operation: s.index for stage in loop.stages for s in stage.stores if s.kind == "saved"}

    def module(self) -> ir.Module:
        """All functions of the loop."""
        stages = [StageEmitter(self, f"stage_{k}", 9).stage(k, stage) for k, stage in enumerate(self.loop.stages)]
        splits = [
            StageEmitter(self, f"split_{k}", 9).split(stage) if self.parts and stage.sums else None
            for k, stage in enumerate(self.loop.stages)
        ]
        # Before the first step values stand as far back as their lag, and gradients where their own step will look.
        after = self.array == "gradients"
        begin, end = {}, {}
        for key, (name, lag) in self.carried.items():
            size = self.states[name] + 1
            begin[key] = (name, (size - lag + 1) % size if after else lag)
            end[key] = (name, size - lag if after else lag - 1)
        enter = StageEmitter(self, "enter", 4).carry(begin, entering=True)
        leave = StageEmitter(self, "leave", 4).carry(end, entering=False)
        inputs = self._inputs() if self.loop.products else None
        split = self._split_inputs() if self.parts and self.loop.products else None
        _Entry(self, list(zip(stages, splits, strict=True)), enter, leave, inputs, split).write()
        return self.code

    def kept(self, place: int) -> tuple[str, int]:
        """The array that takes what the loop keeps, and the place in it."""
        return (self.array, place) if self.array == "saved" else home(self.homes, place)

    def word(self, b: ir.IRBuilder, table: ir.Value, name: str) -> ir.Value:
        """A word of the table."""
        return b.load(b.gep(table, [constant(self.slots[name])]))

    def array_of(self, b: ir.IRBuilder, table: ir.Value, name: str) -> ir.Value:
        """An array of the table."""
        return b.inttoptr(self.word(b, table, name), self.maths.scalar.as_pointer())

    def call_product(self, b: ir.IRBuilder, address: ir.Value, arguments: list[ir.Value]) -> None:
        """Call the function `product`, which the table names."""
        pointer = self.maths.scalar.as_pointer()
        kind = ir.FunctionType(VOID, [pointer, I64, I64, I64, WORDS, pointer, I64, I64, pointer, I64, I64, I64])
        b.call(b.inttoptr(address, kind.as_pointer()), arguments)

    def call_split(self, b: ir.IRBuilder, address: ir.Value, arguments: list[ir.Value]) -> None:
        """Call the function `split`, which the table names."""
        pointer = self.maths.scalar.as_pointer()
        kind = ir.FunctionType(VOID, [I64, WORDS, pointer, I64, I64, pointer])
        b.call(b.inttoptr(address, kind.as_pointer()), arguments)

    def _split_inputs(self) -> ir.Function:
        """split_inputs(table, lines, rows, parts): what the products before the loop read, as parts."""
        function = ir.Function(self.code, ir.FunctionType(VOID, [WORDS, WORDS, I64, I64]), "split_inputs")
        function.linkage = "internal"
        b = ir.IRBuilder(function.append_basic_block())
        table, lines, rows, parts = function.args
        to = b.inttoptr(parts, self.maths.scalar.as_pointer())
        done: set[int] = set()
        for own in self.loop.products:
            if self.operands[own] not in done:
                done.add(self.operands[own])
                base, length = self.array_of(b, table, f"operand.{own}"), self.word(b, table, f"length.{own}")
                self.call_split(b, self.word(b, table, "inputs.split"), [rows, lines, base, length, length, to])
                to = b.gep(to, [parts_of(b, rows, length)])
        b.ret_void()
        return function

    def _inputs(self) -> ir.Function:
        """inputs(table, lines, rows, place, first unit, end unit, parts): the products before the loop, of a chunk."""
        kind = ir.FunctionType(VOID, [WORDS, WORDS, *[I64] * 5])
        function = ir.Function(self.code, kind, "inputs")
        function.linkage = "internal"
        b = ir.IRBuilder(function.append_basic_block())
        table, lines, rows, place, first, end, parts = function.args
        width, product = self.word(b, table, "padded"), self.word(b, table, "inputs.product")
        split = b.icmp_signed("!=", self.word(b, table, "inputs.split"), constant(0))
        to_parts = b.inttoptr(parts, self.maths.scalar.as_pointer())
        begins: dict[int, ir.Value] = {}
        line = b.mul(width, constant(len(self.loop.products)))
        out = b.gep(self.array_of(b, table, "products"), [b.mul(place, line)])
        wide = constant(2 * self.lanes)
        for number, own in enumerate(self.loop.products):
            base, panels = self.array_of(b, table, f"operand.{own}"), self.array_of(b, table, f"input.{own}")
            length, depth = self.word(b, table, f"length.{own}"), self.word(b, table, f"depth.{own}")
            if self.parts:
                if self.operands[own] not in begins:
                    begins[self.operands[own]] = to_parts
                    to_parts = b.gep(to_parts, [parts_of(b, rows, length)])
                base = b.select(split, begins[self.operands[own]], base)
            to = b.gep(out, [b.add(b.mul(width, constant(number)), first)])
            panel = b.gep(panels, [b.mul(first, depth)])
            count = b.sdiv(b.add(b.sub(end, first), constant(2 * self.lanes - 1)), wide)
            rest = [count, b.mul(wide, depth), wide]
            self.call_product(b, product, [to, line, constant(1), rows, lines, base, length, length, panel, *rest])
        b.ret_void()
        return function


class _Entry:
    """entry(table): this thread's part of a pass."""

    def __init__(
        self,
        of: _Emitter,
        stages: list[tuple[ir.Function, ir.Function | None]],
        enter: ir.Function,
        leave: ir.Function,
        inputs: ir.Function | None,
        split: ir.Function | None,
    ) -> None:
        self.of, self.stages, self.enter, self.leave, self.inputs = of, stages, enter, leave, inputs
        self.split = split
        self.wait = self._wait()
        self.function = ir.Function(of.code, ir.FunctionType(VOID, [WORDS]), "entry")
        self.b = b = ir.IRBuilder(self.function.append_basic_block())
        (self.table,) = self.function.args
        self.thread = b.sext(ask(b, self.word("thread")), I64)
        # What lives in memory while the loops below run.
        self.met, self.epoch, self.last = b.alloca(I64), b.alloca(I64), b.alloca(I64)
        self.count, self.done = b.alloca(I64), b.alloca(I64)
        for place in (self.met, self.epoch):
            b.store(constant(0), place)

    def word(self, name: str) -> ir.Value:
        return self.of.word(self.b, self.table, name)

    def words(self, name: str) -> ir.Value:
        return self.b.inttoptr(self.word(name), WORDS)

    def write(self) -> None:
        """The whole function."""
        b = self.b
        restore = flush_to_zero(b, self.of.code)
        self.threads, self.sync, self.yield_ = self.word("threads"), self.words("sync"), self.word("yield")
        self.by_units = b.icmp_signed("!=", self.word("by_units"), constant(0))
        self.shares, self.width = self.word("shares"), self.word("width")
        own = b.mul(self.thread, b.mul(self.word("parts.size"), constant(self.of.bytes)))
        self.parts = b.add(self.word("parts"), own)
        self.splits_inputs = b.icmp_signed("!=", self.word("inputs.split"), constant(0))
        self._pack()
        self._steps()
        self._tasks()
        if self.of.parts:
            self._give_tiles_back()
        restore()
        b.ret_void()

    def _give_tiles_back(self) -> None:
        """If any were used: so that the system need not keep them when it lets others run."""
        b = self.b
        asked = (self.word(name) for name in ("split", "inputs.split", "tasks.count"))
        with b.if_then(b.icmp_signed("!=", functools.reduce(b.or_, asked), constant(0))):
            call_unit(b, self.of.code, "tilerelease", ())

    # -- threads that wait for one another ----------------------------------------------------------------------

    def _wait(self) -> ir.Function:
        """wait(counter, goal, yield): until a counter has reached its goal."""
        code = self.of.code
        function = ir.Function(code, ir.FunctionType(VOID, [WORDS, I64, I64]), "wait")
        function.linkage = "internal"
        b = ir.IRBuilder(function.append_basic_block())
        counter, goal, address = function.args
        before, look, done, again = b.block, *(b.append_basic_block() for _ in range(3))
        b.branch(look)
        b.position_at_end(look)
        turn = b.phi(I64)
        turn.add_incoming(constant(0), before)
        found = b.load_atomic(counter, ordering="acquire", align=8)
        b.cbranch(b.icmp_signed(">=", found, goal), done, again)
        b.position_at_end(again)
        with b.if_else(b.icmp_signed("<", turn, constant(SPINS))) as (spin, let):
            with spin:
                if self.of.target.triple.startswith(("x86_64", "i686", "i386", "amd64")):
                    b.call(ir.Function(code, ir.FunctionType(VOID, []), "llvm.x86.sse2.pause"), [])
            with let:
                ask(b, address)
        turn.add_incoming(b.add(turn, constant(1)), b.block)
        b.branch(look)
        b.position_at_end(done)
        b.ret_void()
        return function

    def _barrier(self) -> None:
        """Until every thread is here."""
        b = self.b
        with b.if_then(b.icmp_signed(">", self.threads, constant(1))):
            b.atomic_rmw("add", self.sync, constant(1), "acq_rel")
            goal = b.add(b.load(self.met), self.threads)
            b.store(goal, self.met)
            b.call(self.wait, [self.sync, goal, self.yield_])

    def _shared(self, run: Callable[[ir.Value, ir.Value], None]) -> None:
        """`run(first unit, end unit)` for all units: here if rows are shared out, else in parts, each by one thread."""
        b = self.b
        with b.if_else(self.by_units) as (parts, whole):
            with whole:
                run(constant(0), self.width)
            with parts:
                wide, shares, epoch = constant(2 * self.of.lanes), self.shares, b.load(self.epoch)
                groups = b.sdiv(b.add(self.width, constant(2 * self.of.lanes - 1)), wide)
                own = b.sdiv(b.mul(self.thread, shares), self.threads)
                following = b.add(epoch, constant(1))
                b.store(constant(0), self.done)
                with loop_over(b, constant(0), shares) as turn:
                    part = b.add(own, turn)
                    part = b.select(b.icmp_signed("<", part, shares), part, b.sub(part, shares))
                    claim = b.gep(self.sync, [b.add(constant(3 * LINE), b.mul(part, constant(LINE)))])
                    taken = b.cmpxchg(claim, epoch, following, "acq_rel", "monotonic")
                    with b.if_then(b.extract_value(taken, 1)):
                        first = b.mul(b.sdiv(b.mul(part, groups), shares), wide)
                        end = b.mul(b.sdiv(b.mul(b.add(part, constant(1)), groups), shares), wide)
                        run(first, smaller(b, end, self.width))
                        b.store(b.add(b.load(self.done), constant(1)), self.done)
                counter = b.gep(self.sync, [constant(2 * LINE)])
                b.atomic_rmw("add", counter, b.load(self.done), "acq_rel")
                b.store(following, self.epoch)
                b.call(self.wait, [counter, b.mul(shares, following), self.yield_])

    def _alone(self, call: Callable[[], None], *, before: bool) -> None:
        """`call` on every thread if rows are shared out, else on the first, for which the others wait if `before`."""
        b = self.b
        first = b.icmp_signed("==", self.thread, constant(0))
        with b.if_then(b.or_(b.not_(self.by_units), first)):
            call()
        if before:
            with b.if_then(self.by_units):
                self._barrier()

    # -- before, during and after the steps -------------------------------------------------------------------

    def _pack(self) -> None:
        b = self.b
        count, jobs = self.word("packs.count"), self.words("packs")
        pack = b.inttoptr(self.word("pack"), ir.FunctionType(VOID, [WORDS, I64, I64]).as_pointer())
        with b.if_then(b.icmp_signed(">", count, constant(0))):
            with loop_over(b, constant(0), count) as number:
                b.call(pack, [b.gep(jobs, [b.mul(number, constant(PACK_WORDS))]), self.thread, self.threads])
            self._barrier()

    def _steps(self) -> None:
        b = self.b
        own = b.gep(self.words("shared"), [b.mul(self.thread, constant(SHARED_WORDS))])
        self.order, batch = self.words("order"), self.word("rows")
        self.batch = batch
        none, self.apart = constant(0), self.word("rows.apart")
        origin, end, before = (b.load(b.gep(own, [constant(k)])) for k in range(SHARED_WORDS))
        self.origin, before = b.select(self.by_units, none, origin), b.select(self.by_units, none, before)
        self.end = b.select(self.by_units, batch, end)
        self.line = b.select(self.by_units, constant(0), self.thread)
        self.steps, self.backwards = self.word("steps"), b.icmp_signed("!=", self.word("backwards"), constant(0))
        self.sizes, chunk = self.words("sizes"), self.word("chunk")
        self.lines = b.gep(self.words("lines"), [b.mul(self.thread, self.word("lines.size"))])
        self.starts = b.gep(self.words("starts"), [b.mul(self.thread, chunk)])
        place = b.mul(chunk, before)
        b.store(none, self.last)
        with loop_over(b, constant(0), self.steps, chunk) as begin:
            count = smaller(b, chunk, b.sub(self.steps, begin))
            if self.inputs is not None:
                self._gather(begin, count)
                rows, inputs, parts = b.load(self.count), self.inputs, self.parts
                if self.split is not None:
                    with b.if_then(self.splits_inputs):
                        configure(b, self.of.code)
                        b.call(self.split, [self.table, self.lines, rows, parts])
                with b.if_then(b.icmp_signed("!=", self.word("inputs.product"), constant(0))):
                    self._shared(
                        lambda first, end: b.call(inputs, [self.table, self.lines, rows, place, first, end, parts])
                    )
            with loop_over(b, constant(0), count) as within:
                step = b.add(begin, within)
                t, rows = self._running(step)
                with b.if_then(b.icmp_signed(">", rows, none)):
                    start = b.load(b.gep(self.starts, [within])) if self.inputs is not None else none
                    self._step(step, t, rows, b.add(place, start))

    def _running(self, step: ir.Value) -> tuple[ir.Value, ir.Value]:
        """The time of a step, and how many of this thread's rows run at it."""
        b = self.b
        mirrored = b.sub(b.sub(self.steps, constant(1)), step)
        t = b.select(self.backwards, mirrored, step)
        left = b.sub(smaller(b, b.load(b.gep(self.sizes, [t])), self.end), self.origin)
        numerator = larger(b, constant(0), b.add(left, b.sub(self.apart, constant(1))))
        return t, b.udiv(numerator, self.apart)

    def _gather(self, begin: ir.Value, count: ir.Value) -> None:
        """The places in the caller's batch of all rows of a chunk."""
        b = self.b
        order, batch = self.order, self.batch
        b.store(constant(0), self.count)
        with loop_over(b, constant(0), count) as within:
            t, rows = self._running(b.add(begin, within))
            so_far = b.load(self.count)
            b.store(so_far, b.gep(self.starts, [within]))
            begin_of_step = b.mul(t, batch)
            with loop_over(b, constant(0), rows) as number:
                row = b.add(self.origin, b.mul(number, self.apart))
                to = b.gep(self.lines, [b.add(so_far, number)])
                b.store(b.add(begin_of_step, b.load(b.gep(order, [row]))), to)
            b.store(b.add(so_far, rows), self.count)

    def _step(self, step: ir.Value, t: ir.Value, rows: ir.Value, place: ir.Value) -> None:
        """Everything of one step: rows that begin, the stages, rows that end."""
        b, table = self.b, self.table
        before = b.load(self.last)
        with b.if_then(b.icmp_signed("<", before, rows)):
            self._alone(lambda: b.call(self.enter, [table, step, self.origin, before, rows]), before=True)
        b.store(rows, self.last)
        for stage, split in self.stages:

            def run(first: ir.Value, end: ir.Value, stage: ir.Function = stage) -> None:
                b.call(stage, [table, step, t, self.origin, rows, self.line, place, first, end, self.parts])

            if split is not None:
                with b.if_then(on_parts(b, self.word, rows)):
                    configure(b, self.of.code)
                    run(constant(0), self.width, split)
            self._shared(run)
        following = b.add(step, constant(1))
        with b.if_else(b.icmp_signed("<", following, self.steps)) as (more, over):
            with more:
                _, left = self._running(following)
                more_block = b.block
            with over:
                over_block = b.block
        rest = b.phi(I64)
        rest.add_incoming(left, more_block)
        rest.add_incoming(constant(0), over_block)
        with b.if_then(b.icmp_signed("<", rest, rows)):
            self._alone(lambda: b.call(self.leave, [table, step, self.origin, rest, rows]), before=False)

    def _tasks(self) -> None:
        """What is computed after the last step; whoever is free takes the next."""
        b = self.b
        count, tasks = self.word("tasks.count"), self.words("tasks")
        with b.if_then(b.icmp_signed(">", count, constant(0))):
            self._barrier()
            space = b.gep(
                self.of.array_of(b, self.table, "workspace"), [b.mul(self.thread, self.word("workspace.size"))]
            )
            take_tasks(b, b.gep(self.sync, [constant(LINE)]), count, tasks, space)
