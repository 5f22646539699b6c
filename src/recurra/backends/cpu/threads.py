"""One pool of threads with torch's: its OpenMP runtime, called from here."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import torch

__all__ = ["SINGLE", "available", "let_others_run", "parallel", "thread_number"]


@lru_cache(maxsize=1)
def _openmp() -> ctypes.CDLL | None:
    """The GNU-compatible OpenMP runtime that torch has loaded, if it has one."""
    names = ["libgomp.so.1", "libomp.so", "libiomp5.so"]
    beside = Path(torch.__file__).parent
    found = [*beside.glob("lib/lib*omp*"), *beside.parent.glob("torch.libs/lib*omp*")]
    for name in [*(str(f) for f in found), *names]:
        try:
            library = ctypes.CDLL(name)
            library.GOMP_parallel.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint, ctypes.c_uint]
            library.GOMP_parallel.restype = None
            for function in ("omp_get_thread_num", "omp_get_thread_limit", "omp_get_dynamic", "omp_in_parallel"):
                getattr(library, function).argtypes = []
            library.omp_set_dynamic.argtypes = [ctypes.c_int]
            library.omp_set_dynamic.restype = None
        except (OSError, AttributeError):
            continue
        return library
    return None


SINGLE = 0
"""In the place of `thread_number()` in a call on one thread, which is the first of its own whichever it is."""


@lru_cache(maxsize=1)
def thread_number() -> int:
    """The address of a function that tells a thread of a parallel call its number; 0 where there are no such calls."""
    library = _openmp()
    return SINGLE if library is None else _address(library, "omp_get_thread_num")


@lru_cache(maxsize=1)
def let_others_run() -> int:
    """The address of a function that gives the processor to another thread that waits for one; 0 if there is none."""
    try:
        return _address(ctypes.CDLL(None), "sched_yield")
    except (OSError, AttributeError, TypeError):  # Windows wants the name of a library
        return 0


_forked = False
"""Whether this process is a copy of another, without its threads."""

_used = False
"""Whether the runtime has made threads at our asking."""


def _in_child() -> None:
    global _forked
    _forked = True
    if _used:
        # PyTorch's own operations would wait for the same threads.
        torch.set_num_threads(1)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)


def _address(library: ctypes.CDLL, name: str) -> int:
    return int(ctypes.cast(getattr(library, name), ctypes.c_void_p).value or 0)


def available() -> int:
    """How many threads a call may use: as many as torch does, but never more than a call will be given.

    That is one where the runtime cannot be called or is already running several, and no more than OMP_THREAD_LIMIT.
    It is one as well in a process that was forked: the runtime there would wait for ever for threads that only its
    parent has.
    """
    library = _openmp()
    if _forked or library is None or library.omp_in_parallel():
        return 1
    return min(torch.get_num_threads(), _limit())


@lru_cache(maxsize=1)
def _limit() -> int:
    """OMP_THREAD_LIMIT, which the runtime reads once."""
    library = _openmp()
    return 1 if library is None else int(library.omp_get_thread_limit())


_call = ctypes.CFUNCTYPE(None, ctypes.c_void_p)


@lru_cache(maxsize=256)
def _callable(address: int) -> Callable[[int], None]:
    return _call(address)


def parallel(address: int, table: int, threads: int) -> None:
    """Call compiled code once a thread, and wait until all are done."""
    global _used
    library = _openmp()
    if threads == 1 or library is None:
        _callable(address)(table)
        return
    # Every thread has rows of its own, so there must be as many as were asked for, however busy the processor is.
    dynamic = library.omp_get_dynamic()
    if dynamic:
        library.omp_set_dynamic(0)
    _used = True
    library.GOMP_parallel(address, table, threads, 0)
    if dynamic:
        library.omp_set_dynamic(dynamic)
