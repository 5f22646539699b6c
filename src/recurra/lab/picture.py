"""The picture: how every plot of the laboratory looks. Needs matplotlib, the extra `plots`; nothing else here does."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["COLOURS", "QUIET", "STYLES", "Curve", "Style", "draw_curves", "png", "reference_line"]


@dataclass(frozen=True, slots=True)
class Style:
    """How one thing looks in every picture: colour and marker both tell it apart."""

    colour: str
    marker: str = "o"
    line: str = "-"


COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#7A5195")
"""Colours that people who are colour-blind can tell apart (Okabe and Ito 2008; the pale yellow left out)."""

STYLES: dict[str, Style] = {
    "rnn": Style(COLOURS[1], "o"),
    "irnn": Style(COLOURS[6], "X"),
    "simplified-gru": Style(COLOURS[4], "^"),
    "gru": Style(COLOURS[2], "s"),
    "lstm": Style(COLOURS[0], "D"),
}
"""The cells that are in many pictures look the same in all of them."""

QUIET = "#666666"
"""The colour of what other things are compared with."""


@dataclass(frozen=True)
class Curve:
    """A curve and its label.

    Args:
        label: What it is; stands at its end.
        x: Where.
        y: How much.
        style: How it looks.
    """

    label: str
    x: Sequence[float]
    y: Sequence[float]
    style: Style


def png(title: str, draw: Callable[[Figure], None], size: tuple[float, float] = (9.0, 4.2)) -> bytes:
    """A picture as a file in PNG.

    Args:
        title: The claim, which stands above it.
        draw: Draws on the figure.
        size: Width and height in inches.
    """
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    own: Any = {
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "grid.alpha": 0.25,
        "axes.titlesize": 10,
        "axes.titlelocation": "left",
        "axes.labelsize": 9,
        "xtick.labelsize": 8.5,
        "ytick.labelsize": 8.5,
        "font.size": 9,
        "lines.linewidth": 1.8,
        "lines.markersize": 4.5,
        "svg.hashsalt": "recurra",
    }
    with matplotlib.rc_context(own):
        figure = Figure(figsize=size, layout="constrained")
        FigureCanvasAgg(figure)
        figure.suptitle(textwrap.fill(title, 98), fontsize=10.5, fontweight="bold", x=0.01, ha="left")
        draw(figure)
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=110, metadata={"Software": None})
    return buffer.getvalue()


def draw_curves(axes: Axes, curves: Sequence[Curve], *, labels: bool = True) -> None:
    """Draw curves, each with its label beside its end, none over another. The last thing to be drawn.

    Args:
        axes: Where; its scales are set.
        curves: What.
        labels: Whether to label them.
    """
    for curve in curves:
        style = curve.style
        many = len(curve.x) > 25
        axes.plot(curve.x, curve.y, style.line, color=style.colour, marker=None if many else style.marker)
    if not labels or not curves:
        return
    axes.figure.canvas.draw()
    to_line = axes.transData + axes.transAxes.inverted()
    heights = [float(to_line.transform((curve.x[-1], curve.y[-1]))[1]) for curve in curves]
    lines = [curve.label.count("\n") + 1 for curve in curves]
    for curve, height in zip(curves, spread(heights, [0.065 * n for n in lines]), strict=True):
        axes.annotate(
            curve.label,
            xy=(1.02, height),
            xycoords="axes fraction",
            color=curve.style.colour,
            fontsize=8.5,
            va="center",
            annotation_clip=False,
        )


def spread(heights: Sequence[float], sizes: Sequence[float]) -> list[float]:
    """Heights as near to those given as can be, in the same order, so that labels of these sizes do not overlap.

    Example:
        >>> [round(height, 2) for height in spread([0.5, 0.5, 0.9], [0.1, 0.1, 0.1])]
        [0.45, 0.55, 0.9]
    """
    order = sorted(range(len(heights)), key=lambda place: heights[place])
    # Labels that touch are a block that stands where its members would on average (pool adjacent violators).
    blocks: list[tuple[list[int], float, float]] = []  # members, bottom, size
    for place in order:
        middle = min(max(heights[place], 0.02), 0.98)
        blocks.append(([place], middle - sizes[place] / 2, sizes[place]))
        while len(blocks) > 1 and blocks[-2][1] + blocks[-2][2] > blocks[-1][1] + 1e-12:
            (upper, bottom, size), (lower, below, other) = blocks.pop(), blocks.pop()
            n, m = len(upper), len(lower)
            bottom = (below * m + (bottom - other) * n) / (n + m)
            blocks.append((lower + upper, bottom, other + size))
    placed = [0.0] * len(heights)
    for members, bottom, _ in blocks:
        for place in members:
            placed[place] = bottom + sizes[place] / 2
            bottom += sizes[place]
    return placed


def reference_line(axes: Axes, height: float, label: str, *, below: bool = False) -> None:
    """A dashed line across, such as a baseline, with its label above its left end, or below its right one.

    An empty label is for a line that the panel beside it labels, where curves leave no room for it here.
    """
    axes.axhline(height, color=QUIET, linewidth=1, linestyle=(0, (4, 3)), zorder=1)
    if not label:
        return
    axes.annotate(
        label,
        xy=(0.99 if below else 0.01, height),
        xycoords=("axes fraction", "data"),
        xytext=(0, -4 if below else 3),
        textcoords="offset points",
        ha="right" if below else "left",
        va="top" if below else "bottom",
        fontsize=8,
        color=QUIET,
        zorder=5,
        bbox={"facecolor": "white", "alpha": 0.75, "linewidth": 0, "pad": 0.6},
    )
