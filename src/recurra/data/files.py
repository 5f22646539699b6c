"""Writing a file so that it is there whole or not at all."""

import contextlib
import errno
import os
from pathlib import Path

from recurra.errors import RunError


def write_atomically(path: str | Path, content: str | bytes) -> None:
    """Writes a file beside its place and moves it there in one step.

    Whatever stops the writing, a full disk or a lost power line, the path holds either what it held before or the
    whole new content.

    Args:
        path: Where the file goes; its folder must exist.
        content: What it will hold; text is written as UTF-8, its line ends as they are.

    Raises:
        RunError: The file cannot be written there.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_atomically(Path(folder) / "note.txt", "whole or not at all")
        ...     (Path(folder) / "note.txt").read_text()
        'whole or not at all'
    """
    path = Path(path)
    beside = _beside(path)
    try:
        with beside.open("wb") as file:
            file.write(content.encode("utf-8") if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        raise _cannot_be_written(path, error) from error
    finally:
        with contextlib.suppress(OSError):
            beside.unlink()


def check_writable(path: str | Path) -> None:
    """Refuse a file that `write_atomically` could not write, before the work whose result it is to hold.

    Args:
        path: Where the file is to go; nothing is changed there.

    Raises:
        RunError: The file could not be written there.

    Example:
        >>> check_writable("/no/such/folder/figures.json")
        Traceback (most recent call last):
        recurra.errors.RunError: /no/such/folder/figures.json: cannot be written (No such file or directory); give a ...
    """
    path = Path(path)
    if path.is_dir():
        raise RunError(f"{path}: this is a folder; give the name of a file")
    beside = _beside(path)
    try:
        beside.open("wb").close()
    except OSError as error:
        raise _cannot_be_written(path, error) from error
    finally:
        with contextlib.suppress(OSError):
            beside.unlink()


def _beside(path: Path) -> Path:
    """The file that is written first, and then takes the place of another."""
    return path.with_name(f".{path.name}.{os.getpid()}.partial")


def _cannot_be_written(path: Path, error: OSError) -> RunError:
    return RunError(f"{path}: cannot be written ({error.strerror}); {_mend(error)}")


def _mend(error: OSError) -> str:
    """What to do about a file that cannot be written."""
    if error.errno in {errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", None)}:
        return "make room on that disk; what was there before is untouched"
    if error.errno == errno.EIO:
        return "check the disk; what was there before is untouched"
    return "give a file in a folder that exists and is yours to write"


def _sync_folder(folder: Path) -> None:
    """Bring a folder's new name for a file to the disk, where the system can be asked to."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with contextlib.suppress(OSError):  # some file systems refuse, and order their writes themselves
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
