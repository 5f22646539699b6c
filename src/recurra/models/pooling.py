"""Pooling: one vector for a whole sequence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from recurra.errors import SettingError
from recurra.nn.recurrent import Recurrent

__all__ = ["Pooling", "PoolingKind"]

PoolingKind = Literal["last", "mean", "max", "attention", "last+mean+max"]
"""What stands for a sequence of outputs."""


class Pooling(nn.Module):
    """One vector for a sequence of outputs h<1..T>; what lies past a row's length never changes it.

    | kind | the vector | source |
    | --- | --- | --- |
    | last | h<T>; of the reverse direction h<1> | Graves and Schmidhuber, 2005 |
    | mean | Σ h<t> / T | |
    | max | the largest of each unit | Collobert et al., "Natural language processing (almost) from scratch", 2011 |
    | attention | Σ a<t> h<t>, a = softmax(uᵀ tanh(A h<t>)) | Lin et al., "Structured self-attentive embedding", 2017 |
    | last+mean+max | the three side by side | Howard and Ruder, "Universal language model fine-tuning", ACL 2018 |

    Args:
        recurrent: The layers whose outputs are pooled.
        kind: Which.

    Raises:
        SettingError: There is no such kind.

    Example:
        >>> pooling = Pooling(Recurrent("gru", 3, 4, bidirectional=True), "max")
        >>> pooling(torch.randn(2, 5, 8), [5, 2]).shape, pooling.width
        (torch.Size([2, 8]), 8)
    """

    def __init__(self, recurrent: Recurrent, kind: PoolingKind) -> None:
        super().__init__()
        if kind not in get_args(PoolingKind):
            raise SettingError(f"there is no pooling {kind!r}; choose one of: {', '.join(get_args(PoolingKind))}")
        self.kinds = kind.split("+")
        self.hidden_size = recurrent.hidden_size
        outputs = recurrent.hidden_size * recurrent.num_directions
        self.width = outputs * len(self.kinds)
        attends = "attention" in self.kinds
        self.attention = nn.Linear(outputs, outputs) if attends else None
        self.attended = nn.Linear(outputs, 1, bias=False) if attends else None

    def forward(self, outputs: Tensor, lengths: Tensor | Sequence[int] | None = None) -> Tensor:
        """The vectors (B, width) of outputs (B, T, D · H); `lengths` (B,) says how many steps of each row count."""
        batch, steps = outputs.shape[:2]
        if lengths is None:
            ends = torch.full((batch,), steps, device=outputs.device)
        else:
            ends = torch.as_tensor(lengths, device=outputs.device)
        inside = (torch.arange(steps, device=outputs.device) < ends[:, None]).unsqueeze(2)
        return torch.cat([self._pooled(kind, outputs, ends, inside) for kind in self.kinds], 1)

    def prefixes(self, outputs: Tensor) -> Tensor:
        """The vector of every prefix h<1..t>, (B, T, width), of outputs (B, T, H) of a network that reads forward.

        Raises:
            SettingError: The network reads in both directions: its outputs know what comes after a prefix.
        """
        if outputs.shape[2] != self.hidden_size:
            raise SettingError("a network that reads in both directions has no outputs for prefixes; read each anew")
        return torch.cat([self._pooled_prefixes(kind, outputs) for kind in self.kinds], 2)

    def weights(self, outputs: Tensor, inside: Tensor) -> Tensor:
        """How much each step counts in attention, (B, T, 1); each row sums to 1."""
        return self._scores(outputs).masked_fill(~inside, -torch.inf).softmax(1)

    def _scores(self, outputs: Tensor) -> Tensor:
        """The score of each step, (B, T, 1), whose softmax is its weight."""
        assert self.attention is not None
        assert self.attended is not None
        scores: Tensor = self.attended(self.attention(outputs).tanh())
        return scores

    def _pooled(self, kind: str, outputs: Tensor, ends: Tensor, inside: Tensor) -> Tensor:
        if kind == "last":
            forward = outputs[torch.arange(len(outputs), device=outputs.device), ends - 1, : self.hidden_size]
            return torch.cat([forward, outputs[:, 0, self.hidden_size :]], 1)
        if kind == "mean":
            # A sum of many steps may be no number of half precision.
            total = outputs.masked_fill(~inside, 0).sum(1, dtype=torch.promote_types(outputs.dtype, torch.float32))
            return (total / ends[:, None]).to(outputs.dtype)
        if kind == "max":
            return outputs.masked_fill(~inside, torch.finfo(outputs.dtype).min).amax(1)
        return (self.weights(outputs, inside) * outputs.masked_fill(~inside, 0)).sum(1)

    def _pooled_prefixes(self, kind: str, outputs: Tensor) -> Tensor:
        if kind == "last":
            return outputs
        if kind == "max":
            return outputs.cummax(1).values
        if kind == "mean":
            counts = torch.ones_like(outputs[:, :, :1], dtype=torch.float64)
        else:
            counts = self._scores(outputs).double()
            counts = (counts - counts.amax(1, keepdim=True)).exp()
        # In double precision: sums of many steps, and of scores that lie far below the highest, which comes later.
        return ((counts * outputs).cumsum(1) / counts.cumsum(1)).to(outputs.dtype)
