"""Beam search: the most probable sequences that a model writes for a source, many sources at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic, NamedTuple

import torch
from torch import Tensor

from recurra.checks import whole_number
from recurra.decoding.hypothesis import Ended, Hypothesis
from recurra.decoding.limits import Limits, TokenMask
from recurra.decoding.penalties import Penalties
from recurra.decoding.prefix import Prefix
from recurra.decoding.ranking import grouped, top_tokens
from recurra.decoding.scorer import Scorer, State, check_numbers, checked_step, covered_so_far
from recurra.decoding.trace import Trace

__all__ = ["beam_search"]

LARGEST_BEAM = 2**31 - 1
"""What fits the numbers that places in the beam are counted in."""


@torch.no_grad()
def beam_search(
    scorer: Scorer[State],
    *,
    beam_size: int = 5,
    n_best: int = 1,
    penalties: Penalties | None = None,
    limits: Limits | None = None,
    prefixes: Sequence[Prefix | None] | None = None,
) -> list[list[Hypothesis]]:
    """Searches for the best sequences of each source.

    At each step every hypothesis of a source is extended by every token, and the K most probable ones go on, by

        log p(y<1..t>) = log p(y<1..t-1>) + log p(y<t> | y<1..t-1>, source)

    One that is extended by the end leaves the beam, which has a place less from then on, and gets its score (see
    `Penalties`). So with K = 1 this is greedy search, and where K is not less than the number of sequences that are
    possible, it is exhaustive (Sutskever, Vinyals and Le, "Sequence to sequence learning with neural networks", 2014).

    The search of a source ends when no hypothesis is left, or when none that is left can end with a better score than
    the worst of the n best so far; `Penalties.bounds` says why that is certain. Of equally probable extensions, that
    of the more probable hypothesis comes first, then the lower id; of equal scores, the one that ended first. Nothing
    here is computed across sources, so they cannot matter to each other as long as `step` gives a row the same numbers
    beside other rows.

    Args:
        scorer: The model, over N sources.
        beam_size: K.
        n_best: How many hypotheses of a source are returned, at most K.
        penalties: How hypotheses are scored; by default the mean log-probability.
        limits: How long a sequence may be, and what may not stand in it.
        prefixes: What the sequences of each source begin with, one a source; None for nothing.

    Returns:
        For each source its hypotheses, the best first: fewer than asked for where fewer are possible.

    Raises:
        SettingError: A setting is outside its range, or a penalty needs attention that the model does not give.
        ShapeError: The scorer's shapes do not belong together, or there is not one prefix a source.
        RunError: A log-probability is not a number, as after training that diverged.
    """
    beam_size = whole_number("beam_size", beam_size, 1, LARGEST_BEAM)
    n_best = whole_number("n_best", n_best, 1, beam_size)
    limits = limits or Limits()
    mask = TokenMask(limits, scorer.source_lengths, scorer.end, prefixes)
    search = _Search(scorer, beam_size, n_best, penalties or Penalties(), mask)
    while len(search.beam.sources):
        search.advance()
    return search.ended.best(search.trace, n_best)


class _Beam(NamedTuple):
    """The R hypotheses that go on, those of a source side by side, the most probable first."""

    sources: Tensor  # (R,)
    tokens: Tensor  # (R,) the last of each
    totals: Tensor  # (R,) log-probabilities so far, float64
    attention: Tensor | None  # (R, S) so far, float64, where the penalty of coverage needs it


class _Search(Generic[State]):
    """A beam search under way."""

    def __init__(
        self, scorer: Scorer[State], beam_size: int, n_best: int, penalties: Penalties, mask: TokenMask
    ) -> None:
        lengths = scorer.source_lengths
        number, device = len(lengths), lengths.device
        self.scorer, self.beam_size, self.penalties, self.mask = scorer, beam_size, penalties, mask
        self.trace, self.ended = Trace(), Ended(penalties, lengths)
        self.state = scorer.start()
        self.beam = _Beam(
            torch.arange(number, device=device),
            torch.full((number,), scorer.begin, device=device),
            torch.zeros(number, dtype=torch.float64, device=device),
            None,
        )
        self._capacity = torch.full((number,), beam_size, device=device)
        self._best_scores = torch.full((number, n_best), -torch.inf, dtype=torch.float64, device=device)

    def advance(self) -> None:
        """One step: all hypotheses extended, the ended ones put aside, the finished sources dropped."""
        beam, step = self.beam, len(self.trace)
        log_probabilities, attention, state = checked_step(self.scorer, beam.tokens, self.state)
        cut = self.mask.apply(log_probabilities, step, beam.sources, self.trace.tokens)
        values, tokens = top_tokens(log_probabilities, self.beam_size)
        check_numbers(values[:, 0], step)
        rows, ranks = self._choose(beam.totals[:, None] + values.double())
        sources, chosen = beam.sources[rows], tokens[rows, ranks]
        totals = beam.totals[rows] + values[rows, ranks].double()
        covered = self._covered(rows, attention)
        self.trace.append(rows, chosen, values[rows, ranks], attention)

        ends = chosen == self.scorer.end
        ending = ends.nonzero()[:, 0]
        if len(ending):
            part = None if covered is None else covered[ending]
            scores = self.ended.add(step, ending, sources[ending], totals[ending], part, cut[rows[ending]])
            self._put_aside(sources[ending], scores)
        alive = (~ends & self._can_improve(sources, totals, ends)).nonzero()[:, 0]
        self.trace.keep(alive)
        self.beam = _Beam(sources[alive], chosen[alive], totals[alive], None if covered is None else covered[alive])
        self._select(rows[alive], beam.sources, state)

    def _choose(self, candidates: Tensor) -> tuple[Tensor, Tensor]:
        """The extensions that are taken, of all candidates (R, k): their rows and their ranks among those of the row.

        They are ranked within each source, whose rows are laid side by side: (N, K · k).
        """
        width, device = candidates.shape[1], candidates.device
        group, rank, first, largest = grouped(self.beam.sources)
        grid = candidates.new_full((len(first), largest, width), -torch.inf)
        grid[group, rank] = candidates
        ranked, places = grid.flatten(1).sort(dim=1, descending=True, stable=True)
        ranked, places = ranked[:, : self.beam_size], places[:, : self.beam_size]
        capacity = self._capacity[self.beam.sources[first]]
        taken = (ranked > -torch.inf) & (torch.arange(ranked.shape[1], device=device) < capacity[:, None])
        rows = first[:, None] + places.div(width, rounding_mode="floor")
        return rows[taken], (places % width)[taken]

    def _covered(self, rows: Tensor, attention: Tensor | None) -> Tensor | None:
        """The attention that the source of each extension was given so far, where the penalty of coverage needs it."""
        if not self.penalties.coverage:
            return None
        return covered_so_far(self.beam.attention, attention, rows)

    def _put_aside(self, sources: Tensor, scores: Tensor) -> None:
        """Takes the places of ended hypotheses out of the beams, and keeps the best scores of each source."""
        self._capacity.index_add_(0, sources, -torch.ones_like(sources))
        group, rank, first, largest = grouped(sources)
        grid = scores.new_full((len(first), largest), -torch.inf)
        grid[group, rank] = scores
        best, ending = self._best_scores, sources[first]
        best[ending] = torch.cat([best[ending], grid], 1).topk(best.shape[1], dim=1).values

    def _can_improve(self, sources: Tensor, totals: Tensor, ends: Tensor) -> Tensor:
        """Of which extensions the source has one that may still end better than the worst of its n best."""
        longest = self.mask.longest[sources] + 1
        hopes = self.penalties.bounds(totals, longest).masked_fill(ends, -torch.inf)
        highest = self._best_scores.new_full((len(self._capacity),), -torch.inf)
        highest.scatter_reduce_(0, sources, hopes, "amax")
        return (highest > self._best_scores[:, -1])[sources]

    def _select(self, rows: Tensor, sources: Tensor, state: State) -> None:
        """Reorders the state, unless it is in order."""
        if not len(rows) or (len(rows) == len(sources) and bool((rows.diff() == 1).all())):
            self.state = state
            return
        same = len(rows) == len(sources) and torch.equal(self.beam.sources, sources)
        self.state = self.scorer.select(state, rows, same)
