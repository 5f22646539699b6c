"""`recurra train TASK`: a model from files, in one command."""

import shlex
import shutil
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from recurra.cli.command import INTERRUPTED
from recurra.cli.flags import from_flags, with_flags
from recurra.tasks.run import Run, new_folder, train_run
from recurra.tasks.settings_file import make_config, read_sections
from recurra.tasks.task import Task, TaskConfig
from recurra.training import Observer, Progress, TrainingResult, ValidationEvent
from recurra.training.figures import describe_seconds

__all__ = ["RUNS", "report", "show_training", "train_command"]

RUNS = Path("runs")
"""Where runs go that are given no folder."""


def train_command(task: Task[Any, Any, Any]) -> Callable[..., None]:
    """The command that trains for a task, with a flag for each of its settings."""
    config_option = typer.Option("--config", help="Settings from a file in TOML; flags override it.", metavar="FILE")
    out_option = typer.Option(
        "--out", help="Folder for the run, new or empty.", metavar="FOLDER", show_default=f"{RUNS / task.name}"
    )
    samples_option = typer.Option("--samples/--no-samples", help="Show what the model writes at every validation.")

    def train(
        settings: Mapping[str, Any],
        config: Annotated[Path | None, config_option] = None,
        out: Annotated[Path | None, out_option] = None,
        samples: Annotated[bool, samples_option] = True,
    ) -> None:
        content = read_sections(config, task.name) if config is not None else {}
        made = make_config(task.config, content, from_flags(task.config, settings), str(config or ""))
        report(*show_training(task, made, out or new_folder(RUNS, task.name), samples=samples))

    return with_flags(train, task.config)


class _Samples(Observer):
    """Shows what the model writes after every validation."""

    def __init__(self, write: Callable[[], str], progress: Progress) -> None:
        self.write, self.progress = write, progress

    def on_validation(self, event: ValidationEvent) -> None:
        """Write, and show it."""
        after = f"a sample after {event.step:,} steps, {describe_seconds(event.elapsed)}"
        self.progress.show_sample(after, self.write())


def show_training(
    task: Task[Any, Any, Any], config: TaskConfig, folder: Path, *, samples: bool = True, untrained: bool = False
) -> tuple[Run, TrainingResult]:
    """Train a run with its progress on the screen.

    Args:
        task: What to train for.
        config: Its settings.
        folder: Where the run goes.
        samples: Whether to show what the model writes at every validation.
        untrained: Whether to show what it writes before it has learned anything, too.
    """
    progress = Progress(task.views(config), task.unit(config))

    def observers(model: Any, data: Any) -> list[Observer]:  # noqa: ANN401  (the task's own)
        write = task.sample(config, model, data) if samples else None
        if untrained and write is not None:
            model.eval()
            progress.show_sample("a sample before training", write())
        return [progress] if write is None else [progress, _Samples(write, progress)]

    return train_run(task, config, folder, observers)


def report(run: Run, result: TrainingResult) -> None:
    """Say where the run is and what can be done with it.

    Raises:
        typer.Exit: Training was interrupted; the exit code says so.
    """
    console = Console(highlight=False)
    if result.best_step is None:
        console.print("Nothing was learned yet, so nothing is kept.", style="yellow")
    else:
        folder, name = shlex.quote(str(run.folder)), _program()
        console.print(Text.assemble("\nThe run is kept in ", (str(run.folder), "bold"), ". To try next:"))
        for command, words in run.suggestions():
            console.print(Text.assemble("  ", (f"{name} {command} {folder}{words}", "cyan")), soft_wrap=True)
    if result.interrupted:
        raise typer.Exit(INTERRUPTED)


def _program() -> str:
    """How this program is called where it is: `recurra` if that is on the path, else where it stands."""
    called = Path(sys.argv[0])
    if called.name != "recurra" or shutil.which("recurra"):
        return "recurra"
    return shlex.quote(str(called.relative_to(Path.cwd()) if called.is_relative_to(Path.cwd()) else called))
