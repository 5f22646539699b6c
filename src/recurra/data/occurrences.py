"""Where else in its document a word occurs, and what stands around it there."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor

from recurra.data.spellings import SHAPES, is_headline, shape_of
from recurra.data.tagged_sentence import TaggedSentence

__all__ = ["OCCURRENCE_SHAPES", "WINDOW", "Document", "Occurrence", "OtherOccurrences", "with_documents"]

WINDOW = (-2, -1, 1, 2)
"""Which neighbours of a word are read, by their distance."""

IN_HEADLINE, FIRST = SHAPES, SHAPES + 1
"""Instead of the shape of a word: that it stands in a headline, or first in its sentence, where capitals tell less."""

OCCURRENCE_SHAPES = SHAPES + 2
"""How many shapes an occurrence tells apart, 0 for none among them."""


@dataclass(frozen=True, eq=False)
class Document:
    """The sentences of a document, as each of them carries it.

    Args:
        lines: The line where each begins, which tells them apart.
        sentences: The words of each.
    """

    lines: tuple[int, ...]
    sentences: tuple[tuple[str, ...], ...]

    @cached_property
    def occurrences(self) -> dict[str, list[tuple[int, int]]]:
        """The sentence and the step of each occurrence of a word that begins with a letter, by its lower-cased form."""
        result: dict[str, list[tuple[int, int]]] = {}
        for number, words in enumerate(self.sentences):
            for step, word in enumerate(words):
                if word[:1].isalpha():
                    result.setdefault(word.lower(), []).append((number, step))
        return result


def with_documents(sentences: Iterable[TaggedSentence]) -> Iterator[TaggedSentence]:
    """Sentences, each with its document, as soon as that has ended; one that belongs to none as it is.

    Args:
        sentences: The sentences, those of a document one after another.

    Example:
        >>> from recurra.data.lines import Source
        >>> sentences = [TaggedSentence((word,), Source("x", line), document=0) for line, word in enumerate("ab")]
        >>> [sentence.context.sentences for sentence in with_documents(sentences)]
        [(('a',), ('b',)), (('a',), ('b',))]
    """
    for document, group in itertools.groupby(sentences, lambda sentence: sentence.document):
        if document is None:
            yield from group
            continue
        members = list(group)
        context = Document(tuple(s.source.line for s in members), tuple(s.words for s in members))
        yield from (replace(sentence, context=context) for sentence in members)


class Occurrence(NamedTuple):
    """A word where it stands.

    Attributes:
        vectors: The rows of the vectors of its neighbours in `WINDOW`, from 1; 0 for none.
        shapes: How it is written itself, from 1, and how the words before and after it are; 0 past the sentence.
    """

    vectors: tuple[int, ...]
    shapes: tuple[int, int, int]


class OtherOccurrences:
    """The occurrences of capitalised words in other sentences of their documents.

    A name that one sentence leaves open, another may tell: "Washington served" is clear beside "MaliVai Washington".
    Ratinov and Roth, "Design challenges and misconceptions in named entity recognition", CoNLL 2009, call it context
    aggregation.

    Args:
        vector_row: The row of a word's vector from 1, or 0.
        most: How many occurrences of a word are read, those in the nearest sentences.

    Example:
        >>> from recurra.data.lines import Source
        >>> texts = ["Washington served .", "MaliVai Washington won"]
        >>> sentences = [
        ...     TaggedSentence(tuple(text.split()), Source("x", line), document=0) for line, text in enumerate(texts)
        ... ]
        >>> others = OtherOccurrences(len, most=2)
        >>> for sentence in with_documents(sentences):
        ...     print([others.of(sentence, word) for word in sentence.words])
        [[Occurrence(vectors=(0, 7, 3, 0), shapes=(3, 5, 1))], [], []]
        [[], [Occurrence(vectors=(0, 0, 6, 1), shapes=(9, 0, 1))], []]
    """

    def __init__(self, vector_row: Callable[[str], int], most: int) -> None:
        self.vector_row, self.most = vector_row, most
        self._read: dict[tuple[Document, int, int], Occurrence] = {}

    def of(self, sentence: TaggedSentence, word: str) -> list[Occurrence]:
        """The occurrences of a word in the other sentences of a sentence's document; none of one in lower case."""
        document = sentence.context
        if document is None or not word[:1].isupper():
            return []
        line = sentence.source.line
        others = [(n, step) for n, step in document.occurrences.get(word.lower(), ()) if document.lines[n] != line]
        if len(others) > self.most:
            others = sorted(others, key=lambda other: abs(document.lines[other[0]] - line))[: self.most]
        return [self._occurrence(document, number, step) for number, step in others]

    def __call__(self, sentences: Sequence[TaggedSentence]) -> tuple[Tensor, Tensor]:
        """The vectors (B, T, K, 4) and shapes (B, T, K, 3) of the occurrences of each word, 0 where there are fewer."""
        longest = max([1, *(len(sentence) for sentence in sentences)])
        vectors = torch.zeros(len(sentences), longest, self.most, len(WINDOW), dtype=torch.int64)
        shapes = torch.zeros(len(sentences), longest, self.most, 3, dtype=torch.int64)
        for row, sentence in enumerate(sentences):
            for step, word in enumerate(sentence.words):
                if others := self.of(sentence, word):
                    vectors[row, step, : len(others)] = torch.tensor([other.vectors for other in others])
                    shapes[row, step, : len(others)] = torch.tensor([other.shapes for other in others])
        return vectors, shapes

    def _occurrence(self, document: Document, number: int, step: int) -> Occurrence:
        known = self._read.get((document, number, step))
        if known is None:
            words = document.sentences[number]
            around = [words[step + k] if 0 <= step + k < len(words) else None for k in WINDOW]
            shape = FIRST if step == 0 else shape_of(words[step])
            before, after = (0 if word is None else shape_of(word) for word in around[1:3])
            known = self._read[document, number, step] = Occurrence(
                tuple(0 if word is None else self.vector_row(word) for word in around),
                (IN_HEADLINE if is_headline(words) else shape, before, after),
            )
        return known
