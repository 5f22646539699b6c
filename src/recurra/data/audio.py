"""Recordings of sound: WAV, FLAC, OGG, MP3 and others of any rate, width and number of channels."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recurra.data.lines import check_rereadable
from recurra.errors import DataError
from recurra.extras import need

__all__ = ["AUDIO_SUFFIXES", "AudioInfo", "Samples", "audio_info", "one_channel", "read_audio", "resampled"]

Samples = NDArray[np.float32]
"""Sound of one channel, from -1 to 1, (N,)."""

AUDIO_SUFFIXES = frozenset((".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aiff", ".aif", ".au", ".sph", ".w64"))
"""How the names of files of sound end."""


@dataclass(frozen=True)
class AudioInfo:
    """What the header of a file of sound says.

    Args:
        rate: Samples a second.
        channels: How many channels.
        samples: Samples in each channel.
        kind: The format and the width, in words.
    """

    rate: int
    channels: int
    samples: int
    kind: str

    @property
    def seconds(self) -> float:
        """How long it lasts."""
        return self.samples / self.rate


def audio_info(path: Path) -> AudioInfo:
    """What the header of a file of sound says; nothing is decoded.

    Args:
        path: The file.

    Raises:
        DataError: There is no such file, or it is no sound that can be read.
        SettingError: The package that reads it is not installed.
    """
    check_audio_file(path)
    soundfile = need("soundfile", "reading recordings")
    try:
        header = soundfile.info(str(path))
    except (soundfile.SoundFileError, TypeError, ValueError) as error:
        raise not_audio(path, error) from None
    return AudioInfo(header.samplerate, header.channels, header.frames, f"{header.format_info}, {header.subtype_info}")


def read_audio(path: Path, rate: int | None = None) -> tuple[Samples, int]:
    """The sound of a file, its channels averaged.

    Args:
        path: The file.
        rate: Samples a second that are wanted; None for those of the file.

    Returns:
        The samples, and how many there are in a second.

    Raises:
        DataError: There is no such file, or it is no sound that can be read.
        SettingError: A package that reads it is not installed.
    """
    check_audio_file(path)
    soundfile = need("soundfile", "reading recordings")
    try:
        samples, own_rate = soundfile.read(str(path), dtype="float32", always_2d=True)
    except (soundfile.SoundFileError, TypeError, ValueError) as error:
        raise not_audio(path, error) from None
    mono = one_channel(samples.T)
    return (mono, own_rate) if rate is None else (resampled(mono, own_rate, rate), rate)


def one_channel(samples: NDArray[np.floating[Any]]) -> Samples:
    """The mean of the channels.

    Args:
        samples: The samples, (channels, N) or (N,).
    """
    mono = samples if samples.ndim == 1 else samples.mean(0)
    return np.ascontiguousarray(mono, dtype=np.float32)


def resampled(samples: Samples, rate: int, wanted: int) -> Samples:
    """Sound at another rate, without what that rate cannot hold.

    Args:
        samples: The samples, (N,).
        rate: How many a second.
        wanted: How many a second are wanted.
    """
    if rate == wanted or not len(samples):
        return samples
    soxr = need("soxr", f"sound of {rate:,} samples a second where {wanted:,} are wanted")
    return np.asarray(soxr.resample(samples, rate, wanted), dtype=np.float32)


def check_audio_file(path: Path) -> None:
    """Refuse what is no file, or has nothing in it.

    Raises:
        DataError: It is so.
    """
    check_rereadable(path)
    try:
        size = path.stat().st_size
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); give a recording that is there") from None
    if path.is_dir():
        raise DataError(f"{path}: this is a folder; give a recording in it")
    if not size:
        raise DataError(f"{path}: this file is empty; give a recording")


def not_audio(path: Path, error: Exception) -> DataError:
    """The error that a file is no sound, and what it seems to be."""
    with path.open("rb") as file:
        begin = file.read(64)
    is_text = bool(begin) and b"\0" not in begin and sum(byte < 9 or byte > 126 for byte in begin) * 4 < len(begin)
    seems = f"it seems to be text, {begin[:20]!r}" if is_text else f"it begins {begin[:8].hex(' ')}"
    reason = str(error).partition(": ")[2].rstrip(".") or type(error).__name__
    return DataError(f"{path}: this is no recording ({reason}; {seems}); give WAV, FLAC, OGG or MP3")
