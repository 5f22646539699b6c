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

import struct

from llvmlite import ir

from recurra.backends.cpu.building import constant, loop_over, smaller
from recurra.backends.cpu.mathematics import I64, declared
from recurra.backends.cpu.target import Target
from recurra.backends.cpu.tiles import VOID, TileEmitter

__all__ = [
    "CHUNK",
    "HIGH",
    "OPERAND",
    "PARTS",
    "PRODUCTS",
    "SUM",
    "TILE",
    "WEIGHT",
    "PartsEmitter",
    "call_unit",
    "chunks_of",
    "configure",
    "depth",
    "multiplies_parts",
    "parts_of",
    "parts_size",
]

CHUNK = 32
"""How many numbers of K a tile has."""

HIGH = 16
"""How many rows a tile has at most, and how many numbers of float32 would have room in each."""

TILE = HIGH * HIGH
"""How many numbers of float32 would have room in a tile."""

PARTS = 3

PRODUCTS = ((0, 2), (0, 1), (1, 1), (1, 0), (0, 0), (2, 0))
"""The products of parts, of an operand's and a weight's, in an order in which either is used again."""

TOGETHER = 3, 4
"""How many times 32 numbers of K are worked on at a time, or if there are no more than the second, these."""

SUM, OPERAND, WEIGHT = range(3)
"""The tiles that are used."""

I8 = ir.IntType(8)


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


def chunks_of(b: ir.IRBuilder, length: ir.Value) -> ir.Value:
    """How many times 32 numbers a length is, the last of them perhaps fewer."""
    return b.lshr(b.add(length, constant(CHUNK - 1)), constant(5))


def parts_of(b: ir.IRBuilder, rows: ir.Value, length: ir.Value) -> ir.Value:
    """`parts_size`, where rows and lengths are known when the code runs."""
    tiles = b.lshr(b.add(rows, constant(HIGH - 1)), constant(4))
    return b.mul(b.mul(tiles, chunks_of(b, length)), constant(PARTS * TILE))


def call_unit(b: ir.IRBuilder, code: ir.Module, name: str, tiles: tuple[int, ...], *arguments: ir.Value) -> None:
    """An instruction of the unit, on some of its eight tiles.

    Args:
        b: Where it is written.
        code: The module it is written in.
        name: Its name.
        tiles: The tiles.
        arguments: What else it is given.
    """
    name = f"llvm.x86.{name}"
    kind = ir.FunctionType(VOID, [*[I8] * len(tiles), *(a.type for a in arguments)])
    b.call(declared(code, name, kind), [*(ir.Constant(I8, tile) for tile in tiles), *arguments])


def configure(b: ir.IRBuilder, code: ir.Module) -> None:
    """Have the tiles that are used have 16 rows of 64 bytes, and the others none.

    This takes 0.1 µs, too long for every product. But it has to be done again and again: whenever the system or a
    virtual machine's host has let others run, the core holds all eight tiles, and beside another thread has hardly room
    for more.

    Args:
        b: Where it is written.
        code: The module it is written in.
    """
    used = len((SUM, OPERAND, WEIGHT))
    words = [1, *[0] * 15, *[4 * HIGH, 0] * used, *[0] * (32 - 2 * used), *[HIGH] * used, *[0] * (16 - used)]
    kind = ir.ArrayType(I8, len(words))
    held = code.globals.get("configuration")
    if held is None:
        held = ir.GlobalVariable(code, kind, "configuration")
        held.linkage, held.global_constant = "internal", True
        held.initializer = ir.Constant(kind, bytearray(words))
    call_unit(b, code, "ldtilecfg", (), b.bitcast(held, I8.as_pointer()))


class PartsEmitter(TileEmitter):
    """Emits what splits numbers, and products of their parts."""

    def __init__(self, target: Target, double: bool) -> None:
        super().__init__(target, double)
        self.parts = multiplies_parts(target, double=double)

    # -- numbers as parts ---------------------------------------------------------------------------------------

    def _interleaved(self, b: ir.IRBuilder, low: ir.Value, high: ir.Value) -> list[ir.Value]:
        """The three parts of two vectors of numbers, in each lane those of `low` before those of `high`.

        What is infinite or no number, or so large that a part of it would be infinite, is the third part alone: that is
        multiplied with the first of the other side only, and so ∞ w is an infinity of the sign of w, not ∞ - ∞.
        """
        whole, none = self.maths.whole, self.maths.whole(0)
        largest = self.maths.number(struct.unpack("f", struct.pack("I", 0x7F7F8000))[0])
        usual = [b.fcmp_ordered("<", self.maths.intrinsic(b, "fabs", value), largest) for value in (low, high)]
        upper = whole(0xFFFF0000 - (1 << 32))
        found: list[tuple[ir.Value, ir.Value]] = []
        rest = [low, high]
        for part in range(PARTS):
            bits = [b.bitcast(value, self.maths.integers) for value in rest]
            if part < PARTS - 1:  # what is left then has no more bits than a part
                bits = [b.and_(b.add(word, whole(0x8000)), upper) for word in bits]
                bits = [b.select(held, word, none) for held, word in zip(usual, bits, strict=True)]
                rest = [b.fsub(value, b.bitcast(word, self.vector)) for value, word in zip(rest, bits, strict=True)]
            found.append((bits[0], bits[1]))
        return [b.or_(b.lshr(one, whole(16)), b.and_(other, upper)) for one, other in found]

    def _put_words(self, b: ir.IRBuilder, words: list[ir.Value], to: ir.Value, apart: int) -> None:
        for part, word in enumerate(words):
            self.store(b, b.bitcast(word, self.vector), b.gep(to, [constant(part * apart)]))

    def panel_chunk(self, b: ir.IRBuilder, lines: ir.Value, at: ir.Value, to: ir.Value) -> None:
        """The parts of 32 numbers of K of a vector of units in their places in a panel.

        Args:
            b: Where it is written.
            lines: The addresses of the numbers of each K.
            at: How many numbers after these they begin.
            to: Where the parts begin.
        """
        with loop_over(b, constant(0), constant(HIGH)) as row:
            low, high = (
                self.load(b, b.gep(self.array(b, lines, place), [at])) for place in (row, b.add(row, constant(HIGH)))
            )
            self._put_words(b, self._interleaved(b, low, high), b.gep(to, [b.mul(row, constant(HIGH))]), 2 * TILE)

    def turned_chunk(self, b: ir.IRBuilder, lines: ir.Value, at: ir.Value, after: ir.Value, to: ir.Value) -> None:
        """The parts of a square, 32 lines of K by 16 columns, as those of 16 rows of an operand.

        Args:
            b: Where it is written.
            lines: The addresses of the numbers of each K.
            at: How many numbers after these the columns begin.
            after: How many numbers after that are asked for, since they are read soon.
            to: Where the parts begin.
        """
        size, lanes = constant(HIGH * self.lanes), constant(self.lanes)
        held = b.bitcast(b.alloca(self.vector, size=2 * HIGH), self.pointer)
        for half in range(2):
            own, to_ = b.gep(lines, [constant(half * HIGH)]), b.gep(held, [constant(half * HIGH * self.lanes)])
            self.square(b, own, at, after, to_, lanes)
        with loop_over(b, constant(0), constant(HIGH)) as row:
            own = b.gep(held, [b.mul(row, constant(self.lanes))])
            words = self._interleaved(b, self.load(b, own), self.load(b, b.gep(own, [size])))
            self._put_words(b, words, b.gep(to, [b.mul(row, constant(HIGH))]), TILE)

    def split(self) -> ir.Function:
        """The function (rows, index, base, stride, K, to): row i is row index[i] of `base`."""
        function, b = self.begin("split", I64, self.words, self.pointer, I64, I64, self.pointer)
        rows, index, base, stride, length, to = function.args
        spare = b.bitcast(b.alloca(self.vector, size=CHUNK // self.lanes), self.pointer)
        whole, over, chunks = b.lshr(length, constant(5)), b.and_(length, constant(CHUNK - 1)), chunks_of(b, length)
        for v in range(CHUNK // self.lanes):
            self.store(b, self.maths.number(0.0), b.gep(spare, [constant(v * self.lanes)]))
        with loop_over(b, constant(0), rows) as row:
            from_ = b.gep(base, [b.mul(b.load(b.gep(index, [row])), stride)])
            tile = b.mul(b.lshr(row, constant(4)), b.mul(chunks, constant(PARTS * TILE)))
            own = b.gep(to, [b.add(tile, b.mul(b.and_(row, constant(HIGH - 1)), constant(HIGH)))])
            last = b.gep(from_, [b.mul(whole, constant(CHUNK))])
            with loop_over(b, constant(0), over) as k:
                b.store(b.load(b.gep(last, [k])), b.gep(spare, [k]))
            with loop_over(b, constant(0), chunks) as chunk:
                there = b.gep(from_, [b.mul(chunk, constant(CHUNK))])
                numbers = b.select(b.icmp_signed("<", chunk, whole), there, spare)
                halves = [self.load(b, b.gep(numbers, [constant(v * self.lanes)])) for v in range(2)]
                at = b.gep(own, [b.mul(chunk, constant(PARTS * TILE))])
                self._put_words(b, self._interleaved(b, *halves), at, TILE)
        b.ret_void()
        return function

    # -- tiles --------------------------------------------------------------------------------------------------

    def _tile_of_parts(self) -> ir.Function:
        """Emit tile_of_parts(out, out_stride, begins, rows, weights, chunks): a tile of sums.

        One tile of sums at a time, each operand read when it is needed: a core that runs two threads has hardly more
        tiles than the eight that it shows, and takes twice as long if all of these are written by turns.
        """
        function, b = self.begin("tile_of_parts", self.pointer, I64, I64, self.pointer, self.pointer, I64)
        function.linkage = "internal"
        function.attributes.add("noinline")
        out, out_stride, begins, rows, weights, chunks = function.args
        place, line = b.bitcast(out, I8.as_pointer()), b.mul(out_stride, constant(4))
        with b.if_else(b.icmp_signed("!=", begins, constant(0))) as (new, more):
            with new:
                call_unit(b, self.code, "tilezero", (SUM,))
            with more:
                call_unit(b, self.code, "tileloadd64", (SUM,), place, line)
        with loop_over(b, constant(0), chunks) as chunk:
            sides = [b.gep(rows, [b.mul(chunk, constant(PARTS * TILE))])]
            sides.append(b.gep(weights, [b.mul(chunk, constant(2 * PARTS * TILE))]))
            held = [-1, -1]
            for product in PRODUCTS:
                for side, (tile, apart) in enumerate(((OPERAND, TILE), (WEIGHT, 2 * TILE))):
                    if held[side] != product[side]:
                        at = b.bitcast(b.gep(sides[side], [constant(product[side] * apart)]), I8.as_pointer())
                        call_unit(b, self.code, "tileloadd64", (tile,), at, constant(4 * HIGH))
                        held[side] = product[side]
                call_unit(b, self.code, "tdpbf16ps", (SUM, OPERAND, WEIGHT))
        call_unit(b, self.code, "tilestored64", (SUM,), place, line)
        b.ret_void()
        return function

    def product_parts(self) -> ir.Function:
        """The function `product` of `tiles`, but for `base` and `panel`, which are parts: nothing is named by number.

        The arguments (out, out_stride, fresh, rows, index, base, stride, K, panel, panels, panel_step, out_step), where
        `index` and `stride` say nothing. Of K, a part is worked on at a time of which the nearest cache holds two tiles
        of rows and a panel. All tiles have 16 rows; where the last has fewer, its sums are made elsewhere and copied.
        """
        tile = self._tile_of_parts()
        kinds = [self.pointer, I64, I64, I64, self.words, self.pointer, I64, I64, self.pointer, I64, I64, I64]
        function, b = self.begin("product_parts", *kinds)
        out, out_stride, fresh, rows, _, base, _, length, panel, panels, panel_step, out_step = function.args
        spare = b.bitcast(b.alloca(self.vector, size=HIGH), self.pointer)
        chunks, none, high, line = chunks_of(b, length), constant(0), constant(HIGH), constant(self.lanes)
        step = b.mul(chunks, constant(PARTS * TILE))
        most, all_ = (constant(count) for count in TOGETHER)
        together = b.select(b.icmp_signed("<=", chunks, all_), all_, most)
        with loop_over(b, none, chunks, together) as chunk:
            here = smaller(b, together, b.sub(chunks, chunk))
            begins = b.and_(fresh, b.zext(b.icmp_signed("==", chunk, none), I64))
            ours = b.gep(base, [b.mul(chunk, constant(PARTS * TILE))])
            theirs = b.gep(panel, [b.mul(chunk, constant(2 * PARTS * TILE))])
            with loop_over(b, none, panels) as p, loop_over(b, none, rows, constant(2 * HIGH)) as pair:
                end = smaller(b, rows, b.add(pair, constant(2 * HIGH)))
                with loop_over(b, none, constant(2)) as v, loop_over(b, pair, end, high) as row:
                    weights = b.gep(theirs, [b.add(b.mul(p, panel_step), b.mul(v, constant(TILE)))])
                    parts = b.gep(ours, [b.mul(b.lshr(row, constant(4)), step)])
                    to = b.gep(out, [b.add(b.mul(p, out_step), b.add(b.mul(v, line), b.mul(row, out_stride)))])
                    left = b.sub(end, row)
                    with b.if_else(b.icmp_signed(">=", left, high)) as (whole, last):
                        with whole:
                            b.call(tile, [to, out_stride, begins, parts, weights, here])
                        with last:
                            with b.if_then(b.icmp_signed("==", begins, none)):
                                self._copy_rows(b, to, out_stride, spare, line, left)
                            b.call(tile, [spare, line, begins, parts, weights, here])
                            self._copy_rows(b, spare, line, to, out_stride, left)
        b.ret_void()
        return function

    def _copy_rows(
        self, b: ir.IRBuilder, from_: ir.Value, by_from: ir.Value, to: ir.Value, by_to: ir.Value, rows: ir.Value
    ) -> None:
        """A vector of some rows from one place to another."""
        with loop_over(b, constant(0), rows) as row:
            self.store(b, self.load(b, b.gep(from_, [b.mul(row, by_from)])), b.gep(to, [b.mul(row, by_to)]))
