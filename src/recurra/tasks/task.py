"""A task: five functions and one config. Training, runs and the command line know tasks by this alone."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from recurra.training.checked import CheckedSettings
from recurra.training.settings import TrainingSettings

if TYPE_CHECKING:  # settings are read without torch
    from torch import nn

    from recurra.data.batching import Batches
    from recurra.training import MetricView, StepLoss

__all__ = ["Data", "Settings", "Task", "TaskConfig"]


class Settings(CheckedSettings):
    """One section of a config: every field is a key of the section and a flag of the command line.

    What a field says of itself beside its type is in `json_schema_extra`: `from_file` is a text whose flag names a file
    that holds it, and `instead_of` names the field that it takes the place of. `free` is a setting that may be another
    when a run is resumed or used, `free_in_use` one that may when it is used.
    """

    changes_use: ClassVar[bool] = True
    """Whether a trained model answers otherwise, or not at all, where a setting of the section is another."""


class TaskConfig(CheckedSettings):
    """The settings of a run: one section a topic; `training` is the same for every task.

    Every setting is a key of its section in config.toml and a flag of the command line, so no two sections may have
    a key of the same name.
    """

    training: TrainingSettings = TrainingSettings()


class Data(ABC):
    """What a task read: batches to train on, and whatever the run must keep to be used later.

    Attributes:
        batches: What an epoch of training reads; None in a run that was loaded, which does not train.
    """

    files: ClassVar[tuple[str, ...]] = ()
    """The names of the files that `save` writes."""

    batches: Batches[Any] | None

    def summary(self, unit: str) -> str:
        """How much there is to train and to validate on, in one line; empty where there is nothing to say.

        Args:
            unit: What the loss counts, in the plural.
        """
        return ""

    @abstractmethod
    def save(self, folder: Path) -> None:
        """Write what the run keeps, such as its vocabulary, into its folder."""


ConfigT = TypeVar("ConfigT", bound=TaskConfig)
DataT = TypeVar("DataT", bound=Data)
ModelT = TypeVar("ModelT", bound="nn.Module")


@dataclass(frozen=True)
class Task(Generic[ConfigT, DataT, ModelT]):
    """A use of sequence models.

    Args:
        name: What the command line calls it.
        config: Its settings.
        read: From the settings, the data to train on and to validate on.
        read_test: From the settings, a run's data and a file, that file as the data to validate on, so that `evaluate`
            measures the model on it: exactly, and left as the run's settings say. Files are read in these two alone.
        restore: From the settings and a run's folder, the data as a trained model needs it: no batches.
        build: From the settings and the data, the model, untrained.
        loss: The loss of a batch; see `recurra.training.StepLoss`.
        evaluate: From the settings, the model and the data, the metrics of validation; None if there is nothing to
            validate on.
        predict: From a loaded run and an input, the answer.
        run: What a loaded run is, with methods of its own if the task has any.
        sample: What the model writes for people to watch while it learns; None if there is nothing to show.
        views: From the settings, which metrics are shown and how.
        unit: From the settings, what the loss counts, in the plural.
        best_by: The metric of validation by which the weights that are kept are the best; of equals those of the lower
            loss.
        highest: Whether the best have the highest of it; else the lowest.
    """

    name: str
    config: type[ConfigT]
    read: Callable[[ConfigT], DataT]
    read_test: Callable[[ConfigT, DataT, Path], DataT]
    restore: Callable[[ConfigT, Path], DataT]
    build: Callable[[ConfigT, DataT], ModelT]
    loss: Callable[[ModelT, Any, Any], StepLoss]
    evaluate: Callable[[ConfigT, ModelT, DataT], Callable[[], dict[str, float]] | None]
    predict: Callable[..., Any]
    sample: Callable[[ConfigT, ModelT, DataT], Callable[[], str] | None]
    views: Callable[[ConfigT], Sequence[MetricView]]
    unit: Callable[[ConfigT], str]
    run: Callable[..., Any]
    best_by: str = "loss"
    highest: bool = False
