"""A run: a folder that holds all of a trained model, and can be moved.

config.toml         task, version, and every setting
vocabulary.json     what the task keeps besides, such as its vocabulary
model.safetensors   the weights, under the names of the equations
metrics.jsonl       a line for every so many steps, and for every validation
checkpoints/        all that it takes to go on with the training; not needed to use the model
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
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
from recurra.training import (
    Checkpoints,
    MetricsWriter,
    Observer,
    TrainingResult,
    TrainingStart,
    World,
    seed_everything,
    train,
)

__all__ = ["Run", "can_resume", "check_free", "load_run", "make_folder", "new_folder", "resume_run", "train_run"]

CONFIG, WEIGHTS, METRICS, CHECKPOINTS = "config.toml", "model.safetensors", "metrics.jsonl", "checkpoints"

Observers = Callable[[nn.Module, Data], Sequence[Observer]]
"""From the model and the data, who is told of every event of a training."""


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
    observers: Observers = lambda model, data: (),
) -> tuple[Run, TrainingResult]:
    """Train a model for a task and keep it in a folder.

    The folder appears once the data are read and the model is built, so that a mistake in the settings leaves nothing
    behind. It holds the best weights from the first validation on, and if training is interrupted before, what it has
    learned by then; if it has learned nothing yet, the folder is taken back. Whatever stops it later, `resume_run` can
    go on with what is there.

    Args:
        task: The task.
        config: Its settings.
        folder: Where the run goes; it must not exist, or be empty.
        observers: From the model and the data, who is told of every event of the training.

    Returns:
        The run with its best weights, and how training went.

    Raises:
        RunError: There is something in the folder already, another process trains in it, or it cannot be written.
        RecurraError: Whatever the task finds wrong with the settings or the data.
    """
    folder = Path(folder)
    with World.joined() as world, contextlib.ExitStack() as held:
        if world.is_first:
            check_free(folder)
        world.wait()
        data, model = _prepare(task, config)
        made: list[Path] = []
        if world.is_first:
            made = make_folder(folder)
            held.enter_context(_alone_in(folder))
            check_free(folder)  # another may have begun there while the data were read
        try:
            if world.is_first:
                data.save(folder)
            result = _train(task, config, folder, data, model, observers, resume=False)
        finally:
            if world.is_first and not (folder / WEIGHTS).exists() and not _steps_taken(folder):
                _remove(folder, made)  # without weights a run is of no use
    return task.run(task, config, model, data, folder), result


def resume_run(
    folder: str | Path,
    tasks: Mapping[str, Task[Any, Any, Any]],
    overrides: Mapping[str, Any] | None = None,
    observers: Callable[[Task[Any, Any, Any], Any, nn.Module, Any], Sequence[Observer]] = lambda *all_of_it: (),
) -> tuple[Run, TrainingResult]:
    """Go on with the training of a run from its newest checkpoint, as if it had never stopped.

    Args:
        folder: The run's.
        tasks: The tasks by name.
        overrides: Settings that change, by key: what ends a training, such as epochs.
        observers: From the task, its settings, the model and the data, who is told of every event of the training.

    Returns:
        The run with its best weights, and how training went, from its beginning.

    Raises:
        RunError: There is no run in the folder or no checkpoint in it, the data have changed since, or another process
            trains in it.
        RecurraError: Whatever the task finds wrong with the settings or the data.
    """
    folder = Path(folder)
    with World.joined() as world, contextlib.ExitStack() as held:
        task, config = _config_of(folder, tasks, overrides)
        if not can_resume(folder):
            raise RunError(f"{folder}: there is no checkpoint in it to go on from; train again with another --out")
        if world.is_first:
            held.enter_context(_alone_in(folder))
        data, model = _prepare(task, config)
        world.wait()
        result = _train(task, config, folder, data, model, lambda *made: observers(task, config, *made), resume=True)
    return task.run(task, config, model, data, folder), result


def can_resume(folder: Path) -> bool:
    """Whether there is a run in a folder that training can go on with."""
    return (folder / CONFIG).is_file() and bool(Checkpoints(folder / CHECKPOINTS).paths())


def _prepare(task: Task[Any, Any, Any], config: TaskConfig) -> tuple[Any, nn.Module]:
    """The data and the model, untrained."""
    seed_everything(config.training.seed)
    data = task.read(config)
    if data.batches is None:
        raise TypeError(f"the task {task.name} read no batches to train on")
    return data, task.build(config, data)


def _train(
    task: Task[Any, Any, Any],
    config: TaskConfig,
    folder: Path,
    data: Any,  # noqa: ANN401  (the task's own)
    model: nn.Module,
    observers: Observers,
    resume: bool,
) -> TrainingResult:
    begun = _Begun(lambda: write_atomically(folder / CONFIG, render_config(task.name, config)))
    try:
        return train(
            model,
            data.batches,
            task.loss,
            config.training,
            evaluate=task.evaluate(config, model, data),
            best_by=task.best_by,
            highest=task.highest,
            observers=[begun, MetricsWriter(folder / METRICS), *observers(model, data)] if World().is_first else (),
            save_best=lambda weights: write_atomically(folder / WEIGHTS, save(dict(weights))),
            checkpoints=Checkpoints(folder / CHECKPOINTS, config.training.keep_checkpoints),
            resume=resume,
            fingerprint=_digest(data),
        )
    except BaseException as error:
        if begun.yet and (steps := _steps_taken(folder)):
            error.add_note(f"what was learned in {steps:,} steps is kept: go on with `recurra resume {folder}`")
        elif begun.yet and (folder / WEIGHTS).exists():
            error.add_note(f"what was learned before is kept in {folder}")
        raise


@contextlib.contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Keep others from training in a folder; the system forgets it with this process, however that ends."""
    try:
        import fcntl
    except ImportError:  # a system without such locks
        yield
        return
    place = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(place, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RunError(
                f"{folder}: another process is training in it; let it end or stop it, or give another folder with --out"
            ) from None
        except OSError:  # a file system without them
            pass
        yield
    finally:
        os.close(place)


class _Begun(Observer):
    """Knows whether training has begun, or some mistake came before; settings that changed are kept only then."""

    def __init__(self, keep: Callable[[], None]) -> None:
        self.keep, self.yet = keep, False

    def on_start(self, start: TrainingStart) -> None:
        """Keep them."""
        self.yet = True
        self.keep()


def _steps_taken(folder: Path) -> int:
    """How many steps the newest checkpoint of a run is of; 0 without one."""
    paths = Checkpoints(folder / CHECKPOINTS).paths()
    return int(paths[-1].stem.removeprefix("step-")) if paths else 0


def _digest(data: Data) -> str:
    """A digest of what the first epoch reads, by which it is known whether the data are still the same."""
    digest = hashlib.sha256()
    assert data.batches is not None
    for batch in data.batches.epoch(0):
        for field in dataclasses.fields(batch):
            value = getattr(batch, field.name)
            digest.update(value.numpy().tobytes() if isinstance(value, torch.Tensor) else repr(value).encode())
    return digest.hexdigest()


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
        further = f", or go on with `recurra resume {folder}`" if can_resume(folder) else ""
        raise RunError(
            f"{folder}: there is something here already; give another folder with --out, or remove it{further}"
        )


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
        shutil.rmtree(folder / CHECKPOINTS, ignore_errors=True)
        for path in folder.iterdir():
            path.unlink()
        for empty in made:
            empty.rmdir()


def load_run(folder: str | Path, tasks: Mapping[str, Task[Any, Any, Any]]) -> Run:
    """Load a run from its folder.

    Args:
        folder: The folder.
        tasks: The tasks by name.

    Raises:
        RunError: There is no run in the folder, it is damaged, or another version wrote it.
    """
    folder = Path(folder)
    task, config = _config_of(folder, tasks)
    try:
        data = task.restore(config, folder)
        model = task.build(config, data)
        _load_weights(model, folder / WEIGHTS)
    except RunError:
        raise
    except RecurraError as error:
        raise RunError(str(error)) from error
    run: Run = task.run(task, config, model.eval(), data, folder)
    return run


def _config_of(
    folder: Path, tasks: Mapping[str, Task[Any, Any, Any]], overrides: Mapping[str, Any] | None = None
) -> tuple[Task[Any, Any, Any], Any]:
    """The task and the settings of a run."""
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
        return task, make_config(task.config, content, overrides, source=str(folder / CONFIG))
    except RunError:
        raise
    except RecurraError as error:
        if overrides:  # it may well be one of these that is wrong
            raise
        raise RunError(str(error)) from error


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
