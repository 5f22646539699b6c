"""`recurra sample` of a model of music: files that open, constraints that hold, mistakes that are one line."""

import json
import wave

import numpy as np
import pytest

from recurra.cli.app import main
from recurra.data.midi import read_midi
from recurra.data.piano_roll import roll_of
from recurra.tasks import TASKS, load
from recurra.tasks.run import train_run
from recurra.tasks.settings_file import make_config


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    task = TASKS["music-generation"]
    settings = task.example(tmp_path_factory.mktemp("pieces"))
    path = tmp_path_factory.mktemp("runs") / "music"
    train_run(task, make_config(task.config, {}, settings | {"epochs": 1}), path)
    return path


@pytest.fixture(scope="module", params=["chord", "independent"])
def run(request, tmp_path_factory):
    task = TASKS["music-generation"]
    settings = task.example(tmp_path_factory.mktemp("pieces"))
    path = tmp_path_factory.mktemp("runs") / "music"
    train_run(task, make_config(task.config, {}, settings | {"epochs": 1, "head": request.param}), path)
    return load(path)


def test_what_is_drawn_keeps_to_the_constraints_and_is_checked_again(run):
    constraints = 'scale=C:major range=C3..B5 notes=2..4 chords="C|F G" hold<=3 bars=3 end=C'
    for piece in run.sample(number=2, constraints=constraints, frames_a_bar=8, seed=4):
        assert len(piece.roll) == 24
        assert [finding.violations for finding in piece.findings] == [0] * 7
        for frame, chord in enumerate(piece.roll.pitches):
            classes = {pitch % 12 for pitch in chord}
            allowed = {0, 4, 7} if frame % 16 < 8 else {5, 9, 0} if frame % 16 < 12 else {7, 11, 2}
            assert 2 <= len(chord) <= 4
            assert classes <= (allowed if frame < 23 else allowed & {0, 4, 7})


def test_a_piece_depends_on_its_own_seed_alone(run):
    together = run.sample(12, number=3, seed=7)
    alone = run.sample(12, seed=9)
    assert np.array_equal(together[2].roll.frames, alone[0].roll.frames)
    assert together[2].seed == 9
    assert run.sample(12, seed=9)[0].roll.pitches == alone[0].roll.pitches
    assert not np.array_equal(together[0].roll.frames, together[1].roll.frames)


def test_a_piece_goes_on_from_a_primer_or_keeps_its_bars(run):
    primer = tuple((60, 64 + step) for step in range(8))
    [on] = run.sample(12, primer=primer, seed=1)
    assert on.roll.pitches[:8] == [list(chord) for chord in primer]
    assert on.primer == 8
    [kept] = run.sample(primer=primer, constraints="keep=2 bars=3", frames_a_bar=4, seed=1)
    assert kept.roll.pitches[4:8] == [list(chord) for chord in primer[4:]]
    assert [finding.violations for finding in kept.findings] == [0, 0]


def test_the_most_probable_note_each_time_needs_no_seed(run):
    first, second = run.sample(6, number=2, temperature=0, seed=1)
    assert first.roll.pitches == second.roll.pitches


def test_the_probability_of_a_piece_is_that_of_its_frames(run):
    [piece] = run.sample(10, seed=2)
    assert run.score(piece.roll).log_probabilities == pytest.approx(piece.surprise.log_probabilities, abs=1e-4)


@pytest.mark.parametrize(("kind", "files"), [("mid", 2), ("wav", 2), ("png", 2), ("html", 2), ("json", 1)])
def test_pieces_are_written(folder, tmp_path, capsys, kind, files):
    output = tmp_path / f"new.{kind}"
    words = ["sample", str(folder), "-n", "2", "--length", "10", "--seed", "5", "--output", str(output), "--copies"]
    assert main(words) == 0
    shown = capsys.readouterr()
    assert "nats a frame (whole chords)" in shown.out
    assert "stands in the pieces trained on" in shown.out
    assert "--seed 5 repeats this" in shown.err
    written = sorted(tmp_path.iterdir())
    assert len(written) == files
    pieces = load(folder).sample(10, number=2, seed=5)
    if kind == "mid":
        for path, piece in zip(written, pieces, strict=True):
            roll, lost = roll_of(read_midi(path), lowest=48, highest=83)
            assert not lost
            assert np.array_equal(roll, piece.roll.frames[: len(roll)])
    elif kind == "json":
        assert json.loads(written[0].read_text()) == [piece.roll.pitches for piece in pieces]
    elif kind == "wav":
        with wave.open(str(written[0])) as sound:
            assert sound.getframerate() == 44_100
            assert sound.getnframes() > 44_100
    elif kind == "html":
        page = written[0].read_text()
        assert "<svg" in page
        assert "http" not in page.replace("http-equiv", "")


def test_a_program_reads_a_line_a_piece(folder, capsys):
    assert main(["sample", str(folder), "-n", "2", "--length", "6", "--seed", "5", "--json"]) == 0
    pieces = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [piece["seed"] for piece in pieces] == [5, 6]
    assert [len(piece["frames"]) for piece in pieces] == [6, 6]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--output", "new.xyz"], "new.xyz: music is written as .mid"),
        (["--constraints", "scale=C:mayor"], "did you mean major?"),
        (["--constraints", "scal=C:major"], "did you mean scale?"),
        (["--constraints", "scale=C:major scale=D:major"], "this was said before"),
        (["--constraints", "quiet"], "there is no constraint 'quiet'"),
        (["--constraints", "hold=3"], "expected as in hold<="),
        (["--constraints", "notes=4 range=C4..D4"], "range=C4..D4 and notes=4 cannot be kept"),
        (["--constraints", "bars=2", "--length", "5"], "length is 5, and the constraints say 32 frames"),
        (["--constraints", "keep=1"], "keep=1: there is no primer"),
        (["--primer", "no.mid"], "there is no such file"),
        (["--stop", "x"], "--stop and --allow-unknown are of text"),
        (["--length", "0"], "length is 0"),
    ],
)
def test_mistakes_are_one_line(folder, capsys, words, message):
    assert main(["sample", str(folder), *words]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error
