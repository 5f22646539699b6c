"""What a backend is asked to run: a cell over a batch of sequences."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from torch import Tensor

from recurra.equations.cell import Cell

__all__ = ["Job"]


class Job(NamedTuple):
    """A cell, what it runs on and in which direction; see `recurra.backends.reference.run`."""

    cell: Cell
    parameters: Mapping[str, Tensor]
    x: Tensor
    state: Mapping[str, Tensor]
    lengths: Tensor | None = None
    reverse: bool = False
    noise: Mapping[str, Tensor] | None = None
