"""The command line in this process, and a language model to try it on."""

import io
import signal
import sys

import pytest

from recurra.cli.app import main

PETS = "the cat sat on the mat\nthe dog sat on the log\na cat and a dog sat\n"
TINY = ["--cell", "rnn", "--embedding-size", "4", "--hidden-size", "6", "--batch-size", "4", "--chunk-length", "5"]
TINY += ["--epochs", "1"]


class Outcome:
    """What a command returned and wrote."""

    def __init__(self, code, out, err):
        self.code, self.out, self.err = code, out, err


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """Every command runs in an empty folder, in a window of 80 columns."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    for name in ("NO_COLOR", "FORCE_COLOR", "TERM"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.fixture
def recurra(capsys):
    """Runs a command line; a mistake must come with exit code 2, a message on standard error, and no traceback."""

    def recurra(*words):
        capsys.readouterr()
        code = main([str(word) for word in words])
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err
        return Outcome(code, captured.out, captured.err)

    return recurra


@pytest.fixture
def refused(recurra, here):
    """Runs a command line that is a mistake; returns the one line that says so, and nothing is left behind."""

    def refused(*words, lines=1):
        before = sorted(here.rglob("*"))
        outcome = recurra(*words)
        assert outcome.code == 2, outcome.out + outcome.err
        assert outcome.err.startswith("recurra: ")
        assert outcome.err.count("\n") == lines, outcome.err
        assert sorted(here.rglob("*")) == before
        return outcome.err.removeprefix("recurra: ").rstrip("\n")

    return refused


@pytest.fixture
def tiny():
    """Flags of a model that is trained in a moment."""
    return TINY


@pytest.fixture
def pets(here):
    """A text file."""
    path = here / "pets.txt"
    path.write_text(PETS * 8)
    return path


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """Runs at word and character level, made once: their folders."""
    folder = tmp_path_factory.mktemp("trained")
    (folder / "pets.txt").write_text(PETS * 8)
    runs = {"stream": ["--level", "character"], "words": ["--level", "word"], "lines": ["--sentences"]}
    for name, flags in runs.items():
        words = ["train", "language-modelling", "--data", folder / "pets.txt", "--out", folder / name, *TINY, *flags]
        assert main([str(word) for word in words]) == 0
    return folder


@pytest.fixture
def standard_input(monkeypatch):
    """Gives commands an input of bytes."""

    def standard_input(content):
        monkeypatch.setattr(sys, "stdin", None if content is None else io.TextIOWrapper(io.BytesIO(content)))

    return standard_input


@pytest.fixture
def ctrl_c():
    """What Ctrl-C does to a plain Python program, whatever runs the tests."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield lambda: signal.raise_signal(signal.SIGINT)
    signal.signal(signal.SIGINT, before)
