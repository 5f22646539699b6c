"""Sound: the same from every way to write it, in bounded memory, and every bad file named."""

import re
import tracemalloc

import numpy as np
import pytest
import soundfile
import soxr
from hypothesis import given
from hypothesis import strategies as st

from recurra.data.audio import (
    BLOCK,
    Resampler,
    audio_blocks,
    audio_info,
    channel_blocks,
    read_audio,
    read_audio_bytes,
    write_wav,
)
from recurra.errors import DataError, RunError


def speech(count=20_000, channels=1):
    """Something with the spectrum of speech, more or less, (N, channels)."""
    draw = np.random.default_rng(0)
    return np.cumsum(draw.standard_normal((count, channels)), 0).clip(-40, 40) / 80


@pytest.mark.parametrize(
    ("suffix", "format_", "subtype", "tolerance"),
    [
        ("wav", "WAV", "PCM_U8", 1 / 127),
        ("wav", "WAV", "PCM_16", 2**-15),
        ("wav", "WAV", "PCM_24", 2**-23),
        ("wav", "WAV", "PCM_32", 2**-23),
        ("wav", "WAV", "FLOAT", 2**-23),
        ("wav", "WAV", "ULAW", 0.02),
        ("flac", "FLAC", "PCM_16", 2**-15),
        ("ogg", "OGG", "VORBIS", 0.1),
        ("mp3", "MP3", "MPEG_LAYER_III", 0.1),
    ],
)
def test_formats_and_widths_give_the_same_sound(tmp_path, suffix, format_, subtype, tolerance):
    path, sound = tmp_path / f"a.{suffix}", speech()
    soundfile.write(path, sound, 16_000, format=format_, subtype=subtype)
    samples, rate = read_audio(path)
    assert rate == audio_info(path).rate == 16_000
    assert len(samples) == audio_info(path).samples == len(sound)
    assert np.abs(samples - sound[:, 0]).max() < tolerance
    assert np.array_equal(read_audio_bytes(path, path.read_bytes())[0], samples)


def test_channels_are_averaged_and_not_mixed_with_time(tmp_path):
    """Complaints of other tools: stereo resampled along the channels, or two channels read as one twice as long."""
    sound = speech(channels=2)
    soundfile.write(tmp_path / "stereo.wav", sound, 44_100, subtype="FLOAT")
    soundfile.write(tmp_path / "mono.wav", sound.mean(1), 44_100, subtype="FLOAT")
    stereo, mono = (read_audio(tmp_path / f"{name}.wav", 16_000)[0] for name in ("stereo", "mono"))
    assert len(stereo) == round(len(sound) * 16_000 / 44_100)
    assert np.abs(stereo - mono).max() < 1e-6
    assert {block.shape[1] for block in channel_blocks(tmp_path / "stereo.wav")} == {2}


@given(
    rate=st.sampled_from([8000, 11_025, 16_000, 22_050, 44_100, 48_000]),
    wanted=st.sampled_from([8000, 16_000]),
    cuts=st.lists(st.integers(0, 3000), max_size=6),
)
def test_sound_in_pieces_is_resampled_as_the_whole(rate, wanted, cuts):
    samples = speech(3000)[:, 0].astype(np.float32)
    resampler = Resampler(rate, wanted)
    pieces = [resampler.push(piece) for piece in np.split(samples, sorted(cuts))]
    assert np.array_equal(np.concatenate([*pieces, resampler.finish()]), soxr.resample(samples, rate, wanted))


def test_a_long_recording_is_read_in_bounded_memory(tmp_path):
    """Ten minutes in stereo would be 211 MB as the library hands them out whole."""
    path = tmp_path / "long.wav"
    with soundfile.SoundFile(path, "w", 44_100, 2, "PCM_16") as file:
        for _ in range(60):
            file.write(np.zeros((441_000, 2), np.int16))
    tracemalloc.start()
    heard = sum(len(block) for block in audio_blocks(path, 16_000))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert heard == 600 * 16_000
    assert peak < 8_000_000


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg", "mp3"])
@pytest.mark.parametrize(("begin", "count"), [(0, 100), (100, 250), (BLOCK - 7, 20), (90_000, None)])
def test_a_part_is_cut_out_of_its_file(tmp_path, suffix, begin, count):
    path = tmp_path / f"a.{suffix}"
    soundfile.write(path, speech(100_000), 8000)
    whole = soundfile.read(path, dtype="float32")[0]  # at once, without blocks
    end = None if count is None else begin + count
    assert np.abs(read_audio(path, None, begin, count)[0] - whole[begin:end]).max() < 1e-6


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg", "mp3"])
def test_of_a_cut_file_there_is_what_is_there(tmp_path, suffix):
    path, cut = tmp_path / f"a.{suffix}", tmp_path / f"cut.{suffix}"
    soundfile.write(path, speech(200_000), 16_000)
    content = path.read_bytes()
    cut.write_bytes(content[: len(content) * 6 // 10])
    samples, whole = read_audio(cut)[0], read_audio(path)[0]
    assert 0.3 * len(whole) < len(samples) < 0.8 * len(whole)
    near_end = len(samples) * 9 // 10  # a lossy frame at the cut needs the next one
    assert np.abs(samples[:near_end] - whole[:near_end]).max() < 1e-4
    if suffix == "wav":
        header = audio_info(cut)
        assert header.samples == len(samples)
        assert header.samples + header.missing == pytest.approx(len(whole), abs=50)
        assert audio_info(path).missing == 0


def test_a_wav_whose_length_was_not_known_is_whole(tmp_path):
    """What is written into a pipe has a header that claims four gigabytes."""
    path = tmp_path / "piped.wav"
    write_wav(path, speech(1000)[:, 0].astype(np.float32), 8000)
    content = bytearray(path.read_bytes())
    content[4:8] = content[40:44] = b"\xff\xff\xff\xff"
    path.write_bytes(content)
    assert (audio_info(path).samples, audio_info(path).missing) == (1000, 0)


def test_what_is_written_is_read(tmp_path):
    samples = np.array([0, 0.5, -1, 2, -2, 1 / 32768], np.float32)
    write_wav(tmp_path / "a.wav", samples, 8000)
    assert read_audio(tmp_path / "a.wav")[0].tolist() == [0, 0.5, -1, 32767 / 32768, -1, 1 / 32768]
    with pytest.raises(RunError, match="cannot be written"):
        write_wav(tmp_path / "none" / "a.wav", samples, 8000)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "a.wav: this file is empty; give a recording"),
        (b"what is said\nis not how\n" * 9, "no recording (Format not recognised; it seems to be text); give WAV"),
        (b"RIFF", "this is no recording"),
        (bytes(1000), "it begins 00 00 00 00 00 00 00 00"),
        (b"\x89PNG\r\n\x1a\n" + bytes(90), "it begins 89 50 4e 47 0d 0a 1a 0a"),
    ],
)
def test_what_is_no_sound_is_said(tmp_path, content, message):
    path = tmp_path / "a.wav"
    path.write_bytes(content)
    for read in (audio_info, read_audio):
        with pytest.raises(DataError, match=re.escape(message)) as error:
            read(path)
        assert "\n" not in str(error.value)


def test_a_missing_file_a_folder_and_what_is_not_finite_are_said(tmp_path):
    with pytest.raises(DataError, match=r"a\.wav: cannot be read \(No such file or directory\)"):
        read_audio(tmp_path / "a.wav")
    with pytest.raises(DataError, match="this is a folder; give a recording in it"):
        audio_info(tmp_path)
    sound = speech(BLOCK + 100)
    sound[BLOCK + 6] = np.nan
    soundfile.write(tmp_path / "nan.wav", sound, 8000, subtype="FLOAT")
    with pytest.raises(DataError, match=rf"nan\.wav: sample {BLOCK + 7:,} is not finite"):
        read_audio(tmp_path / "nan.wav")


def test_a_header_with_nothing_after_it_is_silence(tmp_path):
    soundfile.write(tmp_path / "none.wav", np.zeros((0, 1)), 16_000)
    assert audio_info(tmp_path / "none.wav").samples == len(read_audio(tmp_path / "none.wav", 8000)[0]) == 0
