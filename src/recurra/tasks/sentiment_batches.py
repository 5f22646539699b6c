"""Texts side by side, as a classifier reads them, and their loss."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from recurra.data.batch import IGNORED, Batch
from recurra.data.classified import ClassifiedText
from recurra.data.dataset import Dataset, Role
from recurra.data.padded import PaddedBatches
from recurra.models.token_input import Tokens
from recurra.tasks.sentiment_assets import SentimentAssets, check_one_class, units_of
from recurra.tasks.sentiment_classification_settings import SentimentConfig
from recurra.tasks.words import WordReader

__all__ = ["TextBatch", "batches", "loss_of_each"]


UNMET = "a class that training had no example of is never answered"
"""A kind of problem."""


@dataclass(frozen=True, eq=False, kw_only=True)
class TextBatch(Batch):
    """Texts side by side; the targets are their classes, (B,), or for each class whether a text has it, (B, C).

    Args:
        tokens: Their words.
        lengths: How many words each has, (B,); 0 for one without any, whose first step is padding.
        weights: What the loss of each target counts, as the targets.
    """

    tokens: Tokens
    lengths: Tensor
    weights: Tensor

    @property
    def several(self) -> bool:
        """Whether a text may have several classes."""
        return self.targets.dim() == 2

    @property
    def count(self) -> int:
        """The number of texts whose classes are known."""
        known = self.targets != IGNORED
        return int((known.any(1) if self.several else known).sum())


def batches(
    config: SentimentConfig, assets: SentimentAssets, texts: Dataset[ClassifiedText], role: Role
) -> PaddedBatches[ClassifiedText, TextBatch]:
    """Texts of like length side by side.

    Raises:
        DataError: A text has several classes, and those trained on have one each.
    """
    reader, cut = WordReader(config.model, assets), units_of(config, assets)
    if role != "predict" and not assets.several:
        for index in range(len(texts)):
            check_one_class(texts[index])
    if role == "evaluate" and UNMET not in texts.problems.counts:
        for index in range(len(texts)):
            for label in texts[index].labels or ():
                if label not in assets.labels:
                    texts.problems.add(UNMET, texts.source(index), repr(label))

    def collate(members: Sequence[ClassifiedText], draw: torch.Generator) -> TextBatch:
        rows = [cut(member.text) for member in members]
        spelled = reader(rows, draw if role == "train" else None)
        targets = _targets(assets, [None if role == "predict" else member.labels for member in members])
        return TextBatch(
            targets=targets,
            tokens=Tokens(
                spelled.words,
                spelled.forms,
                spelled.characters,
                spelled.ngrams,
                spelled.vectors,
                spelled.shapes[..., None],
            ),
            lengths=torch.tensor([len(row) for row in rows]),
            weights=_weights(assets, targets) if config.model.balance else torch.ones(targets.shape),
        )

    training = role == "train"
    return PaddedBatches(
        texts,
        collate,
        config.batches.batch_size if training else 64,
        lengths=[max(1, len(cut(texts[index].text))) for index in range(len(texts))],
        max_steps=config.batches.max_words,
        shuffle=training,
        seed=config.training.seed,
    )


def _targets(assets: SentimentAssets, labels: Sequence[Sequence[str] | None]) -> Tensor:
    """What there is to answer; a class that was not met in training is answered wrongly, and has no loss."""
    known = assets.labels
    if not assets.several:
        return torch.tensor([known.encode(row[0]) if row and row[0] in known else IGNORED for row in labels])
    return torch.tensor(
        [[IGNORED] * len(known) if row is None else [int(name in row) for name in known.names] for row in labels]
    )


def _weights(assets: SentimentAssets, targets: Tensor) -> Tensor:
    """Weights by which every class counts the same; of several, for each whether a text has it or not."""
    counts = torch.tensor(assets.counts, dtype=torch.float32)
    if not assets.several:
        weights = counts.sum() / (len(counts) * counts)
        return torch.where(targets == IGNORED, 1.0, weights[targets.clamp(min=0)])
    others = (assets.texts - counts).clamp(min=1)
    return torch.where(targets == 1, assets.texts / (2 * counts), assets.texts / (2 * others))


def loss_of_each(logits: Tensor, batch: TextBatch, smoothing: float = 0.0) -> Tensor:
    """The loss of each target, as the targets: 0 where there is nothing to answer.

    Of one class a text it is -log p(y | x<1..T>); of several, for each class -log p(whether the text has it).

    Args:
        logits: (B, C).
        batch: The texts.
        smoothing: The share of a target that is spread evenly.
    """
    if not batch.several:
        return F.cross_entropy(logits, batch.targets, reduction="none", ignore_index=IGNORED, label_smoothing=smoothing)
    known = batch.targets != IGNORED
    targets = batch.targets.clamp(min=0).to(logits.dtype) * (1 - smoothing) + smoothing / 2
    each = F.binary_cross_entropy_with_logits(logits, targets, reduction="none")
    return each.masked_fill(~known, 0)
