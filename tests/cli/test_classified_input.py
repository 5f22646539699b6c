"""Files of texts with classes as users have them: by the command line, no row is lost, moved or left out unsaid."""

import csv
import io
import json
import re

import pytest

USE = "sentiment-classification"
SIZES = {"hidden-size": 4, "word-size": 4, "ngrams": 50, "ngram-size": 4, "character-size": 4, "batch-size": 8}
SMALL = ["--epochs", 1, *(word for name, size in SIZES.items() for word in (f"--{name}", size))]
WORDS = {"pos": ("good", "superb", "fine", "moving"), "neg": ("bad", "dull", "weak", "awful")}
ROWS = [
    (f"the {thing} is {word}", label) for thing in ("film", "cast", "plot") for label in WORDS for word in WORDS[label]
]


def table(path, rows, heading=("text", "label")):
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([heading, *rows])
    return path


@pytest.fixture
def train(recurra):
    def train(path, out, *flags):
        outcome = recurra("train", USE, "--data", path, *SMALL, "--out", out, *flags)
        assert (outcome.code, outcome.err) == (0, "")
        return outcome.out

    return train


@pytest.fixture
def run(train, here):
    train(table(here / "good.csv", ROWS), "run")
    return "run"


def test_a_missing_column_is_named_with_those_there_are(refused, recurra, run, here):
    table(here / "none.csv", [(text,) for text, _ in ROWS], ["text"])
    expected = "none.csv:1: there is no column named like a label; the columns are: text; say which with --label-column"
    assert refused("train", USE, "--data", "none.csv", "--out", "x") == expected
    assert refused("evaluate", run, "--data", "none.csv") == expected
    assert len(recurra("predict", run, "none.csv").out.splitlines()) == len(ROWS), "to predict takes no classes"
    misspelt = refused("train", USE, "--data", "good.csv", "--label-column", "labl", "--out", "x")
    assert misspelt.endswith("there is no column 'labl'; the columns are: text, label; say which with --label-column; "
                             "did you mean label?")  # fmt: skip


def test_numbers_are_the_same_class_however_they_are_written(train, recurra, here):
    spelled = {"pos": [1, "1", 1.0, "1.0"], "neg": [0, "0", 0.0, "0.0"]}
    rows = [(text, spelled[label][place % 4]) for place, (text, label) in enumerate(ROWS)]
    table(here / "numbers.csv", rows)
    objects = [json.dumps({"text": text, "label": label}) for text, label in rows]
    (here / "numbers.jsonl").write_text("\n".join(objects) + "\n")
    said = train("numbers.csv", "by-table")
    assert "2 classes" in said
    assert "a class that is a number with a fraction of 0 is read without it: 12 (numbers.csv:4 '1.0'" in said
    assert "2 classes" in train("numbers.jsonl", "by-objects")
    figures = [
        json.loads(recurra("evaluate", run, "--data", data, "--json", "--no-intervals").out)
        for run, data in (("by-table", "numbers.jsonl"), ("by-objects", "numbers.csv"))
    ]
    assert set(figures[0]["tables"]["macro_f1"]) == {"0", "1"}
    assert figures[0]["accuracy"] == figures[1]["accuracy"]


def test_a_class_that_training_had_not_is_said_with_its_line(recurra, run, here):
    table(here / "new.csv", [*ROWS[:6], ("so so", "mixed"), ("well", "Pos")])
    outcome = recurra("evaluate", run, "--data", "new.csv", "--json", "--no-intervals")
    content = json.loads(outcome.out)
    assert content["examples"] == 8
    assert content["problems"] == [
        "a class that training had no example of is never answered: 2 (new.csv:8 'mixed'; new.csv:9 'Pos')"
    ]
    assert content["problems"][0] in recurra("evaluate", run, "--data", "new.csv", "--no-intervals").out


def test_one_class_alone_is_refused_to_train_and_measured(refused, recurra, run, here):
    table(here / "one.csv", [(text, "pos") for text, _ in ROWS])
    message = "one.csv: all texts to train on are of the class 'pos'; to tell them apart takes two classes"
    assert refused("train", USE, "--data", "one.csv", "--out", "x") == message
    assert recurra("evaluate", run, "--data", "one.csv").code == 0


def test_what_is_left_out_of_training_is_said_and_nothing_is_of_answers(train, recurra, run, here):
    rows = [(1, "good", "pos"), (2, "", "neg"), (3, "  ", "pos"), (4, "bad", "")]
    rows += [(number, *row) for number, row in enumerate(ROWS, 5)]
    table(here / "gaps.csv", rows, ["id", "text", "label"])
    said = train("gaps.csv", "gaps")
    assert "a text without a word is left out: 2 (gaps.csv:3; gaps.csv:4)" in said
    assert "a text without a class is left out: 1 (gaps.csv:5)" in said
    measured = json.loads(recurra("evaluate", run, "--data", "gaps.csv", "--json", "--no-intervals").out)
    assert measured["examples"] == len(rows) - 1
    assert measured["problems"] == ["a text without a class is left out: 1 (gaps.csv:5)"]
    answered = recurra("predict", run, "gaps.csv", "--format", "csv").out
    heading, *written = csv.reader(io.StringIO(answered))
    assert heading == ["id", "text", "label", "predicted", "probability"]
    assert [tuple(row[:3]) for row in written] == [tuple(map(str, row)) for row in rows]


def test_every_cell_comes_back_in_its_row_whatever_it_holds(recurra, run, here):
    cells = [
        "a\ttab",
        "a\u2028b",
        "a\u2029b",
        "a\x0b\x0c\x85\x1cb",
        'a "quoted", one',
        "two\nlines",
        " ",
        "",
        "é\u0301🙂",
        "=1+1",
    ]
    rows = [(str(number), cell, "x") for number, cell in enumerate(cells)]
    table(here / "odd.csv", rows, ["id", "text", "more"])
    done = recurra("predict", run, "odd.csv", "--format", "csv", "--out", "answers.csv")
    assert done.code == 0
    with (here / "answers.csv").open(encoding="utf-8", newline="") as file:
        heading, *written = csv.reader(file)
    assert heading == ["id", "text", "more", "predicted", "probability"]
    assert [tuple(row[:3]) for row in written] == rows
    assert {row[3] for row in written} <= {"pos", "neg"}


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_a_line_of_text_is_one_answer_whatever_ends_it(recurra, run, here, end):
    lines = ["good", "", "a\ttab", "a\u2028b\x85c", " ", "bad"]
    (here / "lines.txt").write_bytes((end.join(lines) + end).encode())
    answers = recurra("predict", run, "lines.txt").out.split("\n")[:-1]
    assert [json.loads(answer)["text"] for answer in answers] == lines


def test_a_tab_too_many_is_named_with_its_line(refused, here):
    lines = [f"{text}\t{label}" for text, label in ROWS]
    (here / "a.tsv").write_text("\n".join(["text\tlabel", *lines[:5], "so\tgood\tpos", *lines[5:]]) + "\n")
    assert refused("train", USE, "--data", "a.tsv", "--out", "x").startswith(
        "a.tsv:7: 3 columns, and the heading has 2;"
    )


def test_a_text_of_ten_thousand_words_is_answered_and_cut_where_it_is_asked_for(train, recurra, here):
    long = " ".join(["good"] * 10_000)
    table(here / "long.csv", [*ROWS, (long, "pos")])
    said = train("long.csv", "long", "--longest", 20)
    cut = "of a text of more than 20 words, --longest of the training, the middle is not read: 1"
    assert f"{cut} (long.csv:26)" in said
    (here / "long.txt").write_text(f"bad\n{long}\nthe film\n")
    predicted = recurra("predict", "long", "long.txt")
    answers = [json.loads(line) for line in predicted.out.splitlines()]
    assert [len(answer["text"].split()) for answer in answers] == [1, 10_000, 2]
    assert predicted.err.startswith(f"{cut} (long.txt:2)\n")
    (here / "short.txt").write_text("bad\nthe film\n")
    assert "middle" not in recurra("predict", "long", "short.txt").err


def test_an_empty_file_has_no_answers_and_teaches_nothing(recurra, refused, run, here):
    for name, content in (("nothing.csv", ""), ("heading.csv", "text,label\n"), ("nothing.txt", "")):
        (here / name).write_text(content)
        assert re.search("0 labelled texts|plain text", refused("train", USE, "--data", name, "--out", "x"))
        assert (recurra("predict", run, name).code, recurra("predict", run, name).out) == (0, "")


def test_what_is_wrong_with_a_file_that_is_cut_in_two_is_counted_once(recurra, here):
    table(here / "gaps.csv", [*ROWS, ("so so", "")])
    table(here / "more.csv", [*ROWS, ("well", ""), ("hm", "")])
    alone = json.loads(recurra("data", USE, "--data", "gaps.csv", "--json").out)
    assert alone["problems"] == {"train and valid": ["a text without a class is left out: 1 (gaps.csv:26)"]}
    shown = recurra("data", USE, "--data", "gaps.csv", "--valid", "more.csv").out
    assert "  train: a text without a class is left out: 1 (gaps.csv:26)" in shown
    assert "  valid: a text without a class is left out: 2" in shown
