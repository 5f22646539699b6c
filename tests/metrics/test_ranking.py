"""AUROC and average precision, against their definitions pair by pair and threshold by threshold."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from recurra.metrics import Bootstrap, add
from recurra.metrics.ranking import area_under_roc, average_precision

AUROC = area_under_roc(lambda example: example, lambda answer: answer)
AP = average_precision(lambda example: example, lambda answer: answer)

scores = st.one_of(st.sampled_from([0.0, 0.25, 0.5, 1.0]), st.floats(0, 1))
outcomes = st.lists(st.tuples(st.booleans(), scores), min_size=1, max_size=30)


def value(metric, pairs):
    return metric.value(add(metric.tally(*pair) for pair in pairs))


def auroc_by_pairs(pairs):
    """P(score of one of the class > score of another) + half of P(equal), O(n²)."""
    positives = [score for positive, score in pairs if positive]
    negatives = [score for positive, score in pairs if not positive]
    wins = sum(Fraction(1) if p > n else Fraction(1, 2) if p == n else 0 for p in positives for n in negatives)
    return float(wins / (len(positives) * len(negatives)))


def average_precision_by_thresholds(pairs):
    """Σ (R_n - R_n-1) P_n, where at a threshold everything that scores as much is taken, O(n²)."""
    total, before, wanted = Fraction(0), Fraction(0), sum(positive for positive, _ in pairs)
    for threshold in sorted({score for _, score in pairs}, reverse=True):
        taken = [positive for positive, score in pairs if score >= threshold]
        recall = Fraction(sum(taken), wanted)
        total += (recall - before) * Fraction(sum(taken), len(taken))
        before = recall
    return float(total)


@given(outcomes)
@example([(True, 0.5), (False, 0.5)])
def test_auroc_is_the_share_of_pairs_in_the_right_order(pairs):
    if len({positive for positive, _ in pairs}) < 2:
        assert math.isnan(value(AUROC, pairs))
    else:
        assert value(AUROC, pairs) == pytest.approx(auroc_by_pairs(pairs), abs=1e-12)


@given(outcomes)
def test_average_precision_is_the_sum_over_thresholds(pairs):
    if not any(positive for positive, _ in pairs):
        assert math.isnan(value(AP, pairs))
    else:
        assert value(AP, pairs) == pytest.approx(average_precision_by_thresholds(pairs), abs=1e-12)


@given(outcomes, outcomes)
def test_tallies_of_parts_add_up(first, second):
    for metric in (AUROC, AP):
        parts = add(add(metric.tally(*pair) for pair in part) for part in (first, second))
        assert metric.value(parts) == pytest.approx(value(metric, first + second), nan_ok=True)


@given(outcomes)
def test_the_area_under_the_drawn_curve_is_the_figure(pairs):
    charts = AUROC.charts(add(AUROC.tally(*pair) for pair in pairs))
    if math.isnan(value(AUROC, pairs)):
        assert charts == []
        return
    [curve] = charts[0].curves
    assert (curve.x[0], curve.y[0], curve.x[-1], curve.y[-1]) == pytest.approx((0, 0, 1, 1))
    assert np.trapezoid(curve.y, curve.x) == pytest.approx(value(AUROC, pairs), abs=1e-12)


def test_of_very_many_points_some_are_drawn_and_the_ends_are_among_them():
    pairs = [(n % 3 == 0, n / 5000) for n in range(5000)]
    for metric in (AUROC, AP):
        [chart] = metric.charts(add(metric.tally(*pair) for pair in pairs))
        assert len(chart.curves[0].x) == 500
        assert chart.curves[0].x[0] == 0
        assert chart.curves[0].x[-1] == pytest.approx(1)


def test_what_has_no_score_or_is_of_neither_class_counts_for_nothing():
    pairs = [(True, 0.5), (False, 0.1), (None, 0.9), (True, None)]
    assert value(AUROC, pairs) == 1
    assert value(AP, pairs) == 1


def test_the_interval_is_drawn_on_few_names_and_is_that_of_every_score():
    """On a grid of scores, however many there are; by a second derivation, it is where drawn samples lie."""
    draw = np.random.default_rng(0)
    positive = draw.random(600) < 0.4
    score = 1 / (1 + np.exp(-draw.normal(positive * 1.2, 1.0)))
    coarse = Bootstrap()
    for index, pair in enumerate(zip(positive.tolist(), score.tolist(), strict=True)):
        coarse.add(index, AUROC.coarsened(AUROC.tally(*pair)))
    assert len(coarse.state()) < 500
    drawn = []
    for _ in range(400):
        rows = draw.integers(0, 600, 600)
        drawn.append(value(AUROC, zip(positive[rows].tolist(), score[rows].tolist(), strict=True)))
    low, high = np.percentile(drawn, [2.5, 97.5])
    interval = coarse.interval(AUROC.value)
    assert interval.low == pytest.approx(low, abs=0.01)
    assert interval.high == pytest.approx(high, abs=0.01)
    tally = add(AUROC.tally(*pair) for pair in zip(positive.tolist(), score.tolist(), strict=True))
    assert AUROC.value(AUROC.coarsened(tally)) == pytest.approx(AUROC.value(tally), abs=1e-3)


@pytest.mark.parametrize("score", [0.0, 5e-324, 1 - 1e-16, 1.0])
def test_certain_scores_stay_in_order_on_the_grid(score):
    tally = AUROC.coarsened({(score, True): 1})
    [(place, positive)] = tally
    assert positive
    assert abs(place) == 512
    assert (place > 0) == (score > 0.5)
