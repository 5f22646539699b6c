import io
import json
import math
import re

import pytest
from rich.console import Console

import recurra as library
from recurra.cli.score import _print_whole, _table
from recurra.tasks.score import Score, ScoredUnit


def rows(out):
    """The rows of the table: unit, probability, bits."""
    lines = out.partition("\n\n")[0].splitlines()
    return [re.split(r"\s{2,}", line.strip())[:3] for line in lines[1:]]


def test_each_word_and_the_whole_are_shown(recurra, trained):
    done = recurra("score", trained / "words", "the cat sat")
    assert (done.code, done.err) == (0, "")
    score = library.load(trained / "words").score("the cat sat")
    assert [row[0] for row in rows(done.out)] == ["the", "cat", "sat", "<EOS>"]
    for row, unit in zip(rows(done.out), score.units, strict=True):
        assert float(row[1]) == pytest.approx(math.exp(unit.log_probability), rel=5e-3)
        assert float(row[2]) == pytest.approx(-unit.log_probability / math.log(2), abs=6e-3)
    assert f"log10 {score.log_probability / math.log(10):.3f}" in done.out
    assert f"{score.perplexity:.2f}" in done.out
    assert "a word, over 4 of them" in done.out


def test_a_model_of_characters_shows_words_or_if_asked_each_character(recurra, trained):
    words = recurra("score", trained / "stream", "the cat").out
    assert [row[0] for row in rows(words)] == ["the", "cat"]
    units = recurra("score", trained / "stream", "the cat", "--units").out
    assert [row[0] for row in rows(units)] == list("the␣cat")
    assert words.partition("\n\n")[2] == units.partition("\n\n")[2]
    product = math.prod(float(row[1]) for row in rows(words))
    assert product == pytest.approx(math.prod(float(row[1]) for row in rows(units)), rel=0.05)


def test_unknown_words_are_marked(recurra, trained):
    out = recurra("score", trained / "words", "the emu sat").out
    assert [row[0] for row in rows(out)] == ["the", "emu*", "sat", "<EOS>"]
    assert "* not in the vocabulary: scored as <UNK>" in out


def test_standard_input_is_read(recurra, trained, standard_input):
    standard_input(b"the cat\r\n")
    from_input = recurra("score", trained / "stream", "-")
    assert from_input.code == 0
    assert from_input.out == recurra("score", trained / "stream", "the cat").out


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"", "the text is empty; give at least one word"),
        (b"\n", "the text is empty; give at least one word"),
        (b"caf\xe9", "standard input: byte 3 is no UTF-8; give text in UTF-8"),
        (None, "standard input is closed; give the text as an argument"),
    ],
)
def test_an_input_of_nothing_or_no_text_is_one_line(refused, trained, standard_input, content, line):
    standard_input(content)
    assert refused("score", trained / "words", "-") == line


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["words", ""], "the text is empty"),
        (["words", " "], "the text is empty"),
        (["stream", ""], "the text is empty"),
        (["lines", "\n"], "the text is empty"),
        (["stream", "caf\udce9"], "character 4 of the text is the lone surrogate U+DCE9"),
        (["nowhere", "x"], "nowhere: there is no such folder; give the folder of a run"),
        ([".", "x"], "there is no config.toml in it; give the folder of a run"),
        (["pets.txt", "x"], "pets.txt: there is no such folder"),
    ],
)
def test_a_mistake_is_one_line(refused, trained, words, line):
    assert line in refused("score", trained / words[0], *words[1:])


def test_a_long_text_has_a_probability_below_all_floats(recurra, trained):
    out = recurra("score", trained / "stream", "the cat sat " * 100).out
    assert re.search(r"probability +\d\.\d\de-\d{3,} ", out)


@pytest.mark.parametrize("value", [math.nan, -math.inf, 0.0, 1e-9])
def test_a_probability_that_is_no_number_zero_or_one_is_shown(value):
    parts = [ScoredUnit("cat", value), ScoredUnit("sat", -1.0), ScoredUnit("the", None)]
    console = Console(width=80, file=io.StringIO())
    console.print(_table(parts, units=False, console=console))
    words = console.file.getvalue().splitlines()[1].split()[:3]
    assert words == ["cat", *(["nan", "nan"] if math.isnan(value) else ["0", "inf"] if value < 0 else ["1", "0.00"])]


def test_the_whole_of_what_is_certain_has_no_minus(capsys):
    score = Score((ScoredUnit("a", -1e-12),), (ScoredUnit("a", -1e-12),))
    _print_whole(score, "character", Console(width=80))
    assert "-0" not in capsys.readouterr().out


@pytest.mark.parametrize("columns", [20, 30, 40, 60, 80])
def test_a_narrow_window_keeps_the_words_and_shortens_the_bars(recurra, trained, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", str(columns))
    lines = recurra("score", trained / "words", "the cat sat").out.splitlines()
    assert [line.split()[0] for line in lines[1:5]] == ["the", "cat", "sat", "<EOS>"]
    assert ("█" in "".join(lines)) == (columns > 30)
    assert max(map(len, lines)) <= columns


@pytest.mark.parametrize("columns", [60, 80, 120])
def test_the_table_fits_the_window(recurra, trained, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", str(columns))
    out = recurra("score", trained / "words", "the " + "verylongword" * 20 + " sat").out
    assert max(map(len, out.splitlines())) <= columns


# Many


LINES = ["the cat sat", "", "a dog", "the emu sat on the mat and the mat", " "]


def values(out):
    return [line.split("\t") for line in out.splitlines()]


@pytest.mark.parametrize("name", ["words", "stream", "lines"])
def test_each_line_has_its_score_in_its_place(recurra, trained, here, name):
    (here / "lines.txt").write_text("\n".join(LINES))
    done = recurra("score", trained / name, "--input", here / "lines.txt")
    assert done.code == 0
    model = library.load(trained / name)
    assert [text for _, text in values(done.out)] == LINES
    for (figure, text), line in zip(values(done.out), LINES, strict=True):
        known = bool(line.strip()) or (name == "stream" and line)
        assert figure == (f"{model.score(text).log_probability:.4f}" if known else "-")
    missing = "line 2" if name == "stream" else "lines 2, 5"
    assert done.err == f"nothing to score in {missing}\n"


def test_objects_say_the_same(recurra, trained, standard_input):
    standard_input("\n".join(LINES).encode())
    done = recurra("score", trained / "words", "--input", "-", "--json")
    objects = [json.loads(line) for line in done.out.splitlines()]
    assert [each["text"] for each in objects] == LINES
    alone = json.loads(recurra("score", trained / "words", LINES[0], "--json").out)
    assert list(objects[0]) == list(alone) == ["text", "log_probability", "perplexity", "bits", "count"]
    assert [*objects[0].values()][1:] == pytest.approx([*alone.values()][1:], rel=1e-6)
    assert objects[1] == {
        "text": "",
        **dict.fromkeys(["log_probability", "perplexity", "bits", "count"]),
        "error": "there is nothing to score: it is empty, or one unit with nothing to read before it",
    }
    [line] = recurra("score", trained / "words", "the emu", "--json", "--units").out.splitlines()
    units = json.loads(line)["units"]
    assert [(unit["text"], unit["unknown"]) for unit in units] == [("the", False), ("emu", True), ("<EOS>", False)]
    assert sum(unit["log_probability"] for unit in units) == pytest.approx(json.loads(line)["log_probability"])


def test_a_line_that_is_no_text_is_answered_in_its_place_and_said_at_the_end(recurra, trained, here):
    (here / "lines.txt").write_bytes(b"the cat\ncaf\xe9\nthe dog\n")
    done = recurra("score", trained / "words", "--input", here / "lines.txt")
    assert done.code == 2
    assert [text for _, text in values(done.out)] == ["the cat", "", "the dog"]
    assert [figure == "-" for figure, _ in values(done.out)] == [False, True, False]
    assert re.fullmatch(r"recurra: .*lines.txt:2: byte 4 of the line is 0xe9.*answered without a score\n", done.err)


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ([], "give a text or --input FILE"),
        (["the cat", "--input", "-"], "give a text or --input FILE, not both"),
        (["--input", "nowhere.txt"], "nowhere.txt: there is no such file"),
        (["--input", "."], "this is a folder"),
    ],
)
def test_one_thing_is_scored(refused, trained, words, line):
    assert line in refused("score", trained / "words", *words)


def test_a_file_of_nothing_has_no_answers(recurra, trained, here):
    (here / "lines.txt").write_text("")
    done = recurra("score", trained / "words", "--input", here / "lines.txt")
    assert (done.code, done.out, done.err) == (0, "", "")
