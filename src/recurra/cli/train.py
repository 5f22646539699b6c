"""`recurra train TASK`: a model from files, in one command."""

import contextlib
import shlex
import shutil
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from recurra.cli.completion import run_folders
from recurra.cli.flags import from_flags, with_flags
from recurra.cli.stopping import INTERRUPTED
from recurra.cli.watching import CURVES, GRADIENTS, TENSORBOARD, Gradients, SamplesFlag, TensorBoardFlag, Watching
from recurra.tasks import TASKS
from recurra.tasks.settings import TaskConfig
from recurra.tasks.settings_file import make_config, read_sections
from recurra.tasks.table import TaskEntry
from recurra.training.settings import CHANGEABLE, TrainingSettings

if TYPE_CHECKING:  # torch is imported once a command runs
    from recurra.tasks.run import AnyTask, AnyTrained
    from recurra.training import TrainingResult

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
        from recurra.training import World

        content = read_sections(config, task.name) if config is not None else {}
        made = make_config(task.config, content, from_flags(task.config, settings), str(config or ""))
        with World.joined() as world:
            watching = Watching(samples, tensorboard, gradients)
            folder, anywhere = out or RUNS / task.name, out is None
            run, result = show_training(task.load(), made, folder, watching, anywhere=anywhere)
            report(run, result, is_first=world.is_first)

    return with_flags(train, task.config, without=() if "probes-gradient" in task.abilities else ("gradients",))


def _resume(
    settings: Mapping[str, Any],
    run: Annotated[Path, typer.Argument(help="Folder of a run.", metavar="RUN", autocompletion=run_folders)],
    data: Annotated[
        Path | None, typer.Option("--data", help="Where the data are now, if they were moved.", metavar="FILE")
    ] = None,
    valid: Annotated[
        Path | None, typer.Option("--valid", help="Where the validation data are now.", metavar="FILE")
    ] = None,
    samples: SamplesFlag = True,
    tensorboard: TensorBoardFlag = False,
    gradients: Gradients = None,
) -> None:
    """Go on with a training that was stopped, killed, or is to go further, from its newest checkpoint."""
    from recurra.training import World

    files = {name: path for name, path in (("data", data), ("valid", valid)) if path is not None}
    with World.joined() as world:
        watching = Watching(samples, tensorboard, gradients)
        before = _steps_of(run)
        resumed, result = show_resumption(run, {**settings, **files}, watching)
        if result.steps == before and not result.interrupted and world.is_first:
            _say_it_was_finished(resumed, result)
        report(resumed, result, is_first=world.is_first)


def _steps_of(run: Path) -> int | None:
    """How many steps a run has taken by its newest checkpoint; None where there is none."""
    from recurra.tasks.folder import can_resume, steps_taken

    return steps_taken(run) if can_resume(run) else None


def _say_it_was_finished(run: "AnyTrained", result: "TrainingResult") -> None:
    """Say that there was nothing to go on with, and what would let the training go further."""
    further = _further(run.config.training, result)
    mend = "" if further is None else f"; to train further raise its limit, such as {further}"
    text = f"The run was finished already, after {result.steps:,} steps: nothing was trained{mend}."
    Console(highlight=False).print(Text(text, style="yellow"), soft_wrap=True)


_resume.__name__ = "resume"
resume = with_flags(_resume, TaskConfig, only=CHANGEABLE)
"""`recurra resume RUN`, with a flag for each setting that may change on the way; limits count the whole training."""


def show_training(
    task: "AnyTask",
    config: TaskConfig,
    folder: Path,
    watching: Watching | None = None,
    *,
    anywhere: bool = False,
) -> "tuple[AnyTrained, TrainingResult]":
    """Train a run with its progress on the screen.

    Args:
        task: What to train for.
        config: Its settings.
        folder: Where the run goes.
        watching: What else is shown and kept.
        anywhere: Whether FOLDER-2, FOLDER-3, ... will do where it is taken.
    """
    from recurra.tasks.run import train_run

    return train_run(task, config, folder, (watching or Watching()).observers, anywhere=anywhere)


def show_resumption(
    folder: Path, overrides: Mapping[str, Any] | None = None, watching: Watching | None = None
) -> "tuple[AnyTrained, TrainingResult]":
    """Go on with the training of a run, with its progress on the screen.

    Args:
        folder: The run's.
        overrides: Settings that change, by key.
        watching: What else is shown and kept.
    """
    from recurra.tasks.run import resume_run

    return resume_run(folder, TASKS, overrides, (watching or Watching()).observers)


def report(run: "AnyTrained", result: "TrainingResult", *, is_first: bool = True) -> None:
    """Say where the run is and what can be done with it; of several processes, the first does.

    Raises:
        typer.Exit: Training was interrupted; the exit code says by which signal.
    """
    console = Console(highlight=False, quiet=not is_first)
    # After SIGHUP there may be no terminal any more, and nothing else must depend on what is said here.
    with contextlib.suppress(OSError) if result.interrupted else contextlib.nullcontext():
        _say(run, result, console)
    if result.interrupted:
        raise typer.Exit(INTERRUPTED if result.signal is None else 128 + result.signal)


def _say(run: "AnyTrained", result: "TrainingResult", console: Console) -> None:
    assert run.folder is not None
    folder, name = shlex.quote(run.folder.as_posix()), _program()
    if result.best_step is None:
        console.print("Nothing was learned yet, so nothing is kept.", style="yellow")
    else:
        written = [run.folder / file for file in (CURVES, GRADIENTS, TENSORBOARD) if (run.folder / file).exists()]
        if written:
            console.print(Text(f"Written: {', '.join(map(str, written))}", style="dim"), soft_wrap=True)
        console.print(Text.assemble("\nThe run is kept in ", (str(run.folder), "bold"), ". To try next:"))
        for command, words in run.suggestions():
            console.print(Text.assemble("  ", (f"{name} {command} {folder}{words}", "cyan")), soft_wrap=True)
    if result.interrupted and result.steps:
        console.print(Text.assemble("  ", (f"{name} resume {folder}", "cyan"), "  goes on with the training"))
    elif further := _further(run.config.training, result):
        console.print(Text.assemble("  ", (f"{name} resume {folder} {further}", "cyan")), soft_wrap=True)


def _further(settings: TrainingSettings, result: "TrainingResult") -> str | None:
    """The flags that let a run that has ended go on for as long again."""
    match result.ended:
        case "epochs":
            return f"--epochs {2 * settings.epochs}"
        case "steps" if settings.max_steps is not None:
            return f"--max-steps {2 * settings.max_steps}"
        case "minutes" if settings.max_minutes is not None:
            return f"--max-minutes {2 * settings.max_minutes:g}"
        case "patience" if settings.patience is not None:
            return f"--patience {2 * settings.patience}"
    return None


def _program() -> str:
    """How this program is called where it is: `recurra` if that is on the path, else where it stands."""
    called = Path(sys.argv[0])
    if called.name != "recurra" or shutil.which("recurra"):
        return "recurra"
    return shlex.quote(str(called.relative_to(Path.cwd()) if called.is_relative_to(Path.cwd()) else called))
