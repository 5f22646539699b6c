"""Raw sound: the samples that a library reads, however the bytes are cut, and headers of WAV in a pipe."""

import io
import itertools
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from recurra.data.raw_sound import WIDTHS, RawDecoder, RawFormat, sound_of_pipe
from recurra.errors import DataError, SettingError

SUBTYPES = {"u8": "PCM_U8", "s16": "PCM_16", "s24": "PCM_24", "s32": "PCM_32", "f32": "FLOAT"}


def content_of(kind, channels=2, count=500):
    """Raw sound as the library writes it, and what it reads of it."""
    sound = np.random.default_rng(1).uniform(-1, 1, (count, channels))
    file = io.BytesIO()
    soundfile.write(file, sound, 8000, format="RAW", subtype=SUBTYPES[kind], endian="LITTLE")
    content = file.getvalue()
    read, _ = soundfile.read(
        io.BytesIO(content),
        samplerate=8000,
        channels=channels,
        format="RAW",
        subtype=SUBTYPES[kind],
        endian="LITTLE",
        dtype="float32",
        always_2d=True,
    )
    return content, read.mean(1)


@pytest.mark.parametrize("kind", WIDTHS)
@given(cuts=st.lists(st.integers(0, 4000), max_size=8))
def test_bytes_in_pieces_are_the_samples_a_library_reads(kind, cuts):
    content, samples = content_of(kind)
    decoder = RawDecoder(RawFormat(kind, 8000, 2))
    edges = [0, *sorted(min(cut, len(content)) for cut in cuts), len(content)]
    heard = np.concatenate([decoder.push(content[a:b]) for a, b in itertools.pairwise(edges)])
    assert np.abs(heard - samples).max() < 1e-7
    assert decoder.left == 0


@pytest.mark.parametrize("kind", WIDTHS)
@pytest.mark.parametrize("header", ["WAV", "WAVEX"])
def test_a_wav_in_a_pipe_says_how_it_is_written(kind, header):
    file = io.BytesIO()
    sound = np.random.default_rng(1).uniform(-1, 1, (700, 3))
    soundfile.write(file, sound, 11_025, format=header, subtype=SUBTYPES[kind])
    expected, _ = soundfile.read(io.BytesIO(file.getvalue()), dtype="float32")
    how, blocks = sound_of_pipe(Path("-"), io.BytesIO(file.getvalue()), RawFormat("f32", 1, 1))
    heard = np.concatenate(list(blocks))
    assert (how.rate, how.channels) == (11_025, 3)
    assert np.abs(heard[:700] - expected.mean(1)).max() < 1e-6


class Dripping(io.BytesIO):
    """A pipe that has a few bytes at a time."""

    def read1(self, size=-1):
        return super().read1(min(3, size))


def test_a_pipe_that_drips_gives_sound_as_it_comes():
    content, samples = content_of("s16", channels=1)
    how, blocks = sound_of_pipe(Path("-"), Dripping(content), RawFormat("s16", 8000))
    heard = list(blocks)
    assert how == RawFormat("s16", 8000)
    assert len(heard) > 200
    assert np.abs(np.concatenate(heard) - samples).max() < 1e-7


def test_silence_of_a_pipe_is_no_sound():
    assert list(sound_of_pipe(Path("-"), io.BytesIO(b""), RawFormat())[1]) == []


@pytest.mark.parametrize(
    ("begin", "message"),
    [
        (b"fLaC" + bytes(40), "standard input: this is FLAC, and a stream is raw sound or WAV; .*ffmpeg"),
        (b"RIFF....WAVEfmt ", "no samples after it"),
        (b"RIFF....WAVEdata\x00\x00\x00\x00", "no samples after it"),
        (b"RIFF....WAVEfmt \x10\0\0\0\x06\0\1\0\x40\x1f\0\0\x40\x1f\0\0\1\0\x08\0data\1\0\0\0a", "code 6 and 8 bits"),
    ],
)
def test_what_is_no_stream_is_said(begin, message):
    with pytest.raises(DataError, match=message):
        list(sound_of_pipe(Path("-"), io.BytesIO(begin), RawFormat())[1])


def test_settings_are_checked():
    with pytest.raises(SettingError, match="the kinds are: u8, s16"):
        RawFormat("s61")
    with pytest.raises(SettingError, match="rate is 0"):
        RawFormat("s16", 0)
    with pytest.raises(DataError, match="not finite"):
        RawDecoder(RawFormat("f32")).push(np.array([np.inf], "<f4").tobytes())
