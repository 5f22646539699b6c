"""`recurra behaviour RUN`."""

import json

import pytest

import recurra as library
from recurra.tasks import TASKS

USE = "sentiment-classification"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("behaviour")
    settings = TASKS[USE].example(folder) | {"epochs": 2, "show": False}
    return library.train(USE, **settings, out=folder / "run").folder


def test_the_table_counts_other_answers_and_shows_the_worst(recurra, run, here):
    (here / "texts.txt").write_text("The plot is dull.\nThe cast is superb, Mary!\n\nNothing\n", encoding="utf-8")
    outcome = recurra("behaviour", run, "--data", "texts.txt")
    assert (outcome.code, outcome.err) == (0, "")
    assert "on texts.txt: 4 texts" in outcome.out
    rows = [line.split() for line in outcome.out.splitlines()]
    assert next(row for row in rows if row[:2] == ["white", "space"])[-7:] == [
        "4",
        "0.0%",
        "0",
        "0.0%",
        "to",
        "49.0%",
        "0.0%",
    ]
    assert next(row for row in rows if row[:2] == ["first", "names"])[3] == "1"
    assert outcome.out == recurra("behaviour", run, "--data", "texts.txt").out


def test_json_has_all_figures_and_what_it_validated_on_is_the_default(recurra, run):
    outcome = recurra("behaviour", run, "--json", "--limit", "5", "--seed", "3")
    content = json.loads(outcome.out)
    assert (content["texts"], content["seed"], content["data"]) == (5, 3, None)
    by_name = {change["change"]: change for change in content["changes"]}
    space = by_name["white space doubled, a line end added"]
    assert (space["texts"], space["other_answers"], space["share"], space["moved"]) == (5, 0, 0, 0)
    assert by_name['negated: "is" becomes "is not"']["should_matter"]
    for change in content["changes"]:
        for example in change["worst"]:
            assert example["text"] != example["changed"]
            assert set(example["before"]) == {"predicted", "negative", "positive"}


def test_a_run_of_another_use_is_refused(refused, tmp_path, here):
    settings = TASKS["language-modelling"].example(tmp_path) | {"epochs": 1, "show": False}
    library.train("language-modelling", **settings, out=here / "lm")
    assert "language-modelling has no behaviour report" in refused("behaviour", "lm")
