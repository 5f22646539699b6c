"""Searches of transducers: exact without pruning, against all ways through the lattice of a small network."""

import itertools
import math
from collections import defaultdict

import pytest
import torch
from torch import nn

from recurra.decoding.ngram import NgramModel
from recurra.decoding.transducer_search import TransducerBeam, TransducerGreedy
from recurra.decoding.word_scorer import Lexicon, WordScorer
from recurra.errors import RunError, SettingError
from recurra.models.encoder import Encoder
from recurra.models.recogniser import BLANK
from recurra.models.subsampling import Subsampling
from recurra.models.transducer import Transducer
from recurra.nn import Recurrent


def transducer(seed=0, labels=2, scale=1.0, cell="gru"):
    torch.manual_seed(seed)
    encoder = Encoder(nn.Identity(), Recurrent("gru", 6, 5))
    model = Transducer(Subsampling(3, 6, 2, 3), encoder, labels, cell, 4, 5, 2, 7).double()
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=scale)
    return model.eval()


@pytest.fixture
def frames():
    return torch.randn(3, 7, generator=torch.Generator().manual_seed(3), dtype=torch.float64)


def probabilities_of_all(model, frames, classes, most):
    """The probability of every transcript in which no frame has more labels than so many."""
    total = defaultdict(float)

    def follow(t, labels, in_frame, predicted, state, probability):
        if t == len(frames):
            total[labels] += probability
            return
        numbers = model.joined(frames[t], predicted)[0].exp().tolist()
        follow(t + 1, labels, 0, predicted, state, probability * numbers[BLANK])
        for label in range(1, classes) if in_frame < most else ():
            after = model.after(torch.tensor([label]), state)
            follow(t, (*labels, label), in_frame + 1, *after, probability * numbers[label])

    with torch.no_grad():
        follow(0, (), 0, *model.start(), 1.0)
    return total


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_without_pruning_every_transcript_has_its_probability(seed, cell, frames):
    model = transducer(seed, cell=cell)
    expected = probabilities_of_all(model, frames, 3, most=2)
    beam = TransducerBeam(model, 3, beam_size=10**4, max_symbols=2)
    for piece in frames.split([1, 2]):
        beam.hear(piece)
    hypotheses = beam.best(10**4)
    assert {best.labels: pytest.approx(math.exp(best.log_probability)) for best in hypotheses} == expected
    assert sum(best.confidence for best in hypotheses) == pytest.approx(1)
    for best in hypotheses:
        assert best.path.log_probability <= best.log_probability + 1e-12
        assert [heard.start for heard in best.path.labels] == sorted(heard.start for heard in best.path.labels)


def test_probabilities_are_those_of_the_loss(frames):
    model = transducer(4, scale=0.4)
    with torch.no_grad():
        scores, _ = model(torch.randn(1, 5, 3, dtype=torch.float64))
        beam = TransducerBeam(model, 3, beam_size=3000, max_symbols=4)
        beam.hear(scores.encoded[0])
        by_labels = {best.labels: best.log_probability for best in beam.best(10**4)}
        for labels in [(), (1,), (2, 1), (2, 2)]:
            loss = model.loss(scores, torch.tensor([labels]).long().reshape(1, -1), torch.tensor([len(labels)]))
            assert by_labels[labels] == pytest.approx(-float(loss), abs=1e-9)


def test_greedy_takes_the_best_at_each_step_and_comes_to_an_end(frames):
    model = transducer(1)
    whole, pieces = TransducerGreedy(model, max_symbols=3), TransducerGreedy(model, max_symbols=3)
    whole.hear(frames)
    for piece in frames.split([2, 0, 1]):
        pieces.hear(piece)
    assert whole.path() == pieces.path()
    with torch.no_grad():
        (predicted, state), labels, total = model.start(), [], 0.0
        for frame in frames:
            for number in itertools.count():
                numbers = model.joined(frame, predicted)[0]
                label = int(numbers.argmax()) if number < 3 else BLANK
                total += float(numbers[label])
                if label == BLANK:
                    break
                labels.append(label)
                predicted, state = model.after(torch.tensor([label]), state)
    assert whole.path().ids == tuple(labels)
    assert whole.path().log_probability == pytest.approx(total)
    nn.init.constant_(model.readout.bias, 0.0)
    model.readout.bias.data[1] = 100.0  # never a blank
    endless = TransducerGreedy(model, max_symbols=3)
    endless.hear(frames)
    assert endless.path().ids == (1,) * 9


def test_the_network_of_labels_reads_its_beginning_as_a_label_that_is_learned():
    # A row of zeros that is never trained, as that of padding, made the first label another one than in training.
    model = transducer(2)
    assert model.prediction.embedding.padding_idx is None
    scores, _ = model(torch.randn(1, 4, 3, dtype=torch.float64))
    model.loss(scores, torch.tensor([[1, 2]]), torch.tensor([2])).sum().backward()
    assert model.prediction.embedding.weight.grad[BLANK].abs().sum() > 0
    read, _ = model.prediction(torch.tensor([[BLANK, 1, 2]]))
    predicted, state = model.start()
    for number, label in enumerate([1, 2], 1):
        torch.testing.assert_close(predicted[0], read[0, number - 1])
        predicted, state = model.after(torch.tensor([label]), state)


def test_batch_mates_and_what_is_past_the_lengths_never_matter():
    model = transducer(3)
    x = torch.randn(3, 9, 3, dtype=torch.float64)
    targets, target_lengths = torch.tensor([[1, 2, 1], [2, 0, 0], [0, 0, 0]]), torch.tensor([3, 1, 0])
    with torch.no_grad():
        scores, _ = model(x, lengths=torch.tensor([9, 4, 1]))
        together = model.loss(scores, targets, target_lengths)
        for row, (length, number) in enumerate([(9, 3), (4, 1), (1, 0)]):
            alone, _ = model(x[row : row + 1, :length])
            loss = model.loss(alone, targets[row : row + 1, :number], target_lengths[row : row + 1])
            torch.testing.assert_close(loss[0], together[row])


def test_a_lexicon_and_n_grams_guide_the_beam(frames):
    model, texts = transducer(5, labels=3), ["", "a", "b", " "]
    ngrams = NgramModel.fit([["ab", "a"], ["a"]], order=2)
    scorer = WordScorer(texts, 3, lexicon=Lexicon([(1,), (1, 2)], 4), model=ngrams, weight=0.7, bonus=0.4)
    beam = TransducerBeam(model, 4, beam_size=10**4, max_symbols=2, scorers=[scorer])
    beam.hear(frames)
    hypotheses = {best.labels: best for best in beam.best(10**4)}
    expected = probabilities_of_all(model, frames, 4, most=2)
    allowed = 0
    for labels, probability in expected.items():
        words = "".join(texts[label] for label in labels).split()
        if not set(words) <= {"a", "ab"}:
            assert labels not in hypotheses
            continue
        allowed += 1
        history, total = ngrams.start(), 0.0
        for word in words:
            total, history = total + ngrams.log_probability(history, word), ngrams.after(history, word)
        score = math.log(probability) + 0.7 * (total + ngrams.end(history)) + 0.4 * len(words)
        assert hypotheses[labels].score == pytest.approx(score)
    assert allowed == len(hypotheses) > 3
    narrow = TransducerBeam(model, 4, beam_size=1, scorers=[scorer])
    narrow.hear(frames)
    assert set("".join(texts[label] for label in narrow.best()[0].labels).split()) <= {"a", "ab"}


def test_what_cannot_be_searched_is_refused(frames):
    model = transducer()
    with pytest.raises(SettingError, match="max_symbols is 0"):
        TransducerGreedy(model, max_symbols=0)
    with pytest.raises(SettingError, match="beam_size is 0"):
        TransducerBeam(model, 3, beam_size=0)
    for search in (TransducerGreedy(model), TransducerBeam(model, 3)):
        with pytest.raises(RunError, match="not numbers"):
            search.hear(frames * math.nan)
