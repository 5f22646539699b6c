"""The calibration error, against its definition bin by bin; and its curve."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recurra.errors import SettingError
from recurra.metrics import add
from recurra.metrics.reliability import calibration_error

ECE = calibration_error(lambda example, answer: example, lambda answer: answer)

outcomes = st.lists(st.tuples(st.booleans(), st.floats(0, 1)), min_size=1, max_size=40)


def value(metric, pairs):
    return metric.value(add(metric.tally(*pair) for pair in pairs))


@given(outcomes)
def test_it_is_the_definition_of_guo_et_al(pairs):
    """15 bins, each open below and closed above."""
    right = np.array([example for example, _ in pairs], dtype=float)
    said = np.array([answer for _, answer in pairs])
    total = 0.0
    for place in range(15):
        inside = (said > place / 15) & (said <= (place + 1) / 15)
        inside |= (said == 0) & (place == 0)
        if inside.any():
            total += inside.mean() * abs(right[inside].mean() - said[inside].mean())
    # A probability on the edge of two bins may be in either by a rounding of its last digit.
    if not np.isclose(said * 15, np.round(said * 15), atol=1e-9).any():
        assert value(ECE, pairs) == pytest.approx(total, abs=1e-12)


def test_by_hand():
    assert value(ECE, [(True, 0.8)] * 4 + [(False, 0.8)]) == pytest.approx(0)
    assert value(ECE, [(True, 0.8)] * 3 + [(False, 0.8)] * 2) == pytest.approx(0.2)
    assert value(ECE, [(True, 0.99)] * 3 + [(False, 0.55)]) == pytest.approx((3 * 0.01 + 0.55) / 4)


@given(outcomes, outcomes)
def test_tallies_of_parts_add_up(first, second):
    parts = add(add(ECE.tally(*pair) for pair in part) for part in (first, second))
    assert ECE.value(parts) == pytest.approx(value(ECE, first + second))


def test_of_answers_without_a_probability_it_is_no_number_and_draws_nothing():
    metric = calibration_error(lambda example, answer: example, lambda answer: None)
    assert math.isnan(value(metric, [(True, "x")]))
    assert metric.charts(add([])) == []
    with pytest.raises(SettingError, match="bins is 0"):
        calibration_error(lambda example, answer: example, lambda answer: answer, bins=0)


def test_the_picture_has_a_curve_before_and_after_and_only_the_second_counts():
    metric = calibration_error(lambda example, answer: example, lambda answer: answer, lambda answer: 0.99)
    tally = add(metric.tally(*pair) for pair in [(True, 0.8)] * 4 + [(False, 0.8)])
    assert metric.value(tally) == pytest.approx(0)
    [chart] = metric.charts(tally)
    before, after = chart.curves
    assert (before.label, after.label) == ("before calibration: ECE 19.00%", "calibrated: ECE 0.00%")
    assert (before.x, before.y, before.shares) == (pytest.approx([0.99]), [0.8], [1.0])
    assert (after.x, after.y) == (pytest.approx([0.8]), [0.8])
