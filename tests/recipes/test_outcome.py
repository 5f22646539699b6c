import json
import math

import pytest

from recurra import recipes
from recurra.errors import SettingError
from recurra.recipes.outcome import FILE, Outcome, figure_at


def test_metrics_are_compared_with_the_target(tmp_path):
    recipe = recipes.get("ptb-word-small")
    for figure, reached in ((114.4, True), (114.6, False)):
        outcome = Outcome.of(recipe, {"loss": 4.7, "perplexity": figure}, 12.34, 1000, ("ptb/ptb.test.txt",))
        assert (outcome.figure, outcome.reached) == (figure, reached)
        outcome.save(tmp_path)
        kept = json.loads((tmp_path / FILE).read_text())
        assert kept["recipe"] == "ptb-word-small"
        assert (kept["figure"], kept["reached"], kept["target"], kept["seconds"]) == (figure, reached, 114.5, 12.3)
        assert (kept["metrics"]["loss"], kept["other_files"]) == (4.7, ["ptb/ptb.test.txt"])


def test_what_is_not_finite_is_null_and_not_reached(tmp_path):
    outcome = Outcome.of(recipes.get("ptb-word-small"), {"loss": math.nan, "perplexity": math.inf}, 1.0)
    outcome.save(tmp_path)
    kept = json.loads((tmp_path / FILE).read_text(), parse_constant=pytest.fail)
    assert (kept["figure"], kept["metrics"], kept["reached"]) == (None, {"loss": None, "perplexity": None}, False)


def test_a_metric_that_was_not_measured_is_named():
    with pytest.raises(
        SettingError, match="ptb-word-small: 'perplexity' is not among what was measured: loss, accuracy"
    ):
        Outcome.of(recipes.get("ptb-word-small"), {"loss": 1.0, "accuracy": 1.0}, 1.0)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("error.lstm.0", "in error there is no 'lstm', but gru, rnn"),
        ("loss", "in what was measured there is no 'loss', but error, name"),
        ("error.gru.2", "in error.gru there is no '2', but list"),
        ("error.gru.last", "in error.gru there is no 'last'"),
        ("error.gru", "this is no number, but list"),
        ("name.0", "in name there is no '0', but str"),
        ("error.rnn.deep", "in error.rnn there is no 'deep', but float"),
        ("error.gru.0.", "there is no ''"),
    ],
)
def test_a_place_without_a_number_is_named(path, message):
    with pytest.raises(SettingError) as caught:
        figure_at({"error": {"gru": [0.5, 0.25], "rnn": 0.125}, "name": "a"}, path)
    assert message in str(caught.value)


def test_a_place_is_found():
    measured = {"error": {"gru": [0.5, 0.25], "rnn": 1}}
    assert [figure_at(measured, path) for path in ("error.gru.1", "error.gru.-2", "error.rnn")] == [0.25, 0.5, 1.0]
