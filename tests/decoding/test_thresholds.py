"""The threshold of the highest F1: none does better."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recurra.decoding.thresholds import best_f1_threshold
from recurra.errors import ShapeError


def f1(pairs, threshold):
    given_ = [right for probability, right in pairs if probability >= threshold]
    total = len(given_) + sum(right for _, right in pairs)
    return 2 * sum(given_) / total if total else 0.0


@given(st.lists(st.tuples(st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.9, 1.0]), st.booleans()), max_size=12))
def test_no_threshold_is_better(pairs):
    threshold = best_f1_threshold([p for p, _ in pairs], [right for _, right in pairs])
    assert 0 < threshold < 1
    reachable = [f1(pairs, other) for other in (0.05, 0.2, 0.4, 0.6, 0.95, 1.1)]
    assert f1(pairs, threshold) == pytest.approx(max(reachable))


def test_of_several_as_good_the_one_nearest_to_a_half_is_taken():
    assert best_f1_threshold([0.9, 0.6, 0.6, 0.1], [True, True, True, False]) == pytest.approx(0.35)
    assert best_f1_threshold([0.3, 0.2], [False, False]) == 0.5
    assert best_f1_threshold([], []) == 0.5
    with pytest.raises(ShapeError, match="1 probabilities and 0 outcomes"):
        best_f1_threshold([0.3], [])
