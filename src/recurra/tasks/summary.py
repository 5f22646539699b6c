"""What can be said of a run by its files, without loading its model."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recurra.errors import RecurraError, RunError
from recurra.tasks.folder import CONFIG, METRICS, WEIGHTS, can_resume
from recurra.tasks.settings import TaskConfig
from recurra.tasks.settings_file import default_of, make_config, read_sections, sections
from recurra.tasks.table import TASKS, TaskEntry
from recurra.training.events import ValidationEvent
from recurra.training.metrics import validations

__all__ = ["RunSummary", "changed_settings", "find_runs", "summarise_run"]


@dataclass(frozen=True)
class RunSummary:
    """What a run's files say of it.

    Args:
        folder: Where it is.
        task: Its use.
        config: Its settings.
        best: The validation whose weights are kept; None before the first.
        last: The last validation; None before the first.
        has_weights: Whether there are weights to use.
        can_resume: Whether there is a checkpoint to go on from.
        changed: When it was last written to.
    """

    folder: Path
    task: str
    config: TaskConfig
    best: ValidationEvent | None
    last: ValidationEvent | None
    has_weights: bool
    can_resume: bool
    changed: datetime.datetime

    @property
    def entry(self) -> TaskEntry:
        """The line of its use in the table of uses."""
        return TASKS.entries[self.task]


def summarise_run(folder: Path) -> RunSummary:
    """Read what the files of a run say of it.

    Raises:
        RunError: There is no run in the folder, or its settings cannot be read.
    """
    path = folder / CONFIG
    if not path.is_file():
        problem = f"there is no {CONFIG} in it" if folder.is_dir() else "there is no such folder"
        raise RunError(f"{folder}: {problem}; give the folder of a run, as `recurra train` makes it")
    try:
        content = read_sections(path)
        entry = TASKS.entries.get(str(content.get("task")))
        if entry is None:
            known = ", ".join(TASKS)
            raise RunError(f"{path}: there is no task {content.get('task')!r}; the tasks are: {known}")
        config = make_config(entry.config, content, source=str(path))
    except RecurraError as error:
        raise RunError(str(error)) from error
    events = validations(folder / METRICS)
    best = [event for event in events if event.is_best]
    newest = max(file.stat().st_mtime for file in folder.iterdir())
    return RunSummary(
        folder,
        entry.name,
        config,
        best[-1] if best else None,
        events[-1] if events else None,
        (folder / WEIGHTS).is_file(),
        can_resume(folder),
        datetime.datetime.fromtimestamp(newest),
    )


def find_runs(folder: Path, unreadable: Callable[[str], object] = lambda problem: None) -> Iterator[RunSummary]:
    """The runs in a folder and in the folders below it, the last written first; what is no run is passed over.

    Args:
        folder: Where to look.
        unreadable: Is told of each run whose settings cannot be read.
    """
    paths = sorted(folder.glob("**/" + CONFIG), key=lambda path: -path.stat().st_mtime)
    for path in paths:
        try:
            yield summarise_run(path.parent)
        except RecurraError as error:
            if (path.parent / METRICS).is_file() or (path.parent / WEIGHTS).is_file():
                unreadable(str(error))


def changed_settings(config: TaskConfig) -> Mapping[str, Any]:
    """The settings that are others than the use begins with, by SECTION.KEY."""
    changed = {}
    for section, kind in sections(type(config)).items():
        for key in kind.model_fields:
            value = getattr(getattr(config, section), key)
            if value != default_of(type(config), section, key):
                changed[f"{section}.{key}"] = value
    return changed
