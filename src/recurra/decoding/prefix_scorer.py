"""What is known of a transcript beside its frames: the contract of what adds to the score of a prefix."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

__all__ = ["Numbers", "PrefixScorer", "ScorerSum"]

Numbers = npt.NDArray[np.float64]


class PrefixScorer(Protocol):
    """Adds to the score of each prefix of labels: a lexicon, a language model, words that are expected.

    It carries a state of its own for each prefix. A search asks for many prefixes at a time, and once for each.
    """

    def start(self) -> Any:  # noqa: ANN401  (whatever the scorer carries)
        """The state of the empty prefix."""
        ...

    def advance(self, states: Sequence[Any], labels: Sequence[int]) -> list[Any]:
        """The state of each prefix after one more label.

        Args:
            states: The states of R prefixes.
            labels: The label that each is extended by.
        """
        ...

    def extensions(self, states: Sequence[Any]) -> Numbers:
        """What each further label adds to the score, (R, V + 1) in nats; minus infinity forbids it.

        What stands for the blank is not looked at.
        """
        ...

    def ends(self, states: Sequence[Any]) -> Numbers:
        """What is added where the transcript ends here, (R,) in nats; minus infinity forbids it."""
        ...


class ScorerSum:
    """Several scorers as one: what they add is added up.

    Args:
        scorers: The scorers.
        classes: V + 1, how many labels there are with the blank.
    """

    def __init__(self, scorers: Sequence[PrefixScorer], classes: int) -> None:
        self.scorers, self.classes = scorers, classes

    def start(self) -> tuple[Any, ...]:
        """The states of the empty prefix."""
        return tuple(scorer.start() for scorer in self.scorers)

    def advance(self, states: Sequence[tuple[Any, ...]], labels: Sequence[int]) -> list[tuple[Any, ...]]:
        """The states of each prefix after one more label."""
        if not self.scorers:
            return [()] * len(states)
        parts = [
            scorer.advance([state[number] for state in states], labels) for number, scorer in enumerate(self.scorers)
        ]
        return list(zip(*parts, strict=True))

    def extensions(self, states: Sequence[tuple[Any, ...]]) -> Numbers:
        """What each further label adds, (R, V + 1)."""
        total = np.zeros((len(states), self.classes))
        for number, scorer in enumerate(self.scorers):
            total += scorer.extensions([state[number] for state in states])
        return total

    def ends(self, states: Sequence[tuple[Any, ...]]) -> Numbers:
        """What an end adds, (R,)."""
        total = np.zeros(len(states))
        for number, scorer in enumerate(self.scorers):
            total += scorer.ends([state[number] for state in states])
        return total
