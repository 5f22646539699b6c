"""Ensembles: the mean of probabilities, against its enumeration."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from recurra.decoding import Ensemble, Limits, Penalties, beam_search, draw_hypotheses, score_targets
from recurra.errors import SettingError, ShapeError
from support.automata import BEGIN, END, Automaton, enumerate_sequences

SEEDS = st.integers(0, 10_000)
SOURCES = [0, 1, 2]
BOUNDS = Limits(max_length=3)


def members(seed, number, sources=SOURCES, **options):
    return [Automaton(31 * seed + each, sources, **options) for each in range(number)]


def values(answers):
    return [
        [
            (each.tokens, each.score, each.log_probabilities, each.coverage_penalty, each.attention.tolist(), each.cut)
            for each in hypotheses
        ]
        for hypotheses in answers
    ]


def scores(answers):
    """Of sequences in the order of their scores: rounding may exchange those that are equal."""
    return [[each.score for each in hypotheses] for hypotheses in answers]


def mean_of(automata, source, tokens):
    """Each token's log-probability and attention, by the definition, in plain floats."""
    states, before, logs, weights = [0] * len(automata), BEGIN, [], []
    for token in (*tokens, END):
        states = [int(one.next_state[state, before]) for one, state in zip(automata, states, strict=True)]
        probabilities, attentions = [], []
        for one, state in zip(automata, states, strict=True):
            probabilities.append(math.exp(float(one.log_probabilities[source, state, token])))
            attention = one.attention[source, state, : 1 + source % 3].tolist()
            attentions.append([each / sum(attention) for each in attention])
        logs.append(math.log(sum(probabilities) / len(automata)))
        weights.append([sum(column) / len(automata) for column in zip(*attentions, strict=True)])
        before = token
    return logs, weights


@settings(max_examples=20)
@given(SEEDS, st.integers(1, 4), st.sampled_from([Penalties("none"), Penalties(), Penalties("gnmt", 0.6, 0.3)]))
def test_an_exhaustive_search_is_that_of_the_mean_of_probabilities(seed, number, penalties):
    automata = members(seed, number)
    answers = beam_search(Ensemble(automata), beam_size=60, n_best=60, penalties=penalties, limits=BOUNDS)
    for source, hypotheses in enumerate(answers):
        assert len(hypotheses) == sum(3**length for length in range(4))
        for each in hypotheses:
            logs, weights = mean_of(automata, source, each.tokens)
            assert each.log_probabilities == pytest.approx(logs)
            assert torch.allclose(each.attention, torch.tensor(weights, dtype=torch.float64))
            score = sum(logs) / each.length_penalty
            if penalties.coverage:
                score += penalties.coverage * sum(
                    math.log(min(1, sum(column))) for column in zip(*weights, strict=True)
                )
            assert each.score == pytest.approx(score)


@settings(max_examples=20)
@given(SEEDS)
def test_one_member_is_itself_and_twins_are_one(seed):
    alone = beam_search(Automaton(seed, SOURCES), n_best=3, limits=BOUNDS)
    assert values(beam_search(Ensemble([Automaton(seed, SOURCES)]), n_best=3, limits=BOUNDS)) == values(alone)
    twins = beam_search(Ensemble([Automaton(seed, SOURCES) for _ in range(2)]), n_best=3, limits=BOUNDS)
    assert scores(twins) == [pytest.approx(each) for each in scores(alone)]


@settings(max_examples=20)
@given(SEEDS)
def test_the_order_of_the_members_and_other_sources_do_not_matter(seed):
    automata = members(seed, 3)
    together = beam_search(Ensemble(automata), n_best=2, limits=BOUNDS)
    turned = beam_search(Ensemble(automata[::-1]), n_best=2, limits=BOUNDS)
    assert scores(turned) == [pytest.approx(each) for each in scores(together)]
    assert values(together) == [
        values(
            beam_search(Ensemble([Automaton(31 * seed + each, [source]) for each in range(3)]), n_best=2, limits=BOUNDS)
        )[0]
        for source in SOURCES
    ]


@settings(max_examples=20)
@given(SEEDS)
def test_it_is_scored_and_drawn_from_as_any_scorer(seed):
    answers = beam_search(Ensemble(members(seed, 2)), limits=BOUNDS)
    drawn = draw_hypotheses(Ensemble(members(seed, 2)), [seed] * 3, samples=2, limits=BOUNDS)
    for hypotheses in ([best for (best,) in answers], [first for first, _ in drawn]):
        scored = score_targets(Ensemble(members(seed, 2)), [each.tokens for each in hypotheses])
        for one, other in zip(scored, hypotheses, strict=True):
            assert one.score == pytest.approx(other.score)


def test_what_only_one_member_thinks_possible_stays_possible():
    automata = members(1, 2)
    automata[0].log_probabilities[:, :, 2] = -math.inf
    (scored,) = score_targets(Ensemble([automata[0]]), [[2], [], []])[:1]
    assert scored.score == -math.inf
    (scored,) = score_targets(Ensemble(automata), [[2], [], []])[:1]
    state = int(automata[1].next_state[0, BEGIN])
    assert scored.log_probabilities[0] == pytest.approx(float(automata[1].log_probabilities[0, state, 2]) - math.log(2))
    automata[1].log_probabilities[:, :, 2] = -math.inf
    (scored,) = score_targets(Ensemble(automata), [[2], [], []])[:1]
    assert scored.log_probabilities[0] == -math.inf


def test_there_is_attention_if_each_member_gives_it():
    with_it, without = Automaton(1, SOURCES), Automaton(2, SOURCES, attends=False)
    assert {each.attention for (each,) in beam_search(Ensemble([with_it, without]), limits=BOUNDS)} == {None}
    with pytest.raises(SettingError, match="needs attention, and this model has none"):
        beam_search(Ensemble([with_it, without]), penalties=Penalties(coverage=0.1))


def test_the_best_of_an_ensemble_is_none_of_its_members_where_they_differ():
    """Members that are sure of different sequences agree on a third."""
    automata = members(0, 2, [0])
    for automaton, row in zip(automata, ([0.0, 0.0, 0.55, 0.45], [0.55, 0.0, 0.0, 0.45]), strict=True):
        automaton.log_probabilities = torch.tensor(row).log().expand(1, 6, 4).clone()
    bounds = Limits(min_length=1, max_length=1)
    for automaton in automata:
        automaton.log_probabilities[:, :, END] = math.log(0.1)
    tokens = [beam_search(scorer, limits=bounds)[0][0].tokens for scorer in (*automata, Ensemble(automata))]
    assert tokens == [(2,), (0,), (3,)]
    assert tokens[2] == enumerate_sequences(_average(automata), 0, limits=bounds)[0].tokens


def _average(automata):
    """An automaton of the mean, as all states of these are alike."""
    average = Automaton(0, [0])
    average.log_probabilities = torch.stack([each.log_probabilities.exp() for each in automata]).mean(0).log()
    return average


def test_models_that_do_not_belong_together_are_refused(monkeypatch):
    with pytest.raises(SettingError, match="an ensemble of no models scores nothing; give one or more"):
        Ensemble([])
    one, other = Automaton(1, SOURCES), Automaton(2, SOURCES)
    monkeypatch.setattr(other, "end", 3)
    with pytest.raises(
        SettingError, match=r"model 1 of the ensemble begins and ends a sequence with 0 and 3, .* 0 and 1"
    ):
        Ensemble([one, other])
    for sources in ([0, 1], [1, 0, 2]):
        with pytest.raises(ShapeError, match="the sources of model 1 of the ensemble have other lengths"):
            Ensemble([one, Automaton(2, sources)])
    with pytest.raises(
        ShapeError, match=r"model 1 of the ensemble gives log-probabilities \(R, V\) of \(3, 5\), .*\(3, 4"
    ):
        beam_search(Ensemble([one, Automaton(2, SOURCES, size=5)]))
    step = Automaton(3, SOURCES)
    monkeypatch.setattr(
        step, "step", lambda tokens, state: (torch.zeros(len(tokens), 4), torch.ones(len(tokens), 7), state)
    )
    with pytest.raises(ShapeError, match=r"model 1 of the ensemble gives attention \(R, S\) of \(3, 7\)"):
        beam_search(Ensemble([one, step]))
