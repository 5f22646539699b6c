"""Gradients by finite differences of the second meaning of a cell: nothing of the package takes part but its text."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from support.meaning import forward
from support.problems import Problem

__all__ = ["differences", "meaning_of"]

STEP = 1e-3
"""With the fourth-order formula, errors of truncation and of rounding are both about 1e-12 here."""
WEIGHTS = {-2: 1 / 12, -1: -8 / 12, 1: 8 / 12, 2: -1 / 12}


def meaning_of(problem: Problem, text: str | None = None) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """The outputs and the last state of a problem in numpy, from the text as it was written, if given."""
    return _forward(problem, problem.cell.text if text is None else text, _arrays(problem), ())


def differences(problem: Problem, text: str | None = None) -> dict[str, Tensor]:
    """The gradient of every input, initial state and parameter of a problem, entry by entry."""
    arrays = _arrays(problem)
    total = sum(a.size for a in arrays.values())
    shifted = {}
    place = 0
    for name, array in arrays.items():
        moves = np.zeros((len(WEIGHTS), total, array.size))
        for k, weight in enumerate(WEIGHTS):
            moves[k, place + np.arange(array.size), np.arange(array.size)] = weight * STEP
        shifted[name] = array + moves.reshape(-1, *array.shape)
        place += array.size
    outputs, last = _forward(problem, problem.cell.text if text is None else text, shifted, (len(WEIGHTS) * total,))
    losses = np.sum(outputs * problem.output_gradients.numpy(), axis=(1, 2, 3))
    for key, gradient in problem.state_gradients.items():
        losses = losses + np.sum(last[key] * gradient.numpy(), axis=(1, 2))
    slopes = np.array(list(WEIGHTS.values())) @ losses.reshape(len(WEIGHTS), total) / STEP
    pieces = np.split(slopes, np.cumsum([a.size for a in arrays.values()])[:-1])
    return {
        name: torch.from_numpy(piece.reshape(array.shape))
        for (name, array), piece in zip(arrays.items(), pieces, strict=True)
    }


def _arrays(problem: Problem) -> dict[str, np.ndarray]:
    return {
        "x": problem.x.numpy(),
        **{f"state {key}": tensor.numpy() for key, tensor in problem.state.items()},
        **{f"parameter {name}": tensor.numpy() for name, tensor in problem.parameters.items()},
    }


def _forward(
    problem: Problem, text: str, arrays: dict[str, np.ndarray], front: tuple[int, ...]
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    def those(kind: str) -> dict[str, np.ndarray]:
        return {name.removeprefix(kind): a for name, a in arrays.items() if name.startswith(kind)}

    steps, batch, _ = problem.x.shape
    return forward(
        text,
        {**{n: np.float64(v) for n, v in problem.cell.constants.items()}, **those("parameter ")},
        arrays["x"],
        those("state "),
        problem.hidden_size,
        front=front,
        lengths=[steps] * batch if problem.lengths is None else problem.lengths.tolist(),
        reverse=problem.reverse,
        noise={name: drawn.numpy() for name, drawn in (problem.noise or {}).items()},
    )
