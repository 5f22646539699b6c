"""Tag schemes: every one writes spans and reads them back, is detected, and is refused where it is broken."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recurra.data.tags import Scheme, detect_scheme, read_spans, tag_problem, tags_of, write_tags
from recurra.errors import DataError


@st.composite
def sentences(draw):
    """A length and spans within it; adjacent ones may be of one type."""
    length, spans, step = draw(st.integers(1, 9)), [], 0
    while step < length:
        width = draw(st.integers(0, min(3, length - step)))
        if width:
            spans.append((step, step + width, draw(st.sampled_from(["PER", "LOC", "x-y"]))))
        step += max(width, 1)
    return length, spans


@given(sentences(), st.sampled_from([s for s in Scheme if s is not Scheme.IO]))
def test_spans_are_read_back_as_they_were_written(sentence, scheme):
    length, spans = sentence
    tags = write_tags(spans, length, scheme)
    assert len(tags) == length
    assert set(tags) <= set(tags_of(["PER", "LOC", "x-y"], scheme))
    assert read_spans(tags, scheme) == spans


@given(sentences())
def test_io_joins_adjacent_spans_of_one_type_and_keeps_the_rest(sentence):
    length, spans = sentence
    joined = []
    for start, end, type_ in spans:
        if joined and joined[-1][1] == start and joined[-1][2] == type_:
            joined[-1] = (joined[-1][0], end, type_)
        else:
            joined.append((start, end, type_))
    assert read_spans(write_tags(spans, length, Scheme.IO), Scheme.IO) == joined


@given(st.lists(sentences(), min_size=1, max_size=6), st.sampled_from(list(Scheme)))
def test_a_detected_scheme_reads_the_spans_that_were_written(corpus, scheme):
    tagged = [write_tags(spans, length, scheme) for length, spans in corpus]
    detected = detect_scheme(tagged)
    for tags in tagged:
        assert read_spans(tags, detected) == read_spans(tags, scheme)


@pytest.mark.parametrize(
    ("scheme", "tags"),
    [
        (Scheme.IOB2, [["B-PER", "I-PER", "B-PER"], ["O"]]),
        (Scheme.IOB1, [["I-PER", "I-PER", "B-PER"], ["O"]]),
        (Scheme.IO, [["I-PER", "O", "I-LOC"]]),
        (Scheme.IO, [["NAME", "O", "ME"]]),
        (Scheme.IOBES, [["S-PER", "B-LOC", "E-LOC"]]),
        (Scheme.IOBES, [["B-LOC", "M-LOC", "E-LOC"]]),
        (Scheme.BILOU, [["U-PER", "B-LOC", "I-LOC", "L-LOC"]]),
    ],
)
def test_a_scheme_is_told_by_its_letters(scheme, tags):
    assert detect_scheme(tags) is scheme


def test_a_label_without_a_prefix_is_a_type_of_its_own():
    assert read_spans(["O", "NAME", "NAME", "O"], Scheme.IO) == [(1, 3, "NAME")]


@pytest.mark.parametrize(
    ("tags", "where", "message"),
    [
        ([["O"], ["O", "I-PER", "S-LOC"]], (1, 1), "by IOBES"),
        ([["B-PER", "I-LOC", "B-PER"], ["I-PER", "B-PER"]], (0, 1), "by IOB2, the nearest, I-LOC does not begin"),
        ([["U-PER"], ["B-LOC"]], (1, 1), "the sentence ends where a span of LOC is open"),
        ([["B-LOC", "E-PER"]], (0, 1), "E-PER stands where a span of LOC is open"),
    ],
)
def test_tags_of_no_scheme_are_refused_and_say_where(tags, where, message):
    with pytest.raises(DataError, match=message) as caught:
        detect_scheme(tags)
    assert caught.value.where == where


def test_what_a_scheme_does_not_allow_is_named():
    assert tag_problem(["B-PER", "I-PER"], Scheme.IOB2) is None
    assert tag_problem(["I-PER"], Scheme.IOB2).step == 0
    assert tag_problem(["B-PER"], Scheme.IOB1).step == 0
    with pytest.raises(DataError, match="tag 1"):
        read_spans(["B-PER"], Scheme.IOB1)
    with pytest.raises(DataError, match="overlaps another"):
        write_tags([(0, 2, "PER"), (1, 3, "LOC")], 3, Scheme.IOB2)


def test_a_stray_b_among_very_many_spans_is_iob1():
    # The training part of CoNLL-2003 has one, in 23,499 spans.
    corpus = [["I-PER", "O"]] * 150 + [["O", "B-PER"]]
    assert detect_scheme(corpus) is Scheme.IOB1
    assert read_spans(["O", "B-PER"], Scheme.IOB1, strict=False) == [(1, 2, "PER")]
    with pytest.raises(DataError, match="stands where no span of PER has just ended"):
        detect_scheme([["I-PER", "O"], ["O", "B-PER"]])
