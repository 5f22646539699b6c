"""Forced decoding: what a search says of a sequence is what the model says of it when it is given."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from recurra.decoding import Limits, Penalties, beam_search, draw_hypotheses, score_targets
from recurra.errors import RunError, SettingError, ShapeError
from support.automata import BEGIN, END, Automaton, value_of

PENALTIES = st.builds(
    Penalties,
    st.sampled_from(["none", "average", "gnmt"]),
    st.sampled_from([0.0, 0.4, 1.0, 2.5]),
    st.sampled_from([0.0, 0.3, 2.0]),
)
SEEDS = st.integers(0, 10_000)
TARGETS = st.lists(st.sampled_from([0, 2, 3]), max_size=6).map(tuple)


def assert_alike(scored, hypothesis):
    """Everything but `cut`, which only a search can know."""
    assert scored.tokens == hypothesis.tokens
    for name in ("score", "log_probability", "length_penalty", "coverage_penalty", "log_probabilities"):
        assert getattr(scored, name) == pytest.approx(getattr(hypothesis, name), rel=1e-12, abs=1e-12), name
    assert torch.equal(scored.attention, hypothesis.attention)
    assert not scored.cut


@given(SEEDS, PENALTIES, st.integers(1, 4), st.integers(0, 4))
def test_what_a_beam_reports_is_what_forced_decoding_says(seed, penalties, beam_size, longest):
    """Short limits cut most sequences: their end counts as any other."""
    automaton = Automaton(seed, [0, 1, 2, 4])
    answers = beam_search(
        automaton, beam_size=beam_size, n_best=beam_size, penalties=penalties, limits=Limits(max_length=longest)
    )
    for rank in range(min(map(len, answers))):
        hypotheses = [each[rank] for each in answers]
        scored = score_targets(automaton, [each.tokens for each in hypotheses], penalties=penalties)
        for pair in zip(scored, hypotheses, strict=True):
            assert_alike(*pair)


def test_cut_sequences_are_among_those_that_are_scored_again():
    answers = [beam_search(Automaton(seed, [0, 1, 2]), limits=Limits(max_length=2)) for seed in range(10)]
    assert {each.cut for answer in answers for one in answer for each in one} == {True, False}


@given(SEEDS, PENALTIES)
def test_what_is_drawn_is_scored_as_it_is_when_it_is_given(seed, penalties):
    automaton = Automaton(seed, [0, 1, 2])
    answers = draw_hypotheses(automaton, [seed, 1, 2], penalties=penalties, limits=Limits(max_length=3, banned=(2,)))
    hypotheses = [hypothesis for (hypothesis,) in answers]
    scored = score_targets(automaton, [each.tokens for each in hypotheses], penalties=penalties)
    for pair in zip(scored, hypotheses, strict=True):
        assert_alike(*pair)


@given(SEEDS, PENALTIES, st.lists(TARGETS, max_size=7))
def test_a_given_sequence_is_scored_by_the_definitions(seed, penalties, targets):
    """Whatever its length, beside others of other lengths, and in its place."""
    automaton = Automaton(seed, [index % 5 for index in range(len(targets))])
    for index, scored in enumerate(score_targets(automaton, targets, penalties=penalties)):
        expected = value_of(automaton, index % 5, targets[index], penalties)
        assert scored.tokens == targets[index]
        assert scored.log_probabilities == pytest.approx(expected.log_probabilities)
        assert scored.score == pytest.approx(expected.score)
        assert scored.attention.shape == (len(targets[index]) + 1, 1 + index % 5 % 3)


def test_by_default_the_score_is_the_mean_log_probability():
    (scored,) = score_targets(Automaton(1, [0]), [[2, 3, 2]])
    assert scored.score == pytest.approx(sum(scored.log_probabilities) / 4)
    assert scored.log_probability == pytest.approx(sum(scored.log_probabilities))


def test_a_sequence_that_cannot_be_has_no_probability():
    automaton = Automaton(1, [0, 0])
    automaton.log_probabilities[:, :, 3] = -math.inf
    possible, impossible = score_targets(automaton, [[2], [2, 3]])
    assert math.isfinite(possible.score)
    assert (impossible.score, impossible.log_probability) == (-math.inf, -math.inf)


def test_no_sources_have_no_scores():
    assert score_targets(Automaton(0, []), []) == []


def test_without_attention_there_is_none_and_no_coverage():
    automaton = Automaton(3, [0], attends=False)
    (scored,) = score_targets(automaton, [[2]])
    assert scored.attention is None
    with pytest.raises(SettingError, match="the penalty of coverage needs attention, and this model has none"):
        score_targets(automaton, [[2]], penalties=Penalties(coverage=0.1))


@pytest.mark.parametrize(
    ("targets", "error", "message"),
    [
        ([[2]], ShapeError, "there are 1 targets for 2 sources; give one for each"),
        ([[2], [2, END]], SettingError, "target 1 holds 1, the token that ends a sequence; leave it out"),
        ([[2], [BEGIN, 4, 2]], SettingError, r"the token 4 of target 1 is not one of the 4 \(0 to 3\)"),
        ([[-1], [2]], SettingError, "the token -1 of target 0 is no id; ids are whole numbers, 0 or more"),
        ([["a"], [2]], SettingError, "the token 'a' of target 0 is no id"),
        ([[2.5], [2]], SettingError, "the token 2.5 of target 0 is no id"),
    ],
)
def test_sequences_that_cannot_be_are_refused(targets, error, message):
    with pytest.raises(error, match=message):
        score_targets(Automaton(0, [0, 1]), targets)


def test_numbers_that_are_none_are_refused_at_their_step():
    automaton = Automaton(0, [0, 1])
    automaton.log_probabilities[1, :, 3] = math.nan
    assert len(score_targets(automaton, [[3], [2]])) == 2
    with pytest.raises(RunError, match="log-probabilities at step 2 are not numbers"):
        score_targets(automaton, [[3, 2], [2, 3]])
