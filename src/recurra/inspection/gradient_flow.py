"""How much of the gradient is left at every step back from the loss."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recurra.data import IGNORED, TokenBatch
from recurra.equations.cell import Cell
from recurra.errors import DataError, SettingError, ShapeError
from recurra.inspection import pictures, verdict
from recurra.inspection.saturation import Saturation, saturation
from recurra.inspection.verdict import Verdict
from recurra.models import LanguageModel
from recurra.nn.trace import Pass, recording

__all__ = ["GradientFlow", "LayerFlow", "Loss", "gradient_flow", "last_target_loss"]

Loss = Callable[[Any, Any], Tensor]
"""From the model and the batch one number: the sum over rows of a loss at one step of each."""


@dataclass(frozen=True)
class LayerFlow:
    """The gradient in one layer and direction.

    Args:
        name: The name of the `Recurrent` within the model; "" if it is the model.
        layer: Which of its layers, from 1.
        reverse: Whether this is the reverse direction.
        cell: The cell, as it runs at rest.
        norms: For the output, first, and every other state, the norm of dL/d(value) at each step back from the loss:
            the root of the mean over rows of the squared norm over units.
        saturation: How many units of each gate are saturated.
    """

    name: str
    layer: int
    reverse: bool
    cell: Cell
    norms: dict[str, tuple[float, ...]]
    saturation: dict[str, Saturation]

    @property
    def label(self) -> str:
        """What it is called where there are several."""
        parts = [self.name] if self.name else []
        return ", ".join([*parts, f"layer {self.layer}", *(["reverse"] if self.reverse else [])])

    @cached_property
    def carrier(self) -> str:
        """The state whose gradient reaches furthest back, on which the verdict rests, or one whose gradient explodes.

        What a step does to the loss far later goes through one of the states, so that it can be learned as long as one
        of them has a gradient: in an LSTM the memory, while dL/dh may long have gone.
        """
        names = list(self.norms)

        def weight(name: str) -> tuple[bool, int, int]:
            own = self.norms[name]
            return verdict.judge(own) == "exploding", verdict.reach(own), -names.index(name)

        return max(names, key=weight)

    @property
    def profile(self) -> tuple[float, ...]:
        """The norms of the state that carries the gradient."""
        return self.norms[self.carrier]

    @cached_property
    def rate(self) -> float | None:
        """The factor by which the norm changes a step back; see `recurra.inspection.verdict.decay_rate`."""
        return verdict.decay_rate(self.profile)

    @cached_property
    def verdict(self) -> Verdict:
        """Healthy, vanishing, exploding, or unmeasured where the gradient reaches too few steps."""
        return verdict.judge(self.profile)

    @property
    def words(self) -> str:
        """The verdict with its figures."""
        return verdict.describe(self.profile, self.carrier)

    @property
    def advice(self) -> list[str]:
        """What to try; nothing where all is well."""
        return verdict.advise(self.cell, self.profile, self.saturation)

    def to_json(self) -> dict[str, Any]:
        """The same as json.dumps takes it; a number that is not finite is None."""
        return {
            "name": self.name,
            "layer": self.layer,
            "direction": "reverse" if self.reverse else "forward",
            "cell": self.cell.name,
            "verdict": self.verdict,
            "words": self.words,
            "advice": self.advice,
            "carrier": self.carrier,
            "rate": self.rate,
            "reach": verdict.reach(self.profile),
            "saturation": {name: {"low": own.low, "high": own.high} for name, own in self.saturation.items()},
            "norms": {name: [n if math.isfinite(n) else None for n in profile] for name, profile in self.norms.items()},
        }


@dataclass(frozen=True)
class GradientFlow:
    """How much of the gradient is left at every step back from the loss, in every layer and direction.

    Args:
        layers: Each layer and direction, in the order they run.
    """

    layers: tuple[LayerFlow, ...]

    @property
    def verdict(self) -> Verdict:
        """The worst of the layers'."""
        found = {layer.verdict for layer in self.layers}
        worst: tuple[Verdict, ...] = ("exploding", "vanishing", "healthy", "unmeasured")
        return next(verdict for verdict in worst if verdict in found)

    def to_json(self) -> dict[str, Any]:
        """The same as json.dumps takes it; a number that is not finite is None."""
        return {"verdict": self.verdict, "layers": [layer.to_json() for layer in self.layers]}

    def plot(self, path: str | Path) -> None:
        """Draw the norms by distance as a picture; takes the extra `plots`.

        Raises:
            SettingError: matplotlib is not installed, or the file's name ends in no kind of picture.
            RunError: The file cannot be written.
        """
        pictures.draw_gradient_flow(self, path)


def gradient_flow(model: nn.Module, batch: Any, loss: Loss | None = None) -> GradientFlow:  # noqa: ANN401  (the loss's)
    """Measure how much of the gradient is left at every step back from the loss.

        norm<k> = sqrt(mean over rows of |dL/dh<t_L - k>|^2)

    for the output h and every other state, where t_L is the step of a row's loss, found as the last step, in the order
    the layer runs, that its gradient reaches. The loss has to be at one step of each row, else a step has many
    distances. The model is measured at rest, as in evaluation, and left as it was: its mode, and every gradient of its
    parameters. A layer that runs more than once is measured in its last run.

    Bengio, Simard and Frasconi, "Learning long-term dependencies with gradient descent is difficult", 1994; Pascanu,
    Mikolov and Bengio, "On the difficulty of training recurrent neural networks", ICML 2013.

    Args:
        model: Any module that holds `Recurrent` layers.
        batch: What the loss takes; for a `LanguageModel` a `recurra.data.TokenBatch`.
        loss: From the model and the batch one number: the sum over rows of a loss at one step of each. If not given,
            the model is a language model, and it is the cross-entropy of each row's last target that counts.

    Returns:
        The norms of every layer and direction, their rate of decay, the saturation of the gates, and a verdict.

    Raises:
        SettingError: There is no loss for such a model, no `Recurrent` ran, or the loss does not depend on one.
        ShapeError: The loss is not one number.
        DataError: No target of the batch counts.

    Example:
        >>> from recurra.nn import Recurrent
        >>> layer, x = Recurrent("rnn", 4, 16), torch.randn(8, 50, 4)
        >>> flow = gradient_flow(layer, x, lambda layer, x: layer(x)[0][:, -1].sum())
        >>> flow.verdict, len(flow.layers[0].profile)
        ('vanishing', 50)
    """
    if loss is None and not isinstance(model, LanguageModel):
        raise SettingError(
            f"gradient_flow has a loss of its own for a LanguageModel only; this is a {type(model).__name__}: "
            "give loss=, a function of the model and the batch"
        )
    own: Loss = last_target_loss if loss is None else loss
    parameter = next(model.parameters(), None)
    if isinstance(batch, TokenBatch) and parameter is not None:
        batch = batch.to(parameter.device)
    with _at_rest(model), torch.enable_grad(), recording(model) as recorders:
        total = own(model, batch)
    if total.numel() != 1:
        raise ShapeError(f"the loss has the shape {tuple(total.shape)}; expected one number: sum it over the rows")
    runs: list[tuple[str, int, Pass]] = []
    for name, layer in model.named_modules():
        if name in recorders and recorders[name].passes:
            directions = 2 if layer.bidirectional else 1
            last = recorders[name].passes[-int(layer.num_layers) * directions :]
            runs += [(name, 1 + place // directions, run) for place, run in enumerate(last)]
    if not runs:
        raise SettingError("no layer of recurra.nn ran in the model, and only of those the inside can be seen")
    return GradientFlow(tuple(_measure(total, runs)))


def last_target_loss(model: LanguageModel, batch: TokenBatch) -> Tensor:
    """The sum over rows of the cross-entropy of the last target that counts; a row without one counts for nothing.

    Raises:
        DataError: No target counts.
    """
    logits, _ = model(batch.inputs, None, batch.lengths)
    counts = batch.targets != IGNORED
    rows = counts.any(1).nonzero()[:, 0]
    if not len(rows):
        raise DataError("no target of the batch counts, so that there is no loss to follow back")
    places = torch.arange(counts.shape[1], device=counts.device)
    last = torch.where(counts, places, -1).amax(1)[rows]
    return F.cross_entropy(logits[rows, last], batch.targets[rows, last], reduction="sum")


@contextmanager
def _at_rest(model: nn.Module) -> Iterator[None]:
    """The model in evaluation mode; each of its modules is put back into its own mode after."""
    training = [module for module in model.modules() if module.training]
    model.eval()
    try:
        yield
    finally:
        for module in training:
            module.training = True


def _measure(total: Tensor, runs: list[tuple[str, int, Pass]]) -> Iterator[LayerFlow]:
    wanted = [list(dict.fromkeys([p.cell.output, *p.cell.states])) for _, _, p in runs]
    probes = [p.probes[name] for (_, _, p), names in zip(runs, wanted, strict=True) for name in names]
    gradients = torch.autograd.grad(total, probes, allow_unused=True) if total.requires_grad else ()
    if all(gradient is None for gradient in gradients):
        raise SettingError("the loss does not depend on any recurrent layer of the model")
    found = iter(gradients)
    for (name, layer, own), names in zip(runs, wanted, strict=True):
        norms = {value: _profile(next(found), own) for value in names}
        values = {key: value.detach() for key, value in own.values.items()}
        yield LayerFlow(name, layer, own.reverse, own.cell, norms, saturation(own.cell, values, own.lengths))


def _profile(gradient: Tensor | None, own: Pass) -> tuple[float, ...]:
    """The norm at each distance from the last step, in the order of running, that the gradient of a row reaches.

    Args:
        gradient: dL/d(value) (T, B, H); None if the loss does not depend on it.
        own: The run that it belongs to.
    """
    if gradient is None:
        return ()
    squares = gradient.detach().double().square().sum(2).cpu()
    steps, rows = squares.shape
    lengths = torch.full((rows,), steps) if own.lengths is None else own.lengths.cpu()
    first = torch.zeros_like(lengths)
    if own.reverse:
        squares, first = squares.flip(0), steps - lengths
    places = torch.arange(steps)[:, None]
    last = torch.where(squares != 0, places, -1).amax(0)
    at = last - places  # [k, row]: the step k before the row's last
    counts = (at >= first) & (last >= 0)
    aligned = torch.where(counts, squares.gather(0, at.clamp(min=0)), 0.0)
    furthest = int(counts.any(1).sum())
    means = aligned[:furthest].sum(1) / counts[:furthest].sum(1)
    return tuple(means.sqrt().tolist())
