"""The answer of a classifier of texts."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Classified"]


@dataclass(frozen=True)
class Classified:
    """A classifier's answer.

    Args:
        label: The most probable class.
        probabilities: The probability of each class, in the order of the labels; where a text may have several, each by
            itself.
        names: The labels.
        known: The share of the text's words that the network has seen in training or has a vector of.
        length: How many words were read, or characters, or pieces of words.
        several: Where a text may have several classes, those that it is given, the most probable first; else None.
        abstained: Whether no class is given since none is certain enough; None where that was not asked for.

    Example:
        >>> Classified("good", (0.1, 0.9), ("bad", "good"), 1.0).labels
        ('good',)
    """

    label: str
    probabilities: tuple[float, ...]
    names: tuple[str, ...]
    known: float
    length: int = 0
    several: tuple[str, ...] | None = None
    abstained: bool | None = None

    @property
    def probability(self) -> float:
        """The probability of the most probable class."""
        return max(self.probabilities)

    @property
    def labels(self) -> tuple[str, ...]:
        """The classes that are given: one, unless a text may have several or the model abstains."""
        if self.abstained:
            return ()
        return (self.label,) if self.several is None else self.several

    @property
    def unknown(self) -> int:
        """How many of the words that were read are unknown."""
        return round((1 - self.known) * self.length)

    def probability_of(self, name: str) -> float | None:
        """The probability of a class; None where that is not known."""
        return dict(zip(self.names, self.probabilities, strict=True)).get(name)
