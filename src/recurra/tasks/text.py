"""A text as a task reads it: ids in batches, and the vocabulary that made them."""

from dataclasses import dataclass
from pathlib import Path

from recurra.data import Batch, Batches, Vocabulary
from recurra.errors import RunError
from recurra.tasks.task import Data

__all__ = ["VOCABULARY", "Text"]

VOCABULARY = "vocabulary.json"


@dataclass
class Text(Data):
    """A text as ids, and its vocabulary, which is what a run keeps of it.

    Args:
        vocabulary: The units and their ids.
        sentences: Whether each line is a sentence of its own, ended by <EOS>, rather than a part of one stream.
        batches: The part to train on; None in a run that was loaded.
        valid: The part to validate on; None in a run that was loaded.
    """

    vocabulary: Vocabulary
    sentences: bool
    batches: Batches[Batch] | None = None
    valid: Batches[Batch] | None = None

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
