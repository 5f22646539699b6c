"""The table of tasks: what each does and where it is defined, so that a list of them imports none."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from recurra.tasks.task import Task, TaskConfig

__all__ = ["TASKS", "TaskEntry"]


@dataclass(frozen=True)
class TaskEntry:
    """A task that is imported when it is used.

    Args:
        name: What the command line calls it.
        summary: What it does, in one sentence.
        module: The module that defines the task. Its settings are in the module of that name with `_settings` added,
            which imports no torch.
        constant: What the module calls the task.
        settings: What the module of settings calls their class.
        probes_gradient: Whether the flow of the gradient can be measured while a model is trained.
    """

    name: str
    summary: str
    module: str
    constant: str
    settings: str
    probes_gradient: bool = False

    @property
    def config(self) -> type[TaskConfig]:
        """The settings of the task."""
        config: type[TaskConfig] = getattr(import_module(f"{self.module}_settings"), self.settings)
        return config

    def load(self) -> Task[Any, Any, Any]:
        """Import the task."""
        task: Task[Any, Any, Any] = getattr(import_module(self.module), self.constant)
        return task


class _Table(Mapping[str, "Task[Any, Any, Any]"]):
    """The tasks by name, each imported when it is looked up."""

    def __init__(self, *entries: TaskEntry) -> None:
        self.entries = {entry.name: entry for entry in entries}

    def __getitem__(self, name: str) -> Task[Any, Any, Any]:
        return self.entries[name].load()

    def __iter__(self) -> Iterator[str]:
        return iter(self.entries)

    def __len__(self) -> int:
        return len(self.entries)


TASKS = _Table(
    TaskEntry(
        "language-modelling",
        "The probability of text, and novel text: each word, character or byte predicted from those before it.",
        "recurra.tasks.language_modelling",
        "LANGUAGE_MODELLING",
        "LanguageModellingConfig",
        probes_gradient=True,
    ),
    TaskEntry(
        "image-classification",
        "The class of an image that is read pixel by pixel, or a few pixels at a time.",
        "recurra.tasks.image_classification",
        "IMAGE_CLASSIFICATION",
        "ImageClassificationConfig",
    ),
)
"""Every task by its name."""
