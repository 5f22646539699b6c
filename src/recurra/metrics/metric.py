"""A metric: additive tallies of examples and answers, and the figure that follows from their sum."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Literal, Self, TypeVar

from recurra.metrics.chart import Chart, Matrix

__all__ = ["Metric", "Row", "Tally", "add"]

R_contra = TypeVar("R_contra", contravariant=True)
P_contra = TypeVar("P_contra", contravariant=True)

Tally = Mapping[Hashable, float]
"""Counts by name, such as how many spans are right. The tally of two examples is the sum of their tallies, so that
batches, files and processes add up, and an interval can be drawn by counting each example more or less often."""


@dataclass(frozen=True)
class Row:
    """A row of a metric's table, such as one class.

    Args:
        name: What the row is about.
        figures: Its figures by column.
    """

    name: str
    figures: Mapping[str, float]


@dataclass(frozen=True)
class Metric(Generic[R_contra, P_contra]):
    """A figure that says how good answers are.

    Args:
        name: Its key among the metrics of a validation, and what `--select-by` takes.
        label: What it is called on the screen.
        tally: From an example and the model's answer to it, what is counted; None for a metric that follows from the
            loss, whose tally is that of batches: their `nats` and their `items`.
        value: From the sum of tallies, the figure; NaN where nothing was counted that it could follow from.
        better: Whether a lower or a higher figure is better.
        format: Format specification of the figure.
        table: From the sum of tallies, figures by class; None for a metric without.
        matrix: From the sum of tallies, counts of pairs of classes; None for a metric without.
        charts: From the sum of tallies, what there is to draw; None for a metric without.
        coarsened: A tally with fewer different names, on which the interval is drawn where an example has a name of
            its own in the tally, so that the replicates stay small; None for the tally itself.
        from_loss: What it follows from the mean loss by, so that it can be shown while training goes on.
        detail: Whether it is told by an evaluation only, and not while training goes on.
        signature: How it is measured, as whoever reports the figure says beside it; empty where the name says it all.
        items: From a batch, how many items its loss is per, for a metric that follows from the loss per something else
            than the loss counts; None for what the loss counts.

    Example:
        >>> accuracy = Metric(
        ...     "accuracy", "accuracy", lambda label, answer: {"right": label == answer, "all": 1},
        ...     lambda tally: tally["right"] / tally["all"], format=".1%",
        ... )
        >>> total = add(accuracy.tally(*pair) for pair in [("cat", "cat"), ("dog", "cat")])
        >>> accuracy.show(accuracy.value(total))
        '50.0%'
    """

    name: str
    label: str
    tally: Callable[[R_contra, P_contra], Tally] | None
    value: Callable[[Tally], float]
    better: Literal["lower", "higher"] = "higher"
    format: str = ".2%"
    table: Callable[[Tally], Sequence[Row]] | None = None
    matrix: Callable[[Tally], Matrix] | None = None
    charts: Callable[[Tally], Sequence[Chart]] | None = None
    coarsened: Callable[[Tally], Tally] | None = None
    from_loss: Callable[[float], float] | None = None
    items: Callable[[Any], float] | None = None
    detail: bool = False
    signature: str = ""

    @classmethod
    def of_loss(
        cls,
        name: str,
        label: str,
        from_loss: Callable[[float], float],
        format: str = ".3f",
        items: Callable[[Any], float] | None = None,
    ) -> Self:
        """A metric that follows from the mean loss in nats; the lower, the better.

        Example:
            >>> import math
            >>> Metric.of_loss("perplexity", "perplexity", math.exp, ".1f").value({"nats": 4.0, "items": 2})
            7.38905609893065
        """
        return cls(
            name,
            label,
            None,
            lambda tally: from_loss(tally["nats"] / tally["items"]) if tally["items"] else math.nan,
            "lower",
            format,
            # What the loss counts is not what this one is per, so that the loss alone does not give it.
            from_loss=from_loss if items is None else None,
            items=items,
        )

    def show(self, value: float) -> str:
        """The figure as text."""
        return format(value, self.format)


def add(tallies: Iterable[Tally]) -> Counter[Hashable]:
    """The sum of tallies; what none of them counts is 0.

    Example:
        >>> sorted(add([{"right": 1, "all": 1}, {"all": 1}]).items())
        [('all', 2), ('right', 1)]
    """
    total: Counter[Hashable] = Counter()
    for tally in tallies:
        for key, count in tally.items():
            total[key] += count  # type: ignore[assignment]  # a Counter of floats adds up just as well
    return total
