"""Operating points: what thresholds on a confidence do on the part to validate on, and which has a precision."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from recurra.decoding.calibration import wilson_lower_bound
from recurra.errors import SettingError

__all__ = [
    "OperatingPoint",
    "check_precision",
    "operating_points",
    "point_at",
    "precision_bound",
    "why_there_is_none",
]

MAX_POINTS = 200
"""Thresholds that are kept."""


class OperatingPoint(NamedTuple):
    """What a threshold does on the part to validate on.

    Args:
        threshold: The confidence from which on answers are kept.
        kept: How many of them there are.
        right: How many of those are right.
    """

    threshold: float
    kept: int
    right: int


def operating_points(outcomes: Iterable[tuple[float, bool]]) -> tuple[OperatingPoint, ...]:
    """What thresholds do, one for each confidence there is; of many, those of equally many answers.

    Args:
        outcomes: The confidence of each answer, and whether it is right.

    Returns:
        The points, from the highest threshold to the lowest, at which every answer is kept.

    Example:
        >>> [tuple(point) for point in operating_points([(0.6, False), (0.9, True), (0.6, True)])]
        [(0.9, 1, 1), (0.6, 3, 2)]
    """
    points: list[OperatingPoint] = []
    kept = right = 0
    for confidence, is_right in sorted(outcomes, reverse=True):
        kept, right = kept + 1, right + is_right
        if points and points[-1].threshold == confidence:
            points.pop()
        points.append(OperatingPoint(confidence, kept, right))
    stride = -(-len(points) // MAX_POINTS)
    return tuple(points[::-1][::stride][::-1])


def check_precision(precision: float) -> None:
    """Refuse what is no precision.

    Raises:
        SettingError: It is not between 0 and 1.
    """
    if not 0 < precision < 1:
        raise SettingError(f"precision is {precision}; it is a number above 0 and below 1, such as 0.95")


def precision_bound(point: OperatingPoint, effect: float = 1.0) -> float:
    """The precision of which one can be 95% sure at a threshold.

    Args:
        point: The threshold, and what it does.
        effect: The design effect: answers of a group are right or wrong together, so that many tell no more than fewer
            independent ones would.
    """
    return wilson_lower_bound(point.right / effect, point.kept / effect)


def point_at(points: Sequence[OperatingPoint], effect: float, precision: float) -> OperatingPoint | None:
    """The lowest threshold at which one can be 95% sure of a precision; None where there is none.

    Example:
        >>> points = operating_points([(0.9, True)] * 100 + [(0.6, number % 2 > 0) for number in range(100)])
        >>> point_at(points, 1.0, 0.95), point_at(points, 1.0, 0.98)
        (OperatingPoint(threshold=0.9, kept=100, right=100), None)
    """
    supported = [point for point in points if precision_bound(point, effect) >= precision]
    return supported[-1] if supported else None


def why_there_is_none(points: Sequence[OperatingPoint], effect: float, precision: float, subject: str) -> str:
    """Why no threshold has a precision, in words.

    Args:
        points: What thresholds do; at least one.
        effect: The design effect.
        precision: What was asked for.
        subject: What was counted, such as "answers on the part validated on".
    """
    everything = points[-1]
    reason = f"{everything.kept:,} {subject}"
    if precision_bound(everything._replace(right=everything.kept), effect) < precision:
        return f"{reason} are too few to be sure of a precision of {precision:.4g}"
    best = max(precision_bound(point, effect) for point in points)
    return f"{reason} support no precision above {math.floor(100 * best) / 100:.2f}"
