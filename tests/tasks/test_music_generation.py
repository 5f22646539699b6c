"""Music: figures are counted as papers count them, pieces are moved whole, and rules stand beside the model."""

import json
import math

import numpy as np
import pytest
import torch
from scipy.io import savemat

from recurra.data.dataset import Examples, Problems
from recurra.data.lines import Source
from recurra.data.rolls import Keys, Roll, RollFormat, read_rolls, rolls_to_predict
from recurra.errors import DataError, SettingError
from recurra.metrics import add
from recurra.tasks import TASKS
from recurra.tasks.music_baselines import music_baselines
from recurra.tasks.music_generation_batches import shifts_of
from recurra.tasks.music_generation_settings import PieceBatchSettings
from recurra.tasks.music_surprise import Surprise, music_metrics
from recurra.tasks.preparation import prepare
from recurra.tasks.settings_file import make_config


def roll(pitches, lowest=60, keys=12):
    frames = np.zeros((len(pitches), keys), bool)
    for step, chord in enumerate(pitches):
        frames[step, [pitch - lowest for pitch in chord]] = True
    return Roll(frames, lowest, Source(__file__, 1))


def test_a_figure_is_of_all_frames_of_all_pieces():
    """Not the mean of the pieces' means, and with the first frame: both are figures of their own."""
    pairs = [(None, Surprise((-4.0, -1.0, -1.0))), (None, Surprise((-10.0,)))]
    by_name = {metric.name: metric for metric in music_metrics("whole chords")}
    values = {name: metric.value(add(metric.tally(*pair) for pair in pairs)) for name, metric in by_name.items()}
    assert values == {"nll": 4.0, "nll_later": 1.0, "nll_by_piece": 6.0}
    assert "whole chords" in by_name["nll"].label


def test_surprise_is_in_bits():
    assert Surprise((math.log(0.5), math.log(0.125))).bits == pytest.approx([1, 3])


def test_a_piece_is_moved_as_far_as_its_notes_go():
    settings = PieceBatchSettings(transpose_down=5, transpose_up=6)
    assert shifts_of(settings, roll([[62, 64]]).frames) == range(-2, 7)
    assert shifts_of(settings, roll([[60, 71]]).frames) == range(1)
    assert shifts_of(settings, roll([[], []]).frames) == range(1)


def test_moved_pieces_are_the_pieces_in_other_keys(tmp_path):
    task = TASKS["music-generation"]
    config = make_config(task.config, {}, task.example(tmp_path))
    training = prepare(task, config).batches
    seen = set()
    for epoch in range(3):
        for batch in training.epoch(epoch):
            for row, index in enumerate(batch.index.tolist()):
                frames = batch.frames[row, : batch.lengths[row]].bool().numpy()
                whole = training.dataset[index].frames
                by = int(np.flatnonzero(frames.any(0))[0] - np.flatnonzero(whole.any(0))[0])
                assert np.array_equal(np.roll(whole, by, 1), frames)
                seen.add(by)
    assert len(seen) > 3


def test_rules_are_the_shares_of_the_training_part():
    pieces = [roll([[60], [60], [62]]), roll([[60, 62]])]
    rules = music_baselines(Examples(pieces, [piece.source for piece in pieces], [3, 1]))
    often, before = (rule.answer(roll([[60]])) for rule in rules)
    share = np.full(12, 0.5 / 5)
    share[[0, 2]] = [3.5 / 5, 2.5 / 5]
    assert often.log_probabilities[0] == pytest.approx(math.log(share[0]) + np.log1p(-share[1:]).sum())
    assert before.nats > 0


@pytest.mark.parametrize("rule", [0, 1])
def test_the_probabilities_of_a_rule_sum_to_one(rule):
    pieces = [roll([[60], [61], []], keys=3)]
    answer = music_baselines(Examples(pieces, [pieces[0].source], [3]))[rule].answer
    chords = [[60 + key for key in range(3) if number >> key & 1] for number in range(8)]
    assert sum(math.exp(-answer(roll([chord], keys=3)).nats) for chord in chords) == pytest.approx(1)


def test_the_parts_of_a_file_are_read_for_what_they_are(tmp_path):
    """The .mat files of the literature hold all three parts: none is trained on by mistake."""
    path, cells = tmp_path / "tunes.mat", {}
    for number, name in enumerate(("traindata", "validdata", "testdata")):
        cells[name] = np.empty((1, number + 1), object)
        for place in range(number + 1):
            cells[name][0, place] = np.eye(88)[40 + number : 42 + number]
    savemat(path, cells)
    lengths = {role: len(read_rolls(path, RollFormat(), role)) for role in ("train", "validate", "evaluate")}
    assert lengths == {"train": 1, "validate": 2, "evaluate": 3}
    assert read_rolls(path, RollFormat(), "evaluate")[0].pitches == [[63], [64]]
    fingerprints = {read_rolls(path, RollFormat(), role).fingerprint() for role in ("train", "validate", "evaluate")}
    assert len(fingerprints) == 3


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.json", [[[60], [200]]], "frame 2 has 200; expected pitches from 0 to 127"),
        ("a.json", [[[60], 7]], "frame 2 is 7"),
        ("a.json", [[[]]], "no piece in it has a note"),
        ("a.json", {"practice": [[[60]]]}, "it holds practice; expected train, valid and test"),
        ("a.json", [], "it holds no piece"),
        ("a.npz", np.full((2, 88), 2), "frame 1, key 1 is 2; expected 0 or 1"),
        ("a.npz", np.zeros((2, 87)), "it has 87 keys; expected 88"),
        ("a.mat", np.zeros((2, 88)), "expected the variables traindata, validdata and testdata"),
        ("a.mat", b"no such file", "cannot be read as a .mat file"),
        ("a.wav", b"RIFF", "its kind is not known"),
    ],
)
def test_what_is_no_music_is_one_line_that_names_the_file(tmp_path, name, content, words):
    path = tmp_path / name
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif name.endswith(".npz"):
        np.savez(path, piece=content)
    elif name.endswith(".mat"):
        savemat(path, {"music": content})
    else:
        path.write_text(json.dumps(content))
    with pytest.raises(DataError, match=words) as error:
        read_rolls(path, RollFormat(), "train")
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_notes_outside_the_keys_are_counted(tmp_path):
    path = tmp_path / "a.json"
    path.write_text(json.dumps([[[60, 90], [61]]]))
    pieces = read_rolls(path, RollFormat(Keys(60, 71)), "train")
    assert pieces[0].pitches == [[60], [61]]
    assert pieces.problems.counts["a piece has notes outside --lowest to --highest"] == 1


def test_no_piece_is_left_out_of_answers(tmp_path):
    """A piece without a note is not trained on, and is answered all the same."""
    path = tmp_path / "a.json"
    path.write_text(json.dumps([[[60]], [[], []], [], [[61]]]))
    assert len(read_rolls(path, RollFormat(), "train")) == 2
    assert [len(piece) for piece in rolls_to_predict(path, RollFormat(), Problems())] == [1, 2, 0, 1]


def test_pieces_come_in_three_ways(tmp_path):
    task = TASKS["music-generation"]
    config = make_config(task.config, {}, {"data": "a.json", "lowest": 60, "highest": 71})
    expected = roll([[60], [], [62, 71]])
    given = [((60,), (), (62, 71)), expected.frames, torch.from_numpy(expected.frames).int()]
    for value in given:
        assert task.parse(config, value).pitches == expected.pitches
    with pytest.raises(SettingError, match="frame 1 has the pitch 72; expected whole numbers from 60 to 71"):
        task.parse(config, ((72,),))
    with pytest.raises(SettingError, match="this is an array"):
        task.parse(config, np.zeros((2, 88)))
    with pytest.raises(SettingError, match="this is str"):
        task.parse(config, "a song")


@pytest.mark.parametrize("head", ["chord", "independent"])
def test_the_surprise_of_a_frame_is_that_of_its_notes_and_of_what_does_not_sound(head, tmp_path):
    task = TASKS["music-generation"]
    config = make_config(task.config, {}, {**task.example(tmp_path), "head": head})
    run = prepare(task, config).run
    pieces = [((60,), (60, 64, 67), ()), (), ((50, 52),)]
    answers = run.predict(pieces)
    assert [[len(notes) for notes in answer.notes] for answer in answers] == [[1, 3, 0], [], [2]]
    for piece, answer in zip(pieces, answers, strict=True):
        for frame, notes, whole in zip(piece, answer.notes, answer.log_probabilities, strict=True):
            assert math.fsum(notes) > whole  # the rest is that of the end, or of the keys that are silent
            assert len(frame) == len(notes)
    alone = run.predict(((60,), (60, 64), ()))  # a note is given those below it: of a chord its lower notes are as here
    same = 2 if head == "chord" else 1
    assert alone.notes[1][:same] == pytest.approx(answers[0].notes[1][:same], abs=1e-5)
    shown = task.show(task.parse(config, pieces[0]), answers[0])
    assert [[pitch for pitch, _ in frame] for frame in shown["notes"]] == [[60], [60, 64, 67], []]
