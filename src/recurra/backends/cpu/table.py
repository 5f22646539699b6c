"""The table that compiled code is called with: where every array is, and how large it is.

A call takes one argument, a row of 64-bit words. Both sides, the emitter and the caller, know each word by its name.
"""

from __future__ import annotations

from recurra.backends.plan import Loop

__all__ = ["LINE", "PACK_WORDS", "SHARED_WORDS", "panels", "slots"]

COMMON = (
    "thread",  # address of the function that tells the number of this thread; 0 for a call on one
    "threads",  # how many there are
    "by_units",  # 1 if the threads share out the units of every step, 0 if each has rows of its own
    "shares",  # how many parts the units are shared out in
    "sync",  # counters that threads wait for, a cache line each: barrier, tasks, parts done, and a claim a part
    "yield",  # address of the function that lets other threads run; 0 for none
    "product",  # address of the function of that name
    "product.parts",  # address of its twin that works on parts
    "split",  # address of the function that makes parts of rows, for products in the loop; 0 if they work on numbers
    "few",  # fewer rows than this are worked on as numbers all the same
    "depth",  # how many numbers each unit of a recurrent panel has, one of parts if there are such
    "inputs.product",  # address of the function that does the products before the loop, on either; 0 if they are there
    "inputs.split",  # address of the function that makes parts of their rows; 0 if they work on numbers
    "parts",  # of rows (threads, parts.size)
    "parts.size",
    "pack",  # address of the function of that name
    "packs",  # matrices to be packed before anything else (packs, PACK_WORDS)
    "packs.count",
    "tasks",  # what is computed after the last step (tasks, 4): function, job, first and end
    "tasks.count",
    "workspace",  # for the tasks (threads, workspace.size)
    "workspace.size",
    "index",  # 0, 1, 2, ...
    "order",  # for each row, which of the caller's it is (B,)
    "shared",  # of each thread its first row, the end of its rows, and how many others have before it (threads, 3)
    "rows.apart",  # how far it is from one of a thread's rows to its next
    "sizes",  # rows running at each step (steps,)
    "offsets",  # packed place of each step's first row (steps,)
    "steps",  # how many steps there are
    "backwards",  # 1 to go from the last step to the first
    "chunk",  # for how many steps at a time the products with the input are computed
    "lines",  # the places of a chunk's rows in the caller's batch (threads, lines.size)
    "lines.size",
    "starts",  # where each step of a chunk begins among them (threads, chunk)
    "rows",  # B
    "hidden",  # H
    "width",  # H, up to a whole number of vectors
    "padded",  # H, up to a whole number of panels
    "products",  # of a chunk (chunk · B, products, padded)
    "saved",  # (N, saved, width)
    "gradients",  # (N, gradients, width)
    "output",  # (T · B, width)
    "received",  # gradient at the output (T · B, width)
    "scratch",  # (B, scratch, width)
    "means",  # (B, means)
    "vectors",  # (vectors, padded)
    "sums",  # of the gradients of vectors (threads, vectors, width)
)

LINE = 8
"""Words of a cache line."""

PACK_WORDS = 10
"""Words of what is asked of `pack`."""


SHARED_WORDS = 3
"""Words of what tells a thread its rows."""


def slots(loop: Loop, states: dict[str, int], noises: tuple[str, ...], carried: tuple[str, ...]) -> dict[str, int]:
    """The place of every name in the table of a loop.

    Args:
        loop: The loop that is called.
        states: The states and their furthest lag; each has a ring of lag + 1 rows of (B, width).
        noises: The noises, packed (N, width).
        carried: What is carried from call to call: the caller's rows (B, H), before the first step and after the last.
    """
    names = [*COMMON, *(f"ring.{s}" for s in states), *(f"noise.{n}" for n in noises)]
    names += [f"{place}.{key}" for key in carried for place in ("before", "after")]
    names += [f"{kind}.{place}" for place in loop.products for kind in ("operand", "length", "depth", "input")]
    names += [panels(number) for number, stage in enumerate(loop.stages) if stage.sums]
    return {name: place for place, name in enumerate(names)}


def panels(stage: int) -> str:
    """The name of the panels of a stage: of each product of each of its sums, for the same units side by side."""
    return f"panels.{stage}"
