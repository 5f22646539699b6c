"""Embeddings whose gradients use the same memory in every step of training."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from recurra.backends.cpu import spare

__all__ = ["Embedding", "EmbeddingBag"]

# The gradient of an embedding is as large as the embedding, and 0 but for the rows that were read. Torch allocates it
# anew in each step; memory that is new to the process costs a page fault for every 4 KiB, which for a vocabulary of
# 17,000 words takes longer than all the rest of a tagger's step.


class Embedding(nn.Embedding):
    """Vectors by number, as torch's layer of this name: same arguments, values, gradients and state_dict.

        v = E[row]

    In training on a processor the gradient of a large one is in memory that is used again when nothing refers to it any
    more, and cannot be differentiated once more.

    Example:
        >>> Embedding(10, 3)(torch.tensor([[1, 2], [4, 4]])).shape
        torch.Size([2, 2, 3])
    """

    def forward(self, input: Tensor) -> Tensor:
        """The vectors (..., width) of whole numbers (...)."""
        special = self.max_norm is not None or self.scale_grad_by_freq or self.sparse
        if special or not _is_pooled(self.weight):
            return super().forward(input)
        return _Rows.apply(self.weight, input, self.padding_idx)  # type: ignore[no-untyped-call,no-any-return]


class EmbeddingBag(nn.EmbeddingBag):
    """The means of the vectors of several numbers, as torch's layer of this name with `mode="mean"`.

        v = mean over i of E[row<i>]

    Those of `padding_idx` do not count, and a bag of nothing else is 0. Of its gradient `Embedding` tells.

    Args:
        num_embeddings: How many vectors there are.
        embedding_dim: Their width.
        padding_idx: The number that fills the places past the last of a bag.

    Example:
        >>> bag = EmbeddingBag(10, 3, padding_idx=0)
        >>> bool((bag(torch.tensor([[4, 0]])) == bag.weight[4]).all())
        True
    """

    padding_idx: int

    def __init__(self, num_embeddings: int, embedding_dim: int, padding_idx: int) -> None:
        super().__init__(num_embeddings, embedding_dim, mode="mean", padding_idx=padding_idx)

    def forward(self, input: Tensor) -> Tensor:  # type: ignore[override]
        """The means (N, width) of bags (N, G)."""
        if not _is_pooled(self.weight):
            return super().forward(input)
        return _Means.apply(self.weight, input, self.padding_idx)  # type: ignore[no-untyped-call,no-any-return]


def _is_pooled(weight: Tensor) -> bool:
    """Whether the gradient is to be in memory that is used again: that of a large one, on a processor."""
    if not (weight.requires_grad and torch.is_grad_enabled()) or weight.numel() < spare.LEAST:
        return False
    plain = weight.device.type == "cpu" and type(weight.data) is Tensor and weight.dtype in _DTYPES
    return plain and not torch.compiler.is_compiling()


_DTYPES = {torch.float32, torch.float64}
"""Those that the pool of memory has."""


def _scattered(like: Tensor, rows: Tensor, gradients: Tensor) -> Tensor:
    """The gradient of weights: the gradients (N, width) of the rows (N,) that were read, added up."""
    total = spare.lend(like).zero_()
    return total.index_add_(0, rows, gradients.to(like.dtype))


class _Rows(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, weight: Tensor, rows: Tensor, padding: int | None) -> Tensor:  # noqa: ANN401
        ctx.save_for_backward(rows)
        ctx.like = weight.detach()
        ctx.padding = padding
        return F.embedding(rows, weight)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401
        (rows,) = ctx.saved_tensors
        total = _scattered(ctx.like, rows.flatten(), gradient.flatten(0, -2))
        if ctx.padding is not None:
            total[ctx.padding] = 0
        return total, None, None


class _Means(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, weight: Tensor, bags: Tensor, padding: int) -> Tensor:  # noqa: ANN401
        inside = bags != padding
        # Without padding torch sums them several times as fast.
        rows, counts = bags[inside], inside.sum(1)
        ctx.save_for_backward(rows, counts)
        ctx.like = weight.detach()
        sums = F.embedding_bag(rows, weight, counts.cumsum(0) - counts, mode="sum")
        return sums / counts.clamp(min=1).unsqueeze(1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401
        rows, counts = ctx.saved_tensors
        shares = gradient / counts.clamp(min=1).unsqueeze(1)
        return _scattered(ctx.like, rows, shares.repeat_interleave(counts, 0)), None, None
