"""A text that is printed while it is written."""

from __future__ import annotations

import time
from typing import Self

from rich.console import Console

from recurra.training.figures import TAB, printable

__all__ = ["LiveText"]

DELAY = 0.01
"""Seconds for which a piece may wait for the next, so that fast text does not cost a call of the system a character."""


class LiveText:
    r"""Prints the pieces of a text as they come, also into a pipe; what was printed stands whatever happens after it.

    Args:
        console: Where to print.
        before: What is printed already of the line.

    Example:
        >>> with LiveText(Console()) as live:
        ...     for piece in ("o", "ne\n"):
        ...         live.write(piece)
        one
    """

    def __init__(self, console: Console, before: str = "") -> None:
        self._file, self._encoding = console.file, console.encoding
        self._column, self._flushed = 0, 0.0
        self._count(before)

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(self, *error: object) -> None:
        """Let nothing wait any longer."""
        self._file.flush()

    def write(self, piece: str) -> None:
        """Print a piece."""
        if not piece:
            return
        if not piece.isascii() or not piece.isprintable():
            indent = " " * (self._column % TAB)  # a tab goes on from where the line is
            piece = printable(indent + piece, self._encoding)[len(indent) :]
        self._count(piece)
        self._file.write(piece)
        now = time.monotonic()
        if now - self._flushed > DELAY:
            self._file.flush()
            self._flushed = now

    def _count(self, piece: str) -> None:
        """Where the line is after a piece."""
        _, ended, rest = piece.rpartition("\n")
        self._column = len(rest) if ended else self._column + len(rest)
