"""Frames of features masked and stretched at random, so that a model trains on others in every epoch."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from recurra.errors import SettingError

__all__ = ["at_speed", "mask_features", "mask_frames", "uniform"]


def uniform(low: float, high: float, draw: torch.Generator) -> float:
    """A number between two, all as likely."""
    return low + (high - low) * torch.rand((), generator=draw, dtype=torch.float64).item()


def mask_frames(frames: Tensor, count: int, longest: int, draw: torch.Generator, most: float = 1.0) -> Tensor:
    """Frames of which some stretches are 0, the mean of normalised features.

    The length of each is drawn from 0 to `longest`, all as likely, and then its beginning from those at which it lies
    within the recording (Park and others, "SpecAugment", Interspeech 2019, section 2).

    Args:
        frames: Normalised features, (T, F); they stay as they are.
        count: How many stretches.
        longest: The most frames of one.
        draw: What they are drawn from.
        most: The largest share of the frames that one masks, so that short words are not lost.

    Returns:
        The frames, (T, F).

    Example:
        >>> masked = mask_frames(torch.ones(50, 2), 1, 10, torch.Generator().manual_seed(0))
        >>> masked.unique_consecutive(dim=0).tolist()
        [[1.0, 1.0], [0.0, 0.0], [1.0, 1.0]]
    """
    longest = min(longest, int(most * len(frames)))
    frames = frames.clone()
    for begin, length in _stretches(len(frames), count, longest, draw):
        frames[begin : begin + length] = 0
    return frames


def mask_features(frames: Tensor, count: int, widest: int, draw: torch.Generator, blocks: int = 1) -> Tensor:
    """Frames in which some bands of features next to each other are 0, the mean of normalised features.

    Args:
        frames: Normalised features, (T, F); they stay as they are.
        count: How many bands.
        widest: The most features of one.
        draw: What they are drawn from.
        blocks: How many equal blocks of features there are, such as 3 where slopes and theirs are added: a band is
            masked in all of them.

    Returns:
        The frames, (T, F).

    Raises:
        SettingError: There are not so many equal blocks of features.
    """
    if frames.shape[1] % blocks:
        raise SettingError(f"{frames.shape[1]} features are no {blocks} equal blocks; give how many there are")
    width = frames.shape[1] // blocks
    masked = frames.reshape(len(frames), blocks, width).clone()
    for begin, length in _stretches(width, count, min(widest, width), draw):
        masked[:, :, begin : begin + length] = 0
    return masked.flatten(1)


def _stretches(size: int, count: int, longest: int, draw: torch.Generator) -> list[tuple[int, int]]:
    """Where each stretch begins and how long it is."""
    stretches = []
    for length in torch.randint(longest + 1, (count,), generator=draw).tolist():
        begin = int(torch.randint(size - length + 1, (), generator=draw))
        stretches.append((begin, length))
    return stretches


def at_speed(frames: Tensor, speed: float) -> Tensor:
    """Frames as if one had spoken faster or slower, interpolated linearly in time; pitch and formants stay.

    Args:
        frames: Features, (T, F).
        speed: How many times as fast.

    Returns:
        round(T / speed) frames, at least one.

    Raises:
        SettingError: The speed is not above 0.
    """
    if not speed > 0:
        raise SettingError(f"speed is {speed:g}; give how many times as fast, above 0")
    if not len(frames):
        return frames
    size = max(1, round(len(frames) / speed))
    return F.interpolate(frames.t()[None], size=size, mode="linear", align_corners=False)[0].t().contiguous()
