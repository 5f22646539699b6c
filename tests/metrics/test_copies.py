"""The longest shared passage, against a search by brute force."""

import itertools

import numpy as np
from hypothesis import given, strategies

from recurra.metrics.copies import CopyIndex, RollCopyIndex

texts = strategies.text("ab c", max_size=12)
rolls = strategies.lists(strategies.sets(strategies.integers(0, 4), max_size=2), max_size=8).map(
    lambda frames: np.array([[key in frame for key in range(5)] for frame in frames], dtype=bool).reshape(-1, 5)
)


@given(strategies.lists(texts, max_size=4), texts)
def test_the_longest_passage_of_a_text_is_that_of_a_search(training, text):
    copy = CopyIndex(training).longest(text)
    spans = itertools.combinations(range(len(text) + 1), 2)
    assert copy.length == max((b - a for a, b in spans if any(text[a:b] in other for other in training)), default=0)
    if copy.length:
        there = training[copy.sequence][copy.at : copy.at + copy.length]
        assert text[copy.start : copy.start + copy.length] == there


def alike(one, other):
    """By how much one passage is higher than another, if they are alike but for that and begin and end with a sound."""
    if not (one[0].any() and one[-1].any() and other[0].any()):
        return None
    shift = int(one[0].argmax() - other[0].argmax())
    wide = np.pad(other, ((0, 0), (5, 5)))
    return shift if np.array_equal(np.pad(one, ((0, 0), (5, 5))), np.roll(wide, shift, axis=1)) else None


@given(strategies.lists(rolls, max_size=3), rolls)
def test_the_longest_passage_of_a_roll_is_that_of_a_search_in_any_key(training, roll):
    copy = RollCopyIndex(training).longest(roll)
    longest = 0
    for a, b in itertools.combinations(range(len(roll) + 1), 2):
        for other in training:
            if any(alike(roll[a:b], other[at : at + b - a]) is not None for at in range(len(other) - (b - a) + 1)):
                longest = max(longest, b - a)
    assert copy.length == longest
    if copy.length:
        there = training[copy.sequence][copy.at : copy.at + copy.length]
        assert alike(roll[copy.start : copy.start + copy.length], there) == copy.transposed


def test_rolls_of_another_range_are_compared():
    wide = np.zeros((3, 88), dtype=bool)
    wide[[0, 1, 2], [40, 44, 47]] = True
    narrow = np.zeros((3, 12), dtype=bool)
    narrow[[0, 1, 2], [1, 5, 8]] = True
    assert RollCopyIndex([wide]).longest(narrow)[:5] == (0, 3, 0, 0, -39)


def test_a_rest_between_two_chords_is_part_of_the_passage():
    rested = np.zeros((3, 12), dtype=bool)
    rested[[0, 2], [0, 4]] = True
    joined = rested[[0, 2]]
    assert RollCopyIndex([rested]).longest(joined).length == 1
    assert RollCopyIndex([rested]).longest(np.roll(rested, 3, axis=1)) == (0, 3, 0, 0, 3)
