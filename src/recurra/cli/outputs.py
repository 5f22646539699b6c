"""Files that a command writes besides what it shows: refused before the work if they cannot be written, named after."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.text import Text

from recurra.data.files import check_writable
from recurra.errors import RecurraError, SettingError

__all__ = ["check_outputs", "write_outputs"]


def check_outputs(plot: Path | None = None, json_file: Path | None = None) -> None:
    """Refuse files that could not be written, before any work is done.

    Args:
        plot: The picture that --plot names.
        json_file: The file that --json names.

    Raises:
        SettingError: matplotlib is missing, the picture's name ends in no kind of picture, or both are the same file.
        RunError: A file cannot be written there.
    """
    if plot is not None:
        from recurra.inspection.pictures import check_picture

        check_picture(plot)
        if json_file is not None and plot.resolve() == json_file.resolve():
            raise SettingError(f"{plot}: --plot and --json name the same file; give two")
    for path in (plot, json_file):
        if path is not None:
            check_writable(path)


def write_outputs(console: Console, outputs: dict[Path | None, Callable[[Path], None]]) -> None:
    """Write the files that were asked for, and say which.

    One that cannot be written after all, such as on a full disk, does not keep the others from it.

    Args:
        console: Where to say it.
        outputs: For each file what writes it; a file that is None was not asked for.

    Raises:
        RecurraError: Some file could not be written.
    """
    written, failed = [], []
    for path, write in outputs.items():
        if path is None:
            continue
        try:
            write(path)
            written.append(str(path))
        except RecurraError as error:
            failed.append(error)
    if written:
        console.print(Text(f"Written: {' and '.join(written)}"), soft_wrap=True)
    if failed:
        raise failed[0]
