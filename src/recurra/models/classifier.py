"""The classifier: one answer for a whole sequence, many to one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from recurra.cells import Cell
from recurra.errors import SettingError
from recurra.models.encoder import Encoder
from recurra.models.pooling import Pooling, PoolingKind
from recurra.nn.dropout import Dropout, check_rate
from recurra.nn.recurrent import Recurrent

__all__ = ["Classifier"]


class Classifier(nn.Module):
    """A recurrent classifier: from a sequence x<1..T> the logits of its class.

        h<1..T> = recurrent network(inputs(x<1..T>))
        s       = one vector for h<1..T>, such as h<T>
        p(y | x<1..T>) = softmax(V s + c)

    Of a network in both directions the last output of each stands for it: the reverse one's is that of the first step
    (Graves and Schmidhuber, "Framewise phoneme classification with bidirectional LSTM", 2005).

    Args:
        input_size: I, the width of x<t>; or the module that makes vectors of what is read, and its width.
        classes: C, how many classes there are.
        cell: The cell, its name or its equations.
        hidden_size: H, the width of the recurrent layers.
        num_layers: L, how many there are.
        pooling: What stands for a sequence; see `Pooling`.
        dropout: Rate of dropout between layers and before the readout.
        bidirectional: Whether each layer reads in both directions; D is then 2.
        recurrent: What else `Recurrent` takes: zoneout, layer_norm and so on.

    Raises:
        SettingError: A size is not positive, a rate not a probability, or the pooling unknown.

    Example:
        >>> import torch
        >>> model = Classifier(1, 10, "lstm", hidden_size=8)
        >>> logits, state = model(torch.randn(4, 49, 1), lengths=[49, 7, 20, 1])
        >>> logits.shape
        torch.Size([4, 10])
    """

    def __init__(
        self,
        input_size: int | tuple[nn.Module, int],
        classes: int,
        cell: Cell | str,
        hidden_size: int = 128,
        num_layers: int = 1,
        *,
        pooling: PoolingKind = "last",
        dropout: float = 0.0,
        bidirectional: bool = False,
        **recurrent: Any,  # noqa: ANN401  (handed on as it is)
    ) -> None:
        super().__init__()
        if classes < 2:
            raise SettingError(f"classes is {classes}; to tell sequences apart takes 2 or more")
        inputs, width = (nn.Identity(), input_size) if isinstance(input_size, int) else input_size
        layers = Recurrent(
            cell, width, hidden_size, num_layers, bidirectional, check_rate("dropout", dropout), **recurrent
        )
        self.encoder = Encoder(inputs, layers)
        self.pooling = Pooling(layers, pooling)
        self.dropout = Dropout(dropout)
        self.readout = nn.Linear(self.pooling.width, classes)

    def forward(
        self,
        x: Any,  # noqa: ANN401  (whatever the inputs read)
        state: Mapping[str, Tensor] | None = None,
        lengths: Tensor | Sequence[int] | None = None,
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Logits of the classes.

        Args:
            x: The sequences x<1..T>, (B, T, I), or what the inputs read, (B, T, ...).
            state: The state before the first step, (L · D, B, H) by name; zero if not given.
            lengths: How many steps of each row count, (B,); None for all.

        Returns:
            The logits (B, C), and the state after each row's last step; what lies past a row's length never changes
            them.
        """
        encoded = self.encoder(x, state, lengths)
        return self.readout(self.dropout(self.pooling(encoded.outputs, lengths))), encoded.state
