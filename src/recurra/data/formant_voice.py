"""A synthetic voice that says the ten digits: harmonics under moving formants, and hisses.

It is for demonstrations where no recordings are at hand, and sounds like a machine.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from recurra.data.audio import Samples
from recurra.data.sound_effects import white_noise
from recurra.data.spec_augment import uniform

__all__ = ["DIGITS", "say_digit"]

DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
"""The words, in the order of their values."""


class _Phone(NamedTuple):
    """A piece of a word.

    Args:
        seconds: How long it lasts.
        voice: How loud the harmonics are.
        formants: The hertz of the first three.
        hiss: How loud the noise is.
        centre: The hertz around which it is.
    """

    seconds: float
    voice: float
    formants: tuple[float, float, float]
    hiss: float = 0.0
    centre: float = 3000.0


PHONES = {
    "z": _Phone(0.08, 0.3, (300, 1500, 2500), 0.35, 3400),
    "ih": _Phone(0.08, 1.0, (400, 2000, 2550)),
    "r": _Phone(0.08, 0.7, (420, 1200, 1600)),
    "oh": _Phone(0.08, 1.0, (550, 900, 2400)),
    "uw": _Phone(0.12, 0.9, (310, 900, 2250)),
    "w": _Phone(0.06, 0.6, (300, 650, 2200)),
    "ah": _Phone(0.11, 1.0, (650, 1200, 2400)),
    "n": _Phone(0.09, 0.4, (280, 1500, 2400)),
    "th": _Phone(0.09, 0.0, (300, 1400, 2500), 0.12, 3000),
    "iy": _Phone(0.14, 1.0, (280, 2300, 3000)),
    "f": _Phone(0.10, 0.0, (300, 1100, 2400), 0.15, 2400),
    "ao": _Phone(0.14, 1.0, (580, 850, 2450)),
    "aa": _Phone(0.10, 1.0, (730, 1150, 2450)),
    "v": _Phone(0.07, 0.4, (300, 1100, 2400), 0.1, 2600),
    "s": _Phone(0.11, 0.0, (320, 1500, 2500), 0.5, 3600),
    "eh": _Phone(0.09, 1.0, (550, 1800, 2500)),
    "ey": _Phone(0.10, 1.0, (430, 2100, 2600)),
    "closure": _Phone(0.06, 0.0, (300, 1700, 2500)),
    "burst": _Phone(0.03, 0.0, (300, 1800, 2600), 0.5, 3300),
    "back burst": _Phone(0.03, 0.0, (300, 1800, 2400), 0.4, 1700),
}
"""Formants after Peterson and Barney, "Control methods used in a study of the vowels", 1952."""

SPOKEN = {
    "zero": ("z", "ih", "r", "oh", "uw"),
    "one": ("w", "ah", "n"),
    "two": ("closure", "burst", "uw", "uw"),
    "three": ("th", "r", "iy"),
    "four": ("f", "ao", "r"),
    "five": ("f", "aa", "iy", "v"),
    "six": ("s", "ih", "closure", "back burst", "s"),
    "seven": ("s", "eh", "v", "ah", "n"),
    "eight": ("ey", "iy", "closure", "burst"),
    "nine": ("n", "aa", "iy", "n"),
}

WIDTHS = (80.0, 110.0, 160.0)
"""Hertz of the width of each formant."""

GLIDE = 0.025
"""Seconds over which one piece passes into the next."""


def say_digit(digit: int, rate: int, draw: torch.Generator, pitch: float = 120.0, size: float = 1.0) -> Samples:
    """A digit as the voice says it, a little different each time.

    Args:
        digit: 0 to 9.
        rate: Samples a second.
        draw: What durations, pitch and noise are drawn from.
        pitch: Hertz of the voice.
        size: What formants are multiplied by: about 1 for a man, 1.15 for a woman.

    Returns:
        The sound, (N,), at most about 0.5.
    """
    phones = [PHONES[name] for name in SPOKEN[DIGITS[digit]]]
    lengths = [int(phone.seconds * uniform(0.8, 1.25, draw) * rate) for phone in phones]
    count = sum(lengths)
    track = np.repeat([(p.voice, *p.formants, p.hiss, p.centre) for p in phones], lengths, axis=0).T
    track = np.stack([_smooth(values, int(GLIDE * rate)) for values in track])
    time = np.arange(count) / count
    fundamental = pitch * uniform(0.92, 1.08, draw) * (1.08 - 0.18 * time) * np.ones(count)
    voice = _harmonics(fundamental, track[1:4] * size, rate) * track[0]
    hiss = _hiss(track[5] * min(1.0, 0.45 * rate / 4000), rate, draw) * track[4]
    sound = voice + 0.25 * hiss
    return np.asarray(0.5 * sound / max(1e-9, float(np.abs(sound).max())), np.float32)


def _smooth(values: NDArray[np.float64], width: int) -> NDArray[np.float64]:
    """Values as the mean of those around each."""
    padded = np.pad(values, (width // 2, width - 1 - width // 2), mode="edge")
    return np.convolve(padded, np.ones(width) / width, mode="valid")


def _harmonics(fundamental: NDArray[np.float64], formants: NDArray[np.float64], rate: int) -> NDArray[np.float64]:
    """A sum of the multiples of the fundamental, each as loud as the formants make it.

    Args:
        fundamental: Hertz, (N,).
        formants: Hertz, (3, N).
        rate: Samples a second.
    """
    phase = 2 * np.pi * np.cumsum(fundamental) / rate
    sound = np.zeros(len(fundamental))
    for multiple in range(1, int(0.5 * rate / fundamental.max())):
        frequency = multiple * fundamental
        gain = np.zeros(len(sound))
        for formant, width, share in zip(formants, WIDTHS, (1.0, 0.6, 0.3), strict=True):
            gain += share / (1 + ((frequency - formant) / width) ** 2)
        sound += gain * np.sin(multiple * phase) / np.sqrt(multiple)
    return sound


def _hiss(centre: NDArray[np.float64], rate: int, draw: torch.Generator) -> NDArray[np.float64]:
    """Noise around a frequency: slow noise that turns it."""
    slow = [_smooth(white_noise(len(centre), draw).astype(np.float64), 6) for _ in range(2)]
    turn = 2 * np.pi * np.cumsum(centre) / rate
    return slow[0] * np.cos(turn) + slow[1] * np.sin(turn)
