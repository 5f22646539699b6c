"""Calibration: a scaling that was put in is found again, few outcomes change little, bounds hold as often as said."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recurra.decoding.calibration import (
    PlattScaling,
    design_effect,
    expected_calibration_error,
    fit_platt_scaling,
    wilson_lower_bound,
)
from recurra.errors import SettingError, ShapeError

probabilities = st.floats(0, 1)


def drawn(count, scaling=None, seed=0):
    """Probabilities, and outcomes that come true as often as a scaling says."""
    draw = np.random.default_rng(seed)
    said = draw.uniform(0.02, 0.999, count).tolist()
    right = [draw.random() < (scaling or PlattScaling())(p) for p in said]
    return said, right


@pytest.mark.parametrize(("slope", "intercept"), [(0.5, -0.3), (1.0, 0.0), (1.6, 0.4)])
def test_a_scaling_is_found_again(slope, intercept):
    fitted = fit_platt_scaling(*drawn(20_000, PlattScaling(slope=slope, intercept=intercept)))
    assert (fitted.slope, fitted.intercept) == pytest.approx((slope, intercept), abs=0.06)


def test_the_fit_is_the_minimum_of_its_objective():
    said, right = drawn(60, PlattScaling(slope=1.5, intercept=-1))
    prior = PlattScaling(slope=0.8, intercept=0.2)

    def objective(slope, intercept):
        q = [PlattScaling(slope=slope, intercept=intercept)(p) for p in said]
        nats = -sum(math.log(p if outcome else 1 - p) for p, outcome in zip(q, right, strict=True))
        return nats + 3 / 2 * ((slope - 0.8) ** 2 + (intercept - 0.2) ** 2)

    fitted = fit_platt_scaling(said, right, prior, strength=3)
    at = objective(fitted.slope, fitted.intercept)
    for move in ((0.01, 0), (-0.01, 0), (0, 0.01), (0, -0.01)):
        assert objective(fitted.slope + move[0], fitted.intercept + move[1]) > at


def test_no_outcome_changes_nothing_and_one_little():
    assert fit_platt_scaling([], []) == PlattScaling(slope=1, intercept=0)
    assert abs(fit_platt_scaling([0.9], [False])(0.9) - 0.9) < 0.06


def test_where_surer_is_wronger_sureness_says_nothing():
    said, right = drawn(1000)
    fitted = fit_platt_scaling(said, [not outcome for outcome in right])
    assert fitted.slope == 0
    assert fitted(0.1) == fitted(0.9) == pytest.approx(1 - np.mean(right), abs=0.01)


@given(st.lists(st.tuples(probabilities, st.booleans()), max_size=8), probabilities, probabilities)
def test_any_outcomes_give_a_scaling_that_keeps_the_order(outcomes, first, second):
    fitted = fit_platt_scaling([p for p, _ in outcomes], [right for _, right in outcomes])
    low, high = sorted([first, second])
    assert 0 <= fitted(low) <= fitted(high) <= 1


def test_the_error_is_that_of_its_definition_and_falls_where_it_is_calibrated():
    said, right = drawn(4000, PlattScaling(slope=0.4))
    fitted = fit_platt_scaling(*drawn(4000, PlattScaling(slope=0.4), seed=1))
    # Two bins: 0.1 and 0.9, one of which came true, then 0.9, which did not.
    error = expected_calibration_error([0.9, 0.1, 0.9], [True, False, False], bins=2)
    assert error == pytest.approx((abs(0.1 + 0.9 - 1) + abs(0.9 - 0)) / 3)
    assert expected_calibration_error(said, right) > 0.1
    assert expected_calibration_error([fitted(p) for p in said], right) < 0.03
    assert math.isnan(expected_calibration_error([], []))


@given(st.integers(0, 60), st.integers(0, 60))
def test_wilson_solves_its_quadratic(right, wrong):
    count, z = right + wrong, 1.6449
    low = wilson_lower_bound(right, count, z)
    if not right:
        assert low == pytest.approx(0, abs=1e-12)
    else:  # the share for which what was seen is z standard deviations high
        assert (right / count - low) == pytest.approx(z * math.sqrt(low * (1 - low) / count), abs=1e-9)


def test_the_bound_holds_as_often_as_it_says():
    draw = np.random.default_rng(0)
    held = np.mean([wilson_lower_bound(int(draw.binomial(400, 0.93)), 400) <= 0.93 for _ in range(2000)])
    assert 0.93 < held < 0.97


def test_outcomes_that_go_together_count_less():
    draw = np.random.default_rng(0)
    alone = [bool(x) for x in draw.random(2000) < 0.8]
    assert design_effect(alone, list(range(2000))) == pytest.approx(1, abs=0.01)
    together = [outcome for outcome in alone for _ in range(5)]
    assert design_effect(together, [number // 5 for number in range(10_000)]) == pytest.approx(5, rel=0.01)
    assert design_effect([True, True], ["a", "b"]) == design_effect([True, False], ["a", "a"]) == 1.0
    assert design_effect([], []) == 1.0


def test_what_is_no_probability_is_refused_in_one_line():
    with pytest.raises(SettingError, match=r"1\.5 is no probability"):
        fit_platt_scaling([1.5], [True])
    with pytest.raises(ShapeError, match="2 values and 1 outcomes"):
        expected_calibration_error([0.5, 0.5], [True])
    with pytest.raises(SettingError, match="bins is 0"):
        expected_calibration_error([0.5], [True], bins=0)
    with pytest.raises(SettingError, match="strength is 0"):
        fit_platt_scaling([0.5], [True], strength=0)
    with pytest.raises(SettingError, match="3 of 2 cannot be right"):
        wilson_lower_bound(3, 2)
