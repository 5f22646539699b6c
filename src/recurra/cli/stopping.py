"""Ctrl-C at any moment is one line and exit code 130, also while the program still imports what it needs."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from types import FrameType
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


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Have Ctrl-C raise KeyboardInterrupt inside, so that what has begun is tidied up; a command runs in this."""
    if signal.getsignal(signal.SIGINT) is not _stop:
        yield
        return
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, _stop)


def _stop(number: int, frame: FrameType | None) -> NoReturn:
    with contextlib.suppress(OSError):
        os.write(2, STOPPED.encode())
    os._exit(INTERRUPTED)
