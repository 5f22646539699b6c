"""Searches for what a transducer writes: greedily, or with a beam; both hear an utterance piece by piece."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from recurra.checks import whole_number
from recurra.decoding.ctc import CtcPath, HeardLabel
from recurra.decoding.prefix_scorer import Numbers, PrefixScorer, ScorerSum
from recurra.errors import RunError

__all__ = ["TransducerBeam", "TransducerGreedy", "TransducerHypothesis", "TransducerModel"]

NEVER = -math.inf


class TransducerModel(Protocol):
    """A transducer, as a search asks it: see `Transducer` in models."""

    def start(self) -> tuple[Tensor, Any]:
        """What the joint reads before the first label, (1, J), and the state of the prediction network."""
        ...

    def after(self, labels: Tensor, state: Any) -> tuple[Tensor, Any]:  # noqa: ANN401  (whatever it carries)
        """What the joint reads after one more label of each of R transcripts, (R, J), and the state."""
        ...

    def joined(self, encoded: Tensor, predicted: Tensor) -> Tensor:
        """The log-probabilities (R, V + 1) of labels and blank, for a frame (J,) and R transcripts (R, J)."""
        ...

    def select(self, state: Any, rows: Sequence[int]) -> Any:  # noqa: ANN401
        """The states of some transcripts."""
        ...


def _numbers(log_probabilities: Tensor) -> Numbers:
    numbers: Numbers = log_probabilities.detach().to("cpu", torch.float64).numpy()
    if np.isnan(numbers).any():
        raise RunError(
            "the model's log-probabilities are not numbers, as after training that diverged; train again with a lower "
            "learning rate or gradients clipped"
        )
    return numbers


class TransducerGreedy:
    """The best label at each step, until it is the blank, which leads to the next frame.

    Args:
        model: The transducer, in eval mode.
        blank: The id of the blank.
        max_symbols: The most labels of a frame, so that a network that never says blank comes to an end.
    """

    def __init__(self, model: TransducerModel, *, blank: int = 0, max_symbols: int = 8) -> None:
        self.model, self.blank = model, blank
        self.max_symbols = whole_number("max_symbols", max_symbols, 1)
        self._labels: list[HeardLabel] = []
        self._total, self._frames = 0.0, 0
        with torch.no_grad():
            self._predicted, self._state = model.start()

    @torch.no_grad()
    def hear(self, encoded: Tensor) -> None:
        """Goes on with the next frames of the utterance.

        Args:
            encoded: What the joint reads of them, (T, J).

        Raises:
            RunError: A log-probability is not a number.
        """
        for frame in encoded:
            for _ in range(self.max_symbols):
                numbers = _numbers(self.model.joined(frame, self._predicted))[0]
                label = int(numbers.argmax())
                if label == self.blank:
                    self._total += float(numbers[label])
                    break
                self._write(label, float(numbers[label]))
            else:  # the frame is over, whatever the network says
                self._total += float(_numbers(self.model.joined(frame, self._predicted))[0, self.blank])
            self._frames += 1

    def _write(self, label: int, log_probability: float) -> None:
        self._total += log_probability
        confidence = min(1.0, math.exp(log_probability))
        self._labels.append(HeardLabel(label, self._frames, self._frames + 1, confidence))
        device = self._predicted.device
        self._predicted, self._state = self.model.after(torch.tensor([label], device=device), self._state)

    def path(self) -> CtcPath:
        """What was heard so far: more frames add to it and never change it."""
        return CtcPath(tuple(self._labels), self._total, self._frames)


@dataclass(frozen=True)
class TransducerHypothesis:
    """A transcript that a search ended with.

    Attributes:
        path: The most probable way to it of those that were followed: its labels and their frames.
        score: What hypotheses are ranked by: log_probability and all that the scorers added.
        log_probability: The natural logarithm of its probability: of all ways to it that were followed.
        confidence: Its share among the hypotheses that were left, e^score over their sum, from 0 to 1.
    """

    path: CtcPath
    score: float
    log_probability: float
    confidence: float

    @property
    def labels(self) -> tuple[int, ...]:
        """Its labels."""
        return self.path.ids


@dataclass(frozen=True, eq=False)
class _Prefix:
    """The beginning of a transcript.

    Attributes:
        labels: Its labels.
        total: The log-probability of all ways to it that were followed.
        best: That of the most probable one.
        heard: Its labels and their frames on that way.
        row: Where the tables have it.
    """

    labels: tuple[int, ...]
    total: float
    best: float
    heard: tuple[HeardLabel, ...]
    row: int

    def merged(self, other: _Prefix) -> _Prefix:
        """Both ways to the same labels."""
        better = self if self.best >= other.best else other
        return replace(better, total=float(np.logaddexp(self.total, other.total)))


class TransducerBeam:
    """A beam search over the labels of each frame, in which ways to the same labels are one.

    In each frame the K best prefixes may be extended by labels, up to `max_symbols` of them, and each by the blank,
    which leads to the next frame; prefixes that arrive there with the same labels are merged: their probabilities add
    up. So with a beam that holds every prefix, the probability of a transcript is exact (the time-synchronous search
    of Saon, Tüske and Audhkhasi, "Alignment-length synchronous decoding for RNN transducer", ICASSP 2020, after Graves,
    "Sequence transduction with recurrent neural networks", 2012).

    Args:
        model: The transducer, in eval mode.
        classes: V + 1, how many labels there are with the blank.
        blank: The id of the blank.
        beam_size: K.
        max_symbols: The most labels of a frame.
        scorers: What else is known, as in `ctc_beam_search`.
        margin: Prefixes whose score is so many nats below the best do not go on.
    """

    def __init__(
        self,
        model: TransducerModel,
        classes: int,
        *,
        blank: int = 0,
        beam_size: int = 8,
        max_symbols: int = 4,
        scorers: Sequence[PrefixScorer] = (),
        margin: float = math.inf,
    ) -> None:
        self.model, self.classes, self.blank, self.margin = model, classes, blank, margin
        self.beam_size = whole_number("beam_size", beam_size, 1)
        self.max_symbols = whole_number("max_symbols", max_symbols, 1)
        self.scorer = ScorerSum(scorers, classes)
        with torch.no_grad():
            self._predicted, self._state = model.start()
        # By row: what the scorers carry, have added, and would add for each further label.
        self._carried: list[Any] = [self.scorer.start()]
        self._added = [0.0]
        self._extensions = self.scorer.extensions(self._carried)
        self._rows: dict[tuple[int, ...], int] = {(): 0}
        self._beam = [_Prefix((), 0.0, 0.0, (), 0)]
        self._frames = 0

    @torch.no_grad()
    def hear(self, encoded: Tensor) -> None:
        """Goes on with the next frames of the utterance.

        Args:
            encoded: What the joint reads of them, (T, J).

        Raises:
            RunError: A log-probability is not a number.
        """
        for frame in encoded:
            self._advance(frame)
            self._frames += 1

    def _advance(self, frame: Tensor) -> None:
        """One frame."""
        arrived: dict[tuple[int, ...], _Prefix] = {}
        going = self._beam
        for number in range(self.max_symbols + 1):
            rows = [prefix.row for prefix in going]
            numbers = _numbers(self.model.joined(frame, self._predicted[rows]))
            for prefix, blank in zip(going, numbers[:, self.blank].tolist(), strict=True):
                after = replace(prefix, total=prefix.total + blank, best=prefix.best + blank)
                before = arrived.get(prefix.labels)
                arrived[prefix.labels] = after if before is None else before.merged(after)
            going = self._extended(going, numbers) if number < self.max_symbols else []
            if not going:
                break
        self._beam = self._best(list(arrived.values()))
        self._forget()

    def _extended(self, going: Sequence[_Prefix], numbers: Numbers) -> list[_Prefix]:
        """The best prefixes that are one label longer."""
        rows = [prefix.row for prefix in going]
        totals = np.array([prefix.total for prefix in going])[:, None] + numbers
        scores = totals + np.array([self._added[row] for row in rows])[:, None] + self._extensions[rows]
        scores[:, self.blank] = NEVER
        flat = scores.ravel()
        number = min(self.beam_size, flat.size)
        chosen = np.argpartition(flat, -number)[-number:]
        best = max(prefix.total + self._added[prefix.row] for prefix in going)
        chosen = chosen[(flat[chosen] > NEVER) & (flat[chosen] >= best - self.margin)]
        chosen = chosen[np.argsort(-flat[chosen], kind="stable")]
        pairs = [divmod(index, self.classes) for index in chosen.tolist()]
        self._read([(going[which], label) for which, label in pairs])
        longer = []
        for which, label in pairs:
            prefix, log_probability = going[which], float(numbers[which, label])
            heard = HeardLabel(label, self._frames, self._frames + 1, min(1.0, math.exp(log_probability)))
            labels = (*prefix.labels, label)
            total, way = prefix.total + log_probability, prefix.best + log_probability
            longer.append(_Prefix(labels, total, way, (*prefix.heard, heard), self._rows[labels]))
        return longer

    def _read(self, pairs: Sequence[tuple[_Prefix, int]]) -> None:
        """Puts prefixes that are new, each one label longer than another, into the tables."""
        new = [(prefix, label) for prefix, label in pairs if (*prefix.labels, label) not in self._rows]
        if not new:
            return
        rows, labels = [prefix.row for prefix, _ in new], [label for _, label in new]
        last = torch.tensor(labels, device=self._predicted.device)
        predicted, state = self.model.after(last, self.model.select(self._state, rows))
        carried = self.scorer.advance([self._carried[row] for row in rows], labels)
        self._added += [
            self._added[row] + float(self._extensions[row, label]) for row, label in zip(rows, labels, strict=True)
        ]
        for prefix, label in new:
            self._rows[(*prefix.labels, label)] = len(self._rows)
        self._carried += carried
        self._extensions = np.concatenate([self._extensions, self.scorer.extensions(carried)])
        self._predicted = torch.cat([self._predicted, predicted])
        self._state = _joined(self._state, state)

    def _best(self, prefixes: list[_Prefix]) -> list[_Prefix]:
        """Those that go on, the best first, one that may end the transcript always among them."""
        ranked = sorted(prefixes, key=lambda prefix: -(prefix.total + self._added[prefix.row]))
        best = ranked[0].total + self._added[ranked[0].row]
        kept = [each for each in ranked[: self.beam_size] if each.total + self._added[each.row] >= best - self.margin]
        ends = self.scorer.ends([self._carried[prefix.row] for prefix in ranked])
        possible = np.flatnonzero(np.isfinite(ends))
        if len(possible) and possible[0] >= len(kept):
            kept.append(ranked[int(possible[0])])
        return kept

    def _forget(self) -> None:
        """Keeps of the tables what the beam needs."""
        rows = [prefix.row for prefix in self._beam]
        self._predicted, self._state = self._predicted[rows], self.model.select(self._state, rows)
        self._carried = [self._carried[row] for row in rows]
        self._added = [self._added[row] for row in rows]
        self._extensions = self._extensions[rows]
        self._beam = [replace(prefix, row=row) for row, prefix in enumerate(self._beam)]
        self._rows = {prefix.labels: prefix.row for prefix in self._beam}

    def best(self, n_best: int = 1) -> list[TransducerHypothesis]:
        """The best transcripts, should the utterance end here, the best first.

        Args:
            n_best: How many are wanted.
        """
        ends = self.scorer.ends([self._carried[prefix.row] for prefix in self._beam])
        scored = [
            (prefix.total + self._added[prefix.row] + float(end), prefix)
            for prefix, end in zip(self._beam, ends, strict=True)
        ]
        scored = [pair for pair in scored if pair[0] > NEVER]
        if not scored:
            return [TransducerHypothesis(CtcPath((), NEVER, self._frames), NEVER, NEVER, 0.0)]
        every = float(np.logaddexp.reduce([score for score, _ in scored]))
        scored.sort(key=lambda pair: -pair[0])
        return [
            TransducerHypothesis(
                CtcPath(prefix.heard, prefix.best, self._frames), score, prefix.total, min(1.0, math.exp(score - every))
            )
            for score, prefix in scored[:n_best]
        ]


def _joined(first: Any, second: Any) -> Any:  # noqa: ANN401
    """The states of two groups of transcripts as one."""
    return {name: torch.cat([value, second[name]], 1) for name, value in first.items()}
