"""What is heard of a recording without a model: how loud it is, whether it is clipped, silent or cut short."""

from __future__ import annotations

import functools
import hashlib
import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from recurra.data.audio import channel_blocks
from recurra.data.recording import Recording
from recurra.errors import DataError

__all__ = ["SoundFacts", "digest_of", "sound_facts"]

SILENT = 1e-3
"""The largest sample of a recording that counts as silence, 60 decibels below the largest there is."""

CLIPPED, CLIPPED_SHARE = 0.999, 1e-3
"""The samples that count as clipped, and the share of them from which on a recording is."""

CANCELLED = 0.1
"""The share of their power that the mean of channels has where they cancel each other."""


@dataclass(frozen=True)
class SoundFacts:
    """What is heard of a recording.

    Args:
        seconds: How long it lasts, of what is there.
        peak: The largest sample of all channels.
        power: The mean square of the mean of the channels.
        power_of_channels: The mean over the channels of their mean squares.
        clipped: The share of samples that are as large as there are any.
        missing: Seconds that its header has beyond those that are there.
    """

    seconds: float
    peak: float
    power: float
    power_of_channels: float
    clipped: float
    missing: float

    @property
    def is_silent(self) -> bool:
        """Whether nothing is heard."""
        return self.peak < SILENT

    @property
    def is_clipped(self) -> bool:
        """Whether its loudest parts are cut off."""
        return self.clipped >= CLIPPED_SHARE

    @property
    def is_cancelled(self) -> bool:
        """Whether the channels are each other's opposites, so that little is left of their mean."""
        return self.power < CANCELLED * self.power_of_channels and not self.is_silent

    @property
    def level(self) -> float:
        """Decibels below the loudest there is; minus infinity for digital silence."""
        return 10 * math.log10(self.power) if self.power else -math.inf


def sound_facts(recording: Recording) -> SoundFacts:
    """What is heard of a recording; memory does not grow with it.

    Args:
        recording: A recording of sound that can be read.

    Raises:
        DataError: It cannot be read.
    """
    length = None if recording.span is None else recording.length
    blocks: Iterable[NDArray[np.float32]] = (
        [recording.samples[:, None]]
        if recording.samples is not None
        else channel_blocks(recording.file, recording.begin, length)
    )
    sums = _Sums()
    for block in blocks:
        sums.add(block)
    return sums.facts(recording)


class _Sums:
    """Sums over the blocks of a recording."""

    def __init__(self) -> None:
        self.count, self.clipped = 0, 0
        self.peak, self.square, self.square_of_channels = 0.0, 0.0, 0.0

    def add(self, block: NDArray[np.float32]) -> None:
        """Another block, (N, channels)."""
        wide = block.astype(np.float64)
        sizes = np.abs(wide)
        self.count += len(block)
        self.peak = max(self.peak, float(sizes.max(initial=0)))
        self.clipped += int((sizes >= CLIPPED).any(1).sum())
        self.square += float((wide.mean(1) ** 2).sum())
        self.square_of_channels += float((wide**2).mean(1).sum())

    def facts(self, recording: Recording) -> SoundFacts:
        """What they say."""
        count, rate = max(1, self.count), recording.rate or 1
        return SoundFacts(
            self.count / rate,
            self.peak,
            self.square / count,
            self.square_of_channels / count,
            self.clipped / count,
            recording.missing + max(0, recording.length - self.count) / rate,
        )


def digest_of(recording: Recording) -> str:
    """A digest of what is in the file of a recording, equal for copies of it; and of where in it the recording is.

    Args:
        recording: The recording.

    Raises:
        DataError: The file cannot be read.
    """
    if recording.samples is not None:
        digest = hashlib.blake2b(recording.samples.tobytes(), digest_size=16).hexdigest()
    else:
        try:
            status = recording.file.stat()
            digest = _digest(recording.file, status.st_size, status.st_mtime_ns)
        except OSError as error:
            raise DataError(f"{recording.name}: cannot be read ({error.strerror})") from None
    return digest if recording.span is None else f"{digest} {recording.span[0]:g} {recording.span[1]:g}"


@functools.lru_cache(1 << 16)
def _digest(path: Path, size: int, changed: int) -> str:
    """A digest of a file of a size, as it was when it was last changed."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()
