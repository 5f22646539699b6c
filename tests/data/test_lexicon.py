"""The lexicon of model 1: its likelihood by enumeration of all alignments, EM that only climbs, and what it learns."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recurra.data.lexicon import UNIGRAM_WEIGHT, Lexicon

PAIRS = [("das Haus", "the house"), ("das Buch", "the book"), ("ein Buch", "a book")]
SPLIT = [(source.split(), target.split()) for source, target in PAIRS]

SENTENCES = st.lists(st.sampled_from("abcd"), max_size=4)
SIDES = st.lists(st.tuples(SENTENCES, SENTENCES), min_size=1, max_size=5)


def nats_by_enumeration(lexicon, source, target):
    """-log of the sum over all alignments a of prod over j of t(f<j> | e<a(j)>) / (l + 1)."""
    empty_and_words = [None, *source]
    total = sum(
        math.prod(
            lexicon.probability(word, read) / len(empty_and_words) for word, read in zip(target, reads, strict=True)
        )
        for reads in itertools.product(empty_and_words, repeat=len(target))
    )
    return -math.log(total)


def test_the_loss_of_training_is_that_of_all_alignments():
    # `losses` has the loss before each step, so that of a lexicon of n steps is the last of one of n + 1.
    lexicon, further = Lexicon(SPLIT, steps=3), Lexicon(SPLIT, steps=4)
    expected = sum(nats_by_enumeration(lexicon, *pair) for pair in SPLIT)
    assert further.losses[-1] == pytest.approx(expected, rel=1e-12)


@given(SIDES)
def test_em_never_makes_the_loss_worse(pairs):
    losses = Lexicon(pairs, steps=8).losses
    assert all(after <= before + 1e-9 for before, after in itertools.pairwise(losses))


@given(SIDES)
def test_probabilities_of_a_source_word_sum_to_one(pairs):
    lexicon = Lexicon(pairs)
    targets = {word for _, target in pairs for word in target}
    for word in {word for source, target in pairs if target for word in source}:
        assert sum(lexicon.probability(target, word) for target in targets) == pytest.approx(1.0)


def test_the_loss_of_other_pairs_mixes_in_the_unigram_probability():
    lexicon = Lexicon(SPLIT)
    # The target words are the 2, house, book 2, a: 6 words, 4 different ones and one place for all unknown ones.
    unigram = {"the": 3 / 11, "house": 2 / 11, "moon": 1 / 11}
    for source, target in (["das", "Haus"], ["the", "house"]), (["das"], ["moon"]), (["Mond"], ["the"]):
        nats = 0.0
        for word in target:
            reads = [lexicon.probability(word, read) for read in (None, *source)]
            nats -= math.log((1 - UNIGRAM_WEIGHT) * sum(reads) / len(reads) + UNIGRAM_WEIGHT * unigram[word])
        [loss] = lexicon.losses_of([(source, target)])
        assert loss == pytest.approx(nats / len(target), rel=1e-12)


def test_losses_stand_in_the_order_of_the_pairs_and_are_0_without_words():
    lexicon = Lexicon(SPLIT)
    pairs = [SPLIT[0], (["das"], []), ([], ["the"]), SPLIT[2]]
    each = np.concatenate([lexicon.losses_of([pair]) for pair in pairs])
    assert lexicon.losses_of(pairs) == pytest.approx(each)
    assert each[1] == 0 < each[2]


def test_words_find_their_translations():
    lexicon = Lexicon(SPLIT, steps=10)
    assert [lexicon.best(word) for word in ("das", "Haus", "ein", "Buch", "Mond")] == [
        "the",
        "house",
        "a",
        "book",
        None,
    ]
    assert lexicon.probability("house", "Haus") > 0.5 > lexicon.probability("the", "Haus")


def test_no_pairs_and_empty_ones():
    for pairs in ([], [([], [])], [(["a"], [])]):
        lexicon = Lexicon(pairs)
        assert lexicon.best("a") is None
        assert np.isfinite(lexicon.losses_of([(["a"], ["b"])])).all()
