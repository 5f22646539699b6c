"""The reader: a recurrent network of any cell that answers at every step of a sequence, or after the last."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from torch import Tensor, nn

from recurra.cells import Cell
from recurra.nn import Recurrent
from recurra.nn.initialise import Rule
from recurra.nn.recurrent import as_cell

__all__ = ["Reader", "width_for"]


class Reader(nn.Module):
    """A recurrent network and a linear readout.

        h<t> = recurrent network(x<t>, h<t-1>)        x<t> one-hot where symbols are read
        y<t> = V h<t> + c                             at every step, or after the last alone

    Args:
        cell: The cell, its name or its equations.
        input_size: I, the width of x<t>, or the number of symbols.
        hidden_size: H.
        output_size: O, the width of y<t>.
        answers: "every" step, or the "last" alone.
        symbols: Whether it reads ids of symbols.
        num_layers: L.
        bidirectional: Whether it reads from both ends.
        initial: How parameters of the cell begin.

    Example:
        >>> import torch
        >>> model = Reader("gru", 2, 8, 1, answers="last")
        >>> model(torch.randn(4, 7, 2))[0].shape
        torch.Size([4, 1])
    """

    def __init__(
        self,
        cell: Cell | str,
        input_size: int,
        hidden_size: int,
        output_size: int,
        *,
        answers: Literal["every", "last"] = "every",
        symbols: bool = False,
        num_layers: int = 1,
        bidirectional: bool = False,
        initial: Mapping[str, Rule] | None = None,
    ) -> None:
        super().__init__()
        self.answers, self.symbols, self.input_size = answers, symbols, input_size
        self.recurrent = Recurrent(
            cell, input_size, hidden_size, num_layers, bidirectional=bidirectional, initial=initial
        )
        self.readout = nn.Linear(hidden_size * self.recurrent.num_directions, output_size)

    def encode(self, inputs: Tensor) -> Tensor:
        """What the recurrent network reads, (B, T, I): symbols as one-hot vectors, numbers as they are."""
        if not self.symbols:
            return inputs
        return nn.functional.one_hot(inputs, self.input_size).to(self.readout.weight.dtype)

    def forward(self, inputs: Tensor, state: Mapping[str, Tensor] | None = None) -> tuple[Tensor, dict[str, Tensor]]:
        """The answers, (B, T, O) or (B, O), and the state after the last step."""
        outputs, after = self.recurrent(self.encode(inputs), state)
        return self.readout(outputs[:, -1] if self.answers == "last" else outputs), after

    @property
    def parameter_count(self) -> int:
        """How many numbers are learned."""
        return sum(parameter.numel() for parameter in self.parameters())


def width_for(cell: Cell | str, parameters: int, input_size: int, output_size: int, num_layers: int = 1) -> int:
    """The H with which a `Reader` of one direction comes nearest to a number of parameters.

    Example:
        >>> [width_for(cell, 5000, 2, 1) for cell in ("rnn", "gru", "lstm")]
        [69, 39, 34]
    """
    made = as_cell(cell)

    def count(width: int) -> int:
        deeper = (num_layers - 1) * made.parameter_count(width, width)
        return made.parameter_count(input_size, width) + deeper + (width + 1) * output_size

    width = 1
    while count(width + 1) <= parameters:
        width += 1
    return min(width, width + 1, key=lambda size: abs(count(size) - parameters))
