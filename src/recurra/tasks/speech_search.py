"""How a recogniser's answers are found."""

from __future__ import annotations

import math

from torch import Tensor

from recurra.decoding.ctc import CtcPath, ctc_log_probability, forced_alignment, greedy_path
from recurra.decoding.ctc_beam import ctc_beam_search
from recurra.decoding.transducer_search import TransducerBeam, TransducerGreedy
from recurra.decoding.word_times import heard_words
from recurra.models.recogniser import BLANK, RecogniserScores
from recurra.models.transducer import SpeechModel, Transducer, TransducerScores
from recurra.tasks.speech_recognition_batches import SpeechAssets, SpeechBatch
from recurra.tasks.speech_recognition_settings import SpeechRecognitionConfig
from recurra.tasks.speech_scorers import search_scorers
from recurra.tasks.transcription import SpokenWord, Transcription

__all__ = ["aligned_transcription", "transcriptions"]

WORD_REACH = 0.2
"""Seconds by which a word may be longer than its labels, on each side."""


def transcriptions(
    config: SpeechRecognitionConfig,
    assets: SpeechAssets,
    model: SpeechModel,
    scores: RecogniserScores | TransducerScores,
    batch: SpeechBatch,
) -> list[Transcription]:
    """What is said in each recording of a batch.

    Args:
        config: The settings.
        assets: What was fitted.
        model: The network.
        scores: What it gave.
        batch: The recordings.
    """
    rows = zip(
        scores[0],
        scores.lengths.tolist(),
        batch.silent.tolist(),
        batch.seconds.tolist(),
        strict=True,
    )
    return [
        Transcription("", alternatives=(("", 0.0),), duration=seconds)
        if silent
        else _written(config, assets, model, row[:length], seconds, batch.exact)
        if isinstance(model, Transducer)
        else _transcription(config, assets, row[:length].cpu(), seconds, batch.exact)
        for row, length, silent, seconds in rows
    ]


def _transcription(
    config: SpeechRecognitionConfig, assets: SpeechAssets, log_probabilities: Tensor, seconds: float, exact: bool
) -> Transcription:
    search = config.search
    if search.beam == 1 or not exact:
        path = greedy_path(log_probabilities, BLANK)
        alternatives: tuple[tuple[str, float], ...] = ((assets.decode(path.ids), path.log_probability),)
        confidence = math.exp(path.log_probability)
    else:
        [hypotheses] = ctc_beam_search(
            log_probabilities[None],
            blank=BLANK,
            separator=assets.separator,
            beam_size=search.beam,
            n_best=search.alternatives,
            scorers=search_scorers(search, assets),
        )
        best = hypotheses[0]
        alternatives = tuple((assets.decode(each.labels), each.log_probability) for each in hypotheses)
        confidence = best.confidence
        path = forced_alignment(log_probabilities, best.labels, BLANK)
    words = _words(config, assets, path, seconds)
    return Transcription(alternatives[0][0], confidence, words, alternatives, seconds)


def _written(
    config: SpeechRecognitionConfig,
    assets: SpeechAssets,
    model: Transducer,
    encoded: Tensor,
    seconds: float,
    exact: bool,
) -> Transcription:
    """What a transducer writes."""
    search = config.search
    if search.beam == 1 or not exact:
        greedy = TransducerGreedy(model, blank=BLANK)
        greedy.hear(encoded)
        path = greedy.path()
        alternatives: tuple[tuple[str, float], ...] = ((assets.decode(path.ids), path.log_probability),)
        confidence = math.exp(path.log_probability)
    else:
        beam = TransducerBeam(
            model,
            len(assets.labels) + 1,
            blank=BLANK,
            beam_size=search.beam,
            scorers=search_scorers(search, assets),
        )
        beam.hear(encoded)
        hypotheses = beam.best(search.alternatives)
        alternatives = tuple((assets.decode(each.labels), each.log_probability) for each in hypotheses)
        confidence, path = hypotheses[0].confidence, hypotheses[0].path
    words = _words(config, assets, path, seconds)
    return Transcription(alternatives[0][0], confidence, words, alternatives, seconds)


def aligned_transcription(
    config: SpeechRecognitionConfig, assets: SpeechAssets, log_probabilities: Tensor, path: CtcPath, seconds: float
) -> Transcription:
    """A transcript that is known, with the times of its words.

    Args:
        config: The settings.
        assets: What was fitted.
        log_probabilities: What the network gave, (T', V + 1).
        path: The most probable way that spells it.
        seconds: How long the recording is.
    """
    text, words = assets.decode(path.ids), _words(config, assets, path, seconds)
    log_probability = ctc_log_probability(log_probabilities, path.ids, BLANK)
    return Transcription(text, math.exp(log_probability), words, ((text, log_probability),), seconds)


def _words(
    config: SpeechRecognitionConfig, assets: SpeechAssets, path: CtcPath, seconds: float
) -> tuple[SpokenWord, ...]:
    """The words of a way through the frames, with their times."""
    step = config.features.step / 1000 * config.model.subsampling
    heard = heard_words(path, None if assets.unit == "word" else assets.separator, WORD_REACH / step)
    return tuple(
        SpokenWord(
            assets.decode(word.labels),
            min(word.start * step, seconds),
            min(word.end * step, seconds),
            word.confidence,
        )
        for word in heard
    )
