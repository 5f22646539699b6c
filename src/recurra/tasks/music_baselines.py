"""Trivial rules that predict music: how often each key sounds, and that it goes on as it was."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from recurra.data.dataset import Dataset
from recurra.data.rolls import Roll
from recurra.tasks.music_surprise import Surprise
from recurra.tasks.task import Baseline

__all__ = ["music_baselines"]

ADDED = 0.5
"""What is added to every count, so that nothing has the probability 0 (Jeffreys)."""


def music_baselines(pieces: Dataset[Roll]) -> list[Baseline[Roll, Surprise]]:
    """Each key as often as it sounded in training, and each key as often as after one that sounded or did not."""
    rolls = [pieces[index].frames for index in range(len(pieces))]
    keys = rolls[0].shape[1]
    sounding, frames = np.zeros(keys), 0
    after = np.zeros((2, keys, 2))  # [did it sound in the frame before, which key, does it sound]
    for roll in rolls:
        sounding += roll.sum(0)
        frames += len(roll)
        for before, now in ((b, n) for b in (False, True) for n in (False, True)):
            after[int(before), :, int(now)] += ((_before(roll) == before) & (roll == now)).sum(0)
    share = (sounding + ADDED) / (frames + 2 * ADDED)
    # A key that hardly ever sounded goes on as keys do.
    pooled = after.sum(1, keepdims=True)
    smoothed = after + 2 * ADDED * pooled / pooled.sum(2, keepdims=True)
    going_on = smoothed[:, :, 1] / smoothed.sum(2)
    return [
        Baseline("each key as often as in training", _rule(lambda roll: np.broadcast_to(share, roll.shape))),
        Baseline("each key by whether it sounded before", _rule(lambda roll: _chosen(going_on, _before(roll)))),
    ]


def _before(roll: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The frame before each frame; before the first nothing sounds."""
    return np.concatenate([np.zeros_like(roll[:1]), roll[:-1]])


def _chosen(going_on: NDArray[np.float64], before: NDArray[np.bool_]) -> NDArray[np.float64]:
    chosen: NDArray[np.float64] = np.where(before, going_on[1], going_on[0])
    return chosen


def _rule(probabilities: Callable[[NDArray[np.bool_]], NDArray[np.float64]]) -> Callable[[Roll], Surprise]:
    """What answers by the probability that each key sounds."""

    def answer(roll: Roll) -> Surprise:
        p = probabilities(roll.frames)
        each = np.where(roll.frames, np.log(p), np.log1p(-p))
        return Surprise(tuple(each.sum(1).tolist()))

    return answer
