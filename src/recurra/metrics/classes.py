"""Metrics of classes: accuracy, and the F1 of classes that count the same, whatever their size; what is confused."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable
from typing import TypeVar

from recurra.metrics.chart import Matrix
from recurra.metrics.metric import Metric, Row, Tally
from recurra.metrics.spans import f1_of

__all__ = ["class_accuracy", "macro_f1"]

R = TypeVar("R")
P = TypeVar("P")


def class_accuracy(expected: Callable[[R], Hashable], answered: Callable[[P], Hashable]) -> Metric[R, P]:
    """The share of examples whose class is answered.

    Args:
        expected: The class of an example.
        answered: The class of an answer.
    """
    return Metric(
        "accuracy",
        "accuracy",
        lambda example, answer: {"right": expected(example) == answered(answer), "all": 1},
        lambda tally: tally["right"] / tally["all"] if tally["all"] else math.nan,
    )


def macro_f1(expected: Callable[[R], str], answered: Callable[[P], str]) -> Metric[R, P]:
    """The mean of the F1 of every class that examples have; a table by class, and the confusion matrix.

        precision = right / answered,   recall = right / expected,   F1 = 2 right / (answered + expected)

    Args:
        expected: The class of an example.
        answered: The class of an answer.

    Example:
        >>> from recurra.metrics import add
        >>> metric = macro_f1(lambda example: example, lambda answer: answer)
        >>> total = add(metric.tally(*pair) for pair in [("a", "a"), ("a", "b"), ("b", "b")])
        >>> round(metric.value(total), 4), metric.table(total)[0].figures["recall"]
        (0.6667, 0.5)
    """

    def tally(example: R, answer: P) -> dict[Hashable, float]:
        return {(expected(example), answered(answer)): 1}

    def classes(counts: Tally) -> list[str]:
        return sorted({name for pair in counts if isinstance(pair, tuple) for name in pair})

    def figures(counts: Tally, name: str) -> tuple[float, int, int]:
        pairs = {pair: count for pair, count in counts.items() if isinstance(pair, tuple)}
        gold = sum(count for pair, count in pairs.items() if pair[0] == name)
        predicted = sum(count for pair, count in pairs.items() if pair[1] == name)
        return pairs.get((name, name), 0), int(predicted), int(gold)

    def value(counts: Tally) -> float:
        scores = [f1_of(*figures(counts, name))[2] for name in classes(counts) if figures(counts, name)[2]]
        return sum(scores) / len(scores) if scores else math.nan

    def table(counts: Tally) -> list[Row]:
        rows = []
        for name in classes(counts):
            right, predicted, gold = figures(counts, name)
            precision, recall, f1 = f1_of(right, predicted, gold)
            shown = {"precision": precision, "recall": recall, "F1": f1, "texts": gold, "answered": predicted}
            rows.append(Row(name, shown))
        return rows

    def matrix(counts: Tally) -> Matrix:
        names = classes(counts)
        pairs = [[int(counts.get((gold, answer), 0)) for answer in names] for gold in names]
        return Matrix("confusion", names, pairs)

    return Metric("macro_f1", "macro F1", tally, value, table=table, matrix=matrix)
