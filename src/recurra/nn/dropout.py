"""The kinds of dropout that recurrent layers know beside torch's own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from recurra.equations.cell import Cell
from recurra.errors import SettingError

__all__ = [
    "Dropout",
    "LockedDropout",
    "check_rate",
    "draw_kept",
    "draw_noise",
    "drop",
    "drop_weights",
    "recurrent_matrices",
]

_SHARES = 1 << 16  # what 16 random bits tell apart


def check_rate(name: str, rate: float) -> float:
    """A dropout rate, or a SettingError that says what one is."""
    if isinstance(rate, bool) or not isinstance(rate, int | float) or not 0 <= rate < 1:
        raise SettingError(f"{name} is {rate!r}; it is a probability from 0 up to, not including, 1")
    return float(rate)


def draw_kept(shape: Sequence[int], probability: float, like: Tensor) -> Tensor:
    """Draw ones with a probability, and zeros, in the dtype and on the device of a tensor.

    On a processor torch draws them one by one, 24 ms for two million; here one draw of 64 bits serves four elements,
    4 ms. That says a probability in 65,536ths: where this is not within a thousandth, torch's own is used.

    Args:
        shape: The shape.
        probability: The probability of a one.
        like: The tensor whose dtype and device these have.

    Returns:
        The ones and zeros.

    Example:
        >>> kept = draw_kept((1000,), 0.75, torch.zeros(1))
        >>> set(kept.tolist()) == {0.0, 1.0} and 600 < kept.sum().item() < 900
        True
    """
    kept = like.new_empty(shape)
    share = round(probability * _SHARES)
    error = abs(share / _SHARES - probability)
    if kept.device.type != "cpu" or error >= 1e-3 * min(probability, 1 - probability):
        return kept.bernoulli_(probability)
    bits = torch.randint(-(2**63), 2**63 - 1, ((kept.numel() + 3) // 4,), device=kept.device)
    return torch.lt(bits.view(torch.int16)[: kept.numel()].view(shape), share - _SHARES // 2, out=kept)


def drop(x: Tensor, rate: float) -> Tensor:
    """Each element times 0 with a probability, or else times 1 / (1 - rate)."""
    return x * draw_kept(x.shape, 1 - rate, x.detach()).div_(1 - rate)


class Dropout(nn.Dropout):
    """Dropout as torch's own, with masks that are drawn faster on a processor (`draw_kept`).

    Srivastava et al., "Dropout: a simple way to prevent neural networks from overfitting", JMLR 2014.

    Args:
        p: The probability that an element is dropped; the others are scaled by 1 / (1 - p).

    Example:
        >>> sorted(set(Dropout(0.5)(torch.ones(100)).tolist()))
        [0.0, 2.0]
    """

    def __init__(self, p: float = 0.5) -> None:
        super().__init__(check_rate("p", p))

    def forward(self, x: Tensor) -> Tensor:
        """Drop elements of x, in training."""
        return drop(x, self.p) if self.training and self.p else x


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
        return x * drop(x.new_ones(shape), self.rate)

    def extra_repr(self) -> str:
        """The rate, for repr."""
        return f"rate={self.rate}"


def draw_noise(cell: Cell, steps: int, batch: int, hidden_size: int, like: Tensor) -> dict[str, Tensor]:
    """Draw every noise of a cell for one pass: (T, B, H), or (B, H) for one that holds for a whole sequence."""
    drawn: dict[str, Tensor] = {}
    for name, noise in cell.noise.items():
        shape = (steps, batch, hidden_size) if noise.each == "step" else (batch, hidden_size)
        drawn[name] = draw_kept(shape, noise.probability, like) * noise.value
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
            [drop(p, rate) if r else p for p, r in zip(pieces, parameter.recurrent, strict=True)], dim=1
        )
    return dropped
