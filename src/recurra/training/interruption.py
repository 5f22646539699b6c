"""Ctrl-C, and a request to end, that wait for the step at hand."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any, Self

_USUAL: dict[signal.Signals, Any] = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}
if hasattr(signal, "SIGHUP"):
    _USUAL[signal.SIGHUP] = signal.SIG_DFL
"""The signals that are held back, and what handles them where no program has its own way with them."""


class Interruption:
    """Holds Ctrl-C back until training asks for it, so that no update, copy or file is left half done.

    The first Ctrl-C sets `requested`; a second one raises KeyboardInterrupt at once, for whoever cannot wait. SIGTERM,
    by which a machine's owner asks a program to end, does the same, as does SIGHUP, which comes when the terminal is
    closed or the connection to it lost; of that one more may follow, which change nothing. Outside the main thread, and
    where a program handles a signal itself, nothing is changed.

    Attributes:
        requested: Whether an end was asked for.
        signal: The number of the signal that asked for it; None before.

    Example:
        >>> with Interruption() as interruption:
        ...     signal.raise_signal(signal.SIGINT)
        ...     interruption.requested
        True
    """

    def __init__(self) -> None:
        self.requested = False
        self.signal: int | None = None
        self._comes_through = False
        self._installed: list[signal.Signals] = []

    def __enter__(self) -> Self:
        for number, usual in _USUAL.items():
            if signal.getsignal(number) is usual:
                try:
                    signal.signal(number, self._handle)
                except ValueError:  # Only the main thread may; no other hears of a signal.
                    return self
                self._installed.append(number)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        while self._installed:
            number = self._installed.pop()
            signal.signal(number, _USUAL[number])

    @contextmanager
    def comes_through(self) -> Iterator[None]:
        """Raise KeyboardInterrupt at once inside: for what may take long and changes nothing."""
        self._comes_through = True
        try:
            yield
        finally:
            self._comes_through = False

    def _handle(self, number: int, frame: FrameType | None) -> None:
        again = self.requested or self._comes_through
        if number == getattr(signal, "SIGHUP", None) and self.signal == number:
            return  # a terminal and the shell in it both say that it closes
        self.signal = number if self.signal is None else self.signal
        if again:
            raise KeyboardInterrupt
        self.requested = True
