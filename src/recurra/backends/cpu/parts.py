"""Products of float32 on a unit that multiplies tiles of bfloat16 (AMX), as LLVM IR.

A float32 has 24 bits, a bfloat16 8: x = x₁ + x₂ + x₃ to the last bit, each part a bfloat16. Of the nine products of
parts six are taken,

    x w ≈ x₁w₁ + (x₁w₂ + x₂w₁) + (x₂w₂ + x₁w₃ + x₃w₁)

and what is left out is no more than 2⁻²⁴ of |x w|, what rounding x w to float32 may take. The unit adds up the 32
products of a row and a column before it rounds to the sum so far, so that a sum is no less exact than one of float32
multiply-adds; it does so 16 times as fast, that is 2.7 times as fast with six products for one.

    split(rows, index, base, stride, K, to)      rows of float32 as tiles of parts
    product_parts(...)                           as `product` of `tiles`, with rows and panels as tiles of parts

A tile is 16 rows of 64 bytes. Of the operand, row r has 32 numbers of one row, k and k + 16 side by side; of the
weights, row r has those numbers k = r and r + 16 of 16 units, side by side as well. Tiles lie in the order they are
read: for each 32 numbers of K the three parts, of 16 rows, or of both vectors of units of a panel.

Henry, Tang and Heinecke, "Leveraging the bfloat16 Artificial Intelligence Datatype For Higher-Precision Computations",
ARITH 2019.
"""

from __future__ import annotations

from collections.abc import Callable

from llvmlite import ir

from recurra.backends.cpu.building import constant, loop_over
from recurra.backends.cpu.mathematics import I64
from recurra.backends.cpu.target import Target
from recurra.backends.cpu.tiles import VOID, TileEmitter

__all__ = ["CHUNK", "HIGH", "PARTS", "TILE", "PartsEmitter", "depth", "multiplies_parts", "parts_size"]

CHUNK = 32
"""How many numbers of K a tile has."""

HIGH = 16
"""How many rows a tile has at most, and how many numbers of float32 would have room in each."""

TILE = HIGH * HIGH
"""How many numbers of float32 would have room in a tile."""

PARTS = 3

PRODUCTS = ((0, 2), (0, 1), (1, 1), (1, 0), (0, 0), (2, 0))
"""The products of parts, of an operand's and a weight's, in an order in which either is used again."""

WEIGHT = 7
"""The tile that has weights; 0 to 3 have sums, and those between an operand."""

Sums = dict[tuple[int, int], int]
"""For each tile of sums, by that of rows and that of units, its number."""

Reader = Callable[[int, int, int], None]
"""What reads a part of one of the tiles of a side into the tile of a number."""

I8 = ir.IntType(8)
CONFIGURATION = 64


def multiplies_parts(target: Target, *, double: bool) -> bool:
    """Whether products of this dtype can be done so."""
    return target.matrix_unit and target.vector_bytes == 64 and not double


def depth(length: int) -> int:
    """How many numbers of float32 the parts of a unit's weights take the room of.

    Args:
        length: How many weights it has.

    Example:
        >>> depth(32), depth(33)
        (48, 96)
    """
    return -(-length // CHUNK) * CHUNK * PARTS // 2


def parts_size(rows: int, length: int) -> int:
    """How many numbers of float32 the parts of some rows take the room of.

    Example:
        >>> parts_size(16, 32), parts_size(17, 33)
        (768, 3072)
    """
    return -(-rows // HIGH) * -(-length // CHUNK) * PARTS * TILE


class PartsEmitter(TileEmitter):
    """Emits what splits numbers, and products of their parts."""

    def __init__(self, target: Target, double: bool) -> None:
        super().__init__(target, double)
        self.parts = multiplies_parts(target, double=double)

    # -- numbers as parts ---------------------------------------------------------------------------------------

    def _interleaved(self, b: ir.IRBuilder, low: ir.Value, high: ir.Value) -> list[ir.Value]:
        """The three parts of two vectors of numbers, in each lane those of `low` before those of `high`."""
        whole = self.maths.whole
        upper = whole(0xFFFF0000 - (1 << 32))
        found: list[tuple[ir.Value, ir.Value]] = []
        rest = [low, high]
        for part in range(PARTS):
            bits = [b.bitcast(value, self.maths.integers) for value in rest]
            if part < PARTS - 1:  # what is left then has no more bits than a part
                bits = [b.and_(b.add(word, whole(0x8000)), upper) for word in bits]
                rest = [b.fsub(value, b.bitcast(word, self.vector)) for value, word in zip(rest, bits, strict=True)]
            found.append((bits[0], bits[1]))
        return [b.or_(b.lshr(one, whole(16)), b.and_(other, upper)) for one, other in found]

    def _put_words(self, b: ir.IRBuilder, words: list[ir.Value], to: ir.Value, apart: int) -> None:
        for part, word in enumerate(words):
            self.store(b, b.bitcast(word, self.vector), b.gep(to, [constant(part * apart)]))

    def panel_chunk(self, b: ir.IRBuilder, from_: ir.Value, line: ir.Value, to: ir.Value) -> None:
        """The parts of 32 numbers of K of one vector of units, which lie in lines, in their places in a panel."""
        with loop_over(b, constant(0), constant(HIGH)) as row:
            low = b.gep(from_, [b.mul(row, line)])
            high = b.gep(low, [b.mul(line, constant(HIGH))])
            words = self._interleaved(b, self.load(b, low), self.load(b, high))
            self._put_words(b, words, b.gep(to, [b.mul(row, constant(HIGH))]), 2 * TILE)

    def split(self) -> ir.Function:
        """The function (rows, index, base, stride, K, to): row i is row index[i] of `base`."""
        function, b = self.begin("split", I64, self.words, self.pointer, I64, I64, self.pointer)
        rows, index, base, stride, length, to = function.args
        spare = b.bitcast(b.alloca(self.vector, size=CHUNK // self.lanes), self.pointer)
        whole, over = b.lshr(length, constant(5)), b.and_(length, constant(CHUNK - 1))
        some = b.icmp_signed("!=", over, constant(0))
        step = b.mul(b.add(whole, b.zext(some, I64)), constant(PARTS * TILE))
        with b.if_then(some):
            for v in range(CHUNK // self.lanes):
                self.store(b, self.maths.number(0.0), b.gep(spare, [constant(v * self.lanes)]))
        with loop_over(b, constant(0), rows) as row:
            from_ = b.gep(base, [b.mul(b.load(b.gep(index, [row])), stride)])
            tile = b.mul(b.lshr(row, constant(4)), step)
            own = b.gep(to, [b.add(tile, b.mul(b.and_(row, constant(HIGH - 1)), constant(HIGH)))])

            def put(numbers: ir.Value, chunk: ir.Value, own: ir.Value = own) -> None:
                halves = [self.load(b, b.gep(numbers, [constant(v * self.lanes)])) for v in range(2)]
                self._put_words(
                    b, self._interleaved(b, *halves), b.gep(own, [b.mul(chunk, constant(PARTS * TILE))]), TILE
                )

            with loop_over(b, constant(0), whole) as chunk:
                put(b.gep(from_, [b.mul(chunk, constant(CHUNK))]), chunk)
            with b.if_then(some):
                begin = b.gep(from_, [b.mul(whole, constant(CHUNK))])
                with loop_over(b, constant(0), over) as k:
                    b.store(b.load(b.gep(begin, [k])), b.gep(spare, [k]))
                put(spare, whole)
        b.ret_void()
        return function

    # -- tiles --------------------------------------------------------------------------------------------------

    def _unit(self, b: ir.IRBuilder, name: str, tiles: tuple[int, ...], *arguments: ir.Value) -> None:
        """An instruction of the unit, on some of its eight tiles."""
        name = f"llvm.x86.{name}"
        kind = ir.FunctionType(VOID, [*[I8] * len(tiles), *(a.type for a in arguments)])
        function = self.code.globals.get(name) or ir.Function(self.code, kind, name)
        b.call(function, [*(ir.Constant(I8, tile) for tile in tiles), *arguments])

    def _read(self, b: ir.IRBuilder, tile: int, place: ir.Value, line: ir.Value | None = None) -> None:
        bytes_ = constant(4 * HIGH) if line is None else b.mul(line, constant(4))
        self._unit(b, "tileloadd64", (tile,), b.bitcast(place, I8.as_pointer()), bytes_)

    def _configurations(self) -> ir.GlobalVariable:
        """For up to 16 rows how many each tile has, if there is one tile of rows, or a second with so many."""
        found: list[int] = []
        for rows in range(1, 2 * HIGH + 1):
            top, bottom = min(rows, HIGH), rows - HIGH
            # One tile of rows has four of sums side by side, of two it is two each.
            high = [top] * 7 + [HIGH] if bottom <= 0 else [top, top, bottom, bottom, top, bottom, 0, HIGH]
            wide = [4 * HIGH if rows_ else 0 for rows_ in high]
            words = [1, *[0] * 15, *(w for one in wide for w in (one, 0)), *[0] * 16, *high, *[0] * 8]
            assert len(words) == CONFIGURATION
            found += words
        kind = ir.ArrayType(I8, len(found))
        held = ir.GlobalVariable(self.code, kind, "configurations")
        held.linkage, held.global_constant = "internal", True
        held.initializer = ir.Constant(kind, bytearray(found))
        return held

    def _block(self, name: str, tops: int, panels: int) -> ir.Function:
        """Emit (out, out_stride, fresh, base, base_step, panel, chunks, panel_step, out_step): tiles of sums.

        Either two tiles of rows by one panel, or one by one or two.
        """
        kinds = [self.pointer, I64, I64, self.pointer, I64, self.pointer, I64, I64, I64]
        function, b = self.begin(name, *kinds)
        function.linkage = "internal"
        function.attributes.add("noinline")
        out, out_stride, fresh, base, base_step, panel, chunks, panel_step, out_step = function.args
        columns = 2 * panels
        sums = {(r, c): r * columns + c for c in range(columns) for r in range(tops)}

        def place(r: int, c: int) -> ir.Value:
            at = b.add(b.mul(out_stride, constant(r * HIGH)), constant(c % 2 * HIGH))
            return b.gep(out, [b.add(at, out_step) if c > 1 else at])

        with b.if_else(b.icmp_signed("!=", fresh, constant(0))) as (new, more):
            with new:
                for tile in sums.values():
                    self._unit(b, "tilezero", (tile,))
            with more:
                for (r, c), tile in sums.items():
                    self._read(b, tile, place(r, c), out_stride)
        asked: set[tuple[int, int]] = set()
        with loop_over(b, constant(0), chunks) as chunk:
            rows = b.gep(base, [b.mul(chunk, constant(PARTS * TILE))])
            weights = b.gep(panel, [b.mul(chunk, constant(2 * PARTS * TILE))])

            def operand(part: int, r: int, tile: int, rows: ir.Value = rows) -> None:
                at = constant(part * TILE)
                self._read(b, tile, b.gep(rows, [b.add(at, base_step) if r else at]))

            def weight(part: int, c: int, tile: int, weights: ir.Value = weights) -> None:
                at = constant((2 * part + c % 2) * TILE)
                place = b.gep(weights, [b.add(at, panel_step) if c > 1 else at])
                self._read(b, tile, place)
                if (part, c) not in asked:  # what the next turn reads is asked for now
                    asked.add((part, c))
                    self.fetch(b, b.gep(place, [constant(2 * PARTS * TILE)]), TILE)

            (self._square if tops > 1 else self._broad)(b, sums, operand, weight)
        for (r, c), tile in sums.items():
            bytes_ = b.mul(out_stride, constant(4))
            self._unit(b, "tilestored64", (tile,), b.bitcast(place(r, c), I8.as_pointer()), bytes_)
        b.ret_void()
        return function

    def _square(self, b: ir.IRBuilder, sums: Sums, operand: Reader, weight: Reader) -> None:
        """Two tiles of rows: for each product of parts all sums, weights by turns in one tile.

        They are read twice: a core that runs two threads has few tiles beside the eight that it shows, and is slower
        the more of these are written.
        """
        rows: dict[int, int] = {}
        held = (-1, -1)
        forth = list(sums)
        # There and back, so that a product of parts begins with the weights that the one before ended with.
        orders = (forth, forth[::-1])
        for turn, (ours, theirs) in enumerate(PRODUCTS):
            for r, c in orders[turn % 2]:
                if rows.get(r) != ours:
                    operand(ours, r, 4 + r)
                    rows[r] = ours
                if held != (theirs, c):
                    weight(theirs, c, WEIGHT)
                    held = (theirs, c)
                self._unit(b, "tdpbf16ps", (sums[r, c], 4 + r, WEIGHT))

    def _broad(self, b: ir.IRBuilder, sums: Sums, operand: Reader, weight: Reader) -> None:
        """One tile of rows, whose three parts stay, by those of the weights, each read once."""
        for part in range(PARTS):
            operand(part, 0, 4 + part)
        for theirs in range(PARTS):
            for r, c in sums:
                weight(theirs, c, WEIGHT)
                for part in [mine for mine, other in PRODUCTS if other == theirs]:
                    self._unit(b, "tdpbf16ps", (sums[r, c], 4 + part, WEIGHT))

    def product_parts(self) -> ir.Function:
        """The function `product` of `tiles`, but for `base` and `panel`, which are parts: nothing is named by number.

        The arguments (out, out_stride, fresh, rows, index, base, stride, K, panel, panels, panel_step, out_step), where
        `index` and `stride` say nothing.
        """
        square, broad = self._block("square", 2, 1), self._block("broad", 1, 2)
        narrow, configurations = self._block("narrow", 1, 1), self._configurations()
        kinds = [self.pointer, I64, I64, I64, self.words, self.pointer, I64, I64, self.pointer, I64, I64, I64]
        function, b = self.begin("product_parts", *kinds)
        out, out_stride, fresh, rows, _, base, _, length, panel, panels, panel_step, out_step = function.args
        chunks = b.lshr(b.add(length, constant(CHUNK - 1)), constant(5))
        step = b.mul(chunks, constant(PARTS * TILE))
        first = b.bitcast(configurations, I8.as_pointer())
        high = 2 * HIGH

        def configure(count: ir.Value) -> None:
            after = b.mul(b.sub(count, constant(1)), constant(CONFIGURATION))
            self._unit(b, "ldtilecfg", (), b.gep(first, [after]))

        def call(block: ir.Function, p: ir.Value, row: ir.Value) -> None:
            to = b.gep(out, [b.add(b.mul(p, out_step), b.mul(row, out_stride))])
            own = b.gep(base, [b.mul(b.lshr(row, constant(4)), step)])
            weights = b.gep(panel, [b.mul(p, panel_step)])
            b.call(block, [to, out_stride, fresh, own, step, weights, chunks, panel_step, out_step])

        left = b.and_(rows, constant(high - 1))
        whole, none = b.sub(rows, left), constant(0)
        with b.if_then(b.icmp_signed(">", whole, none)):
            configure(constant(high))
            with loop_over(b, none, panels) as p, loop_over(b, none, whole, constant(high)) as row:
                call(square, p, row)
        with b.if_then(b.icmp_signed(">", left, none)):
            configure(left)
            with b.if_else(b.icmp_signed(">", left, constant(HIGH))) as (two, one):
                with two, loop_over(b, none, panels) as p:
                    call(square, p, whole)
                with one:
                    even = b.and_(panels, constant(-2))
                    with loop_over(b, none, even, constant(2)) as p:
                        call(broad, p, whole)
                    with loop_over(b, even, panels) as p:
                        call(narrow, p, whole)
        b.ret_void()
        return function
