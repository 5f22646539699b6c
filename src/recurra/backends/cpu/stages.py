"""A stage of a loop as a function: the products of some units, and the elementwise work on them.

    stage(table, step, t, first row, end row, line of sums, place of products, first unit, end unit)
      for two vectors of units, for some rows:
        product                the sums of these rows and units, into a buffer
        work                   elementwise operations and stores, a vector at a time
"""

from __future__ import annotations

from typing import Protocol

from llvmlite import ir

from recurra.backends.cpu.building import constant, loop_over, smaller, spread
from recurra.backends.cpu.mathematics import I32, I64, Mathematics
from recurra.backends.plan import Loop, Operation, Stage, Store

__all__ = ["Context", "StageEmitter"]

ROWS = 48
"""How many rows' sums are kept in the buffer at a time."""


class Context(Protocol):
    """What a stage needs to know of the loop it is part of."""

    loop: Loop
    code: ir.Module
    maths: Mathematics
    states: dict[str, int]
    vectors: tuple[str, ...]
    counts: dict[str, int]
    output: str
    array: str
    lanes: int
    bytes: int
    means: list[int]
    stored: dict[int, int]

    def word(self, b: ir.IRBuilder, table: ir.Value, name: str) -> ir.Value:
        """A word of the table."""
        ...

    def call_product(self, b: ir.IRBuilder, table: ir.Value, arguments: list[ir.Value]) -> None:
        """Call the function `product`."""
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

    def body(self) -> None:
        """End the block where words of the table are read, which must be before any loop."""
        body = self.b.append_basic_block("body")
        self.b.branch(body)
        self.b.position_at_end(body)

    # -- rows that begin and end ------------------------------------------------------------------------------

    def carry(self, places: dict[str, tuple[str, int]], *, entering: bool) -> ir.Function:
        """carry(table, step, first row, end row): the caller's rows into the rings, or out of them.

        Args:
            places: For each carried row its state, and how many steps back it stands in the ring.
            entering: Whether rows go in.
        """
        b, lanes = self.b, constant(self.of.lanes)
        step, first, end = self.arguments
        hidden, width = self.word("hidden"), self.word("width")
        order = b.inttoptr(self.word("order"), I64.as_pointer())
        self.rings(step)
        for key in places:
            self.address(f"{'before' if entering else 'after'}.{key}")
        whole = b.sub(hidden, b.urem(hidden, lanes))
        self.body()
        for key, (name, back) in places.items():
            outside = self.address(f"{'before' if entering else 'after'}.{key}")
            with loop_over(b, first, end) as row:
                own = b.gep(self.bases[name, back], [b.mul(row, width)])
                other = b.gep(outside, [b.mul(b.load(b.gep(order, [row])), hidden)])
                to, from_ = (own, other) if entering else (other, own)
                with loop_over(b, constant(0), whole, lanes) as unit:
                    self.put(b.gep(to, [unit]), self.load(b.gep(from_, [unit])))
                with loop_over(b, whole, hidden) as unit:
                    b.store(b.load(b.gep(from_, [unit])), b.gep(to, [unit]))
                if entering:
                    with loop_over(b, hidden, width) as unit:
                        b.store(ir.Constant(self.maths.scalar, 0.0), b.gep(to, [unit]))
        b.ret_void()
        return self.function

    # -- a stage ------------------------------------------------------------------------------------------------

    def stage(self, number: int, stage: Stage) -> ir.Function:
        """The stage's function."""
        b, self.current = self.b, stage
        self.step, self.t, self.first, self.end, self.line, self.place, self.unit, self.end_unit = self.arguments
        offsets = b.inttoptr(self.word("offsets"), I64.as_pointer())
        self.packed = b.load(b.gep(offsets, [self.t]))
        self.width, self.hidden = self.word("width"), self.word("hidden")
        self.rings(self.step)
        self.body()
        self._means()
        if stage.sums:
            self._with_products(number)
        elif stage.work or stage.stores:
            units = loop_over(b, self.unit, self.end_unit, constant(self.of.lanes))
            with units as unit, loop_over(b, self.first, self.end) as row:
                self._work(unit, row, None)
        b.ret_void()
        return self.function

    def _means(self) -> None:
        """Each mean of the stage, over the units of every row."""
        b, lanes = self.b, self.of.lanes
        for number in self.current.means:
            with b.goto_entry_block():
                total = b.alloca(self.maths.vector)
            (averaged,) = self.loop.operations[number].args
            with loop_over(b, self.first, self.end) as row:
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
        """For two vectors of units and some rows at a time: the sums, then the work on them."""
        b, lanes = self.b, self.of.lanes
        groups = len(self.current.sums)
        line = constant(groups * 2 * lanes)
        with b.goto_entry_block():
            self.buffer = b.bitcast(
                b.alloca(self.maths.vector, size=ROWS * groups * 2), self.maths.scalar.as_pointer()
            )
        with loop_over(b, self.unit, self.end_unit, constant(2 * lanes)) as unit:
            left = smaller(b, constant(2 * lanes), b.sub(self.width, unit))
            vectors = b.sdiv(left, constant(lanes))
            with loop_over(b, self.first, self.end, constant(ROWS)) as begin:
                rows = smaller(b, constant(ROWS), b.sub(self.end, begin))
                for place, operation in enumerate(self.current.sums):
                    self._sum(number, place, operation, begin, rows, line, unit, vectors)
                with loop_over(b, constant(0), rows) as row, loop_over(b, constant(0), left, constant(lanes)) as within:
                    at = b.add(b.mul(row, line), within)
                    self._work(b.add(unit, within), b.add(begin, row), at)

    def _sum(
        self,
        number: int,
        place: int,
        operation: int,
        begin: ir.Value,
        rows: ir.Value,
        line: ir.Value,
        unit: ir.Value,
        vectors: ir.Value,
    ) -> None:
        """The products of one sum, added up in the buffer."""
        b = self.b
        total = self.loop.operations[operation].sum
        assert total is not None
        out = b.gep(self.buffer, [constant(place * 2 * self.of.lanes)])
        index = b.inttoptr(self.word("index"), I64.as_pointer())
        for term, product in enumerate(total.terms):
            base, stride = self._operand(product.operand, begin)
            panel = b.gep(self.address(f"panel.{number}.{place}.{term}"), [b.mul(unit, self.hidden)])
            fresh = constant(int(term == 0))
            self.of.call_product(
                b, self.word("product"), [out, line, fresh, rows, index, base, stride, self.hidden, panel, vectors]
            )

    def _operand(self, number: int, row: ir.Value) -> tuple[ir.Value, ir.Value]:
        """Where an operand's vector of a row begins, and how far it is to the next row's."""
        b = self.b
        leaf = self.loop.operations[number].leaf
        if leaf is not None and leaf.kind == "state":
            return b.gep(self.bases[leaf.name, leaf.index], [b.mul(row, self.width)]), self.width
        if leaf is not None and leaf.kind == "saved":
            return self._packed("saved", self.of.counts["saved"], leaf.index, row)
        if number in self.of.stored:
            return self._packed(self.of.array, self.of.counts[self.of.array], self.of.stored[number], row)
        stride = b.mul(self.width, constant(len(self.loop.scratch)))
        begin = b.mul(self.width, constant(self.loop.scratch.index(number)))
        return b.gep(self.address("scratch"), [b.add(b.mul(row, stride), begin)]), stride

    def _packed(self, array: str, count: int, place: int, row: ir.Value) -> tuple[ir.Value, ir.Value]:
        b = self.b
        stride = b.mul(self.width, constant(count))
        begin = b.add(b.mul(b.add(self.packed, row), stride), b.mul(self.width, constant(place)))
        return b.gep(self.address(array), [begin]), stride

    # -- elementwise work -------------------------------------------------------------------------------------

    def _work(self, unit: ir.Value, row: ir.Value, sums: ir.Value | None) -> None:
        """The operations and stores of the stage on one vector of units of one row."""
        b, lanes = self.b, self.of.lanes
        values: dict[int, ir.Value] = {}
        if sums is not None:
            for place, number in enumerate(self.current.sums):
                values[number] = self.load(b.gep(self.buffer, [b.add(sums, constant(place * 2 * lanes))]))

        def value(number: int) -> ir.Value:
            if number not in values:
                values[number] = self._stored(number, unit, row)
            return values[number]

        for number in self.current.work:
            operation = self.loop.operations[number]
            exponent = 0.0
            args = [value(a) for a in operation.args]
            if operation.function == "power":
                leaf = self.loop.operations[operation.args[1]].leaf
                assert leaf is not None
                exponent = leaf.number
            values[number] = self.maths.apply(b, operation.function, args, exponent)
        for store in self.current.stores:
            self._store(store, value(store.operation), unit, row)

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
            begin = b.mul(self.width, constant(self.of.vectors.index(leaf.name)))
            return self.load(b.gep(self.address("vectors"), [b.add(begin, unit)]))
        if leaf.kind == "noise":
            return self.load(b.gep(self._packed(f"noise.{leaf.name}", 1, 0, row)[0], [unit]))
        if leaf.kind == "product":
            line = b.mul(b.add(self.place, row), b.mul(self.width, constant(len(self.loop.products))))
            begin = b.mul(self.width, constant(self.loop.products.index(leaf.index)))
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
            above = self.load(b.gep(self._packed("received", 1, 0, row)[0], [unit]))
            total = above if total is None else b.fadd(total, above)
        return self.maths.number(0.0) if total is None else total

    def _store(self, store: Store, value: ir.Value, unit: ir.Value, row: ir.Value) -> None:
        b = self.b
        if store.kind == "state":
            self.put(b.gep(self.bases[store.name, 0], [b.add(b.mul(row, self.width), unit)]), value)
        elif store.kind == "output":
            self.put(b.gep(self._packed("output", 1, 0, row)[0], [unit]), value)
        elif store.kind == "saved":
            own, _ = self._packed(self.of.array, self.of.counts[self.of.array], store.index, row)
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
