"""Ragged sequences laid out so that no step past a row's end is ever computed.

The rows of a batch are sorted by length, longest first. At step t the rows that are still running are then the first
`sizes[t]` ones, and the *packed* layout is those rows of step 0, then those of step 1, and so on: (N, ...) with N the
number of steps that count.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

__all__ = ["Layout"]

_CPU = torch.device("cpu")


@dataclass(frozen=True)
class Layout:
    """Where the steps that count stand in a padded batch.

    Args:
        steps: T, the length of the padded time axis.
        batch: B.
        sizes: For each step up to the longest length, how many rows are running.
        sorted_rows: The rows from longest to shortest (B,); None if all are T long and nothing moves.
        device: Where tensors that are laid out are.
    """

    steps: int
    batch: int
    sizes: list[int]
    sorted_rows: np.ndarray | None = None
    device: torch.device = _CPU

    @classmethod
    def of(cls, steps: int, batch: int, lengths: Tensor | None) -> Layout:
        """The layout of a batch.

        Args:
            steps: T.
            batch: B.
            lengths: How many steps of each row count (B,), each from 1 to T; None for all.

        Example:
            >>> Layout.of(3, 2, torch.tensor([1, 3])).sizes
            [2, 1, 1]
        """
        if lengths is None:
            return cls(steps, batch, [batch] * steps)
        # NumPy, since each of these few numbers' operations takes it a fraction of the time that it takes PyTorch.
        ends = lengths.cpu().numpy()
        if (ends == steps).all():
            return cls(steps, batch, [batch] * steps)
        over = np.bincount(ends)[:-1].cumsum()
        return cls(steps, batch, (batch - over).tolist(), np.argsort(-ends, kind="stable"), lengths.device)

    @property
    def ragged(self) -> bool:
        """Whether there are steps that do not count."""
        return self.sorted_rows is not None

    @cached_property
    def order(self) -> Tensor | None:
        """The rows from longest to shortest (B,); None if all are T long."""
        return None if self.sorted_rows is None else torch.from_numpy(self.sorted_rows).to(self.device)

    @cached_property
    def numbers(self) -> Tensor | None:
        """For each packed row its place in the flattened (T · B) batch as it is given; None if all are in order."""
        if self.sorted_rows is None:
            return None
        sizes = np.asarray(self.sizes)
        row = np.arange(self.total) - np.repeat(sizes.cumsum() - sizes, sizes)
        step = np.repeat(np.arange(len(sizes)) * self.batch, sizes)
        return torch.from_numpy(step + self.sorted_rows[row]).to(self.device)

    @cached_property
    def total(self) -> int:
        """N, the number of steps that count."""
        return sum(self.sizes)

    def pack(self, padded: Tensor) -> Tensor:
        """From (T, B, ...) to (N, ...)."""
        flat = padded.reshape(self.steps * self.batch, *padded.shape[2:])
        # Asked in this order, since torch.compile cannot read what a layout has yet to work out.
        if self.sorted_rows is None or self.numbers is None:
            return flat
        return flat.index_select(0, self.numbers)

    def unpack(self, packed: Tensor) -> Tensor:
        """From (N, ...) to (T, B, ...), with zeros past each row's length."""
        if self.sorted_rows is not None and self.numbers is not None:
            packed = packed.new_zeros(self.steps * self.batch, *packed.shape[1:]).index_copy(0, self.numbers, packed)
        return packed.reshape(self.steps, self.batch, *packed.shape[1:])

    def sort(self, rows: Tensor) -> Tensor:
        """The rows of (B, ...) from longest to shortest."""
        if self.sorted_rows is None or self.order is None:
            return rows
        return rows.index_select(0, self.order)

    def unsort(self, rows: Tensor) -> Tensor:
        """The rows of (B, ...) back in the order they came in."""
        if self.sorted_rows is None or self.order is None:
            return rows
        return rows.index_select(0, torch.argsort(self.order))

    def repeat(self, rows: Tensor) -> Tensor:
        """One vector a row (B, ...) given at each of its steps, packed (N, ...)."""
        rows = self.sort(rows)
        return torch.cat([rows[:n] for n in self.sizes])
