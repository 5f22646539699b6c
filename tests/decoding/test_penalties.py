"""Penalties of Wu et al. (2016), against numbers that were computed by hand."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from recurra.decoding import Penalties, score_targets
from recurra.errors import SettingError
from support.automata import Automaton


@pytest.mark.parametrize(
    ("penalties", "divisors"),
    [
        (Penalties("none", 0.9), [1, 1, 1, 1]),
        (Penalties("average", 1.0), [1, 4, 7, 16]),
        (Penalties("average", 0.5), [1, 2, math.sqrt(7), 4]),
        (Penalties("average", 0.0), [1, 1, 1, 1]),
        (Penalties("gnmt", 1.0), [1, 1.5, 2, 3.5]),
        (Penalties("gnmt", 2.0), [1, 2.25, 4, 12.25]),
        (Penalties("gnmt", 0.0), [1, 1, 1, 1]),
        # (5 + |Y|)^α / (5 + 1)^α with α = 0.2, which is best in table 2 of the paper: 2^0.2 and 3.5^0.2.
        (Penalties("gnmt", 0.2), [1, 1.0844717711976985, 1.1486983549970350, 1.2847351571234393]),
    ],
)
def test_length_penalties_are_those_of_the_formulas(penalties, divisors):
    lengths = torch.tensor([1, 4, 7, 16])
    assert penalties.divisors(lengths).tolist() == pytest.approx(divisors, rel=1e-12)
    assert penalties.divisors(lengths).dtype == torch.float64


def test_the_coverage_penalty_is_that_of_the_formula():
    """β Σ<i> log min(Σ<t> attention<t,i>, 1): what was read once or more is no loss."""
    attention = torch.tensor([[0.5, 1.0, 3.0], [0.25, 0.1, 9.0], [1.0, 2.0, 1.0], [0.5, 0.5, 0.5]])
    values = Penalties(coverage=0.2).coverages(attention, torch.tensor([3, 2, 3, 0]))
    expected = [0.2 * math.log(0.5), 0.2 * (math.log(0.25) + math.log(0.1)), 0.0, 0.0]
    assert values.tolist() == pytest.approx(expected, rel=1e-6)
    assert values.dtype == torch.float64
    assert Penalties().coverages(attention, torch.tensor([3, 3, 3, 3])).tolist() == [0] * 4
    twice = Penalties(coverage=0.4).coverages(attention, torch.tensor([3, 2, 3, 0]))
    assert twice.tolist() == pytest.approx([2 * each for each in expected], rel=1e-6)


def test_what_was_never_read_leaves_a_number():
    for dtype in (torch.float32, torch.float64, torch.bfloat16):
        value = Penalties(coverage=1.0).coverages(torch.zeros(1, 2, dtype=dtype), torch.tensor([2])).item()
        assert value == pytest.approx(2 * math.log(torch.finfo(torch.float32).tiny))


def test_a_score_is_made_of_them():
    """s(Y, X) = log P(Y | X) / lp(Y) + cp(X; Y), equation 14 of the paper, by hand."""
    automaton = Automaton(0, [1])
    automaton.log_probabilities = torch.tensor([0.1, 0.2, 0.3, 0.4], dtype=torch.float64).log().expand(2, 6, 4)
    automaton.attention = torch.tensor([0.75, 0.25, 0.0], dtype=torch.float64).expand(2, 6, 3)
    (scored,) = score_targets(automaton, [[2, 3]], penalties=Penalties("gnmt", 0.2, 0.2))
    assert scored.log_probability == pytest.approx(math.log(0.3 * 0.4 * 0.2))
    assert scored.length_penalty == pytest.approx((8 / 6) ** 0.2)  # two tokens and the end
    assert scored.coverage_penalty == pytest.approx(0.2 * math.log(0.75))  # three steps read the second word by 3/4
    assert scored.score == pytest.approx(math.log(0.024) / (8 / 6) ** 0.2 + 0.2 * math.log(0.75))


@given(
    st.sampled_from(["none", "average", "gnmt"]),
    st.floats(0, 3),
    st.floats(0, 3),
    st.floats(-50, 0),
    st.lists(st.floats(-20, 0), max_size=8),
    st.integers(0, 5),
)
def test_no_continuation_is_better_than_the_bound(length, alpha, coverage, total, following, steps):
    """The total falls with each token, whatever is covered, and no sequence is longer than the longest."""
    penalties = Penalties(length, alpha, coverage)
    longest = 1 + steps + len(following)
    bound = penalties.bounds(torch.tensor([total], dtype=torch.float64), torch.tensor([longest])).item()
    for more in range(len(following) + 1):
        ended = total + sum(following[:more])
        score = ended / penalties.divisors(torch.tensor([1 + steps + more])).item()
        covered = penalties.coverages(torch.tensor([[0.3, 1.2]]), torch.tensor([2])).item()
        assert score + covered <= bound + 1e-9


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"length": "mean"}, "the length penalty 'mean' is unknown; known: none, average, gnmt"),
        ({"length": None}, "the length penalty None is unknown"),
        ({"alpha": -0.1}, r"alpha is -0.1; it must be 0 \(no penalty\) or a number above"),
        ({"alpha": math.inf}, "alpha is inf"),
        ({"alpha": "1"}, "alpha is '1'"),
        ({"coverage": math.nan}, "coverage is nan"),
        ({"coverage": -1}, "coverage is -1"),
        ({"coverage": None}, "coverage is None"),
    ],
)
def test_values_outside_their_range_are_refused(options, message):
    with pytest.raises(SettingError, match=message):
        Penalties(**options)
