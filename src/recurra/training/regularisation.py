"""Penalties on what a network remembers, added to the mean loss while it learns."""

import torch
from torch import Tensor

from recurra.errors import ShapeError


def activation_penalty(outputs: Tensor, counted: Tensor | None = None) -> Tensor:
    """Activation regularisation: the mean square of the outputs, which keeps them small.

        AR = mean over b, t, i of  (m<t> * h<t>)_i²

    m<t> is the mask of dropout: give the outputs as the readout reads them. Merity, McCann and Socher, "Revisiting
    activation regularization for language RNNs" (2017), who multiply it by α = 2.

    Args:
        outputs: The dropped outputs of the last layer, (B, T, H).
        counted: Which steps count, (B, T) of bool; None for all.

    Returns:
        A scalar, 0 where nothing counts.

    Raises:
        ShapeError: The shapes do not fit.

    Example:
        >>> activation_penalty(torch.tensor([[[3.0, 0.0], [0.0, 1.0]]])).item()
        2.5
        >>> activation_penalty(torch.tensor([[[3.0, 0.0], [0.0, 1.0]]]), torch.tensor([[False, True]])).item()
        0.5
    """
    return _mean_square(outputs, _checked(outputs, counted))


def temporal_penalty(outputs: Tensor, counted: Tensor | None = None) -> Tensor:
    """Temporal activation regularisation: the mean square of the outputs' changes, which keeps them slow.

        TAR = mean over b, t > 1, i of  (h<t> - h<t-1>)_i²

    Of the raw outputs, before dropout, whose masks would count as change. Merity, McCann and Socher (2017) multiply it
    by β = 1.

    Args:
        outputs: The outputs of the last layer, (B, T, H).
        counted: Which steps count, (B, T) of bool; None for all. A change counts where the step that it leads to does.

    Returns:
        A scalar, 0 where nothing counts, as with a single step.

    Raises:
        ShapeError: The shapes do not fit.

    Example:
        >>> temporal_penalty(torch.tensor([[[3.0, 0.0], [0.0, 1.0]]])).item()
        5.0
    """
    counted = _checked(outputs, counted)
    return _mean_square(outputs[:, 1:] - outputs[:, :-1], None if counted is None else counted[:, 1:])


def _checked(outputs: Tensor, counted: Tensor | None) -> Tensor | None:
    if outputs.dim() != 3 or (counted is not None and counted.shape != outputs.shape[:2]):
        also = "" if counted is None else f" and counted {tuple(counted.shape)}"
        raise ShapeError(f"outputs are {tuple(outputs.shape)}{also}; expected (B, T, H){also and ' and (B, T)'}")
    return counted


def _mean_square(values: Tensor, counted: Tensor | None) -> Tensor:
    """The mean square over the steps that count and all units, at least in float32, where no square is too large."""
    values = values.to(torch.promote_types(values.dtype, torch.float32))
    if counted is None:
        return values.square().sum() / max(values.numel(), 1)
    # Chosen, not multiplied by 0: what is not finite in padding stays out.
    kept = torch.where(counted.unsqueeze(-1), values, 0)
    return kept.square().sum() / (counted.sum() * values.shape[2]).clamp(min=1)
