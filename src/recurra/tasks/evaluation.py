"""The metrics of a trained run on data that it has not seen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from recurra.data.batching import Batches
from recurra.data.dataset import Dataset, Role
from recurra.errors import DataError, RecurraError
from recurra.tasks.assets import fitted_on
from recurra.tasks.doctor import baseline_figures
from recurra.tasks.folder import CONFIG
from recurra.tasks.overlap import examples_seen
from recurra.tasks.paths import locate_files
from recurra.tasks.preparation import read_parts
from recurra.tasks.report import Report
from recurra.tasks.trained import Trained
from recurra.training import choose_device
from recurra.training.settings import DeviceName

__all__ = ["data_to_evaluate", "evaluate_run"]


def evaluate_run(
    run: Trained[Any, Any, Any, Any, Any, Any],
    path: str | Path | None = None,
    device: DeviceName = "auto",
    *,
    intervals: bool = False,
    baselines: bool = False,
    mistakes: bool = False,
    watch: Callable[[Batches[Any]], Batches[Any]] = lambda batches: batches,
) -> Report:
    r"""Measure a trained run on a file, as its use measures what it validates on.

    Of a file nothing is left out and nothing approximated: a language model of a stream reads the text as one track and
    carries its state from the first token to the last. Without a file it is what the training validated on, measured
    as it was then.

    Args:
        run: The run.
        path: The file, of the kind that the run was trained on; None for what the training validated on.
        device: Where to compute; "auto" takes a CUDA device if there is one.
        intervals: Whether to draw the 95% bootstrap interval of each figure.
        baselines: Whether to measure trivial rules as well, where the data trained on are still there.
        mistakes: Whether to list the answers that are wrong, where the use can.
        watch: Is given the batches before they are read, and returns those that are, so that their reading can be
            watched.

    Returns:
        The figures by name, with their intervals and tables.

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
        >>> evaluate_run(run, folder / "cats.txt").figures["perplexity"] < 7
        True
    """
    run.model.to(choose_device(device)).eval()
    dataset, role = data_to_evaluate(run, path)
    report = run.evaluate(dataset, role, intervals=intervals, mistakes=mistakes, watch=watch)
    seen = None if run.folder is None or path is None else examples_seen(run.folder, run.task, dataset)
    problems = dataset.problems.lines()
    return replace(report, baselines=_baselines(run, dataset) if baselines else {}, seen=seen, problems=problems)


def _baselines(run: Trained[Any, Any, Any, Any, Any, Any], dataset: Dataset[Any]) -> dict[str, dict[str, float]]:
    """What trivial rules score; nothing where the data trained on are elsewhere or others by now."""
    config = run.config
    try:
        if run.folder is not None:
            config = locate_files(config, run.folder / CONFIG, given={})
        parts = read_parts(run.task, config)
    except RecurraError:
        return {}
    if run.folder is not None and fitted_on(run.folder) != parts.files:
        return {}
    return baseline_figures(run.task, run.config, run.assets, parts.train, dataset)


def data_to_evaluate(
    run: Trained[Any, Any, Any, Any, Any, Any], path: str | Path | None = None
) -> tuple[Dataset[Any], Role]:
    """The examples of a file, or those that a training validated on, and how they are measured.

    Raises:
        DataError: They cannot be read, or the data that the settings name are others than they were.
    """
    if path is not None:
        return run.task.read(run.config, Path(path), "evaluate"), "evaluate"
    elsewhere = "name the file to measure on (--data FILE)"
    try:
        parts = read_parts(run.task, run.config)
    except DataError as error:
        raise DataError(f"{error}; if the data are elsewhere now, {elsewhere}") from None
    if run.folder is not None and fitted_on(run.folder) != parts.files:
        raise DataError(
            f"{run.folder}: the data that its config.toml names are not those it was trained on; {elsewhere}"
        )
    return parts.valid, "validate"
