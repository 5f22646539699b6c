"""Prefix beam search: exact without pruning, against all ways through the frames; near fast_ctc_decode with it."""

import itertools
import math
from collections import defaultdict

import fast_ctc_decode
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from recurra.decoding import ctc_beam
from recurra.decoding.ctc import ctc_log_probability, greedy_path
from recurra.decoding.ctc_beam import CtcBeam, ctc_beam_search
from recurra.decoding.hotwords import HotwordScorer
from recurra.decoding.label_scorer import LabelScorer, NgramLabels
from recurra.decoding.ngram import NgramModel
from recurra.decoding.word_scorer import Lexicon, WordScorer
from recurra.errors import DataError, RunError, SettingError, ShapeError

EXACT = {"beam_size": 10**4, "least_probability": 0.0}
TEXTS = ["", "a", "b", " "]
SEPARATOR = 3
SENTENCES = [["a", "ab"], ["ab", "a"], ["b"], ["a", "a", "ab"]]


def random_frames(seed, frames, classes, sharpness=2.0):
    generator = torch.Generator().manual_seed(seed)
    return (sharpness * torch.randn(frames, classes, generator=generator, dtype=torch.float64)).log_softmax(-1)


def probabilities_of_all(log_probabilities, key=tuple):
    """The probability of everything that the frames can spell, summed over all ways."""
    frames, classes = log_probabilities.shape
    numbers, total = log_probabilities.exp().tolist(), defaultdict(float)
    for way in itertools.product(range(classes), repeat=frames):
        text = key([label for label, _ in itertools.groupby(way) if label])
        total[text] += math.prod(numbers[t][label] for t, label in enumerate(way))
    return total


def words_in(labels):
    return tuple("".join(TEXTS[label] for label in labels).split())


@given(st.integers(0, 9999), st.integers(0, 6), st.integers(2, 3))
def test_without_pruning_every_transcript_has_its_probability(seed, frames, classes):
    log_probabilities = random_frames(seed, frames, classes)
    expected = probabilities_of_all(log_probabilities)
    hypotheses = ctc_beam_search(log_probabilities[None], n_best=10**4, **EXACT)[0]
    assert {best.labels: pytest.approx(math.exp(best.log_probability)) for best in hypotheses} == expected
    assert [best.score for best in hypotheses] == sorted((best.score for best in hypotheses), reverse=True)
    assert all(best.confidence == pytest.approx(expected[best.labels]) for best in hypotheses)


def scorers():
    model = NgramModel.fit(SENTENCES, order=2)
    lexicon = Lexicon([(1,), (1, 2)], 4)
    hot = {(1, 2): 1.5, (2,): 0.7, (1, 3, 1): 1.1}

    def of_model(words):
        history, total = model.start(), 0.0
        for word in words:
            total, history = total + model.log_probability(history, word), model.after(history, word)
        return total + model.end(history)

    def of_phrases(words):
        spoken = f" {'  '.join(words)} "
        return (
            1.5 * spoken.count(" ab ")
            + 0.7 * spoken.count(" b ")
            + 1.1 * sum(pair == ("a", "a") for pair in itertools.pairwise(words))
        )

    def known(words, cost):
        unknown = sum(word not in {"a", "ab"} for word in words)
        return -cost * unknown if unknown else 0.0

    return {
        "language model": (
            [WordScorer(TEXTS, SEPARATOR, model=model, weight=0.8, bonus=0.3)],
            lambda words: 0.8 * of_model(words) + 0.3 * len(words),
        ),
        "lexicon": ([WordScorer(TEXTS, SEPARATOR, lexicon=lexicon)], lambda words: known(words, math.inf)),
        "lexicon at a cost, and words that are expected": (
            [WordScorer(TEXTS, SEPARATOR, lexicon=lexicon, unknown_cost=1.7), HotwordScorer(hot, 4, SEPARATOR)],
            lambda words: known(words, 1.7) + of_phrases(words),
        ),
    }


@pytest.mark.parametrize("name", scorers())
@pytest.mark.parametrize("seed", range(6))
def test_without_pruning_scorers_add_what_they_say(name, seed):
    with_scorers, added = scorers()[name]
    log_probabilities = random_frames(seed, 6, 4)
    expected = {
        words: (math.log(probability) + added(words), math.log(probability))
        for words, probability in probabilities_of_all(log_probabilities, words_in).items()
        if added(words) > -math.inf
    }
    hypotheses = ctc_beam_search(
        log_probabilities[None], separator=SEPARATOR, n_best=10**4, scorers=with_scorers, **EXACT
    )[0]
    assert {words_in(best.labels): (best.score, best.log_probability) for best in hypotheses} == {
        words: pytest.approx(pair) for words, pair in expected.items()
    }
    assert sum(best.confidence for best in hypotheses) == pytest.approx(1)


def test_a_language_model_of_labels_counts_each_label():
    model = NgramModel.fit(["ab", "abab", "b"], order=3)
    log_probabilities = random_frames(1, 5, 3)
    scorer = LabelScorer(NgramLabels(model, ["<blank>", "a", "b"]), weight=0.6, bonus=0.2)
    for best in ctc_beam_search(log_probabilities[None], n_best=10**4, scorers=[scorer], **EXACT)[0]:
        history, total = model.start(), 0.0
        for label in best.labels:
            total += model.log_probability(history, "?ab"[label])
            history = model.after(history, "?ab"[label])
        expected = best.log_probability + 0.6 * (total + model.end(history)) + 0.2 * len(best.labels)
        assert best.score == pytest.approx(expected)


def test_a_beam_that_prunes_is_as_good_as_that_of_fast_ctc_decode():
    log_probabilities = torch.stack([random_frames(seed, 60, 8, 4.0) for seed in range(12)])
    same = 0
    for row, hypotheses in zip(log_probabilities, ctc_beam_search(log_probabilities, beam_size=40), strict=True):
        text, _ = fast_ctc_decode.beam_search(row.exp().float().numpy(), "-1234567", 40, 1e-5)
        theirs, ours = [int(digit) for digit in text], hypotheses[0].labels
        same += list(ours) == theirs
        exact = ctc_log_probability(row, ours)
        # Where the two differ, ours is the more probable transcript.
        assert exact >= ctc_log_probability(row, theirs) - 1e-3
        assert exact >= ctc_log_probability(row, greedy_path(row).ids) - 1e-3
        assert exact - 1 < hypotheses[0].log_probability < exact + 1e-9  # ways that were left are not counted
    assert same >= 7


@pytest.mark.parametrize("compacted", [0, 2**17])
def test_pieces_give_what_the_whole_gives(monkeypatch, compacted):
    monkeypatch.setattr(ctc_beam, "COMPACTED", compacted)
    row = random_frames(4, 50, 5, 3.0)
    beams = [CtcBeam(5, separator=SEPARATOR, beam_size=12) for _ in range(2)]
    beams[0].hear(row)
    for piece in row.split([1, 0, 7, 30, 12]):
        beams[1].hear(piece)
    assert beams[0].best(12) == beams[1].best(12)
    assert beams[0].partial()[:5] == beams[0].best()[0].labels[:5]
    monkeypatch.setattr(ctc_beam, "COMPACTED", 2**30)
    assert ctc_beam_search(row[None], separator=SEPARATOR, beam_size=12, n_best=12)[0] == beams[0].best(12)


def test_lengths_hide_the_frames_behind():
    rows = torch.stack([random_frames(seed, 9, 4) for seed in range(3)])
    lengths = torch.tensor([9, 4, 0])
    together = ctc_beam_search(rows, lengths, n_best=3)
    assert together == [ctc_beam_search(row[None, :end], n_best=3)[0] for row, end in zip(rows, lengths, strict=True)]
    assert together[2][0].labels == ()


def test_a_word_that_the_lexicon_lacks_is_never_left_over():
    # Nothing is heard but the beginning of the only word, and the beam is as small as can be.
    row = torch.tensor([[0.02, 0.95, 0.02, 0.01]] + [[0.97, 0.01, 0.01, 0.01]] * 11).log()
    scorer = WordScorer(TEXTS, SEPARATOR, lexicon=Lexicon([(1, 2, 1)], 4))
    for beam_size in (1, 2, 8):
        best = ctc_beam_search(row[None], separator=SEPARATOR, beam_size=beam_size, scorers=[scorer])[0][0]
        assert set(words_in(best.labels)) <= {"aba"}
        assert np.isfinite(best.score)
    nothing_but_b = torch.tensor([[0.0, 0.0, 1.0, 0.0]]).log()
    impossible = ctc_beam_search(nothing_but_b[None], separator=SEPARATOR, scorers=[scorer])[0]
    assert [(best.labels, best.score, best.confidence) for best in impossible] == [((), -math.inf, 0.0)]


def test_what_cannot_be_searched_is_refused():
    frames = random_frames(0, 4, 3)[None]
    for settings, message in (
        ({"least_probability": 1.0}, "least_probability is 1.0"),
        ({"margin": 0.0}, "margin is 0.0"),
        ({"beam_size": 0}, "n_best is 1"),
        ({"beam_size": 3, "n_best": 4}, "n_best is 4"),
    ):
        with pytest.raises(SettingError, match=message):
            ctc_beam_search(frames, **settings)
    with pytest.raises(ShapeError, match="lengths"):
        ctc_beam_search(frames, torch.tensor([1, 2]))
    with pytest.raises(RunError, match="not numbers"):
        ctc_beam_search(frames * math.nan)
    with pytest.raises(SettingError, match="weight is -1"):
        WordScorer(TEXTS, SEPARATOR, weight=-1)
    for words in ([], [()], [(4,)]):
        with pytest.raises(DataError, match="lexicon"):
            Lexicon(words, 4)
    with pytest.raises(DataError, match="phrase"):
        HotwordScorer({(): 1.0}, 4)
