"""Penalties: by what the probability of a hypothesis is corrected, so that short ones do not win for being short."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

from recurra.checks import is_number
from recurra.errors import SettingError

__all__ = ["LengthPenalty", "Penalties"]

LengthPenalty = Literal["none", "average", "gnmt"]

LEAST_COVERAGE = torch.finfo(torch.float32).tiny
"""What attention that has underflowed to 0 counts as, so that its logarithm is a number."""


@dataclass(frozen=True)
class Penalties:
    """How a hypothesis y of a source with S positions is scored.

        score(y) = log p(y) / lp(y) + cp(y)
        lp(y)    = 1, |y|^α or ((5 + |y|) / 6)^α
        cp(y)    = β Σ<i≤S> log min(Σ<t> attention<t,i>, 1)

    |y| counts the token that ends it. The second length penalty is the mean of the log-probabilities at α = 1; the
    third and the coverage penalty are those of Wu et al., "Google's neural machine translation system: Bridging the
    gap between human and machine translation", 2016, equation 14.

    Args:
        length: Which length penalty: none, average or gnmt.
        alpha: α, its strength; at 0 there is none.
        coverage: β, the strength of the coverage penalty; at 0 there is none.

    Raises:
        SettingError: A value is outside its range.

    Example:
        >>> Penalties("gnmt", alpha=1.0).divisors(torch.tensor([1, 7])).tolist()
        [1.0, 2.0]
        >>> Penalties("mean")
        Traceback (most recent call last):
        recurra.errors.SettingError: the length penalty 'mean' is unknown; known: none, average, gnmt
    """

    length: LengthPenalty = "average"
    alpha: float = 1.0
    coverage: float = 0.0

    def __post_init__(self) -> None:
        if self.length not in get_args(LengthPenalty):
            known = ", ".join(get_args(LengthPenalty))
            raise SettingError(f"the length penalty {self.length!r} is unknown; known: {known}")
        for name, value in (("alpha", self.alpha), ("coverage", self.coverage)):
            if not is_number(value) or not 0 <= value < math.inf:
                raise SettingError(f"{name} is {value!r}; it must be 0 (no penalty) or a number above")

    def divisors(self, lengths: Tensor) -> Tensor:
        """The length penalty lp of sequences of some lengths, the token that ends one counted, in float64."""
        wide = lengths.double()
        if self.length == "none":
            return torch.ones_like(wide)
        return (wide if self.length == "average" else (5 + wide) / 6) ** self.alpha

    def coverages(self, attention: Tensor, source_lengths: Tensor) -> Tensor:
        """The coverage penalty cp of hypotheses.

        Args:
            attention: The attention that each position of the source was given in all, (F, S).
            source_lengths: How many positions are real, (F,).

        Returns:
            Numbers (F,), 0 or less, float64.
        """
        real = torch.arange(attention.shape[1], device=attention.device) < source_lengths[:, None]
        logarithms = attention.double().clamp(LEAST_COVERAGE, 1).log()
        return self.coverage * logarithms.masked_fill(~real, 0).sum(1)

    def bounds(self, totals: Tensor, longest: Tensor) -> Tensor:
        """A score that no continuation of some unfinished hypotheses can exceed.

            log p(y) ≤ log p(y<1..t>) ≤ 0,  lp rises with the length,  cp(y) ≤ 0

        So the log-probability so far over the divisor of the longest sequence is a bound. It needs nothing of the
        coverage, which is 0 at best.

        Args:
            totals: The log-probabilities so far, (F,).
            longest: How long the hypotheses may become, the token that ends one counted, (F,).
        """
        return totals / self.divisors(longest)
