"""`recurra reproduce NAME --data FOLDER`: a run with a published target, and how its result compares."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from recurra import recipes
from recurra.cli.flags import DeviceFlag
from recurra.cli.lab import run_shown
from recurra.cli.stopping import INTERRUPTED
from recurra.cli.train import RUNS, show_resumption, show_training
from recurra.cli.watching import Watching
from recurra.errors import RunError, SettingError
from recurra.recipes import Outcome, Recipe, figure_at, last_outcome
from recurra.tasks import TASKS
from recurra.tasks.settings_file import make_config, read_sections
from recurra.training.figures import describe_seconds
from recurra.training.settings import DeviceName

if TYPE_CHECKING:  # torch is imported once a command runs
    from recurra.tasks import TaskConfig
    from recurra.tasks.run import AnyTask, AnyTrained
    from recurra.training import TrainingResult

__all__ = ["reproduce"]

MISSED = 1
"""The exit code of a run that misses its target."""

VALIDATION = "the part validated on"

HOW_TO_GET = "docs/recipes.md in the repository says how the files are made of what is published."

STYLES = {"reached": "green", "missed": "red", "unrun": "dim"}


def reproduce(
    name: Annotated[str | None, typer.Argument(help="A recipe; without it they are listed.", metavar="NAME")] = None,
    data: Annotated[
        Path | None, typer.Option("--data", help="Folder that holds the data of the recipes.", metavar="FOLDER")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Folder for the run.", metavar="RUN", show_default=f"{RUNS}/NAME"),
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Say whether the data are there and are those of the paper; train nothing.")
    ] = False,
    device: DeviceFlag = "auto",
) -> None:
    """Train what a paper trained, and say how the result compares with the number it published; none lists them."""
    console = Console(highlight=False)
    if name is None:
        _list([recipes.get(known) for known in recipes.names()], console)
        return
    from recurra.training import World

    recipe = recipes.get(name)
    with World.joined() as world:
        console.quiet = not world.is_first
        other_files = _check_data(recipe, data, check, console)
        if check:
            return
        console.print(Text.assemble((recipe.name, "bold"), f": {recipe.title}"))
        console.print(f"{recipe.paper}; about {_duration(recipe.minutes)} on {recipe.machine}\n", style="dim")
        folder = out or RUNS / name
        if recipe.experiment is not None:
            outcome = _experiment(recipe, recipe.experiment, folder, console)
        else:
            assert recipe.task is not None
            assert data is not None
            # In full, so that the run goes on also where it is called from another folder.
            outcome = _run(recipe, TASKS[recipe.task], data.resolve(), folder, device, other_files)
        if world.is_first:
            outcome.save(folder)
        _compare(recipe, outcome, console)
    raise typer.Exit(0 if outcome.reached else MISSED)


def _check_data(recipe: Recipe, data: Path | None, check: bool, console: Console) -> tuple[str, ...]:
    """Say which files are not those of the paper, and return them; without a folder, only say which are needed."""
    if recipe.experiment is not None:
        console.print(f"The recipe {recipe.name} makes its own data.")
        return ()
    if data is None and check:
        console.print(f"The recipe {recipe.name} reads {recipe.corpus}: these files below the folder --data FOLDER.\n")
        for file, digest in recipe.files.items():
            console.print(Text.assemble(file, (f"  SHA-256 {digest}", "dim")), soft_wrap=True)
        console.print(f"\nThe SHA-256 is that of what a file holds, uncompressed. {HOW_TO_GET}", style="dim")
        return ()
    if data is None:
        raise SettingError(
            f"the recipe {recipe.name} reads data: give --data FOLDER, which holds {', '.join(recipe.files)}"
        )
    other_files = tuple(recipe.check_files(data))
    for file in other_files:
        console.print(
            f"{data / file}: not the file that the published figure was measured on, so that the two do not compare",
            style="yellow",
            soft_wrap=True,
        )
    if not other_files:
        console.print(f"The data are there, and are those of the recipe: {', '.join(recipe.files)}")
    return other_files


def _run(
    recipe: Recipe,
    task: AnyTask,
    data: Path,
    folder: Path,
    device: DeviceName,
    other_files: tuple[str, ...],
) -> Outcome:
    """Train a recipe's run, and measure it."""
    from recurra.tasks import evaluate_run

    run, result = _train(task, recipe.config(task.config, data, {"device": device}), folder)
    if result.interrupted:
        print("recurra: stopped before the end; the same command goes on", file=sys.stderr)
        raise typer.Exit(INTERRUPTED)
    metrics = result.best_metrics if recipe.test is None else evaluate_run(run, data / recipe.test, device).metrics
    parameters = sum(parameter.numel() for parameter in run.model.parameters())
    return Outcome.of(recipe, metrics, result.seconds, parameters, other_files)


def _experiment(recipe: Recipe, name: str, folder: Path, console: Console) -> Outcome:
    """Make a recipe's experiment."""
    from recurra import lab
    from recurra.lab.record import folder_of_results

    experiment = lab.get(name)
    with folder_of_results(folder):
        record = run_shown(experiment, console, folder)
        record.write(folder)
    return Outcome.of(recipe, {recipe.metric: figure_at(record.measured, recipe.metric)}, record.seconds)


def _train(task: AnyTask, config: TaskConfig, folder: Path) -> tuple[AnyTrained, TrainingResult]:
    """Train a recipe's run, or go on with it where it was stopped."""
    from recurra.tasks.run import CONFIG, can_resume

    if not can_resume(folder):
        return show_training(task, config, folder, Watching(samples=False))
    kept = make_config(task.config, read_sections(folder / CONFIG, task.name), source=str(folder / CONFIG))
    device = {"device": config.training.device}
    if kept.model_copy(update={"training": kept.training.model_copy(update=device)}) != config:
        raise RunError(f"{folder}: the run there has other settings than the recipe, or other data; give another --out")
    return show_resumption(folder, device, Watching(samples=False))


def _compare(recipe: Recipe, outcome: Outcome, console: Console) -> None:
    """Say what was reached beside what was to be."""
    published = "-" if recipe.published is None else f"{recipe.published:g}"
    measured = recipe.measured if recipe.task is None else f"{recipe.measured} on {recipe.test or VALIDATION}"
    parameters = f" to train {outcome.parameters:,} parameters" if outcome.parameters else ""
    verdict = "reached" if outcome.reached else "missed"
    rows = [
        ("measured", Text(measured)),
        ("published", Text(f"{published}  {recipe.source}" if recipe.published is not None else "nothing")),
        ("target", Text(recipe.wanted)),
        ("this run", Text.assemble((_figure(outcome.figure), "bold"), "  ", (verdict, STYLES[verdict]))),
        ("took", Text(f"{describe_seconds(outcome.seconds)}{parameters}")),
    ]
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(style="dim", no_wrap=True)
    table.add_column()
    for label, text in rows:
        table.add_row(label, text)
    console.print()
    console.print(table)


def _list(known: list[Recipe], console: Console) -> None:
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    table.add_column("recipe", min_width=max(len(recipe.name) for recipe in known))
    table.add_column("target")
    table.add_column("authors' run")
    table.add_column("time", justify="right", no_wrap=True)
    for recipe in known:
        figure = "" if recipe.figure is None else f"{_figure(recipe.figure)} "
        run = Text.assemble(figure, (recipe.status, STYLES[recipe.status]))
        if (yours := last_outcome(RUNS / recipe.name, recipe)) is not None:
            verdict = "reached" if recipe.is_reached_by(yours) else "missed"
            run = Text.assemble(run, ("\nyours: ", "dim"), f"{_figure(yours)} ", (verdict, STYLES[verdict]))
        sign = "at most" if recipe.direction == "lower" else "at least"
        needs = "" if recipe.hardware == "processor" else f", on an {recipe.hardware}"
        table.add_row(
            Text.assemble((recipe.name, "bold"), "\n", (recipe.title + needs, "dim")),
            Text.assemble(f"{recipe.measured} {sign} {recipe.target:g}\n", (recipe.source, "dim")),
            run,
            _duration(recipe.minutes),
        )
    console.print(table)
    console.print(
        "\n`recurra reproduce NAME --data FOLDER` runs one; with --check alone it says which files it reads.",
        style="dim",
    )


def _figure(value: float) -> str:
    """A figure in the digits that it is compared in.

    Example:
        >>> _figure(114.4712), _figure(0.98912), _figure(0.0000531)
        ('114.47', '0.9891', '5.31e-05')
    """
    if value >= 10:
        return f"{value:.2f}"
    return f"{value:.4f}" if value >= 0.01 else f"{value:.3g}"


def _duration(minutes: float) -> str:
    """A time in words.

    Example:
        >>> _duration(40), _duration(75), _duration(1440)
        ('40 min', '1.25 h', '24 h')
    """
    return f"{round(minutes)} min" if minutes < 60 else f"{minutes / 60:.3g} h"
