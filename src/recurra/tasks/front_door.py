"""Training from Python in one call, and runs loaded again."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar, overload

from recurra.errors import RunError, SettingError
from recurra.spelling import unknown
from recurra.tasks.preparation import Prepared
from recurra.tasks.run import AnyTask, AnyTrained, load_run, train_run
from recurra.tasks.settings_file import make_config
from recurra.tasks.table import TASKS
from recurra.tasks.task import Task
from recurra.tasks.trained import Trained
from recurra.training import Observer, Progress

__all__ = ["load", "train"]

RUNS = Path("runs")
"""Where runs go that are given no folder."""

T = TypeVar("T", bound=Trained[Any, Any, Any, Any, Any, Any])


def train(
    use: str | AnyTask,
    data: str | Path,
    *,
    out: str | Path | None = None,
    show: bool = True,
    observers: Sequence[Observer] = (),
    **settings: Any,  # noqa: ANN401  (each setting has a type of its own)
) -> AnyTrained:
    r"""Train a model for a use, and keep it in a folder.

    Args:
        use: The use by its name, as `recurra train` lists them, or one of your own.
        data: The file to train on.
        out: Folder for the run, new or empty; by default runs/USE, or the first of runs/USE-2, ... that is free.
        show: Whether to show the progress.
        observers: Who else is told of every event of the training.
        **settings: Any other setting of the use by its key, as `recurra train USE --help` lists them with hyphens;
            where several sections have a key, as `**{"SECTION.KEY": value}`.

    Returns:
        The trained model with its best weights.

    Raises:
        SettingError: There is no such use or setting, or a value is impossible.
        RecurraError: Whatever the use finds wrong with the data, or the folder is taken.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> _ = (folder / "cats.txt").write_text("the cat sat on the mat\n" * 60)
        >>> run = train("language-modelling", folder / "cats.txt", out=folder / "run", show=False, level="word",
        ...             hidden_size=16, batch_size=4, chunk_length=8, epochs=4, learning_rate=0.05)
        >>> run.sample(5, primer="the cat", temperature=0)
        ['the cat sat on the mat\n']
    """
    task = _task(use)
    if not isinstance(data, str | os.PathLike):
        raise SettingError(
            f"data is a {type(data).__name__}, and recurra.train reads files: give the path of one. For batches of "
            "your own there is recurra.training.train, which takes any model, batches and loss"
        )
    values = {key: str(value) if isinstance(value, os.PathLike) else value for key, value in settings.items()}
    config = make_config(task.config, {}, {**values, "data": str(data)})

    def watching(prepared: Prepared, folder: Path) -> Sequence[Observer]:
        about = [f"run {folder}", ", ".join(prepared.describe())]
        progress = Progress(prepared.run.views, task.unit(config), about=about)
        return [*([progress] if show else []), *observers]

    if out is not None and not isinstance(out, str | os.PathLike):
        raise SettingError(f"out is a {type(out).__name__}; give the path of the folder for the run")
    folder = RUNS / task.name if out is None else Path(out)
    run, _ = train_run(task, config, folder, watching, anywhere=out is None)
    return run


def _task(use: object) -> AnyTask:
    if isinstance(use, Task):
        return use
    if not isinstance(use, str):
        known = ", ".join(TASKS)
        raise SettingError(f"a use is a name or a Task, and this is a {type(use).__name__}; the uses are: {known}")
    if use not in TASKS:
        raise SettingError(unknown("use", use, TASKS))
    return TASKS[use]


@overload
def load(folder: str | Path) -> AnyTrained: ...


@overload
def load(folder: str | Path, kind: type[T]) -> T: ...


def load(folder: str | Path, kind: type[Trained[Any, Any, Any, Any, Any, Any]] = Trained) -> Any:
    r"""Load a run from its folder, wherever that has been moved.

    Args:
        folder: A folder that `recurra train` made.
        kind: What it must be, such as `recurra.tasks.language_model_run.LanguageModelRun`, which is then known to type
            checkers and editors.

    Returns:
        The trained model.

    Raises:
        RunError: There is no run in the folder, it is damaged, of another kind, or another version wrote it.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> _ = (folder / "cats.txt").write_text("the cat sat on the mat\n" * 60)
        >>> _ = train("language-modelling", folder / "cats.txt", out=folder / "run", show=False, level="word",
        ...           hidden_size=16, batch_size=4, chunk_length=8, epochs=4, learning_rate=0.05)
        >>> model = load(folder / "run")
        >>> model.score("the cat sat on the mat").probability > model.score("the mat sat on the cat").probability
        True
    """
    if not isinstance(folder, str | os.PathLike):
        raise SettingError(f"the folder of a run is a path, and this is a {type(folder).__name__}: give its path")
    run = load_run(folder, TASKS)
    if not isinstance(run, kind):
        raise RunError(
            f"{folder}: it is a run of {run.task.name}, a {type(run).__name__}, and a {kind.__name__} was asked for"
        )
    return run
