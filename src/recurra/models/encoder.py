"""The encoder: what every model of sequences begins with, inputs and recurrent layers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recurra.checks import whole_number
from recurra.errors import SettingError
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

    With a lookahead of k the output of a step is that of k steps later, so that a network that reads in one direction
    knows what comes next: o<t> = h<t+k>, where v is 0 past the end (a target delay: Graves and Schmidhuber, "Framewise
    phoneme classification with bidirectional LSTM and other neural network architectures", 2005).

    Args:
        inputs: From what is read to vectors (B, T, I): any module.
        recurrent: The recurrent layers.
        dropout: Rate of dropout on the outputs.
        lookahead: k, of a network of one direction.

    Raises:
        SettingError: A bidirectional network, which reads to the end as it is, is to have a lookahead.

    Example:
        >>> import torch
        >>> encoder = Encoder(nn.Embedding(20, 4), Recurrent("gru", 4, 6, bidirectional=True))
        >>> encoder(torch.randint(20, (3, 5)), lengths=[5, 2, 1]).outputs.shape
        torch.Size([3, 5, 12])
    """

    def __init__(self, inputs: nn.Module, recurrent: Recurrent, dropout: float = 0.0, lookahead: int = 0) -> None:
        super().__init__()
        self.lookahead = whole_number("lookahead", lookahead, 0)
        if lookahead and recurrent.bidirectional:
            raise SettingError(
                f"lookahead is {lookahead}, and a bidirectional network reads to the end as it is; make it with "
                "bidirectional=False, or leave lookahead at 0"
            )
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

        Returns:
            The outputs; the state, with a lookahead, is that of as many steps later.
        """
        vectors = self.inputs(x)
        if not self.lookahead:
            outputs, after = self.recurrent(vectors, state, lengths)
            return Encoded(self.dropout(outputs), after, lengths)
        steps = vectors.shape[1]
        ends = torch.as_tensor(steps if lengths is None else lengths, device=vectors.device).expand(len(vectors))
        past = torch.arange(steps, device=vectors.device) >= ends[:, None]
        vectors = F.pad(vectors.masked_fill(past[:, :, None], 0), (0, 0, 0, self.lookahead))
        outputs, after = self.recurrent(vectors, state, ends + self.lookahead)
        return Encoded(self.dropout(outputs[:, self.lookahead :]), after, lengths)
