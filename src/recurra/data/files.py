"""Writing a file so that it is there whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
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
    with writing_atomically(path) as file:
        file.write(content.encode("utf-8") if isinstance(content, str) else content)


@contextlib.contextmanager
def writing_atomically(path: str | Path) -> Iterator[_Output]:
    """A file to write in, piece by piece, beside its place; it is moved there in one step when the context ends well.

    Of a link, what it points at is replaced. A device or a pipe, such as /dev/stdout, is no file that could be moved
    away, and is written straight.

    Args:
        path: Where the file goes; its folder must exist.

    Raises:
        RunError: The file cannot be written there.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with writing_atomically(Path(folder) / "note.txt") as file:
        ...         file.write(b"whole ")
        ...         file.write(b"or not at all")
        ...     (Path(folder) / "note.txt").read_text()
        'whole or not at all'
    """
    path = Path(path)
    beside = _beside(path)
    try:
        output = _Output(path, beside)
        try:
            yield output
            output.finish()
        finally:
            output.close()
    finally:
        if beside is not None:
            with contextlib.suppress(OSError):
                beside.unlink()


class _Output:
    """A file that is written beside its place; what goes wrong with it is told as an error of that place.

    Args:
        path: Its place.
        beside: Where it is written; None for the place itself.
    """

    def __init__(self, path: Path, beside: Path | None) -> None:
        self.path, self.beside = path, beside
        with self._errors():
            self._file = (path if beside is None else beside).open("wb")

    def write(self, content: bytes) -> None:
        """Write a piece."""
        with self._errors():
            self._file.write(content)

    def finish(self) -> None:
        """Bring it to the disk and into its place."""
        with self._errors():
            self._file.flush()
            if self.beside is None:
                return
            os.fsync(self._file.fileno())
            self._file.close()
            self.beside.replace(os.path.realpath(self.path))
            _sync_folder(self.beside.parent)

    def close(self) -> None:
        """Write no more."""
        with contextlib.suppress(OSError):
            self._file.close()

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise _cannot_be_written(self.path, error) from error


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
    if beside is None:  # opened, a pipe would wait for a reader
        if not os.access(path, os.W_OK):
            raise _cannot_be_written(path, PermissionError(errno.EACCES, os.strerror(errno.EACCES)))
        return
    try:
        beside.open("wb").close()
    except OSError as error:
        raise _cannot_be_written(path, error) from error
    finally:
        with contextlib.suppress(OSError):
            beside.unlink()


def _beside(path: Path) -> Path | None:
    """The file that is written first, and then takes the place of another; None for a device or a pipe."""
    if path.exists() and not (path.is_file() or path.is_dir()):
        return None
    target = Path(os.path.realpath(path))
    return target.with_name(f".{target.name}.{os.getpid()}.partial")


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
