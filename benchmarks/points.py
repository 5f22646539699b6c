"""Every contender at every cell, kind of pass, batch and hidden size."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from compiled import compiled
from contenders import CELLS, contenders, layer_of, parameters_of, pass_of
from results import KINDS, Kind, Point, Results
from timing import Effort, alternate

from recurra import Cell


@dataclass(frozen=True)
class Grid:
    """Which points: all cells at all batches and sizes, of T steps each.

    `compile_at` are the (B, H) at which torch.compile is tried, for `compile_limit` seconds each.
    """

    cells: Sequence[str]
    batches: Sequence[int]
    sizes: Sequence[int]
    steps: int
    compile_at: Sequence[tuple[int, int]] = ()
    compile_limit: float = 0.0


def operations(cell: Cell, batch: int, size: int, steps: int, kind: Kind) -> int:
    """Floating-point operations of a pass's products, two for each multiply-add; those of the gates are not counted.

    Training is three times forward: the gradients of the operands and of the matrices are a product each.
    """
    elements = sum(math.prod(p.shape(size, size)) for p in cell.parameters.values() if p.kind == "matrix")
    return 2 * elements * batch * steps * (3 if kind == "training" else 1)


def carried_bytes(cell: Cell, size: int) -> int:
    """Bytes of the weights, in float32, that stand before a state: whoever runs a step reads them, each time anew."""
    return 4 * sum(math.prod(p.shape(0, size)) for p in cell.parameters.values() if p.kind == "matrix")


def measure_points(results: Results, grid: Grid, effort: Effort, progress: Callable[[str], None]) -> None:
    """Measure all points, and add each to the results when it is known."""
    for name in grid.cells:
        for size in grid.sizes:
            for batch in grid.batches:
                for kind in KINDS:
                    progress(f"{name}, B {batch}, H {size}, {kind}")
                    results.points += _point(name, batch, size, kind, results, grid, effort)


def _point(name: str, batch: int, size: int, kind: Kind, results: Results, grid: Grid, effort: Effort) -> list[Point]:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(grid.steps, batch, size, generator=generator)
    above = torch.randn(grid.steps, batch, size, generator=generator)
    layer = layer_of(name, size)
    found = contenders(name, layer, kind)
    if (batch, size) in grid.compile_at:
        result = compiled(name, parameters_of(layer), x, above, kind, grid.compile_limit)
        if isinstance(result, str):
            results.notes.append(f"torch.compile, {name}, B {batch}, H {size}, {kind}: {result}")
        else:
            found["torch.compile"] = result
    timings = alternate({who: pass_of(c, x, above, kind) for who, c in found.items()}, effort)
    work = operations(CELLS[name], batch, size, grid.steps, kind)
    passes = grid.steps * (2 if kind == "training" else 1)
    least = results.machine.least_seconds(work, carried_bytes(CELLS[name], size), passes)
    points = []
    for who, timing in timings.items():
        gflops = work / timing.seconds / 1e9
        of_peak = gflops / results.machine.peak
        point = Point(kind, name, batch, size, grid.steps, who, timing.seconds, timing.runs, gflops, of_peak, least)
        points.append(point)
    return points
