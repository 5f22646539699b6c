"""What is changed of recordings at random in training: speed, loudness, noise, and masks over the features."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from recurra.checks import is_number, whole_number
from recurra.data.audio import Samples
from recurra.data.filter_effects import equalised, warped
from recurra.data.sound_effects import NoiseRecordings, louder, pink_noise, sound_at_speed, white_noise, with_noise
from recurra.data.spec_augment import at_speed, mask_features, mask_frames, uniform
from recurra.errors import SettingError

__all__ = ["SpeechAugmentation"]

AS_IT_IS: tuple[float, float] = (1.0, 1.0)
"""The slowest and the fastest speed where none is changed."""


@dataclass(frozen=True)
class SpeechAugmentation:
    """What is changed of a recording at random, in training alone.

    Everything is drawn from the generator of a batch, so that a training that goes on draws what it would have drawn.
    What is off draws nothing.

    Args:
        speed: The slowest and the fastest speed of the frames; (1, 1) leaves them as they are.
        sound_speed: The slowest and the fastest speed of the sound, whose pitch changes with it.
        gain: The most decibels by which the sound is louder or softer.
        noise: The share of recordings to which noise is added.
        noise_ratio: The least and the most decibels by which the sound is stronger than the noise.
        noise_folder: Recordings of noise; None for white and pink noise, each as often.
        time_masks: How many stretches of frames are masked.
        longest_time_mask: The most frames of one.
        largest_time_share: The largest share of a recording that one masks.
        feature_masks: How many bands of features are masked.
        widest_feature_mask: The most features of one.
        warp: The lowest and the highest factor of the frequencies of mel filters, as of voices of other sizes; (1, 1)
            leaves them as they are.
        equaliser: The most decibels by which a mel filter is louder or softer, as through other microphones.
        rate: Samples a second, for recordings of noise and for frequencies.
        lowest: Hertz at which the lowest filter begins.

    Raises:
        SettingError: A value is impossible.

    Example:
        >>> change = SpeechAugmentation(speed=(0.9, 1.1), time_masks=2, longest_time_mask=15)
        >>> draw = torch.Generator().manual_seed(0)
        >>> change.masked(change.of_frames(torch.ones(100, 40), draw), draw).shape
        torch.Size([91, 40])
    """

    speed: tuple[float, float] = AS_IT_IS
    sound_speed: tuple[float, float] = AS_IT_IS
    gain: float = 0.0
    noise: float = 0.0
    noise_ratio: tuple[float, float] = (5.0, 25.0)
    noise_folder: Path | None = None
    time_masks: int = 0
    longest_time_mask: int = 15
    largest_time_share: float = 0.2
    feature_masks: int = 0
    widest_feature_mask: int = 8
    warp: tuple[float, float] = AS_IT_IS
    equaliser: float = 0.0
    rate: int = field(default=16_000, kw_only=True)
    lowest: float = field(default=20.0, kw_only=True)

    def __post_init__(self) -> None:
        for name, least in (("speed", 0.1), ("sound_speed", 0.1), ("warp", 0.1), ("noise_ratio", -100.0)):
            low, high = getattr(self, name)
            if not (all(map(is_number, (low, high))) and least <= low <= high <= 1000):
                raise SettingError(f"{name} is {low!r} to {high!r}; give the least, from {least:g}, and then the most")
        for name, most in (("gain", 100), ("equaliser", 100), ("noise", 1), ("largest_time_share", 1)):
            value = getattr(self, name)
            if not is_number(value) or value < 0 or value > most:
                raise SettingError(f"{name} is {value!r}; it is a number from 0 to {most}")
        for name in ("time_masks", "longest_time_mask", "feature_masks", "widest_feature_mask"):
            whole_number(name, getattr(self, name), 0)

    @property
    def changes_sound(self) -> bool:
        """Whether the sound is changed, so that features have to be computed in every epoch."""
        return self.sound_speed != AS_IT_IS or self.gain > 0 or self.noise > 0

    @property
    def changes_filters(self) -> bool:
        """Whether energies of filters are changed, so that features have to be those."""
        return self.warp != AS_IT_IS or self.equaliser > 0

    def of_sound(self, samples: Samples, draw: torch.Generator) -> Samples:
        """Sound at another speed, louder or softer, and with noise.

        Args:
            samples: The sound, (N,).
            draw: What is drawn from.

        Returns:
            (N / speed,).
        """
        if self.sound_speed != AS_IT_IS:
            samples = sound_at_speed(samples, uniform(*self.sound_speed, draw))
        if self.gain:
            samples = louder(samples, uniform(-self.gain, self.gain, draw))
        if self.noise and uniform(0, 1, draw) < self.noise:
            ratio = uniform(*self.noise_ratio, draw)
            samples = with_noise(samples, self._noise(len(samples), draw), ratio)
        return samples

    def of_frames(self, frames: Tensor, draw: torch.Generator) -> Tensor:
        """Frames at another speed, of another voice or otherwise heard, before slopes and normalisation.

        Args:
            frames: Features, (T, F).
            draw: What is drawn from.

        Returns:
            (T / speed, F).
        """
        if self.speed != AS_IT_IS:
            frames = at_speed(frames, uniform(*self.speed, draw))
        if self.warp != AS_IT_IS:
            frames = warped(frames, uniform(*self.warp, draw), self.rate, self.lowest)
        return equalised(frames, self.equaliser, draw) if self.equaliser else frames

    def masked(self, frames: Tensor, draw: torch.Generator, blocks: int = 1) -> Tensor:
        """Normalised frames with masks.

        Args:
            frames: Features with their slopes, (T, F).
            draw: What is drawn from.
            blocks: One more than how often slopes were added.

        Returns:
            (T, F).
        """
        if self.time_masks:
            frames = mask_frames(frames, self.time_masks, self.longest_time_mask, draw, self.largest_time_share)
        if self.feature_masks:
            frames = mask_features(frames, self.feature_masks, self.widest_feature_mask, draw, blocks)
        return frames

    @cached_property
    def _noises(self) -> NoiseRecordings | None:
        return None if self.noise_folder is None else NoiseRecordings(self.noise_folder, self.rate)

    def _noise(self, count: int, draw: torch.Generator) -> Samples:
        if self._noises is not None:
            return np.asarray(self._noises.stretch(count, draw))
        return (white_noise if uniform(0, 1, draw) < 1 / 2 else pink_noise)(count, draw)
