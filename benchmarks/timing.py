"""Times side by side: every contender by turns, the median of each."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

Pass = Callable[[], object]
LEAST_RUNS = 3
PAUSE = 0.005
SHORT = 0.05


@dataclass(frozen=True)
class Effort:
    """How long one contender may take at one point, in seconds, and how many runs are enough."""

    budget: float
    repeats: int

    def runs(self, estimated: float) -> int:
        """How often to run a pass of an estimated time."""
        return max(LEAST_RUNS, min(self.repeats, int(self.budget / estimated)))


@dataclass(frozen=True)
class Timing:
    """The median of some runs, in seconds."""

    seconds: float
    runs: int


def alternate(passes: Mapping[str, Pass], effort: Effort) -> dict[str, Timing]:
    """The median time of each pass, run by turns: one run of every contender, then again.

    A slow one sits out some of the turns, evenly. Between two contenders there is a pause in which the waiting threads
    of the one before go to sleep, and a short pass is run once untimed, so that each finds its own data in the caches.
    """
    estimates = {name: _estimate(run) for name, run in passes.items()}
    wanted = {name: effort.runs(seconds) for name, seconds in estimates.items()}
    turns = max(wanted.values(), default=0)
    times: dict[str, list[float]] = {name: [] for name in passes}
    with _without_collection():
        for turn in range(turns):
            for name, run in passes.items():
                if (turn + 1) * wanted[name] // turns == turn * wanted[name] // turns:
                    continue
                time.sleep(PAUSE)
                if estimates[name] < SHORT:
                    run()
                times[name].append(_seconds(run))
    return {name: Timing(statistics.median(taken), len(taken)) for name, taken in times.items()}


def _estimate(run: Pass) -> float:
    """A second run's time: the first compiles, allocates and starts threads."""
    run()
    return _seconds(run)


def _seconds(run: Pass) -> float:
    begun = time.perf_counter()
    run()
    return time.perf_counter() - begun


@contextmanager
def _without_collection() -> Iterator[None]:
    """Python's collector runs before and not within what is timed."""
    gc.collect()
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
