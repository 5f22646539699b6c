"""What a shell completes; each case asks as bash does, in this process."""

import pytest

from recurra.cli.completion import cell_names, run_folders
from recurra.tasks import TASKS


@pytest.fixture
def runs(here):
    for name in ("runs/first", "runs/second", "runs/lab/deep"):
        (here / name).mkdir(parents=True)
        (here / name / "config.toml").touch()
    (here / "runs/first/checkpoints").mkdir()
    (here / "data/raw").mkdir(parents=True)
    (here / "running.txt").touch()
    return here


@pytest.mark.parametrize(
    ("typed", "folders"),
    [
        ("", ["runs/"]),
        ("ru", ["runs/"]),
        ("runs/", ["runs/first", "runs/lab/", "runs/second"]),
        ("runs/s", ["runs/second"]),
        ("runs/lab/", ["runs/lab/deep"]),
        ("data", []),
        ("nowhere/x", []),
        ("running.txt/", []),
    ],
)
def test_folders_of_runs_are_completed(runs, typed, folders):
    assert run_folders(typed) == folders


def test_cells_are_completed():
    assert cell_names("gru") == ["gru", "gru-reset-after"]


@pytest.mark.parametrize(
    ("line", "completed"),
    [
        ("recurra res", ["resume"]),
        ("recurra train ", list(TASKS.entries)),
        ("recurra train language-modelling --hid", ["--hidden-size"]),
        ("recurra train language-modelling --cell min-", ["min-gru", "min-lstm"]),
        ("recurra train language-modelling --optimiser ada", ["adam", "adamw"]),
        ("recurra score runs/f", ["runs/first"]),
        ("recurra resume runs/s", ["runs/second"]),
    ],
)
def test_a_line_is_completed(runs, monkeypatch, capsys, line, completed):
    monkeypatch.setenv("_RECURRA_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", line)
    monkeypatch.setenv("COMP_CWORD", str(line.count(" ")))
    from recurra.cli.app import main

    with pytest.raises(SystemExit) as ended:
        main([])
    assert ended.value.code in (0, None)
    assert capsys.readouterr().out.split() == completed
