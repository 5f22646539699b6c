"""The cross-entropy of a softmax, with its gradient in place of the logits, as LLVM IR.

    tasks(table)                                 run tasks on this thread until all are taken, flush-to-zero inside
    cross_entropy(job, first, end, workspace)    of some columns of logits: the losses, the logits made gradients
    row_sums(job, first, end, workspace)         the sums of some rows
    pack_share(job, first, end, workspace)       `pack` of `products` as a task: one of `end` shares

Logits z are (V, N), a row a class and a column a step, so that a vector has the same class of many steps: a maximum or
a sum over classes never crosses lanes. With m = max(z) and s = Σ exp(z - m) of a column,

    loss = log(s) - (1 - ε) (z[y] - m) - ε mean(z - m)        dloss/dz = exp(z - m) / s - (1 - ε) onehot(y) - ε/V

which is exact for a target however improbable: of a probability that is no number any more its logarithm is one still.
"""

from __future__ import annotations

from llvmlite import ir

from recurra.backends.cpu.building import ask, constant, flush_to_zero, loop_over, smaller, spread, take_tasks
from recurra.backends.cpu.mathematics import I32, I64
from recurra.backends.cpu.parts import call_unit, multiplies_parts
from recurra.backends.cpu.target import Target
from recurra.backends.cpu.tiles import TileEmitter

__all__ = ["FUNCTIONS", "emit_cross_entropy"]

FUNCTIONS = ("tasks", "cross_entropy", "row_sums", "pack_share")

TOGETHER = 64
"""How many numbers are added up before their sum is added to that of all: so roundings grow with far fewer terms."""

VECTORS = 2
"""How many vectors of columns are worked on side by side; rows of logits are so many vectors long, or a multiple."""


def emit_cross_entropy(target: Target, *, double: bool) -> str:
    """The IR of the module.

    Args:
        target: The processor.
        double: Whether numbers are float64; else float32.
    """
    return str(_CrossEntropy(target, double).module(multiplies_parts(target, double=double)))


class _CrossEntropy(TileEmitter):
    def module(self, parts: bool) -> ir.Module:
        """A module of all functions."""
        self._tasks(parts)
        self._cross_entropy()
        self._row_sums()
        self._pack_share()
        return self.code

    def _tasks(self, parts: bool) -> None:
        """Emit tasks(table).

        The table: (address of the function that tells the number of this thread; 0 for a call on one, a counter that
        is 0 at first, how many tasks, the tasks, what threads work in, how many numbers of it each has).
        """
        function, b = self.begin("tasks", self.words)
        (table,) = function.args
        restore = flush_to_zero(b, self.code)
        thread = b.sext(ask(b, self.word(b, table, 0)), I64)
        counter, tasks = (b.inttoptr(self.word(b, table, place), self.words) for place in (1, 3))
        space = b.gep(self.array(b, table, 4), [b.mul(thread, self.word(b, table, 5))])
        take_tasks(b, counter, self.word(b, table, 2), tasks, space)
        if parts:
            call_unit(b, self.code, "tilerelease", ())
        restore()
        b.ret_void()

    def _pack_share(self) -> None:
        """Emit pack_share(job, first, end, workspace): the job is that of `pack`, its tenth word the address of it."""
        function, b = self.begin("pack_share", self.words, I64, I64, self.pointer)
        job, first, end, _ = function.args
        kind = ir.FunctionType(ir.VoidType(), [self.words, I64, I64]).as_pointer()
        b.call(b.inttoptr(self.word(b, job, 9), kind), [job, first, end])
        b.ret_void()

    def _row_sums(self) -> None:
        """Emit row_sums(job, first, end, workspace): the job is (rows, from row to row, out, whether it is added to).

        Rows are whole vectors long.
        """
        function, b = self.begin("row_sums", self.words, I64, I64, self.pointer)
        job, first, end, _ = function.args
        rows, out = self.array(b, job, 0), self.array(b, job, 2)
        apart, adds = self.word(b, job, 1), self.word(b, job, 3)
        total = b.alloca(self.vector)
        zero = ir.Constant(self.scalar, 0.0)
        name = f"llvm.vector.reduce.fadd.v{self.lanes}f{8 * self.bytes}"
        reduce = ir.Function(self.code, ir.FunctionType(self.scalar, [self.scalar, self.vector]), name)
        with loop_over(b, first, end) as row:
            line = b.gep(rows, [b.mul(row, apart)])
            b.store(self.maths.number(0.0), total)
            with loop_over(b, constant(0), apart, constant(self.lanes)) as column:
                b.store(b.fadd(b.load(total), self.load(b, b.gep(line, [column]))), total)
            place = b.gep(out, [row])
            before = b.select(b.icmp_signed("!=", adds, constant(0)), b.load(place), zero)
            b.store(b.fadd(before, b.call(reduce, [zero, b.load(total)], fastmath=("reassoc",))), place)
        b.ret_void()

    def _cross_entropy(self) -> None:
        """Emit cross_entropy(job, first, end, workspace): some columns, the first and the end multiples of `VECTORS`.

        The job: (logits, from row to row, V, N, the bias of each row or 0, the target of each column, the losses of
        columns, the bits of 1 - ε and of ε/V as float64, whether gradients are wanted). Columns from N on become 0, and
        their losses may be written as well.
        """
        function, b = self.begin("cross_entropy", self.words, I64, I64, self.pointer)
        job, first, end, _ = function.args
        self.job, self.apart, self.classes, self.steps = job, *(self.word(b, job, place) for place in (1, 2, 3))
        self.keep, self.share = (self._real(b, self.word(b, job, place)) for place in (7, 8))
        zero = b.alloca(self.scalar)
        b.store(ir.Constant(self.scalar, 0.0), zero)
        without = b.icmp_signed("==", self.word(b, job, 4), constant(0))
        self.bias = b.select(without, zero, self.array(b, job, 4))
        self.by_bias = b.select(without, constant(0), constant(1))
        self.highest, self.sums, self.belows = ([b.alloca(self.vector) for _ in range(VECTORS)] for _ in range(3))
        self.parts = [b.alloca(self.vector) for _ in range(2 * VECTORS)]
        self.answers = b.bitcast(b.alloca(self.vector, size=VECTORS), self.pointer)
        wanted = b.icmp_signed("!=", self.word(b, job, 9), constant(0))
        with loop_over(b, first, end, constant(VECTORS * self.lanes)) as n:
            columns = b.gep(self.array(b, job, 0), [n])
            self._find_highest(b, columns)
            self._find_answers(b, columns, n)
            self._sum_exponentials(b, columns, wanted)
            self._write_losses(b, n)
            with b.if_then(wanted):
                self._make_gradients(b, columns, n)
        b.ret_void()

    def _real(self, b: ir.IRBuilder, word: ir.Value) -> ir.Value:
        """The number that a word has the bits of, as float64."""
        value = b.bitcast(word, ir.DoubleType())
        return value if self.bytes == 8 else b.fptrunc(value, self.scalar)

    def _place(self, b: ir.IRBuilder, columns: ir.Value, row: ir.Value, v: int) -> ir.Value:
        return b.gep(columns, [b.add(b.mul(row, self.apart), constant(v * self.lanes))])

    def _logits(self, b: ir.IRBuilder, columns: ir.Value, row: ir.Value) -> list[ir.Value]:
        """Those of a class, its bias added."""
        bias = spread(b, b.load(b.gep(self.bias, [b.mul(row, self.by_bias)])), self.lanes)
        return [b.fadd(self.load(b, self._place(b, columns, row, v)), bias) for v in range(VECTORS)]

    def _find_highest(self, b: ir.IRBuilder, columns: ir.Value) -> None:
        for highest in self.highest:
            b.store(self.maths.number(float("-inf")), highest)
        with loop_over(b, constant(0), self.classes) as row:
            for logit, highest in zip(self._logits(b, columns, row), self.highest, strict=True):
                before = b.load(highest)
                # What is not a number is none of these, and is seen when the sum is one.
                b.store(b.select(b.fcmp_ordered(">", logit, before), logit, before), highest)

    def _find_answers(self, b: ir.IRBuilder, columns: ir.Value, n: ir.Value) -> None:
        """z[y] - m of each column, 0 past the last."""
        targets = b.inttoptr(self.word(b, self.job, 5), self.words)
        for v, highest in enumerate(self.highest):
            self.store(b, b.load(highest), b.gep(self.answers, [constant(v * self.lanes)]))
        with loop_over(b, constant(0), smaller(b, constant(VECTORS * self.lanes), b.sub(self.steps, n))) as lane:
            row, place = b.load(b.gep(targets, [b.add(n, lane)])), b.gep(self.answers, [lane])
            bias = b.load(b.gep(self.bias, [b.mul(row, self.by_bias)]))
            logit = b.fadd(b.load(b.gep(columns, [b.add(b.mul(row, self.apart), lane)])), bias)
            b.store(b.fsub(logit, b.load(place)), place)

    def _sum_exponentials(self, b: ir.IRBuilder, columns: ir.Value, wanted: ir.Value) -> None:
        """Σ exp(z - m) and Σ z - m; what is exponentiated stays in place of the logits if gradients are wanted."""
        zero, totals = self.maths.number(0.0), [*self.sums, *self.belows]
        for total in totals:
            b.store(zero, total)
        with loop_over(b, constant(0), self.classes, constant(TOGETHER)) as begin:
            for part in self.parts:
                b.store(zero, part)
            with loop_over(b, begin, smaller(b, self.classes, b.add(begin, constant(TOGETHER)))) as row:
                for v, logit in enumerate(self._logits(b, columns, row)):
                    below = b.fsub(logit, b.load(self.highest[v]))
                    value = self.maths.apply(b, "exp", [below])
                    for part, term in ((self.parts[v], value), (self.parts[VECTORS + v], below)):
                        b.store(b.fadd(b.load(part), term), part)
                    with b.if_then(wanted):
                        self.store(b, value, self._place(b, columns, row, v))
            for total, part in zip(totals, self.parts, strict=True):
                b.store(b.fadd(b.load(total), b.load(part)), total)

    def _write_losses(self, b: ir.IRBuilder, n: ir.Value) -> None:
        smooth = b.fcmp_unordered("!=", self.share, ir.Constant(self.scalar, 0.0))
        for v in range(VECTORS):
            at = constant(v * self.lanes)
            answer = b.fmul(spread(b, self.keep, self.lanes), self.load(b, b.gep(self.answers, [at])))
            loss = b.fsub(self.maths.apply(b, "log", [b.load(self.sums[v])]), answer)
            evenly = b.fmul(spread(b, self.share, self.lanes), b.load(self.belows[v]))
            loss = b.select(smooth, b.fsub(loss, evenly), loss)  # without, a sum that is infinite does not count
            self.store(b, loss, b.gep(self.array(b, self.job, 6), [b.add(n, at)]))

    def _make_gradients(self, b: ir.IRBuilder, columns: ir.Value, n: ir.Value) -> None:
        zero, one, scales, shares = self.maths.number(0.0), self.maths.number(1.0), [], []
        left = b.sub(self.steps, n)
        for v in range(VECTORS):
            numbers = [ir.Constant(I32, v * self.lanes + lane) for lane in range(self.lanes)]
            lanes = ir.Constant(ir.VectorType(I32, self.lanes), numbers)
            ends = spread(b, b.trunc(smaller(b, left, constant(VECTORS * self.lanes)), I32), self.lanes)
            inside = b.icmp_signed("<", lanes, ends)
            scales.append(b.select(inside, b.fdiv(one, b.load(self.sums[v])), zero))
            shares.append(b.select(inside, spread(b, b.fneg(self.share), self.lanes), zero))
        with loop_over(b, constant(0), self.classes) as row:
            for v, (scale, share) in enumerate(zip(scales, shares, strict=True)):
                place = self._place(b, columns, row, v)
                self.store(b, self.maths.fma(b, self.load(b, place), scale, share), place)
        targets = b.inttoptr(self.word(b, self.job, 5), self.words)
        with loop_over(b, constant(0), smaller(b, constant(VECTORS * self.lanes), left)) as lane:
            row = b.load(b.gep(targets, [b.add(n, lane)]))
            place = b.gep(columns, [b.add(b.mul(row, self.apart), lane)])
            b.store(b.fsub(b.load(place), self.keep), place)
