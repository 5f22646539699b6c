"""`recurra range-test TASK`: at which learning rates a model learns, before it is trained."""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from recurra.cli.flags import from_flags, with_flags
from recurra.cli.outputs import check_outputs, write_outputs
from recurra.cli.waiting import Waiting
from recurra.data.files import write_atomically
from recurra.tasks.settings_file import make_config, read_sections
from recurra.tasks.table import TaskEntry
from recurra.training.figures import printable

if TYPE_CHECKING:  # torch is imported once a command runs
    from recurra.training.range_test import RangeTest

__all__ = ["range_test_command"]

ROWS = 16
"""How many rows the table has."""

BAR = 28
"""Width of the longest bar, in characters."""


def range_test_command(entry: TaskEntry) -> Callable[..., None]:
    """The command that tests a task, with a flag for each of its settings."""
    config_option = typer.Option("--config", help="Settings from a file in TOML; flags override it.", metavar="FILE")
    low_option = typer.Option("--low", help="The lowest learning rate.", metavar="X")
    high_option = typer.Option("--high", help="The highest learning rate.", metavar="X")
    steps_option = typer.Option("--steps", help="How many rates are tried, a step each.", metavar="N")
    plot_option = typer.Option("--plot", help="Draw the loss over the learning rate, as PNG.", metavar="FILE")
    json_option = typer.Option("--json", help="Write rates, losses and suggestion.", metavar="FILE")

    def test(
        settings: Mapping[str, Any],
        config: Annotated[Path | None, config_option] = None,
        low: Annotated[float, low_option] = 1e-5,
        high: Annotated[float, high_option] = 10.0,
        steps: Annotated[int, steps_option] = 100,
        plot: Annotated[Path | None, plot_option] = None,
        json_file: Annotated[Path | None, json_option] = None,
    ) -> None:
        from recurra.tasks.preparation import prepare
        from recurra.training.range_test import range_test

        task = entry.load()
        content = read_sections(config, task.name) if config is not None else {}
        made = make_config(task.config, content, from_flags(task.config, settings), str(config or ""))
        check_outputs(plot, json_file)
        prepared = prepare(task, made)
        with Waiting("trying learning rates") as waiting:
            found = range_test(
                prepared.run.model, prepared.batches, prepared.loss, made.training, low, high, steps,
                watch=lambda done: waiting.step(done, steps),
            )  # fmt: skip
        console = Console(highlight=False)
        _show(found, console)
        write_outputs(
            console,
            {
                plot: lambda path: write_atomically(path, found.plot()),
                json_file: lambda path: write_atomically(path, _as_json(found)),
            },
        )

    return with_flags(test, entry.config)


def _as_json(found: "RangeTest") -> str:
    derived = {"steepest": found.steepest, "largest": found.largest, "suggestion": found.suggestion}
    return json.dumps(asdict(found) | derived) + "\n"


def _show(found: "RangeTest", console: Console) -> None:
    """A table of the loss by learning rate, and what it says."""
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    table.add_column("learning rate", justify="right", no_wrap=True)
    table.add_column("loss", justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    places = sorted({round(row * (len(found.rates) - 1) / (ROWS - 1)) for row in range(ROWS)})
    low = min(found.smoothed)
    span = (max(found.smoothed[0], low) - low) or 1.0
    block = printable("█", console.encoding).replace("?", "#")
    for place in places:
        value, rate = found.smoothed[place], found.rates[place]
        # What the loss was at first is a bar of three quarters; what ran away ends at the edge.
        length = min(BAR, max(1, round((value - low) / span * 0.75 * BAR)))
        style = "red" if rate > found.largest else "green" if value < found.smoothed[0] - 0.05 * span else "yellow"
        table.add_row(f"{rate:.2g}", f"{value:.3f}", Text(block * length, style=style))
    console.print(table)
    console.print()
    console.print(_sentences(found))
    console.print(Text.assemble("To begin with: ", (f"--learning-rate {found.suggestion:.2g}", "bold cyan")))


def _sentences(found: "RangeTest") -> Text:
    falls = "never falls" if found.steepest is None else f"falls fastest at {found.steepest:.2g}"
    ran = (
        f"turns up after {found.largest:.2g}, and runs away by {found.rates[-1]:.2g}"
        if found.diverged
        else f"is lowest at {found.largest:.2g}, and does not run away by {found.rates[-1]:.2g}"
    )
    return Text(f"The loss {falls}; it {ran}.")
