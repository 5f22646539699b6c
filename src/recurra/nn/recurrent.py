"""The recurrent layer: any cell, deep, in one direction or both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from recurra import cells
from recurra.backends.choose import Choice, Run, choose
from recurra.cells import modifiers
from recurra.equations.cell import Cell
from recurra.errors import SettingError, ShapeError
from recurra.nn.dropout import LockedDropout, check_rate, draw_noise, drop_weights
from recurra.nn.initialise import Rule, initialise_

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


class CellParameters(nn.Module):
    """The parameters of one layer in one direction, under the names of the equations.

    A matrix is (H, width of its operand), its columns in the order of the concatenation; a vector is (H,).
    """

    def __init__(
        self, cell: Cell, input_size: int, hidden_size: int, rules: Mapping[str, Rule], learn_initial_state: bool
    ) -> None:
        super().__init__()
        self.input_size = input_size
        self.initial_states: dict[str, str] = {}
        for name, parameter in cell.parameters.items():
            if hasattr(self, name):
                raise SettingError(f"a parameter of a layer cannot be called {name!r}: rename it in the equations")
            self.register_parameter(name, nn.Parameter(torch.empty(parameter.shape(input_size, hidden_size))))
        if learn_initial_state:
            for key, (name, lag) in cell.carried.items():
                own = f"initial_{name}" if lag == 1 else f"initial_{name}_{lag}"
                self.initial_states[key] = own
                self.register_parameter(own, nn.Parameter(torch.zeros(hidden_size)))
        initialise_(cell, self.tensors(cell), input_size, rules)

    def tensors(self, cell: Cell) -> dict[str, Tensor]:
        """The parameters of the equations by name."""
        return {name: getattr(self, name) for name in cell.parameters}

    def initial_state(self, key: str) -> Tensor | None:
        """The learned initial state (H,) for a key of the state, if it is learned."""
        return getattr(self, self.initial_states[key]) if key in self.initial_states else None


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
        input_dropout: Rate of variational dropout on each layer's input: one mask a sequence.
        state_dropout: Rate of variational dropout on what the matrices read of the state (`modifiers.state_dropout`).
        zoneout: Rate at which a unit keeps its old state (`modifiers.zoneout`).
        weight_drop: Rate of DropConnect on the recurrent matrices.
        layer_norm: Whether every product is normalised (`modifiers.layer_norm`).
        learn_initial_state: Whether the state before the first step is learned; else it is zero.
        initial: How parameters begin, by name or pattern (`recurra.nn.initialise`).
        backend: "auto", or the name of a backend, which then runs or says why it cannot.
        device: Where the parameters are made.
        dtype: Their dtype.

    Raises:
        SettingError: A size is not positive, a rate not a probability, a name unknown.

    Example:
        >>> layer = Recurrent("gru", input_size=3, hidden_size=5, num_layers=2, bidirectional=True)
        >>> outputs, state = layer(torch.randn(4, 7, 3), lengths=[7, 2, 5, 1])
        >>> tuple(outputs.shape), {name: tuple(s.shape) for name, s in state.items()}
        ((4, 7, 10), {'h': (4, 4, 5)})
        >>> layer.layers[0].W_update.shape
        torch.Size([5, 8])
    """

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
        state_dropout: float = 0.0,
        zoneout: float = 0.0,
        weight_drop: float = 0.0,
        layer_norm: bool = False,
        learn_initial_state: bool = False,
        initial: Mapping[str, Rule] | None = None,
        backend: str = "auto",
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        for name, size in (("input_size", input_size), ("hidden_size", hidden_size), ("num_layers", num_layers)):
            if isinstance(size, bool) or not isinstance(size, int) or size < 1:
                raise SettingError(f"{name} is {size!r}; it is a whole number from 1")
        self.cell = self._modified(as_cell(cell), layer_norm, state_dropout, zoneout)
        self.input_size, self.hidden_size, self.num_layers = input_size, hidden_size, num_layers
        self.bidirectional, self.batch_first, self.backend = bidirectional, batch_first, backend
        self.weight_drop = check_rate("weight_drop", weight_drop)
        self.dropout = nn.Dropout(check_rate("dropout", dropout))
        self.input_dropout = LockedDropout(check_rate("input_dropout", input_dropout))
        choose(backend, self.cell)  # an unknown name is refused here and not at first use

        def make(layer: int) -> CellParameters:
            width = input_size if layer == 0 else hidden_size * self.num_directions
            return CellParameters(self.cell, width, hidden_size, initial or {}, learn_initial_state)

        self.layers = nn.ModuleList(make(layer) for layer in range(num_layers))
        self.reverse_layers = nn.ModuleList(make(layer) for layer in range(num_layers if bidirectional else 0))
        self.to(device=device, dtype=dtype)

    @staticmethod
    def _modified(cell: Cell, layer_norm: bool, state_dropout: float, zoneout: float) -> Cell:
        # In this order, so that zoneout mixes whole states and not parts of a normalised product.
        cell = modifiers.layer_norm(cell) if layer_norm else cell
        cell = modifiers.state_dropout(cell, state_dropout) if check_rate("state_dropout", state_dropout) else cell
        return modifiers.zoneout(cell, zoneout) if check_rate("zoneout", zoneout) else cell

    @property
    def num_directions(self) -> int:
        """D: 2 if bidirectional, else 1."""
        return 2 if self.bidirectional else 1

    def choice(self) -> Choice:
        """The backend that runs this layer where its parameters now are, and why."""
        parameter = next(self.parameters(), torch.empty(0))
        return choose(self.backend, self.cell, parameter.device, parameter.dtype)

    def forward(
        self,
        x: Tensor,
        state: Mapping[str, Tensor] | None = None,
        lengths: Tensor | Sequence[int] | None = None,
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Run the network over a batch of sequences.

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
        """
        single = x.dim() == 2
        if single:
            x = x.unsqueeze(0 if self.batch_first else 1)
            state = {key: value.unsqueeze(1) for key, value in state.items()} if state else state
        self._check_input(x)
        sequence = x.transpose(0, 1) if self.batch_first else x
        ends = self._check_lengths(lengths, sequence)
        given = self._check_state(state or {}, sequence)
        backend = self.choice().backend
        last: dict[str, list[Tensor]] = {key: [] for key in self.cell.carried}
        for layer in range(self.num_layers):
            if layer:
                sequence = self.dropout(sequence)
            sequence = self.input_dropout(sequence, time=0)
            outputs = []
            for direction in range(self.num_directions):
                own, carried = self._run(backend.run, layer, direction, sequence, given, ends)
                outputs.append(own)
                for key, value in carried.items():
                    last[key].append(value)
            sequence = torch.cat(outputs, -1) if self.bidirectional else outputs[0]
        result = {key: torch.stack(values) for key, values in last.items()}
        if single:
            return sequence[:, 0], {key: value[:, 0] for key, value in result.items()}
        return sequence.transpose(0, 1) if self.batch_first else sequence, result

    def _run(
        self,
        run: Run,
        layer: int,
        direction: int,
        sequence: Tensor,
        given: Mapping[str, Tensor],
        lengths: Tensor | None,
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """One layer in one direction."""
        steps, batch = sequence.shape[:2]
        own = (self.reverse_layers if direction else self.layers)[layer]
        assert isinstance(own, CellParameters)
        cell = self.cell if self.training else self.cell.at_rest
        tensors = own.tensors(cell)
        if self.training and self.weight_drop:
            tensors = drop_weights(cell, tensors, own.input_size, self.weight_drop)
        state = {}
        for key in cell.carried:
            learned = own.initial_state(key)
            if key in given:
                state[key] = given[key][layer * self.num_directions + direction]
            elif learned is not None:
                state[key] = learned.expand(batch, -1)
            else:
                state[key] = sequence.new_zeros(batch, self.hidden_size)
        noise = draw_noise(cell, steps, batch, self.hidden_size, sequence)
        return run(cell, tensors, sequence, state, lengths=lengths, reverse=bool(direction), noise=noise)

    def _check_input(self, x: Tensor) -> None:
        axes = "(B, T, I)" if self.batch_first else "(T, B, I)"
        if x.dim() != 3 or x.shape[2] != self.input_size:
            raise ShapeError(
                f"x has the shape {tuple(x.shape)}; expected {axes} with I = {self.input_size}, or (T, I) for one row"
            )
        if 0 in x.shape:
            raise ShapeError(f"x has the shape {tuple(x.shape)}; expected at least one row and one step")
        parameter = next(self.parameters(), None)
        if parameter is not None and (x.dtype != parameter.dtype or x.device != parameter.device):
            raise ShapeError(
                f"x is {x.dtype} on {x.device}, and the layer {parameter.dtype} on {parameter.device}; "
                "move one of them with .to(...)"
            )

    def _check_lengths(self, lengths: Tensor | Sequence[int] | None, sequence: Tensor) -> Tensor | None:
        if lengths is None:
            return None
        steps, batch = sequence.shape[:2]
        ends = torch.as_tensor(lengths, device=sequence.device)
        if ends.shape != (batch,) or ends.is_floating_point() or ends.dtype == torch.bool:
            raise ShapeError(
                f"lengths has the shape {tuple(ends.shape)} and dtype {ends.dtype}; expected {batch} whole numbers"
            )
        if bool(((ends < 1) | (ends > steps)).any()):
            row = int(((ends < 1) | (ends > steps)).nonzero()[0, 0])
            raise ShapeError(
                f"the length of row {row} is {int(ends[row])}; expected 1 to T = {steps}: leave empty sequences out"
            )
        return ends.long()

    def _check_state(self, state: Mapping[str, Tensor], sequence: Tensor) -> Mapping[str, Tensor]:
        shape = (self.num_layers * self.num_directions, sequence.shape[1], self.hidden_size)
        for key, value in state.items():
            if key not in self.cell.carried:
                known = ", ".join(self.cell.carried) or "none"
                raise ShapeError(f"{key!r} is not a state of this cell; its states are: {known}")
            if tuple(value.shape) != shape:
                raise ShapeError(
                    f"the state {key!r} has the shape {tuple(value.shape)}; expected (L · D, B, H) = {shape}"
                )
        return state

    def extra_repr(self) -> str:
        """The cell and the sizes, for repr."""
        parts = [self.cell.name or "cell of its own", f"{self.input_size}, {self.hidden_size}"]
        parts += [f"num_layers={self.num_layers}"] if self.num_layers > 1 else []
        parts += ["bidirectional=True"] if self.bidirectional else []
        return ", ".join(parts)
