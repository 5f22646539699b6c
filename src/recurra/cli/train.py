"""`recurra train TASK`: a model from files, in one command."""

import shlex
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from recurra.cli.flags import from_flags, with_flags
from recurra.cli.stopping import INTERRUPTED
from recurra.cli.watching import Gradients, SamplesFlag, TensorBoardFlag, Watching
from recurra.tasks import TASKS
from recurra.tasks.settings_file import make_config, read_sections
from recurra.tasks.table import TaskEntry

if TYPE_CHECKING:  # torch is imported once a command runs
    from recurra.tasks.run import Run
    from recurra.tasks.task import Task, TaskConfig
    from recurra.training import Observer, TrainingResult

__all__ = ["RUNS", "report", "resume", "show_resumption", "show_training", "train_command"]

RUNS = Path("runs")
"""Where runs go that are given no folder."""


def train_command(task: TaskEntry) -> Callable[..., None]:
    """The command that trains for a task, with a flag for each of its settings."""
    config_option = typer.Option("--config", help="Settings from a file in TOML; flags override it.", metavar="FILE")
    out_option = typer.Option(
        "--out", help="Folder for the run, new or empty.", metavar="FOLDER", show_default=f"{RUNS / task.name}"
    )

    def train(
        settings: Mapping[str, Any],
        config: Annotated[Path | None, config_option] = None,
        out: Annotated[Path | None, out_option] = None,
        samples: SamplesFlag = True,
        tensorboard: TensorBoardFlag = False,
        gradients: Gradients = None,
    ) -> None:
        from recurra.tasks.run import new_folder
        from recurra.training import World

        content = read_sections(config, task.name) if config is not None else {}
        made = make_config(task.config, content, from_flags(task.config, settings), str(config or ""))
        with World.joined() as world:
            folder = out or new_folder(RUNS, task.name)
            world.wait()  # before any process makes it
            watching = Watching(samples, tensorboard, gradients)
            report(*show_training(task.load(), made, folder, watching), is_first=world.is_first)

    return with_flags(train, task.config)


def resume(
    run: Annotated[Path, typer.Argument(help="Folder of a run.", metavar="RUN")],
    epochs: Annotated[int | None, typer.Option(help="Train for so many epochs in all.", metavar="N", min=1)] = None,
    max_steps: Annotated[int | None, typer.Option(help="Train for so many steps in all.", metavar="N", min=1)] = None,
    max_minutes: Annotated[float | None, typer.Option(help="Train for so long in all.", metavar="X")] = None,
    samples: SamplesFlag = True,
    tensorboard: TensorBoardFlag = False,
    gradients: Gradients = None,
) -> None:
    """Go on with a training that was stopped, killed, or is to go further, from its newest checkpoint."""
    from recurra.training import World

    limits = {"epochs": epochs, "max_steps": max_steps, "max_minutes": max_minutes}
    with World.joined() as world:
        given = {name: value for name, value in limits.items() if value is not None}
        watching = Watching(samples, tensorboard, gradients)
        report(*show_resumption(run, given, watching), is_first=world.is_first)


def show_training(
    task: "Task[Any, Any, Any]", config: "TaskConfig", folder: Path, watching: Watching | None = None
) -> "tuple[Run, TrainingResult]":
    """Train a run with its progress on the screen.

    Args:
        task: What to train for.
        config: Its settings.
        folder: Where the run goes.
        watching: What else is shown and kept.
    """
    from recurra.tasks.run import train_run

    watching = watching or Watching()
    return train_run(task, config, folder, lambda *made: watching.observers(task, config, folder, *made))


def show_resumption(
    folder: Path, overrides: Mapping[str, Any] | None = None, watching: Watching | None = None
) -> "tuple[Run, TrainingResult]":
    """Go on with the training of a run, with its progress on the screen.

    Args:
        folder: The run's.
        overrides: Settings that change, by key.
        watching: What else is shown and kept.
    """
    from recurra.tasks.run import resume_run

    watching = watching or Watching()

    def observers(task: "Task[Any, Any, Any]", config: "TaskConfig", *made: Any) -> "Sequence[Observer]":  # noqa: ANN401
        return watching.observers(task, config, folder, *made)

    return resume_run(folder, TASKS, overrides, observers)


def report(run: "Run", result: "TrainingResult", *, is_first: bool = True) -> None:
    """Say where the run is and what can be done with it; of several processes, the first does.

    Raises:
        typer.Exit: Training was interrupted; the exit code says so.
    """
    console, folder = Console(highlight=False, quiet=not is_first), shlex.quote(run.folder.as_posix())
    if result.best_step is None:
        console.print("Nothing was learned yet, so nothing is kept.", style="yellow")
    else:
        name = _program()
        console.print(Text.assemble("\nThe run is kept in ", (str(run.folder), "bold"), ". To try next:"))
        for command, words in run.suggestions():
            console.print(Text.assemble("  ", (f"{name} {command} {folder}{words}", "cyan")), soft_wrap=True)
    if result.interrupted:
        if result.steps:
            console.print(Text.assemble("  ", (f"{_program()} resume {folder}", "cyan"), "  goes on with the training"))
        raise typer.Exit(INTERRUPTED)


def _program() -> str:
    """How this program is called where it is: `recurra` if that is on the path, else where it stands."""
    called = Path(sys.argv[0])
    if called.name != "recurra" or shutil.which("recurra"):
        return "recurra"
    return shlex.quote(str(called.relative_to(Path.cwd()) if called.is_relative_to(Path.cwd()) else called))
