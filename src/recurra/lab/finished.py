"""Finished trials: what an experiment that is stopped has measured so far, kept in a file so that it can go on."""

from __future__ import annotations

import contextlib
import json
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from recurra.data.files import write_atomically
from recurra.errors import RunError

__all__ = ["FinishedTrials"]


class FinishedTrials:
    """The file of the trials that are finished; it is used again only by an experiment that would measure the same.

    Args:
        path: The file.
        conditions: What the numbers depend on: the experiment, its sizes and its seed. The versions of Recurra, torch
            and Python and the number of threads are added.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     finished = FinishedTrials(Path(folder) / "depth.partial.json", {"seed": 0})
        ...     finished.save({"error": [0.25]}, {"1 layer": 3.5})
        ...     finished.load(), FinishedTrials(finished.path, {"seed": 1}).load()
        (({'error': [0.25]}, {'1 layer': 3.5}), ({}, {}))
    """

    def __init__(self, path: Path, conditions: dict[str, Any]) -> None:
        self.path = path
        versions = {"recurra": version("recurra"), "torch": torch.__version__, "python": platform.python_version()}
        # As JSON has them, so that they can be compared with those in the file.
        self.conditions = json.loads(json.dumps({**conditions, **versions, "threads": torch.get_num_threads()}))

    def load(self) -> tuple[dict[str, Any], dict[str, float]]:
        """What the finished trials measured and how long each took; nothing if there is no file of these conditions."""
        try:
            content = json.loads(self.path.read_text(encoding="utf-8"))
            if content["conditions"] == self.conditions:
                return dict(content["measured"]), dict(content["seconds"])
        except (OSError, ValueError, LookupError, TypeError):
            pass  # it is not there, or is damaged: everything is measured again
        return {}, {}

    def save(self, measured: dict[str, Any], seconds: dict[str, float]) -> None:
        """Keep what was measured so far; where it cannot be written, the experiment goes on without."""
        content = {"conditions": self.conditions, "measured": measured, "seconds": seconds}
        with contextlib.suppress(RunError):
            write_atomically(self.path, json.dumps(content) + "\n")

    def remove(self) -> None:
        """Remove the file, once the whole experiment is written."""
        with contextlib.suppress(OSError):
            self.path.unlink()
