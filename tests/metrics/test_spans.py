"""Span F1 as conlleval has it: against the conditions of the script, and counts worked out by hand."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recurra.data.tags import Scheme, write_tags
from recurra.metrics import (
    add,
    conlleval_spans,
    f1_of,
    span_f1,
    span_precision,
    span_recall,
    span_tally,
    strict_spans,
    token_accuracy,
)

SEQEVAL = [
    (
        "IOB2",
        "I-L B-L I-L I-L B-P / B-L I-L B-L O O / B-P I-P B-L I-L O O / O O O B-L I-L / B-L B-P",
        "I-P B-L I-L I-L O / B-L I-L B-L O O / B-P B-L B-L I-L O O / O O O O I-L / B-L B-P",
        (0.75, 0.666667, 0.705882),
        (0.6, 0.6, 0.6),
        0.826087,
    ),
    (
        "IOB2",
        "O O B-L I-L / B-P O / B-P O O I-L / O O / B-P B-P",
        "B-P O B-L I-L / B-P O / B-P O O O / O O / B-P O",
        (0.8, 0.8, 0.8),
        (0.8, 0.666667, 0.727273),
        0.785714,
    ),
    (
        "IOBES",
        "B-P E-P E-L B-P O I-L / O I-L I-L B-P O / S-P B-L O B-P / I-L S-P S-L / O O O B-P E-P B-L",
        "B-P E-P I-L B-P O I-L / O I-L I-L B-P E-P / O O O B-P / I-L S-P S-L / O O O B-P E-P B-L",
        (0.8, 0.8, 0.8),
        (0.916667, 0.785714, 0.846154),
        0.833333,
    ),
    (
        "IOBES",
        "I-L O / O O / B-L B-P I-L B-L I-L S-P / B-L E-L O O O / E-P E-L S-L",
        "S-P O / O O / B-L B-P I-L B-L I-L S-P / O E-L I-P O O / E-P E-L S-L",
        (0.666667, 0.666667, 0.666667),
        (0.727273, 0.8, 0.761905),
        0.833333,
    ),
]
"""What seqeval 1.2.2 says of random tags: scheme, sentences, answers; precision, recall and F1 in its strict mode and
in its default one; accuracy. (1000 random corpora more agreed, compared once.)"""

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


@pytest.mark.parametrize(("scheme", "gold", "answers", "strict", "default", "accuracy"), SEQEVAL)
def test_figures_are_those_of_seqeval(scheme, gold, answers, strict, default, accuracy):
    pairs = list(zip([t.split() for t in gold.split(" / ")], [t.split() for t in answers.split(" / ")], strict=True))
    readings = [(lambda tags: strict_spans(tags, scheme), strict), (conlleval_spans, default)]
    for read, expected in readings:
        figures = []
        for metric in (span_precision(read, read), span_recall(read, read), span_f1(read, read)):
            figures.append(metric.value(add(metric.tally(*pair) for pair in pairs)))
        assert figures == pytest.approx(expected, abs=1e-6)
    metric = token_accuracy(list, lambda _, answer: answer)
    assert metric.value(add(metric.tally(*pair) for pair in pairs)) == pytest.approx(accuracy, abs=1e-6)


@pytest.mark.parametrize(
    ("tags", "loose", "strict"),
    [
        (["I-X", "I-X"], [(0, 2, "X")], []),  # I after O
        (["O", "I-X", "B-X"], [(1, 2, "X"), (2, 3, "X")], [(2, 3, "X")]),
        (["B-X", "I-Y", "I-Y"], [(0, 1, "X"), (1, 3, "Y")], [(0, 1, "X")]),  # the type changes
        (["B-X", "I-X", "O", "I-X"], [(0, 2, "X"), (3, 4, "X")], [(0, 2, "X")]),
    ],
)
def test_tags_that_break_the_scheme_are_read_as_conlleval_does_or_not_at_all(tags, loose, strict):
    assert conlleval_spans(tags) == loose
    assert strict_spans(tags, "IOB2") == strict


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(1, 3), st.sampled_from(["PER", "x-y"])), max_size=5))
def test_on_tags_that_obey_a_scheme_all_readings_are_one(pieces):
    spans, step = [], 0
    for gap, width, type_ in pieces:
        spans.append((step + gap, step + gap + width, type_))
        step += gap + width
    for scheme in (Scheme.IOB1, Scheme.IOB2, Scheme.IOBES, Scheme.BILOU):
        assert conlleval_spans(write_tags(spans, step + 1, scheme)) == spans
    assert strict_spans(write_tags(spans, step + 1, Scheme.IOB2), "IOB2") == spans
    for scheme in (Scheme.IOBES, Scheme.BILOU):
        assert strict_spans(write_tags(spans, step + 1, scheme), "IOBES") == spans


def test_accuracy_of_no_tags_is_no_figure():
    assert math.isnan(token_accuracy(list, lambda _, answer: answer).value({"right": 0, "all": 0}))
