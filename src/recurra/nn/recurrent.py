"""The recurrent layer: any cell, deep, in one direction or both."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping, Sequence
from numbers import Integral
from typing import cast

import torch
from torch import Tensor, nn
from torch.fx import Proxy
from torch.overrides import handle_torch_function, has_torch_function_unary

from recurra import cells
from recurra.backends import gate
from recurra.backends.choose import Choice, choose
from recurra.backends.job import Job
from recurra.cells import modifiers
from recurra.equations.cell import Cell
from recurra.equations.initial_gradient import initial_gradient
from recurra.errors import BackendError, SettingError, ShapeError
from recurra.nn.dropout import Dropout, LockedDropout, check_rate, draw_noise, drop_weights, recurrent_matrices
from recurra.nn.initialise import Rule
from recurra.nn.leaf import as_leaf
from recurra.nn.parameters import CellParameters
from recurra.nn.stream import Stream
from recurra.nn.trace import Trace, trace

__all__ = ["CellParameters", "Recurrent", "as_cell"]


def as_cell(cell: Cell | str) -> Cell:
    """A cell given as itself, by its name in the catalogue, or as the text of its equations.

    Example:
        >>> as_cell("gru").name, as_cell("h[t] = tanh(W @ [h[t-1], x[t]])").output
        ('gru', 'h')
    """
    if isinstance(cell, Cell):
        return cell
    if not isinstance(cell, str):
        raise SettingError(f"a cell is a Cell, a name or the text of equations, not {type(cell).__name__}")
    return Cell(cell) if "[" in cell or "=" in cell else cells.get(cell)


def _check_size(name: str, size: object) -> int:
    if isinstance(size, bool) or not isinstance(size, Integral) or int(size) < 1:
        raise SettingError(f"{name} is {size!r}; it is a whole number from 1")
    return int(size)


def _check_ends(lengths: Tensor, steps: int) -> Tensor:
    """Lengths, each from 1 to T."""
    least, most = lengths.aminmax()
    if int(least) < 1 or int(most) > steps:
        row = int(((lengths < 1) | (lengths > steps)).nonzero()[0])
        raise ShapeError(
            f"the length of row {row} is {int(lengths[row])}; expected 1 to T = {steps}: leave empty sequences out"
        )
    return lengths


@torch.library.custom_op("recurra::checked_lengths", mutates_args=(), schema="(Tensor lengths, SymInt steps) -> Tensor")
def _checked_lengths(lengths: Tensor, steps: int) -> Tensor:
    """The same check in a graph, which knows no numbers before it runs."""
    return _check_ends(lengths, steps).clone()


@_checked_lengths.register_fake
def _(lengths: Tensor, steps: int) -> Tensor:
    return torch.empty_like(lengths)


class Recurrent(nn.Module):
    """A recurrent network of any cell: h<t> = cell(h<t-1>, x<t>), in layers, in one direction or both.

    Layer l reads the outputs of layer l - 1, those of both directions side by side (Schuster and Paliwal,
    "Bidirectional recurrent neural networks", 1997).

    Args:
        cell: A `Cell`, the name of one in the catalogue, or the text of its equations.
        input_size: I, the width of x<t>.
        hidden_size: H, the width of the output and every state.
        num_layers: L, how many layers are stacked.
        bidirectional: Whether each layer also runs from the last step to the first; D is then 2.
        dropout: Rate of dropout between layers, drawn anew at every step, as in torch.nn.
        batch_first: Whether x is (B, T, I), as is the default, or (T, B, I).
        input_dropout: Rate of variational dropout on each layer's input: one mask a sequence and direction.
        state_dropout: Rate of variational dropout on what the matrices read of the state (`modifiers.state_dropout`);
            one for all states, or one for some of them by name.
        zoneout: Rate at which a unit keeps its old state (`modifiers.zoneout`), for all states or by name.
        weight_drop: Rate of DropConnect on the recurrent matrices (`recurra.nn.dropout.drop_weights`).
        layer_norm: Whether every product is normalised (`modifiers.layer_norm`).
        learn_initial_state: Whether the state before the first step is learned; else it is zero.
        initial: How parameters begin, by name or pattern (`recurra.nn.initialise`).
        backend: "auto", or the name of a backend, which then runs or says why it cannot.
        device: Where the parameters are made.
        dtype: Their dtype.

    Raises:
        SettingError: A size is not positive, a rate not a probability, a name unknown, or a kind of dropout has
            nothing in this cell to act on.

    Example:
        >>> layer = Recurrent("gru", input_size=3, hidden_size=5, num_layers=2, bidirectional=True)
        >>> outputs, state = layer(torch.randn(4, 7, 3), lengths=[7, 2, 5, 1])
        >>> tuple(outputs.shape), {name: tuple(s.shape) for name, s in state.items()}
        ((4, 7, 10), {'h': (4, 4, 5)})
        >>> layer.layers[0].W_update.shape
        torch.Size([5, 8])
    """

    recorder: Choice | None = None
    """What takes the place of the backend while the layer is traced."""

    def __init__(
        self,
        cell: Cell | str,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bidirectional: bool = False,
        dropout: float = 0.0,
        *,
        batch_first: bool = True,
        input_dropout: float = 0.0,
        state_dropout: modifiers.Rate = 0.0,
        zoneout: modifiers.Rate = 0.0,
        weight_drop: float = 0.0,
        layer_norm: bool = False,
        learn_initial_state: bool = False,
        initial: Mapping[str, Rule] | None = None,
        backend: str = "auto",
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        if dtype is not None and not dtype.is_floating_point:
            raise SettingError(f"dtype is {dtype}; it is one of floating-point numbers, such as torch.float32")
        self.cell = self._modified(as_cell(cell), layer_norm, state_dropout, zoneout)
        self.input_size = input_size = _check_size("input_size", input_size)
        self.hidden_size = hidden_size = _check_size("hidden_size", hidden_size)
        self.num_layers = num_layers = _check_size("num_layers", num_layers)
        self.bidirectional, self.batch_first, self.backend = bidirectional, batch_first, backend
        self.weight_drop = check_rate("weight_drop", weight_drop)
        if weight_drop and not recurrent_matrices(self.cell):
            called = f"the cell {self.cell.name}" if self.cell.name else "this cell"
            raise SettingError(
                f"weight_drop: no matrix of {called} meets a value that depends on earlier steps, "
                "so there is no weight to drop"
            )
        self.dropout = Dropout(check_rate("dropout", dropout))
        self.input_dropout = LockedDropout(check_rate("input_dropout", input_dropout))
        for form in (self.cell, self.cell.at_rest):
            # torch.compile can read what a cell has worked out, but not have it worked out.
            _ = form.carried, form.carried_names, form.parameters, form.parameter_names
        # An unknown name is refused here; whether the backend can run is asked at use, since the layer may yet move.
        with contextlib.suppress(BackendError):
            choose(backend, self.cell)

        def make(layer: int) -> CellParameters:
            width = input_size if layer == 0 else hidden_size * self.num_directions
            return CellParameters(self.cell, width, hidden_size, initial or {}, learn_initial_state, device, dtype)

        self.layers = nn.ModuleList(make(layer) for layer in range(num_layers))
        self.reverse_layers = nn.ModuleList(make(layer) for layer in range(num_layers if bidirectional else 0))

    @staticmethod
    def _modified(cell: Cell, layer_norm: bool, state_dropout: modifiers.Rate, zoneout: modifiers.Rate) -> Cell:
        def asked(name: str, rate: modifiers.Rate) -> bool:
            return bool(rate) if isinstance(rate, Mapping) else check_rate(name, rate) > 0

        # Each rewrites other parts of the equations, so that the order does not matter.
        cell = modifiers.layer_norm(cell) if layer_norm else cell
        cell = modifiers.state_dropout(cell, state_dropout) if asked("state_dropout", state_dropout) else cell
        return modifiers.zoneout(cell, zoneout) if asked("zoneout", zoneout) else cell

    @property
    def num_directions(self) -> int:
        """D: 2 if bidirectional, else 1."""
        return 2 if self.bidirectional else 1

    @property
    def _now(self) -> Cell:
        """The cell that runs: in training with its noise, else at rest."""
        return self.cell if self.training else self.cell.at_rest

    def choice(self) -> Choice:
        """The backend that runs this layer where its parameters now are, and why."""
        return self._choose(self._parameter(), self._now, dict(self.named_parameters()))

    def _choose(self, parameter: Tensor | None, cell: Cell, parameters: Mapping[str, Tensor] | None = None) -> Choice:
        if self.recorder is not None:
            return self.recorder
        if parameter is None:
            return choose(self.backend, cell)
        return choose(self.backend, cell, parameter.device, parameter.dtype, parameters)

    def _parameter(self) -> Tensor | None:
        """One of the parameters, which all have one device and dtype; None if the cell has none."""
        # Not by parameters(), which takes longer than a short step of the network.
        first = cast("nn.ModuleList", self._modules["layers"])._modules["0"]
        return None if first is None else next(iter(first._parameters.values()), None)

    def forward(
        self,
        x: Tensor,
        state: Mapping[str, Tensor] | None = None,
        lengths: Tensor | Sequence[int] | None = None,
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Run the network over a batch of sequences.

        Under torch.autocast it runs in the dtype of its parameters, to which x and the state are cast.

        Args:
            x: The inputs (B, T, I), or (T, B, I) if not batch_first; (T, I) for one sequence.
            state: The state before the first step by name, (L · D, B, H) each, or (L · D, H) for one sequence; what is
                not given is zero, or as learned.
            lengths: How many steps of each row count (B,), each from 1 to T; None for all.

        Returns:
            The outputs of the last layer (B, T, D · H), zero past each row's length, and the state after each row's
            last step, (L · D, B, H) by name: layer by layer, forward before reverse. Padding never changes either.

        Raises:
            ShapeError: A shape, length, dtype or name does not fit.
            BackendError: The backend that was asked for cannot run this cell where it is.
        """
        if type(x) is not Tensor:
            given: object = x
            if isinstance(given, Proxy):
                return cast("tuple[Tensor, dict[str, Tensor]]", as_leaf(self, given, state=state, lengths=lengths))
            if isinstance(x, Tensor) and has_torch_function_unary(x):
                return self._of_subclass(x, state, lengths)
        if isinstance(x, Tensor):
            kind = "cpu" if x.is_cpu else x.device.type
            if (kind == "cpu" or kind == "cuda") and torch.is_autocast_enabled(kind):
                return self._without_autocast(x, state, lengths)
        parameter = self._parameter()
        self._check_input(x, parameter)
        single = x.dim() == 2
        sequence = x.unsqueeze(1) if single else x.transpose(0, 1) if self.batch_first else x
        ends = None if lengths is None else self._check_lengths(lengths, sequence)
        given = {} if state is None else self._check_state(state, sequence, single)
        cell = self._now
        choice = self._choose(parameter, cell)
        last: dict[str, list[Tensor]] = {key: [] for key in cell.carried_names}
        for layer, both in enumerate(self._by_layer()):
            if layer:
                sequence = self.dropout(sequence)
            jobs = [self._job(cell, own, layer, k, sequence, given, ends) for k, own in enumerate(both)]
            outputs = []
            for own, carried in choice.all(jobs):
                outputs.append(own)
                for key, value in carried.items():
                    last[key].append(value)
            sequence = torch.cat(outputs, -1) if self.bidirectional else outputs[0]
        result = {k: torch.cat(values) if len(values) > 1 else values[0] for k, values in last.items()}
        if single:
            return sequence[:, 0], {key: value[:, 0] for key, value in result.items()}
        return sequence.transpose(0, 1) if self.batch_first else sequence, result

    def _by_layer(self) -> Iterable[tuple[nn.Module, ...]]:
        """The parameters of each layer, forward before reverse."""
        layers = cast("nn.ModuleList", self._modules["layers"])._modules.values()
        directions = (layers, self.reverse_layers) if self.bidirectional else (layers,)
        return cast("Iterable[tuple[nn.Module, ...]]", zip(*directions, strict=True))

    def _without_autocast(
        self, x: Tensor, state: Mapping[str, Tensor] | None, lengths: Tensor | Sequence[int] | None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Run in the dtype of the parameters, whatever the products around run in.

        What a recurrence rounds it rounds again at every step, so that it keeps all its digits, as torch's own layers
        do that autocast has no rule for.
        """
        parameter = self._parameter()
        dtype = x.dtype if parameter is None else parameter.dtype

        def cast(value: Tensor) -> Tensor:
            return value.to(dtype) if isinstance(value, Tensor) and value.is_floating_point() else value

        given = {key: cast(value) for key, value in state.items()} if isinstance(state, Mapping) else state
        with torch.autocast(x.device.type, enabled=False):
            return self.forward(cast(x), given, lengths)

    def _of_subclass(
        self, x: Tensor, state: Mapping[str, Tensor] | None, lengths: Tensor | Sequence[int] | None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Run on a tensor of a subclass, which makes results of its class of the tensors that come out."""

        def run(x: Tensor) -> tuple[Tensor, ...]:
            outputs, last = self.forward(x, state, lengths)
            return outputs, *last.values()

        outputs, *last = handle_torch_function(run, (x,), x)
        return outputs, dict(zip(self._now.carried_names, last, strict=True))

    def _job(
        self,
        cell: Cell,
        own: nn.Module,
        layer: int,
        direction: int,
        sequence: Tensor,
        given: Mapping[str, Tensor],
        lengths: Tensor | None,
    ) -> Job:
        """What one layer runs in one direction."""
        assert isinstance(own, CellParameters)
        tensors, noise = own.tensors(cell), None
        if self.training:
            # Asking either for nothing would take as long as a short step.
            input_dropout = cast("LockedDropout", self._modules["input_dropout"])
            if input_dropout.rate:
                sequence = input_dropout(sequence, time=0)
            if self.weight_drop:
                # A mask would be broadcast over a wrong shape.
                job = Job(cell, self.hidden_size, tensors, sequence, {}, None, bool(direction), None, layer)
                gate.check(gate.operands_of(job)[: 1 + len(tensors)])
                tensors = drop_weights(cell, tensors, own.input_size, self.weight_drop)
            if cell.noise:
                steps, batch = sequence.shape[:2]
                noise = draw_noise(cell, steps, batch, self.hidden_size, sequence)
        state = {}
        for key in cell.carried_names:
            if key in given:
                state[key] = given[key][layer * self.num_directions + direction]
            elif key in own.initial_states:
                state[key] = own.initial_state(key, layer, reverse=bool(direction)).expand(sequence.shape[1], -1)
        return Job(cell, self.hidden_size, tensors, sequence, state, lengths, bool(direction), noise, layer)

    def _check_input(self, x: object, parameter: Tensor | None) -> None:
        if not isinstance(x, Tensor):
            expected = f"{self._expected}: pad ragged sequences and give their lengths"
            raise ShapeError(f"x is a {type(x).__name__}; {expected}")
        try:
            shape = x.shape
        except RuntimeError:  # a nested tensor has none
            gate.check_dense("x", x)
            raise
        if len(shape) not in (2, 3) or shape[-1] != self.input_size:
            raise ShapeError(f"x has the shape {tuple(shape)}; {self._expected}")
        if 0 in shape:
            raise ShapeError(f"x has the shape {tuple(shape)}; expected at least one row and one step")
        if parameter is not None:
            self._check_place("x", x, parameter)

    @property
    def _expected(self) -> str:
        axes = "(B, T, I)" if self.batch_first else "(T, B, I)"
        return f"expected {axes} with I = {self.input_size}, or (T, I) for one sequence"

    @staticmethod
    def _check_place(name: str, tensor: Tensor, parameter: Tensor) -> None:
        if tensor.dtype != parameter.dtype or tensor.device != parameter.device:
            raise ShapeError(
                f"{name} is {tensor.dtype} on {tensor.device}, and the layer {parameter.dtype} on {parameter.device}; "
                "move one of them with .to(...)"
            )

    def _check_lengths(self, lengths: Tensor | Sequence[int], sequence: Tensor) -> Tensor:
        steps, batch = sequence.shape[:2]
        try:
            if not isinstance(lengths, Tensor) and any(isinstance(length, bool) for length in lengths):
                raise TypeError  # among numbers it would be taken for one
            ends = torch.as_tensor(lengths, device=sequence.device)
        except (TypeError, ValueError, RuntimeError):
            raise ShapeError(f"lengths is {lengths!r}; expected {batch} whole numbers, one a row") from None
        whole = not (ends.is_floating_point() or ends.is_complex() or ends.dtype == torch.bool)
        if ends.shape != (batch,) or not whole:
            raise ShapeError(
                f"lengths has the shape {tuple(ends.shape)} and dtype {ends.dtype}; "
                f"expected {batch} whole numbers, one a row"
            )
        if torch.compiler.is_compiling():
            return torch.ops.recurra.checked_lengths(ends.long(), steps)  # type: ignore[no-any-return]
        return _check_ends(ends.long(), steps)

    def _check_state(self, state: Mapping[str, Tensor], sequence: Tensor, single: bool) -> dict[str, Tensor]:
        """The states that are given, (L · D, B, H) each."""
        known = ", ".join(self.cell.carried) or "none"
        if not isinstance(state, Mapping):
            raise ShapeError(f"the state is a {type(state).__name__}; expected a dict by the names of states: {known}")
        rows = self.num_layers * self.num_directions
        shape = (rows, self.hidden_size) if single else (rows, sequence.shape[1], self.hidden_size)
        axes = "(L · D, H)" if single else "(L · D, B, H)"
        for key, value in state.items():
            if key not in self.cell.carried:
                raise ShapeError(f"{key!r} is not a state of this cell; its states are: {known}")
            if isinstance(value, Tensor):
                gate.check_dense(f"the state {key!r}", value)
            if not isinstance(value, Tensor) or tuple(value.shape) != shape:
                got = f"has the shape {tuple(value.shape)}" if isinstance(value, Tensor) else f"is {value!r}"
                raise ShapeError(f"the state {key!r} {got}; expected {axes} = {shape}")
            self._check_place(f"the state {key!r}", value, sequence)
        return {key: value.unsqueeze(1) if single else value for key, value in state.items()}

    def trace(
        self,
        x: Tensor,
        state: Mapping[str, Tensor] | None = None,
        lengths: Tensor | Sequence[int] | None = None,
    ) -> Trace:
        """Run the network and keep every named value of the equations at every step, for each layer and direction.

        It runs on the reference backend, in the mode that the layer is in: in training with dropout and noise drawn as
        a call would draw them, so that from one seed both give the same, and in evaluation with noise at rest.

        Args:
            x: As for a call.
            state: As for a call.
            lengths: As for a call.

        Returns:
            What a call returns, as `outputs` and `state`, and the values by layer, as `layers` and `reverse_layers`:
            (B, T, H) each, with the axes of x, zero past a row's length. With gradients on, `gradients(loss)` is the
            gradient of a loss at each of them.

        Raises:
            ShapeError: As for a call.

        Example:
            >>> layer = Recurrent("lstm", input_size=3, hidden_size=5, num_layers=2)
            >>> trace = layer.trace(torch.randn(4, 7, 3))
            >>> list(trace.layers[1])
            ['input', 'forget', 'candidate', 'output', 'memory', 'h']
            >>> forget = trace.gradients(trace.outputs.sum()).layers[1]["forget"]
            >>> tuple(forget.shape)
            (4, 7, 5)
        """
        return trace(self, x, state, lengths)

    def stream(self, batch_size: int = 1) -> Stream:
        """The network as something that is advanced one step a call and keeps its state.

        Args:
            batch_size: B, how many rows advance side by side.

        Raises:
            SettingError: The network is bidirectional, or the batch size is not positive.

        Example:
            >>> stream = Recurrent("lstm", 3, 5).stream()
            >>> stream.step(torch.ones(1, 3)).shape
            torch.Size([1, 5])
        """
        return Stream(self, batch_size)

    def training_notices(self) -> list[str]:
        """What whoever trains the layer should know before the first step, in a sentence each.

        They name the parameters that cannot learn from where they are now, such as two vectors that begin at 0 and
        multiply one another, and say what to begin elsewhere; see `recurra.equations.initial_gradient`. Our training
        loop shows them when it starts.

        Example:
            >>> layer = Recurrent("h[t] = tanh(W @ [h[t-1], x[t]] + p * q)", 3, 5)
            >>> print(*layer.training_notices())
            p and q begin at 0, where the gradient is exactly 0 for ever: they will never learn; begin elsewhere: ...
        """
        notices: dict[str, None] = {}
        for layer in (*self.layers, *self.reverse_layers):
            assert isinstance(layer, CellParameters)
            frozen = {name for name, tensor in layer.tensors(self.cell).items() if not tensor.requires_grad}
            learned_states = bool(layer.initial_states)
            begin = layer.uniform_values(self.cell)
            notices.update(
                dict.fromkeys(initial_gradient(self.cell, begin, frozen, learned_states=learned_states).problems)
            )
        return list(notices)

    def extra_repr(self) -> str:
        """The cell, the sizes and what else was asked for, for repr."""
        parts = [self.cell.name or "cell of its own", f"{self.input_size}, {self.hidden_size}"]
        parts += [f"num_layers={self.num_layers}"] if self.num_layers > 1 else []
        parts += ["bidirectional=True"] if self.bidirectional else []
        parts += ["batch_first=False"] if not self.batch_first else []
        parts += [f"weight_drop={self.weight_drop}"] if self.weight_drop else []
        parts += [f"backend={self.backend!r}"] if self.backend != "auto" else []
        return ", ".join(parts)
