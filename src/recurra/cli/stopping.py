"""Ctrl-C at any moment is one line and exit code 130, also while the program still imports what it needs."""

from __future__ import annotations

import os
import signal

TYPE_CHECKING = False  # until Ctrl-C is handled as little is imported as can be
if TYPE_CHECKING:
    from types import FrameType, TracebackType
    from typing import NoReturn

__all__ = ["INTERRUPTED", "STOPPED", "interruptible", "stop_at_once"]

INTERRUPTED = 130
"""The exit code of what Ctrl-C ended."""

STOPPED = "\nrecurra: stopped\n"
"""What is said then; the terminal has just echoed ^C."""


def stop_at_once() -> None:
    """Have Ctrl-C end the process at once, for as long as there is nothing to tidy up.

    An exception would do for most moments, but not for those in which Python only reports one and goes on, such as the
    callbacks of its import system. Where Ctrl-C is ignored or handled already, as after `nohup`, nothing changes.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _stop)


class interruptible:  # noqa: N801  (used as a function)
    """Has Ctrl-C raise KeyboardInterrupt inside, so that what has begun is tidied up; a command runs in this."""

    def __enter__(self) -> None:
        """Let Ctrl-C raise, if it would end the process."""
        self._at_once = signal.getsignal(signal.SIGINT) is _stop
        if self._at_once:
            signal.signal(signal.SIGINT, signal.default_int_handler)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let it end the process again."""
        if self._at_once:
            signal.signal(signal.SIGINT, _stop)


def _stop(number: int, frame: FrameType | None) -> NoReturn:
    try:
        os.write(2, STOPPED.encode())
    finally:  # standard error may be closed
        os._exit(INTERRUPTED)
