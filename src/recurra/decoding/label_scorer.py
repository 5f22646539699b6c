"""What the labels of a transcript add to its score: a language model of characters, or of words that are labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from recurra.decoding.ngram import Ngram, NgramModel
from recurra.decoding.prefix_scorer import Numbers
from recurra.decoding.word_scorer import check_weight

__all__ = ["LabelModel", "LabelScorer", "NgramLabels"]


class LabelModel(Protocol):
    """A language model of labels."""

    def start(self) -> Any:  # noqa: ANN401  (whatever the model carries)
        """The state at the beginning of a transcript."""
        ...

    def advance(self, states: Sequence[Any], labels: Sequence[int]) -> list[Any]:
        """The states after one more label each."""
        ...

    def log_probabilities(self, states: Sequence[Any]) -> Numbers:
        """The natural logarithms of the probabilities of the next label, (R, V + 1)."""
        ...

    def ends(self, states: Sequence[Any]) -> Numbers:
        """The natural logarithms of the probabilities that the transcript ends, (R,)."""
        ...


class LabelScorer:
    """Adds for each label what a language model says of it.

        score(y) = log p(y | frames) + weight log p(y) + bonus x labels

    Args:
        model: The language model.
        weight: How much it counts.
        bonus: What is added for each label, in nats.

    Raises:
        SettingError: The weight or the bonus is outside its range.
    """

    def __init__(self, model: LabelModel, weight: float = 0.5, bonus: float = 0.0) -> None:
        check_weight("weight", weight)
        check_weight("bonus", bonus, signed=True)
        self.model, self.weight, self.bonus = model, weight, bonus

    def start(self) -> Any:  # noqa: ANN401
        """The state of the empty prefix."""
        return self.model.start()

    def advance(self, states: Sequence[Any], labels: Sequence[int]) -> list[Any]:
        """The state of each prefix after one more label."""
        return self.model.advance(states, labels)

    def extensions(self, states: Sequence[Any]) -> Numbers:
        """What each further label adds, (R, V + 1)."""
        if not self.weight:
            return np.full_like(self.model.log_probabilities(states), self.bonus)
        return self.weight * self.model.log_probabilities(states) + self.bonus

    def ends(self, states: Sequence[Any]) -> Numbers:
        """What an end adds, (R,)."""
        return self.weight * self.model.ends(states) if self.weight else np.zeros(len(states))


class NgramLabels:
    """A model of n-grams whose words are what labels stand for: characters, or words that are labels.

    Args:
        model: The model.
        texts: What each label is called in the model, (V + 1).
    """

    def __init__(self, model: NgramModel, texts: Sequence[str]) -> None:
        self.model, self.texts = model, texts
        self._rows: dict[Ngram, Numbers] = {}

    def start(self) -> Ngram:
        """The state at the beginning of a transcript."""
        return self.model.start()

    def advance(self, states: Sequence[Ngram], labels: Sequence[int]) -> list[Ngram]:
        """The states after one more label each."""
        return [self.model.after(state, self.texts[label]) for state, label in zip(states, labels, strict=True)]

    def log_probabilities(self, states: Sequence[Ngram]) -> Numbers:
        """The natural logarithms of the probabilities of the next label, (R, V + 1)."""
        for state in set(states) - self._rows.keys():
            self._rows[state] = np.array([self.model.log_probability(state, text) for text in self.texts])
        return np.array([self._rows[state] for state in states]).reshape(-1, len(self.texts))

    def ends(self, states: Sequence[Ngram]) -> Numbers:
        """The natural logarithms of the probabilities that the transcript ends, (R,)."""
        return np.array([self.model.end(state) for state in states])
