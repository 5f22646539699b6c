"""The reading trace: what a classifier holds after each step of a sequence, and what each step counts."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from recurra.data.batch import map_tensors
from recurra.errors import ShapeError
from recurra.models.classifier import Classifier
from recurra.nn.evaluating import evaluating

__all__ = ["Reading", "prefix_logits", "read_along"]

MAX_STEPS = 16_384
"""The most steps of a batch of prefixes, padding included."""


@dataclass(frozen=True)
class Reading:
    """What a classifier holds while it reads a sequence x<1..T>.

    Args:
        steps: What is read at each step, as text, T of them.
        names: The classes.
        before: The probability of each class before anything is read.
        so_far: After each step t the probability of each class, p(y | x<1..t>), (T, C); the last is the answer.
        without: For each step t the probability of each class without it, p(y | x<1..t-1>, x<t+1..T>), (T, C).
        one_pass: Whether the network reads forward alone, so that all of `so_far` came from reading once; otherwise it
            has read again for each prefix.
    """

    steps: Sequence[str]
    names: Sequence[str]
    before: Sequence[float]
    so_far: Sequence[Sequence[float]]
    without: Sequence[Sequence[float]]
    one_pass: bool

    @property
    def answer(self) -> int:
        """The class that is most probable in the end."""
        last = self.so_far[-1] if self.so_far else self.before
        return max(range(len(last)), key=last.__getitem__)

    @property
    def course(self) -> list[float]:
        """The probability of the answer after each step."""
        return [row[self.answer] for row in self.so_far]

    @property
    def changes(self) -> list[float]:
        """By how much each step changes the probability of the answer."""
        course = [self.before[self.answer], *self.course]
        return [after - before for before, after in itertools.pairwise(course)]

    @property
    def effects(self) -> list[float]:
        """How much less probable the answer is without each step (occlusion)."""
        return [self.so_far[-1][self.answer] - row[self.answer] for row in self.without]

    @property
    def turn(self) -> int | None:
        """The step that makes the answer more probable than any other does; None where none does."""
        changes = self.changes
        best = max(range(len(changes)), key=changes.__getitem__, default=None)
        return best if best is not None and changes[best] > 0 else None


@torch.no_grad()
def read_along(
    model: Classifier,
    x: Any,  # noqa: ANN401  (whatever the inputs read)
    steps: Sequence[str],
    names: Sequence[str],
    before: Sequence[float],
    probabilities: Callable[[Tensor], Tensor] = lambda logits: logits.double().softmax(1),
) -> Reading:
    """Trace what a classifier holds after each step of one sequence, and what it would hold without each.

    A network that reads forward has read x<1..t> when it is at step t, so that one pass tells all of p(y | x<1..t>)
    exactly. One that reads in both directions reads again for each prefix. Without a step: Li, Monroe and Jurafsky,
    "Understanding neural networks through representation erasure", 2016.

    Args:
        model: The classifier.
        x: The sequence, (1, T, I), or what the inputs read of it, (1, T, ...) and no further steps.
        steps: What is read at each step, as text.
        names: The classes.
        before: The probability of each class before anything is read, such as its share of the part trained on.
        probabilities: From logits (N, C) the probabilities.

    Raises:
        ShapeError: There are not as many steps as the sequence has.

    Example:
        >>> model = Classifier(3, 2, "gru", hidden_size=4).eval()
        >>> reading = read_along(model, torch.randn(1, 5, 3), "abcde", ["no", "yes"], [0.5, 0.5])
        >>> len(reading.so_far), len(reading.without), reading.one_pass
        (5, 5, True)
    """
    if not steps:
        return Reading([], names, before, [], [], one_pass=not model.encoder.recurrent.bidirectional)
    _check(x, len(steps))
    with evaluating(model):
        so_far = probabilities(prefix_logits(model, x))
        # Of a single step nothing is left without it.
        without = probabilities(_logits_without_each(model, x, len(steps))).tolist() if len(steps) > 1 else [before]
    return Reading(
        list(steps), list(names), list(before), so_far.tolist(), without, not model.encoder.recurrent.bidirectional
    )


def prefix_logits(model: Classifier, x: Any) -> Tensor:  # noqa: ANN401  (whatever the inputs read)
    """The logits (T, C) of every prefix x<1..t> of a sequence (1, T, ...)."""
    if not model.encoder.recurrent.bidirectional:
        encoded = model.encoder(x)
        logits: Tensor = model.readout(model.dropout(model.pooling.prefixes(encoded.outputs)))[0]
        return logits
    count = _steps(x)
    parts = []
    for first, rows in _rows_at_once(count):
        lengths = torch.arange(first + 1, first + rows + 1)
        longest = first + rows
        prefixes = map_tensors(x, lambda t: t[:, :longest].expand(rows, *[-1] * (t.dim() - 1)))  # noqa: B023
        parts.append(model(prefixes, None, lengths)[0])
    return torch.cat(parts)


def _logits_without_each(model: Classifier, x: Any, count: int) -> Tensor:  # noqa: ANN401
    """The logits (T, C) of a sequence without each of its steps."""
    places = torch.arange(count - 1)
    parts = []
    for first, rows in _rows_at_once(count):
        left_out = torch.arange(first, first + rows)[:, None]
        kept = places + (places >= left_out)  # (rows, T - 1): the steps after the one that is left out move up
        parts.append(model(map_tensors(x, lambda t: t[0, kept.to(t.device)]))[0])  # noqa: B023
    return torch.cat(parts)


def _rows_at_once(count: int) -> Iterator[tuple[int, int]]:
    """The first row and the number of rows of each batch, of `count` rows of `count` steps each."""
    rows = max(1, MAX_STEPS // count)
    for first in range(0, count, rows):
        yield first, min(rows, count - first)


def _steps(x: Any) -> int:  # noqa: ANN401
    """T, of the first tensor."""
    counts: list[int] = []
    map_tensors(x, lambda tensor: counts.append(tensor.shape[1]) or tensor)  # type: ignore[func-returns-value]
    return counts[0]


def _check(x: Any, count: int) -> None:  # noqa: ANN401
    if _steps(x) != count:
        raise ShapeError(f"the sequence has {_steps(x)} steps, and {count} are named; give one for each")
