"""A gate or state of a language model over the tokens of a text, and which of its units are selective."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from recurra.equations.cell import Cell
from recurra.equations.gates import ENDS, gates, keeping_gate
from recurra.errors import DataError, SettingError
from recurra.inspection import pictures
from recurra.models import LanguageModel
from recurra.nn.trace import recording

__all__ = ["Activations", "activations", "default_value"]

CHUNK = 256
"""Steps read at once, so that a long text needs no more memory than its one value."""


@dataclass(frozen=True)
class Activations:
    """One named value of one layer at every token of some texts.

    Which units are selective is measured over the tokens, with v<t> a unit's value at token t:

        deviation   = sqrt(mean over t of (v<t> - mean v)^2)
        persistence = 1 - sum over t of (v<t> - v<t-1>)^2 / (2 sum over t of (v<t> - mean v)^2), at least 0
        selectivity = deviation,                  for a value of the step alone, such as a gate
                      deviation * persistence,    for a state that is carried

    A gate is selective if it opens at some tokens and not at others; a state, if it changes and then keeps what it
    changed to. The ratio in the persistence is von Neumann's ("Distribution of the ratio of the mean square successive
    difference to the variance", 1941): near 2 for values that are independent from token to token, so that the
    persistence is near 0, and near 0 for one that changes once and holds.

    Args:
        value: The name of the value.
        layer: Which layer, from 1.
        cell: The cell, as it runs at rest.
        tokens: The tokens of all texts, one after another.
        lengths: How many tokens each text has; a unit's value at the first of one is not compared to what was before.
        values: The value after each token was read (N, H).
    """

    value: str
    layer: int
    cell: Cell
    tokens: tuple[str, ...]
    lengths: tuple[int, ...]
    values: Tensor

    @property
    def ends(self) -> tuple[float, float]:
        """The range of the values: of a sigmoid 0 to 1, of a tanh -1 to 1, else as far around 0 as they go."""
        squashing = gates(self.cell).get(self.value)
        if squashing is not None:
            return ENDS[squashing]
        furthest = float(self.values.abs().nan_to_num(posinf=0.0).max()) or 1.0
        return -furthest, furthest

    @property
    def is_state(self) -> bool:
        """Whether the value is carried from step to step."""
        return self.value in self.cell.states

    @cached_property
    def deviation(self) -> Tensor:
        """The standard deviation of each unit over the tokens (H,)."""
        return self.values.double().std(0, correction=0)

    @cached_property
    def persistence(self) -> Tensor:
        """How far each unit keeps from token to token what it changed to (H,), from 0 to 1."""
        values = self.values.double()
        steps = [part.diff(dim=0).square().sum(0) for part in torch.split(values, list(self.lengths))]
        around = (values - values.mean(0)).square().sum(0)
        return torch.where(around > 0, 1 - torch.stack(steps).sum(0) / (2 * around), 0.0).clamp(min=0.0)

    @cached_property
    def selectivity(self) -> Tensor:
        """How selective each unit is (H,)."""
        return self.deviation * self.persistence if self.is_state else self.deviation

    def ranking(self) -> list[int]:
        """The units, the most selective first."""
        return torch.argsort(self.selectivity.nan_to_num(nan=-1.0), descending=True, stable=True).tolist()

    def to_json(self, units: int | None = None) -> dict[str, Any]:
        """The same as json.dumps takes it: the most selective units first, all or so many."""
        chosen = self.ranking()[:units]
        finite = self.values.double()[:, chosen]
        return {
            "value": self.value,
            "layer": self.layer,
            "cell": self.cell.name,
            "tokens": list(self.tokens),
            "lengths": list(self.lengths),
            "units": [
                {
                    "unit": unit,
                    "selectivity": _number(float(self.selectivity[unit])),
                    "deviation": _number(float(self.deviation[unit])),
                    "persistence": _number(float(self.persistence[unit])),
                    "values": [_number(v) for v in finite[:, place].tolist()],
                }
                for place, unit in enumerate(chosen)
            ],
        }

    def plot(self, path: str | Path, units: int = 12) -> None:
        """Draw a heat map of the most selective units over the tokens; takes the extra `plots`.

        Raises:
            SettingError: matplotlib is not installed, or the file's name ends in no kind of picture.
            RunError: The file cannot be written.
        """
        pictures.draw_activations(self, path, units)


def _number(value: float) -> float | None:
    """A number as JSON has it; None if it is not finite."""
    return round(value, 6) if -float("inf") < value < float("inf") else None


def default_value(cell: Cell) -> str:
    """The value to look at first: the gate that keeps the state, else the first gate, else the output.

    Example:
        >>> from recurra import cells
        >>> default_value(cells.GRU), default_value(cells.LSTM), default_value(cells.RNN)
        ('update', 'forget', 'h')
    """
    gate = keeping_gate(cell)
    sigmoids = [name for name, squashing in gates(cell).items() if squashing == "sigmoid"]
    return gate.name if gate is not None else next(iter(sigmoids), cell.output)


@torch.no_grad()
def activations(
    model: LanguageModel,
    texts: Sequence[Sequence[int]],
    tokens: Sequence[Sequence[str]],
    value: str | None = None,
    layer: int = 1,
    start: int | None = None,
) -> Activations:
    """Read texts with a language model and keep one value of one layer at every token.

    The model reads at rest, as in evaluation; each text begins afresh.

    Args:
        model: The model, in evaluation mode.
        texts: The ids of each text.
        tokens: What each of them is called.
        value: The name of a value of the cell's equations; None for the gate that keeps the state (`default_value`).
        layer: Which layer, from 1.
        start: The id that every text begins after, which is read and not shown; None for none.

    Raises:
        SettingError: The cell has no value of that name, or the model no such layer; the message lists those there are.
        DataError: There is no token.

    Example:
        >>> model = LanguageModel(9, "gru", embedding_size=3, hidden_size=4).eval()
        >>> found = activations(model, [[1, 2, 3]], [["the", "cat", "sat"]])
        >>> found.value, found.tokens, tuple(found.values.shape), len(found.ranking())
        ('update', ('the', 'cat', 'sat'), (3, 4), 4)
    """
    cell, layers = model.recurrent.cell.at_rest, model.recurrent.num_layers
    value = default_value(cell) if value is None else value
    if value not in cell.values:
        raise SettingError(f"the cell has no value {value!r}; its values are: {', '.join(cell.values)}")
    if not 1 <= layer <= layers:
        raise SettingError(f"there is no layer {layer}; the model has {layers}, counted from 1")
    kept = [(ids, names) for ids, names in zip(texts, tokens, strict=True) if len(ids)]
    if not kept:
        raise DataError("the text is empty; give at least one word")
    read = [_read(model, ids, value, layer, start) for ids, _ in kept]
    names = tuple(name for _, own in kept for name in own)
    return Activations(value, layer, cell, names, tuple(len(ids) for ids, _ in kept), torch.cat(read))


def _read(model: LanguageModel, ids: Sequence[int], value: str, layer: int, start: int | None) -> Tensor:
    """One value of one layer after each id (N, H), read a chunk after another."""
    stream = torch.tensor([[*([] if start is None else [start]), *ids]], device=next(model.parameters()).device)
    state: dict[str, Tensor] | None = None
    found = []
    for chunk in torch.split(stream, CHUNK, dim=1):
        with recording(model.recurrent) as recorders:
            _, state = model(chunk, state)
        found.append(recorders[""].passes[layer - 1].values[value][:, 0].cpu())
    return torch.cat(found)[-len(ids) :]
