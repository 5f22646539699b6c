"""Checkpoints: all that a run needs to go on as if it had never stopped.

Each is one file of safetensors. Its tensors can be read by any tool that reads those; its header holds, besides, what
else there is as JSON, the version, and the SHA-256 of the whole file (with zeros in the place of the sum itself).
Nothing in it is ever unpickled.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load, save

from recurra.data.files import write_atomically
from recurra.errors import RunError
from recurra.training import tree

__all__ = ["Checkpoints", "Loaded", "read_checkpoint", "write_checkpoint"]

VERSION = "1"
BEST = "best.safetensors"

_SUM = re.compile(rb'"sha256":"([0-9a-f]{64})"')
_NO_SUM = "0" * 64
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
    header = {"format": "recurra checkpoint", "version": VERSION, "sha256": _NO_SUM, "state": json.dumps(left)}
    content = save(tensors, header)
    place = _SUM.search(content)
    assert place is not None  # it is in the header just written; within the state its quotes would be escaped
    start, end = place.span(1)
    total = hashlib.sha256(content).hexdigest().encode()
    return b"".join([content[:start], total, content[end:]])


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
    place = _SUM.search(content)
    if place is None:
        raise RunError(f"{name}: damaged, or no checkpoint: it has no checksum")
    start, end = place.span(1)
    total = hashlib.sha256(b"".join([content[:start], _NO_SUM.encode(), content[end:]])).hexdigest()
    if total.encode() != place.group(1):
        raise RunError(f"{name}: damaged: its checksum is not that of its content")
    try:
        size = int.from_bytes(content[:8], "little")
        header = json.loads(content[8 : 8 + size])["__metadata__"]
        version = header["version"]
        if version != VERSION:
            raise RunError(f"{name}: a checkpoint of version {version!r}, and this Recurra reads version {VERSION}")
        state: dict[str, Any] = tree.join(json.loads(header["state"]), load(content))
    except (SafetensorError, ValueError, KeyError, TypeError) as error:
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
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RunError(f"{self.folder}: cannot be made ({error.strerror})") from error
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
                return Loaded(path, read_checkpoint(path), damaged)
            except RunError as error:
                damaged.append(str(error))
        if damaged:
            raise RunError(f"no checkpoint in {self.folder} can be read: {'; '.join(damaged)}; train again")
        return None
