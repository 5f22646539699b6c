"""A text as a task reads it: ids in batches, and the vocabulary that made them."""

from collections.abc import Sized
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from recurra.data import Batch, Batches, Vocabulary
from recurra.errors import RunError
from recurra.tasks.task import Data

__all__ = ["VOCABULARY", "Text"]

VOCABULARY = "vocabulary.json"


def _count(batches: Batches[Batch]) -> int:
    """How many targets an epoch has."""
    count = getattr(batches, "count", None)
    return int(count) if count is not None else sum(batch.count for batch in batches.epoch(0))


@dataclass
class Text(Data):
    """A text as ids, and its vocabulary, which is what a run keeps of it.

    Args:
        vocabulary: The units and their ids.
        sentences: Whether each line is a sentence of its own, ended by <EOS>, rather than a part of one stream.
        batches: The part to train on; None in a run that was loaded.
        valid: The part to validate on; None in a run that was loaded.
    """

    files: ClassVar[tuple[str, ...]] = (VOCABULARY,)

    vocabulary: Vocabulary
    sentences: bool
    batches: Batches[Batch] | None = None
    valid: Batches[Batch] | None = None

    def summary(self, unit: str) -> str:
        """How many units and steps an epoch has, how many different units there are, and how many are unknown."""
        if self.batches is None:
            return ""
        parts = [f"{_count(self.batches):,} {unit} to train on"]
        if isinstance(self.batches, Sized):
            parts.append(f"{len(self.batches):,} batches an epoch")
        if self.valid is not None:
            parts.append(f"{_count(self.valid):,} to validate on")
        parts.append(f"a vocabulary of {len(self.vocabulary):,}")
        if share := self.unknown_share():
            parts.append(f"{share:.1%} of what is validated on is <UNK>")
        return ", ".join(parts)

    def unknown_share(self) -> float:
        """The share of what is validated on that is outside the vocabulary."""
        if self.valid is None or self.vocabulary.unknown is None:
            return 0.0
        unknown = sum(int((batch.targets == self.vocabulary.unknown).sum()) for batch in self.valid.epoch(0))
        return unknown / max(1, _count(self.valid))

    def opening(self, words: int) -> str:
        """The first words of the part to validate on, from the first line of words of letters on; empty without any."""
        if self.valid is None:
            return ""
        row = next(iter(self.valid.epoch(0))).inputs[0].tolist()
        special = {self.vocabulary.unknown, self.vocabulary.end}
        text = self.vocabulary.decode([number for number in row if number not in special])
        lines = [line.split() for line in text.split("\n")]
        plain = [line for line in lines if any(word.isalpha() for word in line[:words])]
        first = [word for word in plain[0] if any(map(str.isalpha, word))] if plain else text.split()
        return " ".join(first[:words])

    def save(self, folder: Path) -> None:
        """Write the vocabulary."""
        self.vocabulary.save(folder / VOCABULARY)

    @classmethod
    def restore(cls, folder: Path, level: str, sentences: bool) -> "Text":
        """The vocabulary that a run kept.

        Args:
            folder: The run's.
            level: The level that the run's config says.
            sentences: Whether the config says that the model is one of sentences.

        Raises:
            RunError: The vocabulary is damaged, or is not that of this config.
        """
        vocabulary = Vocabulary.load(folder / VOCABULARY)
        if vocabulary.level != level:
            raise RunError(
                f"{folder / VOCABULARY}: it is of level {vocabulary.level!r}, and the config says {level!r}; "
                "the two files are not of one run"
            )
        if sentences and vocabulary.end is None:
            raise RunError(
                f"{folder / VOCABULARY}: it has no <EOS>, and the config says that the model is one of sentences; "
                "the two files are not of one run"
            )
        return cls(vocabulary, sentences)
