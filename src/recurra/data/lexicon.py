"""A lexicon learned from pairs of sentences alone: which word goes with which, by IBM's model 1."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["Lexicon", "WordPair"]

WordPair = tuple[Sequence[str], Sequence[str]]
"""The words of a sentence and those of its translation."""

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

STEPS = 5
"""Steps of EM, as most who use the model take."""

UNIGRAM_WEIGHT = 0.1
"""The weight of the unigram probability, which keeps words that were never seen together possible."""

NULL, UNKNOWN = 0, -1
"""The empty source word, and a word that no pair had."""

EMPTY_WORD: Integers = np.array([NULL])


@dataclass(frozen=True, eq=False)
class _Links:
    """Every source word with every target word of the same pair.

    Args:
        sources: The id of each link's source word, (N,).
        targets: That of its target word, (N,).
        words: Which target word of all pairs each link is of, in order, (N,).
        lengths: How many source words each pair has, the empty one included, (P,).
        target_lengths: How many target words each has, (P,).
    """

    sources: Integers
    targets: Integers
    words: Integers
    lengths: Integers
    target_lengths: Integers

    @classmethod
    def of(cls, sources: Sequence[Integers], targets: Sequence[Integers]) -> _Links:
        lengths = np.array([len(source) for source in sources], dtype=np.int64)
        target_lengths = np.array([len(target) for target in targets], dtype=np.int64)
        repeats = np.repeat(lengths, target_lengths)  # of each target word
        return cls(
            _joined(np.tile(source, len(target)) for source, target in zip(sources, targets, strict=True)),
            np.repeat(_joined(targets), repeats),
            np.repeat(np.arange(len(repeats)), repeats),
            lengths,
            target_lengths,
        )


class Lexicon:
    r"""The probability of a target word given a source word, learned from pairs of sentences.

        p(f<1..m> | e<1..l>) = product over j of 1/(l + 1) sum over i = 0..l of t(f<j> | e<i>),   e<0> the empty word

    Brown, Della Pietra, Della Pietra and Mercer, "The mathematics of statistical machine translation: parameter
    estimation", Computational Linguistics 1993, model 1: EM from equal probabilities, which has no local maxima.

    Args:
        pairs: The words of each sentence and those of its translation.
        steps: How many steps of EM are taken.

    Example:
        >>> texts = [("das Haus", "the house"), ("das Buch", "the book"), ("ein Buch", "a book")]
        >>> lexicon = Lexicon([(source.split(), target.split()) for source, target in texts], steps=10)
        >>> [lexicon.best(word) for word in "das Haus ein Buch Hund".split()]
        ['the', 'house', 'a', 'book', None]
    """

    def __init__(self, pairs: Sequence[WordPair], steps: int = STEPS) -> None:
        self._sources = _ids((source for source, _ in pairs), first=NULL + 1)
        self._targets = _ids((target for _, target in pairs), first=0)
        links = self._links(pairs)
        counts = np.bincount(
            _joined(_encoded(self._targets, target) for _, target in pairs),
            minlength=len(self._targets),
        )
        # One count is kept for all words that are not known.
        self._unigram: Floats = np.append((counts + 1.0), 1.0) / (counts.sum() + len(counts) + 1.0)
        self.losses: list[float] = []
        self._keys, cells = np.unique(links.sources * len(self._targets) + links.targets, return_inverse=True)
        self._probabilities = self._fitted(links, cells.reshape(-1), steps)

    def _fitted(self, links: _Links, cells: Integers, steps: int) -> Floats:
        """t(f | e) of each pair of words that stand in a pair of sentences together."""
        sources = self._keys // max(1, len(self._targets))
        width = len(self._sources) + 1
        seen = np.bincount(sources, minlength=width)
        probabilities: Floats = 1.0 / seen[sources]
        normaliser = np.log(np.repeat(links.lengths, links.target_lengths)).sum()
        for _ in range(steps):
            each = probabilities[cells]
            totals = np.bincount(links.words, each)
            self.losses.append(float(normaliser - np.log(totals).sum()))
            expected = np.bincount(cells, each / totals[links.words], len(self._keys))
            probabilities = expected / np.bincount(sources, expected, width)[sources]
        return probabilities

    def losses_of(self, pairs: Sequence[WordPair]) -> Floats:
        """-log p of each translation given its sentence, in nats per target word; 0 for one without words.

        A tenth of each word's probability is its unigram probability, so that unknown words are possible.

        Args:
            pairs: The words of each sentence and those of its translation, (P,).
        """
        links = self._links(pairs)
        probabilities = np.bincount(links.words, self._lookup(links.sources, links.targets))
        lengths = np.repeat(links.lengths, links.target_lengths)
        targets = _joined(_encoded(self._targets, target) for _, target in pairs)
        mixed = (1 - UNIGRAM_WEIGHT) * probabilities / lengths + UNIGRAM_WEIGHT * self._unigram[targets]
        which = np.repeat(np.arange(len(pairs)), links.target_lengths)
        return np.bincount(which, -np.log(mixed), len(pairs)) / np.maximum(1, links.target_lengths)

    def probability(self, target: str, source: str | None) -> float:
        """t(target | source); 0 where the two never stood in a pair together. None is the empty word."""
        row = NULL if source is None else self._sources.get(source, UNKNOWN)
        ids = np.array([row]), np.array([self._targets.get(target, UNKNOWN)])
        return float(self._lookup(*ids)[0])

    def best(self, source: str) -> str | None:
        """The most probable target word of a source word; None of a word that no pair had."""
        return self._best.get(self._sources.get(source, UNKNOWN))

    @functools.cached_property
    def _best(self) -> dict[int, str]:
        width, words = len(self._targets), list(self._targets)
        order = np.argsort(self._probabilities, kind="stable")  # of several the last, the best, stays
        return {int(key) // width: words[int(key) % width] for key in self._keys[order]}

    def _lookup(self, sources: Integers, targets: Integers) -> Floats:
        keys = sources * len(self._targets) + targets
        if not len(self._keys):
            return np.zeros(len(keys))
        where = np.searchsorted(self._keys, keys).clip(max=len(self._keys) - 1)
        known = (self._keys[where] == keys) & (sources != UNKNOWN) & (targets != UNKNOWN)
        return np.where(known, self._probabilities[where], 0.0)

    def _links(self, pairs: Sequence[WordPair]) -> _Links:
        return _Links.of(
            [_joined([EMPTY_WORD, _encoded(self._sources, source)]) for source, _ in pairs],
            [_encoded(self._targets, target) for _, target in pairs],
        )


def _ids(sentences: Iterable[Sequence[str]], first: int) -> dict[str, int]:
    """An id for each word, in the order in which they come."""
    words = dict.fromkeys(word for sentence in sentences for word in sentence)
    return {word: number for number, word in enumerate(words, first)}


def _encoded(ids: dict[str, int], words: Sequence[str]) -> Integers:
    return np.array([ids.get(word, UNKNOWN) for word in words], dtype=np.int64)


def _joined(parts: Iterable[Integers]) -> Integers:
    return np.concatenate([np.empty(0, np.int64), *parts])
