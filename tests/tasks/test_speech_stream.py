"""Live speech: streamed text is that of the whole, whatever the pieces; lines end in silence; nothing grows."""

import dataclasses
import io
import itertools

import numpy as np
import pytest
import soundfile
import torch
from torch import nn

from recurra.data.dataset import Problems
from recurra.data.raw_sound import PipeDecoder, RawFormat
from recurra.data.recording import Recording
from recurra.errors import DataError, SettingError
from recurra.tasks.settings_file import make_config
from recurra.tasks.speech_recognition import SPEECH_RECOGNITION as TASK
from recurra.tasks.streaming import held_bytes
from recurra.tasks.trained import Trained
from recurra.tasks.verification import as_stream
from recurra.training import seed_everything


def recogniser(folder, *, quiet=0.0, **settings):
    """A recogniser of large random weights, so that it hears every letter."""
    live = {"bidirectional": False, "normalisation": "running"}
    config = make_config(TASK.config, {}, {**TASK.example(folder), **live, **settings})
    recordings = TASK.read(config, config.recordings.data, "train")
    assets = TASK.fit(config, recordings)
    seed_everything(3)
    model = TASK.build(config, assets)
    with torch.no_grad():
        for parameter in model.parameters():
            nn.init.normal_(parameter, std=0.7)
        model.readout.bias[0] += quiet  # for the blank
    return Trained(TASK, config, assets, model.eval()), recordings


def text_of(lines):
    return "".join(("" if line.values.get("joined") else " ") + line.text for line in lines).strip()


def heard(stream, content, size):
    lines = [line for at in range(0, len(content), size) for line in stream.push(content[at : at + size])]
    return lines + stream.close()


@pytest.mark.parametrize(
    "settings",
    [
        {"slopes": 2, "lookahead": 2, "subsampling": 4, "kernel_size": 5},
        {"kind": "mfcc", "normalisation": "global", "subsampling": 2, "num_layers": 2, "cell": "gru"},
        {"normalisation": "none", "subsampling": 1, "unit": "word"},
    ],
)
def test_streamed_text_is_that_of_the_whole(tmp_path, settings):
    run, recordings = recogniser(tmp_path, **settings)
    inputs = [recordings[index] for index in range(6)]
    check = as_stream(run, inputs)
    assert check.differences == 0, check.first
    assert check.figures["real_time_factor"] > 0
    assert any(len(answer.text.replace(" ", "")) > 3 for answer in run.answers(inputs))


def test_a_difference_is_told(tmp_path, monkeypatch):
    run, recordings = recogniser(tmp_path)
    inputs = [recordings[index] for index in range(3)]
    monkeypatch.setattr("recurra.tasks.speech_stream.Listener.finish", lambda self, seconds, silent: [])
    check = as_stream(run, inputs)  # the end is held back for ever
    assert check.differences > 0
    assert check.first[1] != check.first[2]


def test_ready_made_features_stream_as_the_whole(tmp_path):
    run, _ = recogniser(tmp_path, slopes=1)
    width = run.config.features.filters
    frames = np.random.default_rng(0).normal(size=(4, 70, width)).astype(np.float32)
    with (tmp_path / "features.csv").open("w") as table:
        table.write("audio,transcript\n")
        for number, part in enumerate(frames):
            np.save(tmp_path / f"{number}.npy", part)
            table.write(f"{number}.npy,ab\n")
    ready = dataclasses.replace(run, assets=run.assets.model_copy(update={"ready_made": width}))
    inputs = list(TASK.stream(run.config, tmp_path / "features.csv", Problems()))
    check = as_stream(ready, inputs)
    assert (check.differences, check.figures["inputs"]) == (0, 4)
    assert all(answer.text for answer in ready.answers(inputs))


def sound_of(recordings, count=3):
    """Several recordings with two seconds of faint noise between, as a WAV of 16 bits and as samples."""
    noise = np.random.default_rng(0).normal(0, 1e-4, 16000).astype(np.float32)
    parts = []
    for index in range(count):
        parts += [soundfile.read(recordings[index].audio, dtype="float32")[0], noise]
    return np.concatenate(parts)


def test_lines_and_times_depend_on_no_piece_and_on_no_header(tmp_path):
    run, recordings = recogniser(tmp_path, quiet=1.5)
    samples = sound_of(recordings)
    raw = np.clip(np.rint(samples * 32768), -32768, 32767).astype("<i2").tobytes()
    wav = io.BytesIO()
    soundfile.write(wav, np.frombuffer(raw, "<i2"), 8000, format="WAV", subtype="PCM_16")
    once = heard(run.stream(endpoint=0.3), raw, len(raw))
    assert len(once) > 1
    assert once == heard(run.stream(endpoint=0.3), raw, 1001)
    assert once == heard(run.stream(endpoint=0.3), raw, 640)
    tail = b"LIST" + (400).to_bytes(4, "little") + b"\x7f\x12" * 200  # what stands after the samples is no sound
    assert once == heard(run.stream(endpoint=0.3, rate=44100), wav.getvalue() + tail, 333)
    words = [word for line in once for word in line.values["words"]]
    assert all(word["start"] < word["end"] <= len(samples) / 8000 for word in words)
    assert all(one["end"] <= other["start"] for one, other in itertools.pairwise(words))
    short = heard(run.stream(endpoint=0.3, longest=0.2), raw, 800)
    assert len(short) > len(once)
    assert text_of(short) == text_of(once)
    source, sound = recordings.source(0), np.frombuffer(raw, "<i2").astype(np.float32) / 32768
    [whole] = run.answers([Recording(None, None, None, source, None, len(sound), 8000, samples=sound)])
    assert text_of(once) == whole.text


def test_silence_is_nothing_and_half_a_sample_is_told(tmp_path):
    run, _ = recogniser(tmp_path)
    assert heard(run.stream(), bytes(16000), 100) == []
    assert heard(run.stream(), b"", 1) == []
    assert heard(run.stream(), b"\x01", 1) == []
    stream = run.stream()
    stream.push(b"\x01")
    stream.close()
    assert stream.problems == ["the sound ended within a sample: 1 bytes were left out"]


def test_what_is_kept_does_not_grow(tmp_path):
    run, recordings = recogniser(tmp_path, slopes=2)
    sound = np.tile(sound_of(recordings, 6), 3)
    content = (sound * 32767).astype("<i2").tobytes()
    stream, sizes = run.stream(longest=2.0), []
    for at in range(0, len(content), 16000):
        stream.push(content[at : at + 16000])
        sizes.append(held_bytes(stream))
    third = len(sizes) // 3
    assert max(sizes[2 * third :]) <= max(sizes[third : 2 * third]) * 1.02


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"bidirectional": True}, r"from its end, too.*train one with --no-bidirectional$"),
        ({"normalisation": "utterance"}, r"mean of the whole recording.*--normalisation running$"),
        ({"bidirectional": True, "normalisation": "utterance"}, r"--no-bidirectional --normalisation running$"),
    ],
)
def test_what_cannot_stream_says_what_would(tmp_path, settings, reason):
    run, recordings = recogniser(tmp_path, **settings)
    with pytest.raises(SettingError, match=reason):
        run.stream()
    check = as_stream(run, [recordings[0]])
    assert check.differences is None
    assert "cannot stream" in check.note


def test_options_that_are_impossible_are_refused(tmp_path):
    run, _ = recogniser(tmp_path)
    with pytest.raises(SettingError, match="endpoint is 0; give seconds above 0"):
        run.stream(endpoint=0.0)
    with pytest.raises(SettingError, match="longest is nan"):
        run.stream(longest=float("nan"))


@pytest.mark.parametrize("cut", [1, 5, 12, 13, 43, 44, 47])
def test_a_header_in_pieces_is_one(cut):
    file, sound = io.BytesIO(), np.arange(20, dtype=np.int16)
    soundfile.write(file, sound, 11025, format="WAV", subtype="PCM_16")
    content, decoder = file.getvalue(), PipeDecoder(RawFormat())
    parts = [decoder.push(content[:cut]), decoder.push(content[cut:]), decoder.finish()]
    assert (np.concatenate(parts) * 32768).tolist() == sound.tolist()
    assert decoder.how == RawFormat("s16", 11025)


def test_a_header_that_is_cut_is_an_error_at_the_end_and_other_sound_at_once():
    decoder = PipeDecoder(RawFormat())
    assert not len(decoder.push(b"RIFF\0\0\0\0WAVEfmt "))
    with pytest.raises(DataError, match="header of this WAV has no samples"):
        decoder.finish()
    with pytest.raises(DataError, match="this is FLAC"):
        PipeDecoder(RawFormat()).push(b"fLaC" + bytes(20))
