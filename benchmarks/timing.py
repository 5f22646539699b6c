"""Times side by side: every contender by turns, the median of each."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import torch

Pass = Callable[[], object]
LEAST_RUNS = 3
SHORT, TURN = 0.05, 0.01
NAP, NAPS = 0.005, 40


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


def alternate(
    passes: Mapping[str, Pass], effort: Effort, clock: Callable[[], float] = time.perf_counter
) -> dict[str, Timing]:
    """The median time of each pass, run by turns: one run of every contender, then again.

    A slow one sits out some of the turns, evenly. A contender begins when no thread of the one before still spins, and
    runs a short pass untimed first, so that it finds its own data in the caches. Of a pass that is over in less than
    `TURN` a turn is the median of as many as fit into that: one alone, after a rest, would be the time of waking up.

    Args:
        passes: What is timed.
        effort: How long.
        clock: Which seconds count. Those of the processor (`time.process_time`), of contenders with one thread, leave
            out how long other programs held it.
    """
    estimates = {name: _estimate(run, clock) for name, run in passes.items()}
    wanted = {name: effort.runs(seconds) for name, seconds in estimates.items()}
    turns = max(wanted.values(), default=0)
    times: dict[str, list[float]] = {name: [] for name in passes}
    with _without_collection():
        for turn in range(turns):
            for name, run in passes.items():
                if (turn + 1) * wanted[name] // turns == turn * wanted[name] // turns:
                    continue
                wait_for_rest()
                if estimates[name] < SHORT:
                    run()
                times[name].append(_turn(run, clock))
    return {name: Timing(statistics.median(taken), len(taken)) for name, taken in times.items()}


def clock() -> Callable[[], float]:
    """What time is told by: with one thread that of the processor, else that of the wall."""
    return time.process_time if torch.get_num_threads() == 1 else time.perf_counter


def wait_for_rest() -> None:
    """Sleep until this process does nothing, or 0.2 s.

    Threads that wait for the next piece of work spin before they sleep, for about 10 ms those of OpenMP; on as many
    cores as threads, the next contender would have to share one with them.
    """
    for _ in range(NAPS):
        before = time.process_time()
        time.sleep(NAP)
        if time.process_time() - before < NAP / 10:
            return


def _turn(run: Pass, clock: Callable[[], float]) -> float:
    """The median of the runs that fit into a turn, at least one."""
    taken = [_seconds(run, clock)]
    while sum(taken) < TURN:
        taken.append(_seconds(run, clock))
    return statistics.median(taken)


def _estimate(run: Pass, clock: Callable[[], float]) -> float:
    """A second run's time: the first compiles, allocates and starts threads."""
    run()
    return _seconds(run, clock)


def _seconds(run: Pass, clock: Callable[[], float]) -> float:
    begun = clock()
    run()
    return clock() - begun


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
