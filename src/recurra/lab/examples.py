"""Examples: what a model reads, and what it should answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from recurra.data.batch import IGNORED

__all__ = ["IGNORED", "Draw", "Examples"]


@dataclass(frozen=True, eq=False, slots=True)
class Examples:
    """Sequences of equal length with their answers.

    Args:
        inputs: Numbers (B, T, I), or ids of symbols (B, T).
        targets: One number a sequence (B,), or ids of classes (B, T), `IGNORED` where there is nothing to answer.
        fresh: Whether the sequences begin here; otherwise each goes on where that row of the batch before stopped.
    """

    inputs: Tensor
    targets: Tensor
    fresh: bool = True

    @property
    def count(self) -> int:
        """How many answers there are to give."""
        return self.targets.numel() if self.targets.is_floating_point() else int((self.targets != IGNORED).sum())


Draw = Callable[[torch.Generator, int], Examples]
"""Draws the examples of a step of training, by its number from 0."""
