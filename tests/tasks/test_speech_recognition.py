"""Speech recognition: what is refused, what stays the same however a recording is written, and what guides a search."""

import csv
import json
import math
from dataclasses import replace

import numpy as np
import pytest
import soundfile
import torch

import recurra
from recurra.data.audio import resampled, write_wav
from recurra.data.dataset import Problems
from recurra.data.tone_words import write_tone_words
from recurra.errors import DataError, SettingError
from recurra.tasks import TASKS
from recurra.tasks.preparation import prepare
from recurra.tasks.settings_file import make_config
from recurra.tasks.transcription import Transcription

TASK = TASKS["speech-recognition"]
SMALL = {
    "rate": 8000,
    "filters": 16,
    "subsampling": 2,
    "convolution_size": 16,
    "hidden_size": 16,
    "num_layers": 1,
    "dropout": 0.0,
    "batch_size": 6,
    "epochs": 16,
    "learning_rate": 0.03,
    "warmup_steps": 5,
    "weight_average": 0.0,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tones")
    write_tone_words(folder, 48)
    return folder


@pytest.fixture(scope="module")
def run(folder):
    """A run that has learned something, so that its answers are no accident of its first weights."""
    run = recurra.train("speech-recognition", data=folder / "recordings.csv", **SMALL, out=folder / "run", show=False)
    assert run.evaluate(folder / "recordings.csv").figures["cer"] < 0.6
    return run


def manifest(folder, rows, name="written.csv"):
    with (folder / name).open("w", newline="") as file:
        csv.writer(file).writerows([["audio", "transcript", "speaker"], *rows])
    return folder / name


def prepared(data, **settings):
    return prepare(TASK, make_config(TASK.config, {}, {**SMALL, "data": data, **settings}))


# What cannot be learned


def test_characters_outside_the_alphabet_are_listed_and_refused_unless_told_otherwise(folder):
    data = manifest(folder, [["000.wav", "abé", "x"], ["001.wav", "éa b", "y"], ["002.wav", "ab", "z"]])
    with pytest.raises(DataError, match=r"'é' \(LATIN SMALL LETTER E WITH ACUTE\): 2 .*written\.csv:2.*:3") as caught:
        prepared(data, alphabet="ab ")
    assert "\n" not in str(caught.value)
    kept = prepared(data, alphabet="ab ", foreign="leave-out")
    assert kept.run.assets.labels == ("a", "b", " ")
    [batch] = kept.batches.epoch(0)
    rows = dict(zip(batch.index.tolist(), batch.targets.tolist(), strict=True))
    assert all(label in (1, 2, 3, -100) for row in rows.values() for label in row)


def test_recordings_too_short_for_their_transcripts_are_refused_unless_told_otherwise(folder):
    write_wav(folder / "short.wav", np.zeros(1000), 8000)
    data = manifest(folder, [["000.wav", "ab", "x"], ["short.wav", "abcabcabc", "y"], ["002.wav", "ab", "z"]])
    with pytest.raises(DataError, match=r"written\.csv:3 \(6 frames, 9 needed\).*--unalignable leave-out"):
        prepared(data, valid=folder / "recordings.csv", alphabet="abcd ")
    kept = prepared(data, valid=folder / "recordings.csv", alphabet="abcd ", unalignable="leave-out")
    assert [len(kept.batches.dataset), kept.batches.left_out] == [2, 1]


def test_speed_never_makes_a_recording_too_short(folder):
    data = manifest(folder, [["000.wav", "ab" * 11, "x"], ["001.wav", "ab" * 11, "y"]])
    kept = prepared(data, valid=data, alphabet="ab", speed_change=1.0, subsampling=2)
    for epoch in range(10):
        for batch in kept.batches.epoch(epoch):
            assert batch.known.all()


def test_a_transcript_that_no_way_spells_does_not_spoil_an_evaluation(folder, run):
    write_wav(folder / "short.wav", np.random.default_rng(0).normal(size=1000) / 10, 8000)
    data = manifest(folder, [["000.wav", "ab", "x"], ["short.wav", "abcabcabc", "y"]])
    dataset = TASK.read(run.config, data, "evaluate")
    report = run.evaluate(dataset)
    assert math.isfinite(report.metrics["loss"])
    assert any("too short for its transcript" in line for line in dataset.problems.lines())


def test_an_alphabet_is_of_characters(folder):
    with pytest.raises(SettingError, match="alphabet"):
        prepared(folder / "recordings.csv", unit="word", alphabet="ab")


def test_case_is_one_for_transcripts_and_answers(folder):
    data = manifest(folder, [["000.wav", "Ab  cD", "x"], ["001.wav", "AB", "y"]])
    upper = prepared(data, case="upper")
    assert upper.run.assets.labels == (" ", "A", "B", "C", "D")
    assert prepared(data, case="lower").run.assets.words == ("ab", "cd")


# The same recording


def test_silence_is_an_empty_text(folder, run):
    for samples in (np.zeros(8000), np.full(8000, 0.25), np.zeros(3)):
        answer = run.predict((samples, 8000))
        assert (answer.text, answer.words) == ("", ())


def test_rate_channels_and_width_do_not_change_the_text(folder, run):
    """Complaints of other systems: stereo resampled along its channels, a rate that is not looked at."""
    name = next(f"{number:03}.wav" for number in range(48) if run.predict(folder / f"{number:03}.wav").text)
    samples, rate = soundfile.read(folder / name, dtype="float32")
    expected = run.predict(folder / name)
    for name, new, channels, width in (("a.wav", 8000, 2, "PCM_24"), ("b.flac", 48_000, 2, "PCM_16")):
        sound = samples if new == rate else resampled(samples, rate, new)
        soundfile.write(folder / name, np.stack([sound] * channels, 1), new, subtype=width)
        answer = run.predict(folder / name)
        assert answer.text == expected.text
        assert answer.duration == pytest.approx(expected.duration, abs=0.01)


def test_times_of_words_are_within_the_recording_and_in_order(folder, run):
    for answer in run.answers(TASK.stream(run.config, folder / "recordings.csv", Problems())):
        times = [time for word in answer.words for time in (word.start, word.end)]
        assert times == sorted(times)
        assert all(0 <= time <= answer.duration for time in times)
        assert " ".join(word.text for word in answer.words) == answer.text


def test_a_known_transcript_is_aligned_and_its_probability_is_that_of_the_loss(folder, run):
    transcript = "ab" if run.predict(folder / "000.wav").text != "ab" else "ba"
    aligned = run.align(folder / "000.wav", transcript)
    assert [word.text for word in aligned.words] == [transcript]
    data = manifest(folder, [["000.wav", transcript, "x"]])
    report = run.evaluate(data)
    assert aligned.alternatives[0][1] == pytest.approx(-report.metrics["loss"] * len(transcript), rel=1e-4)
    with pytest.raises(DataError, match="'x'"):
        run.align(folder / "000.wav", "xa")
    with pytest.raises(DataError, match=r"000\.wav: the recording has .* frames"):
        run.align(folder / "000.wav", "abc" * 100)


# The search


def test_a_beam_finds_nothing_less_probable_than_the_greedy_way(folder, run):
    beam = run.using(beam=20, alternatives=5)
    inputs = list(TASK.stream(run.config, folder / "recordings.csv", Problems()))[:12]
    for greedy, best in zip(run.answers(inputs), beam.answers(inputs), strict=True):
        probabilities = [probability for _, probability in best.alternatives]
        assert probabilities == sorted(probabilities, reverse=True)
        assert best.alternatives[0][1] >= greedy.alternatives[0][1] - 1e-9
        assert 0 < best.confidence <= 1
        assert len({text for text, _ in best.alternatives}) == len(probabilities)


def test_with_a_lexicon_every_word_is_one_of_it(folder, run):
    inputs = list(TASK.stream(run.config, folder / "recordings.csv", Problems()))[:12]
    (folder / "words.txt").write_text("ab\ncd\nba\n")
    for lexicon, words in (("trained", set(run.assets.words)), (str(folder / "words.txt"), {"ab", "cd", "ba"})):
        for weight in (0.0, 0.7):
            answers = run.using(beam=10, lexicon=lexicon, ngram_weight=weight).answers(inputs)
            assert all(set(answer.text.split()) <= words for answer in answers)


def test_words_that_are_expected_are_heard_more_often(folder, run):
    inputs = list(TASK.stream(run.config, folder / "recordings.csv", Problems()))[:20]
    plain = [answer.text.split().count("dd") for answer in run.using(beam=10).answers(inputs)]
    hot = [
        answer.text.split().count("dd")
        for answer in run.using(beam=10, hotwords=("dd",), hotword_bonus=30.0).answers(inputs)
    ]
    assert sum(hot) > sum(plain)
    with pytest.raises(SettingError, match=r"--hotwords: 'xy' has 'x'"):
        run.using(beam=10, hotwords=("xy",)).predict(folder / "000.wav")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"alternatives": 2}, "--beam 2"),
        ({"lexicon": "trained"}, "--beam 50"),
        ({"beam": 5, "unknown_cost": 2.0}, "--lexicon"),
        ({"beam": 5, "arpa": "x.arpa"}, "--ngram-weight"),
    ],
)
def test_what_guides_nothing_is_refused(run, settings, message):
    with pytest.raises(SettingError, match=message):
        run.using(**settings)


def test_words_may_be_labels(folder):
    with torch.random.fork_rng():
        run = recurra.train(
            "speech-recognition",
            data=folder / "recordings.csv",
            **{**SMALL, "unit": "word", "max_steps": 2},
            out=folder / "words",
            show=False,
        )
    best = run.using(beam=4, ngram_weight=0.5, hotwords=(run.assets.labels[0],)).predict(folder / "000.wav")
    assert all(word.text in run.assets.labels for word in best.words)
    with pytest.raises(SettingError, match="--lexicon"):
        run.using(beam=4, lexicon="trained").predict(folder / "000.wav")


# What is written


def test_answers_are_written_as_times_of_words_and_as_json(folder, run):
    inputs = list(TASK.stream(run.config, folder / "recordings.csv", Problems()))[:5]
    answered = list(run.answered(inputs))
    lines = "".join(TASK.formats["ctm"](run, answered)).splitlines()
    expected = [(recording.audio.stem, word) for recording, answer in answered for word in answer.words]
    assert len(lines) == len(expected) > 0
    for line, (name, word) in zip(lines, expected, strict=True):
        fields = line.split()
        assert (fields[0], fields[4]) == (name, word.text)
        assert float(fields[3]) == pytest.approx(word.end - word.start, abs=0.006)
    shown = json.loads(json.dumps(TASK.show(*answered[0])))
    assert shown["audio"] == "000.wav"
    assert shown["speaker"] == "speaker-0"
    assert shown["text"] == answered[0][1].text


def test_subtitles_are_of_one_recording(folder, run):
    inputs = list(TASK.stream(run.config, folder / "recordings.csv", Problems()))
    heard = next(pair for pair in run.answered(inputs) if pair[1].text)
    for name, begin in (("srt", "1\n00:00:0"), ("vtt", "WEBVTT\n\n00:00:0")):
        written = "".join(TASK.formats[name](run, [heard]))
        assert written.startswith(begin)
        assert heard[1].text in written
        with pytest.raises(SettingError, match="of one recording"):
            list(TASK.formats[name](run, [heard, heard]))


def test_a_wrong_transcript_says_in_a_line_what_was_heard_for_what(folder, run):
    recording = next(iter(TASK.stream(run.config, folder / "recordings.csv", Problems())))
    recording = replace(recording, transcript="ab cd da")
    for heard, cost, notes in (
        ("ab da", 1, "cd left out"),
        ("ab cc da", 1, "cd → cc"),
        ("ab cd da b", 1, "b put in"),
        ("", 3, "ab left out, cd left out, da left out"),
    ):
        mistake = TASK.mistake(recording, Transcription(heard))
        assert (mistake.cost, mistake.notes) == (cost, notes)
    assert TASK.mistake(recording, Transcription("ab cd da")) is None
    listing = "".join(TASK.formats["aligned"](run, [(recording, Transcription("ab cd"))]))
    assert listing.endswith("spoken      ab  cd  da\nrecognised  ab  cd  **\n                    D\n\n")
