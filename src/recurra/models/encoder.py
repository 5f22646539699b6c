"""The encoder: what every model of sequences begins with, inputs and recurrent layers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from torch import Tensor, nn

from recurra.nn.dropout import Dropout, check_rate
from recurra.nn.recurrent import Recurrent

__all__ = ["Encoded", "Encoder"]


class Encoded(NamedTuple):
    """What an encoder makes of sequences.

    Attributes:
        outputs: The outputs h<t> of the last layer, (B, T, D · H), zero past a row's length.
        state: The state after each row's last step, (L · D, B, H) by name.
        lengths: How many steps of each row count, (B,); None for all.
    """

    outputs: Tensor
    state: dict[str, Tensor]
    lengths: Tensor | Sequence[int] | None


class Encoder(nn.Module):
    """Inputs and recurrent layers.

        v<t> = inputs(x<t>)
        h<t> = dropout(recurrent network(v<t>, h<t-1>))

    Args:
        inputs: From what is read to vectors (B, T, I): any module.
        recurrent: The recurrent layers.
        dropout: Rate of dropout on the outputs.

    Example:
        >>> import torch
        >>> encoder = Encoder(nn.Embedding(20, 4), Recurrent("gru", 4, 6, bidirectional=True))
        >>> encoder(torch.randint(20, (3, 5)), lengths=[5, 2, 1]).outputs.shape
        torch.Size([3, 5, 12])
    """

    def __init__(self, inputs: nn.Module, recurrent: Recurrent, dropout: float = 0.0) -> None:
        super().__init__()
        self.inputs, self.recurrent = inputs, recurrent
        self.dropout = Dropout(check_rate("dropout", dropout))

    @property
    def width(self) -> int:
        """D · H, the width of the outputs."""
        return self.recurrent.hidden_size * self.recurrent.num_directions

    def forward(
        self,
        x: Any,  # noqa: ANN401  (whatever the inputs read)
        state: Mapping[str, Tensor] | None = None,
        lengths: Tensor | Sequence[int] | None = None,
    ) -> Encoded:
        """Encode sequences.

        Args:
            x: What the inputs read, with (B, T, ...) first.
            state: The state before the first step, (L · D, B, H) by name; zero if not given.
            lengths: How many steps of each row count, (B,); None for all.
        """
        outputs, after = self.recurrent(self.inputs(x), state, lengths)
        return Encoded(self.dropout(outputs), after, lengths)
