"""A score by length: in all it is the plain one, and in a class of lengths sacrebleu's of these sentences."""

import bisect
import math

import pytest
import sacrebleu
from hypothesis import given
from hypothesis import strategies as st

from recurra.metrics import add
from recurra.metrics.translation import bleu, moses_tokens, tokenised_bleu
from recurra.metrics.translation_length import LIMITS, by_length

WORDS = st.lists(st.sampled_from(["A", "man", "is", "asleep", ".", "1,000"]), min_size=1, max_size=12).map(" ".join)
TRIPLES = st.lists(st.tuples(WORDS, WORDS, WORDS), min_size=1, max_size=8)

METRIC = by_length(bleu(), lambda triple: triple[1], lambda answer: answer, lambda triple: triple[0])


@given(TRIPLES)
def test_figures_are_those_of_the_corpus_and_of_its_parts(triples):
    total = add(METRIC.tally(triple, triple[2]) for triple in triples)
    plain = bleu()
    expected = add(plain.tally(reference, answer) for _, reference, answer in triples)
    assert METRIC.value(total) == plain.value(expected)
    assert METRIC.coarsened(total) == expected

    parts = {}
    for source, reference, answer in triples:
        parts.setdefault(bisect.bisect_left(LIMITS, len(source.split())), []).append((reference, answer))
    charts = METRIC.charts(total)
    assert len(charts) == (len(parts) > 1)
    for chart in charts:
        [curve] = chart.curves
        assert list(curve.x) == list(range(len(parts)))
        assert len(chart.categories) == len(parts)
        for (_, part), y, share in zip(sorted(parts.items()), curve.y, curve.shares, strict=True):
            references, answers = zip(*part, strict=True)
            assert y == pytest.approx(sacrebleu.BLEU().corpus_score(answers, [references]).score)
            assert share == len(part) / len(triples)


@pytest.mark.parametrize(("words", "name"), [(1, "1–5"), (5, "1–5"), (6, "6–10"), (50, "41–50"), (51, "51 or more")])
def test_lengths_fall_into_classes(words, name):
    total = add(METRIC.tally(triple, "a") for triple in [("w " * words, "a", "a"), ("w " * 25, "a", "a")])
    assert set(METRIC.charts(total)[0].categories) == {name, "21–30"}


def test_nothing_is_nan():
    assert math.isnan(METRIC.value(add([])))
    assert METRIC.charts(add([])) == []


@given(st.lists(st.tuples(WORDS, WORDS), min_size=1, max_size=5))
def test_bleu_of_tokens_is_that_of_what_moses_makes_of_the_texts(pairs):
    score = tokenised_bleu("en")
    tokens = [[moses_tokens(text, "en") for text in texts] for texts in zip(*pairs, strict=True)]
    expected = sacrebleu.BLEU(tokenize="none", lowercase=True, force=True).corpus_score(tokens[1], [tokens[0]])
    assert score.value(add(score.tally(*pair) for pair in pairs)) == pytest.approx(expected.score, abs=1e-9)


def test_the_signature_says_which_figure_papers_have():
    signature = tokenised_bleu("en").signature()
    assert "|case:lc|eff:no|tok:none|" in signature
    assert signature.endswith("papers before sacrebleu report this one; the other figures are of detokenised text")
    assert tokenised_bleu("en").detail
    assert not bleu().detail
