"""The contenders: this library, torch.nn, the eager loop, onnxruntime and torch.compile, with the same weights.

Each takes inputs (T, B, I) and gives outputs (T, B, H). All have the weights of the library's layer, so that they
can be checked to compute the same before they are timed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from eager import LOOPS
from results import Kind
from timing import Pass
from torch import Tensor, nn

from recurra import Cell, Recurrent, cells

OWN = Cell(
    """
    gate[t] = sigmoid(W_gate @ [h[t-1], x[t]] + b_gate)
    slow[t] = gate[t] * slow[t-1] + (1 - gate[t]) * softplus(W_slow @ [slow[t-1], x[t]] + b_slow)
    h[t]    = tanh(slow[t] * gate[t] + W_mix @ [gate[t] * h[t-1], x[t]])
    """,
    name="own",
)
CELLS: dict[str, Cell] = {name: OWN if name == "own" else cells.get(name) for name in LOOPS}

# The classes of torch.nn that have the cell, with the cell's words for their gates in their order: of each, the name
# of the matrix and bias that read x[t], and of those that read h[t-1].
TORCH: dict[str, tuple[Callable[..., nn.RNNBase], list[tuple[str, str]]]] = {
    "rnn": (nn.RNN, [("", "")]),
    "gru-reset-after": (nn.GRU, [("_reset", "_reset"), ("_update", "_update"), ("_candidate", "_recurrent")]),
    "lstm": (nn.LSTM, [(f"_{gate}",) * 2 for gate in ("input", "forget", "candidate", "output")]),
}


@dataclass(frozen=True)
class Contender:
    """What runs, and the parameters whose gradients are taken in training."""

    forward: Callable[[Tensor], Tensor]
    parameters: Mapping[str, Tensor]


def layer_of(name: str, size: int, backend: str = "cpu") -> Recurrent:
    """The library's layer, input as wide as hidden state, every parameter uniform within ±1/√H as in torch.nn."""
    layer = Recurrent(CELLS[name], size, size, batch_first=False, backend=backend)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.uniform_(-(size**-0.5), size**-0.5, generator=generator)
    return layer


def parameters_of(layer: Recurrent) -> dict[str, Tensor]:
    """Copies of a layer's parameters by their names in the equations."""
    return {name: p.detach().clone().requires_grad_() for name, p in layer.layers[0].named_parameters()}


def torch_layer(name: str, p: Mapping[str, Tensor]) -> nn.RNNBase:
    """The layer of torch.nn with the same weights."""
    size = len(next(iter(p.values())))
    layer = TORCH[name][0](size, size)
    layer.load_state_dict(torch_weights(name, p))
    return layer


def torch_weights(name: str, p: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same weights as the layer of torch.nn names and joins them."""
    gates = TORCH[name][1]
    size = len(next(iter(p.values())))
    joined = max(tensor.shape[1] for tensor in p.values() if tensor.dim() == 2)

    def part(matrix: Tensor, of_state: bool) -> Tensor:
        """The columns of a matrix that read h[t-1] or x[t]; all, if it reads one of them alone."""
        return matrix if matrix.shape[1] < joined else matrix[:, :size] if of_state else matrix[:, size:]

    # torch.nn has two biases of which most cells here have one.
    second = [p[f"b{own}"] if own != gate else torch.zeros(size) for gate, own in gates]
    return {
        "weight_ih_l0": torch.cat([part(p[f"W{gate}"], False) for gate, _ in gates]),
        "weight_hh_l0": torch.cat([part(p[f"W{gate}"], True) for _, gate in gates]),
        "bias_ih_l0": torch.cat([p[f"b{gate}"] for gate, _ in gates]),
        "bias_hh_l0": torch.cat(second),
    }


def torch_layers(name: str, layers: Recurrent) -> nn.RNNBase:
    """All layers of one of the library's, in both directions where it has them, as one of torch.nn."""
    rival = TORCH[name][0](
        layers.input_size,
        layers.hidden_size,
        layers.num_layers,
        batch_first=layers.batch_first,
        dropout=layers.dropout.p if layers.num_layers > 1 else 0.0,
        bidirectional=layers.bidirectional,
    )
    rival.load_state_dict(torch_names(name, layers, lambda parameter: parameter.detach()))
    return rival


def torch_names(name: str, layers: Recurrent, read: Callable[[nn.Parameter], Tensor]) -> dict[str, Tensor]:
    """What is read of every parameter of the library's layers, such as its gradient, as torch.nn names and joins it."""
    values: dict[str, Tensor] = {}
    for suffix, direction in (("", layers.layers), ("_reverse", layers.reverse_layers)):
        for number, layer in enumerate(direction):
            joined = torch_weights(name, {part: read(parameter) for part, parameter in layer.named_parameters()})
            values |= {f"{key.removesuffix('0')}{number}{suffix}": value for key, value in joined.items()}
    return values


def contenders(name: str, layer: Recurrent, kind: Kind) -> dict[str, Contender]:
    """Every contender that has the cell, but for torch.compile; see compiled.py."""
    # Imported here, since what it imports is no dependency of the library.
    from onnx_session import session_of

    p = parameters_of(layer)
    found = {"recurra": Contender(lambda x: layer(x)[0], dict(layer.named_parameters()))}
    if name in TORCH:
        rival = torch_layer(name, p)
        found["torch.nn"] = Contender(lambda x: rival(x)[0], dict(rival.named_parameters()))
    found["eager loop"] = Contender(lambda x: LOOPS[name](p, x), p)
    session = session_of(name, p) if kind == "forward" else None
    if session is not None:
        found["onnxruntime"] = Contender(session, {})
    return found


def pass_of(contender: Contender, x: Tensor, above: Tensor, kind: Kind) -> Pass:
    """A pass to time: forward without gradients, or forward and backward with those of x and every parameter.

    Args:
        contender: What runs.
        x: The inputs (T, B, I).
        above: The gradient of the outputs (T, B, H).
        kind: Which of the two.
    """

    def forward() -> None:
        with torch.no_grad():
            contender.forward(x)

    own = x.detach().clone().requires_grad_()
    leaves = [own, *contender.parameters.values()]

    def training() -> None:
        for leaf in leaves:
            leaf.grad = None
        torch.autograd.backward(contender.forward(own), above)

    return training if kind == "training" else forward


def check_equal(name: str, backend: str = "cpu") -> None:
    """Check, at a small size, that every contender computes the same outputs and gradients.

    Raises:
        RuntimeError: One does not.
    """
    steps, batch, size = 6, 3, 8
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(steps, batch, size, generator=generator)
    above = torch.randn(steps, batch, size, generator=generator)
    layer = layer_of(name, size, backend)
    with torch.no_grad():
        outputs = {who: c.forward(x) for who, c in contenders(name, layer, "forward").items()}
    for who, own in outputs.items():
        _same(f"{name}, {who}: outputs", own, outputs["recurra"])
    gradients: dict[str, dict[str, Tensor]] = {}
    for who, contender in contenders(name, layer, "training").items():
        leaf = x.clone().requires_grad_()
        names, leaves = zip(("x", leaf), *contender.parameters.items(), strict=True)
        taken = torch.autograd.grad(contender.forward(leaf), leaves, above)
        gradients[who] = {n.removeprefix("layers.0."): gradient for n, gradient in zip(names, taken, strict=True)}
        _same(f"{name}, {who}: gradient of x", gradients[who]["x"], gradients["recurra"]["x"])
    for parameter, gradient in gradients["eager loop"].items():
        _same(f"{name}, eager loop: gradient of {parameter}", gradient, gradients["recurra"][parameter])


def _same(what: str, own: Tensor, expected: Tensor) -> None:
    error = float((own - expected).abs().max())
    if not error <= 1e-5 * max(1.0, float(expected.abs().max())):
        raise RuntimeError(f"{what}: {error:.1e} from this library's; the comparison would not be of equal work")
