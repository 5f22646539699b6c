"""The first use of a layer: what a process pays for it once, with nothing compiled before and with all of it on disk.

It is the time of the first forward and backward less that of the second. Before, the process has used torch for
something else, so that what torch itself does at its first use is not counted.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable

import torch
from child import measured_in_child, training_of
from results import FirstUse, Results

CELL = "lstm"
SHAPE = (32, 128, 20)
"""B, H, T: few steps, so that the difference is not lost in the time of a pass."""


def measure_first_use(results: Results, repeats: int, progress: Callable[[str], None]) -> None:
    """The medians over some fresh processes."""
    for contender in ("recurra", "torch.nn"):
        progress(f"first use: {contender}")
        empty, filled = [], []
        for _ in range(repeats):
            with tempfile.TemporaryDirectory() as folder:
                first = [measured_in_child(__file__, contender, CELL, *SHAPE, RECURRA_CACHE=folder) for _ in range(2)]
            empty.append(first[0])
            filled.append(first[1])
        results.first_use.append(FirstUse(CELL, contender, "empty", statistics.median(empty)))
        results.first_use.append(FirstUse(CELL, contender, "filled", statistics.median(filled)))


def _child(contender: str, name: str, batch: int, size: int, steps: int) -> float:
    run = training_of(contender, name, batch, size, steps)
    _use_torch(batch, size, steps)
    taken = []
    for _ in range(2):
        begun = time.perf_counter()
        run(steps, batch)
        taken.append(time.perf_counter() - begun)
    return taken[0] - taken[1]


def _use_torch(batch: int, size: int, steps: int) -> None:
    """Start torch's threads, its autograd and its matrix products."""
    layer = torch.nn.Linear(size, 4 * size)
    for _ in range(2):
        outputs = layer(torch.randn(steps, batch, size)).tanh()
        torch.autograd.backward(outputs, torch.ones_like(outputs))


if __name__ == "__main__":
    torch.set_num_threads(int(sys.argv[1]))
    print(_child(sys.argv[2], sys.argv[3], *map(int, sys.argv[4:])))
