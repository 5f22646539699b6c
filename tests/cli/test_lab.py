import json
import math
import sys
from dataclasses import replace

import pytest

from recurra.cli import lab as command
from recurra.lab import EXPERIMENTS, Finding, table


def test_it_lists_the_experiments(recurra):
    done = recurra("lab")
    assert (done.code, done.err) == (0, "")
    for experiment in EXPERIMENTS.values():
        assert f"\n{experiment.name} " in done.out
        assert experiment.claim.split()[0] in done.out


def test_it_makes_one_and_says_where_the_results_are(recurra, here):
    done = recurra("lab", "bidirectional", "--quick")
    assert (done.code, done.err) == (0, "")
    assert "1/6 RNN, one direction: " in done.out
    assert "50% right at Teddy" in " ".join(done.out.split())
    assert "No verdict: --quick is a rehearsal" in done.out
    assert done.out.endswith("Written: runs/lab/bidirectional-quick.png and runs/lab/bidirectional-quick.json\n")
    assert sorted(path.name for path in (here / "runs" / "lab").iterdir()) == [
        "bidirectional-quick.json",
        "bidirectional-quick.png",
    ]


def test_the_seed_decides_the_numbers(recurra, here):
    for folder, seed in (("a", 1), ("b", 1), ("c", 2)):
        assert recurra("lab", "echo-state", "--quick", "--seed", seed, "--out", folder).code == 0
    one, same, other = (json.loads((here / f / "echo-state-quick.json").read_text())["measured"] for f in "abc")
    assert one == same != other
    assert math.isfinite(one["errors"][0][0])


def test_without_matplotlib_it_says_how_to_get_the_plot(recurra, here, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    done = recurra("lab", "bidirectional", "--quick")
    assert done.code == 0
    assert "pip install matplotlib" in done.out
    assert [path.name for path in (here / "runs" / "lab").iterdir()] == ["bidirectional-quick.json"]


@pytest.mark.parametrize(
    ("holds", "verdict"), [(True, "The claim holds: "), (False, "The claim does not hold here (x)")]
)
def test_it_says_whether_the_claim_holds(recurra, monkeypatch, holds, verdict):
    tiny = EXPERIMENTS["bidirectional"]
    judged = replace(tiny, full=tiny.quick, judge=lambda measured: [Finding("x", "found", "theory", holds)])
    monkeypatch.setitem(table.EXPERIMENTS, "bidirectional", judged)
    assert verdict in " ".join(recurra("lab", "bidirectional").out.split())


def test_ctrl_c_ends_it_with_one_line_and_no_empty_folder(recurra, here, monkeypatch, ctrl_c):
    monkeypatch.setattr(command.Display, "step", lambda self, fraction, loss: ctrl_c())
    done = recurra("lab", "bidirectional", "--quick")
    assert done.code == 130
    assert done.err.strip() == "recurra: stopped"
    assert list(here.iterdir()) == []


def test_what_was_stopped_goes_on(recurra, here, monkeypatch, ctrl_c):
    tiny = EXPERIMENTS["bidirectional"]
    monkeypatch.setitem(table.EXPERIMENTS, "bidirectional", replace(tiny, full=tiny.quick))
    begin = command.Display.begin
    with monkeypatch.context() as patch:
        patch.setattr(
            command.Display,
            "begin",
            lambda self, name, number, total: ctrl_c() if number == 3 else begin(self, name, number, total),
        )
        stopped = recurra("lab", "bidirectional")
    assert stopped.code == 130
    assert stopped.err.strip() == "recurra: stopped; 2 finished trials are kept, and the same command goes on"
    assert [path.name for path in (here / "runs" / "lab").iterdir()] == ["bidirectional.seed-0.partial.json"]
    done = recurra("lab", "bidirectional")
    assert done.code == 0
    assert "2 of 6 trials were finished before this was stopped; it goes on with the others" in done.out
    assert "1/6" not in done.out
    assert "3/6" in done.out
    assert len(list((here / "runs" / "lab").iterdir())) == 2


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["coping"], "there is no experiment 'coping'; did you mean copying? The experiments are: standard-network"),
        (["copying", "--seed", "-1"], "invalid value for '--seed'"),
        (["copying", "--seed", str(2**32)], "less than or equal to 4294967295"),
        (["copying", "--out", "file"], "file: this is a file; give a folder for the results"),
    ],
)
def test_a_mistake_is_one_line(refused, here, words, line):
    (here / "file").write_text("")
    assert line in refused("lab", *words)
