import json
import os
import select
import signal
import subprocess
import sys
from pathlib import Path
from types import NoneType
from typing import Literal, get_args, get_origin

import pytest

import recurra as library
from recurra.cli import train as command
from recurra.errors import TrainingError
from recurra.tasks.language_modelling import LanguageModellingConfig
from recurra.tasks.settings_file import flag_of, sections
from recurra.training import Progress

TRAIN = ["train", "language-modelling"]
EQUATIONS = (
    "keep[t] = sigmoid(W_keep @ [h[t-1], x[t]] + b)\nh[t]    = keep[t] * h[t-1] + (1 - keep[t]) * tanh(W @ x[t])"
)
FILES = [
    "assets.json",
    "checkpoints",
    "config.toml",
    "curves.png",
    "metrics.jsonl",
    "model.safetensors",
    "trained-on.bin",
]


def names(folder):
    return sorted(path.name for path in folder.iterdir())


# What is trained


@pytest.mark.parametrize("level", ["word", "character", "byte", "bpe"])
def test_a_model_of_every_level_is_trained_scored_and_sampled(recurra, pets, tiny, level):
    size = ["--max-vocabulary", "270"] if level == "bpe" else []
    done = recurra(*TRAIN, "--data", pets, "--level", level, *tiny, *size)
    assert done.code == 0
    assert done.err == ""
    assert names(Path("runs/language-modelling")) == FILES
    assert "The run is kept in runs/language-modelling. To try next:" in done.out
    assert "a sample after" in done.out
    assert "perplexity" in done.out
    assert ("bits/" in done.out) == (level != "word")
    assert recurra("score", "runs/language-modelling", "the cat sat").code == 0
    assert recurra("sample", "runs/language-modelling", "--length", "5").code == 0


def test_what_is_suggested_works(recurra, pets, tiny):
    import shlex

    out = recurra(*TRAIN, "--data", pets, *tiny).out
    suggested = [line.strip() for line in out.partition("To try next:")[2].splitlines() if line.strip()]
    assert len(suggested) >= 3
    for line in suggested:
        program, *words = shlex.split(line)
        assert program == "recurra"
        assert recurra(*words).code == 0


def test_runs_without_a_folder_get_one_each(recurra, pets, tiny):
    for _ in range(2):
        assert recurra(*TRAIN, "--data", pets, *tiny, "--no-samples").code == 0
    assert names(Path("runs")) == ["language-modelling", "language-modelling-2"]


def test_a_file_to_validate_on_and_sentences(recurra, pets, here, tiny):
    (here / "valid.txt").write_text("the cat sat\nthe emu sat\n")
    assert recurra(*TRAIN, "--data", pets, "--valid", "valid.txt", "--sentences", *tiny).code == 0
    assert library.load("runs/language-modelling").vocabulary.end is not None


def test_a_cell_may_be_a_file_of_equations(recurra, pets, here, tiny):
    (here / "mine.txt").write_text(EQUATIONS)
    flags = [word for word in tiny if word not in {"--cell", "rnn"}]
    assert recurra(*TRAIN, "--data", pets, "--equations", "mine.txt", "--out", "run", *flags).code == 0
    (here / "mine.txt").unlink()  # the run has the text
    run = library.load("run")
    assert run.config.model.equations == EQUATIONS
    assert {"W_keep", "W", "b"} == {name.rpartition(".")[2] for name, _ in run.model.recurrent.named_parameters()}


def test_equations_may_hold_their_constants(recurra, pets, here, tiny):
    (here / "mine.txt").write_text("leak = 1 / 20\nh[t] = (1 - leak) * h[t-1] + leak * tanh(W @ [h[t-1], x[t]])\n")
    flags = [word for word in tiny if word not in {"--cell", "rnn"}]
    done = recurra(*TRAIN, "--data", pets, "--equations", "mine.txt", "--out", "run", *flags)
    assert done.code == 0
    assert "note: " not in done.out
    assert library.load("run").model.recurrent.cell.constants == {"leak": 0.05}


def test_what_cannot_learn_is_said_once_before_training(recurra, pets, here, tiny):
    (here / "mine.txt").write_text("h[t] = tanh(m * mean(n * h[t-1]) + W @ x[t])\n")
    flags = [word for word in tiny if word not in {"--cell", "rnn"}] + ["--num-layers", "2"]
    done = recurra(*TRAIN, "--data", pets, "--equations", "mine.txt", "--out", "run", *flags)
    assert done.out.count("note: m and n begin at 0, where the gradient is exactly 0 for ever") == 1
    flags += ["--initial", "m = normal(0.1); n = normal(0.1)"]
    assert "note: " not in recurra(*TRAIN, "--data", pets, "--equations", "mine.txt", "--out", "again", *flags).out


def test_a_runs_config_trains_the_same_again(recurra, pets, tiny):
    assert recurra(*TRAIN, "--data", pets, "--out", "first", *tiny, "--seed", "3").code == 0
    assert recurra(*TRAIN, "--config", "first/config.toml", "--out", "second").code == 0
    assert recurra(*TRAIN, "--config", "first/config.toml", "--out", "third", "--seed", "4", "--cell", "gru").code == 0
    for name in ("config.toml", "model.safetensors", "assets.json"):
        assert Path("first", name).read_bytes() == Path("second", name).read_bytes()
    third = library.load("third").config
    assert (third.training.seed, third.model.cell, third.model.hidden_size) == (4, "gru", 6)


# Every setting is a flag and a key

FIELDS = [
    pytest.param(section, key, field, id=key)
    for section, settings in sections(LanguageModellingConfig).items()
    for key, field in settings.model_fields.items()
]


def another(field):
    """A value that the field may have, as a flag gives it, and which is not its default."""
    kind = next(k for k in get_args(field.annotation) or [field.annotation] if k is not NoneType)
    if get_origin(field.annotation) is Literal:
        return next(choice for choice in get_args(field.annotation) if choice != field.default)
    return {bool: str(not field.default).lower(), int: "5", float: "0.25", Path: "other.txt", str: "reference"}[kind]


@pytest.mark.parametrize(("section", "key", "field"), FIELDS)
def test_every_setting_is_a_flag_and_a_key(recurra, here, monkeypatch, section, key, field):
    """Flag and key lead to the same config, and the flag overrides the key."""
    seen = []

    def remember(task, config, folder, watching, *, anywhere):
        seen.append(config)
        raise TrainingError("enough")

    monkeypatch.setattr(command, "show_training", remember)
    values = {"cell": "lstm", "equations": EQUATIONS, "initial": "uniform(-0.1, 0.1)", "rate_divisor": "2.5"}
    value = values.get(key) or another(field)
    (here / "mine.txt").write_text(EQUATIONS)
    flag = flag_of(key)
    given = [flag, "mine.txt" if key == "equations" else value]
    if field.annotation is bool:
        given = [flag if value == "true" else f"--no-{flag[2:]}"]
    if key == "rate_factors":
        given = [flag, value := "embedding.*=0.5"]
    frozen = ["--freeze", "embedding.*"]
    needed = {
        "momentum": ["--optimiser", "sgd"],
        "unfreeze_every": frozen,
        "rate_divisor": [*frozen, "--unfreeze-every", "1"],
    }.get(key, [])
    data = [] if key == "data" else ["--data", "pets.txt"]
    recurra(*TRAIN, *data, *needed, *given)
    quoted = (
        value
        if field.annotation in (bool, int, float) or key.startswith(("max_", "clip_", "validate_", "rate_d"))
        else (json.dumps(value))
    )
    (here / "my.toml").write_text(f"[{section}]\n{key} = {quoted}\n")
    recurra(*TRAIN, *data, *needed, "--config", "my.toml")
    by_flag, by_key = seen
    assert by_flag == by_key
    if key == "equations":
        assert by_flag.model.equations == EQUATIONS
    else:
        made = getattr(getattr(by_flag, section), key)
        assert (",".join(made) if isinstance(made, tuple) else str(made).lower()) == value
    assert flag in recurra(*TRAIN, "--help").out.replace("--[no-]", "--")


# Mistakes: one clear line, exit code 2, nothing left


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ([], "data is not given: give --data, or data below [text] in a config file"),
        (["--data", "nowhere.txt"], "nowhere.txt: there is no such file; give the path of a text file in UTF-8"),
        (["--data", "."], ".: this is a folder; give the path of a text file in it"),
        (["--data", ""], ".: this is a folder; give the path of a text file in it"),
        (["--data", "pets.txt", "--valid", "nowhere.txt"], "nowhere.txt: there is no such file"),
        (["--data", "pets.txt", "--chunk-length", "9999"], "need 319969; give a longer text"),
        (["--data", "pets.txt", "--cell", "lsmt"], "there is no cell 'lsmt'; did you mean lstm? The cells are: rnn, "),
        (["--data", "pets.txt", "--cell", "gru", "--equations", "pets.txt"], "pets.txt, line 1: "),
        (["--data", "pets.txt", "--equations", "nowhere.txt"], "nowhere.txt: cannot be read: No such file"),
        (
            ["--data", "pets.txt", "--level", "words"],
            "--level words: did you mean word? It must be 'word', 'character', 'byte' or",
        ),
        (["--data", "pets.txt", "--epochs", "0"], "--epochs 0: it must be 1 or more"),
        (["--data", "pets.txt", "--epochs", "many"], "--epochs many: it must be a whole number"),
        (["--data", "pets.txt", "--dropout", "1"], "--dropout 1: it must be less than 1"),
        (["--data", "pets.txt", "--learning-rate", "inf"], "--learning-rate inf: it must be a finite number"),
        (["--data", "pets.txt", "--momentum", "0.9"], "momentum 0.9 has no effect with optimiser 'adamw'"),
        (["--data", "pets.txt", "--backend", "abacus"], "there is no backend 'abacus'; choose one of: auto, "),
        (["--data", "pets.txt", "--device", "cuda"], "device 'cuda' is asked for, but torch finds none here"),
        (["--data", "pets.txt", "--hidden-size", "3000000"], "GiB are free; make hidden_size, embedding_size"),
        (["--data", "pets.txt", "--lerning-rate", "1"], "there is no option --lerning-rate; did you mean --learning-"),
        (["--data", "pets.txt", "--frobnicate"], "there is no option --frobnicate (see `recurra train language-"),
        (["--data"], "option '--data' requires an argument"),
        (["--data", "pets.txt", "more"], "got unexpected extra argument(s) (more)"),
        (["--data", "pets.txt", "--out", "pets.txt"], "pets.txt: there is something here already; give another folder"),
        (["--data", "pets.txt", "--out", "."], ".: there is something here already"),
        (["--data", "pets.txt", "--out", "pets.txt/run"], "pets.txt/run: cannot be made: Not a directory"),
        (["--data", "pets.txt", "--out", "o" * 300], "File name too long"),
        (["--data", "pets.txt", "--config", "nowhere.toml"], "nowhere.toml: cannot be read: No such file or directory"),
        (["--data", "pets.txt", "--config", "pets.txt"], "pets.txt: this is not TOML: "),
        (["--data", "caf\udce9.txt"], "caf\\udce9.txt: there is no such file"),
    ],
)
def test_a_mistake_is_one_line(refused, pets, words, line):
    pets.write_text(pets.read_text() * 6)  # enough for the default settings
    lines = 4 if "--equations" in words and "pets.txt" in words[-1] else 1
    assert line in refused(*TRAIN, *words, lines=lines)


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"", "bad.txt: the file is empty; give a file with text in it"),
        (b" \n\n ", "bad.txt: the file holds nothing but white space (4 bytes)"),
        (b"ab\0cd" * 1000, "bad.txt: byte 2 (in line 1) is zero, as in a binary file"),
        (b"caf\xe9 " * 1000, "bad.txt: byte 3 (in line 1) is 0xe9, which is no UTF-8"),
        (b"\x1f\x8b\x08\0" * 100, "bad.txt: this is a gzip archive, not text in UTF-8; convert it: gzip -dc"),
        (b"too short for a chunk", "give a longer text, or --chunk-length at most"),
    ],
)
def test_a_text_that_is_none_is_one_line(refused, here, content, line):
    (here / "bad.txt").write_bytes(content)
    assert line in refused(*TRAIN, "--data", "bad.txt", "--batch-size", "2", "--out", "new/run")


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ("[model]\nhiden_size = 3\n", "my.toml: [model] there is no key 'hiden_size'; did you mean hidden_size?"),
        ("[modle]\n", "my.toml: there is no section 'modle'; did you mean model?"),
        ("epochs = 3\n", "my.toml: epochs is a key of [training]: write it below that line"),
        ("[training]\nepochs = 'x'\n", "my.toml: [training] epochs = 'x': it must be a whole number"),
        ('task = "translation"\n', "my.toml: it is for the task 'translation', not 'language-modelling'"),
        ("version = 7\n", "my.toml: it is of version 7, and this Recurra reads version 1"),
        ("[training\n", "my.toml: this is not TOML: "),
    ],
)
def test_a_mistake_in_the_config_file_is_one_line(refused, pets, here, content, line):
    (here / "my.toml").write_text(content)
    assert line in refused(*TRAIN, "--data", pets, "--config", "my.toml")


def test_a_mistake_in_the_equations_shows_the_place(refused, pets, here):
    (here / "mine.txt").write_text("a[t] = tanh(W @ x[t])\nh[t] = a[t] * hh[t-1]\n")
    shown = refused(*TRAIN, "--data", pets, "--equations", "mine.txt", lines=4).splitlines()
    assert shown[0].startswith("mine.txt, line 2: ")
    assert shown[1] == "    h[t] = a[t] * hh[t-1]"
    assert shown[2] == "                  ^^^^^^^"


def test_training_that_diverges_leaves_nothing_and_says_the_mends(refused, pets, tiny):
    flags = [*tiny, "--learning-rate", "1e38", "--optimiser", "sgd", "--clip-norm", "none", "--out", "new/run"]
    line = refused(*TRAIN, "--data", pets, *flags)
    assert "is not finite" in line or "the loss is" in line
    assert "try a lower learning_rate" in line


# Ctrl-C


def stop_at(monkeypatch, step, stop):
    told = Progress.on_step

    def on_step(self, event):
        told(self, event)
        if event.step == step:
            stop()

    monkeypatch.setattr(Progress, "on_step", on_step)


def test_ctrl_c_keeps_the_best_and_says_so(recurra, pets, tiny, monkeypatch, ctrl_c):
    stop_at(monkeypatch, 5, ctrl_c)
    done = recurra(*TRAIN, "--data", pets, "--validate-every", "3", *tiny)
    assert done.code == 130
    assert done.err == ""
    assert "stopped by Ctrl-C after 5 steps" in done.out
    assert "kept are the weights of step 3" in done.out
    assert "The run is kept in runs/language-modelling. To try next:" in done.out
    assert recurra("sample", "runs/language-modelling", "--length", "3").code == 0


def test_ctrl_c_before_the_first_step_leaves_nothing(recurra, pets, here, tiny, monkeypatch):
    def on_start(self, start):
        raise KeyboardInterrupt

    monkeypatch.setattr(Progress, "on_start", on_start)
    done = recurra(*TRAIN, "--data", pets, *tiny)
    assert done.code == 130
    assert "Nothing was learned yet, so nothing is kept." in done.out
    assert names(here) == ["pets.txt"]


def test_ctrl_c_while_the_text_is_read_leaves_nothing(recurra, pets, here, tiny, monkeypatch):
    def read(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("recurra.data.texts.read_text", read)
    done = recurra(*TRAIN, "--data", pets, *tiny)
    assert (done.code, done.out, done.err) == (130, "", "\nrecurra: stopped\n")
    assert names(here) == ["pets.txt"]


PROGRAM = [sys.executable, "-m", "recurra"]

HEARS_CTRL_C = """\
import signal, sys
from recurra.cli.app import main
signal.signal(signal.SIGINT, signal.default_int_handler)  # whatever the tests were started with
sys.exit(main(sys.argv[1:]))
"""


def shown_until(terminal, mark=None):
    """What is written to a terminal until a mark is, or until the end; nothing for two minutes is a failure."""
    shown = b""
    while mark is None or mark not in shown:
        assert select.select([terminal], [], [], 120)[0], f"nothing is written any more after {shown[-500:]!r}"
        try:
            shown += os.read(terminal, 65536)
        except OSError:  # what a terminal says when nobody writes to it any more
            break
    return shown.decode(errors="replace")


def test_ctrl_c_in_a_terminal_leaves_it_clean(pets, here, tiny):
    """A process of its own with a terminal: the display is closed, the cursor is back, the run can be used."""
    words = [*TRAIN, "--data", "pets.txt", "--max-minutes", "4", "--validate-every", "20", "--out", "run"]
    words += ["--epochs", "999999", *tiny[: tiny.index("--epochs")]]
    environment = os.environ | {"TERM": "xterm", "COLUMNS": "80", "LINES": "24"}
    ours, theirs = os.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", HEARS_CTRL_C, *words], stdin=theirs, stdout=theirs, stderr=theirs, env=environment
    )
    os.close(theirs)
    try:
        text = shown_until(ours, b"a sample after")
        process.send_signal(signal.SIGINT)
        text += shown_until(ours)
        assert process.wait(60) == 130
    finally:
        process.kill()
        process.wait()
        os.close(ours)
    assert "stopped by Ctrl-C after" in " ".join(text.split())
    assert "To try next:" in text
    assert "Traceback" not in text
    assert text.count("\x1b[?25l") == text.count("\x1b[?25h") == 1  # the cursor went, and is back
    assert library.load(here / "run").sample(3, seed=0)


@pytest.mark.parametrize("words", [[*TRAIN, "--data", "pets.txt", "--batch-size", "2", "--out", "new/run"], ["--help"]])
def test_a_reader_that_goes_away_ends_a_command_quietly(pets, here, words):
    """`recurra train ... | head`: whoever reads is gone before the first line."""
    process = subprocess.Popen([*PROGRAM, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    process.stdout.close()
    errors = process.stderr.read()
    process.stderr.close()
    assert (process.wait(), errors) == (1, "")
    assert names(here) == ["pets.txt"]


# The screen


@pytest.mark.parametrize("columns", ["80", "120"])
def test_a_log_file_gets_plain_lines(recurra, pets, tiny, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", columns)
    monkeypatch.setenv("FORCE_COLOR", "1")
    out = recurra(*TRAIN, "--data", pets, *tiny).out
    assert "\x1b[?25l" not in out
    lines = out.splitlines()
    assert lines[0] == "run runs/language-modelling"
    assert " to train on, " in lines[1]
    assert lines[2].startswith("training ")
    assert any(line.startswith("validation  step") for line in lines)
    assert any(line.startswith("finished after ") for line in lines)


def test_samples_can_be_left_out(recurra, pets, tiny):
    assert "a sample after" not in recurra(*TRAIN, "--data", pets, *tiny, "--no-samples").out
