"""`RNN`, `GRU` and `LSTM` as torch.nn has them, run by Recurra: changing the import is all it takes.

Each is a subclass of torch.nn's class of the same name. Arguments, parameters and their names, initial values,
`state_dict`, moves between devices and `isinstance` are torch's own; only the forward pass is ours. There each layer's
weights, read at that moment and as they lie in memory, are the parameters of a cell, through which gradients flow back
to torch's names, and a backend runs the cell. So weight normalisation, `parametrize` and `functional_call` work as on
torch.nn's, and torch.fx takes them for leaves. TorchScript can trace these classes, not compile them. `torch.compile`
goes around them, as it does around all subclasses of torch.nn's, unless `torch._dynamo.config.allow_rnn` is set;
`recurra.nn.Recurrent` it always takes.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.fx import Proxy
from torch.nn.modules.rnn import RNNBase
from torch.nn.utils.rnn import PackedSequence
from torch.overrides import handle_torch_function, has_torch_function_unary

from recurra import cells
from recurra.backends import gate
from recurra.backends.choose import Choice, choose
from recurra.backends.gate import Gate
from recurra.backends.job import Job
from recurra.backends.layout import Layout
from recurra.equations.cell import Cell
from recurra.errors import BackendError, ShapeError
from recurra.nn.leaf import as_leaf

__all__ = ["GRU", "LSTM", "RNN"]


def _with_torchs_matrices(cell: Cell, equations: str) -> Cell:
    """A cell of the catalogue with the matrices that torch has, of which each is read as it lies in memory."""
    about = {key: getattr(cell, key) for key in ("name", "title", "purpose", "paper")}
    return Cell(equations, **about, variant="with the matrices of torch.nn")


_RNN = {
    "tanh": _with_torchs_matrices(cells.RNN, "h[t] = tanh(W_hh @ h[t-1] + W_ih @ x[t] + b)"),
    "relu": _with_torchs_matrices(cells.IRNN, "h[t] = relu(W_hh @ h[t-1] + W_ih @ x[t] + b)"),
}
_GRU = _with_torchs_matrices(
    cells.GRUResetAfter,
    """
    reset[t]     = sigmoid(W_hr @ h[t-1] + W_ir @ x[t] + b_r)
    update[t]    = sigmoid(W_hz @ h[t-1] + W_iz @ x[t] + b_z)
    candidate[t] = tanh(W_in @ x[t] + b_in + reset[t] * (W_hn @ h[t-1] + b_hn))
    h[t]         = (1 - update[t]) * candidate[t] + update[t] * h[t-1]
    """,
)
_LSTM = _with_torchs_matrices(
    cells.LSTM,
    """
    input[t]     = sigmoid(W_hi @ h[t-1] + W_ii @ x[t] + b_i)
    forget[t]    = sigmoid(W_hf @ h[t-1] + W_if @ x[t] + b_f)
    candidate[t] = tanh(W_hg @ h[t-1] + W_ig @ x[t] + b_g)
    output[t]    = sigmoid(W_ho @ h[t-1] + W_io @ x[t] + b_o)
    memory[t]    = forget[t] * memory[t-1] + input[t] * candidate[t]
    h[t]         = output[t] * tanh(memory[t])
    """,
)
_PROJECTED_LSTM = Cell(
    "\n".join([*str(_LSTM).splitlines()[:-1], "h[t] = W_hr @ (output[t] * tanh(memory[t]))"]),
    name="projected-lstm",
    title="Long short-term memory with a projection",
    purpose="many memory cells at the cost of few",
    paper=(
        'Sak, Senior and Beaufays, "Long short-term memory based recurrent neural network architectures for large '
        'vocabulary speech recognition", 2014'
    ),
    variant="as torch.nn.LSTM with proj_size",
)


def _weight_shapes(
    mode: str, input_size: int, hidden_size: int, num_layers: int, bias: bool, bidirectional: bool, proj_size: int
) -> list[tuple[int, ...]]:
    """The shapes of torch.nn's weights in the order in which a layer keeps them."""
    rows, width = {"LSTM": 4, "GRU": 3}.get(mode, 1) * hidden_size, proj_size or hidden_size
    shapes: list[tuple[int, ...]] = []
    for layer in range(num_layers):
        read = input_size if layer == 0 else width * (1 + bidirectional)
        one: list[tuple[int, ...]] = [(rows, read), (rows, width)]
        one += [(rows,)] * 2 if bias else []
        one += [(proj_size, hidden_size)] if proj_size else []
        shapes += one * (1 + bidirectional)
    return shapes


# A trace calls it and keeps what it gives; see `recurra.backends.cpu.run.refusal`.
_weight_shapes._dynamo_marked_constant = True  # type: ignore[attr-defined]


_SIZES = ("mode", "input_size", "hidden_size", "num_layers", "bias", "bidirectional", "proj_size")
"""The attributes of a layer that are the arguments of `_weight_shapes`."""


@lru_cache(maxsize=256)
def _weight_gate(dtype: torch.dtype, *sizes: Any) -> Gate:  # noqa: ANN401
    """What torch.nn's weights must be, for the arguments of `_weight_shapes`."""
    return Gate(_weight_shapes(*sizes), dtype)


class _Compatible(RNNBase):
    """What the three share: the forward pass, given the cell and how torch's weights become its parameters."""

    backend: str
    recorder: Choice | None = None
    """What takes the place of the backend while the layer is traced."""

    # The arguments are torch's, whatever its version.
    def __init__(self, *args: Any, backend: str = "auto", **arguments: Any) -> None:  # noqa: ANN401
        super().__init__(*args, **arguments)
        self.backend = backend
        # torch.compile can read what a cell has worked out, but not have it worked out.
        _ = self.cell.carried, self.cell.carried_names, self.cell.parameter_names
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
        return self._choose(dict(self.named_parameters()))

    def _choose(self, parameters: Mapping[str, Tensor] | None = None) -> Choice:
        if self.recorder is not None:
            return self.recorder
        weight = cast("Tensor", self._flat_weights[0])
        return choose(self.backend, self.cell, weight.device, weight.dtype, parameters)

    def forward(self, input: Tensor | PackedSequence, hx: Tensor | Sequence[Tensor] | None = None) -> tuple[Any, Any]:
        """Run the layers over a batch of sequences; arguments and results are those of torch.nn.

        Under torch.autocast they run in the dtype of their weights, to which the input and the state are cast.

        Args:
            input: (T, B, I), or (B, T, I) if batch_first; (T, I) for one sequence; or a PackedSequence.
            hx: The state before the first step, zero if None: h of (L · D, B, H), without B for one sequence; for an
                LSTM the pair (h, c). With proj_size, h is that wide.

        Returns:
            The outputs, in the form the input came in, D · H wide; and the last state, in the form of hx.

        Raises:
            ShapeError: The input has no steps, the state is not of the form or dtype that goes with the input, or a
                weight no longer has the shape that the layer was made with.
            ValueError: The input's number of dimensions or its dtype does not fit, as in torch.nn.
            RuntimeError: Another size does not fit, as in torch.nn.
        """
        data = input.data if isinstance(input, PackedSequence) else input
        if type(data) is not Tensor:
            given: object = data
            if isinstance(given, Proxy):
                return cast("tuple[Any, Any]", as_leaf(self, given, hx=hx))
            if not isinstance(data, Tensor):
                raise ShapeError(f"the input is a {type(data).__name__}; expected a tensor or a PackedSequence")
            if has_torch_function_unary(data):
                return self._of_subclass(data, input, hx)
        kind = "cpu" if data.is_cpu else data.device.type
        if kind in ("cpu", "cuda") and torch.is_autocast_enabled(kind):
            return self._without_autocast(kind, input, hx)
        self._update_flat_weights()
        self._check_weights()
        states = None if hx is None else self._as_states(hx)
        outputs: Tensor | PackedSequence
        if isinstance(input, PackedSequence):
            outputs, last = self._run_packed(input, states)
        else:
            outputs, last = self._run_padded(input, states)
        return outputs, last if len(last) > 1 else last[0]

    def _of_subclass(
        self, data: Tensor, input: Tensor | PackedSequence, hx: Tensor | Sequence[Tensor] | None
    ) -> tuple[Any, Any]:
        """Run on a tensor of a subclass, which makes results of its class of the tensors that come out."""
        form: list[Any] = []

        def run(data: Tensor) -> tuple[Tensor, ...]:
            outputs, last = self.forward(input._replace(data=data) if isinstance(input, PackedSequence) else data, hx)
            form.append(outputs)
            return (
                outputs.data if isinstance(outputs, PackedSequence) else outputs,
                *(last if isinstance(last, tuple) else (last,)),
            )

        outputs, *last = handle_torch_function(run, (data,), data)
        whole = form[-1]._replace(data=outputs) if isinstance(form[-1], PackedSequence) else outputs
        return whole, tuple(last) if len(last) > 1 else last[0]

    def _without_autocast(
        self, kind: str, input: Tensor | PackedSequence, hx: Tensor | Sequence[Tensor] | None
    ) -> tuple[Any, Any]:
        """Run in the dtype of the weights, as `Recurrent` does and for the same reason."""
        dtype = cast("Tensor", self._flat_weights[0]).dtype

        def cast_(value: Any) -> Any:  # noqa: ANN401
            return value.to(dtype) if isinstance(value, Tensor) and value.is_floating_point() else value

        if isinstance(input, PackedSequence):
            input = input._replace(data=cast_(input.data))
        hx = type(hx)(map(cast_, hx)) if isinstance(hx, tuple | list) else cast_(hx)
        with torch.autocast(kind, enabled=False):
            return self.forward(cast_(input), hx)

    def _check_weights(self) -> None:
        """Refuse weights of another shape than the layer was made with, which would be cut up into wrong gates."""
        weights, first = self._flat_weights, self._flat_weights[0]
        own = self.__dict__  # which is what the attributes are read from, sooner
        sizes = [own[name] for name in _SIZES]
        if first is not None and not torch.compiler.is_compiling():
            given = cast("list[Tensor]", weights)
            if _weight_gate(first.dtype, *sizes).accepts(given) is not None and gate.in_memory(given):
                return
        expected = _weight_shapes(*sizes)
        named = [*zip(self._flat_weights_names, weights, expected, strict=True)]
        for name, weight, shape in named:
            if weight is None:
                raise ShapeError(f"the layer has no {name}; expected a parameter or tensor of the shape {shape}")
        gate.check([gate.Operand(name, cast("Tensor", weight), shape) for name, weight, shape in named])

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
            states = states and tuple(s.index_select(1, order) for s in states)
        lengths = (sizes[:, None] > torch.arange(batch, device=sizes.device)).sum(0).to(data.device)
        layout = Layout.of(len(sizes), batch, lengths)
        if layout.total != len(data):
            raise ShapeError(
                f"the packed sequence holds {len(data)} steps, and its batch_sizes tell of {layout.total}; "
                "pack sequences that are as long as their lengths say"
            )
        outputs, last = self._run_layers(layout.unpack(data), states, lengths, layout)
        if original_order is not None:
            last = tuple(s.index_select(1, original_order) for s in last)
        return PackedSequence(layout.pack(outputs), sizes, order, original_order), last

    def _run_layers(
        self,
        x: Tensor,
        states: tuple[Tensor, ...] | None,
        lengths: Tensor | None = None,
        layout: Layout | None = None,
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """All layers over x (T, B, I): the outputs (T, B, D · H) and the last states (L · D, B, H)."""
        choice = self._choose()
        keys, widths = self._state_keys, self._state_widths
        last: dict[str, list[Tensor]] = {key: [] for key in keys}
        for layer in range(self.num_layers):
            if layer and self.dropout and self.training:
                # Drawn in the packed layout, as torch does, so that on a CPU one seed drops the same units in both.
                x = layout.unpack(F.dropout(layout.pack(x), self.dropout)) if layout else F.dropout(x, self.dropout)
            jobs, outputs = [], []
            for reverse in (False, True)[: self._num_directions]:
                row = layer * self._num_directions + reverse
                given = {key: s[row] for key, s in zip(keys, states, strict=True)} if states else {}
                if given and self.proj_size:
                    given[keys[0]] = self._widen(given[keys[0]])
                parameters = self._parameters_of_cell(self._weights_of(layer, reverse))
                jobs.append(Job(self.cell, self.hidden_size, parameters, x, given, lengths, reverse))
            for own, carried in choice.all(jobs):
                # A part that is all would be a step of its own in the gradient, too.
                outputs.append(own[..., : widths[0]] if self.proj_size else own)
                for key, width in zip(keys, widths, strict=True):
                    last[key].append(carried[key][..., :width] if self.proj_size else carried[key])
            x = torch.cat(outputs, -1) if self.bidirectional else outputs[0]
        return x, tuple(torch.cat(values) if len(values) > 1 else values[0] for values in last.values())

    @property
    def _num_directions(self) -> int:
        return 2 if self.bidirectional else 1

    @property
    def _state_keys(self) -> list[str]:
        """The keys of the cell's state in torch's order: the output first."""
        return sorted(self.cell.carried_names, key=lambda key: key != self.cell.output)

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
        if not self.bias:
            weights["bias_ih"] = weights["bias_hh"] = weights["weight_ih"].new_zeros(len(weights["weight_ih"]))
        return weights

    def _as_states(self, hx: Tensor | Sequence[Tensor]) -> tuple[Tensor, ...]:
        """The state as a tuple, whichever form the class takes it in."""
        count = len(self.cell.carried_names)
        if count == 1 and isinstance(hx, Tensor):
            return (hx,)
        if count > 1 and isinstance(hx, tuple | list) and len(hx) == count and all(isinstance(s, Tensor) for s in hx):
            return tuple(hx)
        got = f"{type(hx).__name__} of {len(hx)}" if isinstance(hx, tuple | list) else type(hx).__name__
        expected = "a pair of tensors (h, c)" if count > 1 else "one tensor"
        raise ShapeError(f"the state is a {got}; expected {expected}")

    def _checked(
        self, x: Tensor, states: tuple[Tensor, ...] | None, batch: int, sizes: Tensor | None = None
    ) -> tuple[Tensor, ...] | None:
        """The state to begin with, once torch's own checks have passed; None for zero."""
        self.check_input(x, sizes)
        if states is None:
            return None
        self.check_forward_args(x, states if len(states) > 1 else states[0], sizes)  # type: ignore[arg-type]
        for state in states:
            if state.dtype != x.dtype:
                raise ShapeError(f"the state is {state.dtype} and the input {x.dtype}; convert one with .to(...)")
        return states

    def extra_repr(self) -> str:
        """Torch's, and the backend if one was asked for."""
        return super().extra_repr() + (f", backend={self.backend!r}" if self.backend != "auto" else "")


def _by_gate(weights: Mapping[str, Tensor], gates: Sequence[str]) -> dict[str, Tensor]:
    """Torch's blocks of rows as a matrix on h[t-1] and one on x[t] for each gate."""
    found: dict[str, Tensor] = {}
    for kind in ("h", "i"):
        blocks = weights[f"weight_{kind}h"].chunk(len(gates))
        found.update(zip((f"W_{kind}{gate}" for gate in gates), blocks, strict=True))
    return found


class RNN(_Compatible, nn.RNN):
    """A multi-layer Elman network as torch.nn.RNN, run by Recurra.

        h[t] = tanh(W_hh @ h[t-1] + W_ih @ x[t] + b)

    where b is bias_hh + bias_ih. Elman, "Finding structure in time", Cognitive
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
        bias = weights["bias_hh"] + weights["bias_ih"]
        return {"W_hh": weights["weight_hh"], "W_ih": weights["weight_ih"], "b": bias}


class GRU(_Compatible, nn.GRU):
    """A multi-layer gated recurrent unit as torch.nn.GRU, run by Recurra.

        reset[t]     = sigmoid(W_hr @ h[t-1] + W_ir @ x[t] + b_r)
        update[t]    = sigmoid(W_hz @ h[t-1] + W_iz @ x[t] + b_z)
        candidate[t] = tanh(W_in @ x[t] + b_in + reset[t] * (W_hn @ h[t-1] + b_hn))
        h[t]         = (1 - update[t]) * candidate[t] + update[t] * h[t-1]

    where W_hr, W_hz and W_hn are weight_hh and so on, and b_r and b_z each the sum of two of torch's biases. The reset
    gate acts after the product with h[t-1], as in cuDNN; in Cho et al., "Learning phrase representations using RNN
    encoder-decoder for statistical machine translation", EMNLP 2014, it acts before.

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
        return _GRU

    def _parameters_of_cell(self, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        of_input, of_state = weights["bias_ih"].chunk(3), weights["bias_hh"].chunk(3)
        biases = {"b_r": of_input[0] + of_state[0], "b_z": of_input[1] + of_state[1]}
        return {**_by_gate(weights, "rzn"), **biases, "b_in": of_input[2], "b_hn": of_state[2]}


class LSTM(_Compatible, nn.LSTM):
    """A multi-layer long short-term memory as torch.nn.LSTM, run by Recurra.

        input[t]     = sigmoid(W_hi @ h[t-1] + W_ii @ x[t] + b_i)
        forget[t]    = sigmoid(W_hf @ h[t-1] + W_if @ x[t] + b_f)
        candidate[t] = tanh(W_hg @ h[t-1] + W_ig @ x[t] + b_g)
        output[t]    = sigmoid(W_ho @ h[t-1] + W_io @ x[t] + b_o)
        memory[t]    = forget[t] * memory[t-1] + input[t] * candidate[t]
        h[t]         = output[t] * tanh(memory[t])

    where W_hi to W_ho are weight_hh and W_ii to W_io weight_ih, and each bias the sum of torch's two. The memory is
    torch's c. With proj_size, h[t] = W_hr @ (output[t] * tanh(memory[t])), narrower than that.
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
        return _PROJECTED_LSTM if self.proj_size else _LSTM

    def _parameters_of_cell(self, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        # Every value of a cell is H wide, so a projected h (P wide) is followed by H - P zeros: the projection has as
        # many rows of zeros, and the recurrent matrix columns that meet them. What comes out is cut back to P.
        widened = {**weights, "weight_hh": self._widen(weights["weight_hh"])} if self.proj_size else weights
        parameters = _by_gate(widened, "ifgo")
        biases = (weights["bias_ih"] + weights["bias_hh"]).chunk(4)
        parameters.update(zip(("b_i", "b_f", "b_g", "b_o"), biases, strict=True))
        if self.proj_size:
            parameters["W_hr"] = F.pad(weights["weight_hr"], (0, 0, 0, self.hidden_size - self.proj_size))
        return parameters
