"""Tiles, the innermost part of every product of matrices, as LLVM IR, and `product`, which cuts its work into them.

    product(out, ..., rows, ..., K, panel, ...)  out += rows of A times panels of weights
      tile                                         a few rows, their sums in registers

A *panel* holds the weights of two vectors of units in the order they are read: for each k the weights of those units,
zeros where there are fewer. A tile reads a panel once and keeps one sum a row and vector in registers; a panel is
worked on in pieces that stay in a cache while all rows pass, the nearest where tiles have but a few rows. Where there
are but one or two rows, a tile takes several panels side by side.

Goto and van de Geijn, "Anatomy of high-performance matrix multiplication", ACM TOMS 2008.
"""

from __future__ import annotations

from llvmlite import ir

from recurra.backends.cpu.building import call_own, constant, loop_over, smaller, spread, transposed
from recurra.backends.cpu.mathematics import I32, I64, Mathematics, declared
from recurra.backends.cpu.target import Target

__all__ = ["SINGLE", "VOID", "TileEmitter", "block_length", "tile_rows"]

NEAREST_CACHE = 16384
"""Half of the smallest nearest cache there is, in bytes."""

SECOND_CACHE = 65536
"""A small part of the smallest second cache there is, in bytes."""

MANY = 8
"""A tile of so many rows reads a panel slowly enough for the second cache to keep up. None has more: where there are
registers for 14 rows, larger ones were no faster, and compiling them took 0.15 s."""

FEW = 4
"""Rows times panels of a tile that has fewer rows: as many sums as it takes to hide how long a multiply-add takes."""

VOID = ir.VoidType()

SINGLE = [constant(1), constant(0), constant(0)]
"""The last arguments of `product` for one panel."""


def tile_rows(registers: int) -> int:
    """How many rows a tile has at most: two sums each, beside the weights and one number spread over a vector.

    Example:
        >>> tile_rows(16), tile_rows(32)
        (6, 8)
    """
    return min(MANY, (registers - 3) // 2)


def block_length(target: Target) -> int:
    """How many k of a panel are worked on at a time."""
    near = SECOND_CACHE if tile_rows(target.registers) >= MANY else NEAREST_CACHE
    return near // (2 * target.vector_bytes)


class TileEmitter:
    """Emits tiles and `product` into a module.

    Args:
        target: The processor.
        double: Whether numbers are float64; else float32.
    """

    def __init__(self, target: Target, double: bool) -> None:
        self.bytes = 8 if double else 4
        self.lanes = target.vector_bytes // self.bytes
        self.rows, self.block = tile_rows(target.registers), block_length(target)
        self.code = ir.Module("products")
        self.code.triple = target.triple
        self.maths = Mathematics(self.code, self.lanes, double)
        self.scalar, self.vector = self.maths.scalar, self.maths.vector
        self.pointer = self.scalar.as_pointer()
        self.words = I64.as_pointer()

    def load(self, b: ir.IRBuilder, pointer: ir.Value) -> ir.Value:
        """A vector from memory."""
        return b.load(b.bitcast(pointer, self.vector.as_pointer()), align=self.bytes)

    def store(self, b: ir.IRBuilder, value: ir.Value, pointer: ir.Value) -> None:
        """A vector into memory."""
        b.store(value, b.bitcast(pointer, self.vector.as_pointer()), align=self.bytes)

    def fetch(self, b: ir.IRBuilder, place: ir.Value, numbers: int) -> None:
        """Have brought near what is read soon; where there is no such memory, nothing happens."""
        name = "llvm.prefetch.p0"
        kind = ir.FunctionType(VOID, [self.pointer, I32, I32, I32])
        prefetch = declared(self.code, name, kind)
        for line in range(0, numbers * self.bytes, 64):
            at = b.gep(place, [constant(line // self.bytes)])
            b.call(prefetch, [at, ir.Constant(I32, 0), ir.Constant(I32, 3), ir.Constant(I32, 1)])

    def begin(self, name: str, *arguments: ir.Type) -> tuple[ir.Function, ir.IRBuilder]:
        """A function of the module, and where its body is written."""
        function = ir.Function(self.code, ir.FunctionType(VOID, arguments), name)
        return function, ir.IRBuilder(function.append_basic_block())

    def square(
        self, b: ir.IRBuilder, lines: ir.Value, at: ir.Value, after: ir.Value, to: ir.Value, stride: ir.Value
    ) -> None:
        """to[lane · stride + r] = a square's row r at its lane-th number, for as many of both as a vector has.

        Args:
            b: Where it is written.
            lines: The addresses of numbers of each row.
            at: How many numbers after these the square begins.
            after: How many numbers after that are asked for, since they are read soon.
            to: Where its first column goes.
            stride: How far it is from column to column.
        """
        call_own(b, "square", self._square, [lines, at, after, to, stride])

    def _square(
        self, b: ir.IRBuilder, lines: ir.Value, at: ir.Value, after: ir.Value, to: ir.Value, stride: ir.Value
    ) -> None:
        rows = [b.gep(self.array(b, lines, r), [at]) for r in range(self.lanes)]
        for row in rows:
            self.fetch(b, b.gep(row, [after]), self.lanes)
        for lane, value in enumerate(transposed(b, [self.load(b, row) for row in rows])):
            self.store(b, value, b.gep(to, [b.mul(stride, constant(lane))]))

    def word(self, b: ir.IRBuilder, job: ir.Value, place: int | ir.Value) -> ir.Value:
        """A word of a job."""
        return b.load(b.gep(job, [constant(place) if isinstance(place, int) else place]))

    def array(self, b: ir.IRBuilder, job: ir.Value, place: int | ir.Value) -> ir.Value:
        """The array that a word of a job has the address of."""
        return b.inttoptr(self.word(b, job, place), self.pointer)

    def _tile(self, rows: int, panels: int) -> ir.Function:
        """Emit tile(out, out_stride, start, start_stride, index, base, stride, K, panel, ...): the sums of a few rows.

        With several panels there follow how far it is from panel to panel, and for each in `out` and in `start`. Where
        there are too few sums to hide how long a multiply-add takes, each is kept in several parts.
        """
        kinds = [self.pointer, I64, self.pointer, I64, self.words, self.pointer, I64, I64, self.pointer]
        function, b = self.begin(f"tile_{rows}_{panels}", *kinds, *[I64] * (3 if panels > 1 else 0))
        function.linkage = "internal"
        function.attributes.add("noinline")
        out, out_stride, start, start_stride, index, base, stride, length, panel, *steps = function.args
        lines = [b.gep(base, [b.mul(self.word(b, index, r), stride)]) for r in range(rows)]
        beside = [b.gep(panel, [b.mul(steps[0], constant(p))]) if p else panel for p in range(panels)]
        parts = 1
        while rows * 2 * panels * parts < 8:
            parts *= 2
        keys = [(r, v) for r in range(rows) for v in range(2 * panels)]

        def place(of: ir.Value, apart: ir.Value, r: int, v: int, step: int) -> ir.Value:
            at = b.add(b.mul(apart, constant(r)), constant(v % 2 * self.lanes))
            return b.gep(of, [b.add(at, b.mul(steps[step], constant(v // 2))) if v > 1 else at])

        sums = [self.load(b, place(start, start_stride, r, v, 2)) for r, v in keys]
        whole = length
        if parts > 1:
            whole = b.sub(length, b.urem(length, constant(parts)))
            parted = sums + [self.maths.number(0.0)] * (len(keys) * (parts - 1))
            parted = self._turns(b, parted, constant(0), whole, parts, lines, beside)
            sums = parted[: len(keys)]
            for part in range(1, parts):
                sums = [b.fadd(a, c) for a, c in zip(sums, parted[part * len(keys) :], strict=False)]
        sums = self._turns(b, sums, whole if parts > 1 else constant(0), length, 1, lines, beside)
        for (r, v), total in zip(keys, sums, strict=True):
            self.store(b, total, place(out, out_stride, r, v, 1))
        b.ret_void()
        return function

    def _turns(
        self,
        b: ir.IRBuilder,
        sums: list[ir.Value],
        first: ir.Value,
        end: ir.Value,
        turns: int,
        lines: list[ir.Value],
        panels: list[ir.Value],
    ) -> list[ir.Value]:
        """The loop over k, `turns` at a time, its sums in registers, each turn's in parts of their own."""
        vectors, before = 2 * len(panels), b.block
        keys = len(lines) * vectors
        head, done = b.append_basic_block("k"), b.append_basic_block("k_done")
        b.cbranch(b.icmp_signed("<", first, end), head, done)
        b.position_at_end(head)
        k = b.phi(I64)
        k.add_incoming(first, before)
        running = [b.phi(self.vector) for _ in sums]
        for phi, begin in zip(running, sums, strict=True):
            phi.add_incoming(begin, before)
        now: list[ir.Value] = list(running)
        for turn in range(turns):
            at = b.add(k, constant(turn))
            part = turn * keys
            places = [b.gep(panel, [b.mul(at, constant(2 * self.lanes))]) for panel in panels]
            values = [b.load(b.gep(line, [at])) for line in lines]
            weights = [self.load(b, b.gep(place, [constant(v * self.lanes)])) for place in places for v in range(2)]
            for r, value in enumerate(values):
                everywhere = spread(b, value, self.lanes)
                for v in range(vectors):
                    own = part + r * vectors + v
                    now[own] = self.maths.fma(b, everywhere, weights[v], now[own])
        following = b.add(k, constant(turns))
        k.add_incoming(following, head)
        for phi, value in zip(running, now, strict=True):
            phi.add_incoming(value, head)
        b.cbranch(b.icmp_signed("<", following, end), head, done)
        b.position_at_end(done)
        found = []
        for begin, value in zip(sums, now, strict=True):
            phi = b.phi(self.vector)
            phi.add_incoming(begin, before)
            phi.add_incoming(value, head)
            found.append(phi)
        return found

    def product(self) -> ir.Function:
        """The function (out, out_stride, fresh, rows, index, base, stride, K, panel, panels, panel_step, out_step).

        Row i of `out`, at i · out_stride, has the panel's product with row index[i] of `base` added to it, or is that
        product if `fresh`; likewise for each of the `panels`, which are `panel_step` apart, and their `out` `out_step`.
        """
        tiles = [self._tile(r, 1) for r in range(1, self.rows + 1)]
        kinds = [self.pointer, I64, I64, I64, self.words, self.pointer, I64, I64, self.pointer, I64, I64, I64]
        function, b = self.begin("product", *kinds)
        out, out_stride, fresh, rows, index, base, stride, length, panel, panels, panel_step, out_step = function.args
        zeros = b.alloca(self.vector, size=2)
        for v in range(2):
            b.store(self.maths.number(0.0), b.gep(zeros, [constant(v)]))
        nothing = b.bitcast(zeros, self.pointer)
        # Tiles of nearly equal size, so that none is much smaller than could be; in 32 bits, whose division is short.
        number = b.trunc(rows, I32)
        most = ir.Constant(I32, self.rows)
        count_ = b.udiv(b.add(number, ir.Constant(I32, self.rows - 1)), most)
        count_ = b.select(b.icmp_unsigned("==", count_, ir.Constant(I32, 0)), ir.Constant(I32, 1), count_)
        count = b.select(b.icmp_signed(">", rows, constant(0)), b.zext(count_, I64), constant(0))
        least, longer = b.zext(b.udiv(number, count_), I64), b.zext(b.urem(number, count_), I64)
        begins = b.icmp_signed("!=", fresh, constant(0))

        kind = ir.ArrayType(tiles[0].type, len(tiles))
        by_rows = ir.GlobalVariable(self.code, kind, "tiles")
        by_rows.linkage, by_rows.global_constant, by_rows.initializer = "internal", True, ir.Constant(kind, tiles)

        def call(tile: ir.Value, p: ir.Value, row: ir.Value, k: ir.Value, here: ir.Value, several: bool) -> None:
            first = b.and_(begins, b.icmp_signed("==", k, constant(0)))
            start_stride, start_step = (b.select(first, constant(0), step) for step in (out_stride, out_step))
            to = b.gep(out, [b.mul(p, out_step)])
            from_ = b.gep(b.select(first, nothing, to), [b.mul(row, start_stride)])
            weights = b.gep(panel, [b.add(b.mul(p, panel_step), b.mul(k, constant(2 * self.lanes)))])
            place, chosen, lines = b.gep(to, [b.mul(row, out_stride)]), b.gep(index, [row]), b.gep(base, [k])
            rest = [place, out_stride, from_, start_stride, chosen, lines, stride, here, weights]
            b.call(tile, [*rest, panel_step, out_step, start_step] if several else rest)

        so_far: ir.Value = constant(0)
        for r, together in ((r, FEW // r) for r in range(1, FEW) if FEW // r > 1):
            whole = b.sub(panels, b.urem(panels, constant(together)))
            end = b.select(b.icmp_signed("==", rows, constant(r)), whole, constant(0))
            with loop_over(b, constant(0), end, constant(together)) as p:
                call(self._tile(r, together), p, constant(0), constant(0), length, several=True)
            so_far = b.add(so_far, end)
        block = constant(self.block)
        with loop_over(b, so_far, panels) as p, loop_over(b, constant(0), length, block) as k:
            here = smaller(b, block, b.sub(length, k))
            with loop_over(b, constant(0), count) as tile:
                begin = b.add(b.mul(tile, least), smaller(b, tile, longer))
                size = b.add(least, b.zext(b.icmp_signed("<", tile, longer), I64))
                chosen = b.load(b.gep(by_rows, [constant(0), b.sub(size, constant(1))]))
                call(chosen, p, begin, k, here, several=False)
        b.ret_void()
        return function
