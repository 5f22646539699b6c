"""The experiment: a claim of the theory, how it is measured, what speaks for or against it, and its picture."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from recurra.lab.bench import Bench

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Experiment", "Finding", "Measured"]

Measured = dict[str, Any]
"""What was measured: numbers, texts, lists and dicts, as JSON has them; nothing in it depends on the clock."""

SizesT = TypeVar("SizesT")


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was found, beside what theory says of it.

    Args:
        what: What was looked at.
        found: What was measured, with its unit.
        theory: What the claim says, or a paper reports.
        holds: Whether the two agree; None for a figure that is shown for comparison and decides nothing.
    """

    what: str
    found: str
    theory: str
    holds: bool | None = None


@dataclass(frozen=True)
class Experiment(Generic[SizesT]):
    """One experiment of the laboratory.

    Measuring is the only part that takes time; judging and drawing are functions of what was measured, so that a
    result that was written can be judged and drawn again.

    Args:
        name: What it is called on the command line.
        claim: What it tests, in one sentence.
        source: The papers that the claim comes from.
        minutes: How long it usually takes, on one thread.
        full: The sizes it has.
        quick: Sizes of a few seconds, for a rehearsal that decides nothing.
        measure: Measures.
        judge: Says what was found, and whether it is what the claim says.
        draw: Draws it.
    """

    name: str
    claim: str
    source: str
    minutes: float
    full: SizesT
    quick: SizesT
    measure: Callable[[SizesT, Bench], Measured]
    judge: Callable[[Measured], list[Finding]]
    draw: Callable[[Measured, Figure], None]
