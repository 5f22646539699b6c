"""`recurra lab`: experiments that show what the theory says, and whether it is so."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from recurra.cli.flags import seed_option
from recurra.cli.stopping import INTERRUPTED
from recurra.extras import how_to_install, is_there
from recurra.lab import Watch
from recurra.training.figures import describe_seconds

if TYPE_CHECKING:  # torch is imported once a command runs
    from recurra.lab import Record
    from recurra.lab.experiment import Experiment

__all__ = ["Display", "lab", "run_shown"]

FOLDER = Path("runs/lab")
"""Where results go that are given no folder."""


def lab(
    name: Annotated[
        str | None, typer.Argument(help="An experiment: makes it. None lists them.", metavar="NAME")
    ] = None,
    out: Annotated[Path, typer.Option("--out", help="Folder for the results.", metavar="FOLDER")] = FOLDER,
    seed: Annotated[int, seed_option("Repeats the numbers.")] = 0,
    quick: Annotated[
        bool, typer.Option("--quick", help="A rehearsal of a few seconds, too small to decide anything.")
    ] = False,
) -> None:
    """Test a claim of the theory by an experiment: what is found beside what should be, a plot, a verdict."""
    console = Console(highlight=False)
    if name is None:
        _list(console)
        return
    from recurra.lab import get
    from recurra.lab.record import folder_of_results

    experiment = get(name)
    with folder_of_results(out):
        console.print(Text.assemble((experiment.name, "bold"), f": {experiment.claim}"))
        duration = "a few seconds: a rehearsal" if quick else f"about {_minutes(experiment.minutes)}"
        console.print(Text(f"{experiment.source}. Takes {duration}.\n", style="dim"))
        record = run_shown(experiment, console, out, seed=seed, quick=quick)
        _report(record, console)
        _say_where(record.write(out), console)


def run_shown(
    experiment: Experiment[Any], console: Console, folder: Path, *, seed: int = 0, quick: bool = False
) -> Record:
    """Make an experiment and show how it goes on; Ctrl-C ends the command with a line that says what is kept."""
    from recurra.lab import run

    with Display(console) as display:
        try:
            return run(experiment, seed=seed, quick=quick, watch=display, folder=folder)
        except KeyboardInterrupt:
            if quick or not display.finished:
                raise
            display.progress.stop()
            trials = f"{display.finished} finished trial{'s are' if display.finished > 1 else ' is'} kept"
            print(f"\nrecurra: stopped; {trials}, and the same command goes on", file=sys.stderr)
            raise typer.Exit(INTERRUPTED) from None


def _minutes(minutes: float) -> str:
    return "a minute" if minutes <= 1 else f"{minutes:g} minutes"


def _list(console: Console) -> None:
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    table.add_column("experiment", style="bold", no_wrap=True)
    table.add_column("minutes", justify="right", no_wrap=True)
    table.add_column("the claim it tests")
    from recurra.lab import EXPERIMENTS

    for experiment in EXPERIMENTS.values():
        table.add_row(experiment.name, f"{experiment.minutes:g}", experiment.claim)
    console.print(table)
    console.print("\n`recurra lab NAME` makes one; the minutes are those of one thread.", style="dim")


class Display(Watch):
    """A bar for the experiment and one for the trial at hand; each trial that has ended is a line.

    Where there is no terminal to redraw there are the lines alone.
    """

    def __init__(self, console: Console) -> None:
        self.console = console
        self.name = ""
        self.trial: TaskID | None = None
        self.began = 0.0
        self.finished = 0
        self.live = console.is_interactive and console.file.isatty()
        self.progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f}%"),
            TimeElapsedColumn(),
            TextColumn("{task.fields[loss]}", style="dim"),
            console=console,
            transient=True,
            disable=not self.live,
        )

    def __enter__(self) -> Display:
        """Open the display."""
        self.progress.start()
        return self

    def __exit__(self, *error: object) -> None:
        """Close it, however the experiment ended."""
        self.progress.stop()

    def begin(self, name: str, number: int, total: int) -> None:
        """Show the trial."""
        self.name, self.began = f"{number}/{total} {name}", time.monotonic()
        if self.trial is not None:
            self.progress.remove_task(self.trial)
        self.trial = self.progress.add_task(self.name, total=1.0, loss="")

    def resume(self, finished: int, total: int) -> None:
        """Say that it goes on."""
        self.finished = finished
        line = f"{finished} of {total} trials were finished before this was stopped; it goes on with the others"
        self.progress.console.print(Text(line, style="dim"), soft_wrap=not self.live)

    def step(self, fraction: float, loss: float) -> None:
        """Show how far it is."""
        if self.live and self.trial is not None:
            self.progress.update(self.trial, completed=fraction, loss=f"loss {loss:.3g}")

    def end(self, result: str) -> None:
        """Leave a line."""
        self.finished += 1
        took = describe_seconds(time.monotonic() - self.began)
        line = Text.assemble((f"{self.name}: ", "dim"), result, (f"  {took}", "dim"))
        self.progress.console.print(line, soft_wrap=not self.live)


def _report(record: Record, console: Console) -> None:
    """What was found beside what theory says, and the verdict."""
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    table.add_column("", no_wrap=True)
    table.add_column("what", style="bold")
    table.add_column("found")
    table.add_column("theory")
    signs = {True: Text("✓", style="green"), False: Text("✗", style="red"), None: Text("")}
    if console.options.ascii_only:
        signs = {True: Text("+", style="green"), False: Text("-", style="red"), None: Text("")}
    for finding in record.findings:
        sign = Text("") if record.quick else signs[finding.holds]
        table.add_row(sign, finding.what, finding.found, finding.theory)
    console.print()
    console.print(table)
    console.print()
    claim = record.experiment.claim
    if record.holds is None:
        console.print("No verdict: --quick is a rehearsal, too small to decide anything.", style="yellow")
    elif record.holds:
        console.print(Text.assemble(("The claim holds: ", "bold green"), f"{claim}."))
    else:
        failed = "; ".join(finding.what for finding in record.findings if finding.holds is False)
        console.print(Text.assemble(("The claim does not hold here ", "bold red"), f"({failed}): {claim}."))


def _say_where(written: list[Path], console: Console) -> None:
    shown = " and ".join(str(path) for path in written)
    console.print(Text(f"Written: {shown}"), soft_wrap=True)
    if not is_there("matplotlib"):
        console.print(Text(f"For the plot too: {how_to_install('matplotlib')}", style="dim"), soft_wrap=True)
