"""A recurrent network one step at a time, for inputs that come as a stream."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from recurra.backends.choose import Run, Stepper, choose
from recurra.equations.cell import Cell
from recurra.errors import SettingError, ShapeError
from recurra.nn.parameters import CellParameters

if TYPE_CHECKING:
    from recurra.nn.recurrent import Recurrent

__all__ = ["Stream"]


class _Stepper:
    """A cell that is advanced one step a call by a backend's pass over sequences of one step."""

    def __init__(
        self, run: Run, cell: Cell, parameters: Mapping[str, Tensor], input_size: int, batch_size: int
    ) -> None:
        self._run, self._cell = run, cell
        self._parameters = {name: tensor.detach().clone() for name, tensor in parameters.items()}
        first = next(iter(self._parameters.values()))
        self.state = {key: first.new_zeros(batch_size, first.shape[0]) for key in cell.carried}

    def step(self, x: Tensor) -> Tensor:
        with torch.no_grad():
            outputs, last = self._run(self._cell, self._parameters, x.detach()[None], self.state)
        # Copied first: what is further back may be another's rows of before.
        for key, rows in [(key, rows.clone()) for key, rows in last.items()]:
            self.state[key].copy_(rows)
        return outputs[0]


class Stream:
    """The state of a network between steps: h<t> = cell(h<t-1>, x<t>), a call a step, without gradients.

    Made by `Recurrent.stream`. The weights are packed when it is made: after they change, call `refresh`. It runs as
    the network does in eval mode: nothing is dropped, noise is at rest.

    Args:
        layer: The network; it has one direction.
        batch_size: B, how many rows advance side by side.

    Raises:
        SettingError: The network reads its input in both directions, or the batch size is not positive.

    Example:
        >>> from recurra.nn import Recurrent
        >>> layer = Recurrent("gru", input_size=3, hidden_size=4)
        >>> x = torch.randn(1, 5, 3)
        >>> stream = layer.stream()
        >>> outputs = [stream.step(x[:, t]) for t in range(5)]
        >>> bool(torch.allclose(torch.stack(outputs, 1), layer(x)[0], atol=1e-6))
        True
    """

    def __init__(self, layer: Recurrent, batch_size: int = 1) -> None:
        if layer.bidirectional:
            raise SettingError(
                "a bidirectional layer cannot be streamed: its output at a step depends on all steps after it; "
                "make it with bidirectional=False, or run it on whole sequences"
            )
        if isinstance(batch_size, bool) or not isinstance(batch_size, int) or batch_size < 1:
            raise SettingError(f"batch_size is {batch_size!r}; it is a whole number from 1")
        self.layer, self.batch_size = layer, batch_size
        self._steppers: list[Stepper] = []
        self.refresh()
        self.reset()

    def _parameters(self) -> list[CellParameters]:
        return [own for own in self.layer.layers if isinstance(own, CellParameters)]

    def refresh(self) -> None:
        """Take the network's weights as they are now; the state stays."""
        layer, kept = self.layer, [stepper.state for stepper in self._steppers]
        cell = layer.cell.at_rest
        parameter = next(layer.parameters())
        backend = choose(layer.backend, cell, parameter.device, parameter.dtype).backend
        widths = [layer.input_size] + [layer.hidden_size] * (layer.num_layers - 1)
        make = backend.stepper or partial(_Stepper, backend.run)
        self._steppers = [
            make(cell, own.tensors(cell), width, self.batch_size)
            for own, width in zip(self._parameters(), widths, strict=True)
        ]
        self._steps = [stepper.step for stepper in self._steppers]
        self._shape = torch.Size((self.batch_size, layer.input_size))
        self._dtype, self._device = parameter.dtype, parameter.device
        for stepper, state in zip(self._steppers, kept, strict=False):
            for key, rows in state.items():
                stepper.state[key].copy_(rows)

    def step(self, x: Tensor) -> Tensor:
        """Advance by one step.

        Args:
            x: The input x<t> (B, I); (I,) as well if B is 1.

        Returns:
            The output h<t> of the last layer (B, H), or (H,): a new tensor.

        Raises:
            ShapeError: The shape, dtype or device does not fit.
        """
        if type(x) is not Tensor or x.shape != self._shape or x.dtype is not self._dtype or x.device != self._device:
            return self._single(x)
        if not x.is_contiguous():
            x = x.contiguous()
        for step in self._steps:
            x = step(x)
        return x

    __call__ = step

    def _single(self, x: Tensor) -> Tensor:
        """A step of one row given without its axis; else it does not fit."""
        expected = f"expected (B, I) = {tuple(self._shape)}, {self._dtype} on {self._device}"
        if not isinstance(x, Tensor):
            raise ShapeError(f"x is a {type(x).__name__}; {expected}")
        if x.shape == self._shape and (x.dtype, x.device) == (self._dtype, self._device):  # of a subclass
            return self.step(x.as_subclass(Tensor))
        if x.shape == self._shape[1:] and self.batch_size == 1 and (x.dtype, x.device) == (self._dtype, self._device):
            return self.step(x[None])[0]
        raise ShapeError(f"x is {tuple(x.shape)}, {x.dtype} on {x.device}; {expected}")

    def reset(self, rows: Sequence[int] | Tensor | None = None) -> None:
        """Put rows back to the state before the first step.

        Args:
            rows: Which; None for all.

        Raises:
            ShapeError: There is no such row.
        """
        chosen = list(range(self.batch_size)) if rows is None else [int(row) for row in rows]
        wrong = [row for row in chosen if not 0 <= row < self.batch_size]
        if wrong:
            raise ShapeError(f"there is no row {wrong[0]}; rows are 0 to {self.batch_size - 1}")
        for own, stepper in zip(self._parameters(), self._steppers, strict=True):
            for key, state in stepper.state.items():
                state[chosen] = own.initial_state(key).detach() if key in own.initial_states else 0.0

    @property
    def state(self) -> dict[str, Tensor]:
        """The state now, (L, B, H) by name, as `Recurrent` takes and gives it: a copy."""
        return {key: torch.stack([stepper.state[key] for stepper in self._steppers]) for key in self._steppers[0].state}

    @state.setter
    def state(self, state: Mapping[str, Tensor]) -> None:
        shape = (self.layer.num_layers, self.batch_size, self.layer.hidden_size)
        for key, value in state.items():
            if key not in self._steppers[0].state:
                known = ", ".join(self._steppers[0].state) or "none"
                raise ShapeError(f"{key!r} is not a state of this cell; its states are: {known}")
            if not isinstance(value, Tensor) or tuple(value.shape) != shape:
                raise ShapeError(f"the state {key!r} has the shape {tuple(value.shape)}; expected (L, B, H) = {shape}")
        for key, value in state.items():
            for stepper, rows in zip(self._steppers, value, strict=True):
                stepper.state[key].copy_(rows.detach())
