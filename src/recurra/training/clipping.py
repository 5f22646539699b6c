"""Gradient clipping, by norm and by value."""

import math
from collections.abc import Iterable
from typing import NamedTuple

import torch
from torch import nn

from recurra.errors import SettingError, TrainingError


class Clipping(NamedTuple):
    """What clipping found.

    Attributes:
        norm: The Euclidean norm of the gradient of all parameters together, before any clipping.
        clipped: Whether anything was changed.
    """

    norm: float
    clipped: bool


def clip_gradients(
    named_parameters: Iterable[tuple[str, nn.Parameter]], norm: float | None = None, value: float | None = None
) -> Clipping:
    """Clip the gradients in place: by the norm of all of them together first, then each element by its magnitude.

        g <- g * min(1, norm / (||g|| + 1e-6))        then        g <- max(-value, min(value, g))

    Scaling comes first because it keeps the gradient's direction, so that the second cut, which does not, has the
    least to do. Both bounds hold afterwards. The first is from Pascanu, Mikolov and Bengio 2013, "On the difficulty
    of training recurrent neural networks"; the second from Mikolov 2012.

    Args:
        named_parameters: Names and parameters; those without a gradient are passed over.
        norm: The largest norm allowed; None does not scale.
        value: The largest magnitude of an element allowed; None does not cut.

    Returns:
        The norm before clipping, and whether anything was changed.

    Raises:
        SettingError: A gradient is sparse.
        TrainingError: The norm is not finite. The message names the first parameter at fault; no gradient was changed.

    Example:
        >>> weight = nn.Parameter(torch.zeros(2))
        >>> weight.grad = torch.tensor([3.0, 4.0])
        >>> clip_gradients([("weight", weight)], norm=1.0)
        Clipping(norm=5.0, clipped=True)
        >>> weight.grad
        tensor([0.6000, 0.8000])
    """
    named = [(name, parameter) for name, parameter in named_parameters if parameter.grad is not None]
    for name, parameter in named:
        if parameter.grad is not None and parameter.grad.layout is not torch.strided:
            raise SettingError(
                f"the gradient of {name!r} is sparse, and must be dense: leave sparse=True out where the layer is made"
            )
    parameters = [parameter for _, parameter in named]
    limit = math.inf if norm is None else norm
    try:
        found = float(nn.utils.clip_grad_norm_(parameters, limit, error_if_nonfinite=True))
    except RuntimeError as error:
        blame = _blame(named)
        if blame is None:
            raise
        raise TrainingError(blame) from error
    clipped = found > limit
    if value is not None and _largest_element(parameters) > value:
        nn.utils.clip_grad_value_(parameters, value)
        clipped = True
    return Clipping(found, clipped)


def _largest_element(parameters: list[nn.Parameter]) -> float:
    """The largest magnitude of any element of the gradients."""
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None and parameter.numel()]
    return max((float(gradient.abs().amax()) for gradient in gradients), default=0.0)


def _blame(named: list[tuple[str, nn.Parameter]]) -> str | None:
    """Say which parameter's gradient makes the norm overflow, or None if none does."""
    gradients = [(name, parameter.grad) for name, parameter in named if parameter.grad is not None]
    for name, gradient in gradients:
        bad = int((~torch.isfinite(gradient)).sum())
        if bad:
            return f"the gradient of {name!r} is not finite in {bad:,} of {gradient.numel():,} elements"
    norms = {name: float(torch.linalg.vector_norm(gradient, dtype=torch.float64)) for name, gradient in gradients}
    largest = max(norms, key=norms.__getitem__, default=None)
    if largest is None or norms[largest] < math.sqrt(torch.finfo(torch.float16).max):
        return None
    return f"the norm of the gradient overflows; most of it is in {largest!r}, whose own norm is {norms[largest]:.3g}"
