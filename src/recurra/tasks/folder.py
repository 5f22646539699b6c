"""The folder of a run: where it is made, who may write in it, and what is there when a training was cut short.

A folder in which a training is about to begin holds a marker until the first step. If the process is killed before
the first checkpoint is written, the marker says that nothing in the folder is worth keeping: training may begin
there anew.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from recurra.data.files import write_atomically
from recurra.errors import RunError
from recurra.training import Checkpoints

__all__ = [
    "CHECKPOINTS",
    "CONFIG",
    "METRICS",
    "STARTING",
    "WEIGHTS",
    "RunFolder",
    "can_resume",
    "check_free",
    "is_unbegun",
    "make_folder",
    "new_folder",
    "numbered",
    "steps_taken",
]

CONFIG, WEIGHTS, METRICS, CHECKPOINTS = "config.toml", "model.safetensors", "metrics.jsonl", "checkpoints"
STARTING = ".starting"
"""The marker of a folder in which training has not taken its first step yet."""


def numbered(folder: Path) -> Iterator[Path]:
    """FOLDER, FOLDER-2, FOLDER-3, and so on.

    Example:
        >>> names = numbered(Path("runs/demo"))
        >>> [str(next(names)) for _ in range(3)]
        ['runs/demo', 'runs/demo-2', 'runs/demo-3']
    """
    number = 1
    while True:
        yield folder if number == 1 else folder.with_name(f"{folder.name}-{number}")
        number += 1


def new_folder(parent: Path, name: str) -> Path:
    """A folder below `parent` that does not exist yet: NAME, or NAME-2, NAME-3, ..."""
    return next(folder for folder in numbered(parent / name) if not os.path.lexists(folder))


def steps_taken(folder: Path) -> int:
    """How many steps the newest checkpoint of a run is of; 0 without one."""
    paths = Checkpoints(folder / CHECKPOINTS).paths()
    return int(paths[-1].stem.removeprefix("step-")) if paths else 0


def can_resume(folder: Path) -> bool:
    """Whether there is a run in a folder that training can go on with."""
    return (folder / CONFIG).is_file() and bool(Checkpoints(folder / CHECKPOINTS).paths())


def is_unbegun(folder: Path) -> bool:
    """Whether a training was about to begin in a folder and left nothing that was learned."""
    if not (folder / STARTING).is_file() or (folder / WEIGHTS).exists():
        return False
    return not Checkpoints(folder / CHECKPOINTS).paths()


def _is_taken(folder: Path) -> bool:
    """Whether a folder's name stands for something else than an empty folder or an unbegun run."""
    if not os.path.lexists(folder):
        return False
    if not folder.is_dir():
        return True
    content = [path for path in folder.iterdir() if not (path.name.startswith(".") and path.suffix == ".partial")]
    return bool(content) and not is_unbegun(folder)


def check_free(folder: Path) -> None:
    """Refuse a folder that holds something, before any work is done.

    Raises:
        RunError: It does, or cannot be read.
    """
    try:
        taken = _is_taken(folder)
    except OSError as error:
        raise RunError(f"{folder}: cannot be read: {error.strerror}; give another folder with --out") from None
    if taken:
        further = f", or go on with `recurra resume {folder}`" if can_resume(folder) else ""
        raise RunError(
            f"{folder}: there is something here already; give another folder with --out, or remove it{further}"
        )


def make_folder(folder: Path) -> list[Path]:
    """Make a folder; returns those that were not there before, the innermost first.

    Raises:
        RunError: It cannot be made.
    """
    try:
        missing = [f for f in (folder, *folder.parents) if not f.exists()]
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(f"{folder}: cannot be made: {error.strerror}; give another folder with --out") from None
    return missing


class RunFolder:
    """A run's folder, held by this process alone: no other trains in it until the context ends, however that ends.

    Args:
        path: The folder; it exists.

    Raises:
        RunError: Another process is training in it.
    """

    def __init__(self, path: Path) -> None:
        self.path, self._lock = path, _lock(path)
        self._identity = _identity(path)

    def _release(self) -> None:
        if self._lock is not None:
            os.close(self._lock)

    @classmethod
    @contextlib.contextmanager
    def held(cls, path: Path) -> Iterator[RunFolder]:
        """Hold the folder of a run that is there."""
        folder = cls(path)
        try:
            folder._sweep()
            yield folder
        finally:
            folder._release()

    @classmethod
    @contextlib.contextmanager
    def begun(cls, path: Path, *, anywhere: bool = False) -> Iterator[RunFolder]:
        """Make the folder of a new run and hold it; it is taken back if nothing has been learned by the end.

        Args:
            path: The folder.
            anywhere: Whether, where it is taken, the first of FOLDER-2, FOLDER-3, ... that is free will do.

        Raises:
            RunError: The folder is taken, or cannot be made.
        """
        for candidate in numbered(path):
            try:
                check_free(candidate)
                created = make_folder(candidate)
                folder = cls(candidate)
            except RunError:
                if anywhere and os.path.lexists(candidate):
                    continue
                raise
            try:
                check_free(candidate)  # another may have begun there in the meantime
            except RunError:
                folder._release()
                if anywhere:
                    continue
                raise
            break
        try:
            before = folder._prepare()
            try:
                yield folder
            finally:
                if not (candidate / WEIGHTS).exists() and not steps_taken(candidate):
                    folder._take_back(before, created)
        finally:
            folder._release()

    def _sweep(self) -> None:
        """Remove the files that a process was writing when it was killed."""
        for folder in (self.path, self.path / CHECKPOINTS):
            for path in folder.glob(".*.partial"):
                with contextlib.suppress(OSError):
                    path.unlink()

    def _prepare(self) -> set[Path]:
        """Mark the folder as one where training begins; returns what was in it before."""
        self._sweep()
        before = set() if is_unbegun(self.path) else set(self.path.iterdir())
        write_atomically(self.path / STARTING, "training has not taken its first step here yet\n")
        return before

    def mark_as_begun(self) -> None:
        """Take the marker away: from here on there is something to go on with."""
        (self.path / STARTING).unlink(missing_ok=True)

    def _take_back(self, before: set[Path], created: list[Path]) -> None:
        """Take back a run that came to nothing, and the folders made for it."""
        with contextlib.suppress(OSError):  # what is in the way of this is not worth hiding the first error for
            # The marker goes last, so that whatever is left by a kill is known to be worth nothing.
            for path in sorted(self.path.iterdir(), key=lambda path: path.name == STARTING):
                if path in before:
                    continue
                if path.is_dir() and not path.is_symlink():
                    shutil.rmtree(path)
                else:
                    path.unlink()
            for empty in created:
                empty.rmdir()

    def check(self) -> None:
        """See that the folder is where it was.

        Raises:
            RunError: It was removed or moved.
        """
        try:
            here = _identity(self.path) == self._identity
        except OSError:
            here = False
        if not here:
            raise RunError(
                f"{self.path}: this folder was removed or moved while training went on; what was written into it is "
                "where it was moved to, or lost: go on from there with `recurra resume`, or train again"
            )


def _lock(folder: Path) -> int | None:
    """A lock on a folder, which the system forgets with this process; None on a system that has none.

    Raises:
        RunError: Another process holds it, or the folder cannot be opened.
    """
    try:
        import fcntl
    except ImportError:
        return None
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError as error:
        raise RunError(f"{folder}: cannot be read: {error.strerror}; give another folder with --out") from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise RunError(
            f"{folder}: another process is training in it; let it end or stop it, or give another folder with --out"
        ) from None
    except OSError:  # a file system without locks
        pass
    return descriptor


def _identity(folder: Path) -> tuple[int, int]:
    status = folder.stat()
    return status.st_dev, status.st_ino
