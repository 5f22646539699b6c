"""What a shell completes where a command takes a folder of a run, a cell or one of a few names."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

__all__ = ["cell_names", "run_folders"]

DEEPEST = 3
"""How many folders below the one where one stands runs are looked for."""


def run_folders(incomplete: str) -> list[str]:
    """The folders of runs whose path begins so, and the folders on the way to them.

    Args:
        incomplete: What has been typed.
    """
    begun = Path(incomplete) if incomplete.endswith("/") else Path(incomplete).parent
    folders: list[str] = []
    with contextlib.suppress(OSError):
        for folder in sorted(begun.iterdir()):
            path = str(folder)
            if path.startswith(incomplete.rstrip("/")) and folder.is_dir() and _holds_runs(folder, DEEPEST):
                folders.append(path if (folder / "config.toml").is_file() else f"{path}/")
    return folders


def _holds_runs(folder: Path, depth: int) -> bool:
    """Whether a folder is one of a run, or there is one not far below it."""
    if (folder / "config.toml").is_file():
        return True
    with contextlib.suppress(OSError), os.scandir(folder) as inside:
        return depth > 0 and any(
            entry.is_dir() and not entry.name.startswith(".") and _holds_runs(Path(entry.path), depth - 1)
            for entry in inside
        )
    return False


def cell_names(incomplete: str) -> list[str]:
    """The cells whose name begins so."""
    from recurra.cells import CATALOGUE

    return [name for name in CATALOGUE if name.startswith(incomplete)]
