"""How the work of a call is shared out over threads, by an estimate of what a step takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from recurra.backends.cpu.target import Target

__all__ = ["FEW_ROWS", "Work", "share", "shares_each"]


class Rates(NamedTuple):
    """Roughly, how fast a thread is: multiply-adds of float32 and bytes of weights in a nanosecond, and nanoseconds."""

    adds: int
    of_parts: int
    """Multiply-adds from parts."""
    read: int
    far_read: int
    second_cache: int
    """How many bytes of weights are read at the first rate at each step; more are at the second."""
    meeting: int
    """How long threads wait for one another."""
    both: bool
    """Whether reading weights takes its time beside the multiply-adds, not while these are done."""

    def products(self, adds: float, weights: float, *, split: bool) -> float:
        """How long it takes to do so many multiply-adds with so many bytes of weights."""
        time = adds / (self.of_parts if split else self.adds)
        reading = weights / (self.far_read if weights > self.second_cache else self.read)
        return time + reading if self.both else max(time, reading)


RATES = Rates(50, 50, 80, 80, 1 << 40, 600, both=False)
"""200 to 350 ns to meet on a quiet Zen 4, on others more."""

MATRIX_UNIT_RATES = Rates(90, 150, 110, 25, 5 << 18, 1000, both=True)
"""Processors with a matrix unit have a large second cache and a third that is far away; of an Emerald Rapids."""

ELEMENTWISE = 0.8
"""Roughly, how many nanoseconds the rest of the work on a unit of a row takes."""

FEW_ROWS = 10
"""Of fewer rows products are sooner done on numbers than on their parts."""

SHARES, SHARES_OF_FEW = 4, (2, 2)
"""How many shares of the units there are for each thread, and how many of so few rows: long ones are read faster."""

SMALLEST = 64
"""Units are not shared out where there are fewer."""


@dataclass(frozen=True)
class Work:
    """What a step of a loop does.

    Args:
        target: The processor.
        parts: Whether products can be done on parts.
        hidden: H.
        size: How many bytes a number has.
        stages: How many stages there are.
        recurrent: How many weights of each unit the products in the loop read.
        inputs: The same before the loop.
        backward: Whether it is a gradient's, with products after the loop.
    """

    target: Target
    parts: bool
    hidden: int
    size: int
    stages: int
    recurrent: int
    inputs: int
    backward: bool

    @property
    def rates(self) -> Rates:
        """How fast a thread is."""
        return MATRIX_UNIT_RATES if self.target.matrix_unit else RATES

    def splits(self, rows: int) -> bool:
        """Whether the products in the loop are done on parts, where a thread has so many rows."""
        return self.parts and rows >= FEW_ROWS and bool(self.recurrent)

    def step(self, rows: int, shares: int = 1) -> float:
        """How many nanoseconds a thread takes for some rows, and one of so many shares of the units.

        Its products with the state take as long as their multiply-adds, or as it takes to read their weights; all other
        work goes by the row.
        """
        rates, units = self.rates, self.hidden / shares
        outside = rates.of_parts if self.parts else rates.adds
        other = self.inputs / outside + ELEMENTWISE
        if self.backward:
            other = 2 * other + self.recurrent / outside
        split, weights = self.splits(rows), self.recurrent * units * self.size
        products = rates.products(rows * self.recurrent * units, 1.5 * weights if split else weights, split=split)
        return products + rows * other * units


def share(work: Work, batch: int, most: int, *, by_units: bool) -> tuple[int, bool]:
    """How many threads take part in every step, and whether they share out units rather than rows.

    Args:
        work: What a step does.
        batch: B.
        most: How many threads there are.
        by_units: Whether units can be shared out.
    """
    units = work.step(batch, most) + work.rates.meeting * work.stages
    if by_units and work.hidden >= SMALLEST and units < 0.9 * work.step(-(-batch // most)):
        return most, True
    return min(most, batch), False


def shares_each(batch: int) -> int:
    """How many shares of the units there are for each thread."""
    most, of_few = SHARES_OF_FEW
    return of_few if batch <= most else SHARES
