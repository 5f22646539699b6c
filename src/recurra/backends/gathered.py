"""Steps whose inputs are rows of a table, copied before each."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

__all__ = ["gathered"]


def gathered(
    bound: Callable[[Tensor, Tensor], Callable[[], None]], inputs: Tensor, rows: Tensor, out: Tensor
) -> Callable[[], None]:
    """What advances by one step a call, whose input are the rows of `inputs` that `rows` then names.

    Args:
        bound: Gives the step from an input (B, I) to an output (B, H), which are the same tensors at every call.
        inputs: (N, I).
        rows: (B,), whole numbers below N.
        out: (B, H).
    """
    x = inputs.new_empty(len(rows), inputs.shape[1])
    advance = bound(x, out)

    def step() -> None:
        torch.index_select(inputs, 0, rows, out=x)
        advance()

    return step
