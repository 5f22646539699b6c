"""`recurra cells`: the catalogue, and one cell with its derived gradient."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from recurra.cells import CATALOGUE, get
from recurra.equations import Cell

__all__ = ["cells"]


def cells(
    name: Annotated[str | None, typer.Argument(help="A cell: shows its equations and its derived gradient.")] = None,
    input_size: Annotated[int, typer.Option("--input-size", "-i", min=1, help="I, for the counts.")] = 128,
    hidden_size: Annotated[int, typer.Option("--hidden-size", min=1, help="H, for the counts.")] = 128,
) -> None:
    """List the cells there are, or show one with its gradient."""
    console = Console(highlight=False)
    if name is None:
        console.print(_table(input_size, hidden_size))
        console.print("\n`recurra cells NAME` shows a cell's equations and its derived gradient.", style="dim")
    else:
        _show(get(name), input_size, hidden_size, console)


def _table(input_size: int, hidden_size: int) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    table.add_column("cell", style="bold", no_wrap=True)
    table.add_column("parameters", justify="right", no_wrap=True)
    table.add_column("flops/step", justify="right", no_wrap=True)
    table.add_column("states", no_wrap=True)
    table.add_column("what it is")
    for cell in CATALOGUE.values():
        table.add_row(
            cell.name,
            f"{cell.parameter_count(input_size, hidden_size):,}",
            f"{cell.flops(input_size, hidden_size):,}",
            ", ".join(cell.carried) or "none",
            cell.title,
        )
    table.caption = f"counted for an input of {input_size} and {hidden_size} hidden units"
    table.caption_justify = "left"
    return table


def _show(cell: Cell, input_size: int, hidden_size: int, console: Console) -> None:
    console.print(Text.assemble((cell.title, "bold"), f"  ({cell.name})"))
    for label, text in (("for", cell.purpose), ("from", cell.paper), ("variant", cell.variant)):
        if text:
            console.print(Text.assemble((f"{label:<8}", "dim"), text))
    _section("Equations", cell.text, console)
    _section("Gradient, derived: one step of backpropagation through time", str(cell.backward), console)
    if cell.constants:
        _section("Constants", "\n".join(f"{n} = {v:g}" for n, v in cell.constants.items()), console)
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("parameter", style="bold")
    table.add_column("kind")
    table.add_column("shape")
    table.add_column(f"I = {input_size}, H = {hidden_size}", justify="right")
    for parameter in cell.parameters.values():
        sizes = " x ".join(str(n) for n in parameter.shape(input_size, hidden_size))
        table.add_row(parameter.name, parameter.kind, str(parameter), sizes)
    console.print(Text("\nParameters", style="bold"))
    console.print(table)
    count, flops = cell.parameter_count(input_size, hidden_size), cell.flops(input_size, hidden_size)
    console.print(f"\n{count:,} parameters, {flops:,} floating-point operations a step")


def _section(title: str, text: str, console: Console) -> None:
    console.print(Text(f"\n{title}", style="bold"))
    for line in text.splitlines():
        console.print(Text("  " + line), soft_wrap=True)
