"""What a tagger reads: the words of sentences as numbers, by what was fitted on the part to train on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self

import torch
from pydantic import Field
from torch import Tensor

from recurra.data import IGNORED
from recurra.data.batch import Batch
from recurra.data.dataset import Dataset, Role
from recurra.data.labels import Labels
from recurra.data.mentions import Mentions
from recurra.data.occurrences import OtherOccurrences
from recurra.data.padded import PaddedBatches
from recurra.data.spellings import SHAPES, SpelledWords, Spellings, is_headline, normalised
from recurra.data.tagged import TaggedSentence
from recurra.data.tags import Scheme, write_tags
from recurra.data.vectors import VectorTable
from recurra.models.occurrences import Occurrences
from recurra.models.token_input import Tokens
from recurra.tasks.assets import Assets, KeptVocabulary
from recurra.tasks.entity_metrics import SeenEntities
from recurra.tasks.named_entities_settings import NamedEntityConfig
from recurra.tasks.precision_dial import PrecisionDial

__all__ = ["KeptVectors", "NamedEntityAssets", "TaggedBatch", "batches", "vocabulary_form"]


class KeptVectors(Assets):
    """The words whose pretrained vectors a model keeps: the vectors themselves are among its weights.

    Args:
        words: The words, in the order of their rows.
        width: The number of components of a vector.
        share: The share of the words trained on, each counted as often as it occurs, that have a vector.
        numbers: The vectors, (N, width), until the model has them.
    """

    words: tuple[str, ...]
    width: int = Field(ge=1)
    share: float = Field(ge=0, le=1)
    numbers: Tensor | None = Field(None, exclude=True)

    def __eq__(self, other: object) -> bool:
        # Of what was read back from a file the vectors are with the weights.
        return isinstance(other, KeptVectors) and self.model_dump() == other.model_dump()

    __hash__ = None  # type: ignore[assignment]  # two equal ones may be compared, none is a key

    @cached_property
    def _table(self) -> VectorTable:
        return VectorTable(self.words, torch.empty(0))

    def row(self, word: str) -> int:
        """The row of a word's vector from 1; 0 for a word without."""
        row = self._table.find(word)
        return 0 if row is None else row + 1


class NamedEntityAssets(Assets):
    """What is known of the words and tags that a model was trained on.

    Args:
        words: The words, the most frequent first.
        frequent: How many of them occur more than once.
        characters: The characters of words.
        tags: The tags.
        labels: The labels of sentences; None where none are learned.
        features: The values of each feature column.
        vectors: The words whose pretrained vectors are kept; None without.
        scheme: The scheme of the tags that were read, in which answers are written.
        prefixed: Whether those tags had prefixes.
        seen: The entities of the part trained on.
        dial: What the part to validate on says of confidences; None before training has ended.
    """

    words: KeptVocabulary
    frequent: int
    characters: KeptVocabulary
    tags: Labels
    labels: Labels | None = None
    features: tuple[tuple[str, ...], ...] = ()
    vectors: KeptVectors | None = None
    scheme: Scheme = Scheme.IOB2
    prefixed: bool = True
    seen: SeenEntities | None = None
    dial: PrecisionDial | None = None

    @cached_property
    def spellings(self) -> dict[int, Spellings]:
        """What turns words into numbers, by how many ids n-grams share; kept, since it remembers every spelling."""
        return {}


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


def vocabulary_form(word: str) -> str:
    """A word as the vocabulary has it."""
    return "_".join(normalised(word).split())


def batches(
    config: NamedEntityConfig, assets: NamedEntityAssets, sentences: Dataset[TaggedSentence], role: Role
) -> PaddedBatches[TaggedSentence, TaggedBatch]:
    """Sentences of like length side by side."""
    return PaddedBatches(
        sentences,
        _Collation(config, assets, sentences, role),
        config.batches.batch_size if role == "train" else 64,
        max_steps=config.batches.max_words,
        shuffle=role == "train",
        seed=config.training.seed,
    )


class _Collation:
    """Makes a batch of sentences.

    Args:
        config: The settings.
        assets: What was fitted.
        sentences: All sentences.
        role: What the batch is for: in training words and names change at random, and to predict there are no tags.
    """

    def __init__(
        self, config: NamedEntityConfig, assets: NamedEntityAssets, sentences: Dataset[TaggedSentence], role: Role
    ) -> None:
        self.settings, self.assets, self.role = config.model, assets, role
        self.swap_rate = config.batches.swap_names if role == "train" else 0.0
        self.mentions = Mentions.of(sentences[index] for index in range(len(sentences))) if self.swap_rate else None
        self.spellings = _spellings(config, assets)
        self.occurrences = (
            OtherOccurrences(assets.vectors.row, config.model.occurrences)
            if config.model.occurrences and assets.vectors is not None
            else None
        )
        self.tags = {tag: number for number, tag in enumerate(assets.tags.names)}
        self.features = [{value: number for number, value in enumerate(values, 1)} for values in assets.features]

    def __call__(self, members: Sequence[TaggedSentence], draw: torch.Generator) -> TaggedBatch:
        """The batch."""
        if self.mentions is not None:
            members = [self.mentions.swapped(sentence, self.swap_rate, draw) for sentence in members]
        spelled = self.spellings([sentence.words or ("",) for sentence in members])
        if self.role == "train":
            spelled = self._dropped(spelled, draw)
        words = spelled.words
        # A network of one direction must not know what is still to come.
        headlines = torch.tensor([[self.settings.bidirectional and is_headline(s.words)] for s in members])
        shapes = torch.where(headlines & (spelled.shapes > 0), spelled.shapes + SHAPES - 1, spelled.shapes)
        features = torch.stack([shapes, *self._features(members, shapes)], 2)
        known = self.assets.labels  # a label that the part to train on lacks is answered wrongly, and has no loss
        labels = [known.encode(s.label) if known and s.label and s.label in known else IGNORED for s in members]
        return TaggedBatch(
            targets=self._targets(members, words),
            tokens=Tokens(
                words,
                spelled.forms,
                spelled.characters,
                spelled.ngrams,
                spelled.vectors,
                features,
                None if self.occurrences is None else Occurrences(*self.occurrences(members)),
            ),
            lengths=torch.tensor([len(sentence) for sentence in members]),
            labels=torch.tensor(labels),
        )

    def _dropped(self, spelled: SpelledWords, draw: torch.Generator) -> SpelledWords:
        """Words, some of them read as <UNK>, and some of their n-grams left out.

        Of a word that is read as <UNK> the spelling as a whole, the last of the n-grams, is left out as well: so it is
        with words that are not met in training.
        """
        words, ngrams, settings = spelled.words, spelled.ngrams, self.settings
        rates = torch.where(words >= self.assets.frequent, settings.once_dropout, settings.word_dropout)
        dropped = torch.rand(words.shape, generator=draw) < rates
        if settings.ngrams:
            whole = (ngrams != 0).sum(2, keepdim=True) - 1
            out = torch.arange(ngrams.shape[2]) == whole.masked_fill(~dropped[:, :, None], -1)
            if settings.ngram_dropout:
                out |= torch.rand(ngrams.shape, generator=draw) < settings.ngram_dropout
            ngrams = ngrams.masked_fill(out, 0)
        return spelled._replace(words=words.masked_fill(dropped, self.assets.words.unknown or 0), ngrams=ngrams)

    def _features(self, members: Sequence[TaggedSentence], like: Tensor) -> list[Tensor]:
        """The number of each word's value in every feature column, 0 for one that was not met in training."""
        columns = []
        for column, numbers in enumerate(self.features):
            values = torch.zeros_like(like)
            for row, sentence in enumerate(members):
                if sentence.features:
                    known = [numbers.get(value, 0) for value in sentence.features[column]]
                    values[row, : len(known)] = torch.tensor(known)
            columns.append(values)
        return columns

    def _targets(self, members: Sequence[TaggedSentence], like: Tensor) -> Tensor:
        """The tags of each sentence; a span of a type that was not met in training has none."""
        targets = torch.full_like(like, IGNORED)
        if self.role == "predict":
            return targets
        for row, sentence in enumerate(members):
            known = [span for span in sentence.spans or () if f"S-{span[2]}" in self.tags]
            tags = write_tags(known, len(sentence), Scheme.IOBES)
            targets[row, : len(tags)] = torch.tensor([self.tags[tag] for tag in tags], dtype=torch.int64)
        return targets


def _spellings(config: NamedEntityConfig, assets: NamedEntityAssets) -> Spellings:
    """What turns words into numbers."""
    ngrams = config.model.ngrams
    if ngrams not in assets.spellings:
        word_ids = {word: number for number, word in enumerate(assets.words.tokens)}
        character_ids = {character: number for number, character in enumerate(assets.characters.tokens, 1)}
        unknown_word, unknown_character = word_ids["<UNK>"], character_ids["<UNK>"]
        assets.spellings[ngrams] = Spellings(
            lambda word: word_ids.get(vocabulary_form(word), unknown_word),
            (lambda word: 0) if assets.vectors is None else assets.vectors.row,
            lambda character: character_ids.get(character, unknown_character),
            ngrams,
        )
    return assets.spellings[ngrams]
