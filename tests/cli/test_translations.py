"""The command line of translators: flags of the search, and scores of pairs."""

import json

import pytest

import recurra as library
from recurra.tasks import TASKS


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run that has learned next to nothing."""
    folder = tmp_path_factory.mktemp("pairs")
    settings = TASKS["machine-translation"].example(folder) | {"epochs": 1}
    return library.train("machine-translation", **settings, out=folder / "run", show=False)


@pytest.fixture
def pairs(here):
    path = here / "pairs.tsv"
    path.write_text("fr\ten\nle chat noir\tA black cat.\nun chien\t\n", encoding="utf-8")
    return path


def test_what_changes_the_search_is_a_flag(run, recurra):
    out = recurra(
        "predict", run.folder, "--text", "le chat noir", "--beam", 8, "--alternatives", 8, "--format", "nbest"
    ).out
    expected = run.using(beam=8, alternatives=8).predict("le chat noir").alternatives
    assert [line.split(" ||| ")[1] for line in out.splitlines()] == [one.text for one in expected]


def test_evaluating_takes_them_too(run, recurra, pairs):
    figures = [
        json.loads(recurra("evaluate", run.folder, "--data", pairs, "--json", *flags).out)
        for flags in ([], ["--max-length", 1])
    ]
    assert figures[0]["chrf2"] != figures[1]["chrf2"]


def test_a_translation_is_scored_by_words_and_as_a_whole(run, recurra):
    expected = run.score("le chat noir", "A black cat.")
    scored = recurra("score", run.folder, "le chat noir", "--target", "A black cat.", "--json", "--units").out
    assert json.loads(scored)["log_probability"] == pytest.approx(expected.log_probability)
    assert len(json.loads(scored)["units"]) == expected.count
    shown = recurra("score", run.folder, "le chat noir", "--target", "A black cat.").out
    assert [line.split()[0] for line in shown.splitlines()[1:5]] == ["A", "black", "cat.", "<EOS>"]


def test_the_translations_of_a_file_are_scored_a_line_each(run, recurra, pairs):
    lines = recurra("score", run.folder, "--input", pairs).out.splitlines()
    expected = run.score("le chat noir", "A black cat.").log_probability
    assert [line.split("\t")[1] for line in lines] == ["A black cat.", ""]
    assert float(lines[0].split("\t")[0]) == pytest.approx(expected, abs=1e-3)
    objects = [json.loads(line) for line in recurra("score", run.folder, "--input", pairs, "--json").out.splitlines()]
    assert objects[0]["source"] == "le chat noir"
    assert objects[1]["log_probability"] is None
    assert objects[1]["error"] == "the translation is empty"


def test_a_file_that_is_read_is_not_written_over(run, refused, here):
    (here / "a.fr").write_text("le chat\n")
    assert (
        refused("predict", run.folder, "a.fr", "--out", "a.fr")
        == "--out a.fr: it is the file that is read; name another"
    )
    assert (here / "a.fr").read_text() == "le chat\n"


def test_mistakes_are_one_line(run, refused, pairs):
    missing = "a translator scores a translation: give it with --target"
    assert refused("score", run.folder, "le chat noir") == missing
    assert refused("score", run.folder, "le chat", "--target", "") == "the translation is empty; give at least one word"
    assert "--target goes with a text" in refused("score", run.folder, "--input", pairs, "--target", "x")
