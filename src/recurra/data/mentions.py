"""Names in place of others of their type: more sentences than a file has, for training."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import torch

from recurra.data.spellings import is_headline
from recurra.data.tagged_sentence import TaggedSentence
from recurra.data.tags import Span

__all__ = ["Mentions"]

Mention = tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]
"""The words of a span, and for each feature column their values."""


@dataclass(frozen=True)
class Mentions:
    """The names of sentences, by their types, each as often as it is spelled in another way.

    Headlines in capitals are left as they are, and give no names.

    Dai and Adel, "An analysis of simple data augmentation for named entity recognition", COLING 2020: mention
    replacement.

    Args:
        by_type: For each type its names.

    Example:
        >>> from recurra.data.lines import Source
        >>> from pathlib import Path
        >>> sentences = [
        ...     TaggedSentence(("Ann", "left"), Source(Path(), 1), ((0, 1, "PER"),)),
        ...     TaggedSentence(("so", "did", "Bob", "Lee"), Source(Path(), 2), ((2, 4, "PER"),)),
        ... ]
        >>> swapped = Mentions.of(sentences).swapped(sentences[0], 1.0, torch.Generator().manual_seed(0))
        >>> swapped.words, swapped.spans
        (('Bob', 'Lee', 'left'), ((0, 2, 'PER'),))
    """

    by_type: dict[str, tuple[Mention, ...]]

    @classmethod
    def of(cls, sentences: Iterable[TaggedSentence]) -> Mentions:
        """The names of sentences."""
        by_type: dict[str, dict[Mention, None]] = {}
        for sentence in sentences:
            if not is_headline(sentence.words):
                for start, end, type_ in sentence.spans or ():
                    by_type.setdefault(type_, {})[_cut(sentence, start, end)] = None
        return cls({type_: tuple(mentions) for type_, mentions in by_type.items()})

    def swapped(self, sentence: TaggedSentence, rate: float, draw: torch.Generator) -> TaggedSentence:
        """A sentence in which names stand in the place of others of their type.

        Args:
            sentence: The sentence.
            rate: How many of its names are replaced, from 0 to 1.
            draw: What is drawn from.
        """
        spans = sorted(sentence.spans or ())
        if not spans or is_headline(sentence.words):
            return sentence
        chances = torch.rand(2, len(spans), generator=draw).tolist()
        if min(chances[0]) >= rate:
            return sentence
        pieces: list[Mention] = []
        moved: list[Span] = []
        last = length = 0
        for (start, end, type_), replaced, which in zip(spans, *chances, strict=True):
            known = self.by_type.get(type_, ())
            mention = known[int(which * len(known))] if replaced < rate and known else _cut(sentence, start, end)
            pieces += [_cut(sentence, last, start), mention]
            length += start - last + len(mention[0])
            moved.append((length - len(mention[0]), length, type_))
            last = end
        pieces.append(_cut(sentence, last, len(sentence)))
        words = tuple(word for piece, _ in pieces for word in piece)
        columns = zip(*(features for _, features in pieces), strict=True)
        return replace(
            sentence,
            words=words,
            spans=tuple(moved),
            features=tuple(tuple(value for part in column for value in part) for column in columns),
            text=None,
            offsets=None,
        )


def _cut(sentence: TaggedSentence, start: int, end: int) -> Mention:
    """Some of the words of a sentence, with their features."""
    return sentence.words[start:end], tuple(column[start:end] for column in sentence.features)
