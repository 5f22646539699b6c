"""The interval of a figure: how far it would move on another sample of examples."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from recurra.errors import SettingError
from recurra.metrics.metric import Tally

__all__ = ["Bootstrap", "Interval"]


@dataclass(frozen=True)
class Interval:
    """A 95% bootstrap interval.

    Args:
        low: Its lower end.
        high: Its upper end.
    """

    low: float
    high: float


class Bootstrap:
    """Draws the interval of a figure while its tallies come in, in memory that does not grow with the examples.

    The Poisson bootstrap: in each replicate an example counts Poisson(1) times, which for many examples is the same as
    drawing them anew with replacement (Hanley and MacGibbon, "Creating non-parametric bootstrap samples using Poisson
    frequencies", 2006). How often depends on the example's group alone, so that the replicates of parts that were
    measured apart add up to those of the whole, and what belongs together (the sentences of a document, the utterances
    of a speaker) is drawn together.

    Args:
        replicates: How many there are.
        seed: What the counts are drawn from.

    Raises:
        SettingError: There are fewer than 20 replicates, too few for the ends of an interval.

    Example:
        >>> bootstrap = Bootstrap()
        >>> for index in range(400):
        ...     bootstrap.add(index, {"right": index % 4 > 0, "all": 1})
        >>> interval = bootstrap.interval(lambda tally: tally["right"] / tally["all"])
        >>> round(interval.low, 2), round(interval.high, 2)
        (0.7, 0.79)
    """

    def __init__(self, replicates: int = 1000, seed: int = 0) -> None:
        if replicates < 20:
            raise SettingError(f"replicates is {replicates}; an interval takes 20 or more")
        self.replicates, self.seed = replicates, seed
        self._totals: dict[Hashable, npt.NDArray[np.float64]] = {}

    def add(self, group: Hashable, tally: Tally) -> None:
        """Count an example.

        Args:
            group: What the example is drawn with: its index, or the document or speaker it is of. Text or numbers.
            tally: What it counts.
        """
        digest = hashlib.blake2b(repr((self.seed, group)).encode("utf-8", "surrogatepass"), digest_size=16).digest()
        times = np.random.default_rng(int.from_bytes(digest)).poisson(1.0, self.replicates)
        for key, count in tally.items():
            if key not in self._totals:
                self._totals[key] = np.zeros(self.replicates)
            self._totals[key] += count * times

    def merge(self, other: Bootstrap) -> None:
        """Add what another one counted, of other examples.

        Raises:
            SettingError: It has other replicates or another seed.
        """
        if (other.replicates, other.seed) != (self.replicates, self.seed):
            raise SettingError("only bootstraps of the same replicates and seed add up")
        for key, total in other._totals.items():
            self._totals[key] = self._totals.get(key, 0) + total

    def state(self) -> list[tuple[Hashable, list[float]]]:
        """What was counted, as JSON can hold it."""
        return [(key, totals.tolist()) for key, totals in self._totals.items()]

    def add_state(self, state: Iterable[tuple[Hashable, Sequence[float]]]) -> None:
        """Add what another one counted, of other examples, as its `state` told."""
        for key, totals in state:
            self._totals[key] = self._totals.get(key, 0) + np.asarray(totals)

    def interval(self, value: Callable[[Tally], float]) -> Interval:
        """The interval of a figure: the middle 95% of its replicates.

        Left out are those in which nothing was drawn, or the figure is not a number.

        Args:
            value: The metric's own.
        """
        figures = []
        for replicate in range(self.replicates):
            tally: Counter[Hashable] = Counter()
            for key, totals in self._totals.items():
                tally[key] = totals[replicate]
            if any(tally.values()):  # of few groups, none may have been drawn
                figures.append(value(tally))
        finite = [figure for figure in figures if figure == figure]
        if not finite:
            return Interval(float("nan"), float("nan"))
        low, high = np.percentile(finite, [2.5, 97.5])
        return Interval(float(low), float(high))
