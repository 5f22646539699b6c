"""`recurra cells`: the catalogue, and one cell with its derived gradient."""

from __future__ import annotations

import textwrap
from typing import Annotated

import typer
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from recurra.cells import CATALOGUE, get
from recurra.equations import Cell

__all__ = ["cells"]


def cells(
    name: Annotated[
        str | None, typer.Argument(help="A cell: shows its equations and its derived gradient.", metavar="NAME")
    ] = None,
    input_size: Annotated[int, typer.Option("--input-size", min=1, help="I, for the counts.", metavar="N")] = 128,
    hidden_size: Annotated[int, typer.Option("--hidden-size", min=1, help="H, for the counts.", metavar="N")] = 128,
) -> None:
    """List the cells there are, or show one with its gradient."""
    console = Console(highlight=False)
    if name is None:
        _list(input_size, hidden_size, console)
    else:
        _show(get(name), input_size, hidden_size, console)


def _list(input_size: int, hidden_size: int, console: Console) -> None:
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    table.add_column("cell", style="bold", no_wrap=True)
    table.add_column("parameters", justify="right", no_wrap=True)
    table.add_column("flops/step", justify="right", no_wrap=True)
    table.add_column("what it is")
    for cell in CATALOGUE.values():
        count, cost = cell.parameter_count(input_size, hidden_size), cell.flops(input_size, hidden_size)
        table.add_row(cell.name, f"{count:,}", f"{cost:,}", cell.title)
    console.print(table)
    console.print(
        f"\nCounted for I = {input_size} inputs, H = {hidden_size} hidden units and one step of one sequence.\n"
        "`recurra cells NAME` shows a cell's equations and its derived gradient.",
        style="dim",
    )


def _show(cell: Cell, input_size: int, hidden_size: int, console: Console) -> None:
    console.print(Text.assemble((cell.title, "bold"), f"  ({cell.name})"))
    about = Table.grid(padding=(0, 2, 0, 0))
    about.add_column(style="dim", no_wrap=True)
    for label, text in (("for", cell.purpose), ("from", cell.paper), ("variant", cell.variant)):
        if text:
            about.add_row(label, Text(text))
    console.print(about)
    _section("Equations", cell.text, console)
    if cell.constants:
        _section("Constants", "\n".join(f"{n} = {v:g}" for n, v in cell.constants.items()), console)
    _section("Gradient, derived: one step of backpropagation through time", str(cell.backward), console)
    console.print(Text("\nParameters", style="bold"))
    console.print(Padding(_parameters(cell, input_size, hidden_size), (0, 0, 0, 2)))
    count, flops = cell.parameter_count(input_size, hidden_size), cell.flops(input_size, hidden_size)
    console.print(f"\n{count:,} parameters, {flops:,} floating-point operations a step")


def _parameters(cell: Cell, input_size: int, hidden_size: int) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    table.add_column("name", style="bold")
    table.add_column("kind")
    table.add_column("shape")
    table.add_column(f"I = {input_size}, H = {hidden_size}", justify="right")
    for parameter in cell.parameters.values():
        sizes = " x ".join(str(n) for n in parameter.shape(input_size, hidden_size))
        table.add_row(parameter.name, parameter.kind, str(parameter), sizes)
    return table


def _section(title: str, text: str, console: Console) -> None:
    console.print(Text(f"\n{title}", style="bold"))
    for line in text.splitlines():
        # Only a terminal needs shorter lines: in a file an equation is one line.
        for part in _wrapped(line, console.width - 2) if console.is_terminal else [line]:
            console.print(Text("  " + part), soft_wrap=True)


def _wrapped(line: str, width: int) -> list[str]:
    r"""An equation in lines of at most a width: broken at its sums, then at spaces, under the first of its terms.

    Example:
        >>> print(*_wrapped("h[t] = a[t] * b[t] + c[t] + d[t]", 22), sep="\n")
        h[t] = a[t] * b[t]
               + c[t] + d[t]
    """
    lead = line.find("= ") + 2
    first, *terms = line[lead:].split(" + ")
    lines = [line[:lead] + first]
    for term in terms:
        if len(lines[-1]) + len(term) + 3 <= width:
            lines[-1] += f" + {term}"
        else:
            lines.append(" " * lead + f"+ {term}")
    inner = " " * (lead + 4)
    return [
        part
        for whole in lines
        for part in textwrap.wrap(whole, width, subsequent_indent=inner, break_long_words=False, break_on_hyphens=False)
    ]
