"""Recordings of sound: WAV, FLAC, OGG, MP3 and others of any rate, width and number of channels."""

from __future__ import annotations

import contextlib
import io
import re
import wave
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recurra.data.files import write_atomically
from recurra.data.lines import check_rereadable
from recurra.errors import DataError
from recurra.extras import need

__all__ = [
    "AUDIO_SUFFIXES",
    "AudioInfo",
    "Resampler",
    "Samples",
    "audio_blocks",
    "audio_info",
    "channel_blocks",
    "check_audio_file",
    "one_channel",
    "read_audio",
    "read_audio_bytes",
    "resampled",
    "write_16_bits",
    "write_wav",
]

Samples = NDArray[np.float32]
"""Sound of one channel, from -1 to 1, (N,)."""

AUDIO_SUFFIXES = frozenset((".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aiff", ".aif", ".au", ".sph", ".w64"))
"""How the names of files of sound end."""

BLOCK = 1 << 12
"""Samples of a channel that are decoded at a time: a frame of FLAC, so that of a damaged file the others are read."""

RUN_UP = 1 << 15
"""Samples that are decoded before the beginning of a part, of which its first frames may need some."""

LARGEST_CLAIM = 0x7FFF0000
"""Bytes from which on the header of a WAV was written before its length was known, as in a pipe."""

_SHORTER = re.compile(r"^data : (\d+) \(should be (\d+)\)", re.MULTILINE)


@dataclass(frozen=True)
class AudioInfo:
    """What the header of a file of sound says.

    Args:
        rate: Samples a second.
        channels: How many channels.
        samples: Samples in each channel that are there.
        missing: Samples in each channel that the header has beyond those; only the header of a WAV tells.
    """

    rate: int
    channels: int
    samples: int
    missing: int = 0

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
    soundfile = _soundfile()
    try:
        header = soundfile.info(str(path), verbose=True)
    except (soundfile.SoundFileError, TypeError, ValueError) as error:
        raise _not_audio(path, error) from None
    shorter, missing = _SHORTER.search(header.extra_info), 0
    if shorter is not None and int(shorter[2]) < int(shorter[1]) < LARGEST_CLAIM:
        missing = round(header.frames * (int(shorter[1]) / max(1, int(shorter[2])) - 1))
    return AudioInfo(header.samplerate, header.channels, header.frames, missing)


def audio_blocks(path: Path, rate: int | None = None, begin: int = 0, count: int | None = None) -> Iterator[Samples]:
    """The sound of a file, its channels averaged, block by block: memory does not grow with the file.

    A file that ends before its header says gives what is there.

    Args:
        path: The file.
        rate: Samples a second that are wanted; None for those of the file.
        begin: The sample of the file to begin with.
        count: How many samples of the file are wanted; None for all up to its end.

    Yields:
        The blocks, (N,) each.

    Raises:
        DataError: There is no such file, it is no sound that can be read, or a sample is not finite.
        SettingError: A package that reads it is not installed.
    """
    with _opened(path) as file:
        resampler = Resampler(file.samplerate, rate or file.samplerate)
        for block in _decoded(path, file, begin, count):
            yield resampler.push(one_channel(block.T))
        yield resampler.finish()


def channel_blocks(path: Path, begin: int = 0, count: int | None = None) -> Iterator[NDArray[np.float32]]:
    """The sound of a file as it is, block by block.

    Args:
        path: The file.
        begin: The sample to begin with.
        count: How many samples are wanted; None for all up to its end.

    Yields:
        The blocks, (N, channels) each.

    Raises:
        DataError: There is no such file, it is no sound that can be read, or a sample is not finite.
        SettingError: The package that reads it is not installed.
    """
    with _opened(path) as file:
        yield from _decoded(path, file, begin, count)


@contextlib.contextmanager
def _opened(path: Path, content: bytes | None = None) -> Iterator[Any]:
    """A file of sound, on the disk or in memory."""
    if content is None:
        check_audio_file(path)
    soundfile = _soundfile()
    try:
        file = soundfile.SoundFile(str(path) if content is None else io.BytesIO(content))
    except (soundfile.SoundFileError, TypeError, ValueError) as error:
        raise _not_audio(path, error, content) from None
    # The library seeks after each read, unless a file cannot: frames of MP3 then lose what they borrow from others.
    file.seekable = lambda: False
    with file:
        yield file


def _decoded(path: Path, file: Any, begin: int = 0, count: int | None = None) -> Iterator[NDArray[np.float32]]:  # noqa: ANN401
    soundfile = _soundfile()
    if begin:
        before = min(begin, file.frames, RUN_UP)
        file.seek(min(begin, file.frames) - before)
        file.read(before, dtype="float32", always_2d=True)
    read = 0
    while count is None or read < count:
        try:
            block = file.read(BLOCK if count is None else min(BLOCK, count - read), dtype="float32", always_2d=True)
        except soundfile.SoundFileError as error:
            if not read:
                raise DataError(f"{path}: this recording is damaged ({_reason(error)}); write it again") from None
            return
        if not len(block):
            return
        if not np.isfinite(block).all():
            at = begin + read + int(np.flatnonzero(~np.isfinite(block).all(1))[0])
            raise DataError(f"{path}: sample {at + 1:,} is not finite; write the file again")
        read += len(block)
        yield block


def read_audio(path: Path, rate: int | None = None, begin: int = 0, count: int | None = None) -> tuple[Samples, int]:
    """The sound of a file, its channels averaged.

    Args:
        path: The file.
        rate: Samples a second that are wanted; None for those of the file.
        begin: The sample of the file to begin with.
        count: How many samples of the file are wanted; None for all up to its end.

    Returns:
        The samples, (N,), and how many there are in a second.

    Raises:
        DataError: There is no such file, it is no sound that can be read, or a sample is not finite.
        SettingError: A package that reads it is not installed.
    """
    wanted = audio_info(path).rate if rate is None else rate
    return np.concatenate([np.zeros(0, np.float32), *audio_blocks(path, wanted, begin, count)]), wanted


def read_audio_bytes(path: Path, content: bytes) -> tuple[Samples, int]:
    """The sound of a file that is in memory, such as one that came from standard input, its channels averaged.

    Args:
        path: What it is called in messages.
        content: The file.

    Returns:
        The samples, (N,), and how many there are in a second.

    Raises:
        DataError: It is no sound that can be read.
        SettingError: The package that reads it is not installed.
    """
    with _opened(path, content) as file:
        blocks = [one_channel(block.T) for block in _decoded(path, file)]
        return np.concatenate([np.zeros(0, np.float32), *blocks]), file.samplerate


def one_channel(samples: NDArray[np.floating[Any]]) -> Samples:
    """The mean of the channels.

    Args:
        samples: The samples, (channels, N) or (N,).
    """
    mono = samples if samples.ndim == 1 else samples.mean(0)
    return np.ascontiguousarray(mono, dtype=np.float32)


class Resampler:
    """Sound at another rate, without what that rate cannot hold, as it comes: in pieces or whole, the same samples.

    Args:
        rate: Samples a second that come.
        wanted: How many a second are wanted.

    Example:
        >>> resampler = Resampler(8000, 16000)
        >>> len(resampler.push(np.zeros(400, np.float32))) + len(resampler.finish())
        800
    """

    def __init__(self, rate: int, wanted: int) -> None:
        self._stream = None
        if rate != wanted:
            soxr = need("soxr", f"sound of {rate:,} samples a second where {wanted:,} are wanted")
            self._stream = soxr.ResampleStream(rate, wanted, 1, dtype="float32")

    def push(self, samples: Samples) -> Samples:
        """What is known after the next samples; some are held back until more is heard.

        Args:
            samples: The samples, (N,).
        """
        return samples if self._stream is None else np.asarray(self._stream.resample_chunk(samples))

    def finish(self) -> Samples:
        """What is held back at the end."""
        nothing = np.zeros(0, np.float32)
        return nothing if self._stream is None else np.asarray(self._stream.resample_chunk(nothing, last=True))


def resampled(samples: Samples, rate: int, wanted: int) -> Samples:
    """Sound at another rate, without what that rate cannot hold.

    Args:
        samples: The samples, (N,).
        rate: How many a second.
        wanted: How many a second are wanted.
    """
    if rate == wanted:
        return samples
    resampler = Resampler(rate, wanted)
    return np.concatenate([resampler.push(samples), resampler.finish()])


def check_audio_file(path: Path) -> None:
    """Refuse what is no file, or has nothing in it.

    Raises:
        DataError: It is so.
    """
    check_rereadable(path)
    try:
        size = path.stat().st_size
        path.open("rb").close()
    except IsADirectoryError:
        raise DataError(f"{path}: this is a folder; give a recording in it") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise DataError(f"{path}: cannot be read ({reason}); give a recording that is yours to read") from None
    if not size:
        raise DataError(f"{path}: this file is empty; give a recording")


def _soundfile() -> ModuleType:
    return need("soundfile", "reading recordings")


def _reason(error: Exception) -> str:
    return getattr(error, "error_string", str(error)).strip().rstrip(".") or type(error).__name__


def _not_audio(path: Path, error: Exception, content: bytes | None = None) -> DataError:
    """The error that a file is no sound, and what it seems to be."""
    if content is None:
        with path.open("rb") as file:
            content = file.read(64)
    begin = content[:64]
    is_text = b"\0" not in begin and sum(byte < 9 or byte > 126 for byte in begin) * 4 < len(begin)
    seems = "it seems to be text" if is_text else f"it begins {begin[:8].hex(' ')}"
    return DataError(f"{path}: this is no recording ({_reason(error)}; {seems}); give WAV, FLAC, OGG or MP3")


def write_wav(path: Path, samples: Samples, rate: int) -> None:
    """Write sound of one channel as a WAV of 16 bits; what is beyond -1 to 1 is clipped.

    Args:
        path: Where; its folder must exist.
        samples: The sound, (N,).
        rate: Samples a second.

    Raises:
        RunError: It cannot be written there.
    """
    write_16_bits(path, np.clip(np.rint(samples * 32768.0), -32768, 32767).astype(np.int16)[:, None], rate)


def write_16_bits(path: Path, samples: NDArray[np.int16], rate: int) -> None:
    """Write a WAV of 16 bits; it is there as a whole or not at all.

    Args:
        path: Where; its folder must exist.
        samples: The sound of each channel, (N, channels).
        rate: Samples a second.

    Raises:
        RunError: It cannot be written there.
    """
    content = io.BytesIO()
    with wave.open(content, "wb") as file:
        file.setnchannels(samples.shape[1])
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(samples.astype("<i2").tobytes())
    write_atomically(path, content.getvalue())
