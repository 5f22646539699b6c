"""A call of a loop: its words and its memory, which are used again, and what each call writes into them.

What differs from call to call is the addresses of the caller's tensors and, where sequences are of different lengths,
which rows run at which step.
"""

from __future__ import annotations

import ctypes
import itertools
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from recurra.backends.cpu import spare, threads
from recurra.backends.cpu.prepare import Kernel, matrix_function
from recurra.backends.cpu.table import SHARED_WORDS
from recurra.backends.layout import Layout

__all__ = ["KEPT", "SMALL", "Arrangement", "Fix", "Lengths", "Memory", "launch", "shared_rows"]

KEPT = 1 << 18
"""Memory of no more numbers than this is kept for the next call of the same sizes; of more, for any, but that which has
packed weights that may serve again is for the same layer first."""

OWNERS = 8
"""For how many layers of one size memory is kept with their weights."""

SMALL = 50_000
"""A call of fewer nanoseconds than this is not worth waking another thread for."""


class Fix(NamedTuple):
    """A word that holds the address of an array, and how many bytes after its beginning."""

    word: int
    array: str
    bytes: int


@dataclass(frozen=True, slots=True)
class Lengths:
    """Where the words stand that say which rows run at which step.

    Args:
        batch: B.
        parts: How many threads have rows of their own.
        in_turn: Whether these take the rows in turn, so that each has short and long ones.
        places: Of how many steps there are, of how many tasks, and where sizes, offsets, shared and order begin.
        total: Words with how many steps count.
        numbers: Words with the address of what row of the caller's batch each packed row is; 0 if they are in order.
        tasks: How many tasks there are besides those that each have some of the packed rows, which are the last.
        ends: Of these in their order, the word with the end of their rows, the first of them and the end.
    """

    batch: int
    parts: int
    in_turn: bool
    places: Mapping[str, int]
    total: tuple[int, ...]
    numbers: tuple[int, ...]
    tasks: int
    ends: tuple[tuple[int, int, int], ...]

    @staticmethod
    def room(steps: int, batch: int, threads: int) -> dict[str, int]:
        """How many words each of the lists takes."""
        return {"sizes": steps, "offsets": steps + 1, "shared": SHARED_WORDS * threads, "order": batch}

    def write(self, words: ctypes.Array[ctypes.c_int64], layout: Layout) -> None:
        """Tell a call which rows run."""
        sizes, total = layout.sizes, layout.total
        offsets = [0, *itertools.accumulate(sizes)]
        order = range(self.batch) if layout.sorted_rows is None else layout.sorted_rows.tolist()
        shared = itertools.chain(*shared_rows(sizes, self.batch, self.parts, in_turn=self.in_turn))
        for name, values in (("sizes", sizes), ("offsets", offsets), ("shared", [*shared]), ("order", order)):
            place = self.places[name]
            words[place : place + len(values)] = [*values]
        numbers = 0 if layout.numbers is None else layout.numbers.data_ptr()
        for word in self.numbers:
            words[word] = numbers
        for word in self.total:
            words[word] = total
        used = self.tasks
        for word, first, end in self.ends:
            if first >= total:
                break
            words[word] = min(end, total)
            used += 1
        words[self.places["tasks.count"]] = used
        words[self.places["steps"]] = len(sizes)


@dataclass
class Memory:
    """The words of one call, and the numbers it works on."""

    words: ctypes.Array[ctypes.c_int64]
    address: int
    space: Tensor
    lines: Tensor
    owner: int
    """Where the first parameter is of those it was last used with."""
    addresses: list[int] = field(default_factory=list)
    """Where the caller's arrays are that its words tell of."""


@dataclass
class Arrangement:
    """How a loop is called at given sizes.

    Args:
        kernel: The loop.
        used: How many threads run it.
        words: The words at the beginning of a call, but for addresses.
        sync: Where the counters among them are that are used, from and to, in bytes.
        space: How many numbers the call works on.
        places: Where each array is among them.
        lines: How many places of rows it needs.
        own: The words that hold addresses within the call's own memory.
        given: Those that hold addresses of the caller's arrays.
        arrays: These arrays, in the order in which their addresses are told.
        lengths: Those that each call writes anew if its sequences are of different lengths; else None.
        kept: What the words refer to besides.
        cost: About how many nanoseconds it takes on one thread.
        free: Memory that no call is using.
    """

    kernel: Kernel
    used: int
    words: bytes
    sync: tuple[int, int]
    space: int
    places: dict[str, int]
    lines: int
    own: tuple[Fix, ...]
    given: tuple[Fix, ...]
    arrays: tuple[str, ...]
    lengths: Lengths | None
    kept: Tensor
    double: bool
    cost: float
    free: deque[Memory] = field(default_factory=lambda: deque(maxlen=1))

    def __post_init__(self) -> None:
        """The words that tell of each of the caller's arrays, and what memory is kept by."""
        of: dict[str, list[tuple[int, int]]] = {name: [] for name in self.arrays}
        for word, array, after in self.given:
            of[array].append((word, after))
        self._words_of = list(of.values())
        self._key = object()
        self._owners: deque[int] = deque()

    def memory(self, layout: Layout, owner: int = 0) -> Memory:
        """Memory for a call with these rows and steps: some that no other uses, or new.

        Args:
            layout: The rows and steps.
            owner: Where the first parameter is: layers of one size have each their own weights packed.
        """
        found = self._given_back()
        if self.kernel.which == "forward" and (found is None or found.owner != owner):
            self._put_away(found)
            found = self._packed(owner)
        if found is None:
            found = self._new(owner)
        else:
            found.owner = owner
            begin, end = self.sync
            if begin < end:
                ctypes.memset(found.address + begin, 0, end - begin)
        if self.lengths is not None:
            self.lengths.write(found.words, layout)
        return found

    def _given_back(self) -> Memory | None:
        """Memory that a call before worked in, if it is there and no other uses it."""
        try:
            return self.free.pop()
        except IndexError:
            return None

    def _packed(self, owner: int) -> Memory | None:
        """Memory with what the owner packed, or where there are many owners, that of the first."""
        found = spare.PACKED.take((self._key, owner))
        if found is None:
            if owner not in self._owners:
                self._owners.append(owner)
            if len(self._owners) > OWNERS:
                found = spare.PACKED.take((self._key, self._owners.popleft()))
        return found

    def _put_away(self, memory: Memory | None) -> None:
        """Keep memory for its owner."""
        if memory is not None:
            for old in spare.PACKED.put((self._key, memory.owner), memory, memory.space.nbytes):
                spare.give(old.space)

    def _new(self, owner: int) -> Memory:
        words = (ctypes.c_int64 * (len(self.words) // 8)).from_buffer_copy(self.words)
        dtype = torch.float64 if self.double else torch.float32
        space = spare.take(self.space, dtype)
        lines = torch.empty(self.lines, dtype=torch.int64, device="cpu")
        address = ctypes.addressof(words)
        begin = {"words": address, "lines": lines.data_ptr()}
        base, size = space.data_ptr(), space.element_size()
        for fix in self.own:
            where = begin[fix.array] if fix.array in begin else base + self.places[fix.array] * size
            words[fix.word] = where + fix.bytes
        return Memory(words, address, space, lines, owner)

    def address(self, memory: Memory, addresses: list[int]) -> None:
        """Tell the call where the caller's arrays are."""
        words, before = memory.words, memory.addresses or itertools.repeat(0)
        for address, old, places in zip(addresses, before, self._words_of, strict=False):
            if address != old:  # parameters seldom move, and memory that was let go of is often given again
                for word, after in places:
                    words[word] = address + after
        memory.addresses = addresses

    def give_back(self, memory: Memory) -> None:
        """Let another call use the memory."""
        if self.space <= KEPT:
            self.free.append(memory)
        elif self.kernel.which == "forward":
            self._put_away(memory)
        else:
            spare.give(memory.space)


def launch(calls: Sequence[tuple[Arrangement, Memory]]) -> None:
    """Run loops: one on its threads, several side by side if each takes one, or else one after the other."""
    several = len(calls) > 1 and calls[0][0].cost >= SMALL and all(arrangement.used == 1 for arrangement, _ in calls)
    if several and threads.available() >= len(calls):
        address = matrix_function("several", calls[0][0].double)
        words = [threads.thread_number()]
        for arrangement, memory in calls:
            words += [arrangement.kernel.address, memory.address]
        table = (ctypes.c_int64 * len(words))(*words)
        threads.parallel(address, ctypes.addressof(table), len(calls))
        return
    for arrangement, memory in calls:
        threads.parallel(arrangement.kernel.address, memory.address, arrangement.used)


def shared_rows(sizes: Sequence[int], batch: int, parts: int, *, in_turn: bool) -> list[tuple[int, int, int]]:
    """Rows shared out over threads so that each has about the same number of steps.

    Args:
        sizes: How many rows run at each step.
        batch: B.
        parts: How many threads there are.
        in_turn: Whether they take the rows in turn; else each takes some that follow one another.

    Returns:
        Of each its first row, the end of its rows, and how many rows others have before it.
    """
    if in_turn:
        return [(k, batch, k * (batch // parts) + min(k, batch % parts)) for k in range(parts)]
    if parts == 1 or min(sizes) == batch:
        ends = [batch * k // parts for k in range(parts + 1)]
    else:
        # How many steps each row has: those at which more rows than stand before it run.
        lengths = np.searchsorted(-np.asarray(sizes), -np.arange(batch), side="left")
        done = lengths.cumsum() * parts
        shares = np.arange(1, parts) * int(lengths.sum())
        ends = [0, *(np.searchsorted(done, shares, side="left") + 1).tolist(), batch]
    return [(first, end, first) for first, end in itertools.pairwise(ends)]
