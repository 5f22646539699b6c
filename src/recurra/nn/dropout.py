"""The kinds of dropout that recurrent layers know beside torch's own."""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recurra.equations.cell import Cell
from recurra.errors import SettingError

__all__ = ["LockedDropout", "check_rate", "draw_noise", "drop_weights", "recurrent_matrices"]


def check_rate(name: str, rate: float) -> float:
    """A dropout rate, or a SettingError that says what one is."""
    if isinstance(rate, bool) or not isinstance(rate, int | float) or not 0 <= rate < 1:
        raise SettingError(f"{name} is {rate!r}; it is a probability from 0 up to, not including, 1")
    return float(rate)


class LockedDropout(nn.Module):
    """Variational dropout: the same units are dropped at every step of a sequence.

    Gal and Ghahramani, "A theoretically grounded application of dropout in recurrent neural networks", NeurIPS 2016.

    Args:
        rate: The probability that a unit is dropped; the others are scaled by 1 / (1 - rate).

    Example:
        >>> dropped = LockedDropout(0.5)(torch.ones(2, 3, 4))
        >>> bool((dropped == dropped[:, :1]).all())
        True
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = check_rate("rate", rate)

    def forward(self, x: Tensor, time: int = 1) -> Tensor:
        """Drop units of (B, T, ...), or with time=0 of (T, B, ...)."""
        if not self.training or self.rate == 0:
            return x
        shape = list(x.shape)
        shape[time] = 1
        return x * F.dropout(x.new_ones(shape), self.rate)

    def extra_repr(self) -> str:
        """The rate, for repr."""
        return f"rate={self.rate}"


def draw_noise(cell: Cell, steps: int, batch: int, hidden_size: int, like: Tensor) -> dict[str, Tensor]:
    """Draw every noise of a cell for one pass: (T, B, H), or (B, H) for one that holds for a whole sequence."""
    drawn: dict[str, Tensor] = {}
    for name, noise in cell.noise.items():
        shape = (steps, batch, hidden_size) if noise.each == "step" else (batch, hidden_size)
        drawn[name] = like.new_empty(shape).bernoulli_(noise.probability) * noise.value
    return drawn


def recurrent_matrices(cell: Cell) -> list[str]:
    """The matrices that meet a value which depends on earlier steps.

    Example:
        >>> from recurra.cells import IRNN
        >>> recurrent_matrices(IRNN)
        ['W_recurrent']
    """
    return [name for name, parameter in cell.parameters.items() if any(parameter.recurrent)]


def drop_weights(cell: Cell, tensors: Mapping[str, Tensor], input_size: int, rate: float) -> dict[str, Tensor]:
    """DropConnect on the recurrent matrices: single weights are dropped, the same ones at every step.

    Wan et al., "Regularization of neural networks using DropConnect", ICML 2013; as weight drop in Merity, Keskar and
    Socher, "Regularizing and optimizing LSTM language models", ICLR 2018. Only the columns that meet a value which
    depends on earlier steps are touched.

    Args:
        cell: The cell.
        tensors: Its parameters by name.
        input_size: I.
        rate: The probability that a weight is dropped; the others are scaled by 1 / (1 - rate).

    Returns:
        The parameters by name, those that are touched anew and the others as they are.
    """
    dropped = dict(tensors)
    for name in recurrent_matrices(cell):
        parameter = cell.parameters[name]
        sizes = list(parameter.column_sizes(input_size, tensors[name].shape[0]))
        pieces = torch.split(tensors[name], sizes, dim=1)
        dropped[name] = torch.cat(
            [F.dropout(p, rate) if r else p for p, r in zip(pieces, parameter.recurrent, strict=True)], dim=1
        )
    return dropped
