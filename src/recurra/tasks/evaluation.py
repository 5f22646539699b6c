"""The metrics of a trained run on data that it has not seen."""

from __future__ import annotations

from pathlib import Path

from recurra.tasks.run import Run
from recurra.training import choose_device
from recurra.training.settings import DeviceName

__all__ = ["evaluate_run"]


def evaluate_run(run: Run, path: str | Path, device: DeviceName = "auto") -> dict[str, float]:
    r"""Measure a trained run on a file, as its task measures what it validates on.

    Nothing is left out and nothing approximated: a language model of a stream reads the text as one track and carries
    its state from the first token to the last.

    Args:
        run: The run.
        path: The file, of the kind that the run was trained on.
        device: Where to compute; "auto" takes a CUDA device if there is one.

    Returns:
        The metrics by name, as a validation has them.

    Raises:
        DataError: The file cannot be used.

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
    data = run.task.read_test(run.config, run.data, Path(path))
    measure = run.task.evaluate(run.config, run.model, data)
    if measure is None:
        raise TypeError(f"the task {run.task.name} read nothing to evaluate on")
    return measure()
