"""Language models in a search: states that are carried give the scores of whole sentences."""

import pytest
import torch

from recurra.data.vocabulary import Vocabulary
from recurra.decoding.ctc_beam import ctc_beam_search
from recurra.decoding.label_scorer import LabelScorer
from recurra.decoding.word_scorer import WordScorer
from recurra.errors import SettingError
from recurra.models.language_model import LanguageModel
from recurra.tasks.fused_language_model import FusedLabels, FusedWords

TEXTS = ["", "a", "b", " "]
SEPARATOR = 3


def language_model(level, text="a b\nab a\nba\n", **sizes):
    torch.manual_seed(0)
    vocabulary = Vocabulary.build(text, level)
    model = LanguageModel(len(vocabulary), "lstm", embedding_size=5, hidden_size=6, num_layers=2, **sizes).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter)
    return model, vocabulary


def hypotheses_of(scorer, seed=0):
    generator = torch.Generator().manual_seed(seed)
    frames = (2 * torch.randn(6, 4, generator=generator, dtype=torch.float64)).log_softmax(-1)
    settings = {"separator": SEPARATOR, "beam_size": 10**4, "n_best": 10**4, "least_probability": 0.0}
    return ctc_beam_search(frames[None], scorers=[scorer], **settings)[0]


def of_whole(model, tokens):
    """The log-probability of tokens after the first, read at once."""
    with torch.no_grad():
        logits, _ = model(torch.tensor([tokens[:-1]]))
    return float(logits[0].double().log_softmax(1)[torch.arange(len(tokens) - 1), torch.tensor(tokens[1:])].sum())


def test_words_are_scored_as_whole_sentences_are():
    model, vocabulary = language_model("word")
    end = vocabulary.end
    for best in hypotheses_of(WordScorer(TEXTS, SEPARATOR, model=FusedWords(model, vocabulary), weight=0.6, bonus=0.2)):
        words = "".join(TEXTS[label] for label in best.labels).split()
        tokens = [vocabulary.encode(word)[0] if word in vocabulary else vocabulary.unknown for word in words]
        expected = best.log_probability + 0.6 * of_whole(model, [end, *tokens, end]) + 0.2 * len(words)
        assert best.score == pytest.approx(expected, abs=1e-4)


def test_characters_are_scored_as_whole_texts_are():
    model, vocabulary = language_model("character")
    newline = vocabulary.encode("\n")[0]
    scorer = LabelScorer(FusedLabels(model, vocabulary, TEXTS), weight=0.6, bonus=0.2)
    for best in ctc_beam_search(
        torch.randn(1, 5, 4, generator=torch.Generator().manual_seed(1)).log_softmax(-1),
        scorers=[scorer],
        beam_size=10**4,
        n_best=10**4,
        least_probability=0.0,
    )[0]:
        tokens = [vocabulary.encode(TEXTS[label])[0] for label in best.labels]
        expected = best.log_probability + 0.6 * of_whole(model, [newline, *tokens, newline]) + 0.2 * len(tokens)
        assert best.score == pytest.approx(expected, abs=1e-4)


def test_models_that_cannot_help_are_refused():
    with pytest.raises(SettingError, match="one of characters"):
        FusedWords(*language_model("character"))
    with pytest.raises(SettingError, match="neither <EOS> nor the end of a line"):
        FusedLabels(*language_model("character", "abba"), TEXTS)
    model, vocabulary = language_model("character", "a\nb\n")
    if vocabulary.unknown is None:
        with pytest.raises(SettingError, match="does not know ' '"):
            FusedLabels(model, vocabulary, TEXTS)
