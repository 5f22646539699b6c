"""A recurrent network one step at a time, for inputs that come as a stream."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from recurra.backends import gate
from recurra.backends.choose import Backend, Run, Stepper, choose
from recurra.backends.gate import UnreadableError
from recurra.backends.gathered import gathered
from recurra.equations.cell import Cell
from recurra.errors import BackendError, SettingError, ShapeError
from recurra.nn.parameters import CellParameters

if TYPE_CHECKING:
    from recurra.nn.recurrent import Recurrent

__all__ = ["Stream"]


class _Stepper:
    """A cell that is advanced one step a call by a backend's pass over sequences of one step."""

    def __init__(
        self,
        run: Run,
        cell: Cell,
        parameters: Mapping[str, Tensor],
        input_size: int,
        hidden_size: int,
        batch_size: int,
    ) -> None:
        self._run, self._cell = run, cell
        # These outlive the mode that the stream is made in.
        with torch.inference_mode(False):
            self._parameters = {name: tensor.detach().clone() for name, tensor in parameters.items()}
            first = next(iter(self._parameters.values()))
            self.state = {key: first.new_zeros(batch_size, hidden_size) for key in cell.carried}

    def step(self, x: Tensor) -> Tensor:
        with torch.no_grad(), torch.autocast(x.device.type, enabled=False):
            outputs, last = self._run(self._cell, self._parameters, x.detach()[None], self.state)
        # Copied first: what is further back may be another's rows of before.
        for key, rows in [(key, rows.clone()) for key, rows in last.items()]:
            self.state[key].copy_(rows)
        return outputs[0]

    def bound(self, x: Tensor, out: Tensor) -> Callable[[], None]:
        def advance() -> None:
            out.copy_(self.step(x))

        return advance

    def lookup(self, inputs: Tensor, rows: Tensor, out: Tensor) -> Callable[[], None]:
        return gathered(self.bound, inputs, rows, out)


class Stream:
    """The state of a network between steps: h<t> = cell(h<t-1>, x<t>), a call a step, without gradients.

    Made by `Recurrent.stream`. The weights are packed when it is made: after they change, call `refresh`. It runs as
    the network does in eval mode: nothing is dropped, noise is at rest.

    A stream can be copied (`copy.deepcopy`) and pickled: the copy goes on from the same state by itself, with the
    network's weights as they are when it is made.

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

    def __getstate__(self) -> dict[str, Any]:
        """The layer, the batch size and the state: a copy packs the weights anew, as they are when it is made."""
        return {"layer": self.layer, "batch_size": self.batch_size, "state": self.state}

    def __setstate__(self, kept: dict[str, Any]) -> None:
        """Go on from where the stream that was copied or saved was."""
        self.layer, self.batch_size = kept["layer"], kept["batch_size"]
        self._steppers = []
        self.refresh()
        self.state = kept["state"]

    def _parameters(self) -> list[CellParameters]:
        return [own for own in self.layer.layers if isinstance(own, CellParameters)]

    def refresh(self) -> None:
        """Take the network's weights as they are now; the state stays."""
        layer, kept = self.layer, [stepper.state for stepper in self._steppers]
        cell = layer.cell.at_rest
        parameter = next(layer.parameters())
        choice = choose(layer.backend, cell, parameter.device, parameter.dtype)
        try:
            self._steppers = self._made(choice.backend, cell)
        except UnreadableError:
            if not choice.left:
                raise
            self._steppers = self._made(choice.otherwise(), cell)
        self._steps = [stepper.step for stepper in self._steppers]
        self._shape = torch.Size((self.batch_size, layer.input_size))
        self._dtype, self._device = parameter.dtype, parameter.device
        for stepper, state in zip(self._steppers, kept, strict=False):
            for key, rows in state.items():
                stepper.state[key].copy_(rows)

    def _made(self, backend: Backend, cell: Cell) -> list[Stepper]:
        """What advances each layer."""
        make, steppers = backend.stepper or partial(_Stepper, backend.run), []
        hidden, width = self.layer.hidden_size, self.layer.input_size
        for number, own in enumerate(self._parameters()):
            tensors = own.tensors(cell)
            labels = gate.labels(cell, number, reverse=False)
            expected = gate.shapes(cell, self.batch_size, width, hidden)
            gate.check(gate.Operand(*each) for each in zip(labels, tensors.values(), expected, strict=False))
            steppers.append(make(cell, tensors, width, hidden, self.batch_size))
            width = hidden
        return steppers

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
        try:
            if not x.is_contiguous() or x.is_neg():
                x = x.resolve_neg().contiguous()
            for step in self._steps:
                x = step(x)
        except RuntimeError:
            self._refuse(x)
            raise
        return x

    __call__ = step

    def lookup(self, inputs: Tensor, rows: Tensor, out: Tensor) -> Callable[[], None]:
        """Steps whose inputs are rows of a table, such as the embeddings of tokens, at the least cost a step.

            h<t> = cell(h<t-1>, inputs[rows])

        All is checked here, nothing at a step. Where the table is small, what the first layer's matrices make of each
        of its rows is computed once, and a step reads that instead: for one text about half of its time.

        Args:
            inputs: The table (N, I), taken as it is now.
            rows: Which of its rows each of the B reads, (B,) in int64; looked at when a step is taken.
            out: Takes the output h<t> of the last layer, (B, H).

        Returns:
            What advances by one step a call. It goes on from the state of this stream, and until `refresh` is called.

        Raises:
            ShapeError: A shape, dtype or device does not fit, or one of them is not contiguous.

        Example:
            >>> from recurra.nn import Recurrent
            >>> layer, embeddings = Recurrent("gru", input_size=3, hidden_size=4), torch.randn(10, 3)
            >>> rows, out = torch.tensor([7]), torch.empty(1, 4)
            >>> advance = layer.stream().lookup(embeddings, rows, out)
            >>> advance()
            >>> bool(torch.allclose(out, layer(embeddings[rows][:, None])[0][:, 0], atol=1e-6))
            True
        """
        width, hidden = self.layer.input_size, self.layer.hidden_size
        wanted = {
            "inputs": (inputs, (len(inputs), width), self._dtype),
            "rows": (rows, (self.batch_size,), torch.int64),
            "out": (out, (self.batch_size, hidden), self._dtype),
        }
        for name, (tensor, shape, dtype) in wanted.items():
            if not _fits(tensor, shape, dtype, self._device):
                raise ShapeError(
                    f"{name} is {tuple(tensor.shape)}, {tensor.dtype} on {tensor.device}; expected {shape}, {dtype} on "
                    f"{self._device}, contiguous in memory"
                )
        outputs = [*(torch.empty_like(out) for _ in self._steppers[1:]), out]
        steps = [self._steppers[0].lookup(inputs, rows, outputs[0])]
        for stepper, x, to in zip(self._steppers[1:], outputs, outputs[1:], strict=False):
            steps.append(stepper.bound(x, to))
        if len(steps) == 1:
            return steps[0]

        def advance() -> None:
            for step in steps:
                step()

        return advance

    def _single(self, x: Tensor) -> Tensor:
        """A step of one row given without its axis; else it does not fit."""
        expected = f"expected (B, I) = {tuple(self._shape)}, {self._dtype} on {self._device}"
        if not isinstance(x, Tensor):
            raise ShapeError(f"x is a {type(x).__name__}; {expected}")
        self._refuse(x)
        if x.shape == self._shape and (x.dtype, x.device) == (self._dtype, self._device):  # of a subclass
            return self.step(x.as_subclass(Tensor))
        if x.shape == self._shape[1:] and self.batch_size == 1 and (x.dtype, x.device) == (self._dtype, self._device):
            return self.step(x[None])[0]
        raise ShapeError(f"x is {tuple(x.shape)}, {x.dtype} on {x.device}; {expected}")

    @staticmethod
    def _refuse(x: Tensor) -> None:
        """Refuse an input whose numbers are not to be read from memory: sparse, a shard, a tracer's."""
        gate.check_dense("x", x)
        if type(x).__torch_dispatch__ is not Tensor.__torch_dispatch__:
            raise ShapeError(f"x is a {type(x).__name__}; expected a plain tensor, which has memory of its own")
        reason = gate.unreadable("x", x.as_subclass(Tensor))
        if reason:
            raise BackendError(f"a stream cannot be advanced here: {reason}")

    def reset(self, rows: Sequence[int] | Sequence[bool] | Tensor | None = None) -> None:
        """Put rows back to the state before the first step.

        Args:
            rows: Which, by number, or as a mask (B,) of truth values; None for all.

        Raises:
            ShapeError: There is no such row, or what came is neither whole numbers nor a mask of B.

        Example:
            >>> from recurra.nn import Recurrent
            >>> stream = Recurrent("gru", input_size=3, hidden_size=4).stream(batch_size=3)
            >>> _ = stream.step(torch.randn(3, 3))
            >>> stream.reset(torch.tensor([False, False, True]))
            >>> stream.state["h"][0].any(-1).tolist()
            [True, True, False]
        """
        chosen = list(range(self.batch_size)) if rows is None else self._numbers(rows)
        for number, (own, stepper) in enumerate(zip(self._parameters(), self._steppers, strict=True)):
            for key, state in stepper.state.items():
                if key not in own.initial_states:
                    state[chosen] = 0.0
                    continue
                initial = own.initial_state(key, number).detach()
                gate.check([gate.Operand(f"the parameter layers.{number}.{own.initial_states[key]}", initial, None)])
                state[chosen] = initial

    def _numbers(self, rows: Sequence[int] | Sequence[bool] | Tensor) -> list[int]:
        """The numbers of rows, which may be given as a mask."""
        expected = f"expected the numbers of rows, 0 to {self.batch_size - 1}, or a mask of {self.batch_size} bools"
        try:  # the numbers may be NumPy's, or tensors of one each
            plain: Any = rows.tolist() if isinstance(rows, Tensor) else [*rows]
            values = [row.tolist() if hasattr(row, "tolist") else row for row in plain]
        except TypeError:
            raise ShapeError(f"rows is {rows!r}; {expected}") from None
        if values and all(isinstance(value, bool) for value in values):
            if len(values) != self.batch_size:
                raise ShapeError(
                    f"the mask of rows has {len(values)} values; expected one for each of {self.batch_size}"
                )
            return [row for row, value in enumerate(values) if value]
        for value in values:
            if isinstance(value, bool) or not isinstance(value, int):
                raise ShapeError(f"{value!r} is no row; {expected}")
            if not 0 <= value < self.batch_size:
                raise ShapeError(f"there is no row {value}; rows are 0 to {self.batch_size - 1}")
        return values

    @property
    def state(self) -> dict[str, Tensor]:
        """The state now, (L, B, H) by name, as `Recurrent` takes and gives it: a copy."""
        return {key: torch.stack([stepper.state[key] for stepper in self._steppers]) for key in self._steppers[0].state}

    @state.setter
    def state(self, state: Mapping[str, Tensor]) -> None:
        shape = (self.layer.num_layers, self.batch_size, self.layer.hidden_size)
        known = ", ".join(self._steppers[0].state) or "none"
        if not isinstance(state, Mapping):
            raise ShapeError(f"the state is a {type(state).__name__}; expected a dict by the names of states: {known}")
        for key, value in state.items():
            if key not in self._steppers[0].state:
                raise ShapeError(f"{key!r} is not a state of this cell; its states are: {known}")
            if not isinstance(value, Tensor) or tuple(value.shape) != shape:
                came = f"has the shape {tuple(value.shape)}" if isinstance(value, Tensor) else f"is {value!r}"
                raise ShapeError(f"the state {key!r} {came}; expected (L, B, H) = {shape}")
            gate.check_dense(f"the state {key!r}", value)
            if not value.is_floating_point():
                raise ShapeError(f"the state {key!r} is {value.dtype}; expected {self._dtype}")
        for key, value in state.items():
            for stepper, rows in zip(self._steppers, value, strict=True):
                stepper.state[key].copy_(rows.detach())


def _fits(tensor: Tensor, shape: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> bool:
    """Whether a tensor is a plain one of a shape, dtype and device, row after row in memory."""
    return (
        type(tensor) is Tensor
        and tensor.shape == shape
        and (tensor.dtype, tensor.device) == (dtype, device)
        and tensor.is_contiguous()
        and not tensor.is_neg()
        and not tensor.requires_grad
    )
