"""The table of tasks: what each does and where it is defined, so that a list of them imports none."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from recurra.tasks.settings import TaskConfig
    from recurra.tasks.task import Task

__all__ = ["TASKS", "Ability", "TaskEntry"]

Ability = Literal["samples", "scores", "traces", "probes-gradient", "streams"]
"""What only some uses can do: draw novel sequences, say how probable a sequence is, show the values inside their
network, measure how the gradient flows back while they train, read live input."""


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
        abilities: What it can do that others cannot.
    """

    name: str
    summary: str
    module: str
    constant: str
    settings: str
    abilities: tuple[Ability, ...] = ()

    @property
    def config(self) -> type[TaskConfig]:
        """The settings of the task."""
        config: type[TaskConfig] = getattr(import_module(f"{self.module}_settings"), self.settings)
        return config

    def load(self) -> Task[Any, Any, Any, Any, Any, Any]:
        """Import the task."""
        task: Task[Any, Any, Any, Any, Any, Any] = getattr(import_module(self.module), self.constant)
        return task


class _Table(Mapping[str, "Task[Any, Any, Any, Any, Any, Any]"]):
    """The tasks by name, each imported when it is looked up."""

    def __init__(self, *entries: TaskEntry) -> None:
        self.entries = {entry.name: entry for entry in entries}

    def __getitem__(self, name: str) -> Task[Any, Any, Any, Any, Any, Any]:
        return self.entries[name].load()

    def __iter__(self) -> Iterator[str]:
        return iter(self.entries)

    def __len__(self) -> int:
        return len(self.entries)

    def able(self, ability: Ability) -> list[str]:
        """The tasks that have an ability."""
        return [name for name, entry in self.entries.items() if ability in entry.abilities]


TASKS = _Table(
    TaskEntry(
        "language-modelling",
        "The probability of text, and novel text.",
        "recurra.tasks.language_modelling",
        "LANGUAGE_MODELLING",
        "LanguageModellingConfig",
        abilities=("samples", "scores", "traces", "probes-gradient"),
    ),
    TaskEntry(
        "image-classification",
        "The class of an image that is read pixel by pixel.",
        "recurra.tasks.image_classification",
        "IMAGE_CLASSIFICATION",
        "ImageClassificationConfig",
    ),
    TaskEntry(
        "sentiment-classification",
        "The class of a text, such as what it says of its subject.",
        "recurra.tasks.sentiment_classification",
        "SENTIMENT_CLASSIFICATION",
        "SentimentConfig",
    ),
    TaskEntry(
        "machine-translation",
        "A sentence in another language.",
        "recurra.tasks.machine_translation",
        "MACHINE_TRANSLATION",
        "MachineTranslationConfig",
        abilities=("scores",),
    ),
    TaskEntry(
        "music-generation",
        "Music that is new, and how surprising music is.",
        "recurra.tasks.music_generation",
        "MUSIC_GENERATION",
        "MusicConfig",
        abilities=("samples",),
    ),
    TaskEntry(
        "named-entity-recognition",
        "Which words of a sentence are names, and of what.",
        "recurra.tasks.named_entities",
        "NAMED_ENTITIES",
        "NamedEntityConfig",
        abilities=("streams",),
    ),
    TaskEntry(
        "speech-recognition",
        "What is said in recordings, and when.",
        "recurra.tasks.speech_recognition",
        "SPEECH_RECOGNITION",
        "SpeechRecognitionConfig",
        abilities=("streams",),
    ),
)
"""Every task by its name."""
