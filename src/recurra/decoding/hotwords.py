"""Words that are expected, such as names: a bonus for each that a transcript has."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence

import numpy as np

from recurra.decoding.prefix_scorer import Numbers
from recurra.decoding.word_scorer import check_weight
from recurra.errors import DataError

__all__ = ["HotwordScorer"]


class HotwordScorer:
    """Adds a bonus for each word or phrase of a list that a transcript has.

    So that a search does not lose it halfway, each label of it brings a part of the bonus, which is taken back where
    the phrase is not finished. The phrases are found by the automaton of Aho and Corasick ("Efficient string matching:
    an aid to bibliographic search", 1975): all of them at once, also those that overlap.

    Args:
        phrases: By the labels of a phrase, its bonus in nats, 0 or more.
        classes: V + 1, how many labels there are with the blank.
        separator: The label between words, so that only whole words count; None where each label is a word.

    Raises:
        DataError: A phrase is empty, or a label is none of the V.
        SettingError: A bonus is no number from 0.

    Example:
        >>> scorer = HotwordScorer({(1, 2): 6.0}, 3)
        >>> state, total = scorer.start(), 0.0
        >>> for label in (2, 1, 1, 2):
        ...     total += float(scorer.extensions([state])[0, label])
        ...     state = scorer.advance([state], [label])[0]
        >>> total + float(scorer.ends([state])[0])
        6.0
    """

    def __init__(self, phrases: Mapping[Sequence[int], float], classes: int, separator: int | None = None) -> None:
        children: list[dict[int, int]] = [{}]
        bonuses, promised = [0.0], [0.0]
        for phrase, bonus in phrases.items():
            check_weight("the bonus of a phrase", bonus)
            if not phrase or not all(0 <= label < classes for label in phrase):
                raise DataError(f"a phrase is one or more labels of 0 to {classes - 1}; one is {phrase!r}")
            # A whole word stands between separators, of which there is one at the beginning and the end as well.
            around = () if separator is None else (separator,)
            labels = (*around, *phrase, *around)
            node = 0
            for depth, label in enumerate(labels, 1):
                if label not in children[node]:
                    children[node][label] = len(children)
                    children.append({})
                    bonuses.append(0.0)
                    promised.append(0.0)
                node = children[node][label]
                if depth < len(labels):
                    share = (depth - len(around)) / (len(labels) - len(around))
                    promised[node] = max(promised[node], bonus * share)
            bonuses[node] += bonus
        self._automaton(children, bonuses, promised, classes)
        if separator is not None:  # two separators are as good as one
            after_one = np.unique(self.after[:, separator])
            self.after[after_one, separator], self.added[after_one, separator] = after_one, 0.0
        self._separator = separator
        self._start = 0 if separator is None else int(self.after[0, separator])

    def _automaton(
        self, children: list[dict[int, int]], bonuses: list[float], promised: list[float], classes: int
    ) -> None:
        """The node after each label at each node, (N, V + 1), and what that step adds."""
        self.after = np.zeros((len(children), classes), np.int64)
        fallback = [0] * len(children)
        won = np.array(bonuses)
        queue = deque([0])
        while queue:
            node = queue.popleft()
            if node:
                self.after[node] = self.after[fallback[node]]
                won[node] += won[fallback[node]]
            for label, child in children[node].items():
                fallback[child] = int(self.after[node, label]) if node else 0
                self.after[node, label] = child
                queue.append(child)
        self.promised = np.array(promised)
        self.added = won[self.after] + self.promised[self.after] - self.promised[:, None]

    def start(self) -> int:
        """The state of the empty prefix."""
        return self._start

    def advance(self, states: Sequence[int], labels: Sequence[int]) -> list[int]:
        """The state of each prefix after one more label."""
        after: list[int] = self.after[list(states), list(labels)].tolist()
        return after

    def extensions(self, states: Sequence[int]) -> Numbers:
        """What each further label adds, (R, V + 1)."""
        added: Numbers = self.added[list(states)]
        return added

    def ends(self, states: Sequence[int]) -> Numbers:
        """What an end adds, (R,): a last word that is whole, and what was promised in vain."""
        nodes = list(states)
        if self._separator is None:
            return -self.promised[nodes]
        after = self.after[nodes, self._separator]
        ends: Numbers = self.added[nodes, self._separator] - self.promised[after]
        return ends
