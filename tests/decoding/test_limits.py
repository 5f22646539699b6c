"""Limits of what is written: lengths by their definition, n-grams against a plain search, masks row by row."""

import math
from collections import Counter

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from recurra.decoding import Limits
from recurra.decoding.limits import TokenMask, rule_out_repeated
from recurra.errors import SettingError

LENGTHS = st.lists(st.integers(0, 40), min_size=1, max_size=5)


@given(LENGTHS, st.integers(0, 20), st.integers(0, 20), st.sampled_from([0.0, 0.3, 1.0]), st.none() | st.floats(1, 4))
def test_the_larger_minimum_and_the_smaller_maximum_count(lengths, fewest, more, min_ratio, max_ratio):
    limits = Limits(fewest, fewest + more, min_ratio, max_ratio)
    longest, shortest = (each(torch.tensor(lengths)).tolist() for each in (limits.longest, limits.shortest))
    for size, most, least in zip(lengths, longest, shortest, strict=True):
        assert most == min(fewest + more, math.inf if max_ratio is None else math.floor(max_ratio * size))
        assert least == min(max(fewest, math.ceil(min_ratio * size)), most)


def test_a_ratio_that_is_far_too_large_is_no_limit():
    for ratio in (1e18, 1e300):
        assert Limits(max_length=9, max_ratio=ratio).longest(torch.tensor([0, 1, 500])).tolist() == [0, 9, 9]
        assert Limits(max_length=9, min_ratio=ratio).shortest(torch.tensor([0, 1, 500])).tolist() == [0, 9, 9]


@given(st.lists(st.lists(st.integers(0, 2), min_size=6, max_size=6), min_size=1, max_size=4), st.integers(1, 4))
def test_exactly_the_tokens_that_would_repeat_an_ngram_are_ruled_out(rows, size):
    scores = torch.zeros(len(rows), 3)
    rule_out_repeated(scores, torch.tensor(rows), size)
    for row, (tokens, values) in enumerate(zip(rows, scores.tolist(), strict=True)):
        for token in range(3):
            ngrams = _ngrams((*tokens, token), size)
            assert (values[token] == -math.inf) == (ngrams[-1] in ngrams[:-1]), row


def _ngrams(tokens, size):
    return [tokens[start : start + size] for start in range(len(tokens) - size + 1)]


def test_a_row_may_be_exempt():
    scores = torch.zeros(2, 3)
    rule_out_repeated(scores, torch.tensor([[0, 1], [0, 1]]), 1, torch.tensor([True, False]))
    assert scores.tolist() == [[0, 0, 0], [-math.inf, -math.inf, 0]]


def masked(limits, step, sources, lengths=(1, 2), size=5, tokens=None):
    """What may come next, and which rows are cut, where all tokens are equally probable but the end, 1, less so."""
    scores = torch.zeros(len(sources), size)
    scores[:, 1] = -1
    mask = TokenMask(limits, torch.tensor(lengths), 1)
    so_far = torch.zeros(len(sources), step, dtype=torch.int64) if tokens is None else torch.tensor(tokens)
    cut = mask.apply(scores, step, torch.tensor(sources), lambda rows: so_far[rows])
    return [[token for token in range(size) if row[token] > -math.inf] for row in scores.tolist()], cut.tolist()


def test_each_row_has_the_limits_of_its_source():
    limits = Limits(min_length=2, max_ratio=2.0)  # two tokens for the first source, two to four for the second
    everything, no_end = [0, 1, 2, 3, 4], [0, 2, 3, 4]
    assert masked(limits, 0, [0, 1]) == ([no_end, no_end], [False, False])
    assert masked(limits, 1, [1, 0, 0]) == ([no_end] * 3, [False] * 3)
    assert masked(limits, 2, [0, 1]) == ([[1], everything], [True, False])
    assert masked(limits, 4, [1, 1]) == ([[1], [1]], [True, True])
    assert masked(limits, 3, [1]) == ([everything], [False])


def test_a_row_is_cut_only_where_another_token_was_more_probable_and_allowed():
    limits = Limits(max_length=1, banned=(0, 2))
    assert masked(limits, 1, [0]) == ([[1]], [True])
    assert masked(Limits(max_length=1, banned=(0, 2, 3, 4)), 1, [0]) == ([[1]], [False])
    assert masked(Limits(max_length=4, unique_ngrams=1, banned=(0,)), 4, [1], tokens=[[2, 3, 4, 0]]) == ([[1]], [False])


def test_what_is_banned_never_comes():
    counts = Counter(token for row in masked(Limits(banned=(0, 3)), 2, [0, 1, 1])[0] for token in row)
    assert counts == {1: 3, 2: 3, 4: 3}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"min_length": -1}, "min_length is -1; it is a whole number from 0 to 2147483647"),
        ({"max_length": 1.5}, "max_length is 1.5; it is a whole number from 0"),
        ({"max_length": 10**30}, "max_length is 1000000000000000000000000000000; it is a whole number from 0 to"),
        ({"unique_ngrams": 0}, "unique_ngrams is 0; it is a whole number from 1"),
        ({"min_ratio": -0.5}, "min_ratio is -0.5; it must be 0 or a number above"),
        ({"max_ratio": math.inf}, "max_ratio is inf; it must be 0 or a number above"),
        ({"max_ratio": "2"}, "max_ratio is '2'"),
        ({"min_length": 5, "max_length": 4}, "min_length is 5, above max_length, which is 4"),
        ({"min_ratio": 2.0, "max_ratio": 1.0}, "min_ratio is 2.0, above max_ratio, which is 1.0"),
        ({"banned": (1, -2)}, "the banned token -2 is no id; ids are whole numbers, 0 or more"),
        ({"banned": ("a",)}, "the banned token 'a' is no id"),
    ],
)
def test_values_outside_their_range_are_refused(options, message):
    with pytest.raises(SettingError, match=message):
        Limits(**options)
