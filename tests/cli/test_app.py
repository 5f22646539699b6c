import subprocess
import sys

import pytest

import recurra as library
from recurra.cli import app
from recurra.cli.app import COMMANDS

PROGRAM = [sys.executable, "-m", "recurra"]


def test_the_version_is_told(recurra):
    done = recurra("--version")
    assert (done.code, done.out, done.err) == (0, f"recurra {library.__version__}\n", "")


@pytest.mark.parametrize("words", [[], ["train"]])
def test_a_command_that_is_missing_shows_those_there_are(recurra, words):
    done = recurra(*words)
    assert (done.code, done.out) == (2, "")
    assert done.err == recurra(*words, "--help").out
    assert all(name in done.err for name in (COMMANDS if not words else ["language-modelling"]))


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["trian"], "there is no command 'trian'; did you mean train? (see `recurra --help`)"),
        (["frobnicate"], "there is no command 'frobnicate' (see `recurra --help`)"),
        (
            ["train", "language-modeling"],
            "there is no command 'language-modeling'; did you mean language-modelling?",
        ),
        (["--verion"], "there is no option --verion; did you mean --version? (see `recurra --help`)"),
        (["-x"], "there is no option -x (see `recurra --help`)"),
        (["train", "language-modelling", "--lr", "1"], "there is no option --lr; did you mean --learning-rate?"),
        (["range-test", "language-modelling", "--out", "o"], "there is no option --out (see `recurra range-test"),
        (
            ["score", "run", "-5 degrees"],
            "there is no option -5; if it is a text, put -- before it: -- '-5 degrees' (see",
        ),
        (["cells", "--hidden-size", "x"], "invalid value for '--hidden-size': it should be a valid integer (see"),
        (["evaluate", "a\x1b[2Jb"], "a␛[2Jb: there is no such folder"),
        (["evaluate", "a\nb"], r"a\nb: there is no such folder"),
        (["score"], "missing argument 'RUN' (see `recurra score --help`)"),
        (["cells", "--hidden-size", "0"], "invalid value for '--hidden-size': "),
        (["cells", "--hidden-size"], "option '--hidden-size' requires an argument"),
    ],
)
def test_a_mistake_in_the_words_is_one_line(refused, words, line):
    assert line in refused(*words)


@pytest.mark.parametrize("size", ["0", "00"])
def test_a_window_without_size_is_disregarded(recurra, monkeypatch, size):
    monkeypatch.setenv("COLUMNS", size)
    monkeypatch.setenv("LINES", size)
    assert recurra("trian").err.startswith("recurra: there is no command 'trian'")
    assert "Simple recurrent network" in recurra("cells").out


def failing(monkeypatch, error):
    def fail(*words, **given):
        raise error

    monkeypatch.setattr(app, "_run", fail)


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (PermissionError(13, "Permission denied", "/root/x"), "/root/x: Permission denied"),
        (OSError(28, "No space left on device"), "No space left on device"),
        (MemoryError(), "there is not enough memory for this: make the model, its batches or the length smaller"),
    ],
)
def test_what_the_machine_refuses_is_one_line(refused, monkeypatch, error, line):
    failing(monkeypatch, error)
    assert refused("cells") == line


def test_a_fault_of_ours_is_not_hidden(monkeypatch):
    failing(monkeypatch, RuntimeError("a fault"))
    with pytest.raises(RuntimeError, match="a fault"):
        app.main(["cells"])


@pytest.mark.parametrize("command", [[], ["train"], ["train", "language-modelling"], *([name] for name in COMMANDS)])
@pytest.mark.parametrize("columns", [40, 80, 120, 300])
def test_help_is_as_wide_as_the_window_and_can_be_read(recurra, monkeypatch, command, columns):
    monkeypatch.setenv("COLUMNS", str(columns))
    done = recurra(*command, "-h")
    assert (done.code, done.err) == (0, "")
    lines = done.out.splitlines()
    assert lines[0].startswith(" ".join(["Usage: recurra", *command]))
    assert max(map(len, lines)) <= max(min(columns, 100), 48)
    assert lines == [line.rstrip() for line in lines]
    assert "\x1b" not in done.out


def test_help_says_sections_defaults_and_choices(recurra):
    text = recurra("train", "language-modelling", "--help").out
    order = [line for line in text.splitlines() if line and line[0] != " "]
    assert order[-5:] == ["Options", "Text", "Batches", "Model", "Training"]
    words = " ".join(text.split())
    assert "--hidden-size N Width of the recurrent layers. [256]" in words
    assert "--[no-]tie-weights Share the embedding's weights" in words
    assert "One of adam, adamw, sgd, rmsprop, asgd. [adamw]" in words
    assert "none switches it off. [1]" in words
    assert "[required, unless the config file has it]" in words


def test_streams_that_are_closed_are_no_fault(here):
    """In a process of its own: a shell may start a command without input and output."""
    line = f"{' '.join(PROGRAM)} cells gru <&- >&-"
    done = subprocess.run(["sh", "-c", line], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_terminal_that_knows_ascii_only_gets_what_it_knows(trained):
    """In a process of its own, whose streams have another encoding."""
    words = ["score", str(trained / "stream"), "née ☃"]
    done = subprocess.run([*PROGRAM, *words], capture_output=True, env={"PYTHONIOENCODING": "ascii"}, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"#" in done.stdout
    assert done.stdout.isascii()
