"""Reliability: whether of what is said with 80% four in five come true.

Guo et al., "On calibration of modern neural networks", ICML 2017; Niculescu-Mizil and Caruana, "Predicting good
probabilities with supervised learning", ICML 2005.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable
from typing import NamedTuple, TypeVar

from recurra.errors import SettingError
from recurra.metrics.chart import Chart, Curve
from recurra.metrics.metric import Metric, Tally

__all__ = ["calibration_error"]

R = TypeVar("R")
P = TypeVar("P")

AFTER, BEFORE = "calibrated", "before"


class _Bin(NamedTuple):
    """What was said in a bin, and what came true, both summed; and of how many."""

    said: float
    right: float
    size: float


def calibration_error(
    right: Callable[[R, P], bool],
    said: Callable[[P], float | None],
    before: Callable[[P], float | None] = lambda answer: None,
    bins: int = 15,
) -> Metric[R, P]:
    """The expected calibration error: how far, on average, what came true is from what was said.

        ECE = Σ_bins share of the bin · | mean probability - share that came true |,   bins of equal width

    Above 0 it is for perfect probabilities, too, by the chance within the bins; its bootstrap interval lies higher than
    the figure for the same reason.

    Args:
        right: Whether an answer to an example is right.
        said: The probability of what was answered; None for an answer without.
        before: What it was before calibration, to be drawn beside it; None where that is not known.
        bins: How many bins there are from 0 to 1.

    Returns:
        The metric, with the reliability curve as its chart.

    Raises:
        SettingError: There are no bins.

    Example:
        >>> from recurra.metrics import add
        >>> metric = calibration_error(lambda example, answer: example, lambda answer: answer)
        >>> round(metric.value(add(metric.tally(*pair) for pair in [(True, 0.9), (False, 0.9), (True, 0.6)])), 4)
        0.4
    """
    if bins < 1:
        raise SettingError(f"bins is {bins}; it is a whole number from 1")

    def tally(example: R, answer: P) -> dict[Hashable, float]:
        counted: dict[Hashable, float] = {}
        for which, probability in ((AFTER, said(answer)), (BEFORE, before(answer))):
            if probability is not None:
                place = max(0, min(math.ceil(probability * bins) - 1, bins - 1))  # 0.6 closes its bin, as Guo et al. do
                counted[which, place, "said"] = probability
                counted[which, place, "right"] = float(right(example, answer))
                counted[which, place, "size"] = 1
        return counted

    def charts(tally: Tally) -> list[Chart]:
        curves = [
            _curve(name, _bins(tally, which, bins))
            for which, name in ((BEFORE, "before calibration"), (AFTER, "calibrated"))
            if any(part.size for part in _bins(tally, which, bins))
        ]
        if not curves:
            return []
        return [
            Chart(
                "reliability",
                "Reliability: how often answers of each probability are right",
                "probability of the answer",
                "share of them that is right",
                curves,
                Curve("perfect", (0, 1), (0, 1)),
            )
        ]

    return Metric(
        "calibration_error",
        "ECE",
        tally,
        lambda tally: _error(_bins(tally, AFTER, bins)),
        better="lower",
        detail=True,
        charts=charts,
    )


def _bins(tally: Tally, which: str, bins: int) -> list[_Bin]:
    return [_Bin(*(tally.get((which, place, what), 0) for what in _Bin._fields)) for place in range(bins)]


def _error(parts: list[_Bin]) -> float:
    size = sum(part.size for part in parts)
    return sum(abs(part.said - part.right) for part in parts) / size if size else math.nan


def _curve(name: str, parts: list[_Bin]) -> Curve:
    filled = [part for part in parts if part.size]
    total = sum(part.size for part in filled)
    return Curve(
        f"{name}: ECE {_error(parts):.2%}",
        [part.said / part.size for part in filled],
        [part.right / part.size for part in filled],
        [part.size / total for part in filled],
    )
