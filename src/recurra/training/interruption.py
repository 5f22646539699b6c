"""Ctrl-C that waits for the step at hand."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Self


class Interruption:
    """Holds Ctrl-C back until training asks for it, so that no update, copy or file is left half done.

    The first Ctrl-C sets `requested`; a second one raises KeyboardInterrupt at once, for whoever cannot wait. Outside
    the main thread, and where a program handles Ctrl-C itself, nothing is changed.

    Example:
        >>> with Interruption() as interruption:
        ...     signal.raise_signal(signal.SIGINT)
        ...     interruption.requested
        True
    """

    def __init__(self) -> None:
        self.requested = False
        self._comes_through = False
        self._installed = False

    def __enter__(self) -> Self:
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            try:
                signal.signal(signal.SIGINT, self._handle)
            except ValueError:  # Only the main thread may; in any other, Ctrl-C never arrives.
                return self
            self._installed = True
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._installed:
            signal.signal(signal.SIGINT, signal.default_int_handler)
            self._installed = False

    @contextmanager
    def comes_through(self) -> Iterator[None]:
        """Raise KeyboardInterrupt at once inside: for what may take long and changes nothing."""
        self._comes_through = True
        try:
            yield
        finally:
            self._comes_through = False

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.requested or self._comes_through:
            raise KeyboardInterrupt
        self.requested = True
