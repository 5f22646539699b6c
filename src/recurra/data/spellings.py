"""What is read off the spelling of a word: its id, characters, n-grams and shape, worked out once for each spelling."""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from recurra.data.ragged import RaggedRows

__all__ = ["SHAPES", "SpelledWords", "Spellings", "is_headline", "normalised", "shape_of"]

MAX_CHARACTERS = 20
"""Characters of a word that are read: of a longer one the first and the last halves."""

MAX_SPELLINGS = 500_000
"""Spellings whose features are kept at hand; with more, they are worked out anew."""

SHAPES = 8
"""How many shapes `shape_of` tells apart."""


def normalised(word: str) -> str:
    """A word as the vocabulary has it: in lower case, every digit a 0.

    Example:
        >>> normalised("Boeing-747")
        'boeing-000'
    """
    return re.sub(r"\d", "0", word).lower()


def shape_of(word: str) -> int:
    """How a word is written: all lower case, all capitals, capitalised, one capital, mixed, with digits, or otherwise.

    Collobert et al., "Natural language processing (almost) from scratch", JMLR 2011, use four of these.

    Example:
        >>> [shape_of(word) for word in ["paris", "NATO", "Paris", "A", "iPhone", "1996", "U2", "..."]]
        [1, 2, 3, 4, 5, 6, 5, 7]
    """
    if word.islower():
        return 1
    if len(word) == 1 and word.isupper():
        return 4
    if word.isupper() and word.isalpha():
        return 2
    if word[:1].isupper() and word[1:].islower():
        return 3
    if any(character.isupper() for character in word):
        return 5
    return 6 if any(character.isdigit() for character in word) else 7


def is_headline(words: Sequence[str]) -> bool:
    """Whether most words of a sentence are capitals throughout, so that capitals tell nothing."""
    alphabetic = [word for word in words if word.isalpha()]
    return len(alphabetic) > 2 and sum(word.isupper() for word in alphabetic) > 0.7 * len(alphabetic)


class SpelledWords(NamedTuple):
    """Sentences as numbers, a row each, 0 past its end.

    Attributes:
        forms: The number of each word's spelling among those of the batch, (B, T), in the order in which they first
            come, so that it depends on nothing read before.
        words: The id of each word, (B, T).
        vectors: The row of each word's vector from 1; 0 without one, (B, T).
        characters: The ids of each word's characters from 1, (B, T, C).
        ngrams: The ids of each word's hashed n-grams from 1, (B, T, G).
        shapes: The shape of each word, (B, T); 0 past the end.
    """

    forms: Tensor
    words: Tensor
    vectors: Tensor
    characters: Tensor
    ngrams: Tensor
    shapes: Tensor


@dataclass
class Spellings:
    """Turns words into numbers, each spelling once.

    Args:
        word_id: The id of a word in the vocabulary, by its spelling.
        vector_row: The row of a word's vector from 1, or 0.
        character_id: The id of a character from 1.
        ngrams: How many ids hashed n-grams share; 0 for none.
        lengths: Which lengths of n-grams are read; < and > mark the ends of a word.

    Example:
        >>> spellings = Spellings(len, lambda word: 0, lambda character: ord(character) - 96)
        >>> read = spellings([["a", "cab"], ["a"]])
        >>> read.words.tolist(), read.characters[0].tolist()
        ([[1, 3], [1, 0]], [[1, 0, 0], [3, 1, 2]])
    """

    word_id: Callable[[str], int]
    vector_row: Callable[[str], int]
    character_id: Callable[[str], int]
    ngrams: int = 0
    lengths: Sequence[int] = (3, 4, 5)
    _numbers: dict[str, int] = field(default_factory=dict, init=False, repr=False)
    _simple: list[tuple[int, int, int]] = field(default_factory=list, init=False, repr=False)
    _characters: RaggedRows = field(default_factory=RaggedRows, init=False, repr=False)
    _grams: RaggedRows = field(default_factory=RaggedRows, init=False, repr=False)

    def __post_init__(self) -> None:
        self._forget()

    def __call__(self, sentences: Sequence[Sequence[str]]) -> SpelledWords:
        """Turn sentences into numbers; one without words is a row of padding."""
        if len(self._numbers) > MAX_SPELLINGS:
            self._forget()
        rows = RaggedRows([self._number(word) for word in words] for words in sentences)
        members, inverse = _in_order_of_appearance(rows.padded(torch.arange(len(rows))))
        simple = torch.tensor([self._simple[member] for member in members.tolist()], dtype=torch.int64)[inverse]
        characters, grams = self._characters.padded(members)[inverse], self._grams.padded(members)[inverse]
        return SpelledWords(inverse, simple[..., 0], simple[..., 1], characters, grams, simple[..., 2])

    def _forget(self) -> None:
        """Begin anew; the spelling 0 is what stands past the end of a row, and no axis of a batch is ever 0."""
        self._numbers, self._simple = {}, [(0, 0, 0)]
        self._characters, self._grams = RaggedRows([[0]]), RaggedRows([[0]])

    def _number(self, word: str) -> int:
        number = self._numbers.get(word)
        if number is None:
            number = self._numbers[word] = len(self._simple)
            self._simple.append((self.word_id(word), self.vector_row(word), shape_of(word)))
            self._characters.append([self.character_id(c) for c in _ends(word)] or [0])
            self._grams.append([*self._hashed(word)] or [0])
        return number

    def _hashed(self, word: str) -> Iterable[int]:
        """The ids of a word's n-grams, and of its spelling as a whole."""
        if not self.ngrams:
            return
        marked = f"<{normalised(_ends(word))}>"
        for length in self.lengths:
            for gram in sorted({marked[at : at + length] for at in range(len(marked) - length + 1)}):
                yield zlib.crc32(gram.encode("utf-8", "surrogatepass")) % self.ngrams + 1
        yield zlib.crc32(f"={word}".encode("utf-8", "surrogatepass")) % self.ngrams + 1


def _in_order_of_appearance(numbers: Tensor) -> tuple[Tensor, Tensor]:
    """The different numbers, 0 first and the others as they first come, and the place of each among them.

    Example:
        >>> _in_order_of_appearance(torch.tensor([[7, 3], [7, 0]]))
        (tensor([0, 7, 3]), tensor([[1, 2],
                [1, 0]]))
    """
    flat = np.append(0, numbers.flatten().numpy())
    distinct, first, inverse = np.unique(flat, return_index=True, return_inverse=True)
    order = np.argsort(first)
    ranks = np.empty_like(order)
    ranks[order] = np.arange(len(order))
    return torch.from_numpy(distinct[order]), torch.from_numpy(ranks[inverse][1:]).view(numbers.shape)


def _ends(word: str) -> str:
    """A word, or of a long one its two ends."""
    half = MAX_CHARACTERS // 2
    return word if len(word) <= MAX_CHARACTERS else word[:half] + word[-half:]
