"""Data of demonstrations: what is said is heard, and the same seed says the same."""

import itertools

import numpy as np
import pytest
import torch

from recurra.data import spoken_digits
from recurra.data.feature_extractor import FeatureExtractor
from recurra.data.features import FeatureFormat
from recurra.data.formant_voice import DIGITS, say_digit
from recurra.data.recording import RecordingFormat
from recurra.data.recordings import read_recordings, recording_of
from recurra.data.spoken_digits import recorded_digits, write_spoken_digits
from recurra.data.tone_words import TONES, write_tone_words


def test_letters_are_tones(tmp_path):
    dataset = read_recordings(write_tone_words(tmp_path, 8), RecordingFormat(), "train")
    assert len({recording.group for recording in dataset}) == 4
    extractor = FeatureExtractor(FeatureFormat(rate=8000, normalisation="none"))
    order = sorted(TONES, key=TONES.get)
    for recording in dataset:
        frames = extractor.features(recording)
        loud = frames.max(1) > -2
        tones = np.abs(frames.argmax(1)[:, None] - centres(order)).argmin(1)
        heard = [tone for tone, _ in itertools.groupby(np.where(loud, tones, -1))]
        assert "".join(" " if tone < 0 else order[tone] for tone in heard).strip() == recording.transcript


def centres(letters):
    """The filter of each letter's tone."""
    edges = 1127 * np.log(1 + np.array([20.0, 4000.0]) / 700)
    width = (edges[1] - edges[0]) / 41
    return np.array([(1127 * np.log(1 + TONES[letter] / 700) - edges[0]) / width - 1 for letter in letters])


def test_the_recordings_of_the_package_are_found_without_its_code():
    files = recorded_digits()
    assert sorted(files) == list(range(10))
    assert all(file.suffix == ".wav" for file in files.values())


@pytest.mark.parametrize("synthetic", [False, True])
def test_digits_are_written_as_they_are_said(tmp_path, synthetic):
    first, again = tmp_path / "first", tmp_path / "again"
    for folder in (first, again):
        folder.mkdir()
        write_spoken_digits(folder, 5, seed=3, synthetic=synthetic)
    assert {file.name: file.read_bytes() for file in first.iterdir()} == {
        file.name: file.read_bytes() for file in again.iterdir()
    }
    dataset = read_recordings(first / "recordings.csv", RecordingFormat(), "train")
    assert len(dataset) == 5
    assert all(set(recording.transcript.split()) <= set(DIGITS) for recording in dataset)
    assert all(3 <= len(recording.transcript.split()) <= 6 for recording in dataset)


def test_a_synthetic_voice_speaks_where_the_recordings_are_missing(tmp_path, monkeypatch):
    monkeypatch.setattr(spoken_digits, "recorded_digits", dict)
    spoken, synthetic = tmp_path / "a", tmp_path / "b"
    for folder, choice in ((spoken, None), (synthetic, True)):
        folder.mkdir()
        write_spoken_digits(folder, 1, synthetic=choice)
    assert (spoken / "0000.wav").read_bytes() == (synthetic / "0000.wav").read_bytes()


def test_synthetic_digits_are_told_apart_whoever_says_them():
    """A digit of one voice is nearest to the same digit of another, in the mean of each tenth of its features."""
    extractor = FeatureExtractor(FeatureFormat(rate=8000))

    def summary(digit, seed, pitch):
        sound = say_digit(digit, 8000, torch.Generator().manual_seed(seed), pitch)
        features = extractor.features(recording_of((sound, 8000), RecordingFormat()))
        return np.concatenate([part.mean(0) for part in np.array_split(features, 10)])

    known = np.stack([summary(digit, 1, 110) for digit in range(10)])
    heard = np.stack([summary(digit, 2, 140) for digit in range(10)])
    nearest = np.linalg.norm(heard[:, None] - known[None], axis=2).argmin(1)
    assert (nearest == np.arange(10)).sum() >= 9
