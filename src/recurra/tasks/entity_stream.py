"""Live tagging: words in, tags out, as soon as each is decided."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from recurra.data.dataset import Examples
from recurra.data.lines import STANDARD_INPUT, Source
from recurra.data.tagged_sentence import TaggedSentence

if TYPE_CHECKING:
    from recurra.tasks.trained import Trained

__all__ = ["EntityStream"]


class EntityStream:
    """Tags the words of a sentence as they come; the tags are those that the whole sentence would have, in IOB2.

    Args:
        trained: A tagger of one direction.

    Raises:
        SettingError: It reads each sentence from its end, too.
    """

    def __init__(self, trained: Trained[Any, TaggedSentence, Any, Any, Any, Any]) -> None:
        self._trained = trained
        self._stream = trained.model.stream()
        self._words = 0

    def push(self, word: str) -> list[str]:
        """Take the next word.

        Returns:
            The tags that it decides, from the first word without one, in IOB2.
        """
        self._words += 1
        source = Source(STANDARD_INPUT, self._words)
        alone = Examples([TaggedSentence((word,), source)], [source], [1])
        trained = self._trained
        [batch] = trained.task.batches(trained.config, trained.assets, alone, "predict").epoch(0)
        return self._named(self._stream.push(batch.to(trained.device).tokens))

    def close(self) -> list[str]:
        """End the sentence; the next word begins another.

        Returns:
            The tags of the words that have none.
        """
        self._words = 0
        return self._named(self._stream.close())

    def _named(self, tags: list[int]) -> list[str]:
        names: list[str] = self._trained.assets.tags.decode(tags)
        return names
