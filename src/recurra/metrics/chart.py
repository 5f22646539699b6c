"""What a metric can show of its sum of tallies beside a figure: a matrix of counts, and curves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Chart", "Curve", "Matrix"]


@dataclass(frozen=True)
class Matrix:
    """Counts of pairs of classes, such as a confusion matrix.

    Args:
        name: What it is, in a word or two: the name of its file.
        classes: The classes, in the order of rows and columns.
        counts: How many examples of each class (a row) have each class for an answer (a column).
    """

    name: str
    classes: Sequence[str]
    counts: Sequence[Sequence[int]]


@dataclass(frozen=True)
class Curve:
    """Points that belong together, in order.

    Args:
        label: What they are.
        x: Where, from 0 to 1; or the number of the category, from 0.
        y: How much, from 0 to 1; over categories, whatever is measured.
        shares: The share of all examples that each point stands for, for points that are no line alone; empty for a
            line.
    """

    label: str
    x: Sequence[float]
    y: Sequence[float]
    shares: Sequence[float] = ()


@dataclass(frozen=True)
class Chart:
    """Curves over two shares, or over categories.

    Args:
        name: What it is, in a word or two: the name of its file.
        title: What it shows.
        x_label: What lies along it.
        y_label: What goes up it.
        curves: The curves.
        reference: The curve of a rule that knows nothing, or of one that is perfect, to compare with.
        categories: The names of the places along it; empty where shares lie there.
    """

    name: str
    title: str
    x_label: str
    y_label: str
    curves: Sequence[Curve]
    reference: Curve | None = None
    categories: Sequence[str] = ()
