"""The reading trace of texts: it is what predict says of the first words, and every format shows it."""

import re
from html.parser import HTMLParser
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.text import Text

import recurra as library
from recurra.inspection.reading import Reading
from recurra.tasks.classified import Classified
from recurra.tasks.reading_output import reading_formats
from recurra.tasks.sentiment_classification import SENTIMENT_CLASSIFICATION as TASK
from recurra.tasks.sentiment_reading import reading

SO_FAR = [(0.45, 0.55), (0.9, 0.1), (0.12, 0.88), (0.0625, 0.9375)]
READING = Reading(["It", "is", "superb", "."], ["bad", "excellent"], (0.4, 0.6), SO_FAR, SO_FAR[::-1], one_pass=True)
GOOD = Classified("excellent", (0.0625, 0.9375), ("bad", "excellent"), 1.0)
EMPTY = Reading([], ["bad", "excellent"], (0.4, 0.6), [], [], one_pass=False)
FORMATS = reading_formats(lambda run, example: example)


def written(name, readings):
    pieces = FORMATS[name](SimpleNamespace(), iter([(reading, GOOD) for reading in readings]))
    return "".join(piece.plain if isinstance(piece, Text) else piece for piece in pieces)


@pytest.fixture(params=[True, False], ids=["both directions", "forward"], scope="module")
def run(request, tmp_path_factory):
    """A run trained on the use's example."""
    folder = tmp_path_factory.mktemp("reviews")
    settings = TASK.example(folder) | {"epochs": 4, "bidirectional": request.param}
    return library.train(TASK.name, **settings, out=folder / "run", show=False)


# It is exact


def test_after_each_word_it_is_what_predict_says_of_the_words_so_far(run):
    words = ["The", "film", "is", "dull", ",", "but", "the", "music", "was", "n't", "superb", "zzxqv", "."]
    text = "The film is dull, but the music wasn't superb zzxqv."
    traced = reading(run, text)
    assert list(traced.steps) == words
    assert traced.one_pass is not run.config.model.bidirectional
    place = 0
    for number, word in enumerate(words):
        place = text.index(word, place) + len(word)
        answer = run.predict(text[:place])
        assert traced.so_far[number] == pytest.approx(answer.probabilities, abs=1e-6)
    assert max(traced.changes) > 0.02
    for number in range(len(words)):
        left = " ".join(word for other, word in enumerate(words) if other != number).replace(" n't", "n't")
        if words[number] not in {"was", "n't"}:  # alone, n't would be other words
            assert traced.without[number] == pytest.approx(run.predict(left).probabilities, abs=1e-6)


def test_of_a_long_text_it_traces_the_words_that_are_read(run, tmp_path):
    config = run.config.model_copy(update={"texts": run.config.texts.model_copy(update={"longest": 4})})
    short = type(run)(run.task, config, run.assets, run.model)
    traced = reading(short, "The film is really so very dull today.")
    assert list(traced.steps) == ["The", "film", "today", "."]
    assert traced.so_far[-1] == pytest.approx(short.predict("The film is really so very dull today.").probabilities)


def test_a_text_without_words_has_no_steps(run):
    traced = reading(run, "  ")
    assert (list(traced.steps), traced.turn) == ([], None)
    assert traced.before == pytest.approx([0.5, 0.5], abs=0.05)


# On a terminal


def test_a_line_a_word_and_the_word_that_turned_it_is_marked():
    lines = written("trace", [READING]).splitlines()
    assert lines[0] == "→ excellent 93.8%  read forward once"
    assert lines[1].split() == ["word", "so", "far", "change", "without"]
    figures = [[part for part in line.split() if not set(part) <= set("█▏▎▍▌▋▊▉")] for line in lines[2:]]
    assert figures == [
        ["(before)", "60.0%"],
        ["It", "55.0%", "-5.0", "93.8%"],
        ["is", "10.0%", "-45.0", "88.0%"],
        ["▶", "superb", "88.0%", "+78.0", "10.0%"],
        [".", "93.8%", "+5.8", "55.0%"],
    ]
    assert written("trace", [READING, EMPTY]).splitlines()[-2:] == ["", "→ excellent 93.8%  no words"]


def test_of_several_classes_it_says_which_leads():
    so_far = [(0.5, 0.3, 0.2), (0.1, 0.7, 0.2)]
    several = Reading(["a", "b"], ["x", "y", "z"], (0.2, 0.3, 0.5), so_far, so_far, one_pass=True)
    lines = written("trace", [several]).splitlines()
    assert [line.split()[-1] for line in lines[1:2] + lines[3:]] == ["leads", "x", "y"]


def test_an_encoding_without_blocks_has_other_signs(monkeypatch):
    monkeypatch.setattr("sys.stdout", SimpleNamespace(encoding="ascii", isatty=lambda: False))
    lines = written("trace", [READING]).splitlines()
    assert lines[5].startswith("> superb")
    assert "#####" in lines[5]
    assert not set("▶█▌") & set("".join(lines))


@pytest.mark.parametrize("width", [60, 80, 120])
def test_it_fits_the_window(width, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setattr("rich.console.Console.is_terminal", True)
    long = Reading(["w" * 90, "素晴らしい" * 9], READING.names, READING.before, SO_FAR[:2], SO_FAR[:2], one_pass=True)
    for line in written("trace", [long, READING]).splitlines():
        assert cell_len(line) <= width


@given(st.text(min_size=1))
def test_no_word_steers_the_terminal_or_begins_a_line(word):
    strange = Reading([word], READING.names, READING.before, SO_FAR[:1], SO_FAR[:1], one_pass=True)
    shown = written("trace", [strange])
    assert len(shown.splitlines()) == 4
    assert not set(map(chr, [*range(32), *range(127, 160)])) - {"\n"} & set(shown)


# A page


class Checked(HTMLParser):
    """The tags of a page, each closed in its order, and its text."""

    def __init__(self, page):
        super().__init__()
        self.open, self.text = [], ""
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        if tag not in {"meta", "line", "rect", "circle", "polyline"}:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in {"line", "rect", "circle", "polyline"} or self.open[-1] == tag:
            assert self.open.pop() == tag

    def handle_startendtag(self, tag, attributes):
        pass

    def handle_data(self, data):
        self.text += data


@given(st.text(min_size=1))
def test_a_page_is_whole_and_fetches_and_runs_nothing(word):
    strange = Reading([word, "b"], READING.names, READING.before, SO_FAR[:2], SO_FAR[:2], one_pass=False)
    page = written("html", [strange, EMPTY, READING])
    whole = re.sub(r"<circle([^>]*[^/])>(.*?)</circle>", r"<g\1>\2</g>", page, flags=re.DOTALL)
    assert Checked(whole).open == []
    assert "3 texts" in page
    assert "<script" not in page
    assert not re.search(r"(href|src|url)\s*[=(]", page)
    assert page.count('class="turn"') == 2 + 2 * (strange.turn is not None)


def test_the_page_marks_the_word_that_turned_the_answer():
    page = written("html", [READING])
    assert re.search(r'<mark class="turn"[^>]*title="superb: 88.0% so far \(\+78.0\), 10.0% without it">superb<', page)
    assert "prefers-color-scheme: dark" in page


# A picture


def test_the_picture_is_png_and_of_nothing_none_is_drawn():
    [content] = FORMATS["png"](None, iter([(READING, GOOD)] * 14))
    assert content[1:4] == b"PNG"
    [one] = FORMATS["png"](None, iter([(EMPTY, GOOD)]))
    assert one[1:4] == b"PNG"
    assert list(FORMATS["png"](None, iter([]))) == []
