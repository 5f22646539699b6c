"""What a tagger reads: the words of sentences as numbers, by what was fitted on the part to train on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor

from recurra.data import IGNORED
from recurra.data.batch import Batch
from recurra.data.dataset import Dataset, Role
from recurra.data.labels import Labels
from recurra.data.mentions import Mentions
from recurra.data.occurrences import OtherOccurrences
from recurra.data.padded import PaddedBatches
from recurra.data.spellings import SHAPES, is_headline
from recurra.data.tagged import TaggedSentence
from recurra.data.tags import Scheme, write_tags
from recurra.models.occurrences import Occurrences
from recurra.models.token_input import Tokens
from recurra.tasks.entity_metrics import SeenEntities
from recurra.tasks.named_entities_settings import NamedEntityConfig
from recurra.tasks.precision_dial import PrecisionDial
from recurra.tasks.words import WordAssets, WordReader

__all__ = ["NamedEntityAssets", "TaggedBatch", "batches"]


class NamedEntityAssets(WordAssets):
    """What is known of the words and tags that a model was trained on.

    Args:
        tags: The tags.
        labels: The labels of sentences; None where none are learned.
        features: The values of each feature column.
        scheme: The scheme of the tags that were read, in which answers are written.
        prefixed: Whether those tags had prefixes.
        seen: The entities of the part trained on.
        dial: What the part to validate on says of confidences; None before training has ended.
    """

    tags: Labels
    labels: Labels | None = None
    features: tuple[tuple[str, ...], ...] = ()
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
        self.read = WordReader(config.model, assets)
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
        spelled = self.read([sentence.words for sentence in members], draw if self.role == "train" else None)
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
