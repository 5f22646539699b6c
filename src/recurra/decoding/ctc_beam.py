"""Prefix beam search: the most probable transcripts of an utterance, with whatever else is known of them."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import Tensor

from recurra.checks import whole_number
from recurra.decoding.ctc import frame_log_probabilities
from recurra.decoding.prefix_scorer import Numbers, PrefixScorer, ScorerSum
from recurra.errors import SettingError, ShapeError

__all__ = ["CtcBeam", "CtcHypothesis", "ctc_beam_search"]

COMPACTED = 2**17
"""From so many prefixes on, those of which nothing that goes on is made are forgotten."""

NEVER = -np.inf

Rows = npt.NDArray[np.int64]
"""Which of the prefixes, or of the labels."""


@dataclass(frozen=True)
class CtcHypothesis:
    """A transcript that a search ended with.

    Attributes:
        labels: Its labels.
        score: What hypotheses are ranked by: log_probability and all that the scorers added.
        log_probability: The natural logarithm of its probability: of all ways that spell it and were followed.
        confidence: Its share among the hypotheses that were left, e^score over their sum, from 0 to 1.
    """

    labels: tuple[int, ...]
    score: float
    log_probability: float
    confidence: float


def ctc_beam_search(
    log_probabilities: Tensor,
    lengths: Tensor | None = None,
    *,
    blank: int = 0,
    separator: int | None = None,
    beam_size: int = 64,
    n_best: int = 1,
    scorers: Sequence[PrefixScorer] = (),
    least_probability: float = 1e-5,
    margin: float = math.inf,
) -> list[list[CtcHypothesis]]:
    """The most probable transcripts of each utterance.

    Of every prefix y<1..n> two probabilities are carried from frame to frame, of the ways that spell it and end with
    the blank, and of those that end with its last label:

        p_blank(y, t) = p<t>(blank) (p_blank(y, t-1) + p_label(y, t-1))
        p_label(y, t) = p<t>(y<n>) (p_label(y, t-1) + p_blank(x, t-1) + [y<n> is not x<n-1>] p_label(x, t-1))

    where x = y<1..n-1>, and the K prefixes go on for which log(p_blank + p_label) and what the scorers add is highest.
    So with a beam that holds every prefix, the probability of a transcript is exact: that of all its ways (Graves and
    Jaitly, "Towards end-to-end speech recognition with recurrent neural networks", ICML 2014; Hannun et al.,
    "First-pass large vocabulary continuous speech recognition using bi-directional recurrent DNNs", 2014).

    Args:
        log_probabilities: Natural logarithms (B, T, V + 1).
        lengths: How many frames of each row are real, (B,); None for all.
        blank: The id of the blank.
        separator: The label between words, of which transcripts may have some more or less: they are one; None where
            there is none.
        beam_size: K.
        n_best: How many transcripts of an utterance are returned, at most K.
        scorers: What else is known, such as `WordScorer`.
        least_probability: In a frame, labels that are less probable extend nothing.
        margin: Prefixes whose score is so many nats below the best do not go on.

    Returns:
        For each utterance its transcripts, the best first: fewer than asked for where fewer are left, and where none is
        possible the empty one, with minus infinity for its score.

    Raises:
        SettingError: A setting is outside its range.
        ShapeError: The shapes do not belong together.
        RunError: A log-probability is not a number, as after training that diverged.

    Example:
        >>> import torch
        >>> frames = torch.tensor([[[0.6, 0.4], [0.6, 0.4]]]).log()
        >>> [(best.labels, round(math.exp(best.log_probability), 2)) for best in ctc_beam_search(frames, n_best=2)[0]]
        [((1,), 0.64), ((), 0.36)]
    """
    if log_probabilities.ndim != 3 or (lengths is not None and lengths.shape != log_probabilities.shape[:1]):
        raise ShapeError(
            f"log-probabilities are (B, T, V + 1) and lengths (B,); these are {tuple(log_probabilities.shape)} and "
            f"{None if lengths is None else tuple(lengths.shape)}"
        )
    whole_number("n_best", n_best, 1, beam_size)
    ends = itertools.repeat(log_probabilities.shape[1]) if lengths is None else lengths.tolist()
    answers = []
    for row, end in zip(log_probabilities, ends, strict=False):
        beam = CtcBeam(
            log_probabilities.shape[2],
            blank=blank,
            separator=separator,
            beam_size=beam_size,
            scorers=scorers,
            least_probability=least_probability,
            margin=margin,
        )
        beam.hear(row[:end])
        answers.append(beam.best(n_best))
    return answers


class CtcBeam:
    """A prefix beam search under way, which hears the frames of one utterance piece by piece; see `ctc_beam_search`.

    Args:
        classes: V + 1, how many labels there are with the blank.
        blank: The id of the blank.
        separator: The label between words; None where there is none.
        beam_size: K, how many prefixes go on.
        scorers: What else is known.
        least_probability: In a frame, labels that are less probable extend nothing.
        margin: Prefixes whose score is so many nats below the best do not go on.

    Raises:
        SettingError: A setting is outside its range.
    """

    def __init__(
        self,
        classes: int,
        *,
        blank: int = 0,
        separator: int | None = None,
        beam_size: int = 64,
        scorers: Sequence[PrefixScorer] = (),
        least_probability: float = 1e-5,
        margin: float = math.inf,
    ) -> None:
        if not 0 <= least_probability < 1:
            raise SettingError(f"least_probability is {least_probability}; it is a number from 0 to below 1")
        if not margin > 0:
            raise SettingError(f"margin is {margin}; it is a number of nats above 0")
        self.classes, self.blank, self.separator = classes, blank, separator
        self.beam_size = whole_number("beam_size", beam_size, 1)
        self.scorer = ScorerSum(scorers, classes)
        self.floor = math.log(least_probability) if least_probability else NEVER
        self.margin = margin
        # The prefixes as a tree: the parent of each, its last label, and its children.
        self._parents, self._labels = [-1], [-1]
        self._children: dict[tuple[int, int], int] = {}
        self._compacted = 1
        # Of the prefixes that go on: which, and the log-probabilities of their ways that end with a blank or a label.
        self._nodes = np.zeros(1, np.int64)
        self._last = np.full(1, -1)
        self._blank, self._label = np.zeros(1), np.full(1, NEVER)
        # What the scorers carry, have added, would add for each further label and at an end.
        self._states: list[Any] = [self.scorer.start()]
        self._added = np.zeros(1)
        self._extensions = self._extended(self._states)
        self._ends = self.scorer.ends(self._states)

    def _extended(self, states: Sequence[Any]) -> Numbers:
        extensions = self.scorer.extensions(states)
        extensions[:, self.blank] = NEVER
        return extensions

    def hear(self, log_probabilities: Tensor) -> None:
        """Goes on with the next frames of the utterance.

        Args:
            log_probabilities: Natural logarithms (T, V + 1).

        Raises:
            ShapeError: The shape is another one.
            RunError: A log-probability is not a number.
        """
        frames = frame_log_probabilities(log_probabilities, self.blank)
        if frames.shape[1] != self.classes:
            raise ShapeError(f"a frame has {self.classes} log-probabilities; these have {frames.shape[1]}")
        for frame in frames:
            self._advance(frame)

    def _advance(self, frame: Numbers) -> None:
        """One frame: every prefix stays what it is or is extended by a label, and the best go on."""
        labels = np.flatnonzero(frame >= self.floor)
        labels = labels[labels != self.blank]
        total = np.logaddexp(self._blank, self._label)
        blank = total + frame[self.blank]
        label = np.where(self._last < 0, NEVER, self._label + frame[self._last])
        extended = total[:, None] + frame[labels]
        column = np.full(self.classes, -1)
        column[labels] = np.arange(len(labels))
        # A label after itself is a second one only where a blank stood between.
        of_last = column[self._last]
        again = np.flatnonzero((self._last >= 0) & (of_last >= 0))
        extended[again, of_last[again]] = self._blank[again] + frame[self._last[again]]
        self._merge(extended, label, again, of_last[again])

        stays = np.logaddexp(blank, label) + self._added
        scores = np.concatenate([stays, (extended + (self._added[:, None] + self._extensions[:, labels])).ravel()])
        chosen = self._chosen(scores, len(stays))
        old, new = chosen[chosen < len(stays)], chosen[chosen >= len(stays)] - len(stays)
        rows, columns = np.divmod(new, max(1, len(labels)))
        self._replace(old, blank, label, rows, labels[columns], extended[rows, columns])

    def _merge(self, extended: Numbers, label: Numbers, again: Rows, columns: Rows) -> None:
        """Adds the ways to a prefix from its parent to those that were there, where both are in the beam.

        Args:
            extended: The ways that extend each prefix by each label.
            label: The ways that end with a label, of each prefix.
            again: The prefixes whose last label is heard.
            columns: The columns of these labels.
        """
        if len(self._nodes) == 1:
            return
        order = np.argsort(self._nodes)
        parents = np.array([self._parents[node] for node in self._nodes[again].tolist()], np.int64)
        places = np.minimum(np.searchsorted(self._nodes, parents, sorter=order), len(order) - 1)
        above = order[places]
        present = self._nodes[above] == parents
        rows, above, columns = again[present], above[present], columns[present]
        label[rows] = np.logaddexp(label[rows], extended[above, columns])
        extended[above, columns] = NEVER

    def _chosen(self, scores: Numbers, stays: int) -> Rows:
        """Which of the candidates go on, the best first, one that may end the transcript always among them."""
        if len(scores) > self.beam_size:
            chosen = np.argpartition(scores, -self.beam_size)[-self.beam_size :]
        else:
            chosen = np.arange(len(scores))
        chosen = chosen[np.argsort(-scores[chosen], kind="stable")]
        best = scores[chosen[0]]
        chosen = chosen[(scores[chosen] > NEVER) & (scores[chosen] >= best - self.margin)]
        if not np.isfinite(self._ends[chosen[chosen < stays]]).any():
            possible = np.where(np.isfinite(self._ends), scores[:stays], NEVER)
            chosen = np.append(chosen, possible.argmax())
        return chosen

    def _replace(self, old: Rows, blank: Numbers, label: Numbers, rows: Rows, labels: Rows, arriving: Numbers) -> None:
        """The beam after a frame: the prefixes that stay, and the new ones."""
        if not len(rows) and len(old) == len(self._nodes) and bool((np.diff(old) == 1).all()):
            self._blank, self._label = blank, label
            return
        nodes = [self._child(int(self._nodes[row]), int(last)) for row, last in zip(rows, labels, strict=True)]
        states = self.scorer.advance([self._states[row] for row in rows], labels.tolist()) if nodes else []
        added = self._added[rows] + self._extensions[rows, labels]
        self._states = [self._states[row] for row in old] + states
        self._nodes = np.concatenate([self._nodes[old], np.array(nodes, np.int64)])
        self._last = np.concatenate([self._last[old], labels])
        self._blank = np.concatenate([blank[old], np.full(len(rows), NEVER)])
        self._label = np.concatenate([label[old], arriving])
        self._added = np.concatenate([self._added[old], added])
        if nodes:
            self._extensions = np.concatenate([self._extensions[old], self._extended(states)])
            self._ends = np.concatenate([self._ends[old], self.scorer.ends(states)])
        else:
            self._extensions, self._ends = self._extensions[old], self._ends[old]
        if len(self._parents) > 2 * self._compacted + COMPACTED:
            self._compact()

    def _child(self, node: int, label: int) -> int:
        """The prefix that extends another one by a label."""
        child = self._children.get((node, label))
        if child is None:
            child = self._children[node, label] = len(self._parents)
            self._parents.append(node)
            self._labels.append(label)
        return child

    def _compact(self) -> None:
        """Forgets the prefixes that none of the beam begins with, so that an hour fits in memory."""
        kept = {0}
        for node in self._nodes.tolist():
            while node not in kept:
                kept.add(node)
                node = self._parents[node]
        numbers = {node: number for number, node in enumerate(sorted(kept))}
        self._parents = [numbers.get(self._parents[node], -1) for node in numbers]
        self._labels = [self._labels[node] for node in numbers]
        self._children = {
            (parent, label): node
            for node, (parent, label) in enumerate(zip(self._parents, self._labels, strict=True))
            if node
        }
        self._nodes = np.array([numbers[node] for node in self._nodes.tolist()], np.int64)
        self._compacted = len(numbers)

    def _spelled(self, node: int) -> tuple[int, ...]:
        """The labels of a prefix."""
        labels = []
        while node:
            labels.append(self._labels[node])
            node = self._parents[node]
        return tuple(labels[::-1])

    def partial(self) -> tuple[int, ...]:
        """The labels of the best prefix so far, which more frames may change."""
        scores = np.logaddexp(self._blank, self._label) + self._added
        return _tidied(self._spelled(int(self._nodes[scores.argmax()])), self.separator)

    def best(self, n_best: int = 1) -> list[CtcHypothesis]:
        """The best transcripts, should the utterance end here.

        Args:
            n_best: How many are wanted.
        """
        probabilities = np.logaddexp(self._blank, self._label)
        scores = probabilities + self._added + self._ends
        merged: dict[tuple[int, ...], tuple[float, float]] = {}
        for row in np.argsort(-scores, kind="stable").tolist():
            if scores[row] == NEVER:
                break
            labels = _tidied(self._spelled(int(self._nodes[row])), self.separator)
            score, probability = merged.get(labels, (NEVER, NEVER))
            merged[labels] = (
                float(np.logaddexp(score, scores[row])),
                float(np.logaddexp(probability, probabilities[row])),
            )
        if not merged:  # the frames allow nothing that the scorers do
            return [CtcHypothesis((), NEVER, NEVER, 0.0)]
        every = np.logaddexp.reduce([score for score, _ in merged.values()])
        ranked = sorted(merged.items(), key=lambda item: -item[1][0])[:n_best]
        return [
            CtcHypothesis(labels, score, probability, min(1.0, math.exp(score - every)))
            for labels, (score, probability) in ranked
        ]


def _tidied(labels: tuple[int, ...], separator: int | None) -> tuple[int, ...]:
    """Labels with one separator between words and none around them."""
    if separator is None:
        return labels
    pairs = itertools.pairwise((separator, *labels))
    tidy = [label for before, label in pairs if label != separator or before != separator]
    return tuple(tidy[:-1] if tidy and tidy[-1] == separator else tidy)
