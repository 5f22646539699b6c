"""Ancestral sampling of sequences for sources, against the enumeration of what small automata can write."""

import itertools
import math
from collections import Counter

import pytest
import scipy.stats
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from recurra.decoding import Limits, PartialWord, Penalties, Prefix, SamplingSettings, draw_hypotheses, source_seed
from recurra.errors import RunError, SettingError, ShapeError
from support.automata import BEGIN, END, Automaton, value_of

SEEDS = st.integers(0, 10_000)
LONGEST = 2


def distribution(automaton, source, limits, temperature=1.0, top_k=None, prefix=()):
    """The probability of every sequence, each token of it out of those that may come, by the definition."""
    probabilities = Counter()

    def extend(tokens, state, probability):
        if len(tokens) == limits.max_length:
            probabilities[tokens] += probability
            return
        may = [token for token in range(4) if token not in limits.banned]
        if len(tokens) < limits.min_length:
            may.remove(END)
        if len(tokens) < len(prefix):
            may = [prefix[len(tokens)]]
        logs = automaton.log_probabilities[source, state]
        may = sorted(may, key=lambda token: -float(logs[token]))[:top_k]
        weights = [math.exp(float(logs[token]) / temperature) for token in may]
        for token, weight in zip(may, weights, strict=True):
            chance = probability * weight / sum(weights)
            if token == END:
                probabilities[tokens] += chance
            else:
                extend((*tokens, token), int(automaton.next_state[state, token]), chance)

    extend((), int(automaton.next_state[0, BEGIN]), 1.0)
    return probabilities


@pytest.mark.parametrize(
    ("choice", "bounds", "prefix"),
    [
        ({}, {}, ()),
        ({"temperature": 0.5}, {}, ()),
        ({"temperature": 3.0, "top_k": 2}, {}, ()),
        ({}, {"min_length": 1}, ()),
        ({}, {"banned": (BEGIN, 3)}, ()),
        ({}, {}, (3,)),
    ],
    ids=["model", "cold", "hot-top-k", "min-length", "banned", "prefix"],
)
def test_sequences_are_drawn_as_often_as_they_are_probable(choice, bounds, prefix):
    automaton, number = Automaton(7, [0, 1, 2], scale=1.0), 1000
    limits = Limits(max_length=LONGEST, **bounds)
    drawn = draw_hypotheses(
        automaton,
        [11, 12, 13],
        samples=number,
        settings=SamplingSettings(**choice),
        limits=limits,
        prefixes=[Prefix(prefix)] * 3,
    )
    for source, hypotheses in enumerate(drawn):
        expected = distribution(automaton, source, limits, prefix=prefix, **choice)
        assert sum(expected.values()) == pytest.approx(1)
        counts = Counter(each.tokens for each in hypotheses)
        assert set(counts) <= set(expected)
        distance = sum((counts[one] - number * p) ** 2 / (number * p) for one, p in expected.items())
        # With the seed fixed the bound either holds for ever or never; by chance it fails once in 10^5.
        assert distance <= scipy.stats.chi2.ppf(1 - 1e-5, max(len(expected) - 1, 1))


@settings(max_examples=30)
@given(SEEDS, st.integers(1, 4))
def test_a_source_draws_the_same_beside_others_in_any_order(seed, samples):
    places = list(range(9))
    seeds = [source_seed(seed, place) for place in places]
    bounds = Limits(max_length=5)

    def drawn(part):
        answers = draw_hypotheses(Automaton(seed, part), [seeds[one] for one in part], samples=samples, limits=bounds)
        return [[(each.tokens, each.score, each.attention.tolist()) for each in one] for one in answers]

    together = drawn(places)
    assert drawn(places[::-1]) == together[::-1]
    assert [drawn([place])[0] for place in places] == together


@settings(max_examples=30)
@given(SEEDS)
def test_the_first_samples_are_the_same_however_many_are_drawn(seed):
    few, many = (
        draw_hypotheses(Automaton(seed, [0, 1]), [seed, seed + 1], samples=samples, limits=Limits(max_length=6))
        for samples in (3, 8)
    )
    for first, all_of_them in zip(few, many, strict=True):
        assert [each.tokens for each in first] == [each.tokens for each in all_of_them[:3]]
        assert [each.score for each in first] == [each.score for each in all_of_them[:3]]


def test_another_seed_draws_others_and_samples_differ():
    bounds = {"limits": Limits(min_length=8, max_length=8, banned=(BEGIN,)), "samples": 20}
    (one,), (other,) = (draw_hypotheses(Automaton(1, [0], scale=0.3), [seed], **bounds) for seed in (1, 2))
    tokens = [[each.tokens for each in answer] for answer in (one, other)]
    assert tokens[0] != tokens[1]
    assert len(set(tokens[0])) > 10


@settings(max_examples=50)
@given(SEEDS, st.sampled_from([Penalties(), Penalties("gnmt", 0.6, 0.3), Penalties("none")]))
def test_scores_are_the_models_whatever_the_draw_leaves_out(seed, penalties):
    automaton = Automaton(seed, [0, 1, 2])
    choice = SamplingSettings(temperature=0.7, top_p=0.8)
    bounds = Limits(min_length=1, max_length=3, banned=(2,))
    drawn = draw_hypotheses(automaton, [seed] * 3, samples=4, settings=choice, penalties=penalties, limits=bounds)
    for source, hypotheses in enumerate(drawn):
        for each in hypotheses:
            expected = value_of(automaton, source, each.tokens, penalties)
            assert each.score == pytest.approx(expected.score)
            assert each.log_probabilities == pytest.approx(expected.log_probabilities)


@settings(max_examples=40)
@given(SEEDS, st.integers(0, 3), st.integers(0, 2), st.integers(1, 3))
def test_limits_are_kept(seed, fewest, more, size):
    bounds = Limits(min_length=fewest, max_length=fewest + more, max_ratio=2.0, unique_ngrams=size, banned=(BEGIN,))
    automaton = Automaton(seed, [0, 1, 2], size=12, scale=0.5)
    for source, hypotheses in enumerate(draw_hypotheses(automaton, [seed] * 3, samples=5, limits=bounds)):
        longest = min(fewest + more, 2 * (1 + source % 3))
        for each in hypotheses:
            assert min(fewest, longest) <= len(each.tokens) <= longest
            assert BEGIN not in each.tokens
            ngrams = [each.tokens[start : start + size] for start in range(len(each.tokens) - size + 1)]
            assert len(set(ngrams)) == len(ngrams)
            assert not each.cut or len(each.tokens) == longest


def test_every_sample_begins_with_the_prefix_of_its_source():
    pieces = ["", "", "a", "b", "ab"]
    prefixes = [None, Prefix((3, 2)), Prefix((2,), PartialWord(pieces, "ab"))]
    drawn = draw_hypotheses(
        Automaton(4, [0, 1, 2], size=5), [1, 2, 3], samples=50, limits=Limits(max_length=4), prefixes=prefixes
    )
    assert {len(each.tokens) for each in drawn[0]} > {0, 1}
    assert all(each.tokens[:2] == (3, 2) for each in drawn[1])
    assert {"".join(pieces[token] for token in each.tokens)[:3] for each in drawn[2]} == {"aab"}
    assert {each.tokens[:3] for each in drawn[2] if each.tokens[1] == 2} == {(2, 2, 3)}
    assert {each.tokens[1] for each in drawn[2]} == {2, 4}  # both ways to write it


def test_at_temperature_0_every_sample_is_greedy():
    automaton = Automaton(3, [0, 1])
    for source, hypotheses in enumerate(
        draw_hypotheses(
            automaton, [1, 2], samples=3, settings=SamplingSettings(temperature=0), limits=Limits(max_length=5)
        )
    ):
        tokens, state = (), int(automaton.next_state[0, BEGIN])
        while len(tokens) < 5 and (best := int(automaton.log_probabilities[source, state].argmax())) != END:
            tokens, state = (*tokens, best), int(automaton.next_state[state, best])
        assert [each.tokens for each in hypotheses] == [tokens] * 3


def test_seeds_of_sources_are_all_different_and_do_not_depend_on_the_process():
    assert len({source_seed(seed, key) for seed, key in itertools.product(range(100), range(100))}) == 10_000
    assert source_seed(1, 23) != source_seed(12, 3)
    assert source_seed(0, "line 1") == 46031603921713736
    with pytest.raises(SettingError, match="seed is -1"):
        source_seed(-1, 0)


def test_what_cannot_be_drawn_is_refused():
    automaton = Automaton(0, [0, 1])
    with pytest.raises(ShapeError, match="there are 1 seeds for 2 sources; give one for each"):
        draw_hypotheses(automaton, [1])
    with pytest.raises(SettingError, match="samples is 0; it is a whole number from 1"):
        draw_hypotheses(automaton, [1, 2], samples=0)
    with pytest.raises(ShapeError, match="there are 1 prefixes for 2 sources"):
        draw_hypotheses(automaton, [1, 2], prefixes=[None])
    with pytest.raises(
        SettingError, match=r"no token is left to draw after 0: the limits leave none out of 4; ask for fewer"
    ):
        draw_hypotheses(automaton, [1, 2], limits=Limits(min_length=1, banned=(0, 2, 3)))
    automaton.log_probabilities[:] = math.nan
    with pytest.raises(RunError, match="at step 1 are not numbers"):
        draw_hypotheses(automaton, [1, 2])
    assert draw_hypotheses(Automaton(0, []), []) == []


def test_nothing_of_it_is_for_gradients():
    automaton = Automaton(0, [0])
    automaton.log_probabilities.requires_grad_()
    ((drawn,),) = draw_hypotheses(automaton, [1], limits=Limits(max_length=3))
    assert not drawn.attention.requires_grad
    assert not torch.is_inference(drawn.attention)
