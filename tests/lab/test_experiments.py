"""Every experiment: what its file holds, that the seed decides it, and verdicts either way."""

import copy
import json
import math
import re
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from recurra.errors import RunError, SettingError
from recurra.lab import EXPERIMENTS, Watch, get, run
from recurra.lab.experiments import exploding_gradients, truncation
from recurra.lab.problems.copying import baseline

COMPARED = ("seconds", "trial_seconds")


def content(record):
    found = json.loads(record.to_json())
    return {key: value for key, value in found.items() if key not in COMPARED}


def numbers(value):
    """Every number somewhere in what was measured."""
    if isinstance(value, dict):
        return [n for part in value.values() for n in numbers(part)]
    if isinstance(value, list):
        return [n for part in value for n in numbers(part)]
    return [value] if isinstance(value, int | float) else []


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_the_file_of_an_experiment_says_what_was_found_and_how(name, rehearsed):
    record = rehearsed(name)
    found = content(record)
    assert list(found) == [
        "experiment", "claim", "source", "seed", "quick", "sizes", "measured", "findings", "holds", "threads",
    ]  # fmt: skip
    assert found["experiment"] == name
    assert (found["quick"], found["holds"]) == (True, None)
    assert len(numbers(found["measured"])) >= 4
    assert all(math.isfinite(n) for n in numbers(found["measured"]))
    assert [finding["what"] for finding in found["findings"]]
    assert all(finding["holds"] is None for finding in found["findings"])  # a rehearsal decides nothing
    assert any(finding.holds is not None for finding in get(name).judge(found["measured"]))
    assert record.seconds > 0
    assert record.trial_seconds


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_the_same_seed_gives_the_same_numbers(name, rehearsed):
    assert content(run(get(name), quick=True)) == content(rehearsed(name))


def test_another_seed_gives_others(rehearsed):
    other = content(run(get("bidirectional"), quick=True, seed=1))
    assert other["measured"] != content(rehearsed("bidirectional"))["measured"]


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_it_is_written_and_can_be_judged_and_drawn_again(name, rehearsed, tmp_path):
    record = rehearsed(name)
    written = record.write(tmp_path / "a" / "b")
    assert [path.name for path in written] == [f"{name}-quick.png", f"{name}-quick.json"]
    assert written[0].read_bytes().startswith(b"\x89PNG")
    assert written[0].stat().st_size < 150_000
    again = json.loads(written[1].read_text())
    assert [replace(finding, holds=None) for finding in get(name).judge(again["measured"])] == record.findings


class Stop(Watch):
    """Stops an experiment when the trial of this number begins, and hears of those that are finished."""

    def __init__(self, number):
        self.number, self.begun, self.finished = number, [], None

    def begin(self, name, number, total):
        self.begun.append(number)
        if number == (total if self.number == "last" else self.number):
            raise KeyboardInterrupt

    def resume(self, finished, total):
        self.finished = (finished, total)


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_an_experiment_that_was_stopped_goes_on_to_the_same_numbers(name, rehearsed, tmp_path):
    experiment = replace(get(name), full=get(name).quick)
    with pytest.raises(KeyboardInterrupt):
        run(experiment, watch=Stop("last"), folder=tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [f"{name}.seed-0.partial.json"]
    watch = Stop(None)
    record = run(experiment, watch=watch, folder=tmp_path)
    trials = len(record.trial_seconds)
    assert (watch.begun, watch.finished) == ([trials], (trials - 1, trials))
    assert record.measured == rehearsed(name).measured
    assert list(record.trial_seconds) == list(rehearsed(name).trial_seconds)
    record.write(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"{name}.json", f"{name}.png"]


def test_finished_trials_of_other_settings_or_damaged_ones_are_not_used(rehearsed, tmp_path):
    experiment = replace(get("bidirectional"), full=get("bidirectional").quick)
    with pytest.raises(KeyboardInterrupt):
        run(experiment, watch=Stop(2), folder=tmp_path)
    path = tmp_path / "bidirectional.seed-0.partial.json"
    kept = path.read_text()
    other = replace(experiment, full=replace(experiment.full, steps=experiment.full.steps + 1))
    damaged = [kept[:-20], "[1]", "\0", "", '{"conditions": 1}', kept.replace('"recurra": "', '"recurra": "9')]
    for use, content in [(other, kept), *((experiment, text) for text in damaged)]:
        path.write_text(content)
        watch = Stop(1)
        with pytest.raises(KeyboardInterrupt):
            run(use, watch=watch, folder=tmp_path)
        assert (watch.begun, watch.finished) == ([1], None)


def test_a_rehearsal_stands_beside_the_results_and_claims_nothing(rehearsed, tmp_path):
    whole = replace(rehearsed("bidirectional"), quick=False)
    written = whole.write(tmp_path)
    before = [path.read_bytes() for path in written]
    rehearsed("bidirectional").write(tmp_path)
    assert [path.read_bytes() for path in written] == before
    assert rehearsed("bidirectional").title == "A rehearsal of bidirectional: far too small to show anything"


def test_without_matplotlib_there_is_the_json_alone(rehearsed, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert [path.name for path in rehearsed("bidirectional").write(tmp_path)] == ["bidirectional-quick.json"]


def test_a_folder_that_is_a_file_is_refused(rehearsed, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="file: this is a file; give a folder for the results"):
        rehearsed("bidirectional").write(tmp_path / "file")


def test_an_unknown_name_lists_those_there_are():
    with pytest.raises(
        SettingError, match=r"no experiment 'coping'; did you mean copying\? .*: standard-network, vani"
    ):
        get("coping")


def test_the_random_state_of_the_caller_is_left_alone(rehearsed):
    import torch

    before = torch.random.get_rng_state()
    run(get("bidirectional"), quick=True)
    assert torch.equal(before, torch.random.get_rng_state())


def test_the_picture_says_that_a_claim_does_not_hold(rehearsed):
    record = replace(rehearsed("bidirectional"), quick=False)
    assert record.title.startswith("Where the next word tells")
    failed = replace(record, findings=[replace(record.findings[0], holds=False)])
    assert failed.holds is False
    assert failed.title.startswith("Does not hold here: where the next word tells")


def test_the_page_and_the_list_name_the_same_minutes():
    page = (Path(__file__).parents[2] / "docs" / "lab.md").read_text(encoding="utf-8")
    for name, experiment in EXPERIMENTS.items():
        assert re.search(
            rf"^\| \[`{name}`\]\(#{name}\) \| [0-9:]+ \| {experiment.minutes:g} min \|", page, re.MULTILINE
        )


# Verdicts ------------------------------------------------------------------------------------------------------------


def verdict(name, measured):
    return all(finding.holds is not False for finding in get(name).judge(measured))


def test_standard_network_wants_names_known_at_other_positions_by_the_recurrent_network_alone(rehearsed):
    measured = copy.deepcopy(rehearsed("standard-network").measured)
    measured["seen"] |= {"standard network": [1.0, 0.99], "recurrent network": [1.0, 0.99]}
    measured["unseen"] |= {"standard network": [0.6, 0.7], "recurrent network": [1.0, 0.99]}
    measured["by_length"] |= {"wide standard network": [[1.0, 0.3]], "recurrent network": [[1.0, 0.99]]}
    measured["by_sentences"] = {"standard network": [0.5, 0.99], "recurrent network": [0.99, 1.0]}
    assert verdict("standard-network", measured)
    for part, network, scores in [
        ("seen", "standard network", [1.0, 0.9]),  # what was not learned cannot be lost
        ("unseen", "standard network", [0.6, 0.8]),
        ("unseen", "recurrent network", [1.0, 0.9]),
        ("by_length", "wide standard network", [[1.0, 0.8]]),
        ("by_length", "recurrent network", [[1.0, 0.9]]),
        ("by_sentences", "standard network", [0.99, 1.0]),
        ("by_sentences", "recurrent network", [0.5, 0.5]),
    ]:
        assert not verdict("standard-network", measured | {part: measured[part] | {network: scores}})
    measured["by_sentences"]["standard network"] = [0.5, 0.9]  # more than the largest number measured
    assert verdict("standard-network", measured)


def test_vanishing_gradients_wants_an_rnn_to_stop_and_gates_that_keep_not_to(rehearsed):
    measured = copy.deepcopy(rehearsed("vanishing-gradients").measured)
    for name in measured["accuracy"]:
        measured["accuracy"][name] = [1.0, 1.0 if "keeps" in name else 0.5]
    assert verdict("vanishing-gradients", measured)
    assert not verdict("vanishing-gradients", measured | {"accuracy": measured["accuracy"] | {"RNN": [1.0, 1.0]}})
    measured["accuracy"]["GRU, keeps at first"] = [1.0, 0.9]
    assert not verdict("vanishing-gradients", measured)


@pytest.mark.parametrize(
    ("gru", "rnn", "holds"), [(5.3e-5, 0.177, True), (5.4e-5, 0.177, False), (1e-5, 0.1, False), (1e-5, 0.3, False)]
)
def test_the_adding_problem_wants_the_published_figures(gru, rnn, holds):
    measured = {"lengths": [600], "error": {"rnn": [rnn], "gru": [gru], "lstm": [0.1]}}
    assert verdict("adding-problem", measured) is holds


@pytest.mark.parametrize(("gru", "rnn", "holds"), [(0.1, 1.0, True), (0.4, 1.0, False), (0.1, 0.7, False)])
def test_copying_is_measured_by_the_loss_without_memory(gru, rnn, holds):
    floor = baseline(100)
    losses = {"RNN": rnn * floor, "GRU": gru * floor, "LSTM": 0.5 * floor, "LSTM, full wait at once": floor}
    measured = {"wait": 100, "loss": losses, "symbols": dict.fromkeys(losses, 0.5)}
    assert verdict("copying", measured) is holds


def test_truncation_expects_what_the_reach_of_the_gradient_says():
    assert truncation.expected(20, 20, carried=True) == 0.5
    assert truncation.expected(19, 20, carried=True) == 1.0
    assert truncation.expected(20, 20, carried=False) == 0.5
    assert truncation.expected(0, 20, carried=False) == 1.0
    measured = {"reach": 20, "distances": [5, 30], "share": {"carried": [0.97, 0.52], "not carried": [0.87, 0.49]}}
    assert verdict("truncation", measured)
    measured["share"]["carried"][1] = 0.9
    assert not verdict("truncation", measured)


def test_the_gradient_of_exploding_gradients_is_the_power_of_the_matrix(rehearsed):
    measured = rehearsed("exploding-gradients").measured
    for gain in measured["gains"]:
        norms = measured["gradient"][str(gain)]
        assert norms == pytest.approx([gain**k for k in range(len(norms))], rel=1e-3)


def test_exploding_gradients_wants_clipping_to_decide(rehearsed):
    measured = copy.deepcopy(rehearsed("exploding-gradients").measured)
    for trial in measured["error"]:
        measured["error"][trial] = 0.05 if trial.endswith(", clipped") else None
        measured["broke"][trial] = None if trial.endswith(", clipped") else 3
    assert verdict("exploding-gradients", measured)
    measured["error"]["1.0 × identity, not clipped"] = 0.05
    assert not verdict("exploding-gradients", measured)
    assert exploding_gradients.WORTH < 1


def test_bidirectional_wants_one_direction_to_guess_and_both_to_know():
    shares = {"LSTM, one direction": 0.51, "LSTM, both directions": 1.0}
    measured = {"at_name": shares, "elsewhere": dict.fromkeys(shares, 1.0)}
    assert verdict("bidirectional", measured)
    assert not verdict("bidirectional", measured | {"at_name": shares | {"LSTM, one direction": 0.6}})
    assert not verdict("bidirectional", measured | {"at_name": shares | {"LSTM, both directions": 0.9}})


def test_depth_wants_more_than_one_layer_to_be_better_beyond_chance():
    measured = {
        "layers": [1, 2],
        "widths": {"text": [9, 5], "adding": [9, 5]},
        "bits": [[2.4, 2.4], [2.5, 2.5]],  # of text nothing is claimed
        "errors": [[0.03, 0.02], [0.01, 0.015]],
    }
    assert verdict("depth", measured)
    assert not verdict("depth", measured | {"errors": [[0.03, 0.02], [0.01, 0.021]]})
    assert not verdict("depth", measured | {"errors": [[0.01, 0.01], [0.02, 0.02]]})


def test_cells_compared_wants_gates_to_beat_the_plain_one():
    cells = {"rnn": 0.5, "simplified-gru": 0.6, "gru": 0.7, "lstm": 0.8}
    measured = {"problems": ["adding"], "cells": list(cells), "scores": {"adding": cells}}
    assert verdict("cells-compared", measured)
    assert not verdict("cells-compared", measured | {"scores": {"adding": cells | {"lstm": 0.4}}})


def test_echo_state_wants_the_published_error_and_more_units_to_help():
    measured = {"units": [100, 400], "errors": [[0.1], [0.0002]]}
    assert verdict("echo-state", measured)
    assert not verdict("echo-state", measured | {"errors": [[0.1], [0.0003]]})
    assert not verdict("echo-state", measured | {"errors": [[0.0001], [0.0002]]})
