"""Rows of whole numbers that are not equally long, kept one after another."""

from __future__ import annotations

from array import array
from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor

__all__ = ["RaggedRows"]


class RaggedRows:
    """Rows of different lengths that are picked by number and padded with 0 to the longest of those picked.

    They are kept as one array rather than as a tensor each: to pad a few hundred small tensors takes longer than all
    else that is done for a batch of words.

    Args:
        rows: The first rows.

    Example:
        >>> rows = RaggedRows([[5], [1, 2, 3]])
        >>> rows.append([7, 8])
        >>> rows.padded(torch.tensor([2, 0, 2])).tolist()
        [[7, 8], [5, 0], [7, 8]]
    """

    def __init__(self, rows: Iterable[Iterable[int]] = ()) -> None:
        self._values, self._starts = array("q"), array("q", [0])
        for row in rows:
            self.append(row)

    def __len__(self) -> int:
        return len(self._starts) - 1

    def append(self, row: Iterable[int]) -> None:
        """Add a row after the last."""
        self._values.extend(row)
        self._starts.append(len(self._values))

    def padded(self, numbers: Tensor) -> Tensor:
        """The rows (N, longest) of some numbers (N,) from 0, in int64."""
        values, starts = np.frombuffer(self._values, np.int64), np.frombuffer(self._starts, np.int64)
        picked = numbers.numpy()
        first, last = starts[picked, None], starts[picked + 1, None]
        places = first + np.arange((last - first).max(initial=0))
        inside = places < last
        rows = np.zeros(places.shape, np.int64)
        rows[inside] = values[places[inside]]
        return torch.from_numpy(rows)
