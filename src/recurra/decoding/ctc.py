"""Connectionist temporal classification: the labels that are heard, where they are, and how probable a transcript is.

A network gives each frame log-probabilities of V labels and of a blank. A way through the frames spells the labels that
are left when repeats are merged and blanks are dropped (Graves et al., "Connectionist temporal classification:
labelling unsegmented sequence data with recurrent neural networks", ICML 2006).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from recurra.errors import DataError, RunError, ShapeError

__all__ = [
    "CtcPath",
    "HeardLabel",
    "ctc_frames_needed",
    "ctc_log_probability",
    "forced_alignment",
    "greedy_path",
    "greedy_paths",
]

Numbers = npt.NDArray[np.float64]


class HeardLabel(NamedTuple):
    """A label and the frames in which it stands.

    Args:
        label: Its id.
        start: Its first frame, from 0.
        end: The frame after its last.
        confidence: Its highest posterior in these frames, from 0 to 1.
    """

    label: int
    start: int
    end: int
    confidence: float


@dataclass(frozen=True)
class CtcPath:
    """A way through the frames.

    Args:
        labels: What it spells, in order.
        log_probability: The natural logarithm of the probability of this way, of which many spell the same.
        frames: T, how many frames there are.
    """

    labels: tuple[HeardLabel, ...]
    log_probability: float
    frames: int

    @property
    def ids(self) -> tuple[int, ...]:
        """The labels alone."""
        return tuple(heard.label for heard in self.labels)


def greedy_paths(log_probabilities: Tensor, lengths: Tensor | None = None, blank: int = 0) -> list[CtcPath]:
    """The most probable way through each utterance: the best label of each frame.

    Args:
        log_probabilities: Natural logarithms (B, T, V + 1).
        lengths: How many frames of each row are real, (B,); None for all.
        blank: The id of the blank.

    Raises:
        ShapeError: The shapes do not belong together.
        RunError: A log-probability is not a number, as after training that diverged.

    Example:
        >>> frames = torch.tensor([[0, 1, 1, 0, 1, 2]])
        >>> [path.ids for path in greedy_paths(torch.nn.functional.one_hot(frames).float().log_softmax(2))]
        [(1, 1, 2)]
    """
    if log_probabilities.ndim != 3:
        raise ShapeError(f"log-probabilities are (B, T, V + 1); these are {tuple(log_probabilities.shape)}")
    if lengths is None:
        ends = [log_probabilities.shape[1]] * len(log_probabilities)
    elif lengths.shape != log_probabilities.shape[:1]:
        raise ShapeError(f"lengths are (B,) = ({len(log_probabilities)},); these are {tuple(lengths.shape)}")
    else:
        ends = lengths.tolist()
    return [greedy_path(row[:end], blank) for row, end in zip(log_probabilities, ends, strict=True)]


def greedy_path(log_probabilities: Tensor, blank: int = 0) -> CtcPath:
    """The most probable way through one utterance; see `greedy_paths`.

    Args:
        log_probabilities: Natural logarithms (T, V + 1).
        blank: The id of the blank.
    """
    numbers = frame_log_probabilities(log_probabilities, blank)
    return _path(numbers, numbers.argmax(1), blank)


def _path(numbers: Numbers, states: npt.NDArray[np.int64], blank: int, owners: Sequence[int] | None = None) -> CtcPath:
    """What a way through the frames spells, given the label of each frame.

    Args:
        numbers: The log-probabilities of the frames.
        states: The label of each frame.
        blank: The id of the blank.
        owners: Which of the labels of a transcript each frame belongs to, -1 for none; None where repeats are one.
    """
    frames = len(numbers)
    along = numbers[np.arange(frames), states] if frames else np.zeros(0)
    marks = np.asarray(states if owners is None else owners)
    nothing = blank if owners is None else -1
    starts = [t for t in range(frames) if marks[t] != nothing and (t == 0 or marks[t] != marks[t - 1])]
    labels = []
    for start in starts:
        end = start + 1
        while end < frames and marks[end] == marks[start]:
            end += 1
        confidence = min(1.0, math.exp(along[start:end].max()))
        labels.append(HeardLabel(int(states[start]), start, end, confidence))
    return CtcPath(tuple(labels), float(along.sum()), frames)


def frame_log_probabilities(log_probabilities: Tensor, blank: int) -> Numbers:
    """The log-probabilities of an utterance in float64, checked.

    Raises:
        ShapeError: They are not (T, V + 1), or the blank is none of them.
        RunError: One is NaN or plus infinity, or a frame has none that is finite.
    """
    if log_probabilities.ndim != 2 or not 0 <= blank < log_probabilities.shape[1]:
        raise ShapeError(
            f"log-probabilities are (T, V + 1), with the blank {blank} among the V + 1; these are "
            f"{tuple(log_probabilities.shape)}"
        )
    numbers = log_probabilities.detach().to("cpu", torch.float64).numpy()
    if np.isnan(numbers).any() or (len(numbers) and not np.isfinite(numbers.max(1)).all()):
        raise RunError(
            "the model's log-probabilities are not numbers, as after training that diverged; train again with a lower "
            "learning rate or gradients clipped"
        )
    return numbers


def ctc_frames_needed(labels: Sequence[int]) -> int:
    """How many frames a transcript takes at least: one a label, and one between two that are the same.

    Example:
        >>> ctc_frames_needed([1, 2, 2, 3])
        5
    """
    return len(labels) + sum(first == second for first, second in itertools.pairwise(labels))


class _Lattice:
    """The states that spell a transcript: a blank, a label, a blank, ..., a label, a blank.

    Args:
        numbers: The log-probabilities (T, V + 1) of an utterance.
        labels: The transcript.
        blank: The id of the blank.
    """

    def __init__(self, numbers: Numbers, labels: Sequence[int], blank: int) -> None:
        classes = numbers.shape[1]
        wrong = [label for label in labels if not 0 <= label < classes or label == blank]
        if wrong:
            raise ShapeError(f"the label {wrong[0]} is not one of 0 to {classes - 1} without the blank, {blank}")
        needed = ctc_frames_needed(labels)
        if len(numbers) < needed:
            raise DataError(
                f"the recording has {len(numbers):,} frames and its transcript takes at least {needed:,}; look whether "
                "they belong together, or use a model with less subsampling"
            )
        self.states = np.full(2 * len(labels) + 1, blank)
        self.states[1::2] = labels
        # A blank may be passed over between labels that differ.
        self.skips = np.zeros(len(self.states), bool)
        self.skips[3::2] = self.states[3::2] != self.states[1:-2:2]
        self.numbers = numbers

    def first(self) -> Numbers:
        """The log-probability of beginning in each state, at the first frame."""
        start = np.full(len(self.states), -np.inf)
        start[:2] = self.numbers[0, self.states[:2]]
        return start

    def arriving(self, before: Numbers) -> Numbers:
        """For each state the log-probabilities of its three ways in, (3, S): it itself, one back, two back."""
        ways = np.full((3, len(before)), -np.inf)
        ways[0] = before
        ways[1, 1:] = before[:-1]
        ways[2, 2:] = np.where(self.skips[2:], before[:-2], -np.inf)
        return ways


def ctc_log_probability(log_probabilities: Tensor, labels: Sequence[int], blank: int = 0) -> float:
    """The log-probability of a transcript: of all ways through the frames that spell it, by the forward algorithm.

    Args:
        log_probabilities: Natural logarithms (T, V + 1) of one utterance.
        labels: The transcript.
        blank: The id of the blank.

    Returns:
        The natural logarithm; minus what torch's ctc_loss gives.

    Raises:
        ShapeError: A label is none of the V, or the shapes do not belong together.
        DataError: There are fewer frames than the transcript takes.

    Example:
        >>> two_frames = torch.full((2, 3), 1 / 3).log()
        >>> round(math.exp(ctc_log_probability(two_frames, [1])), 4)  # 1 1, 1 blank and blank 1, of 9 ways
        0.3333
    """
    numbers = frame_log_probabilities(log_probabilities, blank)
    lattice = _Lattice(numbers, labels, blank)
    if not len(numbers):
        return 0.0
    reached = lattice.first()
    for frame in numbers[1:]:
        reached = np.logaddexp.reduce(lattice.arriving(reached)) + frame[lattice.states]
    return float(np.logaddexp.reduce(reached[-2:]))


def forced_alignment(log_probabilities: Tensor, labels: Sequence[int], blank: int = 0) -> CtcPath:
    """The most probable way through the frames that spells a transcript: where each of its labels is.

    Viterbi's algorithm over the lattice of the transcript. Scores are kept for one frame in √T, and the frames between
    are gone through a second time from the end, so that an hour fits in memory.

    Args:
        log_probabilities: Natural logarithms (T, V + 1) of one utterance.
        labels: The transcript.
        blank: The id of the blank.

    Returns:
        The way; its labels are those of the transcript.

    Raises:
        ShapeError: A label is none of the V, or the shapes do not belong together.
        DataError: There are fewer frames than the transcript takes, or it is impossible.

    Example:
        >>> frames = torch.tensor([0, 1, 1, 0, 1, 2])
        >>> path = forced_alignment(torch.nn.functional.one_hot(frames).float().log_softmax(1), [1, 1, 2])
        >>> [(heard.label, heard.start, heard.end) for heard in path.labels]
        [(1, 1, 3), (1, 4, 5), (2, 5, 6)]
    """
    numbers = frame_log_probabilities(log_probabilities, blank)
    lattice = _Lattice(numbers, labels, blank)
    frames = len(numbers)
    if not frames:
        return CtcPath((), 0.0, 0)
    stride = math.isqrt(frames - 1) + 1
    reached = lattice.first()
    kept = [reached]
    for t in range(1, frames):
        reached = lattice.arriving(reached).max(0) + numbers[t, lattice.states]
        if t % stride == 0:
            kept.append(reached)
    state = len(reached) - 1
    if len(reached) > 1 and reached[-2] > reached[-1]:
        state -= 1
    if reached[state] == -np.inf:
        raise DataError("the transcript is impossible: it has a label that the model gives probability 0")
    way = np.empty(frames, np.int64)
    for number in range(len(kept) - 1, -1, -1):
        first, last = number * stride, min((number + 1) * stride, frames)
        reached, steps = kept[number], np.zeros((last - first, len(reached)), np.int8)
        for t in range(first + 1, last):
            ways = lattice.arriving(reached)
            steps[t - first] = ways.argmax(0)
            reached = ways.max(0) + numbers[t, lattice.states]
        if last < frames:  # the step into the stretch that was gone through before
            state -= int(lattice.arriving(reached)[:, state].argmax())
        for t in range(last - 1, first - 1, -1):
            way[t] = state
            state -= int(steps[t - first, state])
    owners = np.where(way % 2, way // 2, -1)
    return _path(numbers, lattice.states[way], blank, owners.tolist())
