"""The pair trained on that is most like a sentence, by the words they share, the rare ones above all."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from recurra.data.parallel import ParallelFormat, SentencePair, read_pairs
from recurra.tasks.translation import Neighbour, Risk, Translation
from recurra.tasks.translation_profile import RARE, words_in

__all__ = ["NearestPairs", "nearest_of", "with_neighbour"]

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

COMPARED = 500
"""How many pairs are compared with the others to tell how like they usually are."""


class NearestPairs:
    r"""An index of pairs by the words of their sentences.

    The likeness of two sentences is the cosine of their sets of words, each weighted by its rarity:

        sum over w in both of idf(w)^2 / sqrt(sum over w in a of idf(w)^2 · sum over w in b of idf(w)^2),
        idf(w) = log((1 + N) / (1 + sentences with w)) + 1

    Spärck Jones, "A statistical interpretation of term specificity and its application in retrieval", Journal of
    Documentation 1972. It holds the pairs and 8 bytes for each of their words.

    Args:
        pairs: The pairs.

    Example:
        >>> from recurra.data.lines import Source
        >>> texts = [("Ein Hund rennt.", "A dog runs."), ("Ein Mann schläft.", "A man sleeps.")]
        >>> pairs = [SentencePair(*both, Source(Path("train.de"), line)) for line, both in enumerate(texts, 1)]
        >>> neighbour = NearestPairs(pairs).nearest("Der Hund bellt.")
        >>> neighbour.target_text, round(neighbour.similarity, 2), neighbour.where
        ('A dog runs.', 0.27, 'train.de:1')
    """

    def __init__(self, pairs: Sequence[SentencePair]) -> None:
        self._pairs = pairs
        every = [_set_of(pair.source_text) for pair in pairs]
        counts = Counter(word for words in every for word in words)
        self._rows = {word: row for row, word in enumerate(counts)}
        self._squares = {word: self._square(count) for word, count in counts.items()}
        self._unseen = self._square(0)
        norms = [self._norm(words) for words in every]
        self._norms: Floats = np.maximum(np.array(norms, dtype=np.float64), 1e-12)
        rows = np.array([self._rows[word] for words in every for word in words], dtype=np.int64)
        sentences = np.repeat(np.arange(len(pairs)), [len(words) for words in every])
        order = rows.argsort(kind="stable")
        self._sentences: Integers = sentences[order]
        self._starts: Integers = np.searchsorted(rows[order], np.arange(len(counts) + 1))

    def nearest(self, text: str) -> Neighbour | None:
        """The pair whose sentence is most like a text, the first of several; None where none has a word of it."""
        similarities = self._similarities(text)
        if not len(similarities):
            return None
        best = int(similarities.argmax())
        if not similarities[best] > 0:
            return None
        pair = self._pairs[best]
        return Neighbour(pair.source_text, pair.target_text or "", float(similarities[best]), str(pair.source))

    @functools.cached_property
    def usual(self) -> float:
        """The likeness to the nearest other pair that only 2% of the pairs have less of."""
        sample = np.unique(np.linspace(0, len(self._pairs) - 1, min(COMPARED, len(self._pairs))).astype(int))
        nearest = []
        for index in sample.tolist():
            similarities = self._similarities(self._pairs[index].source_text)
            similarities[index] = 0.0
            nearest.append(similarities.max(initial=0.0))
        return float(np.quantile(nearest, RARE)) if nearest else 0.0

    def _similarities(self, text: str) -> Floats:
        words = _set_of(text)
        totals = np.zeros(len(self._pairs))
        for word in words:
            row = self._rows.get(word)
            if row is not None:
                totals[self._sentences[self._starts[row] : self._starts[row + 1]]] += self._squares[word]
        similarities: Floats = totals / (self._norms * max(self._norm(words), 1e-12))
        return similarities.clip(max=1.0)

    def _square(self, count: int) -> float:
        return float((np.log((1 + len(self._pairs)) / (1 + count)) + 1) ** 2)

    def _norm(self, words: Sequence[str]) -> float:
        return float(np.sqrt(sum(self._squares.get(word, self._unseen) for word in words)))


@functools.lru_cache(maxsize=2)
def nearest_of(path: str, how: ParallelFormat) -> NearestPairs:
    """The index of the pairs of a file.

    Args:
        path: The file, or what the names of two aligned texts begin with.
        how: How it is read.

    Raises:
        DataError: It cannot be read, or a line of it is wrong.
    """
    pairs = read_pairs(Path(path), how, "train")
    return NearestPairs([pairs[index] for index in range(len(pairs))])


def with_neighbour(answer: Translation, nearest: NearestPairs | None) -> Translation:
    """A translation with the pair that is most like its sentence, and whether it is unlike all of them.

    Args:
        answer: The translation.
        nearest: The index of pairs; None to leave the translation as it is.
    """
    if nearest is None or not answer.source_text.strip():
        return answer
    neighbour = nearest.nearest(answer.source_text)
    similarity = 0.0 if neighbour is None else neighbour.similarity
    risks = answer.risks
    if similarity < nearest.usual:
        reason = (
            f"no pair is much like it: the nearest is {similarity:.2f} alike, and {1 - RARE:.0%} of pairs have one "
            f"that is at least {nearest.usual:.2f}"
        )
        risks = (*risks, Risk("unlike", reason))
    return replace(answer, neighbour=neighbour, risks=risks)


def _set_of(text: str) -> list[str]:
    """The different words of a text, whatever their case."""
    return list(dict.fromkeys(word.text.casefold() for word in words_in(text)))
