"""The classifier: one answer for a whole sequence, many to one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from recurra.cells import Cell
from recurra.errors import SettingError
from recurra.nn.dropout import Dropout, check_rate
from recurra.nn.recurrent import Recurrent

__all__ = ["Classifier", "Summary"]

Summary = Literal["last", "mean"]
"""What stands for a sequence: the output of its last step, or the mean over its steps."""


class Classifier(nn.Module):
    """A recurrent classifier: from a sequence x<1..T> the logits of its class.

        h<1..T> = recurrent network(x<1..T>)
        s       = h<T>, or the mean of h<1..T>
        p(y | x<1..T>) = softmax(V s + c)

    Of a network in both directions the last output of each stands for it: the reverse one's is that of the first step
    (Graves and Schmidhuber, "Framewise phoneme classification with bidirectional LSTM", 2005).

    Args:
        input_size: I, the width of x<t>.
        classes: C, how many classes there are.
        cell: The cell, its name or its equations.
        hidden_size: H, the width of the recurrent layers.
        num_layers: L, how many there are.
        summary: What stands for a sequence, "last" or "mean".
        dropout: Rate of dropout between layers and before the readout.
        bidirectional: Whether each layer reads in both directions; D is then 2.
        recurrent: What else `Recurrent` takes: zoneout, layer_norm and so on.

    Raises:
        SettingError: A size is not positive, a rate not a probability, or the summary unknown.

    Example:
        >>> model = Classifier(1, 10, "lstm", hidden_size=8)
        >>> model(torch.randn(4, 49, 1), lengths=[49, 7, 20, 1]).shape
        torch.Size([4, 10])
    """

    def __init__(
        self,
        input_size: int,
        classes: int,
        cell: Cell | str,
        hidden_size: int = 128,
        num_layers: int = 1,
        *,
        summary: Summary = "last",
        dropout: float = 0.0,
        bidirectional: bool = False,
        **recurrent: Any,  # noqa: ANN401  (handed on as it is)
    ) -> None:
        super().__init__()
        if classes < 2:
            raise SettingError(f"classes is {classes}; to tell sequences apart takes 2 or more")
        if summary not in get_args(Summary):
            raise SettingError(f"there is no summary {summary!r}; choose one of: {', '.join(get_args(Summary))}")
        self.summary = summary
        self.recurrent = Recurrent(
            cell, input_size, hidden_size, num_layers, bidirectional, check_rate("dropout", dropout), **recurrent
        )
        self.dropout = Dropout(dropout)
        self.readout = nn.Linear(hidden_size * self.recurrent.num_directions, classes)

    def forward(self, x: Tensor, lengths: Tensor | Sequence[int] | None = None) -> Tensor:
        """Logits of the classes.

        Args:
            x: The sequences x<1..T>, (B, T, I).
            lengths: How many steps of each row count (B,); None for all.

        Returns:
            The logits (B, C); what lies past a row's length never changes them.
        """
        outputs, _ = self.recurrent(x, None, lengths)
        return self.readout(self.dropout(self._summarise(outputs, lengths)))  # type: ignore[no-any-return]

    def _summarise(self, outputs: Tensor, lengths: Tensor | Sequence[int] | None) -> Tensor:
        """What stands for each row, (B, D · H), of its outputs (B, T, D · H)."""
        batch, steps = outputs.shape[:2]
        if lengths is None:
            ends = torch.full((batch,), steps, device=outputs.device)
        else:
            ends = torch.as_tensor(lengths, device=outputs.device)
        if self.summary == "mean":  # past a row's length its outputs are zero
            total = outputs.sum(1, dtype=torch.promote_types(outputs.dtype, torch.float32))
            return (total / ends[:, None]).to(outputs.dtype)
        width = self.recurrent.hidden_size
        forward = outputs[torch.arange(batch, device=outputs.device), ends - 1, :width]
        return torch.cat([forward, outputs[:, 0, width:]], -1)
