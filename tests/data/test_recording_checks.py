"""The data doctor of recordings: what CTC cannot align, and what was planted among good recordings."""

import itertools
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from recurra.data.dataset import Examples
from recurra.data.lines import Source
from recurra.data.recording import Recording, RecordingFormat
from recurra.data.recording_checks import (
    ctc_frames,
    foreign_characters,
    recording_warnings,
    too_short_for_ctc,
)
from recurra.data.recordings import read_recordings
from recurra.data.sound_facts import digest_of, sound_facts


def test_the_frames_that_ctc_needs_are_those_of_a_finite_loss():
    for labels in itertools.product((1, 2), repeat=4):
        needed = ctc_frames(labels)
        for frames, finite in ((needed, True), (needed - 1, False)):
            scores = torch.zeros(frames, 1, 3).log_softmax(2)
            loss = torch.nn.functional.ctc_loss(scores, torch.tensor([labels]), (frames,), (4,), reduction="sum")
            assert bool(torch.isfinite(loss)) == finite
    assert ctc_frames("") == 0


def test_recordings_that_ctc_cannot_align_are_listed():
    path = Path("a.csv")
    recordings = [Recording(None, text, None, Source(path, n)) for n, text in enumerate(["see", "ab", "", "aaa"], 2)]
    dataset = Examples(recordings, [r.source for r in recordings], [1] * 4)
    short = too_short_for_ctc(dataset, lambda recording: 3, lambda recording: recording.transcript or "")
    assert [str(entry) for entry in short] == ["a.csv:2 (3 frames, 4 needed)", "a.csv:5 (3 frames, 5 needed)"]
    assert [entry.index for entry in short] == [0, 3]


def test_characters_outside_an_alphabet_are_counted_and_placed():
    transcripts = [(Source(Path("a.csv"), line), "naïve Ωmega" if line == 3 else "Öl") for line in range(2, 7)]
    lines = [str(entry) for entry in foreign_characters(transcripts, "naveomgl ", listed=2)]
    assert lines == [
        "'Ö' (LATIN CAPITAL LETTER O WITH DIAERESIS): 4 (a.csv:2, a.csv:4, ...)",
        "'ï' (LATIN SMALL LETTER I WITH DIAERESIS): 1 (a.csv:3)",
        "'Ω' (GREEK CAPITAL LETTER OMEGA): 1 (a.csv:3)",
    ]
    assert str(foreign_characters([(Source(Path("a"), 1), "\x07")], "")[0]) == "'\\x07' (U+0007): 1 (a:1)"


@pytest.fixture
def recordings(tmp_path):
    """Forty good recordings, of which some are replaced, and how they are read."""

    def write(bad, rate=8000, folder="train"):
        (tmp_path / folder).mkdir()
        draw = np.random.default_rng(0)
        lines = ["audio,text"]
        for number in range(40):
            sound, text = draw.uniform(-0.3, 0.3, rate // 2 + number * 100), "as usual"
            sound, text = bad.get(number, lambda sound, text: (sound, text))(sound, text)
            soundfile.write(tmp_path / folder / f"{number}.wav", sound, rate)
            lines.append(f"{number}.wav,{text}")
        path = tmp_path / folder / "m.csv"
        path.write_text("\n".join(lines))
        return read_recordings(path, RecordingFormat(), "train")

    return write


def test_good_recordings_have_no_warnings(recordings):
    assert recording_warnings({"train": recordings({})}) == []


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (lambda sound, text: (sound * 0, text), "a recording is silent: 1"),
        (lambda sound, text: (sound * 20, text), "a recording is clipped: its loudest parts are cut off: 1"),
        (lambda sound, text: (np.stack([sound, -sound], 1), text), "the channels of a recording cancel each other"),
        (lambda sound, text: (sound, text * 40), "a transcript would be spoken very fast, and may be an"),
        (lambda sound, text: (np.resize(sound, 8000 * 30), text), "a transcript would be spoken very slow"),
        (lambda sound, text: (np.resize(sound, 8000 * 61), text * 100), "a recording lasts more than 60 seconds"),
    ],
)
def test_a_bad_recording_is_named(recordings, bad, message):
    warnings = recording_warnings({"train": recordings({7: bad})})
    assert len(warnings) == 1
    assert warnings[0].startswith(f"train: {message}")
    assert "m.csv:9" in warnings[0]


def test_a_recording_that_ends_early_is_named(recordings):
    dataset = recordings({})
    path = dataset[3].audio.with_suffix(".flac")
    soundfile.write(path, np.random.default_rng(0).uniform(-0.3, 0.3, 100_000), 8000)
    whole = read_recordings(path, RecordingFormat(), "predict")[0]
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert sound_facts(whole).missing == pytest.approx(6, abs=1)
    part = Examples([whole], [whole.source], [1])
    assert "ends before its header says: 1" in recording_warnings({"train": dataset, "test": part})[0]


def test_parts_of_other_rates_are_told(recordings):
    parts = {"train": recordings({}), "test": recordings({}, 16_000, "test")}
    assert recording_warnings(parts) == [
        "test: recordings have 16,000 (40) samples a second, and those trained on 8,000"
    ]


def test_the_digest_is_of_the_sound(recordings):
    dataset = recordings({5: lambda sound, text: (np.zeros(9), text), 6: lambda sound, text: (np.zeros(9), text)})
    digests = [digest_of(recording) for recording in dataset]
    assert digests[5] == digests[6]
    assert len(set(digests)) == 39
