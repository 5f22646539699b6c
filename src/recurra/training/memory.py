"""Memory asked for beyond what there is: refused in one line, before the machine runs out of it."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from recurra.errors import SettingError

__all__ = ["available_memory", "bounded_memory"]

GIB = 1024**3
LOOK_EVERY = GIB // 16
"""Bytes that are asked for between two looks at the memory that is free."""

RESERVE = GIB // 8
"""Bytes that are left to the rest of the machine."""


def available_memory() -> int | None:
    """The bytes of main memory that this process may still take; None where the system does not say."""
    limits = []
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                limits.append(1024 * int(line.split()[1]))
    except (OSError, ValueError):
        if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
            limits.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    try:  # a container may have less than its machine
        most = Path("/sys/fs/cgroup/memory.max").read_text().strip()
        if most != "max":
            limits.append(int(most) - int(Path("/sys/fs/cgroup/memory.current").read_text()))
    except (OSError, ValueError):
        pass
    return max(0, min(limits)) if limits else None


@contextmanager
def bounded_memory(what: str) -> Iterator[None]:
    """Refuse inside to make tensors that are larger than the memory there is.

    Args:
        what: What is made, for the message.

    Raises:
        SettingError: It does not fit; the message says how much it needs at least, and how much there is.

    Example:
        >>> with bounded_memory("the model"):
        ...     torch.empty(10**8, 10**8)
        Traceback (most recent call last):
        recurra.errors.SettingError: the model asks for 3.7e+07 GiB of memory at once, and ...
    """
    try:
        with _Guard(what):
            yield
    except (MemoryError, OverflowError, RuntimeError, TypeError) as error:
        text = str(error)
        signs = ("verflow", "can't allocate memory", "not enough memory", "out of memory")
        if isinstance(error, SettingError) or not (
            isinstance(error, MemoryError | OverflowError) or any(sign in text for sign in signs)
        ):
            raise
        raise SettingError(f"{what} is larger than any memory; {_MEND}") from None


_MEND = "make hidden_size, embedding_size, num_layers or the vocabulary smaller"


class _Guard(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Looks, whenever a tensor of some size is to be made, whether there is memory for it."""

    def __init__(self, what: str) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.what, self.since = what, 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:  # noqa: ANN401
        size: Any = args[0] if args else (kwargs or {}).get("size")
        if _is_size(size):
            kind = (kwargs or {}).get("dtype") or torch.get_default_dtype()
            self._take(math.prod(size) * kind.itemsize)
        return func(*args, **(kwargs or {}))

    def _take(self, asked: int) -> None:
        self.since += asked
        if self.since < LOOK_EVERY:
            return
        self.since, free = 0, available_memory()
        if free is not None and asked > free - RESERVE:
            raise SettingError(
                f"{self.what} asks for {_gib(asked)} of memory at once, and {_gib(free)} are free; {_MEND}"
            )


def _is_size(value: object) -> bool:
    return isinstance(value, list | tuple) and all(isinstance(part, int) for part in value)


def _gib(size: int) -> str:
    return f"{size / GIB:.2g} GiB"
