"""Changes of sound: speed, loudness and noise, drawn so that a model trains on others in every epoch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from recurra.data.audio import AUDIO_SUFFIXES, Samples, read_audio, resampled
from recurra.errors import DataError, SettingError

__all__ = ["NoiseRecordings", "louder", "pink_noise", "sound_at_speed", "white_noise", "with_noise"]

SPEED_UNIT = 100
"""Speeds of sound are rounded to hundredths, which resampling takes as a ratio of small whole numbers."""


def white_noise(count: int, draw: torch.Generator) -> Samples:
    """Noise with the same power at every frequency, of mean 0 and deviation 1.

    Args:
        count: How many samples.
        draw: What it is drawn from.
    """
    return np.asarray(torch.randn(count, generator=draw).numpy(), dtype=np.float32)


def pink_noise(count: int, draw: torch.Generator) -> Samples:
    """Noise whose power falls by half where the frequency doubles, of mean 0 and deviation 1.

    White noise of which every frequency f is divided by the root of f; much of what is heard in rooms is like it.

    Args:
        count: How many samples.
        draw: What it is drawn from.
    """
    if count < 2:
        return np.zeros(count, np.float32)
    spectrum = np.fft.rfft(white_noise(count, draw))
    frequencies = np.arange(len(spectrum), dtype=np.float64)
    frequencies[0] = 1
    spectrum /= np.sqrt(frequencies)
    spectrum[0] = 0
    noise = np.fft.irfft(spectrum, count)
    return np.asarray(noise / noise.std(), dtype=np.float32)


def with_noise(samples: Samples, noise: Samples, ratio: float) -> Samples:
    """Sound and noise together.

        samples + noise sqrt(P / N) 10^(-ratio / 20),  P and N the mean squares of both

    Args:
        samples: The sound, (N,).
        noise: The noise, (N,).
        ratio: How much stronger the sound is, in decibels.

    Returns:
        Both, (N,). Silence stays silent, for nothing is stronger or weaker than it by a ratio.
    """
    power, against = (float(np.mean(part.astype(np.float64) ** 2)) if len(part) else 0.0 for part in (samples, noise))
    if not power or not against:
        return samples
    scale = math.sqrt(power / against) * 10 ** (-ratio / 20)
    return np.asarray(samples + np.float32(scale) * noise, dtype=np.float32)


def louder(samples: Samples, decibels: float) -> Samples:
    """Sound that is stronger, or weaker below 0 decibels; nothing is clipped.

    Args:
        samples: The sound, (N,).
        decibels: How much.
    """
    return samples * np.float32(10 ** (decibels / 20))


def sound_at_speed(samples: Samples, speed: float) -> Samples:
    """Sound played faster or slower, its pitch changed as well.

    Ko and others, "Audio augmentation for speech recognition", Interspeech 2015, trained on speeds 0.9, 1 and 1.1.

    Args:
        samples: The sound, (N,).
        speed: How many times as fast, rounded to hundredths.

    Raises:
        SettingError: The speed is below 0.1.
    """
    hundredths = round(speed * SPEED_UNIT)
    if hundredths < SPEED_UNIT // 10:
        raise SettingError(f"speed is {speed:g}; give how many times as fast, 0.1 or more")
    return resampled(samples, hundredths, SPEED_UNIT)


class NoiseRecordings:
    """Recordings of noise, such as of a street, of which a stretch is drawn.

    Args:
        folder: Where they are; those in folders within it count.
        rate: Samples a second that are wanted.

    Raises:
        DataError: There is none, or one cannot be read.
    """

    def __init__(self, folder: Path, rate: int) -> None:
        files = sorted(file for file in folder.rglob("*") if file.suffix.lower() in AUDIO_SUFFIXES)
        if not files:
            raise DataError(f"{folder}: there is no recording of noise; give a folder of WAV, FLAC, OGG or MP3 files")
        self._files, self._rate = files, rate
        self._known: dict[Path, Samples] = {}

    @property
    def files(self) -> Sequence[Path]:
        """The recordings."""
        return self._files

    def stretch(self, count: int, draw: torch.Generator) -> Samples:
        """A stretch of one of them; a recording that is shorter begins again and again.

        Args:
            count: How many samples.
            draw: What it is drawn from.
        """
        file = self._files[int(torch.randint(len(self._files), (), generator=draw))]
        if file not in self._known:
            self._known[file] = read_audio(file, self._rate)[0]
        noise = self._known[file]
        if not len(noise):
            raise DataError(f"{file}: there is no sound in it; take it out of the folder of noises")
        begin = int(torch.randint(max(1, len(noise) - count + 1), (), generator=draw))
        return np.resize(noise[begin:], count) if len(noise) - begin < count else noise[begin : begin + count]
