"""Pictures of what inspection finds. They take matplotlib, which comes with the extra `plots`."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from recurra.data.files import write_atomically
from recurra.errors import SettingError
from recurra.extras import need
from recurra.training.figures import SIGNS

if TYPE_CHECKING:
    from recurra.inspection.activations import Activations
    from recurra.inspection.gradient_flow import GradientFlow

__all__ = ["check_picture", "draw_activations", "draw_gradient_flow", "encoded", "heat_map", "new_figure", "save"]

KINDS = (".png", ".pdf", ".svg")
"""What the name of a picture may end in."""

LONGEST = 160
"""The most tokens that are written along a heat map."""

LOWEST = 1e-12
"""Below this part of the first norm nothing is drawn."""


def check_picture(path: str | Path) -> None:
    """Refuse a picture that could not be made, before any work is done.

    Raises:
        SettingError: matplotlib is not installed, or the file's name ends in no kind of picture.
    """
    if Path(path).suffix.lower() not in KINDS:
        raise SettingError(f"{path}: a picture's name ends in one of {', '.join(KINDS)}")
    need("matplotlib", "a picture")


def new_figure(width: float, height: float) -> Any:  # noqa: ANN401  (matplotlib's, which may be missing)
    """A figure of a size in inches that belongs to no window."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), dpi=110, layout="constrained")


def save(figure: Any, path: str | Path) -> None:  # noqa: ANN401  (matplotlib's)
    """Write a figure; the file is there whole or not at all.

    Raises:
        SettingError: The file's name ends in no kind of picture.
        RunError: The file cannot be written.
    """
    check_picture(path)
    write_atomically(path, encoded(figure, Path(path).suffix[1:].lower()))


def encoded(figure: Any, kind: str = "png") -> bytes:  # noqa: ANN401  (matplotlib's)
    """A figure as the content of a file of a kind: png, pdf or svg."""
    content = io.BytesIO()
    figure.savefig(content, format=kind)
    return content.getvalue()


def heat_map(
    axes: Any,  # noqa: ANN401  (matplotlib's)
    values: np.ndarray,
    tokens: Sequence[str],
    units: Sequence[int],
    ends: tuple[float, float],
) -> None:
    """Draw values over tokens: a row a unit, a column a token.

    Args:
        axes: Where.
        values: What to draw (T, number of units).
        tokens: What is written below each column.
        units: What is written beside each row.
        ends: The values of the darkest and the brightest shade; of the two colours, if they lie around 0.
    """
    colours = "RdBu_r" if ends[0] < 0 else "magma"
    image = axes.imshow(
        values.T, aspect="auto", cmap=colours, vmin=ends[0], vmax=ends[1], interpolation="nearest", rasterized=True
    )
    if len(tokens) <= LONGEST:
        single = all(len(token) == 1 for token in tokens)
        shown = [token.translate(SIGNS).replace("$", r"\$") for token in tokens]
        turn = {"family": "monospace"} if single else {"rotation": 45, "ha": "right", "rotation_mode": "anchor"}
        axes.set_xticks(range(len(tokens)), shown, fontsize=9, **turn)
    else:
        axes.set_xlabel("token", fontsize=9)
    axes.set_yticks(range(len(units)), [str(unit) for unit in units], fontsize=8)
    axes.set_ylabel("unit", fontsize=9)
    axes.tick_params(length=0)
    axes.figure.colorbar(image, ax=axes, pad=0.015, fraction=0.03).ax.tick_params(labelsize=8)


def draw_activations(found: Activations, path: str | Path, units: int) -> None:
    """Draw the most selective units of a value over the tokens, as a picture."""
    check_picture(path)
    chosen = found.ranking()[:units]
    width = min(max(5.0, 1.6 + 0.3 * len(found.tokens)), 24.0)
    figure = new_figure(width, 1.4 + 0.24 * len(chosen))
    axes = figure.add_subplot()
    heat_map(axes, found.values[:, chosen].numpy(), found.tokens, chosen, found.ends)
    place = 0
    for length in found.lengths[:-1]:
        place += length
        axes.axvline(place - 0.5, color="white", linewidth=2)
    axes.set_title(f"{found.value}[t], layer {found.layer}: most selective first", fontsize=10, loc="left")
    save(figure, path)


def draw_gradient_flow(flow: GradientFlow, path: str | Path) -> None:
    """Draw the norms of dL/dh by distance, each as a part of the first, as a picture."""
    check_picture(path)
    figure = new_figure(8.5, 4.0)
    axes = figure.add_subplot()
    states = {name for layer in flow.layers for name in layer.norms if name != layer.cell.output}
    several = len({layer.name for layer in flow.layers}) > 1
    for place, layer in enumerate(flow.layers):
        for name, norms in layer.norms.items():
            output = name == layer.cell.output
            where = layer.label if several else layer.label.removeprefix(f"{layer.name}, ")
            label = f"{where}: {name}" if states else where
            parts = np.array([n / norms[0] for n in norms])
            parts = np.where(parts >= LOWEST, parts, np.nan)
            axes.semilogy(parts, label=label, color=f"C{place % 10}", linewidth=1.8, linestyle="-" if output else ":")
    axes.axhline(0.01, color="grey", linewidth=0.8, linestyle="--")
    axes.set_xlabel("steps back from the loss", fontsize=9)
    axes.set_title("‖∂L/∂state‖ by distance, as a part of the first", fontsize=10, loc="left")
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    if axes.lines[:-1]:
        # Beside the axes: inside it would lie on some curve or other.
        axes.legend(fontsize=8, frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0), borderaxespad=0.3)
    save(figure, path)
