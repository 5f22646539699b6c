"""What a training begins with: the parts read, the assets fitted, the model built."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from recurra.data.batching import Batches
from recurra.data.dataset import Dataset
from recurra.errors import DataError
from recurra.tasks.doctor import warnings_of
from recurra.tasks.settings import TaskConfig
from recurra.tasks.task import Task
from recurra.tasks.trained import Trained
from recurra.tasks.transfer import begin_with
from recurra.training import Loss, seed_everything
from recurra.training.memory import bounded_memory

__all__ = ["Parts", "Prepared", "prepare", "read_parts"]

R = TypeVar("R")


@dataclass(frozen=True)
class Parts(Generic[R]):
    """The examples that a training reads.

    Args:
        train: Those to train on.
        valid: Those to validate on.
        files: A digest of the files and of the settings that read them.
        fingerprint: A digest that says also where the data were cut in two.
    """

    train: Dataset[R]
    valid: Dataset[R]
    files: str
    fingerprint: str


def read_parts(task: Task[Any, R, Any, Any, Any, Any], config: TaskConfig) -> Parts[R]:
    """Read what is trained on and what is validated on.

    Raises:
        DataError: A file cannot be used, or is too small to be cut in two.
    """
    settings = config.files
    whole = task.read(config, settings.data, "train")
    if settings.valid is not None:
        valid = task.read(config, settings.valid, "validate")
        digest = _digest(whole.fingerprint(), valid.fingerprint())
        return Parts(whole, valid, digest, digest)
    classes_of = (lambda example: task.facts(example).labels) if task.stratified else None
    try:
        train, valid = whole.split(settings.valid_fraction, lambda example: task.facts(example).group, classes_of)
    except DataError as error:
        raise DataError(f"{settings.data}: {error}") from None
    cut = f"{settings.valid_fraction}{' stratified' if task.stratified else ''}"
    return Parts(train, valid, whole.fingerprint(), _digest(whole.fingerprint(), cut))


def _digest(*parts: str) -> str:
    return hashlib.sha256(" ".join(parts).encode()).hexdigest()


@dataclass
class Prepared:
    """What a training begins with.

    Args:
        run: The model, untrained, with its use, settings and assets.
        parts: The examples.
        batches: Those to train on, in batches.
        valid_batches: Those to validate on, in batches.
        begun_with: What the model has from another run, in words.
    """

    run: Trained[Any, Any, Any, Any, Any, Any]
    parts: Parts[Any]
    batches: Batches[Any]
    valid_batches: Batches[Any]
    begun_with: str | None = None

    @property
    def loss(self) -> Loss[Any]:
        """The loss of a batch, as the training loop takes it."""
        task, config = self.run.task, self.run.config
        return lambda model, batch, carried: task.loss(config, model, batch, carried)

    def validate(self) -> dict[str, float]:
        """The figures of the model on the part to validate on."""
        return self.run.evaluate(self.parts.valid, "validate", batches=self.valid_batches).metrics

    def warnings(self) -> list[str]:
        """What would make the figures of the training worthless, in a few words each."""
        parts = {"train": self.parts.train, "valid": self.parts.valid}
        return [warning.partition(":")[0] for warning in warnings_of(self.run.task, parts)]

    def changes(self) -> list[str]:
        """What was left out or changed while the examples were read: how often, and where first."""
        train, valid = self.parts.train.problems, self.parts.valid.problems
        return train.lines() + ([] if valid is train else valid.lines())  # of one file the parts have those of both

    def describe(self) -> Sequence[str]:
        """What is trained and validated on, a few words each."""
        said = self.run.task.describe(self.run.config, self.run.assets, self.batches, self.valid_batches)
        return [*said, *([] if self.begun_with is None else [self.begun_with])]


def prepare(task: Task[Any, Any, Any, Any, Any, Any], config: TaskConfig, *, resume: bool = False) -> Prepared:
    """Read the data, fit the assets and build the model.

    Args:
        task: The use.
        config: Its settings.
        resume: Whether a training goes on, so that another run's weights are no beginning any more.

    Raises:
        SettingError: The model would need more memory than there is.
        RecurraError: Whatever the use finds wrong with the settings or the data.
    """
    seed_everything(config.training.seed)
    parts = read_parts(task, config)
    assets = task.fit(config, parts.train)
    batches = task.batches(config, assets, parts.train, "train")
    valid_batches = task.batches(config, assets, parts.valid, "validate")
    with bounded_memory("the model"):
        model = task.build(config, assets)
    run = task.trained()(task, config, assets, model, validated_on=parts.valid)
    source = config.files.start_from
    begun_with = None if source is None or resume else begin_with(run, source)
    return Prepared(run, parts, batches, valid_batches, begun_with)
