"""How a translator's answers are found: beam search, sampling, prefixes, ensembles."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from recurra.data import END, UNKNOWN, Vocabulary
from recurra.decoding.ancestral import draw_hypotheses, source_seed
from recurra.decoding.beam import beam_search
from recurra.decoding.copying import replace_unknown
from recurra.decoding.drawing import SamplingSettings
from recurra.decoding.ensemble import Ensemble
from recurra.decoding.hypothesis import Hypothesis
from recurra.decoding.limits import Limits
from recurra.decoding.penalties import Penalties
from recurra.decoding.prefix import PartialWord, Prefix
from recurra.decoding.scorer import Scorer
from recurra.errors import SettingError
from recurra.models.attentive_decoder import DecoderState
from recurra.models.translator import Translator
from recurra.tasks.machine_translation_batches import PairBatch, TranslationAssets
from recurra.tasks.machine_translation_settings import MachineTranslationConfig, SearchSettings
from recurra.tasks.translation import Alternative, Translation

__all__ = ["TranslatorScorer", "penalties_of", "scorer_of", "target_prefix", "translate"]


class TranslatorScorer:
    """A translator as search and sampling see it.

    Args:
        model: The translator.
        source: The pieces of the sentences, (N, S).
        source_lengths: How many each has, (N,).
        end: <EOS> of the translations, which stands before the first step, too.
    """

    def __init__(self, model: Translator, source: Tensor, source_lengths: Tensor, end: int) -> None:
        self.model, self.source, self.source_lengths = model, source, source_lengths
        self.begin = self.end = end
        self._readout = model.transposed_readout()

    def start(self) -> DecoderState:
        """The state before the first step."""
        return self.model.encode(self.source, self.source_lengths)

    def step(self, tokens: Tensor, state: DecoderState) -> tuple[Tensor, Tensor, DecoderState]:
        """The log-probabilities after one more token, the attention, and the state."""
        logits, attention, after = self.model.step(tokens, state, self._readout)
        return logits.log_softmax(1), attention, after

    def select(self, state: DecoderState, rows: Tensor, same_sources: bool) -> DecoderState:
        """The state of some rows."""
        return state.select(rows, memory=not same_sources)


def translate(
    config: MachineTranslationConfig, assets: TranslationAssets, model: Translator, batch: PairBatch
) -> list[Translation]:
    """The translations of each sentence of a batch, the best first; those drawn, in the order in which they were.

    Raises:
        SettingError: A setting of the search is impossible with these vocabularies or beside another.
    """
    search = config.search
    prefix = target_prefix(assets.target, search.prefix) if search.prefix and batch.exact else None
    hypotheses = _hypotheses(config, scorer_of(config, assets, model, batch), batch, prefix)
    copied = search.copy_unknown and assets.target.level == "word" and assets.source.level == "word"
    rows = zip(batch.source.tolist(), batch.source_lengths.tolist(), batch.texts, batch.cut.tolist(), strict=True)
    return [
        _translation(assets, best, row[:length], text, cut, copied)
        for best, (row, length, text, cut) in zip(hypotheses, rows, strict=True)
    ]


def _translation(
    assets: TranslationAssets, best: Sequence[Hypothesis], source: Sequence[int], text: str, cut: int, copied: bool
) -> Translation:
    """The translations of a sentence; one without words has none, nor one of which the limits leave nothing."""
    if len(source) == 1 or not best:  # <EOS> alone
        return Translation.of_text("", text)
    words = assets.source.split(text) if copied else None
    alternatives = tuple(_alternative(assets, each, words) for each in best)
    return Translation(alternatives, tuple(source), (assets.source, assets.target), cut, source_text=text)


def _hypotheses(
    config: MachineTranslationConfig, scorer: Scorer[Any], batch: PairBatch, prefix: Prefix | None
) -> list[list[Hypothesis]]:
    """What is drawn or found for each sentence."""
    search = config.search
    penalties = penalties_of(search)
    limits = Limits(search.min_length, search.max_length, 0.0, search.max_ratio, search.unique_ngrams)
    prefixes = [prefix] * len(batch)
    if search.sample and batch.exact:
        return draw_hypotheses(
            scorer,
            # By the sentence alone, so that neither those beside it nor its line change what is drawn.
            [source_seed(search.search_seed, text) for text in batch.texts],
            samples=search.alternatives,
            settings=SamplingSettings(search.temperature, search.top_k, search.top_p),
            penalties=penalties,
            limits=limits,
            prefixes=prefixes,
        )
    beam = search.beam if batch.exact else config.batches.valid_beam
    number = search.alternatives if batch.exact else 1
    if number > beam:
        raise SettingError(f"--alternatives {number}: a beam of {beam} gives no more than {beam}; give --beam {number}")
    return beam_search(scorer, beam_size=beam, n_best=number, penalties=penalties, limits=limits, prefixes=prefixes)


def penalties_of(search: SearchSettings) -> Penalties:
    """How translations are scored."""
    return Penalties(search.length_penalty, search.length_alpha, search.coverage_penalty)


def scorer_of(
    config: MachineTranslationConfig, assets: TranslationAssets, model: Translator, batch: PairBatch
) -> Scorer[Any]:
    """What scores translations of a batch: the model, or with it the others of an ensemble."""
    others = [_member(path, assets).to(batch.source.device) for path in config.search.ensemble] if batch.exact else []
    scorers = [TranslatorScorer(each, batch.source, batch.source_lengths, assets.end) for each in (model, *others)]
    return Ensemble(scorers) if others else scorers[0]


def _member(folder: str, assets: TranslationAssets) -> Translator:
    """The model of another run.

    Raises:
        SettingError: It is no translator, or has other vocabularies.
    """
    model, theirs = _loaded(folder)
    if not isinstance(theirs, TranslationAssets):
        raise SettingError(f"--ensemble {folder}: it is no run of machine-translation")
    if (theirs.source, theirs.target) != (assets.source, assets.target):
        raise SettingError(
            f"--ensemble {folder}: its vocabularies are others; train the runs of an ensemble on the same file, with "
            "other seeds"
        )
    return model


@functools.lru_cache(maxsize=8)
def _loaded(folder: str) -> tuple[Translator, object]:
    from recurra.tasks.front_door import load

    run = load(Path(folder))
    return run.model.eval(), run.assets


def target_prefix(vocabulary: Vocabulary, text: str) -> Prefix:
    """What a translation begins with: whole words, and the letters of one that is not typed to its end.

    After a space a new word begins.

    Args:
        vocabulary: That of translations.
        text: What is typed.

    Raises:
        SettingError: No translation begins so.
    """
    text = text.lstrip()
    if vocabulary.level == "character":
        return _known(vocabulary, text, Prefix(tuple(vocabulary.encode(text))))
    whole, space, typed = text.rpartition(" ")
    if vocabulary.level == "word":
        may_follow = torch.tensor([unit not in (END, UNKNOWN) and unit.startswith(typed) for unit in vocabulary.tokens])
        if not may_follow.any():
            raise SettingError(f"--prefix {text!r}: no word of translations begins with {typed!r}; leave letters out")
        return _known(vocabulary, text, Prefix(tuple(vocabulary.encode(whole)), may_follow))
    # By bytes, each as a character: a piece may be part of a letter.
    pieces = ["" if unit == END else vocabulary.bytes_of(unit).decode("latin-1") for unit in vocabulary.tokens]
    return Prefix(
        tuple(vocabulary.encode(whole)), PartialWord(pieces, (space + typed).encode("utf-8").decode("latin-1"))
    )


def _known(vocabulary: Vocabulary, text: str, prefix: Prefix) -> Prefix:
    """A prefix of units that the vocabulary has."""
    if vocabulary.unknown in prefix.tokens:
        unit = vocabulary.split(text)[prefix.tokens.index(vocabulary.unknown)]
        raise SettingError(f"--prefix {text!r}: {unit!r} is not in the vocabulary of translations; leave it out")
    return prefix


def _alternative(assets: TranslationAssets, hypothesis: Hypothesis, source_words: Sequence[str] | None) -> Alternative:
    """A hypothesis as text; with the words of the sentence, they are copied where a word is unknown."""
    vocabulary, attention = assets.target, hypothesis.attention
    assert attention is not None
    text = vocabulary.decode(hypothesis.tokens)
    if source_words is not None and vocabulary.unknown in hypothesis.tokens:
        words = [vocabulary.decode([token]) for token in hypothesis.tokens]
        text = " ".join(replace_unknown(words, attention, source_words[: attention.shape[1] - 1], UNKNOWN))
    return Alternative(
        " ".join(text.splitlines()).strip(),  # a line in is a line out
        hypothesis.score,
        hypothesis.log_probability,
        hypothesis.tokens,
        hypothesis.log_probabilities,
        attention[:-1],
        finished=not hypothesis.cut,
    )
