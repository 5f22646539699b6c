"""Ragged sequences laid out so that no step past a row's end is ever computed.

The rows of a batch are sorted by length, longest first. At step t the rows that are still running are then the first
`sizes[t]` ones, and the *packed* layout is those rows of step 0, then those of step 1, and so on: (N, ...) with N the
number of steps that count.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

__all__ = ["Layout"]


@dataclass(frozen=True)
class Layout:
    """Where the steps that count stand in a padded batch.

    Args:
        steps: T, the length of the padded time axis.
        batch: B.
        sizes: For each step up to the longest length, how many rows are running.
        order: The rows from longest to shortest (B,); None if all are T long and nothing moves.
        places: The place of each packed row in the flattened (T · B) batch of sorted rows (N,); None likewise.
    """

    steps: int
    batch: int
    sizes: list[int]
    order: Tensor | None = None
    places: Tensor | None = None

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
        if lengths is None or bool((lengths == steps).all()):
            return cls(steps, batch, [batch] * steps)
        order = torch.argsort(lengths, descending=True, stable=True)
        running = torch.arange(steps, device=lengths.device)[:, None] < lengths[order]
        sizes = [n for n in running.sum(1).tolist() if n]
        return cls(steps, batch, sizes, order, running.flatten().nonzero()[:, 0])

    @cached_property
    def ragged(self) -> bool:
        """Whether there are steps that do not count."""
        return self.order is not None

    @cached_property
    def numbers(self) -> Tensor | None:
        """For each packed row its place in the flattened (T · B) batch as it is given; None if all are in order."""
        if self.order is None or self.places is None:
            return None
        return self.places // self.batch * self.batch + self.order[self.places % self.batch]

    @cached_property
    def total(self) -> int:
        """N, the number of steps that count."""
        return sum(self.sizes)

    def pack(self, padded: Tensor) -> Tensor:
        """From (T, B, ...) to (N, ...)."""
        if self.order is None or self.places is None:
            return padded.reshape(self.steps * self.batch, *padded.shape[2:])
        rows = padded.index_select(1, self.order).flatten(0, 1)
        return rows.index_select(0, self.places)

    def unpack(self, packed: Tensor) -> Tensor:
        """From (N, ...) to (T, B, ...), with zeros past each row's length."""
        if self.order is None or self.places is None:
            return packed.reshape(self.steps, self.batch, *packed.shape[1:])
        rows = packed.new_zeros(self.steps * self.batch, *packed.shape[1:]).index_copy(0, self.places, packed)
        return rows.reshape(self.steps, self.batch, *packed.shape[1:]).index_select(1, torch.argsort(self.order))

    def sort(self, rows: Tensor) -> Tensor:
        """The rows of (B, ...) from longest to shortest."""
        return rows if self.order is None else rows.index_select(0, self.order)

    def unsort(self, rows: Tensor) -> Tensor:
        """The rows of (B, ...) back in the order they came in."""
        return rows if self.order is None else rows.index_select(0, torch.argsort(self.order))

    def repeat(self, rows: Tensor) -> Tensor:
        """One vector a row (B, ...) given at each of its steps, packed (N, ...)."""
        rows = self.sort(rows)
        return torch.cat([rows[:n] for n in self.sizes])
