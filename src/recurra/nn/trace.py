"""Every named value of a network's equations at every step, and the gradient of a loss at each of them.

A trace is a forward pass of the reference backend that keeps what it computes. For the gradients each equation is
given a term that is zero, its probe:

    update[t] = sigmoid(W_update @ [h[t-1], x[t]] + b_update) + probe_update[t]

so that dL/d probe_update[t] is dL/d update[t]: how the loss would change if the value itself, wherever it is read, were
another. (The nodes of the step graph would not do: one that two names share has the gradients of both, and one that was
simplified away has none.)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor, nn

from recurra.backends.choose import Backend, Choice
from recurra.backends.layout import Layout
from recurra.backends.reference.forward import hidden_size, unroll, whole
from recurra.equations.cell import Cell, Noise
from recurra.equations.expression import Call, Equation, Step
from recurra.errors import SettingError, ShapeError

if TYPE_CHECKING:
    from recurra.nn.recurrent import Recurrent

__all__ = ["NamedValues", "Pass", "Recorder", "Trace", "recording", "trace"]

Axes = Literal["B, T, H", "T, B, H", "T, H"]

PROBED = Noise(probability=0.0, value=0.0, mean=0.0, each="step")
"""What a probe is to a cell: a value that is given from outside at every step."""


@dataclass(frozen=True)
class Pass:
    """One layer's run in one direction.

    Args:
        cell: The cell that ran.
        values: Each named value at every step, (T, B, H), zero past a row's length.
        probes: The zero that was added to each, (T, B, H); none where gradients were off.
        lengths: How many steps of each row count (B,); None for all.
        reverse: Whether it ran from each row's last step to its first.
    """

    cell: Cell
    values: dict[str, Tensor]
    probes: dict[str, Tensor]
    lengths: Tensor | None
    reverse: bool


class Recorder:
    """A backend that keeps every value of what it runs.

    Attributes:
        passes: What ran, in order: layer by layer, forward before reverse.
    """

    def __init__(self) -> None:
        self.passes: list[Pass] = []

    def choice(self) -> Choice:
        """This recorder as the backend that a layer runs on."""
        backend = Backend("trace", "plain PyTorch that keeps every value", self.run, lambda cell, device, dtype: None)
        return Choice(backend, "what it computes is being traced")

    def run(
        self,
        cell: Cell,
        parameters: Mapping[str, Tensor],
        x: Tensor,
        state: Mapping[str, Tensor],
        *,
        lengths: Tensor | None = None,
        reverse: bool = False,
        noise: Mapping[str, Tensor] | None = None,
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The forward pass, kept in `passes`; see `recurra.backends.reference.run`."""
        steps, batch = x.shape[:2]
        layout = Layout.of(steps, batch, lengths)
        own, probes, given = cell, {}, dict(noise or {})
        if torch.is_grad_enabled():
            own, names = _probed(cell)
            hidden = hidden_size(parameters, state)
            probes = {name: x.new_zeros(steps, batch, hidden, requires_grad=True) for name in names}
            given |= {names[name]: probe for name, probe in probes.items()}
        unrolled = unroll(own, parameters, x, state, layout, reverse=reverse, noise=given, keep=True)

        def gathered(node: int) -> Tensor:
            """A value of all steps; one that is the same for all rows is given to each of them."""
            steps = zip(unrolled.values, layout.sizes, strict=True)
            return layout.unpack(torch.cat([whole(values[node], rows) for values, rows in steps]))

        values = {name: gathered(own.graph.values[name]) for name in cell.values}
        self.passes.append(Pass(cell, values, probes, lengths, reverse))
        last = {key: layout.unsort(value) for key, value in unrolled.state.items()}
        return layout.unpack(torch.cat(unrolled.outputs)), last


@lru_cache(maxsize=256)
def _probed(cell: Cell) -> tuple[Cell, dict[str, str]]:
    """A cell with a probe in each equation, and the probe's name for the name of each value."""
    taken, prefix = {*cell.values, *cell.parameters, *cell.noise, *cell.constants}, "probe_"
    while any(name.startswith(prefix) for name in taken):
        prefix += "of_"
    names = {name: prefix + name for name in cell.values}
    equations = [Equation(e.name, Call("add", (e.expression, Step(names[e.name])))) for e in cell.equations]
    return cell.replace(equations, noise={**cell.noise, **dict.fromkeys(names.values(), PROBED)}), names


@contextmanager
def recording(module: nn.Module) -> Iterator[dict[str, Recorder]]:
    """Have every recurrent layer of a module keep what it computes, while this is open.

    The layers then run on the reference backend, in the mode they are in, and what the module returns stays the same.

    Args:
        module: A `Recurrent`, or any module that holds some.

    Returns:
        For each layer, by its name within the module ("" if it is the module itself), what keeps its values.

    Example:
        >>> from recurra.nn import Recurrent
        >>> model = nn.Sequential(nn.Linear(2, 3), Recurrent("gru", 3, 5))
        >>> with recording(model) as recorders:
        ...     outputs, state = model(torch.randn(4, 7, 2))
        >>> tuple(recorders["1"].passes[0].values["update"].shape)
        (7, 4, 5)
    """
    recorders: dict[str, Recorder] = {}
    with ExitStack() as stack:
        for name, layer in module.named_modules():
            if is_recurrent(layer):
                recorders[name] = recorder = Recorder()
                stack.enter_context(_running_on(layer, recorder))
        yield recorders


def is_recurrent(module: nn.Module) -> bool:
    """Whether a module is one of Recurra's layers, `Recurrent` or one in place of torch.nn's."""
    return isinstance(getattr(module, "cell", None), Cell) and callable(getattr(module, "choice", None))


@contextmanager
def _running_on(layer: nn.Module, recorder: Recorder) -> Iterator[None]:
    """Have a layer run on a recorder."""
    own = vars(layer)
    before = own.get("recorder")
    own["recorder"] = recorder.choice()
    try:
        yield
    finally:
        own["recorder"] = before


@dataclass(frozen=True)
class NamedValues:
    """Tensors under the names of the equations, by layer and direction, as the parameters of a layer are.

    Args:
        layers: For each layer, from the first, its values by name: (B, T, H) each, or as x is, (T, B, H) or (T, H).
        reverse_layers: The same for the reverse direction; empty if there is none.
    """

    layers: tuple[dict[str, Tensor], ...]
    reverse_layers: tuple[dict[str, Tensor], ...]


@dataclass(frozen=True)
class Trace(NamedValues):
    """A forward pass with every named value of the equations at every step.

    Args:
        layers: For each layer, from the first, its values by name: (B, T, H) each, or as x is, (T, B, H) or (T, H);
            zero past a row's length.
        reverse_layers: The same for the reverse direction; empty if there is none.
        outputs: The outputs, as the layer returns them.
        state: The state after each row's last step, as the layer returns it.
        passes: The same values as they were computed, with the probes that take their gradients.
        axes: The axes of the values.
    """

    outputs: Tensor
    state: dict[str, Tensor]
    passes: tuple[Pass, ...]
    axes: Axes

    def gradients(self, loss: Tensor) -> NamedValues:
        """The gradient of a loss at every value: dL/d(value) at each step, by whatever way the loss depends on it.

        Call it before `loss.backward()`, which lets go of what it needs; it may be called again, and leaves no
        gradient at any parameter.

        Args:
            loss: One number, computed from what this trace holds.

        Returns:
            The gradients in the layout of the values, zero where the loss does not depend on one.

        Raises:
            ShapeError: The loss is not one number.
            SettingError: The trace was made with gradients off, or the loss does not depend on it.

        Example:
            >>> from recurra.nn import Recurrent
            >>> trace = Recurrent("gru", 3, 5).trace(torch.randn(4, 7, 3))
            >>> gradients = trace.gradients(trace.outputs[:, -1].sum())
            >>> gradients.layers[0]["h"][:, -1].unique().tolist(), tuple(gradients.layers[0]["update"].shape)
            ([1.0], (4, 7, 5))
        """
        if loss.numel() != 1:
            raise ShapeError(f"the loss has the shape {tuple(loss.shape)}; expected one number: take its mean or sum")
        probes = [probe for one in self.passes for probe in one.probes.values()]
        if not probes:
            raise SettingError("this trace was made with gradients off; make it outside of torch.no_grad()")
        found = torch.autograd.grad(loss, probes, retain_graph=True, allow_unused=True) if loss.requires_grad else ()
        if all(gradient is None for gradient in found):
            raise SettingError("the loss does not depend on this trace; compute it from the trace's outputs or values")
        each = iter(torch.zeros_like(p) if g is None else g for p, g in zip(probes, found, strict=True))
        return NamedValues(*_arranged(self.passes, [{n: next(each) for n in p.probes} for p in self.passes], self.axes))


def _arranged(
    passes: Sequence[Pass], tensors: Sequence[Mapping[str, Tensor]], axes: Axes
) -> tuple[tuple[dict[str, Tensor], ...], tuple[dict[str, Tensor], ...]]:
    """The tensors (T, B, H) of each pass as a layer has its axes, by layer: those of one direction, of the other."""

    def shown(tensor: Tensor) -> Tensor:
        return tensor.transpose(0, 1) if axes == "B, T, H" else tensor[:, 0] if axes == "T, H" else tensor

    named = [{name: shown(tensor) for name, tensor in own.items()} for own in tensors]
    ways = [tuple(n for n, p in zip(named, passes, strict=True) if p.reverse is reverse) for reverse in (False, True)]
    return ways[0], ways[1]


def trace(
    layer: Recurrent,
    x: Tensor,
    state: Mapping[str, Tensor] | None = None,
    lengths: Tensor | Sequence[int] | None = None,
) -> Trace:
    """Run a layer and keep every value; see `Recurrent.trace`."""
    with recording(layer) as recorders:
        outputs, last = layer.forward(x, state, lengths)
    passes = recorders[""].passes
    axes: Axes = "T, H" if x.dim() == 2 else "B, T, H" if layer.batch_first else "T, B, H"
    return Trace(*_arranged(passes, [p.values for p in passes], axes), outputs, last, tuple(passes), axes)
