"""A gate or state over the tokens of a text, as a table whose shades say how large each value is."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from recurra.cli.language import unit_name
from recurra.cli.shades import shade
from recurra.data import Level
from recurra.inspection import Activations
from recurra.training.figures import SIGNS, printable

__all__ = ["UNITS", "print_activations"]

ROWS = 200
"""The most tokens of a table; the file that --json writes has all."""

LABEL, CELL = 16, 6
"""Width of the column of tokens, and of a unit's."""

UNITS = 12
"""How many units are shown unless told."""


def print_activations(found: Activations, units: int | None, level: Level, console: Console) -> None:
    """Print the values of the most selective units as a table.

    Args:
        found: The values.
        units: How many units are asked for; None for as many as usual. No more are shown than fit into the window.
        level: How finely the model's text is cut.
        console: Where to print.
    """
    fit = max(1, (console.width - LABEL) // CELL)
    chosen = found.ranking()[: min(UNITS if units is None else units, fit)]
    console.print(_title(found))
    console.print(_table(found, chosen, unit_name(level), console))
    notes = []
    if units is not None and len(chosen) < min(units, len(found.ranking())):
        notes.append(f"{len(chosen)} of the {units} units asked for fit into this window")
    if len(found.tokens) > ROWS:
        notes.append(f"the first {ROWS} of {len(found.tokens):,} tokens; --json writes all of them")
    if any(token.endswith("*") and len(token) > 1 for token in found.tokens):
        notes.append("* not in the vocabulary: read as <UNK>")
    for note in notes:
        console.print(note, style="dim")


def _title(found: Activations) -> Text:
    low, high = found.ends
    span = f"from {low:g} to {high:g}" if (low, high) in {(0, 1), (-1, 1)} else f"up to {high:.3g} away from 0"
    return Text.assemble(
        (f"{found.value}[t]", "bold"),
        f" of layer {found.layer} ({found.cell.name or 'own cell'}), {span}; most selective first",
    )


def _table(found: Activations, chosen: Sequence[int], unit: str, console: Console) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim", padding=0, collapse_padding=True)
    table.add_column(unit, width=LABEL, no_wrap=True, overflow="ellipsis")
    for number in chosen:
        table.add_column(str(number), width=CELL, justify="right", no_wrap=True)
    values = found.values[:ROWS, chosen].tolist()
    colors = None if console.no_color else console.color_system
    for token, row in zip(found.tokens, values, strict=False):
        name = Text(printable(token.translate(SIGNS), console.encoding), no_wrap=True, overflow="ellipsis")
        table.add_row(name, *(_cell(value, found.ends, colors) for value in row))
    table.add_section()
    for label, figures in (("selectivity", found.selectivity), ("persistence", found.persistence)):
        table.add_row(Text(label, style="dim"), *(Text(_figure(float(figures[n])), style="dim") for n in chosen))
    return table


def _figure(value: float) -> str:
    """A number in at most five characters, if it is not beyond all measure."""
    return f"{value:.2f}" if abs(value) < 99.995 else f"{value:.0f}" if abs(value) < 9999.5 else f"{value:.0e}"


def _cell(value: float, ends: tuple[float, float], colors: str | None) -> Text:
    """A number on a shade that says how large it is."""
    finite = -float("inf") < value < float("inf")
    return Text(f"{_figure(value):>{CELL}}", style=shade(value, ends, colors) if finite else "bold red")
