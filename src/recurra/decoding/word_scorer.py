"""What the words of a transcript add to its score: a lexicon, and a language model of words."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np

from recurra.checks import is_number
from recurra.decoding.prefix_scorer import Numbers
from recurra.errors import DataError, SettingError

__all__ = ["Lexicon", "WordModel", "WordScorer"]

OUTSIDE = -1
"""The node of what no word of the lexicon begins with."""

ROOT = 0


class WordModel(Protocol):
    """A language model of words, such as `NgramModel`."""

    def start(self) -> Any:  # noqa: ANN401  (whatever the model carries)
        """The state at the beginning of a transcript."""
        ...

    def log_probability(self, state: Any, word: str) -> float:  # noqa: ANN401
        """The natural logarithm of the probability of a word after what was read."""
        ...

    def advance(self, steps: Sequence[tuple[Any, str]]) -> list[Any]:
        """The states after one more word each."""
        ...

    def end(self, state: Any) -> float:  # noqa: ANN401
        """The natural logarithm of the probability that the transcript ends."""
        ...


class Lexicon:
    """The words that are known, as a tree of their labels.

    Args:
        words: The words, each as its labels.
        classes: V + 1, how many labels there are with the blank.

    Raises:
        DataError: There is no word, one is empty, or a label is none of the V.

    Example:
        >>> lexicon = Lexicon([(1, 2), (1, 3)], 4)
        >>> lexicon.after(lexicon.after(0, 1), 3) in lexicon.words
        True
    """

    def __init__(self, words: Iterable[Sequence[int]], classes: int) -> None:
        self._children: list[dict[int, int]] = [{}]
        self.words: set[int] = set()
        for word in words:
            if not word or not all(0 <= label < classes for label in word):
                raise DataError(f"a word of the lexicon is one or more labels of 0 to {classes - 1}; one is {word!r}")
            node = ROOT
            for label in word:
                if label not in self._children[node]:
                    self._children[node][label] = len(self._children)
                    self._children.append({})
                node = self._children[node][label]
            self.words.add(node)
        if not self.words:
            raise DataError("the lexicon has no word")
        self.allowed = np.zeros((len(self._children), classes), bool)
        """Which labels may follow at each node."""
        for node, children in enumerate(self._children):
            self.allowed[node, list(children)] = True

    def after(self, node: int, label: int) -> int:
        """The node after a label; OUTSIDE for none."""
        return self._children[node].get(label, OUTSIDE) if node != OUTSIDE else OUTSIDE


class _Reading(NamedTuple):
    """What is known of a prefix: the labels of the word it is in, where in the lexicon, and the words before."""

    word: tuple[int, ...]
    node: int
    model: Any


class WordScorer:
    """Adds for each word what a lexicon and a language model say of it, when the word ends.

        score(y) = log p(y | frames) + weight log p(words) + bonus x words - cost x words that are not in the lexicon

    which is called shallow fusion (Gulcehre et al., "On using monolingual corpora in neural machine translation",
    2015). The bonus makes up for the words that a language model costs; a word that leaves the lexicon pays at once.

    Args:
        texts: What each label stands for in the text, (V + 1); the blank's is not looked at.
        separator: The label between words.
        lexicon: The words that are known; None where every word may come.
        unknown_cost: What another word costs, in nats; infinity forbids it.
        model: A language model of words; None for none.
        weight: How much the model counts.
        bonus: What is added for each word, in nats.

    Raises:
        SettingError: A weight, bonus or cost is outside its range.
    """

    def __init__(
        self,
        texts: Sequence[str],
        separator: int,
        *,
        lexicon: Lexicon | None = None,
        unknown_cost: float = math.inf,
        model: WordModel | None = None,
        weight: float = 0.5,
        bonus: float = 0.0,
    ) -> None:
        check_weight("weight", weight)
        check_weight("bonus", bonus, signed=True)
        if not is_number(unknown_cost) or not unknown_cost >= 0:
            raise SettingError(f"unknown_cost is {unknown_cost!r}; it is a number of nats from 0, or infinity")
        self.texts, self.separator, self.lexicon = texts, separator, lexicon
        self.unknown_cost, self.model, self.weight, self.bonus = unknown_cost, model, weight, bonus

    def start(self) -> _Reading:
        """The state of the empty prefix."""
        return _Reading((), ROOT, None if self.model is None else self.model.start())

    def advance(self, states: Sequence[_Reading], labels: Sequence[int]) -> list[_Reading]:
        """The state of each prefix after one more label."""
        after = []
        ended = []
        for number, (state, label) in enumerate(zip(states, labels, strict=True)):
            if label != self.separator:
                node = ROOT if self.lexicon is None else self.lexicon.after(state.node, label)
                after.append(_Reading((*state.word, label), node, state.model))
            else:
                after.append(_Reading((), ROOT, state.model))
                if state.word and self.model is not None:
                    ended.append(number)
        if self.model is not None and ended:
            models = self.model.advance([(states[number].model, self._text(states[number])) for number in ended])
            for number, model in zip(ended, models, strict=True):
                after[number] = after[number]._replace(model=model)
        return after

    def extensions(self, states: Sequence[_Reading]) -> Numbers:
        """What each further label adds, (R, V + 1)."""
        added = np.zeros((len(states), len(self.texts)))
        if self.lexicon is not None:
            inside = [number for number, state in enumerate(states) if state.node != OUTSIDE]
            nodes = [states[number].node for number in inside]
            added[inside] = np.where(self.lexicon.allowed[nodes], 0.0, -self.unknown_cost)
        added[:, self.separator] = [self._word(state) for state in states]
        return added

    def ends(self, states: Sequence[_Reading]) -> Numbers:
        """What an end adds, (R,): the last word, and the end itself."""
        added = np.array([self._word(state) for state in states])
        if self.model is None:
            return added
        model, last = self.model, [number for number, state in enumerate(states) if state.word]
        histories = [state.model for state in states]
        after = model.advance([(states[number].model, self._text(states[number])) for number in last])
        for number, history in zip(last, after, strict=True):
            histories[number] = history
        return added + [self._weighted(model.end(history)) for history in histories]

    def _word(self, state: _Reading) -> float:
        """What the word that a prefix ends with adds, should it be whole; 0 for none."""
        if not state.word:
            return 0.0
        added = self.bonus
        if self.lexicon is not None and state.node != OUTSIDE and state.node not in self.lexicon.words:
            added -= self.unknown_cost
        if self.model is not None:
            added += self._weighted(self.model.log_probability(state.model, self._text(state)))
        return added

    def _weighted(self, log_probability: float) -> float:
        return self.weight * log_probability if self.weight else 0.0

    def _text(self, state: _Reading) -> str:
        return "".join(self.texts[label] for label in state.word)


def check_weight(name: str, value: float, signed: bool = False) -> None:
    """Refuses a weight that is no finite number, or is below 0.

    Raises:
        SettingError: It is.
    """
    if not is_number(value) or not math.isfinite(value) or (value < 0 and not signed):
        raise SettingError(f"{name} is {value!r}; it is a number{'' if signed else ' from 0'}")
