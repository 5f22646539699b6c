"""Attention: for each query a mean of the memory, weighed by how well each part of it fits."""

from __future__ import annotations

from typing import Literal, NamedTuple, get_args

import torch
from torch import Tensor, nn

from recurra.errors import SettingError

__all__ = ["Attention", "AttentionKind", "Memory"]

AttentionKind = Literal["dot", "general", "additive"]
"""How a query and a part of the memory are compared."""


class Memory(NamedTuple):
    """What attention reads, prepared once for all queries.

    Attributes:
        values: The memory m<1..S>, (B, S, M).
        keys: What queries are compared with, (B, S, K).
        inside: Which parts of the memory there are, (B, S); the others are padding.
    """

    values: Tensor
    keys: Tensor
    inside: Tensor


class Attention(nn.Module):
    """Attention of queries q<1..T> over a memory m<1..S>, for all queries at once.

        score(q, m) = q · m / √M                       dot
                      q · (W m)                        general
                      u · tanh(W m + Q q)              additive
        a<t, s> = exp(score(q<t>, m<s>)) / Σ over s' of exp(score(q<t>, m<s'>))
        c<t>    = Σ over s of a<t, s> m<s>

    dot and general: Luong, Pham and Manning, "Effective approaches to attention-based neural machine translation",
    EMNLP 2015, the first scaled as in Vaswani et al., "Attention is all you need", 2017; additive: Bahdanau, Cho and
    Bengio, "Neural machine translation by jointly learning to align and translate", ICLR 2015.

    Args:
        query_size: The width of the queries.
        memory_size: M, the width of the memory.
        kind: How the two are compared.
        width: The width of the layer in which the additive kind compares them; None for that of the queries.

    Raises:
        SettingError: There is no such kind, or with "dot" the widths differ.

    Example:
        >>> attention = Attention(query_size=4, memory_size=6, kind="general")
        >>> memory = attention.prepare(torch.randn(2, 5, 6), torch.tensor([5, 3]))
        >>> context, weights = attention(torch.randn(2, 7, 4), memory)
        >>> context.shape, weights.shape, bool((weights[1, :, 3:] == 0).all())
        (torch.Size([2, 7, 6]), torch.Size([2, 7, 5]), True)
    """

    def __init__(
        self, query_size: int, memory_size: int, kind: AttentionKind = "general", width: int | None = None
    ) -> None:
        super().__init__()
        if kind not in get_args(AttentionKind):
            raise SettingError(f"there is no attention {kind!r}; choose one of: {', '.join(get_args(AttentionKind))}")
        if kind == "dot" and query_size != memory_size:
            raise SettingError(
                f"the queries are {query_size} wide and the memory {memory_size}; attention 'dot' compares what is as "
                "wide: choose 'general' or 'additive'"
            )
        width = query_size if width is None else width
        self.kind = kind
        self.memory_map = None if kind == "dot" else nn.Linear(memory_size, width, bias=kind == "additive")
        self.query_map = nn.Linear(query_size, width, bias=False) if kind == "additive" else None
        self.score = nn.Linear(width, 1, bias=False) if kind == "additive" else None

    def prepare(self, values: Tensor, lengths: Tensor) -> Memory:
        """The memory (B, S, M), of which so many parts of each row count, (B,)."""
        keys = values * values.shape[2] ** -0.5 if self.memory_map is None else self.memory_map(values)
        inside = torch.arange(values.shape[1], device=values.device) < lengths.to(values.device)[:, None]
        return Memory(values, keys, inside)

    def forward(self, queries: Tensor, memory: Memory) -> tuple[Tensor, Tensor]:
        """The contexts c<1..T> (B, T, M) and the weights a (B, T, S) of queries (B, T, query_size)."""
        if self.query_map is None:
            scores = queries @ memory.keys.transpose(1, 2)
        else:
            assert self.score is not None
            compared = (self.query_map(queries).unsqueeze(2) + memory.keys.unsqueeze(1)).tanh()
            scores = self.score(compared).squeeze(3)
        weights = scores.masked_fill(~memory.inside.unsqueeze(1), -torch.inf).softmax(2)
        return weights @ memory.values, weights
