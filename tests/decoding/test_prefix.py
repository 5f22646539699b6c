"""Prefixes: what every sequence begins with, against the enumeration of those that do."""

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from recurra.decoding import Limits, PartialWord, Penalties, Prefix, beam_search
from recurra.errors import SettingError, ShapeError
from support.automata import BEGIN, END, Automaton, enumerate_sequences, value_of

SEEDS = st.integers(0, 10_000)
PENALTIES = st.sampled_from([Penalties("none"), Penalties(), Penalties("gnmt", 0.6, 0.3)])
PREFIXES = st.lists(st.sampled_from([0, 2, 3]), max_size=3).map(tuple)
EXHAUSTIVE = 400

PIECES = ["", "", "a", "b", "ab"]
"""What the tokens of an automaton of five write; no other than the first three letters."""


def written(tokens, pieces=PIECES):
    return "".join(pieces[token] for token in tokens)


def best_of(automaton, prefix, **options):
    """The best sequences of the only source."""
    (answer,) = beam_search(automaton, prefixes=[prefix], **options)
    return answer


# Whole tokens


@settings(max_examples=40)
@given(SEEDS, st.lists(PREFIXES, min_size=3, max_size=3), PENALTIES, st.integers(0, 3), st.none() | st.integers(1, 2))
def test_the_best_continuations_are_those_of_the_enumeration(seed, prefixes, penalties, longest, unique):
    automaton = Automaton(seed, [0, 1, 2])
    bounds = Limits(min_length=min(1, longest), max_length=longest, unique_ngrams=unique)
    answers = beam_search(
        automaton,
        beam_size=EXHAUSTIVE,
        n_best=4,
        penalties=penalties,
        limits=bounds,
        prefixes=[Prefix(each) for each in prefixes],
    )
    for source, (prefix, hypotheses) in enumerate(zip(prefixes, answers, strict=True)):
        expected = enumerate_sequences(automaton, source, penalties, bounds, prefix)[:4]
        assert [each.score for each in hypotheses] == pytest.approx([each.score for each in expected])
        for each in hypotheses:
            assert each.tokens[: len(prefix)] == prefix
            assert each.score == pytest.approx(value_of(automaton, source, each.tokens, penalties).score)


@settings(max_examples=40)
@given(SEEDS, PREFIXES, st.sets(st.integers(0, 3), min_size=1), PENALTIES, st.integers(0, 3))
def test_what_may_follow_them_may_be_said(seed, tokens, first, penalties, longest):
    automaton, bounds = Automaton(seed, [1]), Limits(max_length=longest)
    allowed = torch.tensor([token in first for token in range(4)])
    hypotheses = best_of(
        automaton, Prefix(tokens, allowed), beam_size=EXHAUSTIVE, n_best=4, penalties=penalties, limits=bounds
    )
    expected = enumerate_sequences(automaton, 0, penalties, bounds, tokens, first)[:4]
    assert [each.score for each in hypotheses] == pytest.approx([each.score for each in expected])
    for each in hypotheses:
        assert each.tokens[: len(tokens)] == tokens
        assert (*each.tokens, END)[len(tokens)] in first


def test_what_is_banned_or_comes_twice_may_be_in_a_prefix():
    bounds = Limits(max_length=5, banned=(BEGIN, 3), unique_ngrams=1)
    for each in best_of(Automaton(1, [0]), Prefix((3, 3, 0)), n_best=3, limits=bounds):
        assert each.tokens[:3] == (3, 3, 0)
        assert each.tokens[3:] in {(), (2,)}


def test_a_prefix_is_written_whole_however_short_a_sequence_may_be():
    (best,) = best_of(Automaton(1, [0]), Prefix((2, 3, 2, 3)), limits=Limits(max_length=2))
    assert best.tokens == (2, 3, 2, 3)
    assert best.cut == (int(Automaton(1, [0]).log_probabilities[0, _state(best.tokens)].argmax()) != END)


def _state(tokens):
    automaton, state = Automaton(1, [0]), 0
    for token in (BEGIN, *tokens):
        state = int(automaton.next_state[state, token])
    return state


def test_only_the_sources_with_a_prefix_are_bound_to_it():
    plain = beam_search(Automaton(5, [0, 1, 2]), n_best=2)
    mixed = beam_search(Automaton(5, [0, 1, 2]), n_best=2, prefixes=[None, Prefix((3, 3)), Prefix()])
    assert [[each.tokens for each in mixed[source]] for source in (0, 2)] == [
        [each.tokens for each in plain[source]] for source in (0, 2)
    ]
    assert {each.tokens[:2] for each in mixed[1]} == {(3, 3)}


# Words that are typed in part


def sequences_that_begin(automaton, tokens, typed, penalties, longest):
    """All sequences that begin with some tokens and some letters, the best first.

    One may be longer than allowed as long as a letter is missing.
    """
    limit = max(longest, len(tokens))
    for size in range(len(tokens), max(limit, len(tokens) + len(typed)) + 1):
        for rest in itertools.product([0, 2, 3, 4], repeat=size - len(tokens)):
            before = next((n for n in range(len(rest) + 1) if written(rest[:n]).startswith(typed)), None)
            if before is None or "" in [PIECES[each] for each in rest[:before]]:
                continue
            if size <= limit or before == len(rest):
                yield value_of(automaton, 0, (*tokens, *rest), penalties)


@settings(max_examples=40)
@given(
    SEEDS,
    st.sampled_from([(), (3,), (2, 0)]),
    st.sampled_from(["a", "b", "ab", "ba", "aba", "abab"]),
    PENALTIES,
    st.integers(0, 3),
    st.integers(1, 3),
)
def test_the_best_sequences_begin_with_the_letters_typed(seed, tokens, typed, penalties, longest, n_best):
    automaton = Automaton(seed, [0], size=5)
    options = {"n_best": n_best, "penalties": penalties, "limits": Limits(max_length=longest)}
    prefix = Prefix(tokens, PartialWord(PIECES, typed))
    hypotheses = best_of(automaton, prefix, beam_size=EXHAUSTIVE, **options)
    expected = sorted(
        (each.score for each in sequences_that_begin(automaton, tokens, typed, penalties, longest)), reverse=True
    )
    assert [each.score for each in hypotheses] == pytest.approx(expected[:n_best])
    for each in hypotheses:
        assert written(each.tokens[len(tokens) :]).startswith(typed)


@settings(max_examples=60)
@given(
    SEEDS,
    st.lists(st.sampled_from(["", "a", "b", "c", "ab", "ca", "abc", "bca"]), min_size=3, max_size=6),
    st.text("abc", min_size=1, max_size=6),
    st.integers(1, 3),
    st.integers(0, 6),
    st.none() | st.integers(1, 2),
)
def test_every_result_begins_with_them_and_there_is_one_if_there_can_be(seed, words, typed, beam, longest, unique):
    """However narrow the beam is, however short a sequence may be, and whatever may not come twice."""
    pieces = ["", "", *words]
    can_be = {0}
    for length in range(1, len(typed) + 1):
        if any(p and typed[:length].endswith(p) and length - len(p) in can_be for p in words):
            can_be.add(length)
    possible = any(p.startswith(typed[start:]) for start in can_be for p in words if start < len(typed))
    if not possible and len(typed) not in can_be:
        with pytest.raises(SettingError, match=r"no sequence of the .* subwords begins with"):
            PartialWord(pieces, typed)
        return
    prefix, limits = Prefix((), PartialWord(pieces, typed)), Limits(max_length=longest, unique_ngrams=unique)
    hypotheses = best_of(Automaton(seed, [0], size=len(pieces)), prefix, beam_size=beam, n_best=beam, limits=limits)
    assert hypotheses
    for each in hypotheses:
        assert written(each.tokens, pieces).startswith(typed)


def test_letters_that_no_subwords_write_are_refused_in_a_line():
    for typed in ("c", "ac", "abc", "A"):
        with pytest.raises(SettingError) as refusal:
            PartialWord(PIECES, typed)
        assert str(refusal.value) == f"no sequence of the 5 subwords begins with {typed!r}; leave letters out"
    with pytest.raises(SettingError, match="no sequence of the 0 subwords"):
        PartialWord([], "a")
    assert PartialWord(PIECES, "")(()) is None


def test_a_subword_is_allowed_only_where_the_rest_can_be_written():
    allowed = PartialWord(["", "", "a", "ab", "bc"], "abc")
    assert allowed(()).tolist() == [False, False, True, False, False]  # after "ab" no subword writes "c"
    assert allowed((2,)).tolist() == [False, False, False, False, True]
    assert allowed((2, 4)) is None


def test_what_can_be_no_prefix_is_refused():
    automaton = Automaton(0, [0, 1])
    for tokens in ((-1,), ("a",), (1.5,)):
        with pytest.raises(SettingError, match="of a prefix is no id; ids are whole numbers, 0 or more"):
            Prefix(tokens)
    with pytest.raises(ShapeError, match="there are 1 prefixes for 2 sources; give one for each, or None"):
        beam_search(automaton, prefixes=[Prefix((2,))])
    with pytest.raises(SettingError, match="prefix 1 holds 1, the token that ends a sequence; leave it out"):
        beam_search(automaton, prefixes=[None, Prefix((2, END))])
    with pytest.raises(SettingError, match=r"the token 9 of a prefix is not one of the 4 \(0 to 3\)"):
        beam_search(automaton, prefixes=[None, Prefix((9,))])
    for allowed in (torch.ones(5, dtype=torch.bool), torch.ones(4), torch.ones(4, 1, dtype=torch.bool)):
        with pytest.raises(
            ShapeError, match=r"what may follow prefix 1 is .*; it must be booleans, one for each of the 4"
        ):
            beam_search(automaton, prefixes=[None, Prefix((), allowed)])


def test_where_nothing_may_follow_nothing_is_returned():
    assert best_of(Automaton(0, [0]), Prefix((2,), torch.zeros(4, dtype=torch.bool))) == []
    automaton = Automaton(0, [0])
    automaton.log_probabilities[:, :, 2] = -math.inf
    assert best_of(automaton, Prefix((2,))) == []
