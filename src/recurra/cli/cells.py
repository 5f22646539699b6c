"""`recurra cells`: the catalogue, one cell with its derived gradient, or a file of equations that is checked."""

from __future__ import annotations

import os
import sys
import textwrap
from collections.abc import Iterator, Sequence
from typing import Annotated

import typer
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from recurra.cells import CATALOGUE, get
from recurra.cli.completion import cell_names
from recurra.equations import Cell, read_cell
from recurra.equations.shapes import HIDDEN, INPUT, NUMBER
from recurra.errors import RecurraError, SettingError

__all__ = ["cells"]

LARGEST_CHECKED = 16
"""The most inputs and hidden units of the layer by which a cell is checked: what can run does not depend on them."""

NARROW, COUNT = 40, 12
"""The width that the names of cells and what they are take, and the width of a column of counts."""


def cells(
    name: Annotated[
        str | None,
        typer.Argument(
            help="A cell, or a file of equations (- for standard input), which is checked: "
            "shows its equations, its derived gradient and its parameters.",
            metavar="NAME|FILE",
            autocompletion=cell_names,
        ),
    ] = None,
    input_size: Annotated[int, typer.Option("--input-size", min=1, help="I, for the counts.", metavar="N")] = 128,
    hidden_size: Annotated[int, typer.Option("--hidden-size", min=1, help="H, for the counts.", metavar="N")] = 128,
) -> None:
    """List the cells there are, or show one, or a file of equations, with its gradient."""
    console = Console(highlight=False)
    if name is None:
        _list(input_size, hidden_size, console)
    elif (name != "-" and not os.path.lexists(name)) or name in CATALOGUE:
        _show(_named(name), name, input_size, hidden_size, console)
    else:
        cell = read_cell(sys.stdin.buffer if name == "-" else name)
        _show(cell, "standard input" if name == "-" else name, input_size, hidden_size, console)
        _check(cell, input_size, hidden_size, console)


def _named(name: str) -> Cell:
    try:
        return get(name)
    except SettingError as error:
        raise SettingError(f"{error}; nor is there a file {name!r}") from None


def _list(input_size: int, hidden_size: int, console: Console) -> None:
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    table.add_column("cell", style="bold", no_wrap=True)
    # What it is comes before what it costs: in a narrow window the counts give way.
    counts = [("parameters", Cell.parameter_count), ("flops/step", Cell.flops)][
        : max(0, console.width - NARROW) // COUNT
    ]
    for heading, _ in counts:
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("what it is")
    for cell in CATALOGUE.values():
        figures = (f"{count(cell, input_size, hidden_size):,}" for _, count in counts)
        table.add_row(cell.name, *figures, cell.title)
    console.print(table)
    console.print(
        f"\nCounted for I = {input_size} inputs, H = {hidden_size} hidden units and one step of one sequence.\n"
        "`recurra cells NAME` shows a cell's equations and its derived gradient, `recurra cells FILE` your own.",
        style="dim",
    )


def _show(cell: Cell, source: str, input_size: int, hidden_size: int, console: Console) -> None:
    title = Text.assemble((cell.title, "bold"), f"  ({cell.name})") if cell.title else Text(source, style="bold")
    console.print(title, soft_wrap=not cell.title)  # the name of a file is one line, so that it can be copied
    rows = [row for row in (("for", cell.purpose), ("from", cell.paper), ("variant", cell.variant)) if row[1]]
    if rows:
        about = Table.grid(padding=(0, 2, 0, 0))
        about.add_column(style="dim", no_wrap=True)
        for label, text in rows:
            about.add_row(label, Text(text))
        console.print(about)
    _section("Equations", cell.text, console)
    _section("Gradient, derived: one step of backpropagation through time", str(cell.backward), console)
    console.print(Text("\nStates", style="bold"))
    _rows([("carried", ", ".join(_carried(cell))), ("output", f"{cell.output}[t]")], console)
    console.print(Text("\nParameters", style="bold"))
    if cell.parameters:
        console.print(Padding(_parameters(cell, input_size, hidden_size), (0, 0, 0, 2), expand=False))
        console.print()
    count, flops = cell.parameter_count(input_size, hidden_size), cell.flops(input_size, hidden_size)
    formula = f" = {_formula(cell)}" if cell.parameters else ""
    console.print(f"{count:,} parameters{formula}, {flops:,} floating-point operations a step", soft_wrap=True)


def _carried(cell: Cell) -> Iterator[str]:
    """What is carried from step to step."""
    for name, furthest in cell.states.items():
        yield f"{name}[t-1]" if furthest == 1 else f"{name}[t-1] to {name}[t-{furthest}]"
    if not cell.states:
        yield "nothing: every step stands by itself"


def _formula(cell: Cell) -> str:
    """How many numbers are learned, in I and H: every parameter has a row for each hidden unit."""
    columns = sum((c for p in cell.parameters.values() for c in p.columns), NUMBER)
    counts = [(columns.hiddens, str(HIDDEN)), (columns.inputs, str(INPUT))]
    terms = [f"{n if n > 1 else ''}{unit}" for n, unit in counts if n]
    vectors = sum(p.kind != "matrix" for p in cell.parameters.values())
    terms += [str(vectors)] if vectors else []
    return f"H ({' + '.join(terms)})"


def _check(cell: Cell, input_size: int, hidden_size: int, console: Console) -> None:
    """Build a small layer and run it forward and backward: which backends run the cell, and can all of it learn?"""
    import torch  # the catalogue is text, and is shown without it

    from recurra.backends.choose import BACKENDS
    from recurra.nn import Recurrent

    sizes = min(input_size, LARGEST_CHECKED), min(hidden_size, LARGEST_CHECKED)
    rows = []
    for name in BACKENDS:
        try:
            outputs, _ = Recurrent(cell, *sizes, backend=name)(torch.zeros(1, 2, sizes[0]))
            if outputs.requires_grad:
                outputs.sum().backward()
            rows.append((name, "runs it"))
        except RecurraError as error:
            rows.append((name, str(error)))
    notices = Recurrent(cell, *sizes).training_notices()
    rows += [("note", notice) for notice in notices]
    if not notices and cell.parameters:
        rows.append(("learning", "every parameter gets a gradient from where it begins"))
    console.print(Text("\nChecks", style="bold"))
    _rows(rows, console)


def _rows(rows: Sequence[tuple[str, str]], console: Console) -> None:
    """Labelled lines; only on a terminal are they as wide as it."""
    width = max(len(label) for label, _ in rows)
    if not console.is_terminal:
        for label, text in rows:
            console.print(Text(f"  {label:<{width}}  {text}"), soft_wrap=True)
        return
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    for label, text in rows:
        table.add_row(Text(label, style="yellow" if label == "note" else "dim"), Text(text))
    console.print(Padding(table, (0, 0, 0, 2), expand=False))


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
