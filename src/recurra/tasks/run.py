"""A run: a folder that holds all of a trained model, and can be moved.

config.toml         task, version, and every setting
vocabulary.json     what the task keeps besides, such as its vocabulary
model.safetensors   the weights, under the names of the equations
metrics.jsonl       a line for every so many steps, and for every validation
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import nn

from recurra.data.files import write_atomically
from recurra.errors import RecurraError, RunError
from recurra.tasks.settings_file import make_config, read_sections, render_config
from recurra.tasks.task import Data, Task, TaskConfig
from recurra.training import MetricsWriter, Observer, TrainingResult, seed_everything, train

__all__ = ["Run", "check_free", "load_run", "make_folder", "new_folder", "train_run"]

CONFIG, WEIGHTS, METRICS = "config.toml", "model.safetensors", "metrics.jsonl"


class Run:
    """A trained model with all that it takes to use it.

    Args:
        task: What it was trained for.
        config: Its settings.
        model: The network, in evaluation mode.
        data: What the task kept, such as the vocabulary.
        folder: Where it was loaded from.
    """

    def __init__(
        self, task: Task[Any, Any, Any], config: TaskConfig, model: nn.Module, data: Data, folder: Path
    ) -> None:
        self.task, self.config, self.model, self.data, self.folder = task, config, model, data, folder

    def predict(self, *inputs: Any, **options: Any) -> Any:  # noqa: ANN401  (each task has answers of its own)
        """The model's answer; what goes in and comes out is the task's."""
        return self.task.predict(self, *inputs, **options)

    def suggestions(self) -> list[tuple[str, str]]:
        """What to try with the run on the command line: (command, what follows the folder)."""
        return []

    def __repr__(self) -> str:
        size = sum(p.numel() for p in self.model.parameters())
        return f"<{type(self).__name__} {self.folder}: {self.task.name}, {size:,} parameters>"


def new_folder(parent: Path, name: str) -> Path:
    """A folder below `parent` that does not exist yet: NAME, or NAME-2, NAME-3, ..."""
    folder, number = parent / name, 2
    while os.path.lexists(folder):
        folder, number = parent / f"{name}-{number}", number + 1
    return folder


def train_run(
    task: Task[Any, Any, Any],
    config: TaskConfig,
    folder: str | Path,
    observers: Callable[[nn.Module, Data], Sequence[Observer]] = lambda model, data: (),
) -> tuple[Run, TrainingResult]:
    """Train a model for a task and keep it in a folder.

    The folder appears once the data are read and the model is built, so that a mistake in the settings leaves nothing
    behind. It holds the best weights from the first validation on, and if training is interrupted before, what it has
    learned by then; if it has learned nothing yet, the folder is taken back.

    Args:
        task: The task.
        config: Its settings.
        folder: Where the run goes; it must not exist, or be empty.
        observers: From the model and the data, who is told of every event of the training.

    Returns:
        The run with its best weights, and how training went.

    Raises:
        RunError: There is something in the folder already, or it cannot be written.
        RecurraError: Whatever the task finds wrong with the settings or the data.
    """
    folder = Path(folder)
    check_free(folder)
    seed_everything(config.training.seed)
    data = task.read(config)
    model = task.build(config, data)
    if data.batches is None:
        raise TypeError(f"the task {task.name} read no batches to train on")
    made = make_folder(folder)
    try:
        write_atomically(folder / CONFIG, render_config(task.name, config))
        data.save(folder)
        result = train(
            model,
            data.batches,
            task.loss,
            config.training,
            evaluate=task.evaluate(config, model, data),
            observers=[MetricsWriter(folder / METRICS), *observers(model, data)],
            save_best=lambda: write_atomically(folder / WEIGHTS, save(_weights(model))),
        )
    except BaseException as error:
        if (folder / WEIGHTS).exists():
            error.add_note(f"what was learned before is kept in {folder}")
        raise
    finally:
        if not (folder / WEIGHTS).exists():  # without weights a run is of no use
            _remove(folder, made)
    return task.run(task, config, model, data, folder), result


def check_free(folder: Path) -> None:
    """Refuse a folder that holds something, before any work is done.

    Raises:
        RunError: It does, or cannot be read.
    """
    try:
        taken = os.path.lexists(folder) and (not folder.is_dir() or any(folder.iterdir()))
    except OSError as error:
        raise RunError(f"{folder}: cannot be read: {error.strerror}; give another folder with --out") from None
    if taken:
        raise RunError(f"{folder}: there is something here already; give another folder with --out, or remove it")


def make_folder(folder: Path) -> list[Path]:
    """Make a folder; returns those that were not there before, the innermost first.

    Raises:
        RunError: It cannot be made.
    """
    try:
        missing = [f for f in (folder, *folder.parents) if not f.exists()]
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(f"{folder}: cannot be made: {error.strerror}; give another folder with --out") from None
    return missing


def _remove(folder: Path, made: list[Path]) -> None:
    """Take back a run that came to nothing, and the folders made for it."""
    with contextlib.suppress(OSError):  # what is in the way of this is not worth hiding the first error for
        for path in folder.iterdir():
            path.unlink()
        for empty in made:
            empty.rmdir()


def _weights(model: nn.Module) -> dict[str, torch.Tensor]:
    return {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}


def load_run(folder: str | Path, tasks: Mapping[str, Task[Any, Any, Any]]) -> Run:
    """Load a run from its folder.

    Args:
        folder: The folder.
        tasks: The tasks by name.

    Raises:
        RunError: There is no run in the folder, it is damaged, or another version wrote it.
    """
    folder = Path(folder)
    if not (folder / CONFIG).is_file():
        problem = f"there is no {CONFIG} in it" if folder.is_dir() else "there is no such folder"
        raise RunError(f"{folder}: {problem}; give the folder of a run, as `recurra train` makes it")
    try:
        content = read_sections(folder / CONFIG)
        task = tasks.get(str(content.get("task")))
        if task is None:
            raise RunError(
                f"{folder / CONFIG}: there is no task {content.get('task')!r}; the tasks are: {', '.join(tasks)}"
            )
        config = make_config(task.config, content, source=str(folder / CONFIG))
        data = task.restore(config, folder)
        model = task.build(config, data)
        _load_weights(model, folder / WEIGHTS)
    except RunError:
        raise
    except RecurraError as error:
        raise RunError(str(error)) from error
    run: Run = task.run(task, config, model.eval(), data, folder)
    return run


def _load_weights(model: nn.Module, path: Path) -> None:
    if not path.is_file():
        raise RunError(f"{path}: there is no such file; copy the run again or train again")
    try:
        weights = load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise RunError(f"{path}: damaged ({error}); copy it again or train again") from None
    own = model.state_dict()
    for name in [*own, *weights]:
        if name not in weights or name not in own or weights[name].shape != own[name].shape:
            have = tuple(weights[name].shape) if name in weights else "missing"
            want = tuple(own[name].shape) if name in own else "not among its weights"
            raise RunError(
                f"{path}: it does not belong to this config: {name} is {have}, and by the config it is {want}"
            )
    model.load_state_dict(weights)
