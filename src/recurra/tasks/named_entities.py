"""Named entity recognition: which words of a sentence are names, and of what; many to many of equal length.

    p(y<1..T> | x<1..T>), y<t> the tag of the word x<t>

Collobert et al., "Natural language processing (almost) from scratch", JMLR 2011; Lample et al., "Neural architectures
for named entity recognition", NAACL 2016.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from recurra.data import IGNORED, Vocabulary
from recurra.data.batching import Batches
from recurra.data.dataset import Dataset, Problems, Role
from recurra.data.labels import Labels
from recurra.data.lines import Source
from recurra.data.padded import PaddedBatches
from recurra.data.spellings import SHAPES
from recurra.data.tagged import TaggedSentence, plain_sentence, read_tagged, sentences_to_predict
from recurra.data.tags import Scheme, Span, tags_of
from recurra.data.vectors import read_vectors
from recurra.decoding.constraints import iobes_constraints
from recurra.errors import DataError, SettingError
from recurra.metrics import Metric, span_f1
from recurra.models.encoder import Encoder
from recurra.models.tagger import Tagger, TaggerScores
from recurra.models.token_input import TokenInput
from recurra.nn.crf import CRF
from recurra.tasks.entity_dictionary import known_entities
from recurra.tasks.named_entities_batches import (
    KeptVectors,
    NamedEntityAssets,
    TaggedBatch,
    batches,
    vocabulary_form,
)
from recurra.tasks.named_entities_settings import NamedEntityConfig
from recurra.tasks.task import Baseline, Facts, Task
from recurra.training import StepLoss

__all__ = ["NAMED_ENTITIES", "NamedEntityConfig", "Tagging"]


@dataclass(frozen=True)
class Tagging:
    """A tagger's answer.

    Args:
        spans: First word, end and type of each entity.
        confidences: The probability of each of them.
        label: The sentence's label; None for a model without.
        label_probability: Its probability.
    """

    spans: tuple[Span, ...]
    confidences: tuple[float, ...]
    label: str | None = None
    label_probability: float | None = None


def read(config: NamedEntityConfig, path: Path, role: Role) -> Dataset[TaggedSentence]:
    """The sentences of a file."""
    return read_tagged(path, config.sentences.format, role)


def stream(config: NamedEntityConfig, path: Path, problems: Problems) -> Iterator[TaggedSentence]:
    """The sentences to tag, one at a time."""
    return sentences_to_predict(path, config.sentences.format, problems)


def parse(config: NamedEntityConfig, given: Any) -> TaggedSentence:  # noqa: ANN401  (whatever a caller has)
    """A sentence is a text, or a tuple of its words."""
    if isinstance(given, str):
        return plain_sentence(given, Source(Path(), 1))
    if isinstance(given, TaggedSentence):
        return given
    if isinstance(given, tuple) and all(isinstance(word, str) for word in given):
        return TaggedSentence(given, Source(Path(), 1))
    raise SettingError(
        f"a sentence is a text or a tuple of words, and this is a {type(given).__name__}; give a str, or several in a "
        "list"
    )


def fit(config: NamedEntityConfig, sentences: Dataset[TaggedSentence]) -> NamedEntityAssets:
    """The vocabularies of words and characters, the tags, and the pretrained vectors."""
    forms: Counter[str] = Counter()
    types: set[str] = set()
    labels: set[str] = set()
    features: list[set[str]] = [set() for _ in config.sentences.format.feature_columns]
    for index in range(len(sentences)):
        sentence = sentences[index]
        forms.update(sentence.words)
        types.update(type_ for _, _, type_ in sentence.spans or ())
        if sentence.label is not None:
            labels.add(sentence.label)
        for values, column in zip(features, sentence.features, strict=True):
            values.update(column)
    if config.model.sentence_label and not labels:
        raise DataError(f"{config.sentences.data}: no sentence has a label; leave --sentence-label out")
    counts: Counter[str] = Counter()
    for form, count in forms.items():
        counts[vocabulary_form(form)] += count
    known = [word for word, count in counts.most_common() if count >= config.sentences.min_count]
    return NamedEntityAssets(
        words=Vocabulary("word", known, end_of_sentence=False),
        frequent=sum(count > 1 for count in counts.values()),
        characters=Vocabulary("character", sorted(set().union(*forms))),
        tags=Labels(names=tuple(tags_of(sorted(types), Scheme.IOBES))),
        labels=Labels.of(labels) if config.model.sentence_label else None,
        features=tuple(tuple(sorted(values)) for values in features),
        vectors=_vectors(config, forms),
    )


def _vectors(config: NamedEntityConfig, forms: Counter[str]) -> KeptVectors | None:
    """The pretrained vectors of the words trained on and of the most frequent others."""
    if config.model.vectors is None:
        return None
    table = read_vectors(config.model.vectors, forms, first=config.model.max_vectors)
    share = table.coverage(forms).share
    if not share:
        raise DataError(
            f"{config.model.vectors}: none of the words trained on has a vector there; give vectors of their language"
        )
    return KeptVectors(words=table.words, width=table.width, share=share, numbers=table.vectors.half())


def build(config: NamedEntityConfig, assets: NamedEntityAssets) -> Tagger:
    """The network, untrained."""
    settings, kept = config.model, assets.vectors
    # Where a trained model is loaded, its vectors come with its weights.
    vectors = None if kept is None else torch.zeros(len(kept.words), kept.width)
    if kept is not None and kept.numbers is not None:
        vectors = kept.numbers
    inputs = TokenInput(
        len(assets.words),
        settings.word_size,
        characters=len(assets.characters),
        character_network=settings.character_network,
        character_size=settings.character_size,
        ngrams=settings.ngrams,
        ngram_size=settings.ngram_size,
        vectors=vectors,
        tune_vectors=settings.tune_vectors,
        features=[2 * SHAPES - 1, *(len(values) + 1 for values in assets.features)],
        feature_size=settings.feature_size,
        dropout=settings.dropout,
    )
    encoder = Encoder(inputs, settings.recurrent(inputs.width), settings.dropout)
    crf = CRF(len(assets.tags), *iobes_constraints(assets.tags.names))
    return Tagger(encoder, crf, len(assets.labels or ()), settings.pooling, settings.head == "crf")


def loss(config: NamedEntityConfig, model: Tagger, batch: TaggedBatch, carried: None) -> StepLoss:
    """The sum over sentences of -log p(y<1..T> | x<1..T>), in nats, that of their labels added."""
    return _loss(model, batch, _scores(model, batch))


def predict(config: NamedEntityConfig, assets: NamedEntityAssets, model: Tagger, batch: TaggedBatch) -> list[Tagging]:
    """The entities of each sentence, each with its probability."""
    return _answers(assets, model, batch, _scores(model, batch))


def measure(
    config: NamedEntityConfig, assets: NamedEntityAssets, model: Tagger, batch: TaggedBatch
) -> tuple[StepLoss, list[Tagging]]:
    """The loss and the answers of a batch."""
    scores = _scores(model, batch)
    return _loss(model, batch, scores), _answers(assets, model, batch, scores)


def _scores(model: Tagger, batch: TaggedBatch) -> TaggerScores:
    """What the model says of the sentences of a batch."""
    scores: TaggerScores = model(batch.tokens, None, batch.lengths.clamp(min=1))[0]
    return scores


def _loss(model: Tagger, batch: TaggedBatch, scores: TaggerScores) -> StepLoss:
    count = batch.count
    if not count:  # rows that another process counts
        return StepLoss(scores.tags.sum() * 0, 0)
    if model.joined:
        total = -model.crf.log_probability(scores.tags, batch.targets, batch.lengths.clamp(min=1)).sum()
    else:
        total = F.cross_entropy(
            scores.tags.flatten(0, 1), batch.targets.flatten(), ignore_index=IGNORED, reduction="sum"
        )
    if scores.labels is not None:
        total = total + F.cross_entropy(scores.labels, batch.labels, ignore_index=IGNORED, reduction="sum")
    return StepLoss(total, count)


def _answers(assets: NamedEntityAssets, model: Tagger, batch: TaggedBatch, scores: TaggerScores) -> list[Tagging]:
    lengths = batch.lengths.clamp(min=1)
    paths = model.crf.decode(scores.tags, lengths)
    paths = [path[:length] for path, length in zip(paths, batch.lengths.tolist(), strict=True)]
    rows = [_spans(assets.tags.names, path) for path in paths]
    one_hot = torch.eye(len(assets.tags), dtype=torch.bool)
    windows = [
        (row, start, one_hot[path[start:end]])
        for row, (path, spans) in enumerate(zip(paths, rows, strict=True))
        for start, end, _ in spans
    ]
    confidences = iter(model.crf.window_probabilities(scores.tags, windows, lengths).tolist())
    labels = _labels(assets, scores.labels, len(rows))
    return [
        Tagging(tuple(spans), tuple(itertools.islice(confidences, len(spans))), *label)
        for spans, label in zip(rows, labels, strict=True)
    ]


def _spans(names: Sequence[str], path: Sequence[int]) -> list[Span]:
    """The spans of tags in IOBES, by their numbers, which the constraints have made right."""
    spans: list[Span] = []
    start = 0
    for step, number in enumerate(path):
        if not number:  # O is the first of the tags
            continue
        letter = names[number][0]
        if letter in "BS":
            start = step
        if letter in "ES":
            spans.append((start, step + 1, names[number][2:]))
    return spans


def _labels(assets: NamedEntityAssets, logits: Tensor | None, rows: int) -> list[tuple[str | None, float | None]]:
    """The most probable label of each sentence, and its probability."""
    if logits is None or assets.labels is None:
        return [(None, None)] * rows
    best = logits.softmax(1).max(1)
    return [
        (assets.labels.names[number], probability)
        for number, probability in zip(best.indices.tolist(), best.values.tolist(), strict=True)
    ]


def metrics(config: NamedEntityConfig, assets: NamedEntityAssets) -> list[Metric[TaggedSentence, Tagging]]:
    """Span F1, and the accuracy of labels where they are learned."""
    measures: list[Metric[TaggedSentence, Tagging]] = [
        span_f1(lambda sentence: sentence.spans or (), lambda answer: answer.spans)
    ]
    if config.model.sentence_label:
        measures.append(
            Metric(
                "label_accuracy",
                "label accuracy",
                lambda sentence, answer: {"right": sentence.label == answer.label, "all": 1},
                lambda tally: tally["right"] / tally["all"] if tally["all"] else float("nan"),
            )
        )
    return measures


def describe(
    config: NamedEntityConfig,
    assets: NamedEntityAssets,
    training: Batches[TaggedBatch],
    validation: Batches[TaggedBatch],
) -> list[str]:
    """How many sentences and words there are, and how many of the words have a pretrained vector."""
    assert isinstance(training, PaddedBatches)
    assert isinstance(validation, PaddedBatches)
    parts = [
        f"{len(training.dataset):,} sentences of {sum(training.dataset.lengths):,} words to train on",
        f"{len(training):,} batches an epoch",
        f"{len(validation.dataset):,} sentences to validate on",
        f"{len(assets.words):,} different words",
    ]
    if assets.vectors is not None:
        parts.append(f"{assets.vectors.share:.1%} of the words have a pretrained vector")
    return parts


def show(sentence: TaggedSentence, answer: Tagging) -> dict[str, Any]:
    """The answer as JSON."""
    entities = []
    for (start, end, type_), confidence in zip(answer.spans, answer.confidences, strict=True):
        entity: dict[str, Any] = {"start": start, "end": end}
        text = " ".join(sentence.words[start:end])
        if sentence.offsets is not None and sentence.text is not None:
            first, last = sentence.offsets[start][0], sentence.offsets[end - 1][1]
            entity, text = {"start": first, "end": last}, sentence.text[first:last]
        entities.append({**entity, "type": type_, "text": text, "confidence": round(confidence, 4)})
    shown: dict[str, Any] = {"text": sentence.text} if sentence.text is not None else {"tokens": list(sentence.words)}
    shown["entities"] = entities
    if answer.label is not None:
        shown |= {"label": answer.label, "label_confidence": round(answer.label_probability or 0.0, 4)}
    return shown


def facts(sentence: TaggedSentence) -> Facts:
    """What is known of a sentence without a model."""
    labels = [type_ for _, _, type_ in sentence.spans or ()]
    group = None if sentence.document is None else f"{sentence.source.path}, document {sentence.document + 1}"
    return Facts(sentence.words, sentence.spans, group, labels, sentence.words)


def baselines(config: NamedEntityConfig, sentences: Dataset[TaggedSentence]) -> list[Baseline[TaggedSentence, Tagging]]:
    """Whatever was an entity in training is one again."""
    find = known_entities(sentences)

    def answer(sentence: TaggedSentence) -> Tagging:
        spans = find(sentence)
        return Tagging(tuple(spans), (1.0,) * len(spans))

    return [Baseline("the entities of the training data, found again", answer)]


def example(folder: Path) -> dict[str, Any]:
    """Writes a few sentences of names and places, and settings small enough to learn them in seconds."""
    people, places = ["Harry Potter", "Hermione Granger", "Ron"], ["Paris", "New York"]
    rows = []
    for first in people:
        for second in people:
            for place in places:
                rows.append(f"{first}|PER met|O {second}|PER in|O {place}|LOC .|O")
    lines = []
    for row in rows:
        type_ = "O"
        for piece in row.split():
            word, bar, tag = piece.partition("|")
            type_ = tag if bar else "?"
            lines.append([word, type_])
        lines.append([])
    following = "O"
    for line in reversed(lines):  # a word without a tag belongs to the name after it
        if line:
            line[1] = following = following if line[1] == "?" else line[1]
    text = "\n".join(
        "\t".join([word, tag if tag == "O" else f"I-{tag}"]) if word else ""
        for word, tag in (line or ["", ""] for line in lines)
    )
    (folder / "train.conll").write_text(text + "\n", encoding="utf-8")
    return {"data": folder / "train.conll", "hidden_size": 8, "word_size": 8, "epochs": 3, "ngrams": 100}


def rows(assets: NamedEntityAssets) -> dict[str, tuple[str, ...]]:
    """The words, characters, tags and labels that rows of parameters belong to."""
    return {
        "encoder.inputs.words.weight": assets.words.tokens,
        "encoder.inputs.characters.embedding.weight": ("", *assets.characters.tokens),
        **dict.fromkeys(
            ("readout.weight", "readout.bias", "crf.transitions", "crf.start", "crf.end"),
            assets.tags.names,
        ),
        **dict.fromkeys(("label_readout.weight", "label_readout.bias"), assets.labels.names if assets.labels else ()),
    }


NAMED_ENTITIES: Task[NamedEntityConfig, TaggedSentence, NamedEntityAssets, Tagger, TaggedBatch, Tagging] = Task(
    name="named-entity-recognition",
    unit=lambda config: "words",
    config=NamedEntityConfig,
    assets=NamedEntityAssets,
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
    example=example,
    measure=measure,
    describe=describe,
    baselines=baselines,
    rows=rows,
)
