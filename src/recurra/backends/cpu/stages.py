"""A stage of a loop as a function: the products of some units, and the elementwise work on them.

For some vectors of units and some rows at a time the products are added up in a buffer, by `product` of `products`;
then come the elementwise operations and the stores, a vector at a time. What enters and leaves the rings of states is
here as well.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from llvmlite import ir

from recurra.backends.cpu.building import call_own, constant, larger, loop_over, smaller, spread
from recurra.backends.cpu.mathematics import I32, I64, Mathematics
from recurra.backends.cpu.parts import parts_of
from recurra.backends.plan import SLOW, Loop, Operation, Stage, Store, Term

__all__ = ["Context", "StageEmitter", "on_parts"]

ROWS = 48
"""How many rows' sums are kept in the buffer at a time."""

ROWS_OF_PARTS = 32
"""The same where they are products of parts: two tiles."""

SIDE_BY_SIDE = 16
"""How many rows, of two vectors of units each, elementwise work is done on at a time."""


def on_parts(b: ir.IRBuilder, word: Callable[[str], ir.Value], rows: ir.Value) -> ir.Value:
    """Whether products in the loop of so many rows are done on parts.

    Args:
        b: Where it is written.
        word: Gives a word of the table.
        rows: How many rows there are.
    """
    return b.and_(b.icmp_signed("!=", word("split"), constant(0)), b.icmp_signed(">=", rows, word("few")))


class Context(Protocol):
    """What a stage needs to know of the loop it is part of."""

    loop: Loop
    code: ir.Module
    maths: Mathematics
    states: dict[str, int]
    vectors: tuple[str, ...]
    counts: dict[str, int]
    output: str
    lanes: int
    bytes: int
    means: list[int]
    stored: dict[int, int]
    parts: bool

    def word(self, b: ir.IRBuilder, table: ir.Value, name: str) -> ir.Value:
        """A word of the table."""
        ...

    def kept(self, place: int) -> tuple[str, int]:
        """The array that takes what the loop keeps, and the place in it."""
        ...

    def call_product(self, b: ir.IRBuilder, table: ir.Value, arguments: list[ir.Value]) -> None:
        """Call the function `product`."""
        ...

    def call_split(self, b: ir.IRBuilder, table: ir.Value, arguments: list[ir.Value]) -> None:
        """Call the function `split`."""
        ...


class StageEmitter:
    """One stage, or what enters and leaves its rings."""

    def __init__(self, of: Context, name: str, arguments: int) -> None:
        self.of, self.loop, self.maths = of, of.loop, of.maths
        kind = ir.FunctionType(ir.VoidType(), [I64.as_pointer(), *[I64] * arguments])
        self.function = ir.Function(of.code, kind, name)
        self.function.linkage = "internal"
        self.b = ir.IRBuilder(self.function.append_basic_block())
        self.table, *self.arguments = self.function.args
        self.words: dict[str, ir.Value] = {}
        self.bases: dict[tuple[str, int], ir.Value] = {}

    def word(self, name: str) -> ir.Value:
        """A word of the table, read once at the beginning of the function."""
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
                self.words[key] = self.b.inttoptr(word, self.maths.scalar.as_pointer())
        return self.words[key]

    def rings(self, step: ir.Value) -> None:
        """Where each row of the rings begins: it holds one more than the furthest lag, and they move round."""
        b = self.b
        for name, lag in self.of.states.items():
            size = lag + 1
            for back in range(size):
                place = b.urem(b.add(step, constant(size - back if back else 0)), constant(size))
                whole = b.mul(b.mul(place, self.word("rows")), self.word("width"))
                self.bases[name, back] = b.gep(self.address(f"ring.{name}"), [whole])

    def row(self, number: ir.Value) -> ir.Value:
        """Which row of the batch one of this thread's rows is."""
        return self.b.add(self.origin, self.b.mul(number, self.apart))

    def body(self) -> None:
        """End the block where words of the table are read, which must be before any loop."""
        body = self.b.append_basic_block("body")
        self.b.branch(body)
        self.b.position_at_end(body)

    # -- rows that begin and end ------------------------------------------------------------------------------

    def carry(self, places: dict[str, tuple[str, int]], *, entering: bool) -> ir.Function:
        """What moves the caller's rows into the rings, or out of them, given (table, step, origin, first row, end row).

        Args:
            places: For each carried row its state, and how many steps back it stands in the ring.
            entering: Whether rows go in.
        """
        b = self.b
        step, self.origin, first, end = self.arguments
        self.apart = self.word("rows.apart")
        hidden, width = self.word("hidden"), self.word("width")
        order = b.inttoptr(self.word("order"), I64.as_pointer())
        self.rings(step)
        for key in places:
            self.address(f"{'before' if entering else 'after'}.{key}")
        self.body()
        for key, (name, back) in places.items():
            outside = self.address(f"{'before' if entering else 'after'}.{key}")
            with loop_over(b, first, end) as number:
                row = self.row(number)
                own = b.gep(self.bases[name, back], [b.mul(row, width)])
                other = b.gep(outside, [b.mul(b.load(b.gep(order, [row])), hidden)])
                to, from_ = (own, other) if entering else (other, own)
                call_own(b, "move", self._move, [to, from_, hidden, width if entering else hidden])
        b.ret_void()
        return self.function

    def _move(self, b: ir.IRBuilder, to: ir.Value, from_: ir.Value, count: ir.Value, end: ir.Value) -> None:
        """Some numbers from one place to another, and zeros after them up to the end."""
        lanes, vector = constant(self.of.lanes), self.maths.vector.as_pointer()
        whole = b.sub(count, b.urem(count, lanes))
        with loop_over(b, constant(0), whole, lanes) as unit:
            own, other = (b.bitcast(b.gep(place, [unit]), vector) for place in (to, from_))
            b.store(b.load(other, align=self.of.bytes), own, align=self.of.bytes)
        with loop_over(b, whole, count) as unit:
            b.store(b.load(b.gep(from_, [unit])), b.gep(to, [unit]))
        with loop_over(b, count, end) as unit:
            b.store(ir.Constant(self.maths.scalar, 0.0), b.gep(to, [unit]))

    # -- a stage ------------------------------------------------------------------------------------------------

    def stage(self, number: int, stage: Stage) -> ir.Function:
        """What runs the stage, given (table, step, t, origin, rows, line of sums, place of products, units, parts).

        The rows are so many of the batch from the origin on. The last is the address where the parts of what products
        read are, if these work on parts.
        """
        b = self.b
        self._begin(stage)
        self._means()
        if stage.sums:
            self._with_products(number)
        elif stage.work or stage.stores:
            wide = constant(2 * self.of.lanes)
            with loop_over(b, self.unit, self.end_unit, wide) as unit:
                end = smaller(b, self.end_unit, b.add(unit, wide))
                self._elementwise(constant(0), self.rows, unit, end, None)
        b.ret_void()
        return self.function

    def split(self, stage: Stage) -> ir.Function:
        """What makes parts of all that the stage's products read, given the same."""
        b = self.b
        self._begin(stage)
        index, rows = b.inttoptr(self.word("index"), I64.as_pointer()), self.rows
        split, to = self.word("split"), b.inttoptr(self.own_parts, self.maths.scalar.as_pointer())
        for operand in self._operands():
            base, stride = self._operand(operand, self.origin)
            stride = b.mul(stride, self.apart)
            self.of.call_split(b, split, [rows, index, base, stride, self.hidden, to])
            to = b.gep(to, [parts_of(b, rows, self.hidden)])
        b.ret_void()
        return self.function

    def _operands(self) -> tuple[int, ...]:
        """What the products of the stage read, each once."""
        sums = [total for place in self.current.sums if (total := self.loop.operations[place].sum)]
        return tuple(dict.fromkeys(term.operand for total in sums for term in total.terms))

    def _begin(self, stage: Stage) -> None:
        b, self.current = self.b, stage
        self.step, self.t, self.origin, self.rows, self.line, self.place, self.unit, self.end_unit, self.own_parts = (
            self.arguments
        )
        self.apart = self.word("rows.apart")
        offsets = b.inttoptr(self.word("offsets"), I64.as_pointer())
        self.packed = b.load(b.gep(offsets, [self.t]))
        self.order = b.inttoptr(self.word("order"), I64.as_pointer())
        self.begin_of_step = b.mul(self.t, self.word("rows"))
        self.width, self.hidden = self.word("width"), self.word("hidden")
        if self.of.parts:
            self.splits = on_parts(b, self.word, self.rows)
        self.rings(self.step)
        self.body()

    def _means(self) -> None:
        """Each mean of the stage, over the units of every row."""
        b, lanes = self.b, self.of.lanes
        for number in self.current.means:
            with b.goto_entry_block():
                total = b.alloca(self.maths.vector)
            (averaged,) = self.loop.operations[number].args
            with loop_over(b, constant(0), self.rows) as own:
                self.number, row = own, self.row(own)
                b.store(self.maths.number(0.0), total)
                with loop_over(b, constant(0), self.width, constant(lanes)) as unit:
                    value = self._stored(averaged, unit, row)
                    b.store(b.fadd(b.load(total), self._masked(value, unit)), total)
                sum_ = ir.Constant(self.maths.scalar, 0.0)
                whole = b.load(total)
                for lane in range(lanes):
                    sum_ = b.fadd(sum_, b.extract_element(whole, ir.Constant(I32, lane)))
                count = b.sitofp(self.hidden, self.maths.scalar)
                place = b.add(b.mul(row, constant(len(self.of.means))), constant(self.of.means.index(number)))
                b.store(b.fdiv(sum_, count), b.gep(self.address("means"), [place]))

    def _masked(self, value: ir.Value, unit: ir.Value) -> ir.Value:
        """A vector of units with zero past the last one."""
        b, lanes = self.b, self.of.lanes
        kind = ir.VectorType(I64, lanes)
        index = ir.Constant(kind, [ir.Constant(I64, lane) for lane in range(lanes)])
        left = spread(b, b.sub(self.hidden, unit), lanes)
        return b.select(b.icmp_signed("<", index, left), value, self.maths.number(0.0))

    def _with_products(self, number: int) -> None:
        """For some vectors of units and some rows at a time: the sums, then the work on them.

        Where rows are few, more units are taken at once, so that there is always enough work side by side.
        """
        b, lanes = self.b, self.of.lanes
        groups = len(self.current.sums)
        line, wide = constant(groups * 2 * lanes), constant(2 * lanes)
        with b.goto_entry_block():
            vectors = b.alloca(self.maths.vector, size=ROWS * groups * 2)
            self.buffer = b.bitcast(vectors, self.maths.scalar.as_pointer())
        running = larger(b, constant(1), self.rows)
        most = b.select(self.splits, constant(ROWS_OF_PARTS), constant(ROWS)) if self.of.parts else constant(ROWS)
        blocks = larger(b, constant(1), b.sdiv(constant(SIDE_BY_SIDE), running))
        with loop_over(b, self.unit, self.end_unit, b.mul(blocks, wide)) as unit:
            end = smaller(b, self.end_unit, b.add(unit, b.mul(blocks, wide)))
            with loop_over(b, constant(0), self.rows, most) as begin:
                rows = smaller(b, most, b.sub(self.rows, begin))
                count = b.sdiv(b.add(b.sub(end, unit), constant(2 * lanes - 1)), wide)
                self._sums(number, begin, rows, unit, count)
                self._elementwise(begin, rows, unit, end, line)

    def _elementwise(
        self, begin: ir.Value, rows: ir.Value, unit: ir.Value, end: ir.Value, line: ir.Value | None
    ) -> None:
        """The work on some rows and units, in passes.

        A function such as tanh takes long from its argument to its value, but many can be under way at once. So what
        waits for such a value is left to another pass over the same few rows, with what it reads in between in memory.
        """
        b, lanes = self.b, self.of.lanes
        wide = constant(2 * lanes)
        passes = self._passes()
        self.first_pass = passes[0]
        self.crossing = self._crossing(passes)
        if self.crossing:
            with b.goto_entry_block():
                size = SIDE_BY_SIDE * 2 * len(self.crossing)
                self.between = b.bitcast(b.alloca(self.maths.vector, size=size), self.maths.scalar.as_pointer())
        with loop_over(b, constant(0), rows, constant(SIDE_BY_SIDE)) as first:
            count = smaller(b, constant(SIDE_BY_SIDE), b.sub(rows, first))
            for work in passes:
                with loop_over(b, unit, end, wide) as own:
                    left = smaller(b, wide, b.sub(self.width, own))
                    block = b.sdiv(b.sub(own, unit), wide)
                    with loop_over(b, constant(0), left, constant(lanes)) as v, loop_over(b, constant(0), count) as row:
                        at = b.add(first, row)
                        sums = b.add(b.mul(b.add(b.mul(block, rows), at), line), v) if line else None
                        place = b.add(b.mul(b.add(b.mul(block, count), row), wide), v)
                        self.number = b.add(begin, at)
                        self._work(work, b.add(own, v), self.row(self.number), sums, place)

    def _passes(self) -> list[tuple[int, ...]]:
        """The operations of the stage, by how many slow functions lie one behind the other on the way to them."""
        depth: dict[int, int] = {}
        for number in self.current.work:
            operation = self.loop.operations[number]
            behind = max((depth.get(a, 0) for a in operation.args), default=0)
            depth[number] = behind + (operation.function in SLOW)
        found = [
            tuple(n for n in self.current.work if max(depth[n], 1) == at)
            for at in range(1, max([1, *depth.values()]) + 1)
        ]
        return found or [()]

    def _crossing(self, passes: list[tuple[int, ...]]) -> tuple[int, ...]:
        """The operations that later passes read."""
        at = {number: place for place, work in enumerate(passes) for number in work}
        found = {
            a for number, place in at.items() for a in self.loop.operations[number].args if a in at and at[a] < place
        }
        return tuple(sorted(found))

    def _sums(self, number: int, begin: ir.Value, rows: ir.Value, unit: ir.Value, count: ir.Value) -> None:
        """The products of every sum, added up in the buffer, for `count` panels of units."""
        b, wide = self.b, constant(2 * self.of.lanes)
        index = b.inttoptr(self.word("index"), I64.as_pointer())
        sums = [total.terms for place in self.current.sums if (total := self.loop.operations[place].sum)]
        # The panels of a stage lie in the order of its sums and their terms, for one panel of units after the other.
        apart, line = constant(sum(map(len, sums))), constant(2 * self.of.lanes * len(sums))
        panels, depth, multiply = self._panels(number, apart)
        size = b.mul(wide, depth)
        panels = b.gep(panels, [b.mul(b.mul(unit, depth), apart)])
        across = b.mul(size, apart), b.mul(rows, line)  # from a panel of units to the next, and its sums

        def product(term: Term, fresh: bool, panel: ir.Value, out: ir.Value, *several: ir.Value) -> None:
            base, stride = self._operand(term.operand, self.row(begin))
            if self.of.parts:
                base = b.select(self.splits, self._parts(term.operand, begin), base)
            rest = [index, base, b.mul(stride, self.apart), self.hidden, b.gep(panels, [panel]), *several]
            out = b.gep(self.buffer, [out])
            self.of.call_product(b, multiply, [out, line, constant(int(fresh)), rows, *rest])

        operands = {tuple(term.operand for term in terms) for terms in sums}
        if len(sums) > 1 and len(operands) == 1 and len(sums[0]) == 1:
            turns, further, each, *steps = self._together(rows, count, apart, size, across)
            begins, steps = self._to_and_fro(rows, each, steps)
            with loop_over(b, constant(0), turns) as turn:
                panel, out = (b.add(b.mul(turn, far), begin) for far, begin in zip(further, begins, strict=True))
                product(sums[0][0], True, panel, out, each, *steps)
            return
        places = [(place, number, term) for place, terms in enumerate(sums) for number, term in enumerate(terms)]
        for panel, (place, number, term) in enumerate(places):
            product(term, number == 0, b.mul(size, constant(panel)), b.mul(wide, constant(place)), count, *across)

    def _together(
        self, rows: ir.Value, count: ir.Value, apart: ir.Value, size: ir.Value, across: tuple[ir.Value, ir.Value]
    ) -> tuple[ir.Value, tuple[ir.Value, ir.Value], ir.Value, ir.Value, ir.Value]:
        """How sums that read the same operand are multiplied together, since they lie side by side, as their panels do.

        Of a single row all in one product. On parts those of a panel of each, for these stay in the nearest cache; else
        those of one sum.

        Returns:
            How many products there are, how far it is from the panels of one to the next's and from its sums, and for
            each how many panels it has, how far these are apart and their sums.
        """
        b, one, wide = self.b, constant(1), constant(2 * self.of.lanes)
        single = (one, size, wide, b.mul(count, apart), size, wide)
        found = (apart, size, wide, count, *across)
        found = tuple(b.select(b.icmp_signed("==", rows, one), x, y) for x, y in zip(single, found, strict=True))
        if self.of.parts:
            parts = (count, *across, apart, size, wide)
            found = tuple(b.select(self.splits, x, y) for x, y in zip(parts, found, strict=True))
        turns, panel, out, panels, panel_step, out_step = found
        return turns, (panel, out), panels, panel_step, out_step

    def _to_and_fro(
        self, rows: ir.Value, panels: ir.Value, steps: list[ir.Value]
    ) -> tuple[list[ir.Value], list[ir.Value]]:
        """The panels of a single row in their order at one step, and from the last to the first at the next.

        Then those are read first that the step before has read last, and that its caches still hold. With more rows
        there is more to do for each panel than to read it.

        Returns:
            How far it is to where the first panel begins, and its sums, and from each to the next.
        """
        b = self.b
        back = b.and_(b.icmp_signed("==", rows, constant(1)), b.trunc(self.step, ir.IntType(1)))
        first = b.select(back, b.sub(panels, constant(1)), constant(0))
        return [b.mul(first, step) for step in steps], [b.select(back, b.neg(step), step) for step in steps]

    def _panels(self, number: int, apart: ir.Value) -> tuple[ir.Value, ir.Value, ir.Value]:
        """Where the panels of a stage begin, how many numbers each unit of them has, and what multiplies them."""
        b = self.b
        panels, depth, multiply = self.address(f"panels.{number}"), self.word("depth"), self.word("product")
        if not self.of.parts:
            return panels, depth, multiply
        # Panels of numbers lie behind those of parts, if there are both.
        size = b.mul(b.mul(self.word("padded"), depth), apart)
        parts_too = b.icmp_signed("!=", self.word("split"), constant(0))
        behind = b.gep(panels, [b.select(parts_too, size, constant(0))])
        found = ((panels, behind), (depth, self.hidden), (self.word("product.parts"), multiply))
        return tuple(b.select(self.splits, parts, numbers) for parts, numbers in found)

    def _parts(self, number: int, begin: ir.Value) -> ir.Value:
        """Where the parts of an operand begin, from one of the rows on that is the first of a tile."""
        b = self.b
        whole, before = (parts_of(b, rows, self.hidden) for rows in (self.rows, begin))
        at = b.add(b.mul(whole, constant(self._operands().index(number))), before)
        return b.gep(b.inttoptr(self.own_parts, self.maths.scalar.as_pointer()), [at])

    def _operand(self, number: int, row: ir.Value) -> tuple[ir.Value, ir.Value]:
        """Where an operand's vector of a row begins, and how far it is to the next row's."""
        b = self.b
        leaf = self.loop.operations[number].leaf
        if leaf is not None and leaf.kind == "state":
            return b.gep(self.bases[leaf.name, leaf.index], [b.mul(row, self.width)]), self.width
        if leaf is not None and leaf.kind == "saved":
            return self._packed("saved", self.of.counts["saved"], leaf.index, row)
        if number in self.of.stored:
            return self._kept(self.of.stored[number], row)
        stride = b.mul(self.width, constant(len(self.loop.scratch)))
        begin = b.mul(self.width, constant(self.loop.scratch.index(number)))
        return b.gep(self.address("scratch"), [b.add(b.mul(row, stride), begin)]), stride

    def _packed(self, array: str, count: int, place: int, row: ir.Value) -> tuple[ir.Value, ir.Value]:
        b = self.b
        stride = b.mul(self.width, constant(count))
        begin = b.add(b.mul(b.add(self.packed, row), stride), b.mul(self.width, constant(place)))
        return b.gep(self.address(array), [begin]), stride

    def _placed(self, array: str, row: ir.Value) -> ir.Value:
        """Where a row's vector begins in an array that is laid out as the caller's batch."""
        b = self.b
        place = b.add(self.begin_of_step, b.load(b.gep(self.order, [row])))
        return b.gep(self.address(array), [b.mul(place, self.width)])

    def _kept(self, place: int, row: ir.Value) -> tuple[ir.Value, ir.Value]:
        """Where a value that the loop keeps has its place, likewise."""
        array, at = self.of.kept(place)
        return self._packed(array, self.of.counts[array], at, row)

    # -- elementwise work -------------------------------------------------------------------------------------

    def _work(
        self, work: tuple[int, ...], unit: ir.Value, row: ir.Value, sums: ir.Value | None, place: ir.Value
    ) -> None:
        """The operations of one pass on one vector of units of one row, and the stores of what they compute."""
        b, lanes = self.b, self.of.lanes
        values: dict[int, ir.Value] = {}
        own = set(work)

        def value(number: int) -> ir.Value:
            if number not in values:
                if number in self.current.sums:
                    after = constant(self.current.sums.index(number) * 2 * lanes)
                    values[number] = self.load(b.gep(self.buffer, [b.add(sums, after)]))
                elif number in self.crossing and number not in own:
                    values[number] = self.load(self._between(number, place))
                else:
                    values[number] = self._stored(number, unit, row)
            return values[number]

        for number in work:
            operation = self.loop.operations[number]
            exponent = 0.0
            args = [value(a) for a in operation.args]
            if operation.function == "power":
                leaf = self.loop.operations[operation.args[1]].leaf
                assert leaf is not None
                exponent = leaf.number
            values[number] = self.maths.apply(b, operation.function, args, exponent)
            if number in self.crossing:
                self.put(self._between(number, place), values[number])
        first = work == self.first_pass
        for store in self.current.stores:
            if store.operation in own or (first and store.operation not in self.current.work):
                self._store(store, value(store.operation), unit, row)

    def _between(self, number: int, place: ir.Value) -> ir.Value:
        """Where a value that a later pass reads is kept: a row of vectors a value."""
        size = constant(SIDE_BY_SIDE * 2 * self.of.lanes * self.crossing.index(number))
        return self.b.gep(self.between, [self.b.add(size, place)])

    def load(self, pointer: ir.Value) -> ir.Value:
        """A vector from memory."""
        return self.b.load(self.b.bitcast(pointer, self.maths.vector.as_pointer()), align=self.of.bytes)

    def put(self, pointer: ir.Value, value: ir.Value) -> None:
        """A vector into memory."""
        self.b.store(value, self.b.bitcast(pointer, self.maths.vector.as_pointer()), align=self.of.bytes)

    def _stored(self, number: int, unit: ir.Value, row: ir.Value) -> ir.Value:
        """A vector of units of an operation that is in memory."""
        b = self.b
        operation = self.loop.operations[number]
        if operation.leaf is None:
            if operation.function == "mean":
                place = b.add(b.mul(row, constant(len(self.of.means))), constant(self.of.means.index(number)))
                return spread(b, b.load(b.gep(self.address("means"), [place])), self.of.lanes)
            return self.load(b.gep(self._operand(number, row)[0], [unit]))
        return self._leaf(operation, number, unit, row)

    def _leaf(self, operation: Operation, number: int, unit: ir.Value, row: ir.Value) -> ir.Value:
        b, leaf = self.b, operation.leaf
        assert leaf is not None
        if leaf.kind == "number":
            return self.maths.number(leaf.number)
        if leaf.kind == "vector":
            begin = b.mul(self.word("padded"), constant(self.of.vectors.index(leaf.name)))
            return self.load(b.gep(self.address("vectors"), [b.add(begin, unit)]))
        if leaf.kind == "noise":
            return self.load(b.gep(self._packed(f"noise.{leaf.name}", 1, 0, row)[0], [unit]))
        if leaf.kind == "product":
            wide = self.word("padded")
            line = b.mul(b.add(self.place, self.number), b.mul(wide, constant(len(self.loop.products))))
            begin = b.mul(wide, constant(self.loop.products.index(leaf.index)))
            return self.load(b.gep(self.address("products"), [b.add(b.add(line, begin), unit)]))
        if leaf.kind == "received":
            return self._received(leaf.name, unit, row)
        return self.load(b.gep(self._operand(number, row)[0], [unit]))

    def _received(self, name: str, unit: ir.Value, row: ir.Value) -> ir.Value:
        """dL/d(value): what later steps sent back, and for the output what the loss sends."""
        b = self.b
        total: ir.Value | None = None
        if name in self.of.states:
            total = self.load(b.gep(self.bases[name, 0], [b.add(b.mul(row, self.width), unit)]))
        if name == self.of.output:
            above = self.load(b.gep(self._placed("received", row), [unit]))
            total = above if total is None else b.fadd(total, above)
        return self.maths.number(0.0) if total is None else total

    def _store(self, store: Store, value: ir.Value, unit: ir.Value, row: ir.Value) -> None:
        b = self.b
        if store.kind == "state":
            self.put(b.gep(self.bases[store.name, 0], [b.add(b.mul(row, self.width), unit)]), value)
        elif store.kind == "output":
            self.put(b.gep(self._placed("output", row), [unit]), value)
        elif store.kind == "saved":
            own, _ = self._kept(store.index, row)
            self.put(b.gep(own, [unit]), value)
        elif store.kind == "scratch":
            if store.operation not in self.of.stored:
                self.put(b.gep(self._operand(store.operation, row)[0], [unit]), value)
        elif store.kind == "vector":
            line = b.add(b.mul(self.line, constant(len(self.of.vectors))), constant(self.of.vectors.index(store.name)))
            pointer = b.gep(self.address("sums"), [b.add(b.mul(line, self.width), unit)])
            self.put(pointer, b.fadd(self.load(pointer), value))
        else:
            size = self.of.states[store.name] + 1
            place = b.add(b.mul(row, self.width), unit)
            pointer = b.gep(self.bases[store.name, size - store.index], [place])
            # What flows furthest back is the first to reach its step, and so begins the sum there.
            begins = store.index == size - 1
            self.put(pointer, value if begins else b.fadd(self.load(pointer), value))
