"""Sentiment classification: what a text says of its subject, or any other class of a text; many to one.

    p(y | x<1..T>), x<t> the words of a text

Socher et al., "Recursive deep models for semantic compositionality over a sentiment treebank", EMNLP 2013; Howard and
Ruder, "Universal language model fine-tuning for text classification", ACL 2018.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from recurra.data.batching import Batches
from recurra.data.classified import ClassifiedText, read_classified, texts_to_classify
from recurra.data.dataset import Dataset, Problems, Role
from recurra.data.labels import Labels
from recurra.data.lines import Source
from recurra.data.padded import PaddedBatches
from recurra.data.spellings import SHAPES
from recurra.data.tokens import tokenise
from recurra.errors import SettingError
from recurra.metrics import Metric
from recurra.metrics.multi_label import label_f1, subset_accuracy
from recurra.models.classifier import Classifier
from recurra.tasks.bag_of_bigrams import bag_of_bigrams
from recurra.tasks.class_output import CLASS_FORMATS, columns_beside
from recurra.tasks.class_report import class_metrics, class_mistake, classes_mistake
from recurra.tasks.classified import Classified
from recurra.tasks.drift import Drift
from recurra.tasks.from_language_model import weights_of_language_model
from recurra.tasks.mistakes import Mistake
from recurra.tasks.reading_output import reading_formats
from recurra.tasks.sentiment_answers import answers_of, at_precision, calibrate
from recurra.tasks.sentiment_assets import SentimentAssets, fit, has_several
from recurra.tasks.sentiment_batches import TextBatch, batches, loss_of_each
from recurra.tasks.sentiment_classification_settings import SentimentConfig
from recurra.tasks.sentiment_reading import reading
from recurra.tasks.task import Baseline, Facts, Rewriting, Task
from recurra.tasks.text_units import words_of
from recurra.tasks.words import word_input, word_rows
from recurra.training import StepLoss

__all__ = ["SENTIMENT_CLASSIFICATION", "Classified", "SentimentAssets", "SentimentConfig"]


UNITS = {"word": "words", "character": "characters", "bpe": "pieces"}
"""What a text is made of at each level."""


def read(config: SentimentConfig, path: Path, role: Role) -> Dataset[ClassifiedText]:
    """The texts of a file, whose classes are known unless it is to predict."""
    examples = read_classified(path, config.texts.how, role)
    for example in examples:
        _count_cut(config, example, examples.problems)
    return examples


def _count_cut(config: SentimentConfig, example: ClassifiedText, problems: Problems) -> None:
    """Count a text of which the middle is not read."""
    longest = config.texts.longest
    if longest is not None and len(tokenise(example.text)) > longest:
        kind = f"of a text of more than {longest:,} words, --longest of the training, the middle is not read"
        problems.add(kind, example.source)


def stream(config: SentimentConfig, path: Path, problems: Problems) -> Iterator[ClassifiedText]:
    """The texts to classify, one at a time."""
    for example in texts_to_classify(path, config.texts.how):
        _count_cut(config, example, problems)
        yield example


def parse(config: SentimentConfig, given: Any) -> ClassifiedText:  # noqa: ANN401  (whatever a caller has)
    """A text is its own example."""
    if isinstance(given, ClassifiedText):
        return given
    if not isinstance(given, str):
        raise SettingError(f"a text is a str, and this is a {type(given).__name__}; give a str, or several in a list")
    return ClassifiedText(given, Source(Path(), 1))


def build(config: SentimentConfig, assets: SentimentAssets) -> Classifier:
    """The network, untrained."""
    settings = config.model
    inputs = word_input(settings, assets, features=[SHAPES])
    layers = settings.recurrent_options()
    return Classifier((inputs, inputs.width), len(assets.labels), settings.made, pooling=settings.pooling, **layers)


def loss(config: SentimentConfig, model: Classifier, batch: TextBatch, carried: None) -> StepLoss:
    """The sum over texts of -log p(classes | x<1..T>), in nats, each class weighed as the settings say."""
    return _loss(config, model, batch, _logits(model, batch))


def _logits(model: Classifier, batch: TextBatch) -> Tensor:
    logits: Tensor = model(batch.tokens, None, batch.lengths.clamp(min=1))[0]
    return logits


def _loss(config: SentimentConfig, model: Classifier, batch: TextBatch, logits: Tensor) -> StepLoss:
    each = loss_of_each(logits, batch, config.model.label_smoothing if model.training else 0.0)
    weights = batch.weights if model.training else torch.ones_like(batch.weights)
    return StepLoss((each * weights.to(each.dtype)).sum(), batch.count)


def predict(config: SentimentConfig, assets: SentimentAssets, model: Classifier, batch: TextBatch) -> list[Classified]:
    """The class of each text, or its classes, with the probability of every class."""
    return answers_of(config, assets, batch, _logits(model, batch))


def measure(
    config: SentimentConfig, assets: SentimentAssets, model: Classifier, batch: TextBatch
) -> tuple[StepLoss, list[Classified]]:
    """The loss and the answers of a batch."""
    logits = _logits(model, batch)
    return _loss(config, model, batch, logits), answers_of(config, assets, batch, logits)


def metrics(config: SentimentConfig, assets: SentimentAssets) -> list[Metric[ClassifiedText, Classified]]:
    """What says how good answers are; the first selects the weights.

    With one class a text: accuracy, the mean F1 of the classes, ranking and calibration; with several, F1 in two ways.
    """
    if assets.several:
        return [
            label_f1(_classes, lambda answer: answer.labels, "micro"),
            label_f1(_classes, lambda answer: answer.labels, "macro"),
            subset_accuracy(_classes, lambda answer: answer.labels),
        ]
    return class_metrics(_expected, assets.labels.names, assets.temperature)


def mistake(text: ClassifiedText, answer: Classified) -> Mistake | None:
    """What is wrong with an answer."""
    if answer.several is not None:
        return classes_mistake(_classes(text), text.text, answer)
    return class_mistake(_expected(text), text.text, answer)


def _classes(text: ClassifiedText) -> tuple[str, ...]:
    return text.labels or ()


def _expected(text: ClassifiedText) -> str:
    return text.labels[0] if text.labels else ""


def show(text: ClassifiedText, answer: Classified) -> dict[str, Any]:
    """The answer as JSON; a table's columns come first."""
    shown: dict[str, Any] = dict(columns_beside(text))
    if answer.several is not None:
        shown["predicted"] = list(answer.labels)
    else:
        shown["predicted"] = None if answer.abstained else answer.label
        shown["probability"] = round(answer.probability, 4)
    shown["probabilities"] = {
        name: round(probability, 4) for name, probability in zip(answer.names, answer.probabilities, strict=True)
    }
    if answer.abstained is not None:
        shown["abstained"] = answer.abstained
    if not answer.known:
        shown["unknown"] = "no word of the text was met in training"
    return shown


def facts(text: ClassifiedText) -> Facts:
    """What is known of a text without a model."""
    answer = None if text.labels is None else tuple(sorted(text.labels))
    return Facts(text.text, answer, text.group, text.labels or (), words_of(text.text))


def baselines(config: SentimentConfig, texts: Dataset[ClassifiedText]) -> list[Baseline[ClassifiedText, Classified]]:
    """Always the most frequent class or classes, and a linear rule on words and pairs of words."""
    examples = [texts[index] for index in range(len(texts))]
    words = [words_of(text.text) for text in examples]
    labels = Labels.of(label for text in examples for label in text.labels or ())
    several = has_several(config, texts)
    if several:
        rules = [bag_of_bigrams(words, [int(name in _classes(text)) for text in examples], 2) for name in labels.names]
    else:
        classify = bag_of_bigrams(words, [labels.encode(_expected(text)) for text in examples], len(labels))

    def linear(text: ClassifiedText) -> tuple[str, ...]:
        read = words_of(text.text)
        if several:
            return tuple(name for name, rule in zip(labels.names, rules, strict=True) if rule(read))
        return (labels.names[classify(read)],)

    def answer(given: tuple[str, ...]) -> Classified:
        return Classified(given[0] if given else "", (), (), 1.0, several=given if several else None)

    most = Counter(tuple(sorted(_classes(text))) for text in examples).most_common(1)[0][0]
    return [
        Baseline(f"always the most frequent class{'es' if several else ''}", lambda text: answer(most)),
        Baseline("words and pairs, linear", lambda text: answer(linear(text))),
    ]


def drift(config: SentimentConfig, assets: SentimentAssets) -> Drift[Classified] | None:
    """What tells how far texts are from those validated on; None where these were not counted."""
    if assets.validated is None:
        return None
    return Drift(assets.validated, lambda answer: (answer.length, answer.unknown), UNITS[config.texts.level])


def describe(
    config: SentimentConfig, assets: SentimentAssets, training: Batches[TextBatch], validation: Batches[TextBatch]
) -> list[str]:
    """How many texts there are, of how many classes."""
    assert isinstance(training, PaddedBatches)
    assert isinstance(validation, PaddedBatches)
    parts = [
        f"{len(training.dataset):,} texts to train on",
        f"{len(training):,} batches an epoch",
        f"{len(validation.dataset):,} to validate on",
        f"{len(assets.labels)} classes{', several or none a text' if assets.several else ''}",
        f"{len(assets.words):,} different {UNITS[config.texts.level]}",
    ]
    if assets.vectors is not None:
        parts.append(f"{assets.vectors.share:.1%} of the words have a pretrained vector")
    return parts


def example(folder: Path) -> dict[str, Any]:
    """Writes short synthetic reviews, and settings small enough to learn them in seconds."""
    good, bad = ("wonderful", "moving", "funny", "superb"), ("dull", "awful", "boring", "weak")
    things = ("plot", "cast", "music", "ending", "film")
    rows = [
        f"The {thing} is {degree}{word}.\t{label}"
        for label, words in (("positive", good), ("negative", bad))
        for word in words
        for thing in things
        for degree in ("", "really ", "so ")
    ]
    # Spread, so that the last part has both classes.
    mixed = [rows[(7 * place) % len(rows)] for place in range(len(rows))]
    (folder / "reviews.tsv").write_text("text\tlabel\n" + "\n".join(mixed) + "\n", encoding="utf-8")
    return {
        "data": folder / "reviews.tsv",
        "hidden_size": 16,
        "word_size": 16,
        "ngrams": 500,
        "ngram_size": 8,
        "character_size": 8,
        "batch_size": 16,
        "epochs": 3,
        "learning_rate": 0.01,
        "warmup_steps": 2,
    }


def rows(assets: SentimentAssets) -> dict[str, tuple[str, ...]]:
    """The words, characters and classes that rows of parameters belong to."""
    return {
        **word_rows(assets, "encoder.inputs."),
        **dict.fromkeys(("readout.weight", "readout.bias"), assets.labels.names),
    }


SENTIMENT_CLASSIFICATION: Task[SentimentConfig, ClassifiedText, SentimentAssets, Classifier, TextBatch, Classified] = (
    Task(
        name="sentiment-classification",
        unit=lambda config: "texts",
        config=SentimentConfig,
        assets=SentimentAssets,
        read=read,
        stream=stream,
        parse=parse,
        fit=fit,
        batches=batches,
        build=build,
        loss=loss,
        predict=predict,
        metrics=metrics,
        show=show,
        facts=facts,
        mistake=mistake,
        calibrate=calibrate,
        at_precision=at_precision,
        drift=drift,
        example=example,
        measure=measure,
        describe=describe,
        baselines=baselines,
        rows=rows,
        rewriting=Rewriting(lambda text: text.text, lambda text, changed: replace(text, text=changed)),
        inherits={"language-modelling": weights_of_language_model},
        formats={**CLASS_FORMATS, **reading_formats(reading)},
        stratified=True,
    )
)
