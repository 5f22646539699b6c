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
from typing import TYPE_CHECKING, Any, Literal, Self

import torch
import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Tensor

from recurra.data import IGNORED, Vocabulary
from recurra.data.batch import Batch
from recurra.data.dataset import Dataset, Problems, Role
from recurra.data.labels import Labels
from recurra.data.padded import PaddedBatches
from recurra.data.spellings import SHAPES, Spellings, is_headline, normalised
from recurra.data.tagged import TaggedFormat, TaggedSentence, read_tagged, sentences_to_predict
from recurra.data.tags import Scheme, Span, tags_of, write_tags
from recurra.decoding.constraints import iobes_constraints
from recurra.errors import DataError, SettingError
from recurra.metrics import Metric, conlleval_spans
from recurra.models.encoder import Encoder
from recurra.models.pooling import PoolingKind
from recurra.models.tagger import Tagger
from recurra.models.token_input import CharacterNetwork, TokenInput, Tokens
from recurra.nn.crf import CRF
from recurra.tasks.assets import Assets, KeptVocabulary
from recurra.tasks.contract import Facts, Task
from recurra.tasks.entity_example import synthetic_columns
from recurra.tasks.entity_metrics import SeenEntities, entity_metrics
from recurra.tasks.network_settings import NetworkSettings
from recurra.tasks.precision_dial import PrecisionDial, PrecisionSetting
from recurra.tasks.tagging import Tagging, show
from recurra.tasks.task import Settings, TaskConfig
from recurra.training import StepLoss, TrainingSettings

if TYPE_CHECKING:
    from recurra.tasks.trained import Trained

__all__ = ["NAMED_ENTITIES", "NamedEntityAssets", "NamedEntityConfig", "at_precision"]


class TaggedSettings(Settings):
    """The sentences, and how their files are read."""

    data: Path = Field(description="File of tagged sentences to train on: columns, CoNLL-U or JSON lines.")
    valid: Path | None = Field(None, description="File to validate on; without it, the last part of the data.")
    valid_fraction: float = Field(
        0.1, gt=0, lt=1, description="Share of the data kept for validation where no file is given."
    )
    word_column: int = Field(1, description="Column of the words, from 1; -1 is the last.")
    tag_column: int = Field(-1, description="Column of the tags.")
    separator: str | None = Field(None, description="What stands between columns; by default a tab, or white space.")
    scheme: Scheme | None = Field(None, description="Scheme of the tags; by default it is detected.")
    min_count: int = Field(1, ge=1, description="Words that occur less often are <UNK>.")

    @property
    def format(self) -> TaggedFormat:
        """How the files are read."""
        return TaggedFormat(None, self.word_column, self.tag_column, (), self.separator, self.scheme)


class TaggerBatchSettings(Settings):
    """How the sentences are handed to the model."""

    batch_size: int = Field(24, ge=1, description="Sentences side by side in a step of training.")
    max_words: int = Field(8192, ge=1, description="Most words of a batch, padding included.")


class TaggerSettings(NetworkSettings):
    """The network."""

    cell: str | None = Field("lstm", description="Name of a cell; `recurra cells` lists them.")
    hidden_size: int = Field(140, ge=1, description="Width of the recurrent layers.")
    bidirectional: bool = Field(True, description="Read each sentence from its end to its beginning, too.")
    lookahead: int | None = Field(
        None,
        ge=0,
        description="Decide the tag of a word once so many words after it are known; takes --no-bidirectional.",
    )
    dropout: float = Field(0.5, ge=0, lt=1, description="Rate of dropout on inputs, between layers and on outputs.")
    word_size: int = Field(100, ge=0, description="Width of a word's embedding; 0 leaves it out.")
    word_dropout: float = Field(0.1, ge=0, lt=1, description="Rate at which words are read as <UNK> in training.")
    once_dropout: float = Field(
        0.5, ge=0, lt=1, description="Rate at which words that occur once are read as <UNK> in training."
    )
    character_network: CharacterNetwork = Field("cnn", description="How the characters of a word are read.")
    character_size: int = Field(60, ge=1, description="Width of what the character network makes of a word.")
    ngrams: int = Field(20_000, ge=0, description="Ids that hashed n-grams of characters share; 0 leaves them out.")
    ngram_size: int = Field(50, ge=1, description="Width of the n-grams' embedding.")
    output: Literal["crf", "softmax"] = Field(
        "crf", description="How tags are read off; with --lookahead a softmax, if nothing is said."
    )
    sentence_label: bool = Field(False, description="Learn the label of each sentence, too.")
    pooling: PoolingKind = Field("max", description="What stands for a sentence whose label is learned.")

    @model_validator(mode="before")
    @classmethod
    def _decided_one_by_one(cls, given: Any) -> Any:  # noqa: ANN401  (whatever the settings are made from)
        """Tags that are decided one by one are learned one by one.

        A CRF learns sequences, and may leave to a later word what tells an earlier one's tag. On CoNLL-2003's testb (4
        epochs at a constant learning rate, a lookahead of 1) F1 was 0.762 with it, and 0.812 with a softmax.
        """
        if isinstance(given, dict) and given.get("lookahead") is not None:
            return {"output": "softmax", **given}
        return given


class NamedEntityConfig(TaskConfig):
    """All settings of a tagger's run."""

    sentences: TaggedSettings
    batches: TaggerBatchSettings = TaggerBatchSettings()
    model: TaggerSettings = TaggerSettings()
    training: TrainingSettings = TrainingSettings(
        epochs=15, learning_rate=3e-3, weight_decay=0.01, schedule="cosine", warmup_steps=100, weight_average=0.998
    )


class NamedEntityAssets(Assets):
    """What is known of the words and tags that a model was trained on."""

    words: KeptVocabulary
    frequent: int
    characters: KeptVocabulary
    tags: Labels
    labels: Labels | None = None
    scheme: Scheme = Scheme.IOB2
    prefixed: bool = True
    seen: SeenEntities | None = None
    dial: PrecisionDial | None = None


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
        scheme=getattr(sentences, "scheme", None) or Scheme.IOB2,
        prefixed=getattr(sentences, "prefixed", True),
        seen=SeenEntities.of(sentences[index] for index in range(len(sentences))),
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
        # A network of one direction must not know what is still to come.
        headlines = torch.tensor([[settings.bidirectional and is_headline(sentence.words)] for sentence in members])
        shapes = torch.where(headlines & (spelled.shapes > 0), spelled.shapes + SHAPES - 1, spelled.shapes)
        targets = torch.full(words.shape, IGNORED)
        for row, sentence in enumerate(members):
            spans = [span for span in sentence.spans or () if f"S-{span[2]}" in assets.tags]
            tags = write_tags(spans, len(sentence), Scheme.IOBES)
            targets[row, : len(tags)] = torch.tensor([assets.tags.encode(tag) for tag in tags])
        tokens = Tokens(words, spelled.forms, spelled.characters, spelled.ngrams, spelled.vectors, shapes[..., None])
        known = assets.labels  # a label that the part to train on lacks is answered wrongly, and has no loss
        labels = [known.encode(s.label) if known and s.label and s.label in known else IGNORED for s in members]
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
        joined=settings.output == "crf",
        online=settings.lookahead is not None,
        representatives=[assets.tags.encode(_before_the_next_word(tag)) for tag in assets.tags.names],
    )


def _before_the_next_word(tag: str) -> str:
    """A tag of IOBES as it can be said before the next word is known: that of IOB2."""
    return {"S": "B", "E": "I"}.get(tag[0], tag[0]) + tag[1:]


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
    paths = model.decode(scores.tags, lengths)
    for row, (path, length) in enumerate(zip(paths, batch.lengths.tolist(), strict=True)):
        # Tags that are decided at once are those of IOB2.
        rows.append(conlleval_spans(assets.tags.decode(path[:length])))
        tags = write_tags(rows[-1], length, Scheme.IOBES)
        for start, end, _ in rows[-1]:
            within = F.one_hot(torch.tensor([numbers[tag] for tag in tags[start:end]]), len(numbers)).bool()
            windows.append((row, start, within))
    probabilities = iter(model.crf.window_probabilities(scores.tags, windows, lengths).tolist())
    calibrated = assets.dial.calibrated if assets.dial is not None else lambda type_, confidence: confidence
    labels = _labels(assets, scores.labels, len(rows))
    return [
        Tagging(tuple(spans), tuple(calibrated(type_, next(probabilities)) for _, _, type_ in spans), *label)
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


def metrics(
    config: NamedEntityConfig, assets: NamedEntityAssets | None = None
) -> list[Metric[TaggedSentence, Tagging]]:
    """Span F1 first; with the assets, F1 of entities that the training part has and of others, too."""
    labels = config.model.sentence_label
    if assets is None:
        return entity_metrics(labels=labels)
    words = frozenset(assets.words.tokens)
    return entity_metrics(assets.seen, lambda word: _key(word) in words, scheme=assets.scheme, labels=labels)


def calibrate(
    trained: Trained[Any, TaggedSentence, NamedEntityAssets, Any, Any, Tagging], valid: Dataset[TaggedSentence]
) -> NamedEntityAssets:
    """The assets with the precision dial that follows from the part to validate on."""
    uncalibrated = replace(trained, assets=trained.assets.model_copy(update={"dial": None}))
    sentences = [valid[index] for index in range(len(valid))]
    dial = PrecisionDial.fit(zip(sentences, uncalibrated.answers(sentences), strict=True))
    return trained.assets.model_copy(update={"dial": dial})


def at_precision(assets: NamedEntityAssets, precision: float) -> PrecisionSetting:
    """What leaves out of answers whatever is not as precise as is asked for; its notes say what that costs.

    Raises:
        SettingError: The run has no dial, or the precision is not between 0 and 1.
    """
    if assets.dial is None:
        raise SettingError(
            "the run does not know the precision of its confidences: nothing was held out when it was trained; train "
            "it again with a part to validate on, or leave --precision out"
        )
    return assets.dial.at(precision)


def facts(sentence: TaggedSentence) -> Facts:
    """What is known of a sentence without a model."""
    return Facts(sentence.words, sentence.spans, sentence.document)


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


NAMED_ENTITIES: Task[NamedEntityConfig, TaggedSentence, NamedEntityAssets, Tagger, TaggedBatch, Tagging] = Task(
    name="named-entity-recognition",
    summary="Which words of a sentence are names, and of what.",
    unit=lambda config: "words",
    config=NamedEntityConfig,
    assets=NamedEntityAssets,
    read=read,
    stream=stream,
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
)
