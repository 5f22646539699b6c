"""Drift: how far the inputs that are answered are from those that a model was validated on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["Drift", "TextStatistics"]

R = TypeVar("R")
P = TypeVar("P")

FAR_UNKNOWN, FAR_LENGTH = 0.1, 2.0
"""How much larger the share of unknown units, and how many times as long or as short texts are, where it is far."""


class TextStatistics(BaseModel):
    """How long texts are, and how much of them is unknown.

    Args:
        texts: How many there are.
        units: How many units they have in all, such as words.
        unknown: How many of those the model does not know.

    Example:
        >>> statistics = TextStatistics.of([(4, 1), (6, 0)])
        >>> statistics.mean_length, statistics.share_unknown
        (5.0, 0.1)
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    texts: int = Field(0, ge=0)
    units: int = Field(0, ge=0)
    unknown: int = Field(0, ge=0)

    @classmethod
    def of(cls, counts: Iterable[tuple[int, int]]) -> TextStatistics:
        """Those of texts, by how many units each has and how many of them are unknown."""
        pairs = list(counts)
        return cls(
            texts=len(pairs), units=sum(units for units, _ in pairs), unknown=sum(unknown for _, unknown in pairs)
        )

    def __add__(self, other: TextStatistics) -> TextStatistics:
        return TextStatistics(
            texts=self.texts + other.texts, units=self.units + other.units, unknown=self.unknown + other.unknown
        )

    @property
    def share_unknown(self) -> float:
        """The share of the units that are unknown; 0 of none."""
        return self.unknown / self.units if self.units else 0.0

    @property
    def mean_length(self) -> float:
        """The mean number of units of a text; 0 of none."""
        return self.units / self.texts if self.texts else 0.0


class Drift(Generic[P]):
    """Watches answers go by, and tells at the end how their texts differ from those validated on.

    Args:
        usual: The statistics of the texts validated on.
        counts_of: From an answer, how many units its text has, and how many of them are unknown.
        unit: What a text is made of, in the plural.

    Example:
        >>> drift = Drift(TextStatistics.of([(4, 1), (6, 0)]), lambda answer: answer, "words")
        >>> _ = list(drift.watching([("So bad", (2, 1))]))
        >>> drift.line()
        'unknown: 50.0% of the words (10.0% where it was validated); words a text: 2.0 (5.0)'
    """

    def __init__(self, usual: TextStatistics, counts_of: Callable[[P], tuple[int, int]], unit: str) -> None:
        self.usual, self.counts_of, self.unit = usual, counts_of, unit
        self.seen = TextStatistics()

    def watching(self, pairs: Iterable[tuple[R, P]]) -> Iterator[tuple[R, P]]:
        """The same inputs and answers, counted."""
        for example, answer in pairs:
            self.seen += TextStatistics.of([self.counts_of(answer)])
            yield example, answer

    @property
    def far(self) -> bool:
        """Whether the texts are so unlike those validated on that the figures of these say little of them."""
        ratio = self.seen.mean_length / self.usual.mean_length if self.usual.mean_length else 1.0
        more_unknown = self.seen.share_unknown - self.usual.share_unknown
        return more_unknown > FAR_UNKNOWN or not 1 / FAR_LENGTH <= ratio <= FAR_LENGTH

    def line(self) -> str | None:
        """How the texts differ, in a line; None where there was none."""
        if not self.seen.texts:
            return None
        return (
            f"unknown: {self.seen.share_unknown:.1%} of the {self.unit} ({self.usual.share_unknown:.1%} where it was "
            f"validated); {self.unit} a text: {self.seen.mean_length:.1f} ({self.usual.mean_length:.1f})"
        )
