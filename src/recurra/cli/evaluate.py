"""`recurra evaluate RUN`: the figures of a trained run, on a file or on what its training validated on."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from recurra.cli.completion import run_folders
from recurra.cli.evaluation_details import matrix_table, print_mistakes
from recurra.cli.evaluation_files import check_evaluation_folder, write_evaluation
from recurra.cli.flags import DeviceFlag, with_use_flags
from recurra.cli.waiting import Waiting, WatchedBatches
from recurra.tasks import TASKS
from recurra.training.figures import one_line

if TYPE_CHECKING:  # torch is imported once a command runs
    from recurra.tasks import Report, Trained

__all__ = ["evaluate", "report_table"]


LABEL, FIGURE, INTERVAL, RULE = 14, 9, 20, 13
"""The width that the label of a figure, the figure, its interval and what a trivial rule scores take at least."""

WORST = 5
"""How many wrong answers are listed unless told."""


def _evaluate(
    settings: Mapping[str, Any],
    run: Annotated[Path, typer.Argument(help="Folder of a run.", metavar="RUN", autocompletion=run_folders)],
    data: Annotated[
        Path | None,
        typer.Option(
            "--data",
            help="File to measure it on, of the kind it was trained on.",
            metavar="FILE",
            show_default="what its training validated on",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of tables.")] = False,
    intervals: Annotated[
        bool, typer.Option("--intervals/--no-intervals", help="Draw the 95% bootstrap interval of each figure.")
    ] = True,
    worst: Annotated[
        int, typer.Option("--worst", help="How many of the worst wrong answers to list.", metavar="N", min=0)
    ] = WORST,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Folder for the figures, all wrong answers and the pictures.", metavar="FOLDER"),
    ] = None,
    device: DeviceFlag = "auto",
) -> None:
    """Measure a trained run on data that it has not seen, beside what trivial rules score there."""
    from recurra.tasks import evaluate_run, load

    if int(os.environ.get("RANK", "0")) > 0:  # started by torchrun: the first measures, and each would say it again
        return
    loaded = load(run).using(**settings)
    check_evaluation_folder(loaded, out)
    with Waiting("measuring") as waiting:
        report = evaluate_run(
            loaded,
            data,
            device,
            intervals=intervals,
            baselines=True,
            mistakes=True,
            watch=lambda batches: WatchedBatches(batches, waiting),
        )
    content = _as_json(run, data, report)
    content["signatures"] = {metric.name: metric.signature for metric in loaded.metrics if metric.signature}
    console = Console(highlight=False)
    if as_json:
        typer.echo(json.dumps(content))
    else:
        _print_report(loaded, report, data, worst, console)
    if out is not None:
        names = write_evaluation(loaded, report, content, out)
        if not as_json:
            console.print(Text(f"Written: {', '.join(names)} in {out}"), soft_wrap=True)


def _print_report(
    run: Trained[Any, Any, Any, Any, Any, Any], report: Report, data: Path | None, worst: int, console: Console
) -> None:
    """The figures, then what is known by class, then what is wrong."""
    where = "what its training validated on" if data is None else str(data)
    console.print(Text(f"on {where}: {report.examples:,} examples", style="dim"), soft_wrap=True)
    if report.seen:
        share = report.seen / report.examples
        console.print(
            f"{report.seen:,} of them ({share:.1%}) are among the examples trained on: the figures say little about "
            "others",
            style="yellow",
        )
    for problem in report.problems:
        console.print(Text(one_line(problem), style="yellow"), soft_wrap=True)
    console.print(report_table(run, report, console.width))
    for metric in run.metrics:
        if metric.signature:
            console.print(Text(f"{metric.label}: {metric.signature}", style="dim"), soft_wrap=True)
    matrices = [matrix_table(matrix, console.width) for matrix in report.matrices.values()]
    for table in (*_class_tables(run, report), *matrices):
        if table is not None:
            console.print()
            console.print(table)
    print_mistakes(report.mistakes, worst, console)


_evaluate.__name__ = "evaluate"
evaluate = with_use_flags(_evaluate, TASKS.entries.values())
"""`recurra evaluate RUN`, with a flag for each setting that says how a run of some use answers."""


def report_table(run: Trained[Any, Any, Any, Any, Any, Any], report: Report, width: int) -> Table:
    """The figures, a row each, with their intervals and what trivial rules score, as far as the width goes."""
    with_intervals = bool(report.intervals) and width >= LABEL + FIGURE + INTERVAL
    room = width - LABEL - FIGURE - INTERVAL * bool(report.intervals)
    baselines = dict(list(report.baselines.items())[: max(0, room // RULE)])
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    table.add_column("", style="dim", overflow="fold")
    table.add_column("", justify="right", no_wrap=True, min_width=FIGURE - 2)
    if with_intervals:
        table.add_column("95% interval", no_wrap=True)
    for rule in baselines:
        table.add_column(rule, justify="right")
    for view in run.all_views:
        cells = [Text(view.label), Text(view.of_metrics(report.metrics), style="bold")]
        if with_intervals:
            interval = report.intervals.get(view.name)
            known = interval is not None and math.isfinite(interval.low)
            ends = [_text(end, view.format) for end in (interval.low, interval.high)] if interval and known else []
            cells.append(Text(" to ".join(ends)))
        for figures in baselines.values():
            cells.append(Text(_text(figures[view.name], view.format) if view.name in figures else ""))
        table.add_row(*cells)
    return table


def _text(value: float, form: str) -> str:
    return format(value, form) if math.isfinite(value) else "-"


def _class_tables(run: Trained[Any, Any, Any, Any, Any, Any], report: Report) -> list[Table]:
    """A table for each metric that has figures by class."""
    tables = []
    labels = {metric.name: metric.label for metric in run.metrics}
    for name, rows in report.tables.items():
        if not rows:
            continue
        table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
        table.add_column(f"{labels[name]} by class", no_wrap=True)
        for column in rows[0].figures:
            table.add_column(column, justify="right", no_wrap=True)
        for row in rows:
            table.add_row(Text(row.name), *(_cell(figure) for figure in row.figures.values()))
        tables.append(table)
    return tables


def _cell(figure: float) -> str:
    """A count as it is, a share in percent."""
    if not math.isfinite(figure):
        return "-"
    return f"{figure:,}" if isinstance(figure, int) else f"{figure:.2%}"


def _as_json(run: Path, data: Path | None, report: Report) -> dict[str, Any]:
    """All figures with every digit; what is no number is null."""

    def finite(value: float) -> float | None:
        return value if math.isfinite(value) else None

    return {
        "run": str(run),
        "data": None if data is None else str(data),
        "examples": report.examples,
        **{name: finite(value) for name, value in report.metrics.items()},
        "intervals": {
            name: [finite(interval.low), finite(interval.high)] for name, interval in report.intervals.items()
        },
        "tables": {
            name: {row.name: {key: finite(value) for key, value in row.figures.items()} for row in rows}
            for name, rows in report.tables.items()
        },
        "matrices": {
            matrix.name: {"classes": list(matrix.classes), "counts": [list(row) for row in matrix.counts]}
            for matrix in report.matrices.values()
        },
        "baselines": {
            rule: {name: finite(value) for name, value in figures.items()} for rule, figures in report.baselines.items()
        },
        "seen_in_training": report.seen,
        "problems": list(report.problems),
    }
