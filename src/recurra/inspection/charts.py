"""Pictures of classifiers: a confusion matrix, curves over shares, reading traces. They take matplotlib."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from recurra.inspection.pictures import LONGEST, check_picture, encoded, new_figure, save
from recurra.training.curves import QUIET, TRAINING, VALIDATION
from recurra.training.figures import one_line

if TYPE_CHECKING:
    from recurra.inspection.reading import Reading
    from recurra.metrics import Chart, Curve, Matrix

__all__ = ["draw_chart", "draw_matrix", "draw_readings"]

COLOURS = (VALIDATION, TRAINING)
"""Of the curves, from the last to the first: the last is what counts."""

NUMBERED = 30
"""The most classes whose counts are written into a matrix."""

PANELS = 12
"""The most sequences of a picture."""

NAME = 24
"""The most characters of a class beside a matrix."""


def draw_matrix(matrix: Matrix, path: str | Path) -> None:
    """Draw counts of pairs of classes as a picture: each row shaded by its shares, the counts written in.

    Args:
        matrix: The counts.
        path: Where the picture goes: .png, .pdf or .svg.

    Raises:
        SettingError: matplotlib is missing, or the file's name ends in no kind of picture.
        RunError: The file cannot be written.
    """
    check_picture(path)
    size = len(matrix.classes)
    counts = np.array(matrix.counts, dtype=np.float64).reshape(size, size)
    totals = counts.sum(1, keepdims=True)
    shares = np.divide(counts, totals, out=np.zeros_like(counts), where=totals > 0)
    side = min(max(2.6, 0.62 * size), 16.0)
    figure = new_figure(side + 2.2, side + 1.2)
    axes = figure.add_subplot()
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, interpolation="nearest")
    if size <= NUMBERED:
        for row, column in np.ndindex(size, size):
            colour = "white" if shares[row, column] > 0.55 else "black" if counts[row, column] else "#bbbbbb"
            text = f"{matrix.counts[row][column]:,}"
            if size <= 8 and totals[row, 0]:
                text += f"\n{shares[row, column]:.1%}"
            axes.text(column, row, text, ha="center", va="center", fontsize=9, color=colour)
    names = [_escaped(one_line(name, NAME)) for name in matrix.classes]
    turn: dict[str, Any] = {"rotation": 45, "ha": "right", "rotation_mode": "anchor"} if size > 3 else {}
    axes.set_xticks(range(size), names, fontsize=9, **turn)
    axes.set_yticks(range(size), names, fontsize=9)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set_xlabel("answered", fontsize=9)
    axes.set_ylabel("expected", fontsize=9)
    bar = figure.colorbar(image, ax=axes, pad=0.03, fraction=0.046, format=lambda share, _: f"{share:.0%}")
    bar.ax.tick_params(labelsize=8, length=0)
    bar.outline.set_visible(False)
    axes.set_title("Confusion matrix, shares of each row", fontsize=10, loc="left")
    save(figure, path)


def draw_chart(chart: Chart, path: str | Path) -> None:
    """Draw curves over shares or over categories as a picture.

    Points that stand for shares of the examples are dots whose area says how many.

    Args:
        chart: The curves.
        path: Where the picture goes: .png, .pdf or .svg.

    Raises:
        SettingError: matplotlib is missing, or the file's name ends in no kind of picture.
        RunError: The file cannot be written.
    """
    check_picture(path)
    figure = new_figure(5.6, 5.2)
    axes = figure.add_subplot()
    if chart.reference is not None:
        _draw(axes, chart.reference, QUIET, linestyle="--", linewidth=1.0)
    for place, curve in enumerate(reversed(chart.curves)):
        _draw(axes, curve, COLOURS[place % len(COLOURS)], zorder=5 - place)
    if chart.categories:
        _set_categories(axes, chart)
    else:
        axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), aspect="equal")
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(lambda share, _: f"{share:.0%}")
    axes.set_xlabel(chart.x_label, fontsize=9)
    axes.set_ylabel(chart.y_label, fontsize=9)
    axes.tick_params(labelsize=8)
    axes.set_title(chart.title, fontsize=10, loc="left")
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    lines, labels = axes.get_legend_handles_labels()
    first = 0 if chart.reference is None else 1  # the reference is drawn first, and named last
    if len(lines) > 1:
        axes.legend([*lines[first:], *lines[:first]], [*labels[first:], *labels[:first]], fontsize=8.5, frameon=False)
    save(figure, path)


def _set_categories(axes: Any, chart: Chart) -> None:  # noqa: ANN401  (matplotlib's)
    """Name the places along it, and write each figure above its point."""
    axes.set_xticks(range(len(chart.categories)), [_escaped(one_line(name, NAME)) for name in chart.categories])
    axes.set_xlim(-0.5, len(chart.categories) - 0.5)
    highest = max((max(curve.y, default=0.0) for curve in chart.curves), default=0.0)
    axes.set_ylim(0, 1.2 * highest or 100.0)  # of figures that all are 0, the axis of a score of 100
    for curve in chart.curves:
        for x, y in zip(curve.x, curve.y, strict=True):
            label = axes.annotate(f"{y:.1f}", (x, y), (0, 11), textcoords="offset points", ha="center", fontsize=8.5)
            label.set_bbox({"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 0.8})


def draw_readings(readings: Sequence[Reading]) -> bytes:
    """Draw what a classifier holds after each step of sequences as one picture in PNG, a panel each.

    The line is the probability of the answer, the bars are what it loses without the step, and the step that turned the
    answer is marked.

    Args:
        readings: Of at least one sequence; those after the first 12, and those without a step, are left out.

    Raises:
        SettingError: matplotlib is missing.
    """
    check_picture("readings.png")
    shown = [reading for reading in readings if reading.steps][:PANELS] or readings[:1]
    longest = max(len(reading.steps) for reading in shown)
    figure = new_figure(min(max(5.5, 1.5 + 0.36 * longest), 24.0), 3.3 * len(shown))
    for axes, reading in zip(figure.subplots(len(shown), squeeze=False)[:, 0], shown, strict=True):
        _draw_reading(axes, reading)
        axes.set_xlim(-1.6, max(longest, 1) - 0.4)  # a word is as wide in every panel
    return encoded(figure)


def _draw_reading(axes: Any, reading: Reading) -> None:  # noqa: ANN401  (matplotlib's)
    name, course = _escaped(one_line(reading.names[reading.answer], NAME)), reading.course
    places = range(len(course))
    axes.axhline(0, color=QUIET, linewidth=0.8)
    axes.bar(places, reading.effects, width=0.62, color=TRAINING, alpha=0.35, label="lost without the word")
    start = reading.before[reading.answer]
    axes.plot([-1, *places], [start, *course], color=VALIDATION, linewidth=1.8, label=f"{name}, so far")
    axes.plot(-1, start, "o", color="white", markeredgecolor=VALIDATION, ms=5, zorder=4)
    axes.plot(places, course, "o", color=VALIDATION, ms=4, zorder=4)
    if reading.turn is not None:
        axes.plot(reading.turn, course[reading.turn], "*", color=VALIDATION, ms=15, zorder=5, label="turned by")
    lowest = min([0.0, *reading.effects])
    axes.set_ylim(min(-0.02, 1.1 * lowest), 1.04)
    axes.yaxis.set_major_formatter(lambda share, _: f"{share:.0%}")
    if len(course) <= LONGEST:
        axes.set_xticks(
            [-1, *places],
            ["(before)", *(_escaped(one_line(step, NAME)) for step in reading.steps)],
            fontsize=9,
            rotation=45,
            ha="right",
            rotation_mode="anchor",
        )
        axes.get_xticklabels()[0].set_color(QUIET)
        if reading.turn is not None:
            axes.get_xticklabels()[reading.turn + 1].set(color=VALIDATION, fontweight="bold")
    axes.tick_params(length=0, labelsize=8.5)
    axes.grid(alpha=0.25, axis="y")
    axes.spines[["top", "right", "bottom"]].set_visible(False)
    how = "in one pass" if reading.one_pass else "each prefix read again"
    final = f"{course[-1]:.1%}" if course else f"{start:.1%}"
    axes.set_title(f"{name} {final}: after each word ({how})", fontsize=10, loc="left")
    axes.legend(fontsize=8, frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0), borderaxespad=0.3)


def _draw(axes: Any, curve: Curve, colour: str, **style: Any) -> None:  # noqa: ANN401  (matplotlib's)
    axes.plot(curve.x, curve.y, label=_escaped(curve.label), color=colour, **{"linewidth": 1.8, **style})
    if curve.shares:
        areas = [12 + 260 * share for share in curve.shares]
        edge = {"edgecolors": "white", "linewidths": 0.6, "zorder": style.get("zorder", 3) + 0.1}
        axes.scatter(curve.x, curve.y, areas, color=colour, **edge)


def _escaped(text: str) -> str:
    """A text that matplotlib takes for no formula, in which nothing is invisible."""
    return one_line(text).replace("$", r"\$")
