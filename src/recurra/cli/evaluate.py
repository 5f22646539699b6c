"""`recurra evaluate RUN --data FILE`: the metrics of a trained run on other data."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from recurra.tasks import evaluate_run, load
from recurra.training import MetricView
from recurra.training.settings import DeviceName

__all__ = ["evaluate", "metrics_table"]


def evaluate(
    run: Annotated[Path, typer.Argument(help="Folder of a run.", metavar="RUN")],
    data: Annotated[
        Path, typer.Option("--data", help="File to measure it on, of the kind it was trained on.", metavar="FILE")
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of a table.")] = False,
    device: Annotated[
        DeviceName,
        typer.Option(
            "--device", help="Where to compute: auto (a CUDA device if there is one), cpu or cuda.", metavar="NAME"
        ),
    ] = "auto",
) -> None:
    """Measure a trained run on data that it has not seen: its loss, and what its task is judged by."""
    loaded = load(run)
    metrics = evaluate_run(loaded, data, device)
    if as_json:
        finite = {name: value if math.isfinite(value) else None for name, value in metrics.items()}
        typer.echo(json.dumps({"run": str(run), "data": str(data), **finite}))
        return
    views = list(loaded.task.views(loaded.config))
    Console(highlight=False).print(metrics_table(views, metrics))


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
