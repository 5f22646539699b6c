"""`recurra show RUN`: what a run is, what it was trained with and what it reached."""

from __future__ import annotations

import json
import math
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from recurra.cli.completion import run_folders
from recurra.training.figures import describe_seconds

if TYPE_CHECKING:
    from recurra.tasks.summary import RunSummary

__all__ = ["show"]


def show(
    run: Annotated[Path, typer.Argument(help="Folder of a run.", metavar="RUN", autocompletion=run_folders)],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Show what a run is: its use, its network, its settings, what it reached, and what can be done with it."""
    from recurra.tasks import load
    from recurra.tasks.summary import changed_settings, summarise_run

    summary = summarise_run(run)
    loaded = load(run) if summary.has_weights else None
    sizes = {} if loaded is None else {name: tuple(p.shape) for name, p in loaded.model.state_dict().items()}
    settings = changed_settings(summary.config)
    if as_json:
        typer.echo(json.dumps(_as_json(summary, settings, sizes)))
        return
    console, folder = Console(highlight=False), shlex.quote(run.as_posix())
    console.print(Text.assemble((str(run), "bold"), f"  {summary.task}"), soft_wrap=True)
    console.print(Text(summary.entry.summary, style="dim"))
    _reached(summary, console)
    console.print("\nSettings that are not the defaults", style="bold")
    table = Table.grid(padding=(0, 2, 0, 2))
    for name, value in settings.items():
        table.add_row(Text(name, style="dim"), Text("none" if value is None else str(value)))
    console.print(table)
    if loaded is not None:
        _parameters(sizes, sum(p.numel() for p in loaded.model.parameters()), console)
        console.print("\nTo try", style="bold")
        for command, words in loaded.suggestions():
            console.print(Text(f"  recurra {command} {folder}{words}", style="cyan"), soft_wrap=True)
    if summary.can_resume:
        console.print(Text(f"  recurra resume {folder}", style="cyan"), soft_wrap=True)


def _reached(summary: RunSummary, console: Console) -> None:
    """The validation whose weights are kept."""
    best, last = summary.best, summary.last
    if best is None or last is None:
        console.print("No validation yet.", style="yellow")
        return
    figures = ", ".join(f"{name} {value:.4g}" for name, value in best.metrics.items())
    console.print(
        f"kept are the weights of step {best.step:,} (epoch {best.epoch}): {figures}; the last of the validations was "
        f"at step {last.step:,}, after {describe_seconds(last.elapsed)}"
    )


def _parameters(sizes: dict[str, tuple[int, ...]], count: int, console: Console) -> None:
    console.print(f"\nThe network: {count:,} parameters", style="bold")
    table = Table.grid(padding=(0, 2, 0, 2))
    for name, shape in sizes.items():
        table.add_row(Text(name, style="dim"), " x ".join(map(str, shape)) or "1")
    console.print(table)


def _as_json(summary: RunSummary, settings: Any, sizes: dict[str, tuple[int, ...]]) -> dict[str, Any]:  # noqa: ANN401
    best = None
    if summary.best is not None:
        metrics = {name: value if math.isfinite(value) else None for name, value in summary.best.metrics.items()}
        best = {"step": summary.best.step, "epoch": summary.best.epoch, **metrics}
    return {
        "run": str(summary.folder),
        "task": summary.task,
        "best": best,
        "settings": summary.config.model_dump(mode="json"),
        "changed_settings": {
            name: str(value) if isinstance(value, Path) else value for name, value in settings.items()
        },
        "parameters": {name: list(shape) for name, shape in sizes.items()},
    }
