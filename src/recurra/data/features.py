"""Features of speech: energies of mel filters or cepstra of the sound, and their slopes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from recurra.checks import whole_number
from recurra.data.audio import Samples
from recurra.data.frames import Frames
from recurra.errors import SettingError
from recurra.extras import need
from recurra.spelling import unknown

__all__ = ["FeatureFormat", "FeatureKind", "Normalisation", "SoundFrames", "with_slopes"]

FeatureKind = Literal["filterbank", "mfcc"]
"""Logarithms of the energies of mel filters, or mel-frequency cepstral coefficients."""

Normalisation = Literal["none", "utterance", "global", "running"]
"""What mean and deviation are of: nothing; a recording; the part to train on; what was heard up to a frame."""

SLOPE_REACH = 2
"""The frames on each side that a slope is of."""


@dataclass(frozen=True)
class FeatureFormat:
    """What is computed of sound; ready-made features are normalised alike, and their slopes are added.

    Args:
        kind: Filters or cepstra.
        rate: Samples a second; sound of another rate is resampled.
        filters: How many mel filters.
        coefficients: How many cepstral coefficients.
        window: Milliseconds of a frame.
        step: Milliseconds from a frame to the next.
        lowest: Hertz at which the lowest filter begins.
        slopes: How often slopes are added: 1 for those of the features, 2 for those of the slopes as well.
        normalisation: What the mean and the deviation of every feature are of.

    Raises:
        SettingError: A value is impossible.
    """

    kind: FeatureKind = "filterbank"
    rate: int = 16_000
    filters: int = 40
    coefficients: int = 13
    window: float = 25.0
    step: float = 10.0
    lowest: float = 20.0
    slopes: int = 0
    normalisation: Normalisation = "utterance"

    def __post_init__(self) -> None:
        for name, value, choices in (
            ("kind", self.kind, get_args(FeatureKind)),
            ("normalisation", self.normalisation, get_args(Normalisation)),
        ):
            if value not in choices:
                raise SettingError(unknown(name, value, choices))
        for name, smallest in (("rate", 1000), ("filters", 4), ("coefficients", 1), ("slopes", 0)):
            whole_number(name, getattr(self, name), smallest)
        if self.slopes > 2:
            raise SettingError(f"slopes is {self.slopes}; give 0, 1 or 2")
        if not 0 < self.step <= self.window or not 0 <= self.lowest < self.rate / 2:
            raise SettingError(
                f"window {self.window:g} ms, step {self.step:g} ms and lowest {self.lowest:g} Hz; give a step of more "
                f"than 0 and at most the window, and a lowest below {self.rate / 2:g} Hz"
            )
        if self.kind == "mfcc" and self.coefficients > self.filters:
            raise SettingError(f"{self.coefficients} coefficients of {self.filters} filters; give at most as many")

    @property
    def width(self) -> int:
        """The features of a frame of sound, without slopes."""
        return self.coefficients if self.kind == "mfcc" else self.filters

    def frames_of(self, samples: int, rate: int | None = None) -> int:
        """How many frames a recording has, whose windows all lie within it.

        Args:
            samples: Its samples.
            rate: How many a second; None for those of this format.
        """
        samples = samples if rate is None or rate == self.rate else round(samples * self.rate / rate)
        window, step = int(self.rate * 0.001 * self.window), int(self.rate * 0.001 * self.step)
        return 0 if samples < window else 1 + (samples - window) // step


class SoundFrames:
    """Features of sound as it comes: in pieces or whole, the same numbers.

    A frame is known as soon as its window has been heard, and memory does not grow.

    Args:
        how: What is computed.
    """

    def __init__(self, how: FeatureFormat) -> None:
        kaldi = need("kaldi_native_fbank", "features of sound")
        options = kaldi.MfccOptions() if how.kind == "mfcc" else kaldi.FbankOptions()
        frame, filters = options.frame_opts, options.mel_opts
        frame.samp_freq, frame.frame_length_ms, frame.frame_shift_ms = how.rate, how.window, how.step
        frame.dither, frame.snip_edges = 0.0, True
        filters.num_bins, filters.low_freq, filters.high_freq = how.filters, how.lowest, 0.0  # up to half the rate
        options.use_energy = False
        if how.kind == "mfcc":
            options.num_ceps = how.coefficients
        self.how = how
        self._computer = (kaldi.OnlineMfcc if how.kind == "mfcc" else kaldi.OnlineFbank)(options)
        self._count = 0

    def push(self, samples: Samples) -> Frames:
        """The frames that are known after the next samples.

        Args:
            samples: The sound, at the rate of the format, (N,).

        Returns:
            (T, F).
        """
        self._computer.accept_waveform(self.how.rate, samples)
        begin, self._count = self._count, self._computer.num_frames_ready
        frames = np.zeros((self._count - begin, self.how.width), np.float32)
        for place in range(len(frames)):
            frames[place] = self._computer.get_frame(begin + place)
        self._computer.pop(len(frames))
        return frames


def with_slopes(frames: Frames, order: int) -> Frames:
    """Features with their slopes over time, those of the slopes, and so on.

        slope[t] = sum over n of n (x[t + n] - x[t - n]) / (2 sum over n of n²),  n = 1, 2

    The first and the last frame stand for those before and after (Furui, "Speaker-independent isolated word recognition
    using dynamic features of speech spectrum", 1986).

    Args:
        frames: Features, (T, F).
        order: How often.

    Returns:
        (T, F (1 + order)).
    """
    parts = [frames]
    for _ in range(order if len(frames) else 0):
        padded = np.pad(parts[-1], ((SLOPE_REACH, SLOPE_REACH), (0, 0)), mode="edge")
        count = len(frames)
        near = padded[SLOPE_REACH + 1 : SLOPE_REACH + 1 + count] - padded[SLOPE_REACH - 1 : SLOPE_REACH - 1 + count]
        far = padded[2 * SLOPE_REACH : 2 * SLOPE_REACH + count] - padded[:count]
        parts.append(np.asarray((near + 2 * far) / 10, np.float32))
    return np.concatenate(parts, 1) if len(frames) else np.zeros((0, frames.shape[1] * (1 + order)), np.float32)
