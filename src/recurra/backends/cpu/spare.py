"""Memory of calls that are over, for those to come.

The C library hands large memory back to the system sooner or later, and what the system gives anew costs a page fault
for every 4 KiB that is touched: up to half of the time of a short call. So memory is used again by the next. There are
two pools of it: of what calls work in, and of what they return, which comes back when nothing refers to it any more.
What holds packed weights that may serve again is kept for the same call on a shelf.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections import OrderedDict, deque
from collections.abc import Hashable
from typing import Any, Generic, TypeVar

import numpy as np
import torch
from torch import Tensor

__all__ = ["PACKED", "Pool", "Shelf", "give", "lend", "release", "take"]

LEAST = 1 << 18
"""Fewer numbers than this are not kept here: they are soon touched, and the C library mostly keeps them itself."""

SLACK = 64 << 20
"""So many bytes may be kept besides what was in use at one time, so that layers that take turns keep what they need."""

LENT = 256 << 20
"""The most bytes that are kept of what was returned: a caller may have collected much and let all of it go."""


class Pool:
    """Memory that is taken and given back, by any thread.

    Args:
        loose: How many times as large as needed memory may be.
        most: How many bytes are kept at most. Without it, there is never more here than was in use at one time, but
            for `SLACK`.

    Example:
        >>> pool = Pool(loose=2)
        >>> block = pool.take(3_000_000, torch.float32)
        >>> pool.give(block)
        >>> pool.take(2_000_000, torch.float32) is block
        True
    """

    def __init__(self, loose: float, most: int | None = None) -> None:
        self.loose, self.most = loose, most
        self.blocks: deque[Tensor] = deque()
        self._given: deque[Tensor] = deque()
        self._lock = threading.Lock()

    def take(self, numbers: int, dtype: torch.dtype) -> Tensor:
        """Memory for at least so many numbers, holding anything: some that was given back, or new."""
        if numbers >= LEAST:
            with self._lock:
                self._sort_in()
                fitting = [b for b in self.blocks if b.dtype == dtype and numbers <= len(b) <= self.loose * numbers]
                if fitting:
                    best = min(fitting, key=len)
                    self.blocks = deque(b for b in self.blocks if b is not best)
                    return best
                self._make_room(numbers * dtype.itemsize)
        if torch.is_inference_mode_enabled():
            with torch.inference_mode(False):  # it may be used again outside
                return torch.empty(numbers, dtype=dtype, device="cpu")
        return torch.empty(numbers, dtype=dtype, device="cpu")

    def give(self, block: Tensor) -> None:
        """Let another call use memory from `take`."""
        # No lock here: Python may let go of a tensor, and so come here, while this very thread holds it.
        if len(block) >= LEAST:
            self._given.append(block)

    def held(self) -> int:
        """How many bytes are kept."""
        with self._lock:
            self._sort_in()
            return self._bytes()

    def release(self) -> None:
        """Hand all memory that no call uses back to the system."""
        with self._lock:
            self._given.clear()
            self.blocks.clear()

    def forget_lock(self) -> None:
        """In a process that was forked while another thread held it: that thread is not here to open it."""
        self._lock = threading.Lock()

    def _bytes(self) -> int:
        return sum(block.nbytes for block in self.blocks)

    def _sort_in(self) -> None:
        while self._given:
            self.blocks.append(self._given.popleft())
        if self.most is not None:
            surplus = self._bytes() - self.most
            while surplus > 0:
                surplus -= self.blocks.popleft().nbytes

    def _make_room(self, missing: int) -> None:
        """New memory takes the place of old."""
        surplus = min(missing, self._bytes() + missing - SLACK)
        while self.blocks and surplus > 0:
            surplus -= self.blocks.popleft().nbytes


T = TypeVar("T")


class Shelf(Generic[T]):
    """Memory that is worth most to the very call that gave it back, because of what it holds.

    Args:
        most: How many bytes are kept at most; what was not asked for longest makes room.

    Example:
        >>> shelf = Shelf[str](most=100)
        >>> shelf.put(1, "one", 60), shelf.put(2, "two", 60)
        ([], ['one'])
        >>> shelf.take(1), shelf.take(2), shelf.take(2)
        (None, 'two', None)
    """

    def __init__(self, most: int) -> None:
        self.most, self.bytes = most, 0
        self._items: OrderedDict[Hashable, tuple[T, int]] = OrderedDict()
        self._lock = threading.Lock()

    def put(self, key: Hashable, item: T, size: int) -> list[T]:
        """Keep something of some bytes; what is kept no longer for it, perhaps itself."""
        with self._lock:
            gone = [self._items.pop(key)] if key in self._items else []
            self._items[key] = item, size
            self.bytes += size - sum(size for _, size in gone)
            while self.bytes > self.most:
                _, old = self._items.popitem(last=False)
                self.bytes -= old[1]
                gone.append(old)
            return [item for item, _ in gone]

    def take(self, key: Hashable) -> T | None:
        """What was kept under a key, which is kept no longer; None if there is nothing."""
        with self._lock:
            item, size = self._items.pop(key, (None, 0))
            self.bytes -= size
            return item

    def release(self) -> None:
        """Keep nothing."""
        with self._lock:
            self._items.clear()
            self.bytes = 0

    def forget_lock(self) -> None:
        """See `Pool.forget_lock`."""
        self._lock = threading.Lock()


_WORK = Pool(loose=2)
_RESULTS = Pool(loose=1.25, most=LENT)  # less may be wasted of what a caller keeps
PACKED: Shelf[Any] = Shelf(most=64 << 20)
"""What calls without gradients worked in, with the weights they packed there."""

_lent: dict[int, tuple[weakref.ref[np.ndarray], Tensor]] = {}

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_WORK.forget_lock)
    os.register_at_fork(after_in_child=_RESULTS.forget_lock)
    os.register_at_fork(after_in_child=PACKED.forget_lock)


def take(numbers: int, dtype: torch.dtype) -> Tensor:
    """Memory to work in for at least so many numbers, holding anything: some that was given back, or new."""
    return _WORK.take(numbers, dtype)


def give(block: Tensor) -> None:
    """Let another call use memory from `take`."""
    _WORK.give(block)


def lend(like: Tensor) -> Tensor:
    """A tensor for a caller, of the shape of another and holding anything.

    Large memory comes back when neither the tensor nor a view of it is left.

    Example:
        >>> first = lend(torch.zeros(()).expand(100, 4000))
        >>> place = first.data_ptr()
        >>> del first
        >>> lend(torch.zeros(()).expand(400, 1000)).data_ptr() == place
        True
    """
    numbers = like.numel()
    if numbers < LEAST:
        return torch.empty_like(like)
    block = _RESULTS.take(numbers, like.dtype)
    # The tensor's storage refers to the array for as long as it lives, and views share the storage.
    array = block.numpy()[:numbers].reshape(like.shape)
    reference = weakref.ref(array, _come_back)
    _lent[id(reference)] = reference, block
    return torch.from_numpy(array)


def _come_back(reference: weakref.ref[np.ndarray]) -> None:
    _, block = _lent.pop(id(reference))
    _RESULTS.give(block)


def release() -> None:
    """Hand all memory that no call uses back to the system."""
    _WORK.release()
    _RESULTS.release()
    PACKED.release()
