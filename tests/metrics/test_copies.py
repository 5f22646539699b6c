"""The longest shared passage, against a search by brute force."""

import itertools

from hypothesis import given, strategies

from recurra.metrics.copies import CopyIndex

texts = strategies.text("ab c", max_size=12)


@given(strategies.lists(texts, max_size=4), texts)
def test_the_longest_passage_of_a_text_is_that_of_a_search(training, text):
    copy = CopyIndex(training).longest(text)
    spans = itertools.combinations(range(len(text) + 1), 2)
    assert copy.length == max((b - a for a, b in spans if any(text[a:b] in other for other in training)), default=0)
    if copy.length:
        there = training[copy.sequence][copy.at : copy.at + copy.length]
        assert text[copy.start : copy.start + copy.length] == there
