"""Weights that a model begins with, taken from another run: by name, and the rows of a vocabulary by word."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from recurra.errors import SettingError
from recurra.tasks.trained import Trained

__all__ = ["begin_with", "take_weights"]

AnyTrained = Trained[Any, Any, Any, Any, Any, Any]


def begin_with(run: AnyTrained, folder: Path) -> str:
    """Give a model the weights of another run, where they correspond: by name, or as the task says of another use.

    The rows of a parameter that belong to words or classes are taken by word or class, so that the two models may have
    other vocabularies.

    Args:
        run: The model, untrained.
        folder: The other run.

    Returns:
        What was taken, in words.

    Raises:
        RunError: There is no run in the folder, or it is damaged.
        SettingError: Nothing of it fits, or a size of a model of another use does not.
    """
    from recurra.tasks.run import load_run
    from recurra.tasks.table import TASKS

    other = load_run(folder, {**TASKS, run.task.name: run.task})
    if other.task.name in run.task.inherits:
        inherited = run.task.inherits[other.task.name](run, other)
        take_weights(run.model.state_dict(), inherited.weights, {}, {})
        return f"begun with {folder}: {inherited.note}"
    taken, numbers = take_weights(
        run.model.state_dict(),
        other.model.state_dict(),
        run.task.rows(run.assets),
        other.task.rows(other.assets),
    )
    if not taken:
        raise SettingError(
            f"start_from: no weight of {folder} fits this model: none has the same name and shape; give the run of a "
            "model with layers of the same names and sizes"
        )
    names = len(run.model.state_dict())
    return f"begun with {numbers:,} weights of {folder}, in {len(taken)} of {names} parameters"


@torch.no_grad()
def take_weights(
    into: Mapping[str, Tensor],
    source: Mapping[str, Tensor],
    rows: Mapping[str, Sequence[Hashable]],
    source_rows: Mapping[str, Sequence[Hashable]],
) -> tuple[list[str], int]:
    """Copy weights where names and shapes agree, and rows where the names of rows do.

    Args:
        into: The weights to change, by name.
        source: Those to take.
        rows: For a parameter whose rows have names, such as words, the names; of a square one the columns have them,
            too.
        source_rows: The same of those to take.

    Returns:
        The names of the parameters of which some was taken, and how many numbers.

    Example:
        >>> into, source = {"E": torch.zeros(3, 1)}, {"E": torch.tensor([[1.0], [2.0]])}
        >>> take_weights(into, source, {"E": ["cat", "dog", "emu"]}, {"E": ["dog", "cat"]})
        (['E'], 2)
        >>> into["E"].flatten().tolist()
        [2.0, 1.0, 0.0]
    """
    taken, numbers = [], 0
    for name, tensor in into.items():
        if name not in source:
            continue
        if name in rows and name in source_rows:
            count = _take_rows(tensor, source[name], rows[name], source_rows[name])
        elif (name in rows) == (name in source_rows) and tensor.shape == source[name].shape:
            tensor.copy_(source[name])
            count = tensor.numel()
        else:
            count = 0
        if count:
            taken.append(name)
            numbers += count
    return taken, numbers


def _take_rows(tensor: Tensor, source: Tensor, names: Sequence[Hashable], source_names: Sequence[Hashable]) -> int:
    """Copy the rows that both have, and of square ones the columns that both have."""
    places = {name: place for place, name in enumerate(source_names)}
    pairs = [(row, places[name]) for row, name in enumerate(names) if name in places]
    square = tensor.shape == (len(names), len(names)) and source.shape == (len(source_names), len(source_names))
    if not pairs or (tensor.shape[1:] != source.shape[1:] and not square):
        return 0
    here, there = (torch.tensor(side) for side in zip(*pairs, strict=True))
    if square:
        tensor[here[:, None], here] = source[there[:, None], there]
        return len(pairs) ** 2
    tensor[here] = source[there]
    return len(pairs) * tensor[0].numel()
