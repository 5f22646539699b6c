"""The answer of a classifier of texts."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Classified"]


@dataclass(frozen=True)
class Classified:
    """A classifier's answer.

    Args:
        label: The most probable class.
        probabilities: The probability of each class, in the order of the labels.
        names: The labels.
        known: The share of the text's words that the network has seen in training or has a vector of.
    """

    label: str
    probabilities: tuple[float, ...]
    names: tuple[str, ...]
    known: float

    @property
    def probability(self) -> float:
        """The probability of the most probable class."""
        return max(self.probabilities)

    def probability_of(self, name: str) -> float | None:
        """The probability of a class; None where that is not known."""
        return dict(zip(self.names, self.probabilities, strict=True)).get(name)
