"""A linear readout's cross-entropy and its gradients in compiled code: products on tiles, all else in one pass.

    Z = W Hᵀ        loss and dZ from Z, in place        dH = dZᵀ W        dW = dZ H        db = Σ dZ

Logits are (V, N), so that of the three products only one has to turn what it reads, on the way, and W is read as it
lies. What each task computes is the same however many threads take them: so are all results, to the last bit.
"""

from __future__ import annotations

import ctypes
import itertools
import struct
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor

from recurra.backends.cpu import library, spare, threads
from recurra.backends.cpu.arrangement import SMALL
from recurra.backends.cpu.cross_entropy import FUNCTIONS, emit_cross_entropy
from recurra.backends.cpu.gradients import ROWS, gradient_workspace
from recurra.backends.cpu.parts import depth, multiplies_parts
from recurra.backends.cpu.prepare import matrix_function
from recurra.backends.cpu.products import rows_workspace
from recurra.backends.cpu.target import host

__all__ = ["Gradients", "losses"]

CLASS_ROWS = 128
"""How many classes a task works on at most: their weights and gradients stay in the second cache."""

LEAST_ROWS = 16
"""No task has fewer rows if there are so many: of fewer than four a sum is made in another order."""

LINE = 16
"""What is worked in begins at a multiple of so many numbers, with a line of the caches."""

RATE = 500
"""Roughly, how many multiply-adds a thread does in ten nanoseconds."""

COLUMNS = 64
"""Of how many steps a task makes the logits into gradients."""


class Gradients(NamedTuple):
    """Where gradients go; None for what is not wanted.

    Args:
        rows: Of the outputs (N, H).
        weight: (V, H), added to if `adds`.
        bias: (V,), likewise.
        adds: Whether those are added to.
    """

    rows: Tensor | None
    weight: Tensor | None
    bias: Tensor | None
    adds: bool


Task = tuple[int, int, int, int]
"""A function, its job, the first and the end of what it works on."""


def losses(
    rows: Tensor, weight: Tensor, bias: Tensor | None, targets: Tensor, smoothing: float, gradients: Gradients
) -> Tensor:
    """The loss of each step, and gradients where they are to go.

    Args:
        rows: The outputs H, (N, H), float32 or float64 as all others.
        weight: W, (V, H).
        bias: (V,), or None.
        targets: Whole numbers (N,) below V, int64.
        smoothing: ε.
        gradients: Where they go. Those of weight and bias lie in memory without gaps.

    Returns:
        (N,), in nats.
    """
    return _Chunk(rows, weight, bias, targets, smoothing, gradients).run()


class _Sizes(NamedTuple):
    """How many numbers there are of each kind in the memory of a call, and how it is laid out."""

    logits: int
    by_step: int
    """Panels of the outputs for the logits."""
    by_width: int
    """Panels of the outputs for the gradient of the weights."""
    space: int
    """For each thread."""
    apart: int
    """From a class's logits to the next one's."""


@lru_cache(maxsize=256)
def _sizes(steps: int, classes: int, width: int, double: bool) -> _Sizes:
    target = host()
    parts, size = multiplies_parts(target, double=double), 8 if double else 4
    wide = 2 * target.vector_bytes // size

    def padded(number: int, to: int) -> int:
        return -(-number // to) * to

    def deep(length: int) -> int:
        return depth(length) if parts else length

    apart = padded(steps, wide)
    by_class = (rows_workspace(2 * CLASS_ROWS, [length], wide=wide, parts=parts) for length in (width, steps))
    space = max(*by_class, gradient_workspace(target, double=double, rows=ROWS))
    return _Sizes(
        padded(classes * apart, LINE),
        padded(apart * deep(width), LINE),
        padded(padded(width, wide) * deep(steps), LINE),
        padded(space, LINE),
        apart,
    )


def shares(count: int, most: int, fewest: int = 1) -> list[tuple[int, int]]:
    """The first and the end of about equal shares of some rows, none of less than `LEAST_ROWS` if there are so many.

    Args:
        count: How many there are.
        most: How many a share has at most, or a few more.
        fewest: How many shares there are at least, if there are rows for them.

    Example:
        >>> shares(65, 128, 2), shares(5, 128, 2), shares(300, 128)
        ([(0, 32), (32, 65)], [(0, 5)], [(0, 96), (96, 192), (192, 300)])
    """
    tiles = max(1, count // LEAST_ROWS)
    parts = max(1, min(tiles, max(-(-count // most), fewest)))
    ends = [LEAST_ROWS * (tiles * k // parts) for k in range(parts)] + [count]
    return list(itertools.pairwise(ends))


class _Chunk:
    """One call: the memory it works in, the jobs it refers to, and its tasks."""

    def __init__(
        self, rows: Tensor, weight: Tensor, bias: Tensor | None, targets: Tensor, smoothing: float, into: Gradients
    ) -> None:
        # What is named here is held until the tasks have run, since only its address is given away.
        self.rows, self.weight, self.targets, self.into = _lined(rows), _lined(weight), targets.contiguous(), into
        self.bias = None if bias is None else bias.contiguous()
        self.steps, self.width = rows.shape
        self.classes = len(weight)
        self.smoothing, self.double = smoothing, rows.dtype == torch.float64
        self.training = any(gradient is not None for gradient in into[:3])
        self.sizes = _sizes(self.steps, self.classes, self.width, self.double)
        short = 30 * self.steps * self.classes * self.width < RATE * SMALL
        self.used = 1 if short else threads.available()
        self.index = _index()
        self.jobs: list[ctypes.Array[ctypes.c_int64]] = []
        self.losses = torch.empty(self.sizes.apart, dtype=rows.dtype, device="cpu")

    def run(self) -> Tensor:
        """The losses."""
        size = self.rows.element_size()
        logits, by_step, by_width, space, _ = self.sizes
        self.memory = spare.take(logits + by_step + by_width + self.used * space, self.rows.dtype)
        self.logits = self.memory.data_ptr()
        self.by_step = self.logits + size * logits
        self.by_width = self.by_step + size * by_step
        self.space = self.by_width + size * by_width
        for tasks in (self._pack(), self._products_with_rows(), self._softmax(), self._products_with_gradients()):
            self._launch(tasks)
        spare.give(self.memory)
        return self.losses[: self.steps]

    def _job(self, *words: int) -> int:
        self.jobs.append((ctypes.c_int64 * len(words))(*words))
        return ctypes.addressof(self.jobs[-1])

    def _launch(self, tasks: Sequence[Task]) -> None:
        used = min(self.used, len(tasks))
        if used:
            listed = (ctypes.c_int64 * (4 * len(tasks)))(*[word for task in tasks for word in task])
            counter = ctypes.c_int64(0)
            thread = threads.thread_number() if used > 1 else threads.SINGLE
            words = (ctypes.addressof(counter), len(tasks), ctypes.addressof(listed), self.space, self.sizes.space)
            threads.parallel(_function("tasks", self.double), self._job(thread, *words), used)

    def _pack(self) -> list[Task]:
        """The outputs as panels: of units that are steps, and of units that are their numbers."""
        parts = int(multiplies_parts(host(), double=self.double))
        source, apart = self.rows.data_ptr(), self.rows.stride(0)
        rest = (1, parts, 0, matrix_function("pack", self.double))
        jobs = [self._job(self.by_step, source, apart, 1, self.steps, self.width, *rest)]
        if self.into.weight is not None:
            jobs.append(self._job(self.by_width, source, 1, apart, self.width, self.steps, *rest))
        function = _function("pack_share", self.double)
        return [(function, job, share, self.used) for job in jobs for share in range(self.used)]

    def _by_class(self) -> list[tuple[int, int]]:
        return shares(self.classes, CLASS_ROWS, 4 * self.used)

    def _products_with_rows(self) -> list[Task]:
        """The logits, without bias."""
        apart = self.sizes.apart
        words = (self.logits, apart, apart, self.index.data_ptr(), 1, 0, 0)
        job = self._job(*words, self.weight.data_ptr(), self.weight.stride(0), self.width, self.by_step)
        return [(matrix_function("rows_product", self.double), job, *share) for share in self._by_class()]

    def _softmax(self) -> list[Task]:
        """The losses, and the logits made gradients."""
        reals = (1 - self.smoothing, self.smoothing / self.classes)
        bits = (struct.unpack("q", struct.pack("d", number))[0] for number in reals)
        bias = 0 if self.bias is None else self.bias.data_ptr()
        words = (self.logits, self.sizes.apart, self.classes, self.steps, bias, self.targets.data_ptr())
        job = self._job(*words, self.losses.data_ptr(), *bits, int(self.training))
        function, apart = _function("cross_entropy", self.double), self.sizes.apart
        return [(function, job, first, min(apart, first + COLUMNS)) for first in range(0, apart, COLUMNS)]

    def _products_with_gradients(self) -> list[Task]:
        """The gradients, the longest tasks first."""
        rows, weight, bias, adds = self.into
        apart, index, tasks = self.sizes.apart, self.index.data_ptr(), []
        if rows is not None:
            sides = (self.logits, apart, 0, self.weight.data_ptr(), self.weight.stride(0), 0)
            job = self._job(index, 1, 1, 1, self.width, rows.data_ptr(), rows.stride(0), self.classes, *sides)
            function = matrix_function("gradient", self.double)
            tasks += [(function, job, *share) for share in shares(self.steps, ROWS - LEAST_ROWS, self.used)]
        if weight is not None:
            words = (weight.data_ptr(), self.width, self.width, index, 1, 0, int(adds))
            job = self._job(*words, self.logits, apart, self.steps, self.by_width)
            function = matrix_function("rows_product", self.double)
            tasks += [(function, job, *share) for share in self._by_class()]
        if bias is not None:
            job = self._job(self.logits, apart, bias.data_ptr(), int(adds))
            tasks += [(_function("row_sums", self.double), job, *share) for share in self._by_class()]
        return tasks


def _lined(matrix: Tensor) -> Tensor:
    """A matrix whose rows each follow one another number by number."""
    return matrix if matrix.stride(1) == 1 else matrix.contiguous()


@lru_cache(maxsize=1)
def _index() -> Tensor:
    """0, 1, 2, ..."""
    return torch.arange(2 * ROWS, device="cpu")


@lru_cache(maxsize=16)
def _function(name: str, double: bool) -> int:
    return _code(double).addresses[name]


@lru_cache(maxsize=2)
def _code(double: bool) -> library.Compiled:
    target = host()
    text = f"cross-entropy {double}"
    return library.load(text, lambda: emit_cross_entropy(target, double=double), target, FUNCTIONS)
