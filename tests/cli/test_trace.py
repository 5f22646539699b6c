"""`recurra predict --format trace, html, png`: in the terminal, and as files."""

import pytest

from recurra import train
from recurra.tasks import TASKS


@pytest.fixture(scope="module")
def reviews(tmp_path_factory):
    """A run of sentiment classification."""
    folder = tmp_path_factory.mktemp("reviews")
    settings = TASKS["sentiment-classification"].example(folder)
    train("sentiment-classification", **settings, out=folder / "run", show=False)
    return folder / "run"


def test_a_trace_of_each_text(recurra, reviews):
    done = recurra("predict", reviews, "--text", "So superb.", "--text", "", "--format", "trace")
    assert done.code == 0
    assert done.out.count("→") == 2
    assert [line.split()[0] for line in done.out.splitlines()[1:3]] == ["word", "(before)"]


def test_a_page_and_a_picture_are_files(recurra, reviews, here):
    for name, begins in (("html", b"<!DOCTYPE html>"), ("png", b"\x89PNG")):
        out = here / f"trace.{name}"
        assert recurra("predict", reviews, "--text", "So superb.", "--format", name, "--out", out).code == 0
        assert out.read_bytes().startswith(begins)


def test_a_picture_is_not_printed_on_a_terminal(recurra, reviews, monkeypatch):
    monkeypatch.setattr("rich.console.Console.is_terminal", True)
    done = recurra("predict", reviews, "--text", "So superb.", "--format", "png")
    assert (done.code, done.out) == (2, "")
    assert "which a terminal does not show" in done.err


def test_a_picture_can_be_sent_on(reviews, capfdbinary):
    from recurra.cli.app import main

    assert main(["predict", str(reviews), "--text", "So superb.", "--format", "png"]) == 0
    assert capfdbinary.readouterr().out.startswith(b"\x89PNG")
