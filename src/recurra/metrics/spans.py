"""Spans: precision, recall and F1 of entities, as the shared task's own script conlleval counts them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import TypeVar

from recurra.metrics.metric import Metric, Row, Tally

__all__ = ["Span", "conlleval_spans", "f1_of", "span_f1", "span_tally"]

R = TypeVar("R")
P = TypeVar("P")


Span = tuple[int, int, str]
"""An entity: the step it begins at, the step after its last, and its type."""


def conlleval_spans(tags: Sequence[str]) -> list[Span]:
    """The spans of a sequence of tags as conlleval reads them, whether the tags obey a scheme or not.

    A tag is O, or a prefix and a type, such as B-PER. A span ends where the type changes, before and after S, after E,
    and before B; it begins where one has ended, or after O. So I after O begins a span, as B does. (The script of 2000
    missed the end between E and B; here it is one.)

    Tjong Kim Sang and Buchholz, "Introduction to the CoNLL-2000 shared task: chunking", 2000.

    Args:
        tags: The tags of a sentence, with prefixes B, I, E, S (or L and U for E and S).

    Example:
        >>> conlleval_spans(["I-PER", "B-PER", "I-PER", "O", "I-LOC", "I-ORG"])
        [(0, 1, 'PER'), (1, 3, 'PER'), (4, 5, 'LOC'), (5, 6, 'ORG')]
    """
    spans: list[Span] = []
    start: int | None = None
    previous, previous_type = "O", ""
    for step, tag in enumerate([*tags, "O"]):
        prefix, _, type_ = tag.partition("-") if tag != "O" else ("O", "", "")
        prefix = {"L": "E", "U": "S", "W": "S", "M": "I"}.get(prefix, prefix)
        breaks = prefix in "OBS" or previous in "OES" or type_ != previous_type
        if start is not None and breaks:
            spans.append((start, step, previous_type))
            start = None
        if start is None and prefix != "O":
            start = step
        previous, previous_type = prefix, type_
    return spans


def span_tally(gold: Iterable[Span], predicted: Iterable[Span]) -> Tally:
    """How many spans there are, how many were predicted and how many of those are right, by type.

    A span counts as right where its first step, its end and its type are.
    """
    expected, answered = set(gold), set(predicted)
    tally: Counter[Hashable] = Counter()
    for name, spans in (("gold", expected), ("predicted", answered), ("right", expected & answered)):
        for _, _, type_ in spans:
            tally[name, type_] += 1
    return tally


def f1_of(right: float, predicted: float, gold: float) -> tuple[float, float, float]:
    """Precision, recall and F1 of counts; precision and F1 are 0 where nothing was predicted.

    Example:
        >>> f1_of(right=1, predicted=2, gold=1)
        (0.5, 1.0, 0.6666666666666666)
    """
    precision = right / predicted if predicted else 0.0
    recall = right / gold if gold else math.nan
    return precision, recall, 2 * right / (predicted + gold) if predicted + gold else math.nan


def _sums(tally: Tally, type_: str | None = None) -> tuple[float, float, float]:
    """Spans that are right, that were predicted and that there are, of one type or of all."""
    right, predicted, gold = (
        sum(
            count
            for key, count in tally.items()
            if isinstance(key, tuple) and key[0] == name and type_ in (None, key[1])
        )
        for name in ("right", "predicted", "gold")
    )
    return right, predicted, gold


def span_f1(
    gold: Callable[[R], Iterable[Span]], predicted: Callable[[P], Iterable[Span]], name: str = "f1", label: str = "F1"
) -> Metric[R, P]:
    """F1 over all spans, and a table of precision, recall and F1 by type.

        precision = right / predicted,   recall = right / gold,   F1 = 2 right / (predicted + gold)

    Args:
        gold: The spans of an example.
        predicted: The spans of an answer.
        name: The metric's name.
        label: What it is called on the screen.
    """

    def table(tally: Tally) -> list[Row]:
        types = sorted({key[1] for key in tally if isinstance(key, tuple)})
        rows = []
        for type_ in types:
            right, found, there = _sums(tally, type_)
            precision, recall, f1 = f1_of(right, found, there)
            figures = {"precision": precision, "recall": recall, "F1": f1, "spans": int(there), "predicted": int(found)}
            rows.append(Row(type_, figures))
        return rows

    return Metric(
        name,
        label,
        lambda example, answer: span_tally(gold(example), predicted(answer)),
        lambda tally: f1_of(*_sums(tally))[2],
        table=table,
    )
