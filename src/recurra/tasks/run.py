"""A run: a folder that holds all of a trained model, and can be moved.

config.toml         task, version, and every setting
vocabulary.json     what the task keeps besides, such as its vocabulary
model.safetensors   the weights, under the names of the equations
metrics.jsonl       a line for every so many steps, and for every validation
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import nn

from recurra.data.files import write_atomically
from recurra.errors import RecurraError, RunError, SettingError
from recurra.tasks.settings_file import make_config, read_sections, render_config
from recurra.tasks.task import Data, Task, TaskConfig
from recurra.training import MetricsWriter, Observer, TrainingResult, seed_everything, train

__all__ = ["Run", "load_run", "new_folder", "train_run"]

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
    while folder.exists():
        folder, number = parent / f"{name}-{number}", number + 1
    return folder


def train_run(
    task: Task[Any, Any, Any],
    config: TaskConfig,
    folder: Path,
    observers: Callable[[nn.Module, Data], Sequence[Observer]] = lambda model, data: (),
) -> tuple[Run, TrainingResult]:
    """Train a model for a task and keep it in a folder.

    The folder appears once the data are read and the model is built, so that a mistake in the settings leaves
    nothing behind; it holds the best weights from the first validation on.

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
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise RunError(f"{folder}: there is something here already; give another folder with --out, or remove it")
    seed_everything(config.training.seed)
    data = task.read(config)
    model = task.build(config, data)
    if data.batches is None:
        raise TypeError(f"the task {task.name} read no batches to train on")
    made = _make(folder)
    try:
        write_atomically(folder / CONFIG, render_config(task.name, config))
        data.save(folder)
        evaluate = task.evaluate(config, model, data)
        result = train(
            model,
            data.batches.epoch,
            task.loss,
            config.training,
            evaluate=evaluate,
            observers=[MetricsWriter(folder / METRICS), *observers(model, data)],
            save_best=lambda: write_atomically(folder / WEIGHTS, save(_weights(model))),
        )
    except BaseException:
        # Without weights a run is of no use; with them, what was learned before the error is kept.
        if not (folder / WEIGHTS).exists():
            _remove(folder, made)
        raise
    if not (folder / WEIGHTS).exists():
        _remove(folder, made)
    return task.run(task, config, model, data, folder), result


def _make(folder: Path) -> list[Path]:
    """Make a folder; returns those that were not there before, the innermost first."""
    missing = [f for f in (folder, *folder.parents) if not f.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(f"{folder}: cannot be made: {error.strerror}; give another folder with --out") from None
    return missing


def _remove(folder: Path, made: list[Path]) -> None:
    """Take back a run that came to nothing, and the folders made for it."""
    if made:
        shutil.rmtree(folder, ignore_errors=True)
        for parent in made[1:]:
            if any(parent.iterdir()):
                break
            parent.rmdir()
    else:
        for path in folder.iterdir():
            path.unlink()


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
    if not folder.is_dir():
        raise RunError(f"{folder}: there is no such folder; give the folder of a run, as `recurra train` makes it")
    if not (folder / CONFIG).is_file():
        raise RunError(f"{folder}: there is no {CONFIG} in it; give the folder of a run, as `recurra train` makes it")
    try:
        content = read_sections(folder / CONFIG)
        name = str(content.get("task", ""))
        if name not in tasks:
            raise RunError(f"{folder / CONFIG}: there is no task {name!r}; the tasks are: {', '.join(tasks)}")
        task = tasks[name]
        config = make_config(task.config, content, source=str(folder / CONFIG))
        data = task.restore(config, folder)
        model = task.build(config, data)
    except SettingError as error:
        raise RunError(f"{error} (a run's own config is not meant to be changed)") from None
    except RunError:
        raise
    except RecurraError as error:
        raise RunError(f"{folder}: {error}") from None
    _load_weights(model, folder / WEIGHTS)
    run: Run = task.run(task, config, model.eval(), data, folder)
    return run


def _load_weights(model: nn.Module, path: Path) -> None:
    if not path.is_file():
        raise RunError(f"{path}: there is no such file; training ended before the model was first saved")
    try:
        weights = load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise RunError(f"{path}: damaged ({error}); copy it again or train again") from None
    own = model.state_dict()
    for name in own.keys() | weights.keys():
        if name not in weights or name not in own or weights[name].shape != own[name].shape:
            have = tuple(weights[name].shape) if name in weights else "nothing"
            want = tuple(own[name].shape) if name in own else "nothing"
            raise RunError(f"{path}: it does not belong to this config: {name} is {have} here, and should be {want}")
    model.load_state_dict(weights)
