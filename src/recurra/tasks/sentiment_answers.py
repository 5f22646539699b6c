"""The answers of a classifier of texts, what is fitted to them after training, and when it is to abstain."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from recurra.data.classified import ClassifiedText
from recurra.data.dataset import Dataset
from recurra.decoding.calibration import design_effect, fit_temperature
from recurra.decoding.thresholds import best_f1_threshold
from recurra.errors import SettingError
from recurra.tasks.classified import Classified
from recurra.tasks.drift import TextStatistics
from recurra.tasks.operating_points import check_precision, operating_points, point_at, why_there_is_none
from recurra.tasks.sentiment_assets import SentimentAssets
from recurra.tasks.sentiment_batches import TextBatch
from recurra.tasks.sentiment_classification_settings import SentimentConfig

if TYPE_CHECKING:
    from recurra.tasks.trained import Trained

__all__ = ["answers_of", "at_precision", "calibrate"]

TINY = 1e-300
"""A probability of which there is a logarithm."""


def answers_of(config: SentimentConfig, assets: SentimentAssets, batch: TextBatch, logits: Tensor) -> list[Classified]:
    """The answers to texts by their logits (B, C)."""
    scaled = logits.double() / assets.temperature
    probabilities = (scaled.sigmoid() if assets.several else scaled.softmax(1)).tolist()
    steps = torch.arange(batch.tokens.words.shape[1], device=batch.lengths.device)
    inside = steps < batch.lengths[:, None]
    met = (batch.tokens.words != assets.words.unknown) | (batch.tokens.vectors > 0)
    known = ((met & inside).sum(1) / batch.lengths.clamp(min=1)).tolist()
    return [
        _answer(config, assets, tuple(row), share, length)
        for row, share, length in zip(probabilities, known, batch.lengths.tolist(), strict=True)
    ]


def _answer(
    config: SentimentConfig, assets: SentimentAssets, probabilities: tuple[float, ...], known: float, length: int
) -> Classified:
    names = assets.labels.names
    ranked = sorted(range(len(names)), key=lambda number: -probabilities[number])
    answer = Classified(names[ranked[0]], probabilities, names, known, length)
    if not assets.several:
        return answer
    thresholds = assets.thresholds or (0.5,) * len(names)
    given = [number for number in ranked if probabilities[number] >= thresholds[number]]
    if not given and not config.model.allow_empty:
        given = ranked[:1]
    return replace(answer, several=tuple(names[number] for number in given))


def calibrate(
    trained: Trained[Any, ClassifiedText, SentimentAssets, Any, Any, Classified], valid: Dataset[ClassifiedText]
) -> SentimentAssets:
    """The assets with what the part to validate on tells: temperature, thresholds, and what abstaining would do."""
    texts = [valid[index] for index in range(len(valid))]
    answers = list(trained.answers(texts))
    assets = trained.assets
    fitted: dict[str, Any] = {"validated": TextStatistics.of((answer.length, answer.unknown) for answer in answers)}
    if assets.several:
        fitted |= _fitted_to_several(assets, texts, answers)
    else:
        fitted |= _fitted_to_one(assets, texts, answers)
    return assets.model_copy(update=fitted)


def _fitted_to_one(
    assets: SentimentAssets, texts: Sequence[ClassifiedText], answers: Sequence[Classified]
) -> dict[str, Any]:
    """The temperature, and the operating points of the probabilities at it."""
    labels = assets.labels
    logits = [[math.log(max(p, TINY)) * assets.temperature for p in answer.probabilities] for answer in answers]
    expected = [text.labels[0] if text.labels else "" for text in texts]
    known = [place for place, name in enumerate(expected) if name in labels]
    temperature = fit_temperature([logits[place] for place in known], [labels.encode(expected[p]) for p in known])
    scaled = torch.tensor(logits, dtype=torch.float64).div(temperature).softmax(1).amax(1).tolist() if logits else []
    right = [answer.label == name for answer, name in zip(answers, expected, strict=True)]
    groups = [number if text.group is None else text.group for number, text in enumerate(texts)]
    return {
        "temperature": temperature,
        "points": operating_points(zip(scaled, right, strict=True)),
        "effect": design_effect(right, groups),
    }


def _fitted_to_several(
    assets: SentimentAssets, texts: Sequence[ClassifiedText], answers: Sequence[Classified]
) -> dict[str, Any]:
    """The temperature at which the probabilities of all classes come true, and the threshold of each."""
    logits = [[_logit(p) * assets.temperature for p in answer.probabilities] for answer in answers]
    has = [[name in (text.labels or ()) for name in assets.labels.names] for text in texts]
    # That of a class against 0 is the logit of whether a text has it.
    pairs = [
        (logit, yes) for row, truth in zip(logits, has, strict=True) for logit, yes in zip(row, truth, strict=True)
    ]
    temperature = fit_temperature([[0.0, logit] for logit, _ in pairs], [int(yes) for _, yes in pairs])
    scaled = torch.tensor(logits, dtype=torch.float64).div(temperature).sigmoid()
    return {
        "temperature": temperature,
        "thresholds": tuple(
            best_f1_threshold(scaled[:, number].tolist(), [row[number] for row in has])
            for number in range(len(assets.labels))
        ),
    }


def _logit(probability: float) -> float:
    return math.log(max(probability, TINY)) - math.log(max(1 - probability, 1e-16))


def at_precision(assets: SentimentAssets, precision: float) -> tuple[Callable[[Classified], Classified], Sequence[str]]:
    """What answers only where the accuracy is what is asked for, and what that leaves unanswered.

    A text is answered if its probability is one from which on one can be 95% sure, by the part to validate on, that the
    accuracy is no lower. It holds for texts like those.

    Raises:
        SettingError: The precision is not between 0 and 1, or the run does not know what to answer.
    """
    check_precision(precision)
    if assets.several:
        raise SettingError(
            "this run gives texts several classes, each from a threshold of its own on, and cannot abstain: leave "
            "--abstain out"
        )
    if not assets.points:
        raise SettingError("the run does not know how often it is right: train again, with texts to validate on")
    point, everything = point_at(assets.points, assets.effect, precision), assets.points[-1]
    if point is None:
        subject = "texts validated on" if everything.kept != 1 else "text validated on"
        why = why_there_is_none(assets.points, assets.effect, precision, subject)
        return lambda answer: replace(answer, abstained=True), [f"no text is answered: the {why}"]
    threshold = point.threshold
    share, accuracy, before = point.kept / everything.kept, point.right / point.kept, everything.right / everything.kept
    note = (
        f"answered are texts with a probability of {threshold:.3f} or more: of those validated on {share:.1%}, with an "
        f"accuracy of {accuracy:.1%} (of all it was {before:.1%})"
    )
    return lambda answer: replace(answer, abstained=answer.probability < threshold), [note]
