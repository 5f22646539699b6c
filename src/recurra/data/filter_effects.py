"""Energies of mel filters changed at random, as if another voice or another microphone had made the sound."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from recurra.data.spec_augment import uniform
from recurra.errors import SettingError

__all__ = ["equalised", "warped"]

MOST_CORNERS = 5
"""The most corners of the curve of an equaliser, both ends among them."""


def equalised(frames: Tensor, decibels: float, draw: torch.Generator) -> Tensor:
    """Energies of filters as if through another microphone: louder in some frequencies and softer in others.

    The gain is a straight line between corners, from 2 to 5 of them, of which two are the lowest and the highest filter
    and the others are drawn; so is the gain of each (after Nam, Kim and Park, "FilterAugment: an acoustic environmental
    data augmentation method", ICASSP 2022).

    Args:
        frames: Natural logarithms of energies, (T, F).
        decibels: The most by which a filter is louder or softer.
        draw: What is drawn from.

    Returns:
        (T, F).

    Example:
        >>> changed = equalised(torch.zeros(3, 20), 6.0, torch.Generator().manual_seed(0))
        >>> bool((changed == changed[0]).all()), bool(changed.abs().max() <= 0.6 * math.log(10))
        (True, True)
    """
    width = frames.shape[1]
    inner = int(torch.randint(MOST_CORNERS - 1, (), generator=draw))
    corners = sorted([0.0, width - 1.0, *(uniform(0, width - 1, draw) for _ in range(inner))])
    gains = [uniform(-decibels, decibels, draw) * math.log(10) / 10 for _ in corners]
    return frames + torch.from_numpy(np.interp(np.arange(width), corners, gains)).to(frames)


def warped(frames: Tensor, factor: float, rate: int, lowest: float) -> Tensor:
    """Energies of filters as if from a longer or shorter vocal tract, all of whose frequencies are higher or lower.

    What stood at the frequency f is then at `factor` times f; past the ends the outermost filters stand (Jaitly and
    Hinton, "Vocal tract length perturbation improves speech recognition", ICML workshop 2013).

    Args:
        frames: Energies of mel filters, (T, F).
        factor: How many times as high the frequencies become.
        rate: Samples a second; the highest filter ends at half of it.
        lowest: Hertz at which the lowest filter begins.

    Returns:
        (T, F).

    Raises:
        SettingError: The factor is not above 0.

    Example:
        >>> frames = torch.zeros(1, 40).index_fill(1, torch.tensor([20]), 1.0)
        >>> int(warped(frames, 1.2, 8000, 20.0).argmax()) > 20
        True
    """
    if not factor > 0:
        raise SettingError(f"factor is {factor:g}; give how many times as high the frequencies become, above 0")
    width = frames.shape[1]
    low, high = _mel(lowest), _mel(rate / 2)
    step = (high - low) / (width + 1)
    mels = low + step * np.arange(1, width + 1)
    hertz = 700 * np.expm1(mels / 1127) / factor
    places = np.clip((1127 * np.log1p(hertz / 700) - low) / step - 1, 0, width - 1)
    below = np.minimum(places.astype(np.int64), max(0, width - 2))
    share = torch.from_numpy(places - below).to(frames)
    return frames[:, below] * (1 - share) + frames[:, np.minimum(below + 1, width - 1)] * share


def _mel(hertz: float) -> float:
    return 1127 * math.log1p(hertz / 700)
