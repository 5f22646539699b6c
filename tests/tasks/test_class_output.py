"""The formats of classified texts: a line each that nothing steers, a table that has what was read and can be read."""

import csv
import io
from dataclasses import replace
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.text import Text

from recurra.data.classified import ClassifiedFormat, texts_to_classify
from recurra.data.classified_text import ClassifiedText
from recurra.data.labels import Labels
from recurra.data.lines import Source
from recurra.errors import DataError
from recurra.tasks.class_output import CLASS_FORMATS
from recurra.tasks.classified import Classified
from recurra.tasks.sentiment_classification import show

RUN = SimpleNamespace(
    assets=SimpleNamespace(labels=Labels(names=("bad", "excellent")), several=False),
    config=SimpleNamespace(texts=SimpleNamespace(label_separator=None)),
)
GOOD = Classified("excellent", (0.0625, 0.9375), ("bad", "excellent"), 1.0)
BAD = Classified("bad", (0.5625, 0.4375), ("bad", "excellent"), 0.0)


def text_of(text, /, **columns):
    return ClassifiedText(text, Source("a", 1), columns=columns or None)


def written(name, pairs):
    pieces = CLASS_FORMATS[name](RUN, iter(pairs))
    return "".join(piece.plain if isinstance(piece, Text) else piece for piece in pieces)


@pytest.fixture
def window(monkeypatch):
    def window(width):
        monkeypatch.setenv("COLUMNS", str(width))
        monkeypatch.setattr("rich.console.Console.is_terminal", True)

    return window


# For people


def test_a_line_has_the_class_its_probability_and_the_text(window):
    pairs = [(text_of("So good."), GOOD), (text_of("zzxq"), BAD), (text_of(""), BAD)]
    expected = [
        "excellent  █████████   93.8%  So good.",
        "bad        ██████      56.2%  no word of it is known: zzxq",
        "bad        ██████      56.2%  no text",
    ]
    assert written("text", pairs).splitlines() == expected
    window(80)
    assert written("text", pairs).splitlines() == expected
    window(50)
    assert written("text", pairs).splitlines()[0] == "excellent   93.8%  So good."


@pytest.mark.parametrize("width", [100, 60, 59, 40, 20, 10, 1])
def test_no_line_is_longer_than_the_window_and_in_a_file_it_is_whole(window, width):
    for text in ("word " * 100, "素晴らしい" * 100, ""):
        assert written("text", [(text_of(text), BAD)]).strip().endswith(text.strip()[-20:] or "no text")
    window(width)
    for text in ("word " * 100, "素晴らしい" * 100, ""):
        line = written("text", [(text_of(text), GOOD), (text_of(text), BAD)])
        assert all(cell_len(part) <= width for part in line.split("\n"))


@given(st.text())
def test_whatever_a_text_holds_it_is_one_line_that_steers_nothing(text):
    line = written("text", [(text_of(text), GOOD)])
    assert line.splitlines() == [line[:-1]]
    assert not set(map(chr, [*range(32), *range(127, 160)])) & set(line[:-1])


# A table


def test_the_table_has_the_columns_of_the_input_first_and_its_heading_once(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text('id,text,label\n7,"one, ""two""\nthree",x\n8,,\n')
    inputs = list(texts_to_classify(path, ClassifiedFormat()))
    result = written("csv", zip(inputs, [GOOD, BAD], strict=True))
    assert result == (
        "id,text,label,predicted,probability\n"
        '7,"one, ""two""\nthree",x,excellent,0.9375\n'
        "8,,,bad,0.5625\n"
    )  # fmt: skip
    path.write_text(result)
    again = list(texts_to_classify(path, ClassifiedFormat()))
    assert [text.text for text in again] == [text.text for text in inputs]
    assert written("csv", zip(again, [BAD, GOOD], strict=True)).splitlines()[0] == (
        "id,text,label,predicted (input),probability (input),predicted,probability"
    )


@given(st.lists(st.text(st.characters(exclude_characters="\r", exclude_categories=["Cs"])), min_size=1, max_size=5))
def test_any_text_comes_back_from_the_table(texts):
    result = written("csv", [(text_of(text), GOOD) for text in texts])
    rows = list(csv.DictReader(io.StringIO(result, newline=""), strict=True))
    assert [row["text"] for row in rows] == texts
    assert {(row["predicted"], row["probability"]) for row in rows} == {("excellent", "0.9375")}


def test_objects_have_the_keys_of_the_first_or_are_refused():
    pairs = [(text_of("a", text="a", id="1"), GOOD), (text_of(""), BAD), (text_of("b", text="b", mood="x"), GOOD)]
    assert written("csv", pairs[:2]) == "text,id,predicted,probability\na,1,excellent,0.9375\n,,bad,0.5625\n"
    with pytest.raises(DataError, match=r"a:1: there is 'mood', which the first text has not.*--format jsonl"):
        written("csv", pairs)


def test_json_has_what_was_read_too_and_loses_none_of_it():
    shown = show(text_of("a", text="a", predicted="old"), BAD)
    assert shown == {
        "text": "a",
        "predicted (input)": "old",
        "predicted": "bad",
        "probability": 0.5625,
        "probabilities": {"bad": 0.5625, "excellent": 0.4375},
        "unknown": "no word of the text was met in training",
    }
    assert "unknown" not in show(text_of("a"), GOOD)


@pytest.mark.parametrize("name", CLASS_FORMATS)
def test_each_answer_is_written_before_the_next_is_asked_for(name):
    asked = []

    def stream():
        for number in range(3):
            asked.append(number)
            yield text_of(f"text {number}"), GOOD

    result = ""
    for piece in CLASS_FORMATS[name](RUN, stream()):
        result += piece.plain if isinstance(piece, Text) else piece
        assert name == "csv" or f"text {asked[-1]}" in result
    assert asked == [0, 1, 2]
    assert result.count("excellent") == 3


# Several classes, and none


def test_several_classes_are_written_with_the_probability_of_each():
    both = replace(GOOD, probabilities=(0.625, 0.9375), several=("excellent", "bad"))
    none = replace(GOOD, probabilities=(0.125, 0.25), several=())
    pairs = [(text_of("So so.", id=1), both), (text_of("The film.", id=2), none)]
    run = SimpleNamespace(
        assets=SimpleNamespace(labels=RUN.assets.labels, several=True),
        config=SimpleNamespace(texts=SimpleNamespace(label_separator=";")),
    )
    table = "".join(CLASS_FORMATS["csv"](run, iter(pairs)))
    assert table == "id,predicted,probability\n1,excellent;bad,0.9375;0.6250\n2,,\n"
    lines = "".join(piece.plain for piece in CLASS_FORMATS["text"](run, iter(pairs))).splitlines()
    assert [line.split("  ")[0] for line in lines] == ["excellent, bad", "-"]
    shown = [show(*pair) for pair in pairs]
    assert [one["predicted"] for one in shown] == [["excellent", "bad"], []]
    assert shown[0]["probabilities"] == {"bad": 0.625, "excellent": 0.9375}
    assert "probability" not in shown[0]


def test_an_abstention_is_an_answer_that_can_be_seen():
    pairs = [
        (text_of("a", id="7"), replace(GOOD, abstained=False)),
        (text_of("b", id="8"), replace(BAD, known=1.0, abstained=True)),
    ]
    table = "".join(written("csv", pairs))
    assert table == "id,predicted,probability,abstained\n7,excellent,0.9375,false\n8,,0.5625,true\n"
    lines = written("text", pairs).splitlines()
    assert [line.split()[0] for line in lines] == ["excellent", "-"]
    shown = [show(*pair) for pair in pairs]
    assert [(one["predicted"], one["abstained"]) for one in shown] == [("excellent", False), (None, True)]


def test_what_is_no_text_in_an_object_is_written_as_json_has_it():
    table = written("csv", [(text_of("a", id=7, tags=["x", "é"], none=None), GOOD)])
    assert next(csv.reader(io.StringIO(table.split("\n", 1)[1]))) == ["7", '["x", "é"]', "null", "excellent", "0.9375"]
    assert show(text_of("a", id=7), GOOD)["id"] == 7
