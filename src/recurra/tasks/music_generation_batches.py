"""What a model of music reads: frames of pieces side by side, in training moved to other keys."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from recurra.data.batch import IGNORED, Batch
from recurra.data.dataset import Dataset, Role
from recurra.data.padded import PaddedBatches
from recurra.data.rolls import Roll
from recurra.errors import DataError
from recurra.tasks.assets import Assets
from recurra.tasks.music_generation_settings import MusicConfig, PieceBatchSettings

__all__ = ["FrameBatch", "MusicAssets", "batches", "shifts_of"]

READ = 4000
"""Frames that are read side by side where nothing is learned."""


class MusicAssets(Assets):
    """What is known of the pieces trained on.

    Args:
        lowest: The pitch of the first key.
        shares: The share of frames in which each key sounds, over all keys that pieces are moved to.
    """

    lowest: int
    shares: tuple[float, ...]

    @property
    def keys(self) -> int:
        """How many keys there are."""
        return len(self.shares)


@dataclass(frozen=True, eq=False, kw_only=True)
class FrameBatch(Batch):
    """Pieces side by side; the targets (B, T) are 0 where there is a frame to predict.

    Args:
        frames: Which keys sound, (B, T, K), 0 or 1.
        lengths: How many frames each piece has, (B,).
    """

    frames: Tensor
    lengths: Tensor


def shifts_of(settings: PieceBatchSettings, frames: np.ndarray) -> range:
    """The semitones by which a piece can be moved, within the settings, so that no note leaves the keys.

    Example:
        >>> shifts_of(PieceBatchSettings(transpose_down=2, transpose_up=6), np.eye(4, dtype=bool)[1:3])
        range(-1, 2)
    """
    sounding = np.flatnonzero(frames.any(0))
    if not len(sounding):
        return range(1)
    down = min(settings.transpose_down, int(sounding[0]))
    up = min(settings.transpose_up, frames.shape[1] - 1 - int(sounding[-1]))
    return range(-down, up + 1)


def batches(
    config: MusicConfig, assets: MusicAssets, pieces: Dataset[Roll], role: Role
) -> PaddedBatches[Roll, FrameBatch]:
    """Pieces of like length side by side.

    Raises:
        DataError: The pieces have other keys than those trained on.
    """
    training = role == "train"

    def collate(members: Sequence[Roll], draw: torch.Generator) -> FrameBatch:
        frames = [torch.from_numpy(_checked(assets, roll).frames.astype(np.float32)) for roll in members]
        if training:
            frames = [_moved(config.batches, piece, draw) for piece in frames]
        targets = [torch.zeros(len(piece), dtype=torch.int64) for piece in frames]
        return FrameBatch(
            targets=pad_sequence(targets, batch_first=True, padding_value=IGNORED),
            frames=pad_sequence(frames, batch_first=True),
            lengths=torch.tensor([len(piece) for piece in frames]),
        )

    return PaddedBatches(
        pieces,
        collate,
        config.batches.batch_size if training else 64,
        max_steps=config.batches.max_frames if training else READ,
        shuffle=training,
        seed=config.training.seed,
    )


def _checked(assets: MusicAssets, roll: Roll) -> Roll:
    if roll.frames.shape[1] != assets.keys or roll.lowest != assets.lowest:
        raise DataError(
            f"{roll.source}: this roll has {roll.frames.shape[1]} keys from pitch {roll.lowest} on, and the model "
            f"{assets.keys} from {assets.lowest} on; give a roll of those keys"
        )
    return roll


def _moved(settings: PieceBatchSettings, frames: Tensor, draw: torch.Generator) -> Tensor:
    """A piece in a key that is drawn."""
    shifts = shifts_of(settings, frames.numpy())
    by = shifts[int(torch.randint(len(shifts), (), generator=draw))]
    return frames.roll(by, 1)  # no note leaves the keys
