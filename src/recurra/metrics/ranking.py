"""Ranking: how well a score tells the examples of one class from the others, wherever the threshold is put.

Fawcett, "An introduction to ROC analysis", Pattern Recognition Letters 2006; Davis and Goadrich, "The relationship
between precision-recall and ROC curves", ICML 2006.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Hashable
from typing import NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from recurra.metrics.chart import Chart, Curve
from recurra.metrics.metric import Metric, Tally

__all__ = ["area_under_roc", "average_precision", "roc_auc"]

R = TypeVar("R")
P = TypeVar("P")

POINTS = 500
"""The most points of a curve that is drawn."""

STEPS_PER_NAT, FURTHEST = 32, 16.0
"""The grid on which intervals are drawn: steps of the log-odds of a score, and where they end."""


class _Outcomes(NamedTuple):
    """Counts by score, from the highest: of the examples of the class, and of the others."""

    positives: npt.NDArray[np.float64]
    negatives: npt.NDArray[np.float64]


def area_under_roc(
    positive: Callable[[R], bool | None], score: Callable[[P], float | None], label: str = "AUROC"
) -> Metric[R, P]:
    """The area under the ROC curve: how often an example of the class scores higher than one of the others.

        AUROC = P(score⁺ > score⁻) + P(score⁺ = score⁻) / 2

    0.5 is chance, and the balance of the classes does not matter. It is exact: equal scores count one half. Intervals
    are drawn on scores rounded to 1/32 nat of their log-odds, so that memory does not grow with the examples.

    Args:
        positive: Whether an example is of the class; None for one that counts for nothing.
        score: The probability of the class in an answer, from 0 to 1; None for an answer without.
        label: What it is called on the screen.

    Returns:
        The metric, with the ROC curve as its chart. Of examples that are all of the class, or none, it is NaN.

    Example:
        >>> from recurra.metrics import add
        >>> metric = area_under_roc(lambda example: example, lambda answer: answer)
        >>> metric.value(add(metric.tally(*pair) for pair in [(True, 0.9), (True, 0.4), (False, 0.4), (False, 0.1)]))
        0.875
    """
    return Metric(
        "auroc",
        label,
        _tally(positive, score),
        lambda tally: roc_auc(*_outcomes(tally)),
        format=".4f",
        detail=True,
        coarsened=_coarsened,
        charts=lambda tally: _roc_chart(tally, label),
    )


def average_precision(
    positive: Callable[[R], bool | None], score: Callable[[P], float | None], label: str = "average precision"
) -> Metric[R, P]:
    """The average precision: the precision at every threshold, weighed by the recall that it adds.

        AP = Σ_thresholds (recall_n - recall_n-1) precision_n,   from the highest score down

    A rule that knows nothing has the share of the class. Unlike the area under a line drawn from point to point it is
    no better than what was measured; equal scores share a threshold.

    Args:
        positive: Whether an example is of the class; None for one that counts for nothing.
        score: The probability of the class in an answer, from 0 to 1; None for an answer without.
        label: What it is called on the screen.

    Returns:
        The metric, with the curve of precision over recall as its chart. Without an example of the class it is NaN.

    Example:
        >>> from recurra.metrics import add
        >>> metric = average_precision(lambda example: example, lambda answer: answer)
        >>> metric.value(add(metric.tally(*pair) for pair in [(True, 0.9), (True, 0.4), (False, 0.4), (False, 0.1)]))
        0.8333333333333333
    """
    return Metric(
        "average_precision",
        label,
        _tally(positive, score),
        lambda tally: _average_precision(*_outcomes(tally)),
        format=".4f",
        detail=True,
        coarsened=_coarsened,
        charts=lambda tally: _precision_chart(tally, label),
    )


def roc_auc(positives: npt.NDArray[np.float64], negatives: npt.NDArray[np.float64]) -> float:
    """The area under the ROC curve from counts by score, from the highest score; see `area_under_roc`."""
    pairs = positives.sum() * negatives.sum()
    if not pairs:
        return math.nan
    below = negatives.sum() - negatives.cumsum()
    return float((positives * (below + negatives / 2)).sum() / pairs)


def _average_precision(positives: npt.NDArray[np.float64], negatives: npt.NDArray[np.float64]) -> float:
    if not positives.sum():
        return math.nan
    above = (positives + negatives).cumsum()
    precision = np.divide(positives.cumsum(), above, out=np.zeros_like(above), where=above > 0)
    return float((positives * precision).sum() / positives.sum())


def _tally(
    positive: Callable[[R], bool | None], score: Callable[[P], float | None]
) -> Callable[[R, P], dict[Hashable, float]]:
    def tally(example: R, answer: P) -> dict[Hashable, float]:
        is_positive, of_class = positive(example), score(answer)
        return {} if is_positive is None or of_class is None else {(of_class, is_positive): 1}

    return tally


def _coarsened(tally: Tally) -> Tally:
    """The same counts by scores on a grid."""
    coarse: Counter[Hashable] = Counter()
    for key, count in tally.items():
        assert isinstance(key, tuple)
        coarse[_on_grid(key[0]), key[1]] += count  # type: ignore[assignment]
    return coarse


def _on_grid(score: float) -> int:
    if not 0 < score < 1:
        return round(STEPS_PER_NAT * (FURTHEST if score >= 1 else -FURTHEST))
    return round(STEPS_PER_NAT * max(-FURTHEST, min(FURTHEST, math.log(score / (1 - score)))))


def _outcomes(tally: Tally) -> _Outcomes:
    """The counts of a tally by score, from the highest."""
    sums: dict[float, list[float]] = {}
    for key, count in tally.items():
        assert isinstance(key, tuple)
        sums.setdefault(key[0], [0.0, 0.0])[key[1]] += count
    counts = np.array([sums[score] for score in sorted(sums, reverse=True)]).reshape(-1, 2)
    return _Outcomes(counts[:, 1], counts[:, 0])


def _roc_chart(tally: Tally, label: str) -> list[Chart]:
    positives, negatives = _outcomes(tally)
    if not positives.sum() or not negatives.sum():
        return []
    rates = [np.concatenate([[0.0], counts.cumsum() / counts.sum()]) for counts in (negatives, positives)]
    curve = _curve(f"{label} {roc_auc(positives, negatives):.4f}", rates[0], rates[1])
    return [
        Chart(
            "roc",
            "ROC curve",
            "false positive rate",
            "true positive rate",
            [curve],
            Curve("chance", (0, 1), (0, 1)),
        )
    ]


def _precision_chart(tally: Tally, label: str) -> list[Chart]:
    positives, negatives = _outcomes(tally)
    if not positives.sum():
        return []
    recall, precision = positives.cumsum() / positives.sum(), positives.cumsum() / (positives + negatives).cumsum()
    share = float(positives.sum() / (positives.sum() + negatives.sum()))
    first = np.concatenate([[0.0], recall]), np.concatenate([precision[:1], precision])
    return [
        Chart(
            "precision-recall",
            "Precision-recall curve",
            "recall",
            "precision",
            [_curve(f"{label} {_average_precision(positives, negatives):.4f}", *first)],
            Curve(f"chance {share:.1%}", (0, 1), (share, share)),
        )
    ]


def _curve(label: str, x: npt.NDArray[np.float64], y: npt.NDArray[np.float64]) -> Curve:
    """A curve, of very many points some, the ends among them."""
    chosen = np.unique(np.linspace(0, len(x) - 1, min(len(x), POINTS)).round().astype(int))
    return Curve(label, x[chosen].tolist(), y[chosen].tolist())
