"""Normalised features: less their mean, divided by their deviation, of a recording, of all, or of what was heard."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recurra.data.features import Normalisation
from recurra.data.frames import Frames
from recurra.errors import DataError, SettingError

__all__ = ["FixedNorm", "RunningNorm", "Statistics", "by_recording", "fit_statistics", "norm_of"]

SMALLEST_DEVIATION = 1e-3
"""What no feature is divided by less than."""

RUNNING_WINDOW = 600
"""The frames that a running mean is of."""

RUNNING_PRIOR = 200
"""How many frames the part to train on counts for in a running mean."""


@dataclass(frozen=True)
class Statistics:
    """The mean and the deviation of each feature.

    Args:
        mean: The means.
        deviation: The standard deviations.
    """

    mean: tuple[float, ...]
    deviation: tuple[float, ...]


def fit_statistics(frames: Iterable[Frames]) -> Statistics:
    """The mean and the deviation of each feature over all frames.

    Args:
        frames: Features, (T, F) each.

    Raises:
        DataError: There is no frame.
    """
    count, total, squares = 0, np.zeros(()), np.zeros(())
    for part in frames:
        if len(part):
            wide = part.astype(np.float64)
            count, total, squares = count + len(part), total + wide.sum(0), squares + (wide**2).sum(0)
    if not count:
        raise DataError("there is no frame of sound to train on; give recordings of a tenth of a second or longer")
    mean = total / count
    deviation = np.sqrt(np.maximum(squares / count - mean**2, 0))
    return Statistics(tuple(mean.tolist()), tuple(deviation.tolist()))


def by_recording(frames: Frames) -> Frames:
    """Features less their mean over the recording, divided by their deviation in it.

    Args:
        frames: Features, (T, F).
    """
    if not len(frames):
        return frames
    wide = frames.astype(np.float64)
    return _scaled(wide, wide.mean(0), wide.std(0))


class FixedNorm:
    """Normalises by the part to train on, or not at all.

    Args:
        statistics: The mean and the deviation; None to leave features as they are.
    """

    def __init__(self, statistics: Statistics | None) -> None:
        self._fitted = None if statistics is None else (np.array(statistics.mean), np.array(statistics.deviation))

    def push(self, frames: Frames) -> Frames:
        """The next frames, normalised.

        Args:
            frames: Features, (T, F).
        """
        if self._fitted is None or not len(frames):
            return frames
        return _scaled(frames.astype(np.float64), *self._fitted)


class RunningNorm:
    """Normalises by what was heard up to each frame, and by the part to train on as if it had been heard before.

        mean[t] = (P m + sum of x[s]) / (P + n[t]),  s from t - W + 1 to t

    and the mean of squares alike, as Kaldi does for streams. In pieces or whole, the numbers are the same to the bit:
    the sums are carried on in the order of the frames.

    Args:
        statistics: The mean m and the deviation of the part to train on.
        window: The frames W that a mean is of.
        prior: The frames P that the part to train on counts for.
    """

    def __init__(self, statistics: Statistics, window: int = RUNNING_WINDOW, prior: int = RUNNING_PRIOR) -> None:
        mean, deviation = np.array(statistics.mean), np.array(statistics.deviation)
        self._prior = np.stack([mean, mean**2 + deviation**2]) * prior
        self._window, self._weight, self._heard = window, prior, 0
        self._sums = np.zeros((1, 2, len(mean)))  # of all frames up to the last of a window and those before

    def push(self, frames: Frames) -> Frames:
        """The next frames, normalised.

        Args:
            frames: Features, (T, F).
        """
        if not len(frames):
            return frames
        wide = frames.astype(np.float64)
        moments = np.stack([wide, wide**2], 1)
        sums = np.concatenate([self._sums, np.cumsum(np.concatenate([self._sums[-1:], moments]), 0)[1:]])
        last = np.arange(len(self._sums), len(sums))
        counts = np.minimum(self._heard + 1 + np.arange(len(frames)), self._window)
        mean, square = np.moveaxis(
            (self._prior + sums[last] - sums[last - counts]) / (self._weight + counts)[:, None, None], 1, 0
        )
        self._heard += len(frames)
        self._sums = sums[-self._window - 1 :] if self._heard >= self._window else sums
        return _scaled(wide, mean, np.sqrt(np.maximum(square - mean**2, 0)))


def norm_of(normalisation: Normalisation, statistics: Statistics | None) -> RunningNorm | FixedNorm:
    """What normalises features as they come.

    Raises:
        SettingError: The statistics of the part to train on are needed, and missing.
    """
    if normalisation == "none":
        return FixedNorm(None)
    if statistics is None:
        raise SettingError(f"{normalisation} normalisation needs the statistics of the part to train on")
    return RunningNorm(statistics) if normalisation == "running" else FixedNorm(statistics)


def _scaled(frames: NDArray[np.float64], mean: NDArray[np.float64], deviation: NDArray[np.float64]) -> Frames:
    """Features less their mean, divided by their deviation where that is large enough; all (F,) or (T, F)."""
    return ((frames - mean) / np.maximum(deviation, SMALLEST_DEVIATION)).astype(np.float32)
