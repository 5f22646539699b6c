"""What guides the search for what is said beside the sound: a lexicon, n-grams, words that are expected."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from pathlib import Path

from recurra.data.lines import read_lines
from recurra.decoding.hotwords import HotwordScorer
from recurra.decoding.label_scorer import LabelScorer, NgramLabels
from recurra.decoding.ngram import NgramModel
from recurra.decoding.prefix_scorer import PrefixScorer
from recurra.decoding.word_scorer import Lexicon, WordScorer
from recurra.errors import DataError, SettingError
from recurra.models.recogniser import BLANK
from recurra.tasks.fused_language_model import FusedLabels, FusedWords
from recurra.tasks.speech_recognition_batches import SpeechAssets
from recurra.tasks.speech_recognition_settings import SpeechSearchSettings

__all__ = ["search_scorers"]

TRAINED = "trained"
"""The lexicon of the transcripts trained on."""


@functools.lru_cache(maxsize=4)
def search_scorers(search: SpeechSearchSettings, assets: SpeechAssets) -> tuple[PrefixScorer, ...]:
    """What adds to the scores of transcripts, as the settings say.

    Raises:
        SettingError: A setting cannot be with this model.
        DataError: A file cannot be read.
    """
    scorers: list[PrefixScorer] = []
    model = _ngrams(search, assets) if search.ngram_weight else None
    if assets.unit == "word":
        if search.lexicon:
            raise SettingError(
                f"--lexicon {search.lexicon}: the labels of this model are words, and it knows no others: leave it out"
            )
        if model is not None:
            labels = NgramLabels(model, ("", *assets.labels))
            scorers.append(LabelScorer(labels, search.ngram_weight, search.word_bonus))
    elif model is not None or search.lexicon or search.word_bonus:
        scorers.append(
            WordScorer(
                ("", *assets.labels),
                BLANK if assets.separator is None else assets.separator,  # without one a transcript is a word
                lexicon=_lexicon(search.lexicon, assets) if search.lexicon else None,
                unknown_cost=math.inf if search.unknown_cost is None else search.unknown_cost,
                model=model,
                weight=search.ngram_weight,
                bonus=search.word_bonus,
            )
        )
    if search.language_model:
        scorers.append(_fused(search, assets))
    if search.hotwords:
        phrases: dict[Sequence[int], float] = {
            tuple(_labels(assets, text, "--hotwords")): search.hotword_bonus for text in search.hotwords
        }
        separator = assets.separator if assets.unit == "character" else None
        scorers.append(HotwordScorer(phrases, len(assets.labels) + 1, separator))
    return tuple(scorers)


def _fused(search: SpeechSearchSettings, assets: SpeechAssets) -> PrefixScorer:
    """A trained language model: of words where it and the recogniser can be, else of the labels."""
    from recurra.tasks.front_door import load
    from recurra.tasks.language_model_run import LanguageModelRun

    run = load(Path(search.language_model), LanguageModelRun)
    texts, separator = ("", *assets.labels), assets.separator
    if assets.unit == "character" and run.vocabulary.level == "word" and separator is not None:
        words = FusedWords(run.model, run.vocabulary)
        return WordScorer(texts, separator, model=words, weight=search.language_model_weight)
    if run.vocabulary.level != assets.unit:
        raise SettingError(
            f"--language-model {search.language_model}: it is one of {run.vocabulary.level}s, and the labels of this "
            f"recogniser are {assets.unit}s; train one with --level {assets.unit}"
        )
    return LabelScorer(FusedLabels(run.model, run.vocabulary, texts), search.language_model_weight)


def _ngrams(search: SpeechSearchSettings, assets: SpeechAssets) -> NgramModel:
    if search.arpa:
        path = Path(search.arpa)
        return NgramModel.from_arpa((line for _, line in read_lines(path)), search.arpa)
    if not assets.ngrams:
        raise SettingError(
            "--ngram-weight: this run keeps no n-grams; train with --ngram-order 3, or give an --arpa file"
        )
    return NgramModel({words: (probability, backoff) for words, probability, backoff in assets.ngrams})


def _lexicon(name: str, assets: SpeechAssets) -> Lexicon:
    """The words of the transcripts trained on, or of a file; those that no label can spell are left out."""
    if name == TRAINED:
        words: Sequence[Sequence[int]] = [
            assets.encode(word) for word in assets.words if set(word) <= set(assets.labels)
        ]
    else:
        said = ((number, line.split()) for number, line in read_lines(Path(name)))
        words = [_labels(assets, fields[0], f"{name}:{number}") for number, fields in said if fields]
    if not words:
        raise DataError(f"--lexicon {name}: there is no word; give a file of one word a line")
    return Lexicon(words, len(assets.labels) + 1)


def _labels(assets: SpeechAssets, text: str, where: str) -> list[int]:
    """The labels of a text, all of whose units must have one."""
    unknown = [unit for unit in assets.units(text) if unit not in assets.labels]
    if unknown or not text.strip():
        raise SettingError(
            f"{where}: {text!r} has {unknown[0]!r}, which no label of the model stands for; it knows "
            f"{''.join(assets.labels) if assets.unit == 'character' else ', '.join(assets.labels[:20])!r}"
            if unknown
            else f"{where}: a word or a phrase is empty; give one"
        )
    return assets.encode(text)
