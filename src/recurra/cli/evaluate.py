"""`recurra evaluate RUN`: the metrics of a trained run, on a file or on what its training validated on."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from recurra.cli.completion import run_folders
from recurra.cli.waiting import Waiting, WatchedBatches
from recurra.training.figures import MetricView
from recurra.training.settings import DeviceName

__all__ = ["evaluate", "metrics_table"]


def evaluate(
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
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of a table.")] = False,
    device: Annotated[
        DeviceName,
        typer.Option(
            "--device", help="Where to compute: auto (a CUDA device if there is one), cpu or cuda.", metavar="NAME"
        ),
    ] = "auto",
) -> None:
    """Measure a trained run on data that it has not seen: its loss, and what its task is judged by."""
    from recurra.tasks import evaluate_run, load

    loaded = load(run)
    with Waiting("measuring") as waiting:
        report = evaluate_run(loaded, data, device, watch=lambda batches: WatchedBatches(batches, waiting))
    if as_json:
        finite = {name: value if math.isfinite(value) else None for name, value in report.metrics.items()}
        typer.echo(json.dumps({"run": str(run), "data": None if data is None else str(data), **finite}))
        return
    console = Console(highlight=False)
    if data is None:
        console.print("on what its training validated on:", style="dim")
    console.print(metrics_table(loaded.views, report.metrics))


def metrics_table(views: list[MetricView], metrics: dict[str, float]) -> Table:
    """The metrics as two columns: what, and how much."""
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(justify="right", no_wrap=True)
    named = {view.name: view for view in views}
    for name in {**dict.fromkeys(named), **metrics}:
        view = named.get(name, MetricView(name, name.replace("_", " ")))
        table.add_row(view.label, Text(view.of_metrics(metrics), style="bold"))
    return table
