"""Which examples a model was trained on: a digest of each is kept in its run, so that a leak into a test is noticed."""

from __future__ import annotations

import hashlib
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from recurra.data.dataset import Dataset
from recurra.data.files import write_atomically
from recurra.errors import RunError
from recurra.tasks.task import Task

__all__ = ["TRAINED_ON", "examples_seen", "keep_examples"]

TRAINED_ON = "trained-on.bin"
"""The file of a run that holds the digests: 8 bytes an example, in order of their value."""

AnyTask = Task[Any, Any, Any, Any, Any, Any]


def keep_examples(folder: Path, task: AnyTask, dataset: Dataset[Any]) -> None:
    """Write the digests of the examples trained on into a run's folder.

    Raises:
        RunError: The file cannot be written.
    """
    write_atomically(folder / TRAINED_ON, np.unique(_digests(task, dataset)).tobytes())


def examples_seen(folder: Path, task: AnyTask, dataset: Dataset[Any]) -> int | None:
    """How many examples of a dataset a run was trained on; None where it does not say.

    Raises:
        RunError: The digests are damaged.
    """
    try:
        content = (folder / TRAINED_ON).read_bytes()
    except OSError:
        return None
    if len(content) % 8:
        raise RunError(
            f"{folder / TRAINED_ON}: damaged: it is {len(content):,} bytes, which are no digests of 8; copy it again, "
            "or remove it: evaluate then cannot say what was trained on"
        )
    return int(np.isin(_digests(task, dataset), np.frombuffer(content, "<u8")).sum())


def _digests(task: AnyTask, dataset: Dataset[Any]) -> npt.NDArray[np.uint64]:
    inputs = (task.facts(dataset[index]).input for index in range(len(dataset)))
    return np.fromiter((_digest(value) for value in inputs), "<u8", len(dataset))


def _digest(value: Hashable) -> int:
    data = value if isinstance(value, bytes) else repr(value).encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "little")
