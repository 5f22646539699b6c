"""Raw sound as it comes from a microphone or a pipe: bytes to samples, piece by piece."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal, get_args

import numpy as np

from recurra.checks import whole_number
from recurra.data.audio import LARGEST_CLAIM, Samples, one_channel
from recurra.data.lines import STANDARD_INPUT, name_of, read_chunk
from recurra.errors import DataError, SettingError
from recurra.spelling import unknown

__all__ = ["PipeDecoder", "RawDecoder", "RawFormat", "SampleKind", "sound_of_pipe"]

SampleKind = Literal["u8", "s16", "s24", "s32", "f32"]
"""How samples are written: unsigned or signed whole numbers of so many bits, or floating-point numbers; the least
significant byte comes first."""

WIDTHS = {"u8": 1, "s16": 2, "s24": 3, "s32": 4, "f32": 4}
"""Bytes of a sample."""

BEGINNING = 12
"""Bytes that tell whether sound begins with a header."""

LONGEST_HEADER = 1 << 16
"""Bytes that the header of a WAV has at most before its samples."""


@dataclass(frozen=True)
class RawFormat:
    """How raw sound is written.

    Args:
        kind: How a sample is written.
        rate: Samples a second.
        channels: How many channels, a sample of each after another.

    Raises:
        SettingError: There is no such kind, or a number is below 1.
    """

    kind: SampleKind = "s16"
    rate: int = 16_000
    channels: int = 1

    def __post_init__(self) -> None:
        if self.kind not in WIDTHS:
            raise SettingError(unknown("kind", self.kind, get_args(SampleKind)))
        whole_number("rate", self.rate, 1)
        whole_number("channels", self.channels, 1)

    @property
    def width(self) -> int:
        """Bytes of a sample of all channels."""
        return WIDTHS[self.kind] * self.channels


class RawDecoder:
    r"""Bytes to samples, their channels averaged; what is left of a sample waits for the rest of it.

    Args:
        how: How the sound is written.

    Example:
        >>> decoder = RawDecoder(RawFormat("s16", 8000))
        >>> [decoder.push(piece).tolist() for piece in (b"\0\x40\0", b"\xc0")]
        [[0.5], [-0.5]]
    """

    def __init__(self, how: RawFormat) -> None:
        self.how = how
        self._rest = b""

    @property
    def left(self) -> int:
        """The bytes that wait for the rest of their sample."""
        return len(self._rest)

    def push(self, content: bytes) -> Samples:
        """The samples that are known after the next bytes, (N,).

        Raises:
            DataError: A sample is not finite.
        """
        content = self._rest + content
        whole = len(content) - len(content) % self.how.width
        content, self._rest = content[:whole], content[whole:]
        samples = _numbers(content, self.how.kind).reshape(-1, self.how.channels)
        if not np.isfinite(samples).all():
            raise DataError(f"a sample is not finite; the sound may be none of {self.how.kind}")
        return one_channel(samples.T)


def _numbers(content: bytes, kind: SampleKind) -> Samples:
    """Numbers from -1 to 1."""
    if kind == "u8":
        return (np.frombuffer(content, np.uint8).astype(np.float32) - 128) / np.float32(128)
    if kind == "s24":
        padded = np.zeros((len(content) // 3, 4), np.uint8)  # as the upper bytes of a number of 32 bits
        padded[:, 1:] = np.frombuffer(content, np.uint8).reshape(-1, 3)
        return (padded.view("<i4")[:, 0] / 2.0**31).astype(np.float32)
    numbers = np.frombuffer(content, {"s16": "<i2", "s32": "<i4", "f32": "<f4"}[kind])
    scale = {"s16": 2.0**15, "s32": 2.0**31, "f32": 1.0}[kind]
    return (numbers / scale).astype(np.float32)


def sound_of_pipe(path: Path, file: IO[bytes], how: RawFormat) -> tuple[RawFormat, Iterator[Samples]]:
    """The sound that comes through a pipe, as it comes; where it begins with the header of a WAV, that says how.

    Args:
        path: What the pipe is called in messages.
        file: The pipe.
        how: How it is written if no header says so.

    Returns:
        How it is written, and its samples, (N,) each time.

    Raises:
        DataError: The header is of a kind of sound that is not read in a pipe.
    """
    how, begin, end = _header(path, file, how)
    return how, _samples(path, file, how, begin, end)


class PipeDecoder:
    r"""Sound that comes through a pipe, whatever its bytes are cut into; the header of a WAV says how it is written.

    Args:
        how: How it is written if no header says so.
        path: What the pipe is called in messages.

    Attributes:
        how: How it is written; None until its beginning has been heard.

    Example:
        >>> decoder = PipeDecoder(RawFormat("s16", 8000))
        >>> [decoder.push(piece).tolist() for piece in (b"\0\x40" * 5, b"\0\xc0")]
        [[], [0.5, 0.5, 0.5, 0.5, 0.5, -0.5]]
    """

    def __init__(self, how: RawFormat, path: Path = STANDARD_INPUT) -> None:
        self.how: RawFormat | None = None
        self._usual, self._path, self._begin = how, path, b""
        self._decoder = RawDecoder(how)
        self._room: int | None = None

    @property
    def left(self) -> int:
        """The bytes that wait for the rest of their sample."""
        return self._decoder.left

    def push(self, content: bytes) -> Samples:
        """The samples that are known after the next bytes, (N,).

        Raises:
            DataError: The header is of a kind of sound that is not read in a pipe, or a sample is not finite.
        """
        if self.how is None:
            self._begin += content
            content = self._begun(ended=False)
        return self._decoded(content)

    def finish(self) -> Samples:
        """The samples that wait because they could be the beginning of a header.

        Raises:
            DataError: The sound ends within the header.
        """
        return self._decoded(self._begun(ended=True) if self.how is None else b"")

    def _decoded(self, content: bytes) -> Samples:
        if self._room is not None:  # what stands after the samples of a WAV is no sound
            content = content[: self._room]
            self._room -= len(content)
        return self._decoder.push(content)

    def _begun(self, *, ended: bool) -> bytes:
        """The bytes of samples after the header, once it is whole."""
        if len(self._begin) < BEGINNING and not ended:
            return b""
        try:
            self.how, content, self._room = _header(self._path, io.BytesIO(self._begin), self._usual)
        except DataError:
            if ended or not self._begin.startswith(b"RIFF") or len(self._begin) > LONGEST_HEADER:
                raise
            return b""
        self._decoder, self._begin = RawDecoder(self.how), b""
        return content


def _header(path: Path, file: IO[bytes], how: RawFormat) -> tuple[RawFormat, bytes, int | None]:
    """How sound is written, the bytes of it that were read, and how many bytes of samples there are if that is said."""
    begin = _at_least(path, file, b"", BEGINNING)
    kind = {b"fLaC": "FLAC", b"OggS": "OGG", b"ID3": "MP3"}
    name = next((name for mark, name in kind.items() if begin.startswith(mark)), None)
    if name is not None:
        raise DataError(
            f"{name_of(path)}: this is {name}, and a stream is raw sound or WAV; pipe it through a decoder, such as: "
            f"ffmpeg -i FILE -f s16le -ac 1 -ar {how.rate} -"
        )
    if begin[:4] == b"RIFF" and begin[8:12] == b"WAVE":
        return _wav_header(path, file, begin)
    return how, begin, None


def _samples(path: Path, file: IO[bytes], how: RawFormat, begin: bytes, end: int | None) -> Iterator[Samples]:
    decoder = RawDecoder(how)
    chunk = begin[:end]
    while chunk:
        yield decoder.push(chunk)
        if end is not None:
            end -= len(chunk)
        chunk = read_chunk(path, file)[:end]


def _wav_header(path: Path, file: IO[bytes], begin: bytes) -> tuple[RawFormat, bytes, int | None]:
    """How the sound of a WAV is written, the first bytes of it, and how many there are if it was known."""
    how: RawFormat | None = None
    at = 12
    while at < LONGEST_HEADER:
        begin = _at_least(path, file, begin, at + 8)
        name, size = begin[at : at + 4], int.from_bytes(begin[at + 4 : at + 8], "little")
        if name == b"data" and how is not None and len(begin) >= at + 8:
            return how, begin[at + 8 :], size if 0 < size < LARGEST_CLAIM else None
        if len(begin) < at + 8 or size > LONGEST_HEADER:
            break
        begin = _at_least(path, file, begin, at + 8 + size)
        if name == b"fmt " and len(begin) >= at + 8 + size:
            how = _format_chunk(path, begin[at + 8 : at + 8 + size])
        at += 8 + size + size % 2
    raise DataError(f"{name_of(path)}: the header of this WAV has no samples after it; give raw sound or a whole WAV")


def _format_chunk(path: Path, chunk: bytes) -> RawFormat:
    code, channels, rate = (int.from_bytes(chunk[a:b], "little") for a, b in ((0, 2), (2, 4), (4, 8)))
    bits = int.from_bytes(chunk[14:16], "little")
    if code == 0xFFFE:  # extensible: the code proper begins the identifier of the sub-format
        code = int.from_bytes(chunk[24:26], "little")
    kinds: dict[tuple[int, int], SampleKind] = {
        (1, 8): "u8", (1, 16): "s16", (1, 24): "s24", (1, 32): "s32", (3, 32): "f32"
    }  # fmt: skip
    kind = kinds.get((code, bits))
    if kind is None or not rate or not channels:
        raise DataError(
            f"{name_of(path)}: this WAV holds samples of code {code} and {bits} bits; pipe whole numbers of 8 to 32 "
            "bits or floating-point ones of 32"
        )
    return RawFormat(kind, rate, channels)


def _at_least(path: Path, file: IO[bytes], begin: bytes, count: int) -> bytes:
    """What was read, and more until it is as long, or the pipe ends."""
    while len(begin) < count and (chunk := read_chunk(path, file)):
        begin += chunk
    return begin
