"""What a command waits for, shown on a terminal once that takes longer than a moment."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from typing import Any, Generic, Self, TypeVar

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

__all__ = ["Waiting", "WatchedBatches"]

BatchT = TypeVar("BatchT")

DELAY = 1.0
"""Seconds after which it is shown; what is done sooner leaves the screen as it was."""


class Waiting:
    """A bar on standard error, for as long as something takes; nothing of it is left behind.

    Without a terminal, as in a pipe or a log file, nothing is shown.

    Args:
        what: What is waited for, such as "sampling".
        console: Where to show it; standard error if not given.
        delay: Seconds before it is shown.

    Example:
        >>> with Waiting("counting") as waiting:
        ...     for number in range(3):
        ...         waiting.step(number + 1, 3)
    """

    def __init__(self, what: str, console: Console | None = None, delay: float = DELAY) -> None:
        console = Console(stderr=True) if console is None else console
        self.live = console.is_interactive and console.file.isatty()
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[share]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=console,
            transient=True,
        )
        self._task = self._progress.add_task(what, total=None, share="")
        self._lock, self._shown, self._done = threading.Lock(), False, False
        self._timer = threading.Timer(delay, self._show)
        self._timer.daemon = True

    def __enter__(self) -> Self:
        """Show it from the end of the delay on."""
        if self.live:
            self._timer.start()
        return self

    def __exit__(self, *error: object) -> None:
        """Take it off the screen."""
        self._timer.cancel()
        with self._lock:
            self._done = True
            if self._shown:
                self._progress.stop()

    def step(self, done: int, total: int | None) -> None:
        """Say how much is done, and of how much."""
        if self.live:
            share = f"{done:,}" if total is None else f"{done / max(total, 1):.0%}"
            self._progress.update(self._task, completed=done, total=total, share=share)

    def _show(self) -> None:
        with self._lock:
            if not self._done:
                self._shown = True
                self._progress.start()


class WatchedBatches(Generic[BatchT]):
    """Batches that tell how many of an epoch have been read.

    Args:
        batches: The batches.
        waiting: Who is told.
    """

    def __init__(self, batches: Any, waiting: Waiting) -> None:  # noqa: ANN401  (with or without a length)
        self.batches, self.waiting = batches, waiting

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401
        return getattr(self.batches, name)

    def epoch(self, number: int, start: int = 0) -> Iterable[BatchT]:
        """The batches of an epoch, as they are read."""
        batches = self.batches.epoch(number, start)
        total = next((len(one) for one in (batches, self.batches) if hasattr(one, "__len__")), None)
        return self._told(batches, total)

    def _told(self, batches: Iterable[BatchT], total: int | None) -> Iterator[BatchT]:
        for place, batch in enumerate(batches):
            self.waiting.step(place, total)
            yield batch
