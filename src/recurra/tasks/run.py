"""A run: a folder that holds all of a trained model, and can be moved.

config.toml         task, version, and every setting
assets.json         what was fitted on the part trained on, such as a vocabulary
trained-on.bin      a digest of each example trained on, by which a leak into a test is noticed
model.safetensors   the weights, under the names of the equations
metrics.jsonl       a line for every so many steps, and for every validation
checkpoints/        all that it takes to go on with the training; not needed to use the model
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from recurra.data.files import write_atomically
from recurra.errors import RecurraError, RunError, SettingError
from recurra.spelling import unknown
from recurra.tasks.assets import ASSETS
from recurra.tasks.folder import (
    CHECKPOINTS,
    CONFIG,
    METRICS,
    WEIGHTS,
    RunFolder,
    can_resume,
    check_free,
    is_unbegun,
    make_folder,
    new_folder,
    numbered,
    steps_taken,
)
from recurra.tasks.overlap import keep_examples
from recurra.tasks.paths import locate_files
from recurra.tasks.preparation import Prepared, prepare
from recurra.tasks.settings import TaskConfig
from recurra.tasks.settings_file import flag_of, make_config, read_sections, render_config
from recurra.tasks.task import Task
from recurra.tasks.trained import Trained
from recurra.tasks.weights import digests, fixed_settings, read_weights, write_weights
from recurra.training import (
    Checkpoints,
    MetricsWriter,
    Observer,
    StepEvent,
    TrainingResult,
    TrainingStart,
    World,
    train,
)
from recurra.training.memory import bounded_memory

__all__ = [
    "CONFIG",
    "METRICS",
    "can_resume",
    "check_free",
    "load_run",
    "make_folder",
    "new_folder",
    "resume_run",
    "train_run",
]

AnyTask = Task[Any, Any, Any, Any, Any, Any]
AnyTrained = Trained[Any, Any, Any, Any, Any, Any]

Observers = Callable[[Prepared, Path], Sequence[Observer]]
"""From what a training begins with and the run's folder, who is told of every event of it."""

OLDER = ("vocabulary.json", "images.json")
"""Files of runs that version 0.1.0 wrote, which had no assets.json."""


def train_run(
    task: AnyTask,
    config: TaskConfig,
    folder: str | Path,
    observers: Observers = lambda prepared, folder: (),
    *,
    anywhere: bool = False,
) -> tuple[AnyTrained, TrainingResult]:
    """Train a model for a task and keep it in a folder.

    The folder appears once the data are read and the model is built, so that a mistake in the settings leaves nothing
    behind. It holds the best weights from the first validation on, and if training is interrupted before, what it has
    learned by then; if it has learned nothing yet, the folder is taken back. Whatever stops it later, `resume_run` can
    go on with what is there; a folder whose training was killed before its first checkpoint may be trained in again.

    Args:
        task: The task.
        config: Its settings.
        folder: Where the run goes; it must not exist, or be empty.
        observers: From what training begins with and the run's folder, who is told of every event of it.
        anywhere: Whether, where the folder is taken, the first of FOLDER-2, FOLDER-3, ... that is free will do.

    Returns:
        The run with its best weights, and how training went.

    Raises:
        RunError: There is something in the folder already, another process trains in it, or it cannot be written.
        RecurraError: Whatever the task finds wrong with the settings or the data.
    """
    folder = Path(folder)
    with World.joined() as world, contextlib.ExitStack() as held:
        if world.is_first and not anywhere:
            check_free(folder)
        world.wait()
        prepared = prepare(task, config)
        home: RunFolder | None = None
        number = 0
        if world.is_first:
            home = held.enter_context(RunFolder.begun(folder, anywhere=anywhere))
            number = next(place for place, path in enumerate(numbered(folder)) if path == home.path)
        number = int(world.from_first(float(number)))
        folder = next(path for place, path in enumerate(numbered(folder)) if place == number)
        result = _train(prepared, folder, observers, home)
    return prepared.run, result


def resume_run(
    folder: str | Path,
    tasks: Mapping[str, AnyTask],
    overrides: Mapping[str, Any] | None = None,
    observers: Observers = lambda prepared, folder: (),
) -> tuple[AnyTrained, TrainingResult]:
    """Go on with the training of a run from its newest checkpoint, as if it had never stopped.

    A run that was killed before its first checkpoint is begun anew. The files of data are looked for where they were
    when the run began, then where its settings say.

    Args:
        folder: The run's.
        tasks: The tasks by name.
        overrides: Settings that change, by key: what ends a training, such as epochs, and the others of
            `recurra.training.settings.CHANGEABLE`; and where the files of data are now.
        observers: From what training begins with and the run's folder, who is told of every event of it.

    Returns:
        The run with its best weights, and how training went, from its beginning.

    Raises:
        RunError: There is no run in the folder or no checkpoint in it, a limit that is given is over already, a setting
            or the data have changed since, or another process trains in it.
        RecurraError: Whatever the task finds wrong with the settings or the data.
    """
    folder, overrides = Path(folder), dict(overrides or {})
    with World.joined() as world, contextlib.ExitStack() as held:
        task, config = _config_of(folder, tasks, overrides)
        begins = is_unbegun(folder)
        if not begins and not can_resume(folder):
            raise RunError(f"{folder}: there is no checkpoint in it to go on from; train again with another --out")
        config = locate_files(config, folder / CONFIG, given=overrides)
        home = None
        if world.is_first:
            home = held.enter_context(RunFolder.begun(folder) if begins else RunFolder.held(folder))
        prepared = prepare(task, config, resume=not begins)
        world.wait()
        result = _train(prepared, folder, observers, home, resume=not begins, overrides=overrides)
    return prepared.run, result


def _train(
    prepared: Prepared,
    folder: Path,
    observers: Observers,
    home: RunFolder | None,
    *,
    resume: bool = False,
    overrides: Mapping[str, Any] | None = None,
) -> TrainingResult:
    run, config = prepared.run, prepared.run.config
    run.folder = folder
    begun = _Begun(prepared, home, overrides or {})
    best_by, highest = _selection(run)

    def save_best(weights: Mapping[str, Any]) -> None:
        write_weights(folder / WEIGHTS, weights, config, begun.digests)

    try:
        watching: Sequence[Observer] = ()
        if home is not None:
            watching = [begun, MetricsWriter(folder / METRICS), *observers(prepared, folder)]
        result = train(
            run.model,
            prepared.batches,
            prepared.loss,
            config.training,
            evaluate=prepared.validate,
            best_by=best_by,
            highest=highest,
            observers=watching,
            save_best=save_best,
            checkpoints=Checkpoints(folder / CHECKPOINTS, config.training.keep_checkpoints),
            resume=resume,
            fingerprint=prepared.parts.fingerprint,
            fixed=fixed_settings(config),
        )
        if home is not None and result.best_step is not None:
            _calibrate(prepared, folder)
    except BaseException as error:
        if begun.yet and (steps := steps_taken(folder)):
            error.add_note(f"what was learned in {steps:,} steps is kept: go on with `recurra resume {folder}`")
        elif begun.yet and (folder / WEIGHTS).exists():
            error.add_note(f"what was learned before is kept in {folder}")
        raise
    return result


def _selection(run: AnyTrained) -> tuple[str, bool]:
    """The metric that selects the weights, and whether the highest is the best.

    Raises:
        SettingError: There is no such metric.
    """
    directions = {"loss": False} | {metric.name: metric.better == "higher" for metric in run.metrics}
    name = run.config.training.select_by or run.metrics[0].name
    if name not in directions:
        raise SettingError(f"--select-by: {unknown('metric', name, directions)}")
    return name, directions[name]


def _calibrate(prepared: Prepared, folder: Path) -> None:
    """Put into the assets what only a trained model can tell; whatever stops this leaves a run that can be used."""
    run = prepared.run
    if run.task.calibrate is None:
        return
    weights = read_weights(folder, run.config)
    run.assets = run.task.calibrate(run, prepared.parts.valid)
    write_weights(folder / WEIGHTS, weights, run.config, {})  # they now belong to the assets before and after
    run.assets.save(folder, run.task.name, prepared.parts.files)
    write_weights(folder / WEIGHTS, weights, run.config, digests(folder, [ASSETS]))


class _Begun(Observer):
    """Writes what the run keeps when training begins, not before: some mistake may come first; and minds the folder."""

    def __init__(self, prepared: Prepared, home: RunFolder | None, overrides: Mapping[str, Any]) -> None:
        self.run, self.home, self.overrides = prepared.run, home, overrides
        self.files, self.train = prepared.parts.files, prepared.parts.train
        self.yet = self._has_stepped = False
        self.digests: dict[str, str] = {}

    def on_start(self, start: TrainingStart) -> None:
        """Write the settings, and what the task keeps."""
        assert self.home is not None
        self.home.check()
        if start.step:
            _check_limits(start, self.overrides)
        self.yet = True
        name, folder = self.run.task.name, self.home.path
        write_atomically(folder / CONFIG, render_config(name, self.run.config, Path.cwd()))
        self.run.assets.save(folder, name, self.files)
        keep_examples(folder, self.run.task, self.train)
        self.digests = digests(folder, [ASSETS])

    def on_step(self, event: StepEvent) -> None:
        """See that the folder is still there."""
        assert self.home is not None
        self.home.check()
        if not self._has_stepped:
            self._has_stepped = True
            self.home.mark_as_begun()


def _check_limits(start: TrainingStart, overrides: Mapping[str, Any]) -> None:
    """Refuse to go on beyond a limit that is over while another one is raised.

    Raises:
        RunError: A limit that is given is over, or one that is not given still ends the training.
    """
    settings = start.settings
    taken = {
        "max_steps": (settings.max_steps, start.step, f"{start.step:,} steps"),
        "max_minutes": (settings.max_minutes, start.elapsed / 60, f"{start.elapsed / 60:.3g} minutes"),
        "epochs": (settings.epochs, start.epochs, f"{start.epochs:,} epochs"),
    }
    over = {key: figures for key, figures in taken.items() if figures[0] is not None and figures[1] >= figures[0]}
    raised = [key for key in taken if key in overrides]
    for key, (limit, _, spent) in over.items():
        if key in raised:
            raise RunError(
                f"the run has taken {spent} already, and {flag_of(key)} {limit:g} counts them all: give more than that"
            )
    for key, (limit, _, spent) in over.items():
        if raised:
            off = "" if key == "epochs" else ", or none"
            raise RunError(
                f"the run has ended at its limit {key} = {limit:g} (it has taken {spent}), which counts beside "
                f"{flag_of(raised[0])}: give {flag_of(key)}, too: more than that{off}"
            )


def load_run(folder: str | Path, tasks: Mapping[str, AnyTask]) -> AnyTrained:
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
        weights = read_weights(folder, config)
        assets = task.assets.load(folder, task.name)
        try:
            with bounded_memory("the model"):
                model = task.build(config, assets)
        except SettingError as error:
            raise RunError(f"{folder}: {error}") from None
        _load_weights(model, weights, folder / WEIGHTS)
    except RunError:
        raise
    except RecurraError as error:
        raise RunError(str(error)) from error
    run: AnyTrained = task.trained()(task, config, assets, model.eval(), folder)
    return run


def _config_of(
    folder: Path, tasks: Mapping[str, AnyTask], overrides: Mapping[str, Any] | None = None
) -> tuple[AnyTask, Any]:
    """The task and the settings of a run."""
    if not (folder / CONFIG).is_file():
        problem = f"there is no {CONFIG} in it" if folder.is_dir() else "there is no such folder"
        if is_unbegun(folder):
            raise RunError(
                f"{folder}: a training was stopped here before it began; begin it anew with `recurra train` and "
                f"--out {folder}"
            )
        raise RunError(f"{folder}: {problem}; give the folder of a run, as `recurra train` makes it")
    if not (folder / ASSETS).exists() and any((folder / name).exists() for name in OLDER):
        raise RunError(
            f"{folder}: Recurra 0.1.0 made this run, and this version cannot use it; train again with its settings: "
            f"`recurra train TASK --config {folder / CONFIG} --out FOLDER`"
        )
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


def _load_weights(model: nn.Module, weights: Mapping[str, torch.Tensor], path: Path) -> None:
    expected = model.state_dict()
    for name in [*expected, *weights]:
        if name not in weights or name not in expected or weights[name].shape != expected[name].shape:
            have = tuple(weights[name].shape) if name in weights else "missing"
            want = tuple(expected[name].shape) if name in expected else "not among its weights"
            raise RunError(
                f"{path}: it does not belong to this config: {name} is {have}, and by the config it is {want}"
            )
    model.load_state_dict(dict(weights))
