import json
import sys
from pathlib import Path

import pytest


@pytest.fixture
def swept(recurra, pets, here, tiny):
    def swept(*words):
        return recurra("range-test", "language-modelling", "--data", pets, *tiny, "--steps", 12, *words)

    return swept


def test_it_shows_a_table_and_a_suggestion_and_keeps_nothing(swept, here):
    before = sorted(here.rglob("*"))
    outcome = swept()
    assert outcome.code == 0, outcome.err
    lines = outcome.out.splitlines()
    assert lines[0].split() == ["learning", "rate", "loss"]
    assert lines[1].split()[0] == "1e-05"
    assert len([line for line in lines if "█" in line]) == 12
    assert lines[-1].startswith("To begin with: --learning-rate ")
    assert sorted(here.rglob("*")) == before


def test_what_it_found_can_be_kept(swept, here):
    outcome = swept("--json", "found.json", "--plot", "found.png", "--low", "1e-3", "--high", "1")
    assert outcome.code == 0, outcome.err
    found = json.loads((here / "found.json").read_text())
    assert len(found["rates"]) == len(found["losses"]) == len(found["smoothed"]) == 12
    assert found["rates"][0] == pytest.approx(1e-3)
    assert f"--learning-rate {found['suggestion']:.2g}" in outcome.out
    assert (here / "found.png").read_bytes().startswith(b"\x89PNG")


def test_the_suggestion_is_a_flag_of_train(swept, recurra, pets, tiny):
    flag = swept().out.splitlines()[-1].removeprefix("To begin with: ").split()
    assert recurra("train", "language-modelling", "--data", pets, *tiny, *flag, "--no-samples").code == 0


def test_it_takes_the_settings_of_a_run(recurra, trained, pets):
    config = trained / "words" / "config.toml"
    outcome = recurra("range-test", "language-modelling", "--config", config, "--data", pets, "--steps", 10)
    assert outcome.code == 0, outcome.err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--low", "2", "--high", "1"], "low is 2 and high 1; expected 0 < low < high"),
        (["--steps", "3"], "steps is 3; it must be 10 or more"),
        (["--learning-rte", "3"], "there is no option --learning-rte; did you mean --learning-rate?"),
        (["--json", "no/such.json"], "no/such.json: cannot be written"),
    ],
)
def test_mistakes_are_one_line(refused, pets, tiny, words, message):
    line = refused("range-test", "language-modelling", "--data", pets, *tiny, *words)
    assert message in line


def test_without_matplotlib_a_plot_is_refused_before_the_work(refused, pets, tiny, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setattr("recurra.training.range_test.range_test", None)
    line = refused("range-test", "language-modelling", "--data", pets, *tiny, "--plot", "a.png")
    assert line.startswith("a picture needs matplotlib, which is not installed: ")
    assert line.endswith("pip install matplotlib")


@pytest.mark.parametrize("flag", ["--json", "--plot"])
def test_where_the_files_go_is_checked_before_anything_is_run(refused, pets, tiny, monkeypatch, flag):
    monkeypatch.setattr("recurra.tasks.run.prepare", lambda *given: pytest.fail("it ran"))
    words = ["range-test", "language-modelling", "--data", pets, *tiny, flag]
    Path("folder.png").mkdir()
    assert "nope/x.png: cannot be written (No such file or directory)" in refused(*words, "nope/x.png")
    assert "this is a folder; give the name of a file" in refused(*words, "folder.png")
