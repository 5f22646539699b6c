"""The loops of a plan as LLVM IR.

    entry(table)            the rows of this thread, all steps, flush-to-zero inside
      stage k               for each block of units, for each tile of rows:
        tile                  the products of the tile, its sums in registers
        work                  elementwise operations and stores, a vector at a time

A *panel* holds the weights that one block of units needs, in the order they are read: for each operand, for each of
its elements, one vector for each product. A tile reads a panel once and keeps a sum a row, product and block in
registers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from llvmlite import ir

from recurra.backends.cpu.mathematics import I32, I64, Mathematics
from recurra.backends.cpu.table import slots
from recurra.backends.cpu.target import Target
from recurra.backends.plan import Loop, Operation, Stage, Store

__all__ = ["Segment", "emit", "segments"]

VERSION = 1
"""Changes whenever the code that is emitted does, so that no older one is taken from a cache."""

VOID, BYTES = ir.VoidType(), ir.IntType(8).as_pointer()


@dataclass(frozen=True, slots=True)
class Segment:
    """The products of a stage that read one operand: (place of the sum, matrix, part, transposed) each."""

    operand: int
    entries: tuple[tuple[int, str, int, bool], ...]


def segments(loop: Loop, stage: Stage) -> tuple[Segment, ...]:
    """The products of a stage by operand, in the order their weights stand in a panel."""
    found: dict[int, list[tuple[int, str, int, bool]]] = {}
    for place, number in enumerate(stage.sums):
        total = loop.operations[number].sum
        assert total is not None
        for term in total.terms:
            found.setdefault(term.operand, []).append((place, term.matrix, term.part, term.transposed))
    return tuple(Segment(operand, tuple(entries)) for operand, entries in found.items())


def granule(loops: Sequence[Loop], target: Target) -> int:
    """How many vectors of units the tiles of some loops work on at a time: rows are as wide as a multiple of it."""
    return max(tile_shape(max(1, len(stage.sums)), target.registers)[1] for loop in loops for stage in loop.stages)


def emit(
    loop: Loop,
    target: Target,
    *,
    double: bool,
    states: dict[str, int],
    noises: tuple[str, ...],
    vectors: tuple[str, ...],
    counts: dict[str, int],
    output: str,
    keeps: Literal["saved", "gradients"],
) -> str:
    """The IR of a loop.

    Args:
        loop: What a step computes.
        target: The processor.
        double: Whether numbers are float64; else float32.
        states: The states and their furthest lag.
        noises: The noises.
        vectors: The learned vectors, in the order of the table's arrays.
        counts: How many "products", "saved" values and "gradients" a packed row has.
        output: The name of the output's value, whose received gradient comes from outside as well.
        keeps: The array that takes what the loop keeps.
    """
    return str(_Emitter(loop, target, double, states, noises, vectors, counts, output, keeps).module())


class _Emitter:
    def __init__(
        self,
        loop: Loop,
        target: Target,
        double: bool,
        states: dict[str, int],
        noises: tuple[str, ...],
        vectors: tuple[str, ...],
        counts: dict[str, int],
        output: str,
        keeps: str,
    ) -> None:
        self.loop, self.target, self.states, self.vectors, self.counts = loop, target, states, vectors, counts
        self.output = output
        self.bytes = 8 if double else 4
        self.lanes = target.vector_bytes // self.bytes
        self.slots = slots(loop, states, noises)
        self.code = ir.Module("recurra")
        self.code.triple = target.triple
        self.maths = Mathematics(self.code, self.lanes, double)
        self.vector, self.scalar = self.maths.vector, self.maths.scalar
        self.tiles: dict[tuple[object, ...], ir.Function] = {}
        self.means = [n for stage in loop.stages for n in stage.means]
        # What a stage keeps for good later stages can read there as well.
        self.stored = {s.operation: s.index for stage in loop.stages for s in stage.stores if s.kind == "saved"}
        self.array = keeps

    def module(self) -> ir.Module:
        """All functions of the loop."""
        stages = [_StageEmitter(self, k, stage).function() for k, stage in enumerate(self.loop.stages)]
        self._entry(stages)
        return self.code

    def word(self, b: ir.IRBuilder, table: ir.Value, name: str) -> ir.Value:
        """A word of the table."""
        place = b.gep(table, [ir.Constant(I64, self.slots[name])])
        return b.load(place)

    def _entry(self, stages: Sequence[ir.Function]) -> None:
        """entry(table): find this thread's rows, and walk over the steps."""
        function = ir.Function(self.code, ir.FunctionType(VOID, [I64.as_pointer()]), "entry")
        b = ir.IRBuilder(function.append_basic_block())
        (table,) = function.args
        told = b.inttoptr(self.word(b, table, "thread"), ir.FunctionType(I32, []).as_pointer())
        thread = b.sext(b.call(told, []), I64)
        splits = b.inttoptr(self.word(b, table, "splits"), I64.as_pointer())
        first = b.load(b.gep(splits, [thread]))
        end = b.load(b.gep(splits, [b.add(thread, ir.Constant(I64, 1))]))
        restore = self._flush_to_zero(b)
        steps, backwards = self.word(b, table, "steps"), self.word(b, table, "backwards")
        sizes = b.inttoptr(self.word(b, table, "sizes"), I64.as_pointer())
        with loop_over(b, ir.Constant(I64, 0), steps) as step:
            mirrored = b.sub(b.sub(steps, ir.Constant(I64, 1)), step)
            t = b.select(b.icmp_signed("!=", backwards, ir.Constant(I64, 0)), mirrored, step)
            running = b.load(b.gep(sizes, [t]))
            last = b.select(b.icmp_signed("<", running, end), running, end)
            with b.if_then(b.icmp_signed(">", last, first)):
                for stage in stages:
                    b.call(stage, [table, step, t, first, last, thread])
        restore()
        b.ret_void()

    def _flush_to_zero(self, b: ir.IRBuilder) -> Any:  # noqa: ANN401  (a function that undoes it)
        """Numbers too small to be normal cost a hundred times as much: make them zero, and give back what undoes it."""
        if self.target.triple.startswith(("x86_64", "i686", "i386", "amd64")):
            kind = ir.FunctionType(VOID, [BYTES])
            store = ir.Function(self.code, kind, "llvm.x86.sse.stmxcsr")
            load = ir.Function(self.code, kind, "llvm.x86.sse.ldmxcsr")
            old, new = b.alloca(I32), b.alloca(I32)
            b.call(store, [b.bitcast(old, BYTES)])
            b.store(b.or_(b.load(old), ir.Constant(I32, 0x8040)), new)
            b.call(load, [b.bitcast(new, BYTES)])
            return lambda: b.call(load, [b.bitcast(old, BYTES)])
        if self.target.triple.startswith(("aarch64", "arm64")):
            get = ir.Function(self.code, ir.FunctionType(I64, []), "llvm.aarch64.get.fpcr")
            put = ir.Function(self.code, ir.FunctionType(VOID, [I64]), "llvm.aarch64.set.fpcr")
            before = b.call(get, [])
            b.call(put, [b.or_(before, ir.Constant(I64, 1 << 24))])
            return lambda: b.call(put, [before])
        return lambda: None


def tile_shape(groups: int, registers: int) -> tuple[int, int]:
    """Rows and blocks of units of a tile: as many sums as the registers hold beside the operands of one step.

    Example:
        >>> tile_shape(4, 16), tile_shape(1, 16), tile_shape(4, 32)
        ((3, 1), (6, 2), (6, 1))
    """
    best = (1, 1)
    for blocks in (1, 2):
        for rows in range(1, 13):
            wide = groups * blocks
            fits = rows * wide + min(rows, wide) + 1 <= registers
            if fits and (rows * wide, -abs(rows - 3 * wide)) > (
                best[0] * best[1] * groups,
                -abs(best[0] - 3 * best[1] * groups),
            ):
                best = (rows, blocks)
    return best


class loop_over:  # noqa: N801  (reads as a statement)
    """`with loop_over(b, first, end) as i:` a loop in IR; the body may make blocks of its own."""

    def __init__(self, b: ir.IRBuilder, first: ir.Value, end: ir.Value, by: ir.Value | None = None) -> None:
        self.b, self.first, self.end = b, first, end
        self.by = ir.Constant(I64, 1) if by is None else by

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


class _StageEmitter:
    """One stage: stage(table, step, t, first row, end row, thread)."""

    def __init__(self, emitter: _Emitter, number: int, stage: Stage) -> None:
        self.of, self.stage, self.number = emitter, stage, number
        self.loop, self.maths = emitter.loop, emitter.maths
        self.segments = segments(emitter.loop, stage)
        kind = ir.FunctionType(VOID, [I64.as_pointer(), *[I64] * 5])
        self.function_ = ir.Function(emitter.code, kind, f"stage_{number}")
        self.function_.linkage = "internal"
        self.b = ir.IRBuilder(self.function_.append_basic_block())
        self.table, self.step, self.t, self.first, self.end, self.thread = self.function_.args
        self.words: dict[str, ir.Value] = {}
        self.bases: dict[tuple[str, str, int], ir.Value] = {}
        self.tile_rows, self.blocks = tile_shape(max(1, len(stage.sums)), emitter.target.registers)

    def word(self, name: str) -> ir.Value:
        """A word of the table, read once at the beginning of the stage."""
        if name not in self.words:
            with self.b.goto_entry_block():
                self.words[name] = self.of.word(self.b, self.table, name)
        return self.words[name]

    def address(self, name: str) -> ir.Value:
        """The first number of an array of the table."""
        key = f"*{name}"
        if key not in self.words:
            word = self.word(name)
            with self.b.goto_entry_block():
                self.words[key] = self.b.inttoptr(word, self.of.scalar.as_pointer())
        return self.words[key]

    def constant(self, value: int) -> ir.Constant:
        return ir.Constant(I64, value)

    def function(self) -> ir.Function:
        """The stage as a function."""
        b = self.b
        offsets = b.inttoptr(self.of.word(b, self.table, "offsets"), I64.as_pointer())
        self.packed = b.load(b.gep(offsets, [self.t]))
        self.width, self.hidden = self.word("width"), self.word("hidden")
        for name, lag in self.of.states.items():
            # A ring holds one row more than the furthest lag; the rows move round by one each step.
            size = lag + 1
            for back in range(size):
                turned = b.add(self.step, self.constant(size - back if back else 0))
                place = b.urem(turned, self.constant(size))
                whole = b.mul(b.mul(place, self.word("rows")), self.width)
                self.bases["ring", name, back] = b.gep(self.address(f"ring.{name}"), [whole])
        # Everything the stage reads from the table must be read before its loops begin.
        body = b.append_basic_block("body")
        b.branch(body)
        b.position_at_end(body)
        self._means()
        lanes = self.constant(self.of.lanes)
        if self.stage.sums:
            self._tiled()
        elif self.stage.work or self.stage.stores:
            units, rows = loop_over(b, self.constant(0), self.width, lanes), loop_over(b, self.first, self.end)
            with units as unit, rows as row:
                self._work(unit, row, None)
        b.ret_void()
        return self.function_

    def _means(self) -> None:
        """Each mean of the stage, over the units of every row."""
        b, lanes = self.b, self.of.lanes
        with b.goto_entry_block():
            total = b.alloca(self.of.vector)
        for number in self.stage.means:
            (averaged,) = self.loop.operations[number].args
            with loop_over(b, self.first, self.end) as row:
                b.store(self.maths.number(0.0), total)
                with loop_over(b, self.constant(0), self.width, self.constant(lanes)) as unit:
                    value = self._stored(averaged, unit, row)
                    b.store(b.fadd(b.load(total), self._masked(value, unit)), total)
                sum_ = ir.Constant(self.of.scalar, 0.0)
                whole = b.load(total)
                for lane in range(lanes):
                    sum_ = b.fadd(sum_, b.extract_element(whole, ir.Constant(I32, lane)))
                count = b.sitofp(self.hidden, self.of.scalar)
                place = b.add(b.mul(row, self.constant(len(self.of.means))), self.constant(self.of.means.index(number)))
                b.store(b.fdiv(sum_, count), b.gep(self.address("means"), [place]))

    def _masked(self, value: ir.Value, unit: ir.Value) -> ir.Value:
        """A vector of units with zero past the last one."""
        b, lanes = self.b, self.of.lanes
        kind = ir.VectorType(I64, lanes)
        index = ir.Constant(kind, [ir.Constant(I64, lane) for lane in range(lanes)])
        left = b.sub(self.hidden, unit)
        splat = b.insert_element(ir.Constant(kind, ir.Undefined), left, ir.Constant(I32, 0))
        splat = b.shuffle_vector(splat, splat, ir.Constant(ir.VectorType(I32, lanes), [ir.Constant(I32, 0)] * lanes))
        return b.select(b.icmp_signed("<", index, splat), value, self.maths.number(0.0))

    # -- products ---------------------------------------------------------------------------------------------

    def _tiled(self) -> None:
        """For each group of blocks of units, for each tile of rows: the products, then the work on them."""
        b, lanes = self.b, self.of.lanes
        with b.goto_entry_block():
            self.buffer = b.alloca(self.of.vector, size=self.tile_rows * len(self.stage.sums) * self.blocks)
        rows = b.sub(self.end, self.first)
        per_panel = b.mul(self.hidden, self.constant(sum(len(s.entries) for s in self.segments) * lanes))
        panels = self.address(f"panels.{self.number}")
        with loop_over(b, self.constant(0), self.width, self.constant(self.blocks * lanes)) as unit:
            panel = b.gep(panels, [b.mul(b.sdiv(unit, self.constant(lanes)), per_panel)])
            self._row_tiles(rows, unit, panel, per_panel)

    def _row_tiles(self, rows: ir.Value, unit: ir.Value, panel: ir.Value, per_panel: ir.Value) -> None:
        """Share the rows out over tiles of nearly equal size, so that none is much smaller than it could be."""
        b, groups = self.b, len(self.stage.sums)
        most = self.constant(self.tile_rows)
        count = b.sdiv(b.add(rows, b.sub(most, self.constant(1))), most)
        with loop_over(b, self.constant(0), count) as tile:
            begin = b.add(self.first, b.sdiv(b.mul(tile, rows), count))
            stop = b.add(self.first, b.sdiv(b.mul(b.add(tile, self.constant(1)), rows), count))
            size = b.sub(stop, begin)
            self._products(begin, size, panel, per_panel)
            with loop_over(b, self.constant(0), size) as place, loop_over(b, *self._blocks()) as block:
                at = b.add(unit, b.mul(block, self.constant(self.of.lanes)))
                within = b.add(b.mul(place, self.constant(self.blocks)), block)
                self._work(at, b.add(begin, place), b.mul(within, self.constant(groups)))

    def _blocks(self) -> tuple[ir.Value, ir.Value]:
        return self.constant(0), self.constant(self.blocks)

    def _products(self, begin: ir.Value, size: ir.Value, panel: ir.Value, per_panel: ir.Value) -> None:
        """The sums of a tile, into the buffer: one call of a tile function for each operand."""
        b = self.b
        before = self.constant(0)
        operands = []
        for segment in self.segments:
            operands.append((*self._operand(segment.operand, begin), b.gep(panel, [before])))
            before = b.add(before, b.mul(self.hidden, self.constant(len(segment.entries) * self.of.lanes)))
        done = b.append_basic_block("tiled")
        switch = b.switch(size, done)
        for rows in range(1, self.tile_rows + 1):
            block = b.append_basic_block(f"rows_{rows}")
            switch.add_case(self.constant(rows), block)
            with b.goto_block(block):
                begun: set[int] = set()
                for segment, (operand, stride, weights) in zip(self.segments, operands, strict=True):
                    touched = tuple(entry[0] for entry in segment.entries)
                    function = self._tile(rows, touched, tuple(g for g in touched if g in begun))
                    b.call(function, [self.buffer, weights, per_panel, self.hidden, operand, stride])
                    begun |= set(touched)
                b.branch(done)
        b.position_at_end(done)

    def _tile(self, rows: int, touched: tuple[int, ...], begun: tuple[int, ...]) -> ir.Function:
        """tile(buffer, weights, panel size, H, operand, stride): the products of some rows with one operand.

        Args:
            rows: How many rows.
            touched: For each product of the segment, the place of its sum.
            begun: Those sums that other operands have begun; the others begin here.
        """
        of, groups = self.of, len(self.stage.sums)
        kind = (rows, self.blocks, groups, touched, begun)
        if kind in of.tiles:
            return of.tiles[kind]
        pointer = of.scalar.as_pointer()
        signature = ir.FunctionType(VOID, [of.vector.as_pointer(), pointer, I64, I64, pointer, I64])
        function = of.tiles[kind] = ir.Function(of.code, signature, f"tile_{len(of.tiles)}")
        function.linkage = "internal"
        b = ir.IRBuilder(function.append_basic_block())
        buffer, weights, per_panel, hidden, operand, stride = function.args
        starts = [b.gep(weights, [b.mul(per_panel, ir.Constant(I64, u))]) for u in range(self.blocks)]
        lines = [b.gep(operand, [b.mul(stride, ir.Constant(I64, r))]) for r in range(rows)]
        places = {
            (r, u, g): b.gep(buffer, [ir.Constant(I64, (r * self.blocks + u) * groups + g)])
            for r in range(rows)
            for u in range(self.blocks)
            for g in dict.fromkeys(touched)
        }
        zero = self.maths.number(0.0)
        sums = {key: b.load(place) if key[2] in begun else zero for key, place in places.items()}
        for key, value in self._inner(b, touched, starts, lines, hidden, sums).items():
            b.store(value, places[key])
        b.ret_void()
        return function

    def _inner(
        self,
        b: ir.IRBuilder,
        touched: Sequence[int],
        starts: Sequence[ir.Value],
        lines: Sequence[ir.Value],
        hidden: ir.Value,
        sums: dict[tuple[int, int, int], ir.Value],
    ) -> dict[tuple[int, int, int], ir.Value]:
        """The loop over the elements of one operand, its sums in registers."""
        of, lanes = self.of, self.of.lanes
        before, head, done = b.block, b.append_basic_block("k"), b.append_basic_block("k_done")
        b.branch(head)
        b.position_at_end(head)
        k = b.phi(I64)
        k.add_incoming(ir.Constant(I64, 0), before)
        running = {}
        for key, begin in sums.items():
            running[key] = b.phi(of.vector)
            running[key].add_incoming(begin, before)
        now: dict[tuple[int, int, int], ir.Value] = dict(running)
        spread = [self._broadcast(b, b.load(b.gep(line, [k]))) for line in lines]
        at = b.mul(k, ir.Constant(I64, len(touched) * lanes))
        for u, start in enumerate(starts):
            for e, g in enumerate(touched):
                place = b.gep(start, [b.add(at, ir.Constant(I64, e * lanes))])
                vector = b.load(b.bitcast(place, of.vector.as_pointer()), align=of.bytes)
                for r in range(len(lines)):
                    now[r, u, g] = self.maths.fma(b, spread[r], vector, now[r, u, g])
        following = b.add(k, ir.Constant(I64, 1))
        k.add_incoming(following, head)
        for key, phi in running.items():
            phi.add_incoming(now[key], head)
        b.cbranch(b.icmp_signed("<", following, hidden), head, done)
        b.position_at_end(done)
        return now

    def _operand(self, number: int, row: ir.Value) -> tuple[ir.Value, ir.Value]:
        """Where an operand's vector of a row begins, and how far it is to the next row's."""
        b = self.b
        operation = self.loop.operations[number]
        leaf = operation.leaf
        if leaf is not None and leaf.kind == "state":
            return b.gep(self.bases["ring", leaf.name, leaf.index], [b.mul(row, self.width)]), self.width
        if leaf is not None and leaf.kind == "saved":
            return self._packed("saved", self.of.counts["saved"], leaf.index, row)
        if number in self.of.stored:
            return self._packed(self.of.array, self.of.counts[self.of.array], self.of.stored[number], row)
        stride = b.mul(self.width, self.constant(len(self.loop.scratch)))
        begin = b.mul(self.width, self.constant(self.loop.scratch.index(number)))
        return b.gep(self.address("scratch"), [b.add(b.mul(row, stride), begin)]), stride

    def _packed(self, array: str, count: int, place: int, row: ir.Value) -> tuple[ir.Value, ir.Value]:
        b = self.b
        stride = b.mul(self.width, self.constant(count))
        begin = b.add(b.mul(b.add(self.packed, row), stride), b.mul(self.width, self.constant(place)))
        return b.gep(self.address(array), [begin]), stride

    def _broadcast(self, b: ir.IRBuilder, value: ir.Value) -> ir.Value:
        empty = ir.Constant(self.of.vector, ir.Undefined)
        single = b.insert_element(empty, value, ir.Constant(I32, 0))
        mask = ir.Constant(ir.VectorType(I32, self.of.lanes), [ir.Constant(I32, 0)] * self.of.lanes)
        return b.shuffle_vector(single, empty, mask)

    # -- elementwise work -------------------------------------------------------------------------------------

    def _work(self, unit: ir.Value, row: ir.Value, sums: ir.Value | None) -> None:
        """The operations and stores of the stage on one vector of units of one row."""
        b = self.b
        values: dict[int, ir.Value] = {}
        if sums is not None:
            for place, number in enumerate(self.stage.sums):
                values[number] = b.load(b.gep(self.buffer, [b.add(sums, self.constant(place))]))

        def value(number: int) -> ir.Value:
            if number not in values:
                values[number] = self._stored(number, unit, row)
            return values[number]

        for number in self.stage.work:
            operation = self.loop.operations[number]
            exponent = 0.0
            args = [value(a) for a in operation.args]
            if operation.function == "power":
                leaf = self.loop.operations[operation.args[1]].leaf
                assert leaf is not None
                exponent = leaf.number
            values[number] = self.maths.apply(b, operation.function, args, exponent)
        for store in self.stage.stores:
            self._store(store, value(store.operation), unit, row)

    def _load(self, pointer: ir.Value) -> ir.Value:
        return self.b.load(self.b.bitcast(pointer, self.of.vector.as_pointer()), align=self.of.bytes)

    def _stored(self, number: int, unit: ir.Value, row: ir.Value) -> ir.Value:
        """A vector of units of an operation that is in memory."""
        b = self.b
        operation = self.loop.operations[number]
        if operation.leaf is None:
            if operation.function == "mean":
                count = self.constant(len(self.of.means))
                place = b.add(b.mul(row, count), self.constant(self.of.means.index(number)))
                return self._broadcast(b, b.load(b.gep(self.address("means"), [place])))
            return self._load(b.gep(self._operand(number, row)[0], [unit]))
        return self._leaf(operation, number, unit, row)

    def _leaf(self, operation: Operation, number: int, unit: ir.Value, row: ir.Value) -> ir.Value:
        b, leaf = self.b, operation.leaf
        assert leaf is not None
        if leaf.kind == "number":
            return self.maths.number(leaf.number)
        if leaf.kind == "vector":
            begin = b.mul(self.width, self.constant(self.of.vectors.index(leaf.name)))
            return self._load(b.gep(self.address("vectors"), [b.add(begin, unit)]))
        if leaf.kind == "noise":
            return self._load(b.gep(self._packed(f"noise.{leaf.name}", 1, 0, row)[0], [unit]))
        if leaf.kind == "product":
            return self._load(b.gep(self._packed("products", self.of.counts["products"], leaf.index, row)[0], [unit]))
        if leaf.kind == "received":
            return self._received(leaf.name, unit, row)
        return self._load(b.gep(self._operand(number, row)[0], [unit]))

    def _received(self, name: str, unit: ir.Value, row: ir.Value) -> ir.Value:
        """dL/d(value): what later steps sent back, and for the output what the loss sends."""
        b = self.b
        total: ir.Value | None = None
        if name in self.of.states:
            place = b.add(b.mul(row, self.width), unit)
            total = self._load(b.gep(self.bases["ring", name, 0], [place]))
        if name == self.of.output:
            above = self._load(b.gep(self._packed("received", 1, 0, row)[0], [unit]))
            total = above if total is None else b.fadd(total, above)
        return self.maths.number(0.0) if total is None else total

    def _store(self, store: Store, value: ir.Value, unit: ir.Value, row: ir.Value) -> None:
        b = self.b

        def put(pointer: ir.Value, new: ir.Value) -> None:
            place = b.bitcast(b.gep(pointer, [unit]), self.of.vector.as_pointer())
            b.store(new, place, align=self.of.bytes)

        if store.kind == "state":
            put(b.gep(self.bases["ring", store.name, 0], [b.mul(row, self.width)]), value)
        elif store.kind == "output":
            put(self._packed("output", 1, 0, row)[0], value)
        elif store.kind == "saved":
            put(self._packed(self.of.array, self.of.counts[self.of.array], store.index, row)[0], value)
        elif store.kind == "scratch":
            if store.operation not in self.of.stored:
                put(self._operand(store.operation, row)[0], value)
        elif store.kind == "vector":
            of_thread = b.mul(self.thread, self.constant(len(self.of.vectors)))
            line = b.add(of_thread, self.constant(self.of.vectors.index(store.name)))
            pointer = b.gep(self.address("sums"), [b.mul(line, self.width)])
            put(pointer, b.fadd(self._load(b.gep(pointer, [unit])), value))
        else:
            size = self.of.states[store.name] + 1
            pointer = b.gep(self.bases["ring", store.name, size - store.index], [b.mul(row, self.width)])
            # What flows furthest back is the first to reach its step, and so begins the sum there.
            begins = store.index == size - 1
            put(pointer, value if begins else b.fadd(self._load(b.gep(pointer, [unit])), value))
