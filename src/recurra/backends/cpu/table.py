"""The table that compiled code is called with: where every array is, and how large it is.

A call takes one argument, a row of 64-bit words. Both sides, the emitter and the caller, know each word by its name.
"""

from __future__ import annotations

from recurra.backends.plan import Loop

__all__ = ["slots"]

COMMON = (
    "thread",  # address of the function that tells the number of this thread
    "splits",  # first row of each thread, and the end (threads + 1,)
    "sizes",  # rows running at each step (steps,)
    "offsets",  # packed place of each step's first row (steps,)
    "steps",  # how many steps there are
    "backwards",  # 1 to go from the last step to the first
    "rows",  # B
    "hidden",  # H
    "width",  # H, up to a whole number of vectors
    "scale",  # 1 / H
    "products",  # (N, products, width)
    "saved",  # (N, saved, width)
    "gradients",  # (N, gradients, width)
    "output",  # (N, width)
    "received",  # gradient at the output (N, width)
    "scratch",  # (B, scratch, width)
    "means",  # (B, means)
    "vectors",  # (vectors, width)
    "sums",  # of the gradients of vectors (threads, vectors, width)
)


def slots(loop: Loop, states: dict[str, int], noises: tuple[str, ...]) -> dict[str, int]:
    """The place of every name in the table of a loop.

    Args:
        loop: The loop that is called.
        states: The states and their furthest lag; each has a ring of lag + 1 rows of (B, width).
        noises: The noises, packed (N, width).
    """
    names = [*COMMON, *(f"ring.{s}" for s in states), *(f"noise.{n}" for n in noises)]
    names += [f"panels.{k}" for k, stage in enumerate(loop.stages) if stage.sums]
    return {name: place for place, name in enumerate(names)}
