"""`recurra data TASK`: what is in the data of a training, and what would make its figures worthless."""

import dataclasses
import json
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from recurra.cli.flags import from_flags, with_flags
from recurra.cli.waiting import Waiting
from recurra.tasks.settings_file import make_config, read_sections
from recurra.tasks.table import TaskEntry
from recurra.training.figures import printable

if TYPE_CHECKING:  # torch is imported once a command runs
    from recurra.tasks.doctor import Checkup, PartSummary

__all__ = ["data_command"]

MOST_CLASSES = 30
"""Classes that the table shows; the others are one row."""


def data_command(entry: TaskEntry) -> Callable[..., None]:
    """The command that looks through the data of a task, with a flag for each of its settings but those of training."""
    config_option = typer.Option("--config", help="Settings from a file in TOML; flags override it.", metavar="FILE")
    test_option = typer.Option("--test", help="A further part, such as a test; may be given again.", metavar="FILE")
    json_option = typer.Option("--json", help="Print one JSON object instead of tables.")

    def data(
        settings: Mapping[str, Any],
        config: Annotated[Path | None, config_option] = None,
        test: Annotated[list[Path] | None, test_option] = None,
        as_json: Annotated[bool, json_option] = False,
    ) -> None:
        from recurra.tasks.doctor import check_up
        from recurra.tasks.preparation import read_parts

        task = entry.load()
        content = read_sections(config, task.name) if config is not None else {}
        made = make_config(task.config, content, from_flags(task.config, settings), str(config or ""))
        with Waiting("looking through the data"):
            parts = read_parts(task, made)
            named = {"train": parts.train, "valid": parts.valid}
            named |= {path.name: task.read(made, path, "evaluate") for path in test or []}
            checkup = check_up(task, made, named)
        if as_json:
            shown = {
                "parts": [dataclasses.asdict(part) for part in checkup.parts],
                "problems": dict(checkup.problems),
                "warnings": list(checkup.warnings),
            }
            typer.echo(json.dumps(_finite(shown), ensure_ascii=False))
            return
        show_checkup(checkup, Console(highlight=False))

    return with_flags(data, entry.config, sections_without=("training",))


def show_checkup(checkup: "Checkup[Any]", console: Console) -> None:
    """Print what is in the parts, and what is wrong with them."""
    console.print(_sizes(checkup.parts))
    if any(part.labels for part in checkup.parts):
        console.print()
        console.print(_classes(checkup.parts, console))
    metrics = {metric.name: metric for metric in checkup.metrics}
    rules = [(part, rule, figures) for part in checkup.parts for rule, figures in part.baselines.items()]
    if rules:
        console.print("\nWhat a trivial rule scores", style="bold")
        for part, rule, figures in rules:
            shown = [
                f"{metrics[name].label} {metrics[name].show(value)}"
                for name, value in figures.items()
                if math.isfinite(value)
            ]
            _indented(f"{rule}: {', '.join(shown)} on {part.name}", console)
    problems = [(names, line) for names, lines in checkup.problems.items() for line in lines]
    if problems:
        console.print("\nRead with changes", style="bold")
        for names, line in problems:
            _indented(f"{names}: {line}", console)
    if checkup.warnings:
        console.print("\nTo look at before training", style="bold yellow")
        for warning in checkup.warnings:
            _indented(warning, console)
    else:
        console.print("\nNothing is in two parts, and nothing has two answers.", style="green")


def _indented(text: str, console: Console) -> None:
    console.print(Padding(Text(printable(text, console.encoding)), (0, 0, 0, 2)))


def _sizes(parts: "Sequence[PartSummary]") -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    table.add_column("part", style="bold", no_wrap=True)
    for heading in ("examples", "steps", "shortest", "median", "longest", "repeated", "words not in train"):
        table.add_column(heading, justify="right")
    for part in parts:
        low, median, high, total = part.steps
        unknown = "" if part.unknown is None else f"{part.unknown:.1%}"
        repeated = f"{part.repeated:,}" if part.repeated else "-"
        figures = (f"{part.examples:,}", f"{total:,}", f"{low:,}", f"{median:g}", f"{high:,}", repeated, unknown)
        table.add_row(part.name, *figures)
    return table


def _classes(parts: "Sequence[PartSummary]", console: Console) -> Table:
    """How many of each class every part has, and the share of it."""
    totals: dict[str, int] = {}
    for part in parts:
        for label, count in part.labels.items():
            totals[label] = totals.get(label, 0) + count
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    table.add_column("class", no_wrap=True)
    for part in parts:
        table.add_column(part.name, justify="right", no_wrap=True)
        table.add_column("", justify="right", no_wrap=True, style="dim")
    ordered = sorted(totals, key=lambda label: -totals[label])
    for label in ordered[:MOST_CLASSES]:
        cells = []
        for part in parts:
            count = part.labels.get(label, 0)
            cells += [f"{count:,}", f"{count / max(1, sum(part.labels.values())):.1%}"]
        table.add_row(printable(label, console.encoding), *cells)
    if len(ordered) > MOST_CLASSES:
        table.add_row(f"{len(ordered) - MOST_CLASSES:,} more", style="dim")
    return table


def _finite(value: Any) -> Any:  # noqa: ANN401  (whatever JSON can hold)
    """The same with null in the place of what is no number."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    return [_finite(item) for item in value] if isinstance(value, list | tuple) else value
