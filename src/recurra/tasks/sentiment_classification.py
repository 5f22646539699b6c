"""Sentiment classification: what a text says of its subject, or any other class of a text; many to one.

    p(y | x<1..T>), x<t> the words of a text

Socher et al., "Recursive deep models for semantic compositionality over a sentiment treebank", EMNLP 2013; Howard and
Ruder, "Universal language model fine-tuning for text classification", ACL 2018.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from recurra.data.batch import Batch
from recurra.data.batching import Batches
from recurra.data.classified import ClassifiedText, read_classified, texts_to_classify
from recurra.data.dataset import Dataset, Examples, Problems, Role
from recurra.data.labels import Labels
from recurra.data.lines import Source
from recurra.data.padded import PaddedBatches
from recurra.data.spellings import SHAPES
from recurra.data.tokens import tokenise
from recurra.decoding.calibration import fit_temperature
from recurra.errors import DataError, SettingError
from recurra.inspection.reading import Reading, read_along
from recurra.metrics import Metric
from recurra.models.classifier import Classifier
from recurra.models.token_input import Tokens
from recurra.tasks.bag_of_bigrams import bag_of_bigrams
from recurra.tasks.class_output import CLASS_FORMATS, columns_beside
from recurra.tasks.class_report import class_metrics, class_mistake
from recurra.tasks.classified import Classified
from recurra.tasks.mistakes import Mistake
from recurra.tasks.reading_output import reading_formats
from recurra.tasks.sentiment_classification_settings import SentimentConfig
from recurra.tasks.task import Baseline, Facts, Task
from recurra.tasks.words import WordAssets, WordReader, fit_words, word_input, word_rows
from recurra.training import StepLoss

if TYPE_CHECKING:
    from recurra.tasks.trained import Trained

__all__ = ["SENTIMENT_CLASSIFICATION", "Classified", "SentimentAssets", "SentimentConfig"]


class SentimentAssets(WordAssets):
    """What is known of the texts trained on.

    Args:
        labels: The classes.
        counts: How many texts each class has.
        temperature: What logits are divided by, so that probabilities come true; fitted on the part to validate on.
    """

    labels: Labels
    counts: tuple[int, ...]
    temperature: float = Field(1.0, gt=0, allow_inf_nan=False)


@dataclass(frozen=True, eq=False, kw_only=True)
class TextBatch(Batch):
    """Texts side by side; the targets are their classes, (B,).

    Args:
        tokens: Their words.
        lengths: How many words each has, (B,); 0 for one without any, whose first step is padding.
        weights: What the loss of each counts, (B,).
    """

    tokens: Tokens
    lengths: Tensor
    weights: Tensor


def words_of(text: str, longest: int | None = None) -> list[str]:
    """The words of a text; of one with more than `longest` its head and its tail.

    Example:
        >>> words_of("It isn't bad."), words_of("one two three four five", 4)
        (['It', 'is', "n't", 'bad', '.'], ['one', 'two', 'four', 'five'])
    """
    words = [token.text for token in tokenise(text)]
    if longest is None or len(words) <= longest:
        return words
    tail = longest // 2
    return words[: longest - tail] + words[len(words) - tail :]


def read(config: SentimentConfig, path: Path, role: Role) -> Dataset[ClassifiedText]:
    """The texts of a file, which have one class each."""
    examples = read_classified(path, config.texts.how, role)
    for example in examples:
        if role != "predict" and len(example.labels or ()) != 1:
            labels = ", ".join(example.labels or ())
            raise DataError(f"{example.source}: this text has several classes ({labels}), and one is expected")
    longest = config.texts.longest
    if longest is not None:
        for example in examples:
            if len(tokenise(example.text)) > longest:
                examples.problems.add(f"of a text of more than {longest} words the middle is not read", example.source)
    return examples


def stream(config: SentimentConfig, path: Path, problems: Problems) -> Iterator[ClassifiedText]:
    """The texts to classify, one at a time."""
    return texts_to_classify(path, config.texts.how)


def parse(config: SentimentConfig, given: Any) -> ClassifiedText:  # noqa: ANN401  (whatever a caller has)
    """A text is its own example."""
    if isinstance(given, ClassifiedText):
        return given
    if not isinstance(given, str):
        raise SettingError(f"a text is a str, and this is a {type(given).__name__}; give a str, or several in a list")
    return ClassifiedText(given, Source(Path(), 1))


def fit(config: SentimentConfig, texts: Dataset[ClassifiedText]) -> SentimentAssets:
    """The vocabularies of words and characters, the classes, and the pretrained vectors."""
    forms: Counter[str] = Counter()
    counts: Counter[str] = Counter()
    for index in range(len(texts)):
        forms.update(words_of(texts[index].text, config.texts.longest))
        counts.update(texts[index].labels or ())
    if len(counts) < 2:
        [only] = counts
        raise DataError(
            f"{config.texts.data}: all texts are of the class {only!r}; to tell them apart takes two classes"
        )
    if not forms:
        raise DataError(f"{config.texts.data}: no text has a word; give texts of words")
    labels = Labels.of(counts)
    return SentimentAssets(
        **fit_words(config.model, forms, config.texts.min_count),
        labels=labels,
        counts=tuple(counts[name] for name in labels.names),
    )


def batches(
    config: SentimentConfig, assets: SentimentAssets, texts: Dataset[ClassifiedText], role: Role
) -> PaddedBatches[ClassifiedText, TextBatch]:
    """Texts of like length side by side."""
    reader, labels = WordReader(config.model, assets), assets.labels
    total, classes = sum(assets.counts), len(assets.counts)
    weights = [total / (classes * count) if config.model.balance else 1.0 for count in assets.counts]

    def collate(members: Sequence[ClassifiedText], draw: torch.Generator) -> TextBatch:
        rows = [words_of(member.text, config.texts.longest) for member in members]
        spelled = reader(rows, draw if role == "train" else None)
        targets = [_target(labels, member, role) for member in members]
        return TextBatch(
            targets=torch.tensor(targets),
            tokens=Tokens(
                spelled.words,
                spelled.forms,
                spelled.characters,
                spelled.ngrams,
                spelled.vectors,
                spelled.shapes[..., None],
            ),
            lengths=torch.tensor([len(row) for row in rows]),
            weights=torch.tensor([weights[target] if target >= 0 else 1.0 for target in targets]),
        )

    training = role == "train"
    return PaddedBatches(
        texts,
        collate,
        config.batches.batch_size if training else 64,
        lengths=[max(1, len(words_of(texts[index].text, config.texts.longest))) for index in range(len(texts))],
        max_steps=config.batches.max_words,
        shuffle=training,
        seed=config.training.seed,
    )


def _target(labels: Labels, text: ClassifiedText, role: Role) -> int:
    """The number of a text's class; one that was not met in training is answered wrongly, and has no loss."""
    if role == "predict" or not text.labels or text.labels[0] not in labels:
        return -100
    return labels.encode(text.labels[0])


def build(config: SentimentConfig, assets: SentimentAssets) -> Classifier:
    """The network, untrained."""
    settings = config.model
    inputs = word_input(settings, assets, features=[SHAPES])
    layers = settings.recurrent_options()
    return Classifier((inputs, inputs.width), len(assets.labels), settings.made, pooling=settings.pooling, **layers)


def loss(config: SentimentConfig, model: Classifier, batch: TextBatch, carried: None) -> StepLoss:
    """The sum over texts of the cross-entropy -log p(y | x<1..T>), in nats, each weighed as its class is."""
    return _loss(config, model, batch, _logits(model, batch))


def _logits(model: Classifier, batch: TextBatch) -> Tensor:
    logits: Tensor = model(batch.tokens, None, batch.lengths.clamp(min=1))[0]
    return logits


def _loss(config: SentimentConfig, model: Classifier, batch: TextBatch, logits: Tensor) -> StepLoss:
    smoothing = config.model.label_smoothing if model.training else 0.0
    each = F.cross_entropy(logits, batch.targets, reduction="none", ignore_index=-100, label_smoothing=smoothing)
    weights = batch.weights if model.training else torch.ones_like(batch.weights)
    return StepLoss((each * weights.to(each.dtype)).sum(), batch.count)


def predict(config: SentimentConfig, assets: SentimentAssets, model: Classifier, batch: TextBatch) -> list[Classified]:
    """The class of each text, with the probability of every class."""
    return _answers(assets, batch, _logits(model, batch))


def measure(
    config: SentimentConfig, assets: SentimentAssets, model: Classifier, batch: TextBatch
) -> tuple[StepLoss, list[Classified]]:
    """The loss and the answers of a batch."""
    logits = _logits(model, batch)
    return _loss(config, model, batch, logits), _answers(assets, batch, logits)


def _answers(assets: SentimentAssets, batch: TextBatch, logits: Tensor) -> list[Classified]:
    probabilities = (logits.double() / assets.temperature).softmax(1).tolist()
    steps = torch.arange(batch.tokens.words.shape[1], device=batch.lengths.device)
    inside = steps < batch.lengths[:, None]
    met = (batch.tokens.words != assets.words.unknown) | (batch.tokens.vectors > 0)
    known = ((met & inside).sum(1) / batch.lengths.clamp(min=1)).tolist()
    names = assets.labels.names
    return [
        Classified(names[max(range(len(row)), key=row.__getitem__)], tuple(row), names, share)
        for row, share in zip(probabilities, known, strict=True)
    ]


def metrics(config: SentimentConfig, assets: SentimentAssets) -> list[Metric[ClassifiedText, Classified]]:
    """Accuracy, which selects the weights, the mean F1 of the classes, ranking and calibration."""
    return class_metrics(_expected, assets.labels.names, assets.temperature)


def mistake(text: ClassifiedText, answer: Classified) -> Mistake | None:
    """What is wrong with an answer."""
    return class_mistake(_expected(text), text.text, answer)


def _expected(text: ClassifiedText) -> str:
    return text.labels[0] if text.labels else ""


def show(text: ClassifiedText, answer: Classified) -> dict[str, Any]:
    """The answer as JSON; a table's columns come first."""
    shown: dict[str, Any] = dict(columns_beside(text))
    shown["predicted"] = answer.label
    shown["probability"] = round(answer.probability, 4)
    shown["probabilities"] = {
        name: round(probability, 4) for name, probability in zip(answer.names, answer.probabilities, strict=True)
    }
    if not answer.known:
        shown["unknown"] = "no word of the text was met in training"
    return shown


def facts(text: ClassifiedText) -> Facts:
    """What is known of a text without a model."""
    return Facts(text.text, text.labels, text.group, text.labels or (), words_of(text.text))


def baselines(config: SentimentConfig, texts: Dataset[ClassifiedText]) -> list[Baseline[ClassifiedText, Classified]]:
    """Always the most frequent class, and a linear rule on words and pairs of words."""
    examples = [texts[index] for index in range(len(texts))]
    labels = Labels.of(label for text in examples for label in text.labels or ())
    most = Counter(_expected(text) for text in examples).most_common(1)[0][0]
    classify = bag_of_bigrams(
        [words_of(text.text) for text in examples], [labels.encode(_expected(text)) for text in examples], len(labels)
    )
    return [
        Baseline("always the most frequent class", lambda text: Classified(most, (), (), 1.0)),
        Baseline(
            "words and pairs, linear", lambda text: Classified(labels.names[classify(words_of(text.text))], (), (), 1.0)
        ),
    ]


def calibrate(
    trained: Trained[Any, ClassifiedText, SentimentAssets, Any, Any, Classified], valid: Dataset[ClassifiedText]
) -> SentimentAssets:
    """The assets with the temperature at which the probabilities on the part to validate on come true."""
    labels, temperature = trained.assets.labels, trained.assets.temperature
    texts = [text for text in (valid[index] for index in range(len(valid))) if _expected(text) in labels]
    logits = [[math.log(max(p, 1e-300)) * temperature for p in a.probabilities] for a in trained.answers(texts)]
    fitted = fit_temperature(logits, [labels.encode(_expected(text)) for text in texts])
    return trained.assets.model_copy(update={"temperature": fitted})


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
        f"{len(assets.labels)} classes",
        f"{len(assets.words):,} different words",
    ]
    if assets.vectors is not None:
        parts.append(f"{assets.vectors.share:.1%} of the words have a pretrained vector")
    return parts


def reading(trained: Trained[Any, ClassifiedText, SentimentAssets, Any, Any, Classified], text: Any) -> Reading:  # noqa: ANN401
    """What the model holds after each word that it reads of a text, p(y | x<1..t>), and without each.

    Before the first word the probability of a class is its share of the texts trained on.

    Args:
        trained: The classifier.
        text: The text.
    """
    given = parse(trained.config, text)
    assets, total = trained.assets, sum(trained.assets.counts)
    [batch] = batches(trained.config, assets, Examples([given], [given.source], [1]), "predict").epoch(0)
    return read_along(
        trained.model,
        batch.to(trained.device).tokens,
        words_of(given.text, trained.config.texts.longest),
        assets.labels.names,
        [count / total for count in assets.counts],
        lambda logits: (logits.double() / assets.temperature).softmax(1),
    )


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
        example=example,
        measure=measure,
        describe=describe,
        baselines=baselines,
        rows=rows,
        formats={**CLASS_FORMATS, **reading_formats(reading)},
    )
)
