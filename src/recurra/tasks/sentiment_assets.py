"""What is fitted on the texts that a classifier is trained on, and after training on those that it is validated on."""

from __future__ import annotations

from collections import Counter

from pydantic import Field

from recurra.data.classified import ClassifiedText
from recurra.data.dataset import Dataset
from recurra.data.labels import Labels
from recurra.errors import DataError, SettingError
from recurra.tasks.assets import KeptVocabulary
from recurra.tasks.drift import TextStatistics
from recurra.tasks.operating_points import OperatingPoint
from recurra.tasks.sentiment_classification_settings import SentimentConfig
from recurra.tasks.text_units import TextUnits, learn_pieces
from recurra.tasks.words import WordAssets, fit_words

__all__ = ["SentimentAssets", "check_one_class", "fit", "has_several", "units_of"]


class SentimentAssets(WordAssets):
    """What is known of the texts trained on.

    Args:
        labels: The classes.
        counts: How many texts each class has.
        texts: How many texts there are.
        several: Whether a text may have several classes, or none.
        pieces: The pieces of words that texts are cut into, at level "bpe".
        temperature: What logits are divided by, so that probabilities come true; fitted on the part to validate on.
        thresholds: Where a text may have several classes, the probability of each from which on it is given: that of
            the highest F1 on the part to validate on. None before it is known; it is then 0.5.
        points: Where a text has one class, what thresholds on its probability do on the part to validate on.
        effect: The design effect of the groups of that part.
        validated: What is known of the texts of that part; None before they were answered.
    """

    labels: Labels
    counts: tuple[int, ...]
    texts: int = Field(0, ge=0)
    several: bool = False
    pieces: KeptVocabulary | None = None
    temperature: float = Field(1.0, gt=0, allow_inf_nan=False)
    thresholds: tuple[float, ...] | None = None
    points: tuple[OperatingPoint, ...] = ()
    effect: float = Field(1.0, ge=1, allow_inf_nan=False)
    validated: TextStatistics | None = None


def units_of(config: SentimentConfig, assets: SentimentAssets) -> TextUnits:
    """What cuts a text into what the network reads a step."""
    return TextUnits(config.texts.level, config.texts.longest, assets.pieces)


def has_several(config: SentimentConfig, texts: Dataset[ClassifiedText]) -> bool:
    """Whether a text may have several classes: as the settings say, or as those to train on have."""
    settings = config.texts
    if settings.labels is not None:
        return settings.labels == "several"
    return settings.label_separator is not None or any(
        len(texts[index].labels or ()) != 1 for index in range(len(texts))
    )


def check_one_class(text: ClassifiedText) -> None:
    """Refuse a text that has not one class.

    Raises:
        DataError: It has several, or none.
    """
    if len(text.labels or ()) != 1:
        has = f"several classes ({', '.join(text.labels)})" if text.labels else "no class"
        raise DataError(
            f"{text.source}: this text has {has}, and one is expected; for texts of several, train with "
            "--labels several"
        )


def fit(config: SentimentConfig, texts: Dataset[ClassifiedText]) -> SentimentAssets:
    """The vocabularies of words and characters, the classes, and the pretrained vectors."""
    examples = [texts[index] for index in range(len(texts))]
    several = has_several(config, texts)
    if not several:
        for example in examples:
            check_one_class(example)
        if config.model.allow_empty:
            raise SettingError(
                "--allow-empty has no effect where each text has one class: leave it out, or say --labels several"
            )
    counts = Counter(label for example in examples for label in example.labels or ())
    if len(counts) < 2:
        only = f"all texts to train on are of the class {next(iter(counts))!r}" if counts else "no text has a class"
        raise DataError(f"{config.texts.data}: {only}; to tell them apart takes two classes")
    pieces = None
    if config.texts.level == "bpe":
        pieces = learn_pieces((example.text for example in examples), config.texts.pieces)
    cut = TextUnits(config.texts.level, config.texts.longest, pieces)
    forms: Counter[str] = Counter()
    for example in examples:
        forms.update(cut(example.text))
    if not forms:
        raise DataError(f"{config.texts.data}: no text has a word; give texts of words")
    labels = Labels.of(counts)
    return SentimentAssets(
        **fit_words(config.model, forms, config.texts.min_count),
        labels=labels,
        counts=tuple(counts[name] for name in labels.names),
        texts=len(examples),
        several=several,
        pieces=pieces,
    )
