"""What the other occurrences of a word in its document say of it."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recurra.nn.dropout import Dropout, check_rate

__all__ = ["OccurrenceReader", "Occurrences"]


class Occurrences(NamedTuple):
    """The other occurrences of words in their documents, at most K of each.

    Attributes:
        vectors: The row of each neighbour there among vectors learned elsewhere from 1, 0 for none, (B, T, K, N).
        shapes: How the word is written there and how its neighbours are, (B, T, K, M); the first of them is 0 where
            there is no such occurrence, and only there.
    """

    vectors: Tensor
    shapes: Tensor


class OccurrenceReader(nn.Module):
    """The mean of what stands around the n other occurrences of a word, through a layer.

        o<t> = tanh(W [Σ_k [vectors of neighbours k, shapes k] / n, log n] + b),   0 for a word without others

    Ratinov and Roth, "Design challenges and misconceptions in named entity recognition", CoNLL 2009 (context
    aggregation).

    Args:
        neighbours: N, how many neighbours of an occurrence are read.
        vector_size: The width of the vector of each.
        columns: M, how many shapes an occurrence has.
        shapes: How many of them there are, 0 for none among them.
        output_size: The width of o.
        dropout: Rate of dropout on the means.

    Example:
        >>> reader = OccurrenceReader(neighbours=4, vector_size=5, columns=3, shapes=10, output_size=6)
        >>> occurrences = Occurrences(torch.ones(2, 7, 3, 4).long(), torch.ones(2, 7, 3, 3).long())
        >>> reader(occurrences, torch.randn(20, 5)).shape
        torch.Size([2, 7, 6])
    """

    def __init__(
        self, neighbours: int, vector_size: int, columns: int, shapes: int, output_size: int, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.shapes, self.output_size = shapes, output_size
        self.dropout = Dropout(check_rate("dropout", dropout))
        self.linear = nn.Linear(neighbours * vector_size + columns * shapes + 1, output_size)

    def forward(self, occurrences: Occurrences, vectors: Tensor) -> Tensor:
        """The vectors o (B, T, output_size), from the table of neighbours' vectors whose first row is that of none."""
        rows, steps = occurrences.shapes.shape[:2]
        shapes = occurrences.shapes.flatten(0, 1)
        # Most words have no other occurrence.
        some = (shapes[:, :, 0] != 0).any(1).nonzero().squeeze(1)
        shapes, neighbours = shapes[some], occurrences.vectors.flatten(0, 1)[some]
        dtype = self.linear.weight.dtype
        around = F.embedding(neighbours, vectors).to(dtype).flatten(2)
        written = F.one_hot(shapes, self.shapes).to(dtype).flatten(2)
        counted = (shapes[:, :, :1] != 0).to(dtype)
        count = counted.sum(1)
        mean = (torch.cat([around, written], 2) * counted).sum(1) / count
        read: Tensor = self.linear(self.dropout(torch.cat([mean, count.log()], 1))).tanh()
        result: Tensor = read.new_zeros(rows * steps, self.output_size).index_copy(0, some, read)
        return result.view(rows, steps, self.output_size)
