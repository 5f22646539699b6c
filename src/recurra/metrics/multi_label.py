"""Metrics of examples that have several classes each, or none: F1 over all or by class, and whether all are right."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Hashable
from typing import Literal, TypeVar

from recurra.metrics.metric import Metric, Row, Tally
from recurra.metrics.spans import f1_of

__all__ = ["label_f1", "subset_accuracy"]

R = TypeVar("R")
P = TypeVar("P")


def subset_accuracy(expected: Callable[[R], Collection[str]], answered: Callable[[P], Collection[str]]) -> Metric[R, P]:
    """The share of examples whose classes are all answered, and no other.

    Args:
        expected: The classes of an example.
        answered: The classes of an answer.
    """
    return Metric(
        "subset_accuracy",
        "all classes right",
        lambda example, answer: {"right": set(expected(example)) == set(answered(answer)), "all": 1},
        lambda tally: tally["right"] / tally["all"] if tally["all"] else math.nan,
    )


def label_f1(
    expected: Callable[[R], Collection[str]],
    answered: Callable[[P], Collection[str]],
    average: Literal["micro", "macro"],
) -> Metric[R, P]:
    """The F1 of examples that may have several classes.

        precision = right / answered,   recall = right / expected,   F1 = 2 right / (answered + expected)

    where "micro" counts the classes of all examples together, and "macro" is the mean over the classes that examples
    have, with a table by class.

    Args:
        expected: The classes of an example.
        answered: The classes of an answer.
        average: How classes are averaged.

    Example:
        >>> from recurra.metrics import add
        >>> micro = label_f1(lambda example: example, lambda answer: answer, "micro")
        >>> round(micro.value(add(micro.tally(*pair) for pair in [("ab", "a"), ("", "b"), ("a", "a")])), 4)
        0.6667
    """

    def tally(example: R, answer: P) -> dict[Hashable, float]:
        gold, given = set(expected(example)), set(answered(answer))
        kinds = {"right": gold & given, "expected": gold, "answered": given}
        return {(kind, name): 1 for kind, names in kinds.items() for name in sorted(names)}

    def counts(total: Tally, name: str) -> tuple[int, int, int]:
        """How often a class is right, answered and expected."""
        right, given, gold = (int(total.get((kind, name), 0)) for kind in ("right", "answered", "expected"))
        return right, given, gold

    def classes(total: Tally) -> list[str]:
        return sorted({key[1] for key in total if isinstance(key, tuple)})

    def micro(total: Tally) -> float:
        sums = [sum(column) for column in zip(*(counts(total, name) for name in classes(total)), strict=True)]
        return f1_of(*sums)[2] if sums else math.nan

    def macro(total: Tally) -> float:
        scores = [f1_of(*figures)[2] for name in classes(total) if (figures := counts(total, name))[2]]
        return sum(scores) / len(scores) if scores else math.nan

    def table(total: Tally) -> list[Row]:
        rows = []
        for name in classes(total):
            right, given, gold = counts(total, name)
            precision, recall, f1 = f1_of(right, given, gold)
            shown = {"precision": precision, "recall": recall, "F1": f1, "texts": gold, "answered": given}
            rows.append(Row(name, shown))
        return rows

    if average == "micro":
        return Metric("micro_f1", "micro F1", tally, micro)
    return Metric("macro_f1", "macro F1", tally, macro, table=table)
