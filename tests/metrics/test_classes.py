"""Metrics of classes, against counts worked out by hand and a second derivation."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recurra.metrics import add
from recurra.metrics.classes import class_accuracy, macro_f1

ACCURACY = class_accuracy(lambda example: example, lambda answer: answer)
MACRO = macro_f1(lambda example: example, lambda answer: answer)


def value(metric, pairs):
    return metric.value(add(metric.tally(*pair) for pair in pairs))


BY_HAND = [("a", "a")] * 3 + [("a", "b")] + [("b", "b")] * 2 + [("b", "c")] * 2 + [("c", "a")]
"""a: right 3 of 4, answered 4, so F1 3/4. b: 2 of 4, answered 3, so 4/7. c: 0 of 1, answered 2, so 0."""


def test_by_hand():
    assert value(ACCURACY, BY_HAND) == pytest.approx(5 / 9)
    assert value(MACRO, BY_HAND) == pytest.approx((3 / 4 + 4 / 7 + 0) / 3)
    rows = {row.name: row.figures for row in MACRO.table(add(MACRO.tally(*pair) for pair in BY_HAND))}
    assert rows["a"] == {"precision": 3 / 4, "recall": 3 / 4, "F1": 3 / 4, "texts": 4, "answered": 4}
    assert rows["b"] == pytest.approx({"precision": 2 / 3, "recall": 1 / 2, "F1": 4 / 7, "texts": 4, "answered": 3})
    assert rows["c"] == {"precision": 0, "recall": 0, "F1": 0, "texts": 1, "answered": 2}


def test_a_class_that_no_example_has_is_in_the_table_and_not_in_the_mean():
    pairs = [("a", "a"), ("a", "x")]
    assert value(MACRO, pairs) == pytest.approx(2 / 3)
    rows = {row.name: row.figures for row in MACRO.table(add(MACRO.tally(*pair) for pair in pairs))}
    assert (rows["x"]["texts"], rows["x"]["answered"]) == (0, 1)


def test_of_nothing_they_are_no_number():
    assert math.isnan(value(ACCURACY, []))
    assert math.isnan(value(MACRO, []))


pairs = st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from("abcd")), min_size=1, max_size=30)


@given(pairs)
def test_f1_is_the_harmonic_mean_of_precision_and_recall(drawn):
    scores = []
    for name in {expected for expected, _ in drawn}:
        right = sum(expected == answer == name for expected, answer in drawn)
        answered = sum(answer == name for _, answer in drawn)
        precision = right / answered if answered else 0
        recall = right / sum(expected == name for expected, _ in drawn)
        scores.append(2 * precision * recall / (precision + recall) if precision + recall else 0)
    assert value(MACRO, drawn) == pytest.approx(sum(scores) / len(scores))
    assert value(ACCURACY, drawn) == pytest.approx(sum(a == b for a, b in drawn) / len(drawn))


@given(pairs, pairs)
def test_tallies_of_parts_add_up_to_that_of_the_whole(first, second):
    parts = [add(MACRO.tally(*pair) for pair in part) for part in (first, second)]
    assert MACRO.value(add(parts)) == value(MACRO, first + second)
