"""Span F1 as conlleval has it: against the conditions of the script, and counts worked out by hand."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recurra.metrics import add, conlleval_spans, f1_of, span_f1, span_tally

TAGS = ["O", *(f"{prefix}-{type_}" for prefix in "BIES" for type_ in ("PER", "LOC"))]


def spans_by_boundaries(tags):
    """The same from what the script asks at each boundary: has a chunk ended before it, does one start after it?"""
    spans, start = [], None
    steps = [("O", ""), *((tag[0], tag[2:]) for tag in tags), ("O", "")]
    for step in range(1, len(steps)):
        (before, before_type), (after, after_type) = steps[step - 1], steps[step]
        ended = (before in "BI" and after in "BSO") or before in "ES" or (before != "O" and before_type != after_type)
        started = after in "BS" or (after in "IE" and before in "OES") or (after != "O" and before_type != after_type)
        if ended and start is not None:
            spans.append((start, step - 1, before_type))
            start = None
        if started:
            start = step - 1
    return spans


@given(st.lists(st.sampled_from(TAGS), max_size=12))
def test_spans_are_those_of_the_script_for_any_tags(tags):
    assert conlleval_spans(tags) == spans_by_boundaries(tags)


def test_e_before_b_ends_a_span():
    # Scripts that miss this boundary score these answers 100%.
    gold = conlleval_spans(["B-X", "E-X", "B-X", "E-X"])
    assert gold == [(0, 2, "X"), (2, 4, "X")]
    assert not set(gold) & set(conlleval_spans(["B-X", "I-X", "I-X", "E-X"]))


def test_counts_of_the_shared_task_by_hand():
    metric = span_f1(conlleval_spans, conlleval_spans)
    pairs = [
        (["I-PER", "I-PER", "O", "I-LOC"], ["I-PER", "I-PER", "O", "I-ORG"]),  # one right, one of another type
        (["O", "I-LOC", "B-LOC"], ["O", "I-LOC", "I-LOC"]),  # two told as one
        (["I-ORG"], ["O"]),  # one missed
    ]
    total = add(metric.tally(*pair) for pair in pairs)
    assert metric.value(total) == pytest.approx(2 * 1 / (3 + 5))
    rows = {row.name: row.figures for row in metric.table(total)}
    assert rows["PER"] == {"precision": 1.0, "recall": 1.0, "F1": 1.0, "spans": 1, "predicted": 1}
    assert rows["LOC"]["recall"] == 0.0
    assert rows["LOC"]["predicted"] == 1
    assert sum(row["spans"] for row in rows.values()) == 5


def test_tallies_of_parts_add_up_to_that_of_the_whole():
    first, second = span_tally([(0, 1, "A")], []), span_tally([(0, 1, "A")], [(0, 1, "A")])
    assert add([first, second]) == {("gold", "A"): 2, ("predicted", "A"): 1, ("right", "A"): 1}


def test_nothing_to_find_is_no_figure():
    assert math.isnan(span_f1(conlleval_spans, conlleval_spans).value({}))
    assert f1_of(0, 0, 3) == (0.0, 0.0, 0.0)
