"""How good translations are by the length of what they translate."""

from __future__ import annotations

import bisect
from collections.abc import Callable, Hashable
from dataclasses import replace
from typing import TypeVar

from recurra.metrics.chart import Chart, Curve
from recurra.metrics.metric import Metric, Tally
from recurra.metrics.translation import TranslationScore

__all__ = ["by_length"]

R = TypeVar("R")
P = TypeVar("P")

LIMITS = (5, 10, 15, 20, 30, 40, 50)
"""The most words of a sentence of each class of lengths; the last has no limit."""


def by_length(
    score: TranslationScore, expected: Callable[[R], str], answered: Callable[[P], str], read: Callable[[R], str]
) -> Metric[R, P]:
    """A score of translations that also draws its figure by the length of the sentence.

    Each sentence is counted once in all and once in its class of lengths, so that the tallies add up as before.

    Args:
        score: The score.
        expected: The reference of an example.
        answered: The translation in an answer.
        read: The sentence that is translated.

    Example:
        >>> from recurra.metrics import add
        >>> from recurra.metrics.translation import chrf
        >>> metric = by_length(chrf(), lambda pair: pair[1], lambda answer: answer, lambda pair: pair[0])
        >>> pairs = [("Zwei Hunde.", "Two dogs."), ("Ein Mann schläft auf der Bank.", "A man sleeps on a bench.")]
        >>> total = add(metric.tally(pair, pair[1]) for pair in pairs)
        >>> [chart] = metric.charts(total)
        >>> chart.categories, chart.curves[0].y
        (('1–5', '6–10'), (100.0, 100.0))
    """
    plain: Metric[R, P] = score.metric(expected, answered)

    def tally(example: R, answer: P) -> Tally:
        counts = score.tally(expected(example), answered(answer))
        length = bisect.bisect_left(LIMITS, len(read(example).split()))
        return {**counts, **{("length", length, name): count for name, count in counts.items()}}

    def charts(total: Tally) -> list[Chart]:
        parts = {length: part for length in range(len(LIMITS) + 1) if (part := _of_length(total, length))}
        if len(parts) < 2:
            return []
        sentences = sum(part["sentences"] for part in parts.values())
        curve = Curve(
            score.label,
            tuple(range(len(parts))),
            tuple(score.value(part) for part in parts.values()),
            tuple(part["sentences"] / sentences for part in parts.values()),
        )
        title = f"{score.label} by length; the area of a dot is its share of {sentences:,} sentences"
        names = tuple(map(_name_of, parts))
        return [
            Chart(f"{score.name}-by-length", title, "words of the sentence", score.label, [curve], categories=names)
        ]

    return replace(plain, tally=tally, charts=charts, coarsened=_in_all)


def _of_length(total: Tally, length: int) -> dict[Hashable, float]:
    """What was counted of sentences of a class of lengths."""
    return {key[2]: count for key, count in total.items() if isinstance(key, tuple) and key[1] == length}


def _in_all(tally: Tally) -> Tally:
    return {key: count for key, count in tally.items() if not isinstance(key, tuple)}


def _name_of(length: int) -> str:
    first = LIMITS[length - 1] + 1 if length else 1
    return f"{first}–{LIMITS[length]}" if length < len(LIMITS) else f"{first} or more"
