"""Thresholds: from which probability on a class is given."""

from __future__ import annotations

from collections.abc import Sequence

from recurra.errors import ShapeError

__all__ = ["best_f1_threshold"]


def best_f1_threshold(probabilities: Sequence[float], right: Sequence[bool]) -> float:
    """The threshold that gives the highest F1 on examples whose answers are known.

        F1 = 2 right given / (given + right)

    It lies midway between two probabilities; of several as good the one nearest to 0.5 is taken. Lipton, Elkan and
    Naryanaswamy, "Optimal thresholding of classifiers to maximize F1 measure", ECML PKDD 2014.

    Args:
        probabilities: The probability of the class in each example.
        right: Whether the example has it.

    Returns:
        The threshold, above 0 and below 1; 0.5 where no example has the class.

    Raises:
        ShapeError: There are not as many of both.

    Example:
        >>> best_f1_threshold([0.9, 0.3, 0.2, 0.1], [True, True, False, False])
        0.25
    """
    if len(probabilities) != len(right):
        raise ShapeError(f"there are {len(probabilities)} probabilities and {len(right)} outcomes; give one for each")
    total = sum(map(bool, right))
    if not total:
        return 0.5
    ranked = sorted(zip(probabilities, right, strict=True), key=lambda pair: -pair[0])
    best, threshold, hits = 0.0, 0.5, 0
    for given, (probability, is_right) in enumerate(ranked, 1):
        hits += bool(is_right)
        following = ranked[given][0] if given < len(ranked) else 0.0
        midway = (probability + following) / 2
        if not following < midway < probability:  # equal, or neighbours among floating-point numbers
            continue
        score = 2 * hits / (given + total)
        if score > best or (score == best and abs(midway - 0.5) < abs(threshold - 0.5)):
            best, threshold = score, midway
    return threshold
