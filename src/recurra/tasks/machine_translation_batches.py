"""What a translator reads: the pieces of sentences as numbers, by what was fitted on the part to train on."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple, Self

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from recurra.data import IGNORED, Vocabulary
from recurra.data.batch import Batch, rows_of
from recurra.data.dataset import Dataset, Examples, Role
from recurra.data.lines import Source
from recurra.data.padded import PaddedBatches
from recurra.data.sentence_pair import SentencePair
from recurra.errors import DataError
from recurra.models.translator import SentencePairs
from recurra.tasks.assets import Assets, KeptVocabulary
from recurra.tasks.machine_translation_settings import MachineTranslationConfig
from recurra.tasks.translation_profile import PairProfile
from recurra.tasks.usual_answers import UsualAnswers

__all__ = ["EncodedPair", "PairBatch", "PairBatches", "TranslationAssets", "batches"]

TRANSLATED = 64
"""How many sentences are translated side by side."""

_NOWHERE = Source(Path(), 0)


class EncodedPair(NamedTuple):
    """A pair as numbers.

    Args:
        source: The pieces that are read of the sentence, <EOS> last.
        target: Those of its translation, <EOS> last; one that counts for nothing where it is not known.
        cut: How many pieces of the sentence are left out, because it is too long.
        texts: Both sentences.
    """

    source: list[int]
    target: list[int]
    cut: int
    texts: tuple[str, str]


class TranslationAssets(Assets):
    """What is known of the sentences trained on.

    Args:
        source: The vocabulary of the sentences to translate.
        target: That of their translations; the same one where it is joint.
        profile: What these pairs are like, by which doubtful translations are told.
        usual: What translations of the part validated on are like; None before they were made.
    """

    source: KeptVocabulary
    target: KeptVocabulary
    profile: PairProfile | None = None
    usual: UsualAnswers | None = None

    def source_ids(self, text: str) -> list[int]:
        """The ids x<1..S> of a sentence, <EOS> last."""
        return [*self.source.encode(text.strip()), _end(self.source)]

    def target_ids(self, text: str) -> list[int]:
        """The ids y<1..T> of a translation, <EOS> last."""
        return [*self.target.encode(text.strip()), self.end]

    def cut_anew(self, pair: EncodedPair, rate: float, draw: random.Random) -> EncodedPair:
        """A pair whose words are cut in another way: merges of byte pairs are left out at a rate."""
        source = self.source.encode_with_dropout(pair.texts[0], rate, draw)
        target = self.target.encode_with_dropout(pair.texts[1], rate, draw)
        return pair._replace(source=[*source, pair.source[-1]], target=[*target, self.end])

    @property
    def end(self) -> int:
        """The id of <EOS> in translations, which stands before the first step, too."""
        return _end(self.target)


def _end(vocabulary: Vocabulary) -> int:
    assert vocabulary.end is not None  # `fit` builds it so
    return vocabulary.end


@dataclass(frozen=True, eq=False, kw_only=True)
class PairBatch(Batch):
    """Sentences side by side; the targets are the pieces of their translations, (B, T).

    Args:
        source: The pieces of the sentences, (B, S).
        source_lengths: How many each has, its <EOS> included, (B,).
        previous: What each step of the translation comes after, (B, T).
        cut: How many pieces of each sentence are left out, because it is too long, (B,).
        texts: The sentences as they were read, B of them.
        exact: Whether answers are to be looked for as well as the settings say, not as a validation does it.
    """

    source: Tensor
    source_lengths: Tensor
    previous: Tensor
    cut: Tensor
    texts: tuple[str, ...]
    exact: bool = True

    def shard(self, rank: int, world: int) -> Self:
        """The rows that one of several processes takes."""
        rows, _ = rows_of(len(self), rank, world)
        return replace(super().shard(rank, world), texts=self.texts[rows])

    @property
    def pairs(self) -> SentencePairs:
        """What the model reads."""
        return SentencePairs(self.source, self.source_lengths, self.previous)


class PairBatches(PaddedBatches[EncodedPair, PairBatch]):
    """Pairs of like length side by side.

    Args:
        left_out: How many pairs are not among them, because they are too long.
        *args, **kwargs: What `PaddedBatches` takes.
    """

    def __init__(self, left_out: int, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401
        super().__init__(*args, **kwargs)
        self.left_out = left_out


def batches(
    config: MachineTranslationConfig, assets: TranslationAssets, pairs: Dataset[SentencePair], role: Role
) -> PairBatches:
    """Pairs of like length side by side; those to train on of which a sentence is too long are left out."""
    training = role == "train"
    encoded = [_encoded(config, assets, pairs[index], role) for index in range(len(pairs))]
    if training:
        encoded = [pair for pair in encoded if pair.cut == 0 and len(pair.target) <= config.pairs.longest + 1]
        if not encoded:
            raise DataError(
                f"{config.pairs.data}: no pair has sentences of at most {config.pairs.longest} pieces; give shorter "
                "ones, or a larger --longest"
            )

    dropout = config.batches.subword_dropout if training and config.pairs.level == "bpe" else 0.0

    def collate(members: Sequence[EncodedPair], draw: torch.Generator) -> PairBatch:
        if dropout:
            drawn = random.Random(int(torch.randint(2**62, (), generator=draw)))
            members = [assets.cut_anew(pair, dropout, drawn) for pair in members]
        return PairBatch(
            targets=_padded([pair.target for pair in members], IGNORED),
            source=_padded([pair.source for pair in members], 0),
            source_lengths=torch.tensor([len(pair.source) for pair in members]),
            previous=_padded([[assets.end, *pair.target[:-1]] for pair in members], 0),
            cut=torch.tensor([pair.cut for pair in members]),
            texts=tuple(pair.texts[0] for pair in members),
            exact=role != "validate",
        )

    lengths = [max(len(pair.source), len(pair.target)) for pair in encoded]
    return PairBatches(
        len(pairs) - len(encoded),
        Examples(encoded, [_NOWHERE] * len(encoded), lengths),
        collate,
        config.batches.batch_size if training else TRANSLATED,
        max_steps=config.batches.max_pieces,
        shuffle=training,
        seed=config.training.seed,
    )


def _encoded(
    config: MachineTranslationConfig, assets: TranslationAssets, pair: SentencePair, role: Role
) -> EncodedPair:
    source = assets.source_ids(pair.source_text)
    limit = (config.pairs.longest if role == "train" else config.search.longest_input) + 1
    cut = max(0, len(source) - limit)
    kept = [*source[: limit - 1], source[-1]] if cut else source
    known = role != "predict" and pair.target_text is not None
    texts = pair.source_text.strip(), (pair.target_text or "").strip()
    return EncodedPair(kept, assets.target_ids(texts[1]) if known else [IGNORED], cut, texts)


def _padded(rows: Sequence[Sequence[int]], padding: int) -> Tensor:
    return pad_sequence([torch.tensor(row) for row in rows], batch_first=True, padding_value=padding)
