"""Named entity recognition: which words of a sentence are names, and of what; many to many of equal length.

    p(y<1..T> | x<1..T>), y<t> the tag of the word x<t>

Collobert et al., "Natural language processing (almost) from scratch", JMLR 2011; Lample et al., "Neural architectures
for named entity recognition", NAACL 2016.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Self

import torch
import torch.nn.functional as F
from torch import Tensor

from recurra.data import IGNORED, Vocabulary
from recurra.data.batch import Batch
from recurra.data.dataset import Dataset, Problems, Role
from recurra.data.labels import Labels
from recurra.data.lines import Source
from recurra.data.padded import PaddedBatches
from recurra.data.spellings import SHAPES, Spellings, is_headline, normalised
from recurra.data.tagged import TaggedSentence, plain_sentence, read_tagged, sentences_to_predict
from recurra.data.tags import Scheme, Span, read_spans, tags_of, write_tags
from recurra.decoding.constraints import iobes_constraints
from recurra.errors import DataError, SettingError
from recurra.metrics import Metric, span_f1
from recurra.models.encoder import Encoder
from recurra.models.tagger import Tagger
from recurra.models.token_input import TokenInput, Tokens
from recurra.nn.crf import CRF
from recurra.tasks.assets import Assets, KeptVocabulary
from recurra.tasks.entity_dictionary import known_entities
from recurra.tasks.named_entities_settings import NamedEntityConfig
from recurra.tasks.task import Baseline, Facts, Task
from recurra.training import StepLoss

__all__ = ["NAMED_ENTITIES", "NamedEntityConfig", "Tagging"]


class NamedEntityAssets(Assets):
    """What is known of the words and tags that a model was trained on."""

    words: KeptVocabulary
    frequent: int
    characters: KeptVocabulary
    tags: Labels
    labels: Labels | None = None


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


@dataclass(frozen=True, eq=False, kw_only=True)
class TaggedBatch(Batch):
    """Sentences side by side; the targets are their tags (B, T).

    Args:
        tokens: Their words.
        lengths: How many words each has, (B,); 0 for one without any, whose first step is padding.
        labels: The label of each, (B,); IGNORED where there is none.
    """

    tokens: Tokens
    lengths: Tensor
    labels: Tensor

    def without_answers(self) -> Self:
        """The same sentences with neither tags nor labels to answer."""
        return replace(super().without_answers(), labels=torch.full_like(self.labels, IGNORED))


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
    """The vocabularies of words and characters, and the tags."""
    counts: Counter[str] = Counter()
    characters: set[str] = set()
    types: set[str] = set()
    labels: set[str] = set()
    for index in range(len(sentences)):
        sentence = sentences[index]
        counts.update(map(_key, sentence.words))
        characters.update(*sentence.words)
        types.update(type_ for _, _, type_ in sentence.spans or ())
        if sentence.label is not None:
            labels.add(sentence.label)
    if config.model.sentence_label and not labels:
        raise DataError(f"{config.sentences.data}: no sentence has a label; leave --sentence-label out")
    known = [word for word, count in counts.most_common() if count >= config.sentences.min_count]
    return NamedEntityAssets(
        words=Vocabulary("word", known, end_of_sentence=False),
        frequent=sum(count > 1 for count in counts.values()),
        characters=Vocabulary("character", sorted(characters)),
        tags=Labels(names=tuple(tags_of(sorted(types), Scheme.IOBES))),
        labels=Labels.of(labels) if config.model.sentence_label else None,
    )


def _key(word: str) -> str:
    """A word as the vocabulary has it."""
    return "_".join(normalised(word).split())


@lru_cache(maxsize=8)
def _spellings(words: tuple[str, ...], characters: tuple[str, ...], ngrams: int) -> Spellings:
    """What turns words into numbers; kept, since it remembers every spelling."""
    word_ids = {word: number for number, word in enumerate(words)}
    character_ids = {character: number + 1 for number, character in enumerate(characters)}
    unknown_word, unknown_character = word_ids["<UNK>"], character_ids["<UNK>"]
    return Spellings(
        lambda word: word_ids.get(_key(word), unknown_word),
        lambda word: 0,
        lambda character: character_ids.get(character, unknown_character),
        ngrams,
    )


def batches(
    config: NamedEntityConfig, assets: NamedEntityAssets, sentences: Dataset[TaggedSentence], role: Role
) -> PaddedBatches[TaggedSentence, TaggedBatch]:
    """Sentences of like length side by side."""
    spellings = _spellings(assets.words.tokens, assets.characters.tokens, config.model.ngrams)
    settings = config.model

    def collate(members: Sequence[TaggedSentence], draw: torch.Generator) -> TaggedBatch:
        spelled = spellings([sentence.words or ("",) for sentence in members])
        words = spelled.words
        if role == "train":
            rates = torch.where(words >= assets.frequent, settings.once_dropout, settings.word_dropout)
            dropped = torch.rand(words.shape, generator=draw) < rates
            words = words.masked_fill(dropped, assets.words.unknown or 0)
        headlines = torch.tensor([[is_headline(sentence.words)] for sentence in members])
        shapes = torch.where(headlines & (spelled.shapes > 0), spelled.shapes + SHAPES - 1, spelled.shapes)
        rows = []
        for sentence in members:
            known = [span for span in sentence.spans or () if f"S-{span[2]}" in assets.tags]
            tags = write_tags(known, len(sentence), Scheme.IOBES)
            rows.append([assets.tags.encode(tag) for tag in tags] + [IGNORED] * (words.shape[1] - len(tags)))
        targets = torch.tensor(rows)
        tokens = Tokens(words, spelled.forms, spelled.characters, spelled.ngrams, spelled.vectors, shapes[..., None])
        labels = [assets.labels.encode(s.label) if assets.labels and s.label else IGNORED for s in members]
        return TaggedBatch(
            index=torch.arange(len(members)),
            targets=targets,
            tokens=tokens,
            lengths=torch.tensor([len(sentence) for sentence in members]),
            labels=torch.tensor(labels),
        )

    return PaddedBatches(
        sentences,
        collate,
        config.batches.batch_size if role == "train" else 64,
        max_steps=config.batches.max_words,
        shuffle=role == "train",
        seed=config.training.seed,
    )


def build(config: NamedEntityConfig, assets: NamedEntityAssets) -> Tagger:
    """The network, untrained."""
    settings = config.model
    inputs = TokenInput(
        len(assets.words),
        settings.word_size,
        characters=len(assets.characters),
        character_network=settings.character_network,
        character_size=settings.character_size,
        ngrams=settings.ngrams,
        ngram_size=settings.ngram_size,
        features=[2 * SHAPES - 1],
        dropout=settings.dropout,
    )
    encoder = Encoder(inputs, settings.recurrent(inputs.width), settings.dropout)
    crf = CRF(len(assets.tags), *iobes_constraints(assets.tags.names))
    return Tagger(encoder, crf, len(assets.labels or ()), settings.pooling, settings.head == "crf")


def loss(config: NamedEntityConfig, model: Tagger, batch: TaggedBatch, carried: None) -> StepLoss:
    """The sum over sentences of -log p(y<1..T> | x<1..T>), in nats, that of their labels added."""
    lengths = batch.lengths.clamp(min=1)
    scores, _ = model(batch.tokens, None, lengths)
    count = batch.count
    if not count:  # rows that another process counts
        return StepLoss(scores.tags.sum() * 0, 0)
    if model.joined:
        total = -model.crf.log_probability(scores.tags, batch.targets, lengths).sum()
    else:
        total = F.cross_entropy(
            scores.tags.flatten(0, 1), batch.targets.flatten(), ignore_index=IGNORED, reduction="sum"
        )
    if scores.labels is not None:
        total = total + F.cross_entropy(scores.labels, batch.labels, ignore_index=IGNORED, reduction="sum")
    return StepLoss(total, count)


def predict(config: NamedEntityConfig, assets: NamedEntityAssets, model: Tagger, batch: TaggedBatch) -> list[Tagging]:
    """The entities of each sentence, each with its probability."""
    lengths = batch.lengths.clamp(min=1)
    scores, _ = model(batch.tokens, None, lengths)
    rows: list[list[Span]] = []
    windows: list[tuple[int, int, Tensor]] = []
    numbers = {tag: number for number, tag in enumerate(assets.tags.names)}
    paths = model.crf.decode(scores.tags, lengths)
    for row, (path, length) in enumerate(zip(paths, batch.lengths.tolist(), strict=True)):
        tags = assets.tags.decode(path[:length])
        rows.append(read_spans(tags, Scheme.IOBES))
        for start, end, _ in rows[-1]:
            within = F.one_hot(torch.tensor([numbers[tag] for tag in tags[start:end]]), len(numbers)).bool()
            windows.append((row, start, within))
    confidences = iter(model.crf.window_probabilities(scores.tags, windows, lengths).tolist())
    labels = _labels(assets, scores.labels, len(rows))
    return [
        Tagging(tuple(spans), tuple(next(confidences) for _ in spans), *label)
        for spans, label in zip(rows, labels, strict=True)
    ]


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
    baselines=baselines,
    rows=rows,
)
