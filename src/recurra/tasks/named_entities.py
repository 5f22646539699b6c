"""Named entity recognition: which words of a sentence are names, and of what; many to many of equal length.

    p(y<1..T> | x<1..T>), y<t> the tag of the word x<t>

Collobert et al., "Natural language processing (almost) from scratch", JMLR 2011; Lample et al., "Neural architectures
for named entity recognition", NAACL 2016.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch.nn.functional as F

from recurra.data import IGNORED
from recurra.data.batching import Batches
from recurra.data.dataset import Dataset, Problems, Role
from recurra.data.labels import Labels
from recurra.data.lines import Source
from recurra.data.occurrences import OCCURRENCE_SHAPES, WINDOW, with_documents
from recurra.data.padded import PaddedBatches
from recurra.data.spellings import SHAPES
from recurra.data.tagged import TaggedSentence, plain_sentence, read_tagged, sentences_to_predict
from recurra.data.tags import Scheme, tags_of
from recurra.decoding.constraints import iobes_constraints
from recurra.errors import DataError, SettingError
from recurra.metrics import Metric
from recurra.models.encoder import Encoder
from recurra.models.occurrences import OccurrenceReader
from recurra.models.tagger import Tagger, TaggerScores
from recurra.nn.crf import CRF
from recurra.tasks.entity_answers import answers
from recurra.tasks.entity_dictionary import known_entities
from recurra.tasks.entity_example import synthetic_columns
from recurra.tasks.entity_live import ENTITY_STREAMING
from recurra.tasks.entity_metrics import SeenEntities, entity_metrics
from recurra.tasks.entity_output import ENTITY_FORMATS
from recurra.tasks.named_entities_batches import NamedEntityAssets, TaggedBatch, batches
from recurra.tasks.named_entities_settings import NamedEntityConfig
from recurra.tasks.precision_dial import PrecisionDial
from recurra.tasks.tagging import Tagging, show
from recurra.tasks.task import Baseline, Demo, Facts, Task
from recurra.tasks.words import KeptVectors, fit_words, vocabulary_form, word_input, word_rows
from recurra.training import StepLoss

if TYPE_CHECKING:
    from recurra.tasks.trained import Trained

__all__ = ["NAMED_ENTITIES", "NamedEntityAssets", "NamedEntityConfig", "at_precision"]

OCCURRENCE_DROPOUT = 0.2
"""Rate of dropout on the means of what stands around other occurrences."""


def read(config: NamedEntityConfig, path: Path, role: Role) -> Dataset[TaggedSentence]:
    """The sentences of a file."""
    examples = read_tagged(path, config.sentences.format, role)
    return replace(examples, items=list(with_documents(examples.items))) if config.model.occurrences else examples


def stream(config: NamedEntityConfig, path: Path, problems: Problems) -> Iterator[TaggedSentence]:
    """The sentences to tag, one at a time."""
    sentences = sentences_to_predict(path, config.sentences.format, problems)
    return with_documents(sentences) if config.model.occurrences else sentences


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
    if config.model.occurrences and all(sentences[index].document is None for index in range(len(sentences))):
        raise DataError(
            f"{config.sentences.data}: no sentence belongs to a document; begin each with a line -DOCSTART-, or leave "
            "--occurrences out"
        )
    return NamedEntityAssets(
        **fit_words(config.model, forms, config.sentences.min_count),
        tags=Labels(names=tuple(tags_of(sorted(types), Scheme.IOBES))),
        labels=Labels.of(labels) if config.model.sentence_label else None,
        features=tuple(tuple(sorted(values)) for values in features),
        scheme=getattr(sentences, "scheme", None) or Scheme.IOB2,
        prefixed=getattr(sentences, "prefixed", True),
        seen=SeenEntities.of(sentences[index] for index in range(len(sentences))),
    )


def build(config: NamedEntityConfig, assets: NamedEntityAssets) -> Tagger:
    """The network, untrained."""
    settings = config.model
    features = [2 * SHAPES - 1, *(len(values) + 1 for values in assets.features)]
    inputs = word_input(
        settings,
        assets,
        features=features,
        feature_size=settings.feature_size,
        occurrences=_occurrence_reader(config, assets.vectors),
    )
    if settings.bidirectional and settings.lookahead is not None:
        raise SettingError(
            f"--lookahead is {settings.lookahead}, and a bidirectional network reads each sentence to its end; add "
            "--no-bidirectional, or leave --lookahead out"
        )
    encoder = Encoder(inputs, settings.recurrent(inputs.width), settings.dropout, settings.lookahead or 0)
    crf = CRF(len(assets.tags), *iobes_constraints(assets.tags.names))
    return Tagger(
        encoder,
        crf,
        len(assets.labels or ()),
        settings.pooling,
        joined=settings.head == "crf",
        online=settings.lookahead is not None,
        representatives=[assets.tags.encode(_before_the_next_word(tag)) for tag in assets.tags.names],
    )


def _occurrence_reader(config: NamedEntityConfig, vectors: KeptVectors | None) -> OccurrenceReader | None:
    """What reads the other occurrences of a word in its document."""
    settings = config.model
    if not settings.occurrences:
        return None
    if vectors is None:
        raise SettingError("--occurrences reads words by their vectors: give --vectors, or leave it out")
    if not settings.bidirectional:
        raise SettingError(
            "--occurrences reads sentences that are still to come, and --no-bidirectional none of what comes: leave "
            "one of them out"
        )
    return OccurrenceReader(
        len(WINDOW), vectors.width, 3, OCCURRENCE_SHAPES, settings.occurrence_size, OCCURRENCE_DROPOUT
    )


def _before_the_next_word(tag: str) -> str:
    """A tag of IOBES as it can be said before the next word is known: that of IOB2."""
    return {"S": "B", "E": "I"}.get(tag[0], tag[0]) + tag[1:]


def loss(config: NamedEntityConfig, model: Tagger, batch: TaggedBatch, carried: None) -> StepLoss:
    """The sum over sentences of -log p(y<1..T> | x<1..T>), in nats, that of their labels added."""
    return _loss(model, batch, _scores(model, batch))


def predict(config: NamedEntityConfig, assets: NamedEntityAssets, model: Tagger, batch: TaggedBatch) -> list[Tagging]:
    """The entities of each sentence, each with its probability."""
    return answers(assets, model, batch, _scores(model, batch))


def measure(
    config: NamedEntityConfig, assets: NamedEntityAssets, model: Tagger, batch: TaggedBatch
) -> tuple[StepLoss, list[Tagging]]:
    """The loss and the answers of a batch."""
    scores = _scores(model, batch)
    return _loss(model, batch, scores), answers(assets, model, batch, scores)


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


def metrics(
    config: NamedEntityConfig, assets: NamedEntityAssets | None = None
) -> list[Metric[TaggedSentence, Tagging]]:
    """Span F1 first; with the assets, F1 of entities that the training part has and of others, too."""
    labels = config.model.sentence_label
    if assets is None:
        return entity_metrics(labels=labels)
    words = frozenset(assets.words.tokens)
    return entity_metrics(assets.seen, lambda word: vocabulary_form(word) in words, scheme=assets.scheme, labels=labels)


def calibrate(
    trained: Trained[Any, TaggedSentence, NamedEntityAssets, Any, Any, Tagging], valid: Dataset[TaggedSentence]
) -> NamedEntityAssets:
    """The assets with the precision dial that follows from the part to validate on."""
    uncalibrated = replace(trained, assets=trained.assets.model_copy(update={"dial": None}))
    sentences = [valid[index] for index in range(len(valid))]
    dial = PrecisionDial.fit(zip(sentences, uncalibrated.answers(sentences), strict=True))
    return trained.assets.model_copy(update={"dial": dial})


def at_precision(assets: NamedEntityAssets, precision: float) -> tuple[Callable[[Tagging], Tagging], Sequence[str]]:
    """What leaves out of answers whatever is not as precise as is asked for, and what that costs.

    Raises:
        SettingError: The run has no dial, or the precision is not between 0 and 1.
    """
    if assets.dial is None:
        raise SettingError(
            "the run does not know the precision of its confidences: nothing was held out when it was trained; train "
            "it again with a part to validate on, or leave --precision out"
        )
    setting = assets.dial.at(precision)
    return setting.apply, setting.notes


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

    return [Baseline("a list of the training entities", answer)]


def example(folder: Path) -> dict[str, Any]:
    """Writes synthetic sentences, and settings that learn from them in seconds what a name looks like."""
    (folder / "train.conll").write_text(synthetic_columns(), encoding="utf-8")
    return {
        "data": folder / "train.conll",
        "hidden_size": 24,
        "word_size": 24,
        "character_size": 24,
        "ngrams": 1000,
        "ngram_size": 16,
        "batch_size": 16,
        "epochs": 12,
        "learning_rate": 0.02,
        "warmup_steps": 10,
        "weight_average": 0.9,
    }


def demo(folder: Path) -> Demo:
    """A tagger of names that learns from synthetic sentences in seconds."""
    return Demo(
        "a tagger learns what names look like from 300 synthetic sentences, made for the purpose, and tells those of "
        "sentences that it has not seen",
        example(folder),
        [
            "Harry Potter and Hermione Granger invented a new spell.",
            "Luna Lovegood wrote to the Daily Prophet from Hogsmeade.",
            "Nobody wondered why the lake was frozen.",
        ],
    )


def rows(assets: NamedEntityAssets) -> dict[str, tuple[str, ...]]:
    """The words, characters, tags and labels that rows of parameters belong to."""
    return {
        **word_rows(assets, "encoder.inputs."),
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
    calibrate=calibrate,
    example=example,
    measure=measure,
    describe=describe,
    baselines=baselines,
    rows=rows,
    at_precision=at_precision,
    demo=demo,
    formats=ENTITY_FORMATS,
    live=ENTITY_STREAMING,
)
