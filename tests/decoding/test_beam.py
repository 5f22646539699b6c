"""Beam search against the enumeration of all sequences of small automata."""

import math
import random

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from recurra.decoding import Limits, Penalties, beam_search
from recurra.errors import RunError, SettingError, ShapeError
from support.automata import BEGIN, END, Automaton, enumerate_sequences

PENALTIES = st.builds(
    Penalties,
    st.sampled_from(["none", "average", "gnmt"]),
    st.sampled_from([0.0, 0.4, 1.0, 2.5]),
    st.sampled_from([0.0, 0.3, 2.0]),
)
SEEDS = st.integers(0, 10_000)
EXHAUSTIVE = 400


@st.composite
def limits(draw, size=4):
    fewest = draw(st.integers(0, 3))
    return Limits(
        min_length=fewest,
        max_length=draw(st.integers(fewest, 4)),
        min_ratio=draw(st.sampled_from([0.0, 0.5])),
        max_ratio=draw(st.none() | st.sampled_from([0.5, 1.0, 1.7])),
        unique_ngrams=draw(st.none() | st.integers(1, 3)),
        banned=draw(st.sampled_from([(), (BEGIN,), (BEGIN, size - 1)])),
    )


def assert_same(hypotheses, sequences):
    """Equal scores may come in any order."""
    assert [each.score for each in hypotheses] == pytest.approx([each.score for each in sequences], abs=1e-9)
    by_tokens = {each.tokens: each for each in sequences}
    for place, hypothesis in enumerate(hypotheses):
        if place + 1 < len(hypotheses) or hypothesis.tokens in by_tokens:
            assert hypothesis.score == pytest.approx(by_tokens[hypothesis.tokens].score, abs=1e-9)
            assert hypothesis.log_probabilities == pytest.approx(by_tokens[hypothesis.tokens].log_probabilities)


@given(SEEDS, PENALTIES, limits(), st.integers(1, 6))
def test_a_beam_as_wide_as_there_are_sequences_is_exact_for_every_penalty(seed, penalties, bounds, n_best):
    automaton = Automaton(seed, [0, 1, 2])
    answers = beam_search(automaton, beam_size=EXHAUSTIVE, n_best=n_best, penalties=penalties, limits=bounds)
    for place, hypotheses in enumerate(answers):
        assert_same(hypotheses, enumerate_sequences(automaton, place, penalties, bounds)[:n_best])


def test_a_larger_vocabulary_and_longer_sequences_are_exact_too():
    bounds = Limits(max_length=5, banned=(BEGIN,))
    for seed, penalties in ((1, Penalties()), (2, Penalties("gnmt", 0.6, 0.2)), (3, Penalties("none"))):
        automaton = Automaton(seed, [2, 0], size=5)
        answers = beam_search(automaton, beam_size=1100, n_best=20, penalties=penalties, limits=bounds)
        for place, hypotheses in enumerate(answers):
            assert_same(hypotheses, enumerate_sequences(automaton, place, penalties, bounds)[:20])


@given(SEEDS, PENALTIES, limits())
def test_a_beam_of_one_is_greedy(seed, penalties, bounds):
    automaton = Automaton(seed, [1])
    (answer,) = beam_search(automaton, beam_size=1, penalties=penalties, limits=bounds)
    tokens = greedy(automaton, 1, bounds)
    assert [each.tokens for each in answer] == ([] if tokens is None else [tokens])


def greedy(automaton, source, bounds):
    """The most probable token each time, by the definition; None where nothing may come."""
    longest, shortest = (int(each(automaton.source_lengths)[0]) for each in (bounds.longest, bounds.shortest))
    state, tokens = int(automaton.next_state[0, BEGIN]), ()
    while len(tokens) < longest:
        may = [token for token in range(4) if may_follow(tokens, token, shortest, bounds)]
        if not may:
            return None
        best = max(may, key=lambda token: float(automaton.log_probabilities[source, state, token]))
        if best == END:
            return tokens
        state, tokens = int(automaton.next_state[state, best]), (*tokens, best)
    return tokens


def may_follow(tokens, token, shortest, bounds):
    if token == END:
        return len(tokens) >= shortest
    if token in bounds.banned:
        return False
    size = bounds.unique_ngrams
    return size is None or not holds_twice((*tokens, token), size)


def holds_twice(tokens, size):
    ngrams = [tokens[start : start + size] for start in range(len(tokens) - size + 1)]
    return len(set(ngrams)) < len(ngrams)


@given(SEEDS, st.integers(1, 6), PENALTIES, limits())
def test_batch_mates_and_order_never_matter(seed, beam_size, penalties, bounds):
    sources = [place % 9 for place in range(64)]
    setting = {"beam_size": beam_size, "n_best": min(3, beam_size), "penalties": penalties, "limits": bounds}

    def answers(part):
        return [[parts(each) for each in one] for one in beam_search(Automaton(seed, part), **setting)]

    together = answers(sources)
    order = list(range(64))
    random.Random(seed).shuffle(order)
    assert answers([sources[place] for place in order]) == [together[place] for place in order]
    assert [each for start in range(0, 9, 3) for each in answers(sources[start : start + 3])] == together[:9]
    # The tables of an automaton do not depend on how many sources there are.
    assert [answers([source])[0] for source in range(9)] == together[:9]


def parts(hypothesis):
    return (
        hypothesis.tokens,
        hypothesis.score,
        hypothesis.log_probability,
        hypothesis.length_penalty,
        hypothesis.coverage_penalty,
        hypothesis.log_probabilities,
        hypothesis.attention.tolist(),
        hypothesis.cut,
    )


@given(SEEDS, st.integers(1, 5), PENALTIES, limits())
def test_a_hypothesis_says_what_it_is_made_of(seed, beam_size, penalties, bounds):
    automaton = Automaton(seed, [0, 1, 2])
    answers = beam_search(automaton, beam_size=beam_size, n_best=beam_size, penalties=penalties, limits=bounds)
    for place, hypotheses in enumerate(answers):
        scores = [each.score for each in hypotheses]
        assert scores == sorted(scores, reverse=True)
        assert len({each.tokens for each in hypotheses}) == len(hypotheses) <= beam_size
        possible = {each.tokens: each for each in enumerate_sequences(automaton, place, penalties, bounds)}
        for each in hypotheses:
            assert each.score == pytest.approx(possible[each.tokens].score)
            assert each.log_probability == pytest.approx(sum(each.log_probabilities))
            assert each.score == pytest.approx(each.log_probability / each.length_penalty + each.coverage_penalty)
            assert each.attention.shape == (len(each.tokens) + 1, int(automaton.source_lengths[place]))
            assert each.attention.sum(1).tolist() == pytest.approx([1.0] * (len(each.tokens) + 1))
            if penalties.coverage:
                covered = each.attention.sum(0).clamp(max=1).log().sum().item()
                assert each.coverage_penalty == pytest.approx(penalties.coverage * covered)


@given(SEEDS, PENALTIES, st.integers(2, 5), st.integers(1, 2))
def test_stopping_early_changes_nothing(seed, penalties, beam_size, n_best):
    """Asking for all K hypotheses lets the search run to its end; the best of these are what the shorter one found."""
    setting = {"beam_size": beam_size, "penalties": penalties, "limits": Limits(max_length=6)}
    short, whole = Automaton(seed, range(5)), Automaton(seed, range(5))
    best = beam_search(short, n_best=n_best, **setting)
    everything = beam_search(whole, n_best=beam_size, **setting)
    assert [[parts(each) for each in one] for one in best] == [
        [parts(each) for each in one[:n_best]] for one in everything
    ]
    assert short.rows <= whole.rows


def test_the_search_stops_as_soon_as_nothing_better_can_come():
    stopping, running = Automaton(5, [0, 1, 2]), Automaton(5, [0, 1, 2])
    for automaton in (stopping, running):
        automaton.log_probabilities = torch.tensor([0.1, 0.8, 0.06, 0.04]).log().expand(3, 6, 4).clone()
    setting = {"beam_size": 4, "penalties": Penalties("none"), "limits": Limits(max_length=50)}
    beam_search(stopping, n_best=1, **setting)
    assert stopping.rows == 3  # ended at once with 0.8, which no longer one can exceed
    beam_search(running, n_best=4, **setting)
    assert running.rows == 3 * (1 + 3)


@given(SEEDS, st.integers(1, 5), st.integers(1, 3))
def test_no_ngram_comes_twice(seed, beam_size, size):
    automaton = Automaton(seed, [0, 1], size=5, scale=1.0)
    automaton.log_probabilities[:, :, END] -= 3
    bounds = Limits(max_length=12, unique_ngrams=size)
    for hypotheses in beam_search(automaton, beam_size=beam_size, n_best=beam_size, limits=bounds):
        assert hypotheses
        for each in hypotheses:
            assert not holds_twice(each.tokens, size)


def test_a_hypothesis_that_is_ended_at_its_longest_says_so():
    automaton = Automaton(0, [0])
    automaton.log_probabilities = torch.tensor([0.0, 0.1, 0.6, 0.3]).log().expand(1, 6, 4).clone()
    ((cut,),) = beam_search(automaton, beam_size=1, limits=Limits(max_length=3))
    assert (cut.tokens, cut.cut) == ((2, 2, 2), True)
    assert cut.log_probability == pytest.approx(3 * math.log(0.6) + math.log(0.1))  # the end counts, once
    automaton.log_probabilities = torch.tensor([0.0, 0.6, 0.3, 0.1]).log().expand(1, 6, 4).clone()
    ((whole,),) = beam_search(automaton, beam_size=1, limits=Limits(min_length=2, max_length=2))
    assert (whole.tokens, whole.cut) == ((2, 2), False)


def test_equals_come_by_rank_of_the_hypothesis_then_by_id():
    automaton = Automaton(0, [0])
    automaton.log_probabilities = torch.full((1, 6, 4), 0.25).log()
    bounds = Limits(min_length=2, max_length=2)
    (answer,) = beam_search(automaton, beam_size=4, n_best=4, penalties=Penalties("none"), limits=bounds)
    assert [each.tokens for each in answer] == [(0, 0), (0, 2), (0, 3), (2, 0)]


def test_where_fewer_sequences_are_possible_fewer_are_returned():
    automaton = Automaton(0, [0, 1])
    automaton.log_probabilities[1, :, END] = -math.inf
    one, none = beam_search(automaton, beam_size=4, n_best=4, limits=Limits(max_length=0))
    assert [each.tokens for each in one] == [()]
    assert none == []
    assert beam_search(Automaton(0, [])) == []


def test_without_attention_a_search_needs_no_coverage():
    automaton = Automaton(3, [0, 1], attends=False)
    for (each,) in beam_search(automaton, limits=Limits(max_length=4)):
        assert each.attention is None
        assert each.coverage_penalty == 0
    with pytest.raises(SettingError, match="the penalty of coverage needs attention, and this model has none"):
        beam_search(automaton, penalties=Penalties(coverage=0.1))


def test_attention_that_has_underflowed_leaves_a_score():
    automaton = Automaton(0, [1])
    automaton.attention[..., 1] = 0.0
    ((best,),) = beam_search(automaton, penalties=Penalties(coverage=0.2), limits=Limits(max_length=4))
    assert math.isfinite(best.score)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"beam_size": 0}, "beam_size is 0; it is a whole number from 1 to 2147483647"),
        ({"beam_size": 10**20}, "beam_size is 100000000000000000000; it is a whole number from 1 to 2147483647"),
        ({"beam_size": 2, "n_best": 3}, "n_best is 3; it is a whole number from 1 to 2"),
        ({"limits": Limits(banned=(END,))}, "the banned token 1 is the one that ends a sequence"),
        ({"limits": Limits(banned=(4,))}, r"the banned token 4 is not one of the 4 \(0 to 3\)"),
    ],
)
def test_settings_that_cannot_be_are_refused(setting, message):
    with pytest.raises(SettingError, match=message):
        beam_search(Automaton(0, [0]), **setting)


def test_numbers_that_are_none_are_refused():
    automaton = Automaton(0, [0])
    automaton.log_probabilities[:] = math.nan
    with pytest.raises(RunError, match="log-probabilities at step 1 are not numbers"):
        beam_search(automaton)


def test_shapes_that_do_not_belong_together_are_refused(monkeypatch):
    automaton = Automaton(0, [0, 1])
    monkeypatch.setattr(automaton, "step", lambda tokens, state: (torch.zeros(1, 4), None, state))
    with pytest.raises(ShapeError, match=r"log-probabilities \(R, V\) with R = 2"):
        beam_search(automaton)
    monkeypatch.setattr(automaton, "step", lambda tokens, state: (torch.zeros(2, 4), torch.zeros(2), state))
    with pytest.raises(ShapeError, match=r"attention \(R, S\) with R = 2"):
        beam_search(automaton)
