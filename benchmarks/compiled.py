"""torch.compile of the eager loop, where it finishes within a time limit."""

from __future__ import annotations

import os
import signal
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import torch
from contenders import Contender, pass_of
from eager import LOOPS
from results import Kind
from torch import Tensor


class Late(BaseException):
    """The time is up. No Exception, so that what catches those does not carry on."""


def compiled(name: str, p: dict[str, Tensor], x: Tensor, above: Tensor, kind: Kind, limit: float) -> Contender | str:
    """The loop compiled for one shape, all its steps unrolled; or, in words, why there is none."""
    # In this process alone: workers would go on compiling, beside what is timed next, when the time is up.
    os.environ.setdefault("TORCHINDUCTOR_COMPILE_THREADS", "1")
    torch.compiler.reset()
    loop = torch.compile(LOOPS[name], dynamic=False)
    contender = Contender(lambda x: loop(p, x), p)
    try:
        with warnings.catch_warnings(action="ignore"), _at_most(limit):
            pass_of(contender, x, above, kind)()
    except Late:
        return f"not compiled within {limit:.0f} s"
    # Whatever the compiler of another project raises, this comparison goes on without it.
    except Exception as error:
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        return f"{type(error).__name__}: {first[:120]}"
    return contender


@contextmanager
def _at_most(seconds: float) -> Iterator[None]:
    """Raise `Late` when the time is up, where the system has an alarm; elsewhere there is no limit."""
    if not hasattr(signal, "SIGALRM"):
        yield
        return

    def late(number: int, frame: FrameType | None) -> None:
        raise Late

    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
