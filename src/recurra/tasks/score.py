"""The probability that a language model gives to a text, unit by unit and word by word."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from recurra import decoding
from recurra.data import END, Vocabulary

__all__ = ["Score", "ScoredUnit", "word_spans"]


@dataclass(frozen=True, slots=True)
class ScoredUnit:
    """A part of a text and its probability.

    Args:
        text: The unit or word as the text has it, or <EOS>.
        log_probability: The natural logarithm of its probability, given all before it; None for what a model had to
            take as given, because there was nothing to read before it.
        unknown: Whether it is outside the vocabulary, and so scored as <UNK>, or a part of it is.
    """

    text: str
    log_probability: float | None
    unknown: bool = False


@dataclass(frozen=True)
class Score:
    """How probable a language model finds a text.

    Args:
        units: What the model predicted one after another, such as words or characters.
        words: The same by words: the units of a word, and of the white space before it, as one. The probability of a
            word is the product of those of its units, so that the whole stays what it is.

    Example:
        >>> half, fifth = math.log(0.5), math.log(0.2)
        >>> score = Score.of(Vocabulary("byte"), ["o", "f", " ", "b"], [111, 102, 32, 98], [half, half, half, fifth])
        >>> round(score.probability, 9), round(score.perplexity, 3)
        (0.025, 2.515)
        >>> [(word.text, round(math.exp(word.log_probability), 9)) for word in score.words]
        [('of', 0.25), ('b', 0.1)]
    """

    units: tuple[ScoredUnit, ...]
    words: tuple[ScoredUnit, ...]

    @classmethod
    def of(
        cls,
        vocabulary: Vocabulary,
        units: Sequence[str],
        ids: Sequence[int],
        log_probabilities: Sequence[float | None],
    ) -> Score:
        """Put together what a model said of each unit.

        Args:
            vocabulary: The model's.
            units: The units as the text has them.
            ids: The id of each.
            log_probabilities: The natural logarithm of each one's probability.
        """
        parts = [
            ScoredUnit(vocabulary.text_of(unit), log_probability, number == vocabulary.unknown)
            for unit, number, log_probability in zip(units, ids, log_probabilities, strict=True)
        ]
        if vocabulary.level == "word":
            return cls(tuple(parts), tuple(parts))
        words = []
        for first, last in word_spans(vocabulary, ids):
            inside = parts[first:last]
            unknown = any(part.unknown for part in inside)
            # Several units may write one character together, which only all of them decode to.
            text = "".join(part.text for part in inside) if unknown else vocabulary.decode(ids[first:last])
            text = END if ids[first] == vocabulary.end else text.strip() or text
            words.append(ScoredUnit(text, _sum(part.log_probability for part in inside), unknown))
        return cls(tuple(parts), tuple(words))

    @classmethod
    def of_all(cls, scores: Iterable[Score]) -> Score:
        """The score of texts that were begun afresh each, such as sentences."""
        parts = list(scores)
        return cls(
            tuple(itertools.chain.from_iterable(part.units for part in parts)),
            tuple(itertools.chain.from_iterable(part.words for part in parts)),
        )

    @property
    def log_probability(self) -> float:
        """The natural logarithm of the text's probability."""
        return _sum(unit.log_probability for unit in self.units) or 0.0

    @property
    def count(self) -> int:
        """How many units were predicted."""
        return sum(unit.log_probability is not None for unit in self.units)

    @property
    def probability(self) -> float:
        """The text's probability; 0 where a float cannot hold it."""
        return math.exp(self.log_probability)

    @property
    def perplexity(self) -> float:
        """The perplexity per unit."""
        return decoding.perplexity(-self.log_probability, self.count)

    @property
    def bits(self) -> float:
        """Bits a unit."""
        return decoding.bits(-self.log_probability, self.count)


def word_spans(vocabulary: Vocabulary, ids: Sequence[int]) -> list[tuple[int, int]]:
    """Where words begin and end: white space belongs to the word after it, and <EOS> is a word of its own."""
    opens, texts = [0], {number: vocabulary.decode([number]) for number in set(ids)}
    within = False  # whether the word at hand has more than white space
    for place, number in enumerate(ids):
        text = texts[number]
        if place and (number == vocabulary.end or (within and text[:1].isspace())):
            opens.append(place)
            within = False
        within = within or not text.isspace()
    return list(itertools.pairwise([*opens, len(ids)]))


def _sum(log_probabilities: Iterable[float | None]) -> float | None:
    """The sum of those that are known, None if none is."""
    known = [p for p in log_probabilities if p is not None]
    return math.fsum(known) if known else None
