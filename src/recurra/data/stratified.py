"""A part of the examples that has its share of every class, and no group that the rest has, too."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence

__all__ = ["stratified_part"]


def stratified_part(
    groups: Sequence[Sequence[int]], classes: Sequence[Sequence[Hashable]], fraction: float
) -> list[int]:
    """The examples of a part that has its share of every class.

    Every class has a quota, its share of the examples rounded so that the quotas add up (largest remainders); none is
    the whole class. Groups are gone through from the last to the first, those of the rarest class before the others, as
    in Sechidis, Tsoumakas and Vlahavas, "On the stratification of multi-label data", ECML PKDD 2011; one that brings
    the part nearer to its quotas is taken. Where examples have one class each and no group, every quota is met.

    Args:
        groups: The examples of each group, in order; an example without a group is one of its own. The first group is
            never taken, so that something is left.
        classes: The classes of each example; one that has none counts as a class of its own.
        fraction: The share of the part, between 0 and 1.

    Returns:
        The examples of the part, in order; never none where there are two groups.

    Example:
        >>> stratified_part([[0], [1], [2], [3], [4], [5]], ["a", "b", "b", "a", "b", "b"], 0.5)
        [3, 4, 5]
    """
    members = [Counter(name for example in group for name in classes[example] or (None,)) for group in groups]
    counts: Counter[Hashable] = Counter()
    for member in members:
        counts.update(member)
    missing = _quotas(counts, fraction)
    by_class: dict[Hashable, list[int]] = {name: [] for name in counts}
    for place in range(len(groups) - 1, 0, -1):
        for name in members[place]:
            by_class[name].append(place)
    taken: set[int] = set()
    for name in sorted(counts, key=counts.__getitem__):
        for place in by_class[name]:
            if missing[name] <= 0:
                break
            if place not in taken and _gain(missing, members[place], counts) > 1e-9:
                taken.add(place)
                missing = {**missing, **{one: missing[one] - count for one, count in members[place].items()}}
    if not taken and len(groups) > 1:
        taken.add(max(range(len(groups) - 1, 0, -1), key=lambda place: _gain(missing, members[place], counts)))
    return sorted(example for place in taken for example in groups[place])


def _quotas(counts: Mapping[Hashable, int], fraction: float) -> dict[Hashable, int]:
    """How many examples of each class the part is to have, by largest remainders."""
    shares = {name: round(fraction * count, 9) for name, count in counts.items()}
    quotas = {name: math.floor(share) for name, share in shares.items()}
    left = max(1, round(fraction * sum(counts.values()))) - sum(quotas.values())
    for name in sorted(shares, key=lambda name: quotas[name] - shares[name]):
        if left > 0 and quotas[name] < min(shares[name], counts[name] - 1):
            quotas[name] += 1
            left -= 1
    return {name: min(quota, counts[name] - 1) for name, quota in quotas.items()}


def _gain(missing: Mapping[Hashable, int], member: Mapping[Hashable, int], counts: Mapping[Hashable, int]) -> float:
    """How much nearer to its quotas a group brings the part, each measured by the size of its class."""
    return sum((abs(missing[name]) - abs(missing[name] - count)) / counts[name] for name, count in member.items())
