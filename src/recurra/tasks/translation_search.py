"""How a translator's answers are found: beam search, sampling, prefixes, ensembles."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from recurra.decoding.beam import beam_search
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
from recurra.tasks.machine_translation_settings import MachineTranslationConfig
from recurra.tasks.translation import Alternative, Translation

__all__ = ["TranslatorScorer", "scorer_of", "translate"]


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

    def start(self) -> DecoderState:
        """The state before the first step."""
        return self.model.encode(self.source, self.source_lengths)

    def step(self, tokens: Tensor, state: DecoderState) -> tuple[Tensor, Tensor, DecoderState]:
        """The log-probabilities after one more token, the attention, and the state."""
        logits, attention, after = self.model.step(tokens, state)
        return logits.log_softmax(1), attention, after

    def select(self, state: DecoderState, rows: Tensor, same_sources: bool) -> DecoderState:
        """The state of some rows."""
        return state.select(rows, memory=not same_sources)


def translate(
    config: MachineTranslationConfig, assets: TranslationAssets, model: Translator, batch: PairBatch
) -> list[Translation]:
    """The translations of each sentence of a batch, the best first."""
    search = config.search
    beam = search.beam if batch.exact else config.batches.valid_beam
    number = search.alternatives if batch.exact else 1
    if number > beam:
        raise SettingError(f"--alternatives {number}: a beam of {beam} gives no more than {beam}; give --beam {number}")
    hypotheses = beam_search(
        scorer_of(config, assets, model, batch),
        beam_size=beam,
        n_best=number,
        penalties=Penalties(search.length_penalty, search.length_alpha, search.coverage_penalty),
        limits=Limits(search.min_length, search.max_length, 0.0, search.max_ratio, search.unique_ngrams),
        prefixes=[_prefix(assets, search.prefix)] * len(batch) if search.prefix and batch.exact else None,
    )
    lengths, cut = batch.source_lengths.tolist(), batch.cut.tolist()
    return [
        _translation(assets, row[:length], best, missing)
        for row, length, best, missing in zip(batch.source.tolist(), lengths, hypotheses, cut, strict=True)
    ]


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


def _prefix(assets: TranslationAssets, text: str) -> Prefix:
    """What a translation begins with: whole words, and the letters of one that is not typed to its end.

    Raises:
        SettingError: No translation begins so.
    """
    vocabulary = assets.target
    text = text.lstrip()
    if vocabulary.level != "bpe":
        return Prefix(tuple(vocabulary.encode(text.strip())))
    whole, space, typed = text.rpartition(" ")
    pieces = [
        "" if token == vocabulary.end else vocabulary.text_of(unit) for token, unit in enumerate(vocabulary.tokens)
    ]
    try:
        return Prefix(tuple(vocabulary.encode(whole)), PartialWord(pieces, space + typed))
    except SettingError as error:
        raise SettingError(f"--prefix {text!r}: {error}") from None


def _translation(
    assets: TranslationAssets, source: Sequence[int], hypotheses: Sequence[Hypothesis], cut: int
) -> Translation:
    """What the search found for a sentence; one without words has no translation."""
    if len(source) == 1:
        return Translation.of_text("")
    return Translation(
        tuple(_alternative(assets, hypothesis) for hypothesis in hypotheses),
        tuple(source),
        (assets.source, assets.target),
        cut,
    )


def _alternative(assets: TranslationAssets, hypothesis: Hypothesis) -> Alternative:
    attention = hypothesis.attention
    assert attention is not None
    return Alternative(
        _one_line(assets.target.decode(hypothesis.tokens)),
        hypothesis.score,
        hypothesis.log_probability,
        hypothesis.tokens,
        hypothesis.log_probabilities,
        attention[:-1],
        finished=not hypothesis.cut,
    )


def _one_line(text: str) -> str:
    """A text on one line: a line in is a line out."""
    return " ".join(text.splitlines()).strip()
