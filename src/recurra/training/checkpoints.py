"""Checkpoints: all that a run needs to go on as if it had never stopped.

Each is one file of safetensors. Its tensors can be read by any tool that reads those; its header holds, besides, what
else there is as JSON, the version, and the SHA-256 of the whole file (with zeros in the place of the sum itself).
Nothing in it is ever unpickled.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from recurra.data.files import write_atomically
from recurra.errors import RunError
from recurra.training import tree
from recurra.training.sealed import seal, unseal

__all__ = ["Checkpoints", "Loaded", "read_checkpoint", "write_checkpoint"]

VERSION = "1"
BEST = "best.safetensors"

_NAME = re.compile(r"step-(\d+)\.safetensors")


def write_checkpoint(path: str | os.PathLike[str], state: dict[str, Any]) -> None:
    """Write nested state into one file: beside its place first, synced to the disk, then moved there in one step.

    Args:
        path: The file; its folder must exist.
        state: What it will hold; see `recurra.training.tree.split`.

    Raises:
        RunError: The file cannot be written; what was there before is still there.

    Example:
        >>> import tempfile, torch
        >>> path = Path(tempfile.mkdtemp()) / "state.safetensors"
        >>> write_checkpoint(path, {"weights": {"W": torch.ones(2)}, "step": 7})
        >>> read_checkpoint(path)
        {'weights': {'W': tensor([1., 1.])}, 'step': 7}
    """
    write_atomically(Path(path), pack(state))


def pack(state: dict[str, Any]) -> bytes:
    """Nested state as the content of a checkpoint."""
    left, tensors = tree.split(state)
    return seal(tensors, {"format": "recurra checkpoint", "version": VERSION, "state": json.dumps(left)})


def read_checkpoint(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read what `write_checkpoint` wrote.

    Args:
        path: The file.

    Returns:
        The state, its tensors on the processor.

    Raises:
        RunError: The file cannot be read, is damaged, or is of another version.
    """
    path = Path(path)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise RunError(f"{path}: cannot be read ({error.strerror})") from error
    return unpack(content, path)


def unpack(content: bytes, name: object) -> dict[str, Any]:
    """Nested state from what `pack` gave; `name` is what messages call it."""
    texts, tensors = unseal(content, name)
    if texts.get("version") != VERSION:
        raise RunError(
            f"{name}: a checkpoint of version {texts.get('version')!r}, and this Recurra reads version {VERSION}"
        )
    try:
        state: dict[str, Any] = tree.join(json.loads(texts["state"]), tensors)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise RunError(f"{name}: damaged ({error})") from error
    return state


@dataclass
class Loaded:
    """A checkpoint that was read.

    Attributes:
        path: Its file.
        state: What it holds.
        damaged: What is wrong with each newer one that could not be used.
    """

    path: Path
    state: dict[str, Any]
    damaged: list[str] = field(default_factory=list)


class Checkpoints:
    """The checkpoints of a run: step-N.safetensors for the newest few, and best.safetensors.

    Args:
        folder: Where they are; made when the first is written.
        keep: How many of the newest to keep.

    Example:
        >>> import tempfile
        >>> checkpoints = Checkpoints(tempfile.mkdtemp(), keep=2)
        >>> for step in (10, 20, 30):
        ...     _ = checkpoints.write(step, {"step": step}, best=step == 10)
        >>> [path.name for path in checkpoints.paths()], checkpoints.newest().state
        (['step-000000020.safetensors', 'step-000000030.safetensors'], {'step': 30})
    """

    def __init__(self, folder: str | os.PathLike[str], keep: int = 3) -> None:
        self.folder, self.keep = Path(folder), keep
        self._parents = True  # whether the folders above are made, too: only for the first checkpoint

    def paths(self) -> list[Path]:
        """The files, oldest first."""
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            return sorted(path for path in self.folder.iterdir() if _NAME.fullmatch(path.name))
        return []

    def write(self, step: int, state: dict[str, Any], *, best: bool = False) -> Path:
        """Write the state of a step, then remove what is older than the newest few.

        Args:
            step: How many steps were taken.
            state: What to hold.
            best: Whether it is the best so far, to be kept beside the newest.

        Raises:
            RunError: It cannot be written; the checkpoints there are untouched.
        """
        path = self.folder / f"step-{step:09}.safetensors"
        try:
            self.folder.mkdir(parents=self._parents, exist_ok=True)
        except FileNotFoundError as error:
            raise RunError(f"{self.folder.parent}: this folder was removed or moved while training went on") from error
        except OSError as error:
            raise RunError(f"{self.folder}: cannot be made ({error.strerror})") from error
        self._parents = False
        write_checkpoint(path, state)
        if best:
            self._link(path)
        for old in self.paths()[: -self.keep]:
            with contextlib.suppress(OSError):  # a file that stays takes room and does no harm
                old.unlink()
        return path

    def _link(self, path: Path) -> None:
        """Let best.safetensors name the same file, without a second copy where the file system can do that."""
        best, beside = self.folder / BEST, self.folder / f".{BEST}.{os.getpid()}.partial"
        try:
            os.link(path, beside)
            beside.replace(best)
        except OSError:
            write_atomically(best, path.read_bytes())
        finally:
            with contextlib.suppress(OSError):
                beside.unlink()

    def newest(self) -> Loaded | None:
        """Read the newest checkpoint that is whole, or None if there is no checkpoint at all.

        Raises:
            RunError: There are some, and none can be read.
        """
        damaged: list[str] = []
        paths = self.paths()[::-1]
        if (self.folder / BEST).is_file():
            paths.append(self.folder / BEST)
        for path in paths:
            try:
                loaded = Loaded(path, read_checkpoint(path), damaged)
            except RunError as error:
                damaged.append(str(error))
            else:
                self._parents = False
                return loaded
        if damaged:
            raise RunError(f"no checkpoint in {self.folder} can be read: {'; '.join(damaged)}; train again")
        return None
