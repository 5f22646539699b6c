"""Gradients of matrices, as LLVM IR: products of what is turned on the way.

    gradient(job, first, end, workspace)         rows of C = Σ over n of A[n]ᵀ B[n], their panels made on the way

The columns of A are turned into rows, or into parts of rows; the rows of B make panels as they stand.
"""

from __future__ import annotations

from collections.abc import Callable

from llvmlite import ir

from recurra.backends.cpu.building import call_own, constant, loop_over, smaller
from recurra.backends.cpu.mathematics import I64
from recurra.backends.cpu.parts import (
    CHUNK,
    HIGH,
    PARTS,
    TILE,
    PartsEmitter,
    chunks_of,
    configure,
    multiplies_parts,
    parts_of,
    parts_size,
)
from recurra.backends.cpu.target import Target
from recurra.backends.cpu.tiles import SINGLE

__all__ = ["ROWS", "GradientEmitter", "Side", "gradient_workspace"]

ROWS = 256
"""The most rows that one call of `gradient` works on, of all its A together."""

TURNED = 256
"""How many numbers of each of these rows are worked on at a time."""

ROWS_AHEAD = 16
"""How many rows before they are read those are asked for that lie too far apart for the processor to foresee them."""

Side = tuple[ir.Value, ir.Value, ir.Value]
"""Rows of numbers: where they begin, how far it is from one to the next, and the address of which they are, or 0."""


def gradient_workspace(target: Target, *, double: bool, rows: int = ROWS, lefts: int = 1) -> int:
    """How many numbers `gradient` needs to work in, for each thread.

    Args:
        target: The processor.
        double: Whether numbers are float64; else float32.
        rows: How many rows of a matrix a call works on at most.
        lefts: How many A it turns.
    """
    wide = 2 * target.vector_bytes // (8 if double else 4)
    besides = (rows + TURNED) * wide
    if not multiplies_parts(target, double=double):
        return lefts * rows * TURNED + besides
    return rows * TURNED + besides + lefts * parts_size(rows, TURNED) + parts_size(2 * HIGH, TURNED)


class GradientEmitter(PartsEmitter):
    """Emits `gradient`, with `multiply` the product it is made of, and `split_` what makes parts of rows."""

    multiply: ir.Function
    split_: ir.Function

    def _gradient(self) -> None:
        """Emit gradient(job, first, end, workspace): some rows of matrices, each the sum over sources of A[n]ᵀ B[n].

        The job: (0 1 2 ..., how many A, how many B, how many sources), for each B its columns, for each A and each B
        the matrix (C or 0 if there is none, from row to row), and for each source (how many rows), for each A and then
        for each B (its rows, from row to row, which of them). Rows are named by their numbers, or follow one another if
        these are at address 0. The columns of each A are turned into rows but once, and each B is made panels once.
        """
        function, b = self.begin("gradient", self.words, I64, I64, self.pointer)
        job, first, end, workspace = function.args
        index = b.inttoptr(self.word(b, job, 0), self.words)
        lefts, rights, sources = (self.word(b, job, place) for place in range(1, 4))
        rows, block = b.sub(end, first), constant(TURNED)
        widths = b.gep(job, [constant(4)])
        pairs = b.gep(widths, [rights])
        begin = b.gep(pairs, [b.mul(constant(2), b.mul(lefts, rights))])
        apart = b.add(constant(1), b.mul(constant(3), b.add(lefts, rights)))
        turned, size, strip, panel, spare = self._places(b, workspace, rows, lefts)
        with loop_over(b, constant(0), sources) as number:
            source = b.gep(begin, [b.mul(number, apart)])
            count = self.word(b, source, 0)
            sides = b.gep(source, [constant(1)])
            with loop_over(b, constant(0), count, block) as n:
                here = smaller(b, block, b.sub(count, n))
                fresh = b.zext(b.icmp_signed("==", b.or_(number, n), constant(0)), I64)
                if self.parts:
                    configure(b, self.code)
                with loop_over(b, constant(0), lefts) as one:
                    left, to = self._side(b, sides, b.mul(one, constant(3))), b.gep(turned, [b.mul(one, size)])
                    if self.parts:
                        self._turn_parts(b, workspace, left, n, first, rows, here, index, to)
                    else:
                        call_own(b, "turn", self._turn, [to, left, n, first, rows, here])
                with loop_over(b, constant(0), rights) as other:
                    right = self._side(b, sides, b.mul(b.add(lefts, other), constant(3)))
                    columns, line = self.word(b, widths, other), constant(2 * self.lanes)
                    with loop_over(b, constant(0), columns, line) as j:
                        wide = smaller(b, line, b.sub(columns, j))
                        if self.parts:
                            self._strip_parts(b, panel, strip, right, n, j, here, wide)
                        else:
                            call_own(b, "strip", self._strip, [panel, right, n, j, here, wide])
                        with loop_over(b, constant(0), lefts) as one:
                            pair = b.gep(pairs, [b.mul(constant(2), b.add(b.mul(one, rights), other))])
                            of = [rows, index, b.gep(turned, [b.mul(one, size)]), block, here, panel, *SINGLE]
                            with b.if_then(b.icmp_signed("!=", self.word(b, pair, 0), constant(0))):
                                self._add(b, pair, j, wide, first, fresh, spare, of)
        b.ret_void()

    def _places(self, b: ir.IRBuilder, workspace: ir.Value, rows: ir.Value, lefts: ir.Value) -> tuple[ir.Value, ...]:
        """In the workspace: the turned A and the size of each, a strip, a panel, and what a narrow one comes to."""
        wide = 2 * self.lanes
        whole = b.mul(rows, constant(TURNED))
        size = parts_of(b, rows, constant(TURNED)) if self.parts else whole
        turned = b.gep(workspace, [whole]) if self.parts else workspace
        strip = b.gep(turned, [b.mul(lefts, size)])
        spare = b.gep(strip, [constant(wide * TURNED)])
        panel = b.gep(spare, [b.mul(rows, constant(wide))]) if self.parts else strip
        return turned, size, strip, panel, spare

    def _add(
        self,
        b: ir.IRBuilder,
        pair: ir.Value,
        j: ir.Value,
        wide: ir.Value,
        first: ir.Value,
        fresh: ir.Value,
        spare: ir.Value,
        of: list[ir.Value],
    ) -> None:
        """What some n add to some rows of a strip of one matrix."""
        rows, line = of[0], constant(2 * self.lanes)
        numbers, apart = self.array(b, pair, 0), self.word(b, pair, 1)
        full = b.icmp_signed("==", wide, line)
        own = b.gep(numbers, [b.add(b.mul(first, apart), j)])
        out, by_out = b.select(full, own, spare), b.select(full, apart, line)
        b.call(self.multiply, [out, by_out, b.select(full, fresh, constant(1)), *of])
        with b.if_then(b.not_(full)):
            target = (b.gep(numbers, [j]), apart, constant(0))
            self._finish(b, target, first, spare, by_out, rows, wide, fresh)

    def _turn(
        self,
        b: ir.IRBuilder,
        to: ir.Value,
        side: Side,
        n: ir.Value,
        first: ir.Value,
        units: ir.Value,
        length: ir.Value,
    ) -> None:
        """to[unit · block + k] = row n + k of a side at first + unit: the columns of some rows as rows."""
        lanes, block = constant(self.lanes), constant(TURNED)
        by_squares = b.sub(units, b.srem(units, lanes))
        lines = b.alloca(I64, size=self.lanes)
        with loop_over(b, constant(0), length, lanes) as k:
            here = smaller(b, lanes, b.sub(length, k))
            begin, after = b.add(n, k), b.mul(side[1], lanes)
            self._name_lines(b, lines, here, lambda r: b.gep(self._row(b, side, b.add(begin, r)), [first]))
            whole = b.select(b.icmp_signed("==", here, lanes), by_squares, constant(0))
            with loop_over(b, constant(0), whole, lanes) as unit:
                self.square(b, lines, unit, after, b.gep(to, [b.add(b.mul(unit, block), k)]), block)
            with loop_over(b, constant(0), here) as r, loop_over(b, whole, units) as unit:
                value = b.load(b.gep(self.array(b, lines, r), [unit]))
                b.store(value, b.gep(to, [b.add(b.mul(unit, block), b.add(k, r))]))

    def _strip(
        self,
        b: ir.IRBuilder,
        to: ir.Value,
        side: Side,
        n: ir.Value,
        first: ir.Value,
        length: ir.Value,
        wide: ir.Value,
    ) -> None:
        """A panel of some columns of rows of a side from the n-th on, with zeros past the last column."""
        lanes, line = constant(self.lanes), constant(2 * self.lanes)
        full = b.icmp_signed("==", wide, line)
        after = b.mul(side[1], constant(ROWS_AHEAD))
        with loop_over(b, constant(0), length) as k:
            row = b.gep(self._row(b, side, b.add(n, k)), [first])
            self.fetch(b, b.gep(row, [after]), 2 * self.lanes)
            at = b.gep(to, [b.mul(k, line)])
            with b.if_else(full) as (whole, part):
                with whole:
                    for v in range(2):
                        place = constant(v * self.lanes)
                        self.store(b, self.load(b, b.gep(row, [place])), b.gep(at, [place]))
                with part:
                    with loop_over(b, constant(0), line, lanes) as place:
                        self.store(b, self.maths.number(0.0), b.gep(at, [place]))
                    with loop_over(b, constant(0), wide) as lane:
                        b.store(b.load(b.gep(row, [lane])), b.gep(at, [lane]))

    def _turn_parts(
        self,
        b: ir.IRBuilder,
        workspace: ir.Value,
        side: Side,
        n: ir.Value,
        first: ir.Value,
        units: ir.Value,
        length: ir.Value,
        index: ir.Value,
        to: ir.Value,
    ) -> None:
        """The columns of some rows as parts of rows: by squares if there are nothing but whole ones."""
        with b.goto_entry_block():
            lines = b.alloca(I64, size=CHUNK)
        by, chunks = constant(CHUNK), chunks_of(b, length)
        over = b.or_(b.and_(length, constant(CHUNK - 1)), b.and_(units, constant(HIGH - 1)))
        with b.if_else(b.icmp_signed("==", over, constant(0))) as (whole, other):
            with whole, loop_over(b, constant(0), length, by) as k:
                begin, after, chunk = b.add(n, k), b.mul(side[1], by), b.lshr(k, constant(5))
                self._name_lines(b, lines, by, lambda r: b.gep(self._row(b, side, b.add(begin, r)), [first]))
                with loop_over(b, constant(0), units, constant(HIGH)) as unit:
                    tile = b.add(b.mul(b.lshr(unit, constant(4)), chunks), chunk)
                    place = b.gep(to, [b.mul(tile, constant(PARTS * TILE))])
                    call_own(b, "turned_chunk", self.turned_chunk, [lines, unit, after, place])
            with other:
                call_own(b, "turn", self._turn, [workspace, side, n, first, units, length])
                b.call(self.split_, [units, index, workspace, constant(TURNED), length, to])

    def _strip_parts(
        self,
        b: ir.IRBuilder,
        panel: ir.Value,
        strip: ir.Value,
        side: Side,
        n: ir.Value,
        first: ir.Value,
        length: ir.Value,
        wide: ir.Value,
    ) -> None:
        """A panel of parts of some columns of rows from the n-th on; those of an edge are a strip of numbers first."""
        line, by = constant(2 * self.lanes), constant(CHUNK)
        after, full = b.mul(side[1], by), b.icmp_signed("==", wide, line)
        with b.goto_entry_block():
            lines = b.alloca(I64, size=CHUNK)
        with loop_over(b, constant(0), length, by) as k:
            here, begin = smaller(b, by, b.sub(length, k)), b.add(n, k)

            def row(r: ir.Value, begin: ir.Value = begin) -> ir.Value:
                found = b.gep(self._row(b, side, b.add(begin, r)), [first])
                self.fetch(b, b.gep(found, [after]), 2 * self.lanes)
                return found

            with b.if_else(b.and_(full, b.icmp_signed("==", here, by))) as (whole, edge):
                with whole:
                    self._name_lines(b, lines, by, row)
                with edge:
                    call_own(b, "strip", self._strip, [strip, side, begin, first, here, wide])
                    self._no_more(b, strip, line, here)
                    self._name_lines(b, lines, by, lambda r: b.gep(strip, [b.mul(r, line)]))
            for v in range(2):
                at = b.add(b.mul(k, constant(2 * PARTS * TILE // CHUNK)), constant(v * TILE))
                own = [lines, constant(v * self.lanes), b.gep(panel, [at])]
                call_own(b, "panel_chunk", self.panel_chunk, own)

    def _finish(
        self,
        b: ir.IRBuilder,
        out: Side,
        first: ir.Value,
        spare: ir.Value,
        by_spare: ir.Value,
        rows: ir.Value,
        wide: ir.Value,
        fresh: ir.Value,
    ) -> None:
        """What a strip that cannot be written as it is came to, number by number to the rows it belongs to."""
        begins = b.icmp_signed("!=", fresh, constant(0))
        with loop_over(b, constant(0), rows) as row:
            to = self._row(b, out, b.add(first, row))
            with loop_over(b, constant(0), wide) as column:
                place = b.gep(to, [column])
                value = b.load(b.gep(spare, [b.add(b.mul(row, by_spare), column)]))
                with b.if_else(begins) as (new, more):
                    with new:
                        b.store(value, place)
                    with more:
                        b.store(b.fadd(b.load(place), value), place)

    def _side(self, b: ir.IRBuilder, source: ir.Value, at: ir.Value) -> Side:
        side = b.gep(source, [at])
        return self.array(b, side, 0), self.word(b, side, 1), self.word(b, side, 2)

    def _row(self, b: ir.IRBuilder, side: Side, n: ir.Value) -> ir.Value:
        """Where the n-th row of one side of a source begins."""
        base, by, numbers = side
        before = b.block
        named, done = b.append_basic_block("named"), b.append_basic_block("row")
        b.cbranch(b.icmp_signed("==", numbers, constant(0)), done, named)
        b.position_at_end(named)
        number = b.load(b.gep(b.inttoptr(numbers, self.words), [n]))
        b.branch(done)
        b.position_at_end(done)
        place = b.phi(I64)
        place.add_incoming(n, before)
        place.add_incoming(number, named)
        return b.gep(base, [b.mul(place, by)])

    def _name_lines(
        self, b: ir.IRBuilder, lines: ir.Value, count: ir.Value, line: Callable[[ir.Value], ir.Value]
    ) -> None:
        """Where some lines begin: what reads them need not know why."""
        with loop_over(b, constant(0), count) as k:
            b.store(b.ptrtoint(line(k), I64), b.gep(lines, [k]))

    def _no_more(self, b: ir.IRBuilder, lines: ir.Value, line: ir.Value, length: ir.Value) -> None:
        """Zeros in the lines from the end up to a whole number of 32."""
        end = b.and_(b.add(length, constant(CHUNK - 1)), constant(-CHUNK))
        with loop_over(b, length, end) as k, loop_over(b, constant(0), line, constant(self.lanes)) as lane:
            self.store(b, self.maths.number(0.0), b.gep(lines, [b.add(b.mul(k, line), lane)]))
