"""Series of vectors as a caller has them: tensors, arrays, and lists of these, of equal length or not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from recurra.errors import DataError, ShapeError

__all__ = ["Series", "as_tensor", "check_series", "is_ragged", "pairs_of"]

Series: TypeAlias = Tensor | npt.NDArray[Any] | Sequence[Any]
"""A series of vectors, (T, width), or several, (B, T, width): a tensor, an array, or lists of these or of numbers."""


def is_ragged(series: Series | None) -> bool:
    """Whether this is a list of series that differ in length."""
    if not isinstance(series, list | tuple):
        return False
    try:
        return len({len(one) for one in series}) > 1 and all(np.ndim(one) == 2 for one in series)
    except (TypeError, ValueError):  # numbers have no length; rows of one series may differ in theirs
        return False


def pairs_of(inputs: Series | None, targets: Series | None) -> list[tuple[Series | None, Series | None]]:
    """Lists of series that differ in length, one series of each at a time.

    Raises:
        ShapeError: They are not as many.
    """
    rows = [_rows(part) for part in (inputs, targets) if part is not None]
    if len({len(row) for row in rows}) > 1:
        raise ShapeError(f"inputs holds {len(rows[0])} series and targets {len(rows[1])}; expected as many of each")
    none: list[Series | None] = [None] * len(rows[0])
    return list(zip(none if inputs is None else rows[0], none if targets is None else rows[-1], strict=True))


def _rows(series: Series) -> list[Series | None]:
    return [series] if isinstance(series, Tensor | np.ndarray) and series.ndim < 3 else list(series)


def as_tensor(name: str, series: Series) -> Tensor:
    """A series as a tensor of real numbers, whatever holds them.

    Raises:
        ShapeError: They are no real numbers, or rows of different length.

    Example:
        >>> as_tensor("inputs", [[1, 2], [3, 4]]).shape
        torch.Size([2, 2])
    """
    if is_ragged(series):
        lengths = sorted({len(one) for one in series})
        raise ShapeError(
            f"{name} is a list of series of {lengths[0]} to {lengths[-1]} steps; expected series of equal length here: "
            "only fit and predict take others"
        )
    try:
        if isinstance(series, list | tuple) and all(isinstance(one, Tensor) for one in series) and series:
            tensor = torch.stack(list(series))
        else:
            tensor = series if isinstance(series, Tensor) else torch.tensor(np.ascontiguousarray(series))
    except (TypeError, ValueError, RuntimeError):
        tensor = None
    if tensor is None or tensor.is_complex() or tensor.dtype == torch.bool:
        kind = type(series).__name__ if tensor is None else f"{type(series).__name__} of {tensor.dtype}"
        raise ShapeError(f"{name} is a {kind}; expected real numbers: a tensor, an array, or a list of series")
    return tensor


def check_series(name: str, series: Tensor, letter: str, width: int) -> None:
    """Refuse a series that is not (B, T, width) or (T, width), or holds a number that is not finite.

    Raises:
        ShapeError: It has another shape.
        DataError: A number is not finite.
    """
    if series.dim() not in (2, 3) or series.shape[-1] != width or 0 in series.shape[:-1]:
        raise ShapeError(
            f"{name} has the shape {tuple(series.shape)}; expected (B, T, {letter}) or (T, {letter}) "
            f"with {letter} = {width} and at least one step"
        )
    wrong = (~series.isfinite()).nonzero()
    if len(wrong):
        axes = ("row", "step", "column")[-series.dim() :]
        place = ", ".join(f"{axis} {n}" for axis, n in zip(axes, wrong[0].tolist(), strict=True))
        raise DataError(
            f"{name} holds {series[tuple(wrong[0])].item()} at {place}; expected finite numbers: "
            "fill the gap, or cut the series there"
        )
