"""One step of a cell at a time, by plain PyTorch."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from recurra.backends.reference.forward import run
from recurra.equations.cell import Cell

__all__ = ["Stepper"]


class Stepper:
    """A cell that is advanced one step a call.

    Args:
        cell: The cell, without noise.
        parameters: Its parameters by name, as they are now.
        input_size: I.
        batch_size: B.
    """

    def __init__(self, cell: Cell, parameters: Mapping[str, Tensor], input_size: int, batch_size: int) -> None:
        self._cell = cell
        self._parameters = {name: tensor.detach().clone() for name, tensor in parameters.items()}
        first = next(iter(self._parameters.values()))
        self.state = {key: first.new_zeros(batch_size, first.shape[0]) for key in cell.carried}

    def step(self, x: Tensor) -> Tensor:
        """The output (B, H) for an input (B, I)."""
        with torch.no_grad():
            outputs, last = run(self._cell, self._parameters, x.detach()[None], self.state)
        # Copied first: what is further back may be another's rows of before.
        for key, rows in [(key, rows.clone()) for key, rows in last.items()]:
            self.state[key].copy_(rows)
        return outputs[0]
