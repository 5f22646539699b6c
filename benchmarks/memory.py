"""Memory in training: how far the resident memory of a fresh process rises over what it holds before.

The process makes the layer, its inputs and the gradient from above, and does one step at a small size, which loads all
code. Its resident memory then is what is counted from; the highest it reaches in the steps after is what counts.
"""

from __future__ import annotations

import contextlib
import resource
import statistics
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from child import measured_in_child, training_of
from results import Memory, Results

CELL = "lstm"
STEPS_OF_TRAINING = 5


def measure_memory(
    results: Results, shapes: Sequence[tuple[int, int, int]], repeats: int, progress: Callable[[str], None]
) -> None:
    """The median over some fresh processes at each (B, H, T)."""
    for batch, size, steps in shapes:
        for contender in ("recurra", "torch.nn"):
            progress(f"memory: {contender}, B {batch}, H {size}, T {steps}")
            arguments = (contender, CELL, batch, size, steps)
            # Once before, so that compiled code is on disk: the memory of the compiler is not that of training.
            measured_in_child(__file__, *arguments)
            median = statistics.median(measured_in_child(__file__, *arguments) for _ in range(repeats))
            results.memory.append(Memory(CELL, batch, size, steps, contender, median))


def _child(contender: str, name: str, batch: int, size: int, steps: int) -> float:
    """How far resident memory rises, in MiB."""
    run = training_of(contender, name, batch, size, steps)
    run(2, 2)
    before = _forget_highest()
    for _ in range(STEPS_OF_TRAINING):
        run(steps, batch)
    return (_highest() - before) / 1024


def _forget_highest() -> int:
    """Resident memory now, in KiB, from which its highest is counted again, where the system can do that.

    Elsewhere it is the highest so far, and a rise that does not reach it is not seen.
    """
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    return _highest()


def _highest() -> int:
    """The most resident memory so far, in KiB."""
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))
    except (OSError, StopIteration):
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most // 1024 if sys.platform == "darwin" else most


if __name__ == "__main__":
    torch.set_num_threads(int(sys.argv[1]))
    print(_child(sys.argv[2], sys.argv[3], *map(int, sys.argv[4:])))
