"""`recurra runs`: the runs in a folder, side by side, with the settings in which they differ."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from recurra.errors import RunError
from recurra.training.figures import describe_seconds

if TYPE_CHECKING:
    from recurra.tasks.summary import RunSummary

__all__ = ["runs"]

GAP = 2
"""Between columns."""


def runs(
    folders: Annotated[
        list[Path] | None, typer.Argument(help="Folders with runs in them, or runs.", metavar="FOLDER")
    ] = None,
    compare: Annotated[
        bool, typer.Option("--compare", help="Show the settings in which the runs differ, a column a run.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON object a line.")] = False,
) -> None:
    """List the runs in a folder, by default runs/, or compare what they were trained with."""
    from recurra.tasks.summary import find_runs

    looked = folders or [Path("runs")]
    for folder in folders or []:
        if not folder.is_dir():
            raise RunError(f"{folder}: there is no such folder; give one with runs in it, or a run")
    unreadable: list[str] = []
    summaries = [summary for folder in looked for summary in find_runs(folder, unreadable.append)]
    for problem in unreadable:
        Console(stderr=True, highlight=False).print(Text(f"passed over: {problem}", style="yellow"), soft_wrap=True)
    if as_json:
        for summary in summaries:
            metrics = {} if summary.best is None else summary.best.metrics
            finite = {name: value if math.isfinite(value) else None for name, value in metrics.items()}
            settings = summary.config.model_dump(mode="json")
            typer.echo(json.dumps({"run": str(summary.folder), "task": summary.task, **finite, "settings": settings}))
        return
    console = Console(highlight=False)
    if not summaries:
        places = ", ".join(map(str, looked))
        console.print(Text(f"There is no run in {places}; `recurra train` makes one.", style="dim"), soft_wrap=True)
    elif compare:
        for number, table in enumerate(_comparisons(summaries, console.width)):
            console.print(*([""] if number else []), table, sep="\n")
    else:
        console.print(_list(summaries))


def _list(summaries: Sequence[RunSummary]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    table.add_column("run", style="bold", overflow="fold")
    table.add_column("use")
    table.add_column("best")
    for heading in ("step", "time"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("written", no_wrap=True)
    for run in summaries:
        step = "" if run.best is None else f"{run.best.step:,}"
        time = "" if run.last is None else describe_seconds(run.last.elapsed)
        state = _figures(run) or ("stopped before its first validation" if run.can_resume else "nothing is kept")
        table.add_row(str(run.folder), run.task, state, step, time, f"{run.changed:%Y-%m-%d %H:%M}")
    return table


def _figures(run: RunSummary) -> str:
    """Of the weights that are kept the figure that selected them, and the loss."""
    if run.best is None:
        return ""
    metrics = run.best.metrics
    selected = run.config.training.select_by or next((name for name in metrics if name != "loss"), "loss")
    names = [name for name in dict.fromkeys([selected, "loss"]) if name in metrics]
    return ", ".join(f"{name} {metrics[name]:.4g}" for name in names)


def _comparisons(summaries: Sequence[RunSummary], width: int) -> list[Table]:
    """What the runs reached, and the settings that are not the same in all of them: as many runs a table as fit."""
    uses = [run.task for run in summaries]
    rows: dict[str, list[str]] = {"use": uses} if len(set(uses)) > 1 else {}
    figures = [{} if run.best is None else run.best.metrics for run in summaries]
    for name in dict.fromkeys(name for one in figures for name in one):
        rows[name] = [f"{one[name]:.4g}" if name in one else "" for one in figures]
    settings = [_flat(run.config.model_dump(mode="json")) for run in summaries]
    for name in dict.fromkeys(name for one in settings for name in one):
        values = ["" if name not in one else "none" if one[name] is None else str(one[name]) for one in settings]
        if len(set(values)) > 1:
            rows[name] = values
    columns = [[str(run.folder), *(values[place] for values in rows.values())] for place, run in enumerate(summaries)]
    left = width - max(map(cell_len, rows)) - GAP
    tables = []
    for members in _fitting([max(map(cell_len, column)) for column in columns], left):
        table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, GAP, 0, 0))
        table.add_column("", style="dim", no_wrap=True)
        for place in members:
            table.add_column(columns[place][0], overflow="fold")
        for row, name in enumerate(rows, 1):
            table.add_row(name, *(columns[place][row] for place in members))
        tables.append(table)
    return tables


def _fitting(widths: Sequence[int], width: int) -> list[list[int]]:
    """Columns by their places, as many side by side as a width has room for, one at least."""
    lines: list[list[int]] = []
    taken = width
    for place, needed in enumerate(widths):
        if not lines or taken + needed > width:
            lines.append([])
            taken = 0
        lines[-1].append(place)
        taken += needed + GAP
    return lines


def _flat(sections: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Settings by SECTION.KEY."""
    return {f"{section}.{key}": value for section, keys in sections.items() for key, value in keys.items()}
