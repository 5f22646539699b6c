"""Figures of several classes a text, against counting pair by pair."""

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recurra.metrics import add
from recurra.metrics.multi_label import label_f1, subset_accuracy

CLASSES = "abc"
some = st.sets(st.sampled_from(CLASSES))


def value(metric, pairs):
    return metric.value(add(metric.tally(*pair) for pair in pairs))


@given(st.lists(st.tuples(some, some), min_size=1, max_size=20))
def test_the_figures_are_harmonic_means_of_precision_and_recall(pairs):
    def f1(decisions):
        """From whether it is expected and whether it is answered, for each decision."""
        both = sum(a and b for a, b in decisions)
        if not both:
            return 0.0
        precision, recall = both / sum(b for _, b in decisions), both / sum(a for a, _ in decisions)
        return 2 / (1 / precision + 1 / recall)

    by_class = {name: [(name in gold, name in answer) for gold, answer in pairs] for name in CLASSES}
    micro = value(label_f1(lambda example: example, lambda answer: answer, "micro"), pairs)
    if any(map(any, itertools.chain(*by_class.values()))):
        assert micro == pytest.approx(f1([*itertools.chain(*by_class.values())]))
    else:
        assert math.isnan(micro)
    macro = value(label_f1(lambda example: example, lambda answer: answer, "macro"), pairs)
    scores = [f1(decisions) for decisions in by_class.values() if any(gold for gold, _ in decisions)]
    assert math.isnan(macro) if not scores else macro == pytest.approx(sum(scores) / len(scores))
    exact = value(subset_accuracy(lambda example: example, lambda answer: answer), pairs)
    assert exact == sum(gold == answer for gold, answer in pairs) / len(pairs)


def test_the_table_has_a_row_for_each_class():
    metric = label_f1(lambda example: example, lambda answer: answer, "macro")
    rows = metric.table(add(metric.tally(*pair) for pair in [("ab", "a"), ("a", "c"), ("", "")]))
    assert [row.name for row in rows] == ["a", "b", "c"]
    assert rows[0].figures["precision"] == 1
    assert rows[0].figures["recall"] == 0.5
    assert (rows[1].figures["texts"], rows[1].figures["answered"]) == (1, 0)
    assert math.isnan(rows[2].figures["recall"])
