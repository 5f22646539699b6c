"""When keys rest, so that none is held for too long and enough of them are left."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["HoldPlan"]

Bits = NDArray[np.bool_]
Frames = NDArray[np.int64]


class HoldPlan:
    """One way to go on that is always open, while a piece is written in which few keys may sound.

    No key sounds in more than L frames on end, and in each frame some number of keys has to sound. The plan says which
    keys rest in each frame to come; it holds for every piece whose keys have rested at least as late as those of the
    plan, so whoever draws chords of which that is true can go on to the end. Keys rest by the earliest deadline first.

    Args:
        may: Which keys may sound in each frame, (T, K).
        must: Which have to, (T, K).
        least: How many have to, (T,).
        hold: L.
        begin: The first frame that is planned.
        runs: For how many frames each key has sounded before it, (K,).
    """

    def __init__(self, may: Bits, must: Bits, least: Frames, hold: int, begin: int, runs: Frames) -> None:
        self._may, self._must, self._least, self._hold = may, must, least, hold
        steps, keys = may.shape
        # The next frame from each on in which a key rests by itself, and the last up to each in which it is free to.
        self._rests = np.full((steps + 1, keys), steps)
        for t in range(steps - 1, -1, -1):
            self._rests[t] = np.where(may[t], self._rests[t + 1], t)
        self._free = np.full((steps, keys), -1)
        for t in range(steps):
            self._free[t] = np.where(must[t], self._free[t - 1] if t else -1, t)
        # After each frame of the plan, the frame in which each key rested last.
        self._rested: list[Frames] = [np.full(keys, -1) for _ in range(steps)]
        self.possible = False
        self.possible = self._replan(begin, begin - 1 - runs)

    def resting(self, t: int, runs: Frames, may: Bits) -> Bits:
        """Which keys have to rest in a frame: as few as leave a plan, whichever of the others sound.

        Args:
            t: The frame.
            runs: For how many frames each key has sounded before it, (K,).
            may: Which keys may sound in it, each by itself, (K,).

        Returns:
            (K,).
        """
        rested = t - 1 - runs
        # Those that the plan has at rest, the most urgent first; if all of them rest, the plan goes on as it is.
        planned = np.flatnonzero((self._rested[t] == t) & may)
        planned = planned[np.argsort(self._deadlines(t, rested)[planned], kind="stable")]
        resting = np.zeros(len(may), np.bool_)
        for number in range(len(planned) + 1):
            resting[planned[:number]] = True
            after = np.where(may & ~resting, rested, t)
            if number == len(planned) or self._replan(t + 1, after):
                break
        return resting

    def _replan(self, begin: int, rested: Frames) -> bool:
        """Plan anew from a frame on; where that fails the old plan stays."""
        fresh: list[Frames] = []
        for t in range(begin, len(self._may)):
            if self.possible and t and (rested >= self._rested[t - 1]).all():
                break  # from here on the old plan will do
            could = self._may[t] & ~self._must[t]
            number = int(self._may[t].sum() - self._least[t])
            urgent = np.argsort(np.where(could, self._deadlines(t, rested), 1 << 40), kind="stable")
            resting = ~self._may[t]
            resting[urgent[: max(0, min(number, int(could.sum())))]] = True
            rested = np.where(resting, t, rested)
            if (t - rested > self._hold).any():
                return False
            fresh.append(rested)
        self._rested[begin : begin + len(fresh)] = fresh
        return True

    def _deadlines(self, t: int, rested: Frames) -> Frames:
        """The last frame in which each key can rest in time, from when it rested last; far where it does by itself."""
        last = rested + self._hold + 1
        keys = np.arange(len(last))
        ends = last >= len(self._may)
        by_itself = self._rests[t] <= last
        free = self._free[np.minimum(last, len(self._may) - 1), keys]
        return np.where(ends | by_itself, last + (1 << 20), free)
