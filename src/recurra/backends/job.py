"""What a backend is asked to run: a cell over a batch of sequences."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from torch import Tensor

from recurra.backends import gate
from recurra.equations.cell import Cell

__all__ = ["Job", "one_by_one"]


class Job(NamedTuple):
    """A cell of H units, what it runs on and in which direction; see `recurra.backends.reference.run`.

    A state that is not given is zero.
    """

    cell: Cell
    hidden_size: int
    parameters: Mapping[str, Tensor]
    x: Tensor
    state: Mapping[str, Tensor]
    lengths: Tensor | None = None
    reverse: bool = False
    noise: Mapping[str, Tensor] | None = None
    layer: int | None = None
    """Which layer of a network it is, for messages."""

    def whole_state(self) -> dict[str, Tensor]:
        """The state before the first step, (B, H) each."""
        state, missing = dict(self.state), [key for key in self.cell.carried_names if key not in self.state]
        if missing:
            # What is only read may be one tensor for all.
            state |= dict.fromkeys(missing, self.x.new_zeros(self.x.shape[1], self.hidden_size))
        return state


def one_by_one(
    run: Callable[..., tuple[Tensor, dict[str, Tensor]]], jobs: Sequence[Job]
) -> list[tuple[Tensor, dict[str, Tensor]]]:
    """The forward passes of several jobs, with last states (1, B, H) each.

    Args:
        run: The forward pass of one, as `recurra.backends.reference.run`.
        jobs: The jobs.

    Raises:
        ShapeError: A tensor of a job does not have the shape that its cell gives it, or not the dtype or device of x.
    """
    found = []
    for job in jobs:
        gate.check(gate.operands_of(job))
        options = {"lengths": job.lengths, "reverse": job.reverse, "noise": job.noise}
        outputs, last = run(job.cell, job.parameters, job.x, job.whole_state(), **options)
        found.append((outputs, {key: rows.unsqueeze(0) for key, rows in last.items()}))
    return found
