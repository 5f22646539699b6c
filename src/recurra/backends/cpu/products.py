"""Products of matrices, as LLVM IR: one set of functions a processor and dtype, which every cell's loops call.

    product(out, ...)                            rows of A times panels: see `tiles`
    pack(job, ...)                               a matrix as panels
    repack(job, ...)                             the same if it is not the matrix of before
    gradient(job, first, end, workspace)         rows of C = Σ over n of A[n]ᵀ B[n], their panels made on the way
    rows_product(job, first, end, workspace)     rows of out = Σ over terms of A times panels

Where the processor has a unit for tiles of bfloat16, there is also `product_parts`, which works on parts, and `split`,
which makes parts of rows: see `parts`. There `pack` makes either kind of panels, and `gradient` and `rows_product` make
parts on the way.

The matrices of a cell are packed at every call that finds them changed; what else is read as panels
is made on the way.
"""

from __future__ import annotations

from collections.abc import Sequence

from llvmlite import ir

from recurra.backends.cpu.building import ask, call_own, constant, loop_over, smaller
from recurra.backends.cpu.digest import digest
from recurra.backends.cpu.gradients import GradientEmitter
from recurra.backends.cpu.mathematics import I64
from recurra.backends.cpu.parts import (
    CHUNK,
    PARTS,
    TILE,
    chunks_of,
    configure,
    depth,
    multiplies_parts,
    parts_of,
    parts_size,
)
from recurra.backends.cpu.target import Target
from recurra.backends.cpu.tiles import SINGLE, VOID

__all__ = ["FUNCTIONS", "emit_products", "modules_for", "rows_workspace"]

FUNCTIONS = ("product", "pack", "gradient", "rows_product", "several")

OF_PARTS = ("product_parts", "split")

REPACK = ("repack",)
"""What calls without gradients need besides."""


def rows_workspace(rows: int, lengths: Sequence[int], *, wide: int, parts: bool) -> int:
    """How many numbers `rows_product` needs to work in, for each thread.

    Args:
        rows: How many rows it works on at most.
        lengths: K of each of its terms.
        wide: How many units a panel has.
        parts: Whether it works on parts.
    """
    return rows * wide + (sum(parts_size(rows, length) for length in lengths) if parts else 0)


def modules_for(target: Target, *, double: bool) -> tuple[tuple[str, ...], ...]:
    """The functions that there are, by the modules they are compiled in, since not all may be needed."""
    if not multiplies_parts(target, double=double):
        return FUNCTIONS, REPACK
    numbers, *others = FUNCTIONS
    return (*others, *OF_PARTS), (numbers,), REPACK


def emit_products(target: Target, functions: Sequence[str], *, double: bool) -> str:
    """The IR of a module.

    Args:
        target: The processor.
        functions: Those of the module.
        double: Whether numbers are float64; else float32.
    """
    return str(_Products(target, double).module(functions))


def _share(b: ir.IRBuilder, count: ir.Value, thread: ir.Value, threads: ir.Value) -> tuple[ir.Value, ir.Value]:
    """A thread's share of some things: the first and the end."""
    first = b.sdiv(b.mul(thread, count), threads)
    return first, b.sdiv(b.mul(b.add(thread, constant(1)), count), threads)


class _Products(GradientEmitter):
    def module(self, functions: Sequence[str]) -> ir.Module:
        """A module of these functions."""
        if "product" in functions:
            self.multiply = self.product()
        if "product_parts" in functions:
            self.multiply, self.split_ = self.product_parts(), self.split()
        if "pack" in functions:
            self._pack()
            self._gradient()
            self._rows_product()
            self._several()
        if "repack" in functions:
            self._repack()
        return self.code

    # -- pack ---------------------------------------------------------------------------------------------------

    def _pack(self) -> None:
        """Emit pack(job, thread, threads): this thread's share of a matrix as panels.

        The job: (panels, source, how far from unit to unit, from k to k, units, K, how many panels on the next of
        these is, whether they are panels of parts), and what `repack` takes.
        """
        function, b = self.begin("pack", self.words, I64, I64)
        job, thread, threads = function.args
        panels, source = self.array(b, job, 0), self.array(b, job, 1)
        by_unit, by_k, units, length, apart = (self.word(b, job, place) for place in range(2, 7))
        wide, lanes = constant(2 * self.lanes), constant(self.lanes)
        groups = b.sdiv(b.add(units, constant(2 * self.lanes - 1)), wide)
        first, end = _share(b, groups, thread, threads)
        if self.parts:
            with b.if_then(b.icmp_signed("!=", self.word(b, job, 7), constant(0))):
                self._pack_parts(b, panels, apart, source, by_unit, by_k, units, length, first, end)
                b.ret_void()
        with loop_over(b, first, end) as group:
            begin = b.mul(group, wide)
            panel = b.gep(panels, [b.mul(b.mul(begin, length), apart)])
            with loop_over(b, constant(0), wide, lanes) as within:
                unit = b.add(begin, within)
                to, from_ = b.gep(panel, [within]), b.gep(source, [b.mul(unit, by_unit)])
                rest = [to, wide, from_, by_unit, by_k, b.sub(units, unit), length]
                call_own(b, "pack_vector", self._pack_vector, rest)
        b.ret_void()

    def _repack(self) -> None:
        """Emit repack(job, thread, threads): the same where the weights are not those of before.

        The job has two words more: where each thread keeps the digest of what it packed last, and the address of pack.
        """
        function, b = self.begin("repack", self.words, I64, I64)
        job, thread, threads = function.args
        source, found = self.array(b, job, 1), b.alloca(I64)
        by_unit, by_k, units, length = (self.word(b, job, place) for place in range(2, 6))
        wide = constant(2 * self.lanes)
        groups = b.sdiv(b.add(units, constant(2 * self.lanes - 1)), wide)
        begin, end = (b.mul(group, wide) for group in _share(b, groups, thread, threads))
        share = b.sub(smaller(b, units, end), begin)
        digest(self, b, found, b.gep(source, [b.mul(begin, by_unit)]), by_unit, by_k, share, length)
        before = b.gep(b.inttoptr(self.word(b, job, 8), self.words), [thread])
        with b.if_then(b.icmp_signed("!=", b.load(before), b.load(found))):
            b.store(b.load(found), before)
            b.call(b.inttoptr(self.word(b, job, 9), function.ftype.as_pointer()), [job, thread, threads])
        b.ret_void()

    def _pack_parts(
        self,
        b: ir.IRBuilder,
        panels: ir.Value,
        apart: ir.Value,
        source: ir.Value,
        by_unit: ir.Value,
        by_k: ir.Value,
        units: ir.Value,
        length: ir.Value,
        first: ir.Value,
        end: ir.Value,
    ) -> None:
        """The same as parts: 32 numbers of K of a vector of units at a time, as a panel first."""
        chunk, lanes = constant(CHUNK), constant(self.lanes)
        with b.goto_entry_block():
            few, lines = b.bitcast(b.alloca(self.vector, size=CHUNK), self.pointer), b.alloca(I64, size=CHUNK)
        self._name_lines(b, lines, constant(CHUNK), lambda k: b.gep(few, [b.mul(k, lanes)]))
        chunks = chunks_of(b, length)
        size = b.mul(chunks, constant(2 * PARTS * TILE))
        with loop_over(b, first, end) as group:
            panel = b.gep(panels, [b.mul(b.mul(group, size), apart)])
            with loop_over(b, constant(0), chunks) as number, loop_over(b, constant(0), constant(2)) as v:
                k = b.mul(number, chunk)
                unit = b.add(b.mul(group, constant(2 * self.lanes)), b.mul(v, lanes))
                from_ = b.gep(source, [b.add(b.mul(unit, by_unit), b.mul(k, by_k))])
                here = smaller(b, chunk, b.sub(length, k))
                rest = [few, lanes, from_, by_unit, by_k, b.sub(units, unit), here]
                call_own(b, "pack_vector", self._pack_vector, rest)
                self._no_more(b, few, lanes, here)
                at = b.add(b.mul(number, constant(2 * PARTS * TILE)), b.mul(v, constant(TILE)))
                call_own(b, "panel_chunk", self.panel_chunk, [lines, constant(0), b.gep(panel, [at])])

    def _pack_vector(
        self,
        b: ir.IRBuilder,
        to: ir.Value,
        line: ir.Value,
        from_: ir.Value,
        by_unit: ir.Value,
        by_k: ir.Value,
        units: ir.Value,
        length: ir.Value,
    ) -> None:
        """The weights of one vector of units: by squares that are transposed, as they are, or one by one."""
        one, lanes = constant(1), constant(self.lanes)
        full = b.icmp_signed(">=", units, lanes)
        with b.if_else(b.and_(full, b.icmp_signed("==", by_unit, one))) as (alike, other):
            with alike, loop_over(b, constant(0), length) as k:
                self.store(b, self.load(b, b.gep(from_, [b.mul(k, by_k)])), b.gep(to, [b.mul(k, line)]))
            with other:
                squares = b.and_(full, b.icmp_signed("==", by_k, one))
                whole = b.select(squares, b.sub(length, b.srem(length, lanes)), constant(0))
                self._squares(b, to, line, from_, by_unit, whole)
                with loop_over(b, whole, length) as k, loop_over(b, constant(0), lanes) as lane:
                    at = b.gep(to, [b.add(b.mul(k, line), lane)])
                    with b.if_else(b.icmp_signed("<", lane, units)) as (there, beyond):
                        with there:
                            b.store(b.load(b.gep(from_, [b.add(b.mul(lane, by_unit), b.mul(k, by_k))])), at)
                        with beyond:
                            b.store(ir.Constant(self.scalar, 0.0), at)

    def _squares(
        self, b: ir.IRBuilder, to: ir.Value, line: ir.Value, from_: ir.Value, by_row: ir.Value, end: ir.Value
    ) -> None:
        """to[k · line + row] = from_[row · by_row + k] for a vector of rows, and k up to a whole number of vectors."""
        lines = b.alloca(I64, size=self.lanes)
        self._name_lines(b, lines, constant(self.lanes), lambda lane: b.gep(from_, [b.mul(by_row, lane)]))
        with loop_over(b, constant(0), end, constant(self.lanes)) as k:
            self.square(b, lines, k, constant(0), b.gep(to, [b.mul(k, line)]), line)

    # -- products with results of any width ---------------------------------------------------------------------

    def _rows_product(self) -> None:
        """Emit rows_product(job, first, end, workspace): some rows of the sum over all terms of A times panels.

        The job: (out, from row to row, columns, 0 1 2 ..., number of terms, which rows of out they are, or 0 if they
        follow one another, whether the sum is added to what out holds), and for each term (A, from row to row, K,
        panels).
        """
        function, b = self.begin("rows_product", self.words, I64, I64, self.pointer)
        job, first, end, workspace = function.args
        matrix, apart, columns = self.array(b, job, 0), self.word(b, job, 1), self.word(b, job, 2)
        index, terms = b.inttoptr(self.word(b, job, 3), self.words), self.word(b, job, 4)
        numbers, fresh = self.word(b, job, 5), b.xor(self.word(b, job, 6), constant(1))
        rows, line = b.sub(end, first), constant(2 * self.lanes)
        straight = b.icmp_signed("==", numbers, constant(0))
        after, split = b.alloca(I64), b.gep(workspace, [b.mul(rows, line)])

        def term_of(number: ir.Value) -> tuple[ir.Value, ir.Value, ir.Value, ir.Value]:
            """The rows of A of a term, how far it is from one to the next, K, and the panels."""
            term = b.gep(job, [b.add(constant(7), b.mul(number, constant(4)))])
            stride, length = self.word(b, term, 1), self.word(b, term, 2)
            return b.gep(self.array(b, term, 0), [b.mul(first, stride)]), stride, length, self.array(b, term, 3)

        def next_parts(length: ir.Value) -> ir.Value:
            """Where the parts of a term's rows lie: one term after the other."""
            at = b.load(after)
            b.store(b.add(at, parts_of(b, rows, length)), after)
            return b.gep(split, [at])

        if self.parts:
            configure(b, self.code)
            b.store(constant(0), after)
            with loop_over(b, constant(0), terms) as number:
                base, stride, length, _ = term_of(number)
                b.call(self.split_, [rows, index, base, stride, length, next_parts(length)])
        with loop_over(b, constant(0), columns, line) as j:
            wide = smaller(b, line, b.sub(columns, j))
            full = b.and_(straight, b.icmp_signed("==", wide, line))
            own = b.gep(matrix, [b.add(b.mul(first, apart), j)])
            out, by_out = b.select(full, own, workspace), b.select(full, apart, line)
            begin = b.select(full, fresh, constant(1))
            b.store(constant(0), after)
            with loop_over(b, constant(0), terms) as number:
                base, stride, length, panels = term_of(number)
                deep = length
                if self.parts:
                    base, deep = next_parts(length), b.mul(chunks_of(b, length), constant(depth(CHUNK)))
                panel = b.gep(panels, [b.mul(j, deep)])
                begins = b.and_(b.zext(b.icmp_signed("==", number, constant(0)), I64), begin)
                b.call(self.multiply, [out, by_out, begins, rows, index, base, stride, length, panel, *SINGLE])
            with b.if_then(b.not_(full)):
                self._finish(b, (b.gep(matrix, [j]), apart, numbers), first, workspace, by_out, rows, wide, fresh)
        b.ret_void()

    def _several(self) -> None:
        """Emit several(table): calls of loops, thread k the k-th.

        The table: (address of the function that tells the number of this thread), and for each call (loop, table).
        """
        function, b = self.begin("several", self.words)
        (table,) = function.args
        place = b.add(constant(1), b.mul(b.sext(ask(b, self.word(b, table, 0)), I64), constant(2)))
        loop = b.inttoptr(self.word(b, table, place), ir.FunctionType(VOID, [self.words]).as_pointer())
        b.call(loop, [b.inttoptr(self.word(b, table, b.add(place, constant(1))), self.words)])
        b.ret_void()
