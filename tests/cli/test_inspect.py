import json
import re
import sys

import pytest
import torch

import recurra as library
from recurra.cli.shades import BLUES, REDS


def rows(out):
    """The units, and row by row the numbers of the table."""
    lines = out.splitlines()
    found = [line.split() for line in lines[2:] if re.fullmatch(r"\S+( +-?\d+\.\d+)+", line)]
    return [int(word) for word in lines[1].split()[1:]], [(row[0], [float(n) for n in row[1:]]) for row in found]


def test_the_values_over_the_words_are_shown_the_most_selective_first(recurra, trained):
    done = recurra("inspect", trained / "words", "--text", "the cat sat")
    assert (done.code, done.err) == (0, "")
    units, shown = rows(done.out)
    assert [name for name, _ in shown] == ["the", "cat", "sat", "selectivity", "persistence"]
    run = library.load(trained / "words")
    tokens = torch.tensor([[run.start, *run.vocabulary.encode("the cat sat")]])
    h = run.model.recurrent.trace(run.model.embedding(tokens)).layers[0]["h"][0, 1:].detach()
    for (_, numbers), values in zip(shown, h, strict=False):
        assert numbers == pytest.approx(values[units].tolist(), abs=0.006)
    selectivity = shown[3][1]
    assert selectivity == sorted(selectivity, reverse=True)


@pytest.mark.parametrize(("run", "tokens"), [("stream", list("a␣cat")), ("lines", list("a␣cat") * 2)])
def test_characters_are_shown_and_each_line_of_a_model_of_sentences(recurra, trained, run, tokens):
    text = "a cat" if run == "stream" else "a cat\na cat\n"
    _, shown = rows(recurra("inspect", trained / run, "--text", text).out)
    assert [name for name, _ in shown][:-2] == tokens
    if run == "lines":
        assert shown[:5] == shown[5:10]


def test_unknown_words_are_marked_and_a_line_of_a_stream_is_a_token(recurra, trained):
    out = recurra("inspect", trained / "words", "--text", "the emu\nsat").out
    assert [name for name, _ in rows(out)[1]][:4] == ["the", "emu*", "<EOS>", "sat"]
    assert "* not in the vocabulary" in out


def test_a_long_text_is_cut_in_the_table_and_not_in_the_file(recurra, trained, here):
    out = recurra("inspect", trained / "stream", "--text", "the cat sat " * 50, "--json", "all.json").out
    assert len(rows(out)[1]) == 202
    assert "the first 200 of 600 tokens" in out
    content = json.loads((here / "all.json").read_text())
    assert [len(content["tokens"]), len(content["units"])] == [600, 6]
    assert content["value"] == "h"


@pytest.mark.parametrize("columns", [20, 30, 80, 200])
def test_the_table_fits_the_window(recurra, trained, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", str(columns))
    text = "the " + "verylongword" * 9 + " sat\x1b[2J"
    out = recurra("inspect", trained / "words", "--text", text, "--units", "6").out
    assert max(map(len, out.splitlines())) <= columns
    assert "\x1b" not in out
    assert ("units asked for fit" in " ".join(out.split())) is (columns < 50)


def test_colours_say_how_large_a_value_is(recurra, trained, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLORTERM", "truecolor")
    out = recurra("inspect", trained / "words", "--text", "the cat sat").out
    assert re.search(r"\x1b\[[\d;]*48;2;\d+;\d+;\d+m +-?\d\.\d\d", out)
    monkeypatch.setenv("COLORTERM", "")
    monkeypatch.setenv("TERM", "xterm-256color")
    out = recurra("inspect", trained / "words", "--text", "the cat sat").out
    assert set(re.findall(r"48;5;(\d+)m", out)) <= {str(n) for ramp in (REDS, BLUES) for n in ramp}
    assert "48;5;" in out
    monkeypatch.setenv("TERM", "xterm")
    out = recurra("inspect", trained / "words", "--text", "the cat sat").out
    assert re.search(r"\x1b\[(30|97);(4\d|10\d)m", out)
    assert "48;" not in out


@pytest.mark.parametrize(("name", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_without_colours_there_are_no_shades(recurra, trained, monkeypatch, name, value):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv(name, value)
    out = recurra("inspect", trained / "words", "--text", "the cat sat").out
    assert not re.search(r"\x1b\[[\d;]*(38|48|3\d|4\d|9\d|10\d)[;m]", out)


def test_pictures_and_figures_are_written(recurra, trained, here):
    done = recurra("inspect", trained / "words", "--text", "the cat sat", "--plot", "map.png", "--json", "map.json")
    assert (done.code, done.out.splitlines()[-1]) == (0, "Written: map.png and map.json")
    done = recurra("inspect", trained / "words", "--gradients", "--plot", "flow.svg", "--json", "flow.json")
    assert (done.code, done.out.splitlines()[-1]) == (0, "Written: flow.svg and flow.json")
    assert (here / "map.png").read_bytes().startswith(b"\x89PNG")
    assert b"<svg" in (here / "flow.svg").read_bytes()
    assert json.loads((here / "flow.json").read_text())["verdict"] in {"healthy", "vanishing", "exploding"}


@pytest.mark.parametrize("run", ["stream", "words", "lines"])
def test_the_gradient_is_followed_over_texts_of_the_models_own(recurra, trained, run):
    done = recurra("inspect", trained / run, "--gradients", "--steps", "30")
    assert (done.code, done.err) == (0, "")
    assert "that the model wrote" in " ".join(done.out.split())
    assert re.search(r"^layer 1 \(rnn\): (healthy|vanishing|exploding)", done.out, re.MULTILINE)
    assert re.search(r"^  dL/dh +\d", done.out, re.MULTILINE)
    assert re.search(r"^  h\[t\] +\d+% +\d+%$", done.out, re.MULTILINE)
    assert recurra("inspect", trained / run, "--gradients", "--steps", "30").out == done.out


def test_the_gradient_is_followed_over_a_text(recurra, trained, standard_input):
    text = "the cat sat on the mat"
    out = recurra("inspect", trained / "stream", "--gradients", "--text", text, "--steps", "8").out
    assert "3 texts of up to 8 characters" in out
    standard_input(text.encode())
    assert recurra("inspect", trained / "stream", "--gradients", "--text", "-", "--steps", "8").out == out


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ([], 'nothing is asked for; give --text "..." to see a gate or state, or --gradients'),
        (["--text", ""], "the text is empty; give at least one word"),
        (["--text", "a", "--value", "update"], "the cell has no value 'update'; its values are: h"),
        (["--text", "a", "--layer", "2"], "there is no layer 2; the model has 1, counted from 1"),
        (["--text", "a", "--units", "0"], "units is 0; it must be 1 or more"),
        (["--text", "a", "--steps", "9"], "--steps says nothing without --gradients; leave it out"),
        (["--gradients", "--value", "h"], "--value says nothing with --gradients; leave it out"),
        (["--gradients", "--steps", "0"], "steps is 0; it must be 1 or more"),
        (["--text", "a", "--plot", "a.gif"], "a.gif: a picture's name ends in one of .png, .pdf, .svg"),
        (
            ["--text", "a", "--plot", "a.png", "--json", "./a.png"],
            "a.png: --plot and --json name the same file; give two",
        ),
        (
            ["--text", "a", "--json", "no/a.json"],
            "no/a.json: cannot be written (No such file or directory); give a file in a folder that exists "
            "and is yours to write",
        ),
        (["--text", "a", "--json", "."], ".: this is a folder; give the name of a file"),
        (["--text", "a", "--json", ""], ".: this is a folder; give the name of a file"),
        (
            ["--gradients", "--plot", "no/a.png"],
            "no/a.png: cannot be written (No such file or directory); give a file in a folder that exists and is yours "
            "to write",
        ),
    ],
)
def test_a_mistake_is_one_line(refused, trained, words, line):
    assert refused("inspect", trained / "words", *words) == line


def test_a_picture_without_its_library_is_one_line(refused, trained, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    line = refused("inspect", trained / "words", "--text", "a", "--plot", "a.png")
    assert line.startswith("a picture needs matplotlib, which is not installed: ")
    assert line.endswith("pip install matplotlib")
