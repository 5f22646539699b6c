"""Features of speech: energies of mel filters or cepstra, their slopes, and how they are normalised."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from recurra.checks import whole_number
from recurra.data.audio import Samples, read_audio, resampled
from recurra.data.frames import FRAME_SUFFIXES, Frames, read_frames
from recurra.data.recording import Recording
from recurra.errors import DataError, SettingError
from recurra.extras import need
from recurra.spelling import unknown

__all__ = ["FeatureExtractor", "FeatureFormat", "FeatureKind", "Normalisation", "Statistics", "fit_statistics"]

FeatureKind = Literal["filterbank", "mfcc"]
"""Logarithms of the energies of mel filters, or mel-frequency cepstral coefficients."""

Normalisation = Literal["none", "utterance", "global", "running"]
"""What mean and deviation are of: nothing; a recording; the part to train on; what was heard up to a frame."""

RUNNING_WINDOW = 600
"""The frames that a running mean is of."""

RUNNING_PRIOR = 200
"""How many frames the mean of the part to train on counts for in a running one."""

SMALLEST_DEVIATION = 1e-3
"""What no feature is divided by less than."""

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


class FeatureExtractor:
    """Features of recordings, one preprocessing for training, evaluation, prediction and streams.

    Args:
        how: What is computed.
        statistics: Those of the part to train on, of all features with their slopes; needed where the normalisation is
            global or running.
    """

    def __init__(self, how: FeatureFormat, statistics: Statistics | None = None) -> None:
        if statistics is None and how.normalisation in {"global", "running"}:
            raise SettingError(f"{how.normalisation} normalisation needs the statistics of the part to train on")
        self.how, self.statistics = how, statistics

    def frames(self, recording: Recording) -> Frames:
        """The features of a recording as they are, neither normalised nor with slopes; (T, F).

        Raises:
            DataError: Its file cannot be read.
        """
        if recording.trouble is not None:
            return np.zeros((0, self.how.width), np.float32)
        if recording.samples is not None:
            return sound_frames(resampled(recording.samples, recording.rate or self.how.rate, self.how.rate), self.how)
        if recording.audio is None:
            raise DataError(f"{recording.source}: there is no sound")
        if recording.audio.suffix.lower() in FRAME_SUFFIXES:
            return read_frames(recording.audio)
        return sound_frames(read_audio(recording.audio, self.how.rate)[0], self.how)

    def finished(self, frames: Frames) -> Frames:
        """Features with their slopes, normalised.

        Args:
            frames: Features, (T, F).

        Returns:
            (T, F) without slopes, (T, F (1 + slopes)) with.
        """
        wide = with_slopes(frames, self.how.slopes)
        return normalised(wide, self.how.normalisation, self.statistics)


def sound_frames(samples: Samples, how: FeatureFormat) -> Frames:
    """Features of sound.

    Args:
        samples: The sound, at the rate of the format, (N,).
        how: What is computed.

    Returns:
        The features of every frame whose window lies within the sound, (T, F).
    """
    computer = computer_of(how)
    computer.accept_waveform(how.rate, samples)
    computer.input_finished()
    return frames_ready(computer, 0, how.width)


def computer_of(how: FeatureFormat) -> Any:  # noqa: ANN401
    """What computes features of sound as it comes."""
    kaldi = need("kaldi_native_fbank", "features of sound")
    options = kaldi.MfccOptions() if how.kind == "mfcc" else kaldi.FbankOptions()
    options.frame_opts.samp_freq = how.rate
    options.frame_opts.frame_length_ms = how.window
    options.frame_opts.frame_shift_ms = how.step
    options.frame_opts.dither = 0.0
    options.frame_opts.snip_edges = True
    options.mel_opts.num_bins = how.filters
    options.mel_opts.low_freq = how.lowest
    options.use_energy = False
    if how.kind == "mfcc":
        options.num_ceps = how.coefficients
        return kaldi.OnlineMfcc(options)
    return kaldi.OnlineFbank(options)


def frames_ready(computer: Any, begin: int, width: int) -> Frames:  # noqa: ANN401
    """The frames of a computer from one on."""
    ready = computer.num_frames_ready
    if ready <= begin:
        return np.zeros((0, width), np.float32)
    return np.stack([computer.get_frame(place) for place in range(begin, ready)]).astype(np.float32)


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


def normalised(frames: Frames, normalisation: Normalisation, statistics: Statistics | None) -> Frames:
    """Features less their mean, divided by their deviation.

    Args:
        frames: Features, (T, F).
        normalisation: What mean and deviation are of.
        statistics: Those of the part to train on.
    """
    if normalisation == "none" or not len(frames):
        return frames
    if normalisation == "utterance":
        wide = frames.astype(np.float64)
        return _scaled(wide, wide.mean(0), wide.std(0))
    if statistics is None:
        raise SettingError(f"{normalisation} normalisation needs the statistics of the part to train on")
    if normalisation == "running":
        return RunningNorm(statistics).push(frames)
    return _scaled(frames.astype(np.float64), np.array(statistics.mean), np.array(statistics.deviation))


def _scaled(wide: NDArray[np.float64], mean: NDArray[np.float64], deviation: NDArray[np.float64]) -> Frames:
    return ((wide - mean) / np.maximum(deviation, SMALLEST_DEVIATION)).astype(np.float32)


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
