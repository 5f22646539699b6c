"""`RNN`, `GRU` and `LSTM` as torch.nn has them, run by Recurra: changing the import is all it takes.

Each is a subclass of torch.nn's class of the same name. Arguments, parameters and their names, initial values,
`state_dict`, moves between devices and `isinstance` are torch's own; only the forward pass is ours. There each layer's
weights, read at that moment, are cut into the parameters of a cell, through which gradients flow back to torch's
names, and a backend runs the cell. So weight normalisation, `parametrize` and `functional_call` work as on torch.nn's.
TorchScript cannot compile these classes. `torch.compile` goes around them, as it does around all subclasses of
torch.nn's, unless `torch._dynamo.config.allow_rnn` is set; `recurra.nn.Recurrent` it always takes.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.rnn import RNNBase
from torch.nn.utils.rnn import PackedSequence

from recurra import cells
from recurra.backends.choose import Choice, choose
from recurra.backends.job import Job
from recurra.backends.layout import Layout
from recurra.equations.cell import Cell
from recurra.errors import BackendError, ShapeError

__all__ = ["GRU", "LSTM", "RNN"]

_RNN = {"tanh": cells.RNN, "relu": cells.IRNN}
_PROJECTED_LSTM = Cell(
    "\n".join([*str(cells.LSTM).splitlines()[:-1], "h[t] = W_projection @ (output[t] * tanh(memory[t]))"]),
    name="projected-lstm",
    title="Long short-term memory with a projection",
    purpose="many memory cells at the cost of few",
    paper=(
        'Sak, Senior and Beaufays, "Long short-term memory based recurrent neural network architectures for large '
        'vocabulary speech recognition", 2014'
    ),
    variant="as torch.nn.LSTM with proj_size",
)


class _Compatible(RNNBase):
    """What the three share: the forward pass, given the cell and how torch's weights become its parameters."""

    backend: str
    recorder: Choice | None = None
    """What takes the place of the backend while the layer is traced."""

    # The arguments are torch's, whatever its version.
    def __init__(self, *args: Any, backend: str = "auto", **arguments: Any) -> None:  # noqa: ANN401
        super().__init__(*args, **arguments)
        self.backend = backend
        _ = self.cell.carried  # torch.compile can read what a cell has worked out, but not have it worked out
        # An unknown name is refused at once; whether a known one can run is seen where the layer is when it runs.
        with contextlib.suppress(BackendError):
            choose(backend, self.cell)

    @property
    def cell(self) -> Cell:
        """The equations that each layer runs."""
        raise NotImplementedError

    def _parameters_of_cell(self, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The parameters of the cell, from torch's weights of one layer in one direction (`weight_ih`, ...)."""
        raise NotImplementedError

    def choice(self) -> Choice:
        """The backend that runs this layer where its parameters now are, and why."""
        if self.recorder is not None:
            return self.recorder
        weight = next(self.parameters())
        return choose(self.backend, self.cell, weight.device, weight.dtype)

    def forward(self, input: Tensor | PackedSequence, hx: Tensor | Sequence[Tensor] | None = None) -> tuple[Any, Any]:
        """Run the layers over a batch of sequences; arguments and results are those of torch.nn.

        Args:
            input: (T, B, I), or (B, T, I) if batch_first; (T, I) for one sequence; or a PackedSequence.
            hx: The state before the first step, zero if None: h of (L · D, B, H), without B for one sequence; for an
                LSTM the pair (h, c). With proj_size, h is that wide.

        Returns:
            The outputs, in the form the input came in, D · H wide; and the last state, in the form of hx.

        Raises:
            ShapeError: The input has no steps, or the state is not of the form or dtype that goes with the input.
            ValueError: The input's number of dimensions or its dtype does not fit, as in torch.nn.
            RuntimeError: Another size does not fit, as in torch.nn.
        """
        self._update_flat_weights()
        states = None if hx is None else self._as_states(hx)
        outputs: Tensor | PackedSequence
        if isinstance(input, PackedSequence):
            outputs, last = self._run_packed(input, states)
        else:
            outputs, last = self._run_padded(input, states)
        return outputs, last if len(last) > 1 else last[0]

    def _run_padded(self, x: Tensor, states: tuple[Tensor, ...] | None) -> tuple[Tensor, tuple[Tensor, ...]]:
        if x.dim() not in (2, 3):
            raise ShapeError(f"the input has {x.dim()} dimensions; expected 3, or 2 for one sequence")
        if states is not None and any(s.dim() != x.dim() for s in states):
            got = " and ".join(str(s.dim()) for s in states)
            raise ShapeError(
                f"the state has {got} dimensions and the input {x.dim()}; expected 3 for a batch and 2 for one sequence"
            )
        single, batch_axis = x.dim() == 2, 0 if self.batch_first else 1
        if single:
            x = x.unsqueeze(batch_axis)
            states = None if states is None else tuple(s.unsqueeze(1) for s in states)
        states = self._checked(x, states, x.shape[batch_axis])
        x = x.transpose(0, 1) if self.batch_first else x
        if x.shape[0] == 0:
            raise ShapeError("the input has no steps; expected at least one: leave empty sequences out")
        outputs, last = self._run_layers(x, states)
        if single:
            return outputs.squeeze(1), tuple(s.squeeze(1) for s in last)
        return outputs.transpose(0, 1) if self.batch_first else outputs, last

    def _run_packed(
        self, sequences: PackedSequence, states: tuple[Tensor, ...] | None
    ) -> tuple[PackedSequence, tuple[Tensor, ...]]:
        """Packed rows are sorted by length, longest first; a state that is given or returned is in the user's order."""
        data, sizes, order, original_order = sequences
        batch = int(sizes[0])
        states = self._checked(data, states, batch, sizes)
        if order is not None:
            states = tuple(s.index_select(1, order) for s in states)
        lengths = (sizes[:, None] > torch.arange(batch, device=sizes.device)).sum(0).to(data.device)
        layout = Layout.of(len(sizes), batch, lengths)
        outputs, last = self._run_layers(layout.unpack(data), states, lengths, layout)
        if original_order is not None:
            last = tuple(s.index_select(1, original_order) for s in last)
        return PackedSequence(layout.pack(outputs), sizes, order, original_order), last

    def _run_layers(
        self,
        x: Tensor,
        states: tuple[Tensor, ...],
        lengths: Tensor | None = None,
        layout: Layout | None = None,
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """All layers over x (T, B, I): the outputs (T, B, D · H) and the last states (L · D, B, H)."""
        backend = self.choice().backend
        keys, widths = self._state_keys, self._state_widths
        last: dict[str, list[Tensor]] = {key: [] for key in keys}
        for layer in range(self.num_layers):
            if layer and self.dropout and self.training:
                # Drawn in the packed layout, as torch does, so that on a CPU one seed drops the same units in both.
                x = layout.unpack(F.dropout(layout.pack(x), self.dropout)) if layout else F.dropout(x, self.dropout)
            jobs, outputs = [], []
            for reverse in (False, True)[: self._num_directions]:
                row = layer * self._num_directions + reverse
                given = {key: s[row] for key, s in zip(keys, states, strict=True)}
                given[keys[0]] = self._widen(given[keys[0]])
                parameters = self._parameters_of_cell(self._weights_of(layer, reverse))
                jobs.append(Job(self.cell, self.hidden_size, parameters, x, given, lengths, reverse))
            for own, carried in backend.all(jobs):
                outputs.append(own[..., : widths[0]])
                for key, width in zip(keys, widths, strict=True):
                    last[key].append(carried[key][..., :width])
            x = torch.cat(outputs, -1) if self.bidirectional else outputs[0]
        return x, tuple(torch.cat(values) for values in last.values())

    @property
    def _num_directions(self) -> int:
        return 2 if self.bidirectional else 1

    @property
    def _state_keys(self) -> list[str]:
        """The keys of the cell's state in torch's order: the output first."""
        return sorted(self.cell.carried, key=lambda key: key != self.cell.output)

    @property
    def _state_widths(self) -> list[int]:
        """How wide each state is, in the same order: h is as wide as its projection, if it has one."""
        return [self.proj_size or self.hidden_size, self.hidden_size][: len(self._state_keys)]

    def _widen(self, tensor: Tensor) -> Tensor:
        """What is as wide as h, made as wide as the hidden state: if h is projected, zeros follow it (see `LSTM`)."""
        return F.pad(tensor, (0, self.hidden_size - self.proj_size)) if self.proj_size else tensor

    def _weights_of(self, layer: int, reverse: bool) -> dict[str, Tensor]:
        """Torch's weights of one layer in one direction, by the beginning of their names; biases are zero if unused."""
        # Torch's list and not the attributes: a weight that is computed anew at each reading is read once a pass.
        by_name = dict(zip(self._flat_weights_names, self._flat_weights, strict=True))
        suffix = f"_l{layer}_reverse" if reverse else f"_l{layer}"
        kinds = ("weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_hr")
        weights = {kind: w for kind in kinds if (w := by_name.get(kind + suffix)) is not None}
        none = weights["weight_ih"].new_zeros(len(weights["weight_ih"]))
        return {"bias_ih": none, "bias_hh": none, **weights}

    def _as_states(self, hx: Tensor | Sequence[Tensor]) -> tuple[Tensor, ...]:
        """The state as a tuple, whichever form the class takes it in."""
        count = len(self.cell.carried)
        if count == 1 and isinstance(hx, Tensor):
            return (hx,)
        if count > 1 and isinstance(hx, tuple | list) and len(hx) == count and all(isinstance(s, Tensor) for s in hx):
            return tuple(hx)
        got = f"{type(hx).__name__} of {len(hx)}" if isinstance(hx, tuple | list) else type(hx).__name__
        expected = "a pair of tensors (h, c)" if count > 1 else "one tensor"
        raise ShapeError(f"the state is a {got}; expected {expected}")

    def _checked(
        self, x: Tensor, states: tuple[Tensor, ...] | None, batch: int, sizes: Tensor | None = None
    ) -> tuple[Tensor, ...]:
        """The state to begin with, once torch's own checks have passed."""
        self.check_input(x, sizes)
        if states is None:
            rows = self.num_layers * self._num_directions
            return tuple(x.new_zeros(rows, batch, width) for width in self._state_widths)
        self.check_forward_args(x, states if len(states) > 1 else states[0], sizes)  # type: ignore[arg-type]
        for state in states:
            if state.dtype != x.dtype:
                raise ShapeError(f"the state is {state.dtype} and the input {x.dtype}; convert one with .to(...)")
        return states

    def extra_repr(self) -> str:
        """Torch's, and the backend if one was asked for."""
        return super().extra_repr() + (f", backend={self.backend!r}" if self.backend != "auto" else "")


def _gates(weights: Mapping[str, Tensor], names: Sequence[str], rows: slice = slice(None)) -> dict[str, Tensor]:
    """Torch's blocks of rows as one matrix on [h[t-1], x[t]] and one bias a gate; its two biases are added."""
    matrix = torch.cat([weights["weight_hh"][rows], weights["weight_ih"][rows]], 1)
    bias = weights["bias_ih"][rows] + weights["bias_hh"][rows]
    matrices = zip(names, matrix.chunk(len(names)), strict=True)
    biases = zip(names, bias.chunk(len(names)), strict=True)
    return {**{f"W_{name}": m for name, m in matrices}, **{f"b_{name}": b for name, b in biases}}


class RNN(_Compatible, nn.RNN):
    """A multi-layer Elman network as torch.nn.RNN, run by Recurra.

        h[t] = tanh(W @ [h[t-1], x[t]] + b)

    where W is [weight_hh, weight_ih] and b is bias_hh + bias_ih. Elman, "Finding structure in time", Cognitive
    Science, 1990; with relu as in Le, Jaitly and Hinton, "A simple way to initialize recurrent networks of rectified
    linear units", 2015.

    Args:
        input_size: I, the width of x[t].
        hidden_size: H, the width of h[t].
        num_layers: L, how many layers are stacked.
        nonlinearity: "tanh" or "relu".
        bias: Whether there are biases.
        batch_first: Whether a batch is (B, T, I) rather than (T, B, I); states are (L · D, B, H) either way.
        dropout: Rate of dropout on the outputs of every layer but the last, in training.
        bidirectional: Whether each layer also runs from the last step to the first; D is then 2.
        device: Where the parameters are made.
        dtype: Their dtype.
        backend: "auto", or the name of a backend, which then runs or says why it cannot.

    Raises:
        SettingError: There is no such backend.
        ValueError: A size, rate or nonlinearity is not possible, as in torch.nn.
        TypeError: A size or flag is of another type, as in torch.nn.

    Example:
        >>> theirs, ours = nn.RNN(3, 5, nonlinearity="relu"), RNN(3, 5, nonlinearity="relu")
        >>> ours.load_state_dict(theirs.state_dict())
        <All keys matched successfully>
        >>> x = torch.randn(7, 2, 3)
        >>> torch.allclose(ours(x)[0], theirs(x)[0], atol=1e-6)
        True
    """

    @property
    def cell(self) -> Cell:
        """The equations that each layer runs."""
        return _RNN[self.nonlinearity]

    def _parameters_of_cell(self, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        recurrent, of_input = weights["weight_hh"], weights["weight_ih"]
        bias = weights["bias_hh"] + weights["bias_ih"]
        if self.nonlinearity == "relu":
            return {"W_recurrent": recurrent, "W_input": of_input, "b": bias}
        return {"W": torch.cat([recurrent, of_input], 1), "b": bias}


class GRU(_Compatible, nn.GRU):
    """A multi-layer gated recurrent unit as torch.nn.GRU, run by Recurra.

        reset[t]     = sigmoid(W_reset @ [h[t-1], x[t]] + b_reset)
        update[t]    = sigmoid(W_update @ [h[t-1], x[t]] + b_update)
        candidate[t] = tanh(W_candidate @ x[t] + b_candidate + reset[t] * (W_recurrent @ h[t-1] + b_recurrent))
        h[t]         = (1 - update[t]) * candidate[t] + update[t] * h[t-1]

    The reset gate acts after the product with h[t-1], as in cuDNN; in Cho et al., "Learning phrase representations
    using RNN encoder-decoder for statistical machine translation", EMNLP 2014, it acts before.

    Args:
        input_size: I, the width of x[t].
        hidden_size: H, the width of h[t].
        num_layers: L, how many layers are stacked.
        bias: Whether there are biases.
        batch_first: Whether a batch is (B, T, I) rather than (T, B, I); states are (L · D, B, H) either way.
        dropout: Rate of dropout on the outputs of every layer but the last, in training.
        bidirectional: Whether each layer also runs from the last step to the first; D is then 2.
        device: Where the parameters are made.
        dtype: Their dtype.
        backend: "auto", or the name of a backend, which then runs or says why it cannot.

    Raises:
        SettingError: There is no such backend.
        ValueError: A size or rate is not possible, as in torch.nn.
        TypeError: A size or flag is of another type, as in torch.nn.

    Example:
        >>> layer = GRU(3, 5, num_layers=2, bidirectional=True)
        >>> outputs, h = layer(torch.randn(7, 2, 3))
        >>> tuple(outputs.shape), tuple(h.shape), tuple(layer.weight_ih_l1_reverse.shape)
        ((7, 2, 10), (4, 2, 5), (15, 10))
    """

    @property
    def cell(self) -> Cell:
        """The equations that each layer runs."""
        return cells.GRUResetAfter

    def _parameters_of_cell(self, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        gates, candidate = slice(2 * self.hidden_size), slice(2 * self.hidden_size, None)
        return {
            **_gates(weights, ("reset", "update"), gates),
            "W_candidate": weights["weight_ih"][candidate],
            "b_candidate": weights["bias_ih"][candidate],
            "W_recurrent": weights["weight_hh"][candidate],
            "b_recurrent": weights["bias_hh"][candidate],
        }


class LSTM(_Compatible, nn.LSTM):
    """A multi-layer long short-term memory as torch.nn.LSTM, run by Recurra.

        input[t]     = sigmoid(W_input @ [h[t-1], x[t]] + b_input)
        forget[t]    = sigmoid(W_forget @ [h[t-1], x[t]] + b_forget)
        candidate[t] = tanh(W_candidate @ [h[t-1], x[t]] + b_candidate)
        output[t]    = sigmoid(W_output @ [h[t-1], x[t]] + b_output)
        memory[t]    = forget[t] * memory[t-1] + input[t] * candidate[t]
        h[t]         = output[t] * tanh(memory[t])

    The memory is torch's c. With proj_size, h[t] = W_projection @ (output[t] * tanh(memory[t])), narrower than that.
    Hochreiter and Schmidhuber, "Long short-term memory", Neural Computation, 1997, with the forget gate of Gers,
    Schmidhuber and Cummins, "Learning to forget: continual prediction with LSTM", 2000; the projection is that of Sak,
    Senior and Beaufays, "Long short-term memory based recurrent neural network architectures for large vocabulary
    speech recognition", 2014.

    Args:
        input_size: I, the width of x[t].
        hidden_size: H, the width of memory[t], and of h[t] if it is not projected.
        num_layers: L, how many layers are stacked.
        bias: Whether there are biases.
        batch_first: Whether a batch is (B, T, I) rather than (T, B, I); states are (L · D, B, H) either way.
        dropout: Rate of dropout on the outputs of every layer but the last, in training.
        bidirectional: Whether each layer also runs from the last step to the first; D is then 2.
        proj_size: P, the width of h[t] if it is projected, below H; 0 for no projection.
        device: Where the parameters are made.
        dtype: Their dtype.
        backend: "auto", or the name of a backend, which then runs or says why it cannot.

    Raises:
        SettingError: There is no such backend.
        ValueError: A size or rate is not possible, as in torch.nn.
        TypeError: A size or flag is of another type, as in torch.nn.

    Example:
        >>> from torch.nn.utils.rnn import pack_sequence
        >>> layer = LSTM(3, 5, proj_size=2)
        >>> sequences = pack_sequence([torch.randn(2, 3), torch.randn(7, 3)], enforce_sorted=False)
        >>> outputs, (h, c) = layer(sequences)
        >>> tuple(outputs.data.shape), tuple(h.shape), tuple(c.shape)
        ((9, 2), (1, 2, 2), (1, 2, 5))
    """

    @property
    def cell(self) -> Cell:
        """The equations that each layer runs."""
        return _PROJECTED_LSTM if self.proj_size else cells.LSTM

    def _parameters_of_cell(self, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        # Every value of a cell is H wide, so a projected h (P wide) is followed by H - P zeros: the projection has as
        # many rows of zeros, and the recurrent matrix columns that meet them. What comes out is cut back to P.
        widened = {**weights, "weight_hh": self._widen(weights["weight_hh"])}
        parameters = _gates(widened, ("input", "forget", "candidate", "output"))
        if self.proj_size:
            parameters["W_projection"] = F.pad(weights["weight_hr"], (0, 0, 0, self.hidden_size - self.proj_size))
        return parameters
