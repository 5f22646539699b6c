"""What a model of music remembers of a whole piece: how long notes sound, and what followed when it was like this."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from recurra.checks import whole_number

__all__ = ["LONGEST", "MusicMemory", "Remembered", "recalled"]

LONGEST = 32
"""Passages and notes that are longer, in frames, count as of this length."""


class Remembered(NamedTuple):
    """What is remembered before each frame.

    Attributes:
        planes: Of each key, (B, T, 3, K), from 0 to 1: how long it has sounded, whether it sounds in the frame that is
            recalled, and that times how long the recalled passage is.
        scalars: Of the frame, (B, T, S): how long the recalled passage is, whether there is none, and the sine and the
            cosine of its place in bars of each length.
    """

    planes: Tensor
    scalars: Tensor


class MusicMemory:
    """What is remembered of all frames before one, by rules and not by weights.

    Tunes repeat themselves: what follows now is what followed the longest earlier passage that ended like the piece so
    far, or the latest of several such, more surely the longer the passage is. Contexts of any length predict in this
    way in PPM* (Cleary, Teahan and Witten, "Unbounded length contexts for PPM", 1995).

    Args:
        periods: Lengths of bars and beats, in frames, in which the place of a frame is told.

    Example:
        >>> frames = torch.eye(3)[[0, 1, 2, 0, 1]][None]  # do re mi do re: mi is recalled, and before it re
        >>> remembered = MusicMemory().remember(frames.new_zeros(0, 1, 3), frames)
        >>> remembered.planes[0, 4, 1].tolist()
        [0.0, 1.0, 0.0]
    """

    planes = 3
    """How many numbers of each key are remembered."""

    def __init__(self, periods: Sequence[int] = ()) -> None:
        self.periods = tuple(whole_number("periods", period, 2) for period in periods)

    @property
    def scalars(self) -> int:
        """S, how many numbers of each frame are remembered."""
        return 2 + 2 * len(self.periods)

    @torch.no_grad()
    def remember(self, past: Tensor, frames: Tensor) -> Remembered:
        """What is remembered before each frame.

        Args:
            past: The frames before the first, (T', B, K), 0 or 1; -1 for none, where a row has fewer.
            frames: The frames, (B, T, K), 0 or 1.
        """
        whole = np.concatenate([past.transpose(0, 1).cpu().numpy(), frames.cpu().numpy()], 1)
        there, sounds, steps = whole[:, :, 0] >= 0, whole > 0, frames.shape[1]
        before = len(past)
        places, lengths = recalled(_numbers(sounds, there), before)
        rows = np.arange(len(whole))[:, None]
        echo = sounds[rows, places] & (lengths > 0)[:, :, None]
        share = _share(lengths)
        at = np.arange(whole.shape[1])[:, None]
        last_silent = np.maximum.accumulate(np.where(sounds, -1, at), axis=1)
        # The frame before the first of all is silent.
        ages = np.concatenate([np.zeros_like(last_silent[:, :1]), at - last_silent], 1)[:, before : before + steps]
        planes = np.stack([_share(ages), echo, echo * share[:, :, None]], 2)
        counted: NDArray[np.int64] = (np.cumsum(there, 1) - there)[:, before:]
        scalars = np.concatenate([share[:, :, None], (lengths == 0)[:, :, None], self._clock(counted)], 2)
        return Remembered(torch.from_numpy(planes).to(frames), torch.from_numpy(scalars).to(frames))

    def _clock(self, steps: NDArray[np.int64]) -> NDArray[np.float64]:
        """The sine and the cosine of the place of each step in bars of each length."""
        periods = np.array(self.periods, np.int64)
        angles = 2 * np.pi * (steps[:, :, None] % periods) / np.maximum(periods, 1)
        return np.concatenate([np.sin(angles), np.cos(angles)], 2)


def recalled(numbers: NDArray[np.int64], first: int = 0) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Before each symbol, which place its past recalls, and how long the passage is.

    With m<t>[j] the length of the longest passage that ends at t and at j < t, up to `LONGEST`,

        m<t>[j] = min(m<t-1>[j-1] + 1, LONGEST)  if x<t> = x<j>, else 0

    the place that is recalled before t + 1 is j + 1 for the largest m<t>[j], the latest of several.

    Args:
        numbers: The symbols, (B, N).
        first: Of the first how many symbols nothing is asked.

    Returns:
        The places, and the lengths, 0 where nothing is recalled; (B, N - first) each.

    Example:
        >>> places, lengths = recalled(np.array([[1, 2, 3, 1, 2]]))
        >>> places.tolist(), lengths.tolist()
        ([[0, 0, 0, 0, 1]], [[0, 0, 0, 0, 1]])
    """
    rows, count = numbers.shape
    places = np.zeros((rows, count - first), np.int64)
    lengths = np.zeros_like(places)
    if count - first == 1:  # one step of many: only the last passages are compared
        if count > 1:
            _latest(_last_matches(numbers[:, :-1]), places, lengths, 0)
        return places, lengths
    matches = np.zeros((rows, count), np.int64)
    for last in range(count - 1):
        matches[:, 1:last] = np.minimum(matches[:, : max(last - 1, 0)] + 1, LONGEST)
        matches[:, : min(last, 1)] = 1
        matches[:, :last] *= numbers[:, :last] == numbers[:, last, None]
        if last and last + 1 >= first:
            _latest(matches[:, :last], places, lengths, last + 1 - first)
    return places, lengths


def _last_matches(numbers: NDArray[np.int64]) -> NDArray[np.int64]:
    """How long the passages are that end at each place but the last and at the last, (B, N - 1)."""
    alive = numbers[:, :-1] == numbers[:, -1:]
    matches: NDArray[np.int64] = alive.astype(np.int64)
    for back in range(1, min(LONGEST, numbers.shape[1] - 1)):
        longer = alive[:, back:] & (numbers[:, : -1 - back] == numbers[:, -1 - back, None])
        if not longer.any():
            break
        alive = np.concatenate([np.zeros_like(alive[:, :back]), longer], 1)
        matches += alive
    return matches


def _latest(matches: NDArray[np.int64], places: NDArray[np.int64], lengths: NDArray[np.int64], at: int) -> None:
    """Put down which place follows the longest passage, the latest of several, and how long that is."""
    if not matches.shape[1]:
        return
    backwards = matches[:, ::-1].argmax(1)
    best = matches.shape[1] - 1 - backwards
    lengths[:, at] = matches[np.arange(len(matches)), best]
    places[:, at] = np.where(lengths[:, at] > 0, best + 1, 0)


def _numbers(sounds: NDArray[np.bool_], there: NDArray[np.bool_]) -> NDArray[np.int64]:
    """A number for each frame, the same for equal frames; for one that is not there a number of its own. (B, N)."""
    rows, steps = there.shape
    if not there.size:
        return np.zeros((rows, steps), np.int64)
    packed = np.ascontiguousarray(np.packbits(sounds.reshape(rows * steps, -1), axis=1))
    _, numbers = np.unique(packed.view(np.dtype((np.void, packed.shape[1]))).ravel(), return_inverse=True)
    own = -1 - np.arange(rows * steps)
    return np.where(there, numbers.reshape(rows, steps), own.reshape(rows, steps))


def _share(lengths: NDArray[np.int64]) -> NDArray[np.float64]:
    """A length as a number from 0 to 1."""
    shares: NDArray[np.float64] = np.log2(1.0 + np.minimum(lengths, LONGEST)) / math.log2(1 + LONGEST)
    return shares
