"""The metrics of a trained run on data that it has not seen."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from recurra.data import Batches
from recurra.errors import DataError
from recurra.tasks.run import Run
from recurra.tasks.task import Data
from recurra.training import choose_device
from recurra.training.settings import DeviceName

__all__ = ["evaluate_run"]


def evaluate_run(
    run: Run,
    path: str | Path | None = None,
    device: DeviceName = "auto",
    watch: Callable[[Batches[Any]], Batches[Any]] = lambda batches: batches,
) -> dict[str, float]:
    r"""Measure a trained run on a file, as its task measures what it validates on.

    Of a file nothing is left out and nothing approximated: a language model of a stream reads the text as one track and
    carries its state from the first token to the last. Without a file it is what the training validated on, measured
    as it was then.

    Args:
        run: The run.
        path: The file, of the kind that the run was trained on; None for what the training validated on.
        device: Where to compute; "auto" takes a CUDA device if there is one.
        watch: Is given the batches before they are read, and returns those that are, so that their reading can be
            watched.

    Returns:
        The metrics by name, as a validation has them.

    Raises:
        DataError: The file cannot be used, or the data that the settings name have changed since the training.

    Example:
        >>> import tempfile
        >>> from recurra.tasks import train_run
        >>> from recurra.tasks.language_modelling import LANGUAGE_MODELLING, LanguageModellingConfig
        >>> folder = Path(tempfile.mkdtemp())
        >>> _ = (folder / "cats.txt").write_text("the cat sat on the mat\n" * 60)
        >>> config = LanguageModellingConfig(
        ...     text={"data": folder / "cats.txt", "level": "word"},
        ...     batches={"batch_size": 4, "chunk_length": 8},
        ...     model={"embedding_size": 8, "hidden_size": 16},
        ...     training={"epochs": 4, "learning_rate": 0.05},
        ... )
        >>> run, _ = train_run(LANGUAGE_MODELLING, config, folder / "run")
        >>> evaluate_run(run, folder / "cats.txt")["perplexity"] < 7
        True
    """
    run.model.to(choose_device(device)).eval()
    data = _validated_on(run) if path is None else run.task.read_test(run.config, run.data, Path(path))
    data.valid = watch(data.valid)
    measure = run.task.evaluate(run.config, run.model, data)
    if measure is None:
        raise TypeError(f"the task {run.task.name} read nothing to evaluate on")
    return measure()


def _validated_on(run: Run) -> Any:  # noqa: ANN401  (each task has data of its own)
    """The data of a run's training, read again.

    Raises:
        DataError: They cannot be read, or are others than they were.
    """
    elsewhere = "name the file to measure on (--data FILE)"
    try:
        data: Data = run.task.read(run.config)
    except DataError as error:
        raise DataError(f"{error}; if the data are elsewhere now, {elsewhere}") from None
    with tempfile.TemporaryDirectory() as folder:
        data.save(Path(folder))
        for kept in Path(folder).iterdir():
            if kept.read_bytes() != (run.folder / kept.name).read_bytes():
                raise DataError(
                    f"{run.folder}: the data that its config.toml names are not those it was trained on; {elsewhere}"
                )
    return data
