"""The uses of sequence models, one a file, and the runs they leave.

A new use is a file, another of its settings, and a line in the table.
"""

from typing import TYPE_CHECKING

from recurra.lazy import import_on_demand

if TYPE_CHECKING:
    from recurra.tasks.evaluation import evaluate_run
    from recurra.tasks.front_door import load, train
    from recurra.tasks.report import Report
    from recurra.tasks.run import train_run
    from recurra.tasks.settings import TaskConfig
    from recurra.tasks.table import TASKS
    from recurra.tasks.task import Task
    from recurra.tasks.trained import Trained
else:
    import_on_demand(__name__)

__all__ = ["TASKS", "Report", "Task", "TaskConfig", "Trained", "evaluate_run", "load", "train", "train_run"]
