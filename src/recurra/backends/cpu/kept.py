"""What a graph's operator keeps for the backward pass: a parameter of which gates are blocks of rows, as a whole."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import Parameter

from recurra.errors import ShapeError

__all__ = ["Block", "blocks_of", "kept_whole"]


class Block(NamedTuple):
    """Rows of a tensor that is kept for the backward pass."""

    place: int
    start: int
    stop: int
    shape: torch.Size
    """Of the whole tensor."""


def kept_whole(tensors: Sequence[Tensor]) -> tuple[Sequence[Tensor], Sequence[Block | None] | None]:
    """Tensors as they are kept for the backward pass: in place of some rows of a parameter, all of it.

    A gate's block of torch.nn's weights is such rows. Whatever changes the parameter between the passes is noticed, or
    undone where that is allowed, at the parameter itself and not at its views.

    Returns:
        What is kept, and what `blocks_of` needs to find the tensors again; None if they are what is kept.
    """
    bases = [tensor._base for tensor in tensors]
    if all(type(base) is not Parameter for base in bases):
        return tensors, None
    kept: dict[int, Tensor] = {}
    blocks: list[Block | None] = []
    for tensor, base in zip(tensors, bases, strict=True):
        block = None
        if type(base) is Parameter and tensor.shape[1:] == base.shape[1:] and tensor.stride() == base.stride():
            start = (tensor.storage_offset() - base.storage_offset()) // max(1, base.stride(0))
            place = [*kept].index(id(base)) if id(base) in kept else len(kept)
            block = Block(place, start, start + len(tensor), base.shape)
            kept[id(base)] = base
        blocks.append(block)
    others = [tensor for tensor, block in zip(tensors, blocks, strict=True) if block is None]
    return [*kept.values(), *others], blocks


def blocks_of(kept: Sequence[Tensor], blocks: Sequence[Block | None] | None) -> Sequence[Tensor]:
    """The tensors again of which `kept_whole` told what to keep."""
    if blocks is None:
        return kept
    others = iter(kept[len({block.place for block in blocks if block}) :])
    found = []
    for block in blocks:
        if block and kept[block.place].shape != block.shape:
            raise ShapeError(
                f"a parameter of the shape {tuple(block.shape)} has the shape {tuple(kept[block.place].shape)} in the "
                "backward pass; change parameters before the forward pass or after the backward pass"
            )
        found.append(kept[block.place][block.start : block.stop] if block else next(others))
    return found
