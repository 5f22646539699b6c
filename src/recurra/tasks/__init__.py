"""The uses of sequence models, one a file, and the runs they leave.

A new task is a file, another of its settings, and a line in the table.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from recurra.lazy import import_on_demand

if TYPE_CHECKING:
    from recurra.tasks.evaluation import evaluate_run
    from recurra.tasks.run import train_run
    from recurra.tasks.settings import TaskConfig
    from recurra.tasks.table import TASKS
    from recurra.tasks.task import Task
    from recurra.tasks.trained import Report, Trained
else:
    import_on_demand(__name__)

__all__ = ["TASKS", "Report", "Task", "TaskConfig", "Trained", "evaluate_run", "load", "train_run"]


def load(folder: str | Path) -> Any:  # noqa: ANN401  (each task's run has methods of its own)
    r"""Load a run from its folder, wherever that has been moved.

    Args:
        folder: A folder that `recurra train` made.

    Returns:
        The run; that of a language model is a `recurra.tasks.language_modelling.LanguageModelRun`.

    Raises:
        RunError: There is no run in the folder, it is damaged, or another version wrote it.

    Example:
        >>> import tempfile
        >>> from recurra.tasks.language_modelling import LANGUAGE_MODELLING, LanguageModellingConfig
        >>> folder = Path(tempfile.mkdtemp())
        >>> _ = (folder / "cats.txt").write_text("the cat sat on the mat\n" * 60)
        >>> config = LanguageModellingConfig(
        ...     text={"data": folder / "cats.txt", "level": "word"},
        ...     batches={"batch_size": 4, "chunk_length": 8},
        ...     model={"embedding_size": 8, "hidden_size": 16},
        ...     training={"epochs": 4, "learning_rate": 0.05},
        ... )
        >>> _ = train_run(LANGUAGE_MODELLING, config, folder / "run")
        >>> model = load(folder / "run")
        >>> model.sample(5, primer="the cat", temperature=0)
        ['the cat sat on the mat\n']
        >>> model.score("the cat sat on the mat").probability > model.score("the mat sat on the cat").probability
        True
    """
    from recurra.tasks.run import load_run
    from recurra.tasks.table import TASKS

    return load_run(folder, TASKS)
