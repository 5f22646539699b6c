"""The commands that every use has: predict, evaluate, data, verify, show, runs, demo."""

import json
import os
import re
import shutil
import subprocess
import sys

import pytest

import recurra as library
from recurra.tasks import TASKS

TAGGER = "named-entity-recognition"


@pytest.fixture(scope="module")
def tagger(tmp_path_factory):
    """The folder of a tagger's run, and the file that it was trained on."""
    folder = tmp_path_factory.mktemp("tagger")
    settings = TASKS[TAGGER].example(folder)
    library.train(TAGGER, **settings | {"epochs": 2}, out=folder / "run", show=False)
    return folder / "run", settings["data"]


def lines(outcome):
    assert (outcome.code, outcome.err) == (0, "")
    return [json.loads(line) for line in outcome.out.splitlines()]


# Predict


def test_every_input_has_one_answer_in_its_order(recurra, tagger, here):
    run, _ = tagger
    texts = [f"Ron met number {n} in Paris ." for n in range(30)]
    texts[7] = texts[20] = ""
    (here / "texts.txt").write_text("\n".join(texts) + "\n")
    answers = lines(recurra("predict", run, "texts.txt"))
    assert [answer["text"] for answer in answers] == texts
    assert answers == lines(recurra("predict", run, *(part for text in texts for part in ("--text", text))))


def test_answers_go_into_a_file_whole_or_not_at_all(recurra, refused, tagger, here):
    run, data = tagger
    done = recurra("predict", run, data, "--out", "answers.jsonl")
    assert (done.code, done.out) == (0, "")
    count = len((here / "answers.jsonl").read_text().splitlines())
    assert count == len(lines(recurra("predict", run, data)))
    (here / "bad.txt").write_bytes(b"Ron left .\n\xff\xfe\n")
    before = (here / "answers.jsonl").read_bytes()
    assert "bad.txt:2" in refused("predict", run, "bad.txt", "--out", "answers.jsonl")
    assert (here / "answers.jsonl").read_bytes() == before
    assert "cannot be written" in refused("predict", run, data, "--out", "nowhere/answers")


def test_what_comes_before_a_line_that_cannot_be_read_is_answered(recurra, tagger, here):
    run, _ = tagger
    (here / "bad.txt").write_bytes(b"Ron left .\n\n" * 1500 + b"\xff\n")
    outcome = recurra("predict", run, "bad.txt")
    assert outcome.code == 2
    assert "bad.txt:3001: byte 1 of the line is 0xff" in outcome.err
    assert [json.loads(line)["text"] for line in outcome.out.splitlines()] == ["Ron left .", ""] * 1500


def test_standard_input_that_is_closed_is_one_line(refused, tagger, monkeypatch):
    monkeypatch.setattr(sys, "stdin", None)
    assert "standard input is closed; give the name of a file" in refused("predict", tagger[0], "-")


def test_what_can_be_read_only_once_cannot_be_verified(refused, tagger):
    assert "standard input can be read only once" in refused("verify", tagger[0], "--data", "-")


def test_standard_input_is_read_and_a_reader_may_leave(tagger):
    run, _ = tagger
    words = [sys.executable, "-m", "recurra", "predict", str(run), "-"]
    process = subprocess.run(words, input="Ron left .\n\nAnn\n", capture_output=True, text=True)
    assert process.stderr == ""
    assert [json.loads(line)["text"] for line in process.stdout.splitlines()] == ["Ron left .", "", "Ann"]
    many = "Ron left .\n" * 5000
    piped = subprocess.run(
        f"{sys.executable} -m recurra predict {run} - | head -n 1",
        input=many,
        shell=True,
        capture_output=True,
        text=True,
        env=os.environ,
    )
    assert len(piped.stdout.splitlines()) == 1
    assert piped.stderr == ""


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "there is nothing to answer; give a file, - for standard input, or --text"),
        (["--text", "Ron \udcff"], r"--text 'Ron \udcff': there are bytes in it that are no UTF-8; give text in UTF-8"),
        (["a.txt", "--text", "b"], "FILE and --text are both given; give one"),
        (["missing.txt"], "missing.txt: there is no such file"),
        (["--text", "a", "--format", "jsonll"], "--format: there is no format 'jsonll'; did you mean jsonl"),
    ],
)
def test_a_mistake_in_what_to_answer_is_one_line(refused, tagger, words, message):
    assert message in refused("predict", tagger[0], *words)


# Evaluate


def test_figures_come_with_intervals_tables_and_trivial_rules(recurra, tagger):
    run, data = tagger
    done = recurra("evaluate", run, "--data", data)
    assert (done.code, done.err) == (0, "")
    assert "95% interval" in done.out
    assert "training" in done.out
    assert "F1 by class" in done.out
    assert "are among the examples trained on" in done.out
    measured = json.loads(recurra("evaluate", run, "--data", data, "--json").out)
    low, high = measured["intervals"]["f1"]
    assert 0 <= low <= measured["f1"] <= high <= 1
    assert measured["seen_in_training"] > 0
    assert set(measured["tables"]["f1"]) == {"PER", "LOC", "ORG"}
    [figures] = measured["baselines"].values()
    assert figures["f1"] > 0.9
    assert json.loads(recurra("evaluate", run, "--data", data, "--json", "--no-intervals").out)["intervals"] == {}


# The data doctor


def test_of_several_processes_the_first_alone_shows_figures(recurra, tagger, monkeypatch):
    run, data = tagger
    monkeypatch.setenv("RANK", "1")
    outcome = recurra("evaluate", run, "--data", data)
    assert (outcome.code, outcome.out) == (0, "")


def test_the_doctor_says_what_is_wrong(recurra, tagger, here):
    _, data = tagger
    (here / "valid.conll").write_text("Ron\tI-PER\nmet\tO\n\nZembla\tI-CITY\n")
    (here / "test.conll").write_text("Ron\tI-PER\nmet\tO\n\n")
    words = ["data", TAGGER, "--data", data, "--valid", "valid.conll", "--test", "test.conll"]
    done = recurra(*words)
    assert (done.code, done.err) == (0, "")
    text = " ".join(done.out.split())
    assert "valid has what train has no example of, and no model can answer: CITY (1)" in text
    assert "1 example of test.conll (100.0%) is in valid, too: test.conll:1 is valid.conll:1" in text
    found = json.loads(recurra(*words, "--json").out)
    assert [part["name"] for part in found["parts"]] == ["train", "valid", "test.conll"]
    assert found["parts"][1]["labels"] == {"PER": 1, "CITY": 1}
    assert 0 < found["parts"][1]["unknown"] < 1


def test_the_doctor_of_a_file_that_cannot_be_read_is_one_line(refused):
    assert "missing.conll: there is no such file" in refused("data", TAGGER, "--data", "missing.conll")


# Verify, show, runs


def test_verify_says_that_nothing_depends_on_anything(recurra, tagger):
    run, data = tagger
    done = recurra("verify", run, "--data", data, "--limit", 12)
    assert (done.code, done.err) == (0, "")
    assert done.out.count("0 differences") == 5
    counts = json.loads(recurra("verify", run, "--data", data, "--limit", 5, "--json").out)
    # A network of both directions cannot stream, and no difference was counted.
    assert set(counts.values()) == {0, None}


def test_verify_shows_the_first_difference(recurra, tagger, monkeypatch):
    run, data = tagger
    answered, calls = library.tasks.Trained.answered, []

    def differently(self, inputs, window=2048):
        calls.append(window)
        for example, answer in answered(self, inputs, window):
            yield example, answer if window != 7 else type(answer)((), ())

    monkeypatch.setattr(library.tasks.Trained, "answered", differently)
    done = recurra("verify", run, "--data", data, "--limit", 12)
    assert done.code == 1
    assert re.search("seven at a time: [1-9][0-9]* answers differ", done.out)
    assert "the first is input " in done.out


def test_a_run_is_shown(recurra, tagger):
    run, _ = tagger
    done = recurra("show", run)
    assert (done.code, done.err) == (0, "")
    assert "training.epochs" in done.out
    assert "crf.transitions" in done.out
    shown = json.loads(recurra("show", run, "--json").out)
    assert shown["task"] == TAGGER
    assert shown["changed_settings"]["training.epochs"] == 2
    assert shown["best"]["step"] > 0


def test_runs_are_listed_and_compared(recurra, tagger, here):
    run, data = tagger
    words = ["train", TAGGER, "--config", run / "config.toml", "--data", data, "--out"]
    assert recurra(*words, "runs/one", "--hidden-size", 4).code == 0
    assert recurra(*words, "runs/two", "--dropout", 0.1).code == 0
    (here / "runs" / "no-run").mkdir()
    listed = lines(recurra("runs", "--json"))
    assert {one["run"] for one in listed} == {"runs/one", "runs/two"}
    table = recurra("runs").out
    assert "runs/one" in table
    assert "f1" in table
    assert "precision" not in table  # a run is a line
    compared = recurra("runs", "--compare").out
    assert "model.hidden_size" in compared
    assert "model.dropout" in compared
    assert "model.word_size" not in compared
    for number in range(4):
        name = f"runs/with-another-size-{number}"
        shutil.copytree(here / "runs" / "one", here / name)
        config = here / name / "config.toml"
        config.write_text(config.read_text().replace("hidden_size = 4", f"hidden_size = {number + 5}"))
    compared = recurra("runs", "--compare").out
    assert max(map(len, compared.splitlines())) <= 80
    for number in range(4):
        assert f"runs/with-another-size-{number}" in compared  # in one piece
    assert compared.count("model.hidden_size") > 1  # a table for those that fit side by side
    assert "There is no run in runs/no-run" in recurra("runs", "runs/no-run").out
    assert "nowhere: there is no such folder" in recurra("runs", "nowhere").err
    (here / "runs" / "two" / "config.toml").write_text("epochs =")
    outcome = recurra("runs")
    assert "runs/one" in outcome.out
    assert re.search(r"passed over: .*two/config\.toml: this is not TOML", outcome.err)


def test_digests_that_are_damaged_are_one_line(refused, tagger, tmp_path):
    run, data = tagger
    shutil.copytree(run, tmp_path / "copy")
    (tmp_path / "copy" / "trained-on.bin").write_bytes(b"xx")
    assert "trained-on.bin: damaged" in refused("evaluate", tmp_path / "copy", "--data", data)


@pytest.mark.parametrize("command", ["show", "verify", "predict", "evaluate"])
def test_what_is_no_run_is_one_line(refused, here, command):
    words = {"verify": ["--data", "x"], "predict": ["--text", "x"]}.get(command, [])
    assert "nowhere: there is no such folder" in refused(command, "nowhere", *words)


# Demonstrations


@pytest.mark.parametrize("use", [name for name in TASKS if name != "language-modelling"])
def test_every_use_demonstrates_itself(recurra, use, monkeypatch):
    monkeypatch.setattr(type(TASKS.entries[use].load()), "demo", None, raising=False)
    done = recurra("demo", use)
    assert (done.code, done.err) == (0, "")
    assert "Its answers:" in done.out
    assert f"The run is kept in runs/demo-{use}. To try next:" in done.out


def test_a_use_that_is_not_there_is_one_line(refused):
    assert "there is no use 'named-entity'; did you mean named-entity-recognition" in refused("demo", "named-entity")


def test_a_bare_call_lists_the_uses_and_the_commands_on_one_screen(recurra):
    done = recurra()
    text = done.out + done.err
    assert all(name in text for name in TASKS)
    assert len(text.splitlines()) <= 48
