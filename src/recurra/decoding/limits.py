"""Limits: how long a written sequence may be, and which tokens may come next."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from recurra.checks import as_whole_number, is_number, whole_number
from recurra.decoding.prefix import Prefix
from recurra.errors import SettingError, ShapeError

__all__ = ["Limits", "TokenMask", "rule_out_repeated"]

LARGEST_LENGTH = 2**31 - 1
"""What fits the numbers that lengths are computed in, with room for a step more."""


@dataclass(frozen=True)
class Limits:
    """What a written sequence may look like; lengths are without the token that ends it.

    Args:
        min_length: The fewest tokens.
        max_length: The most; a sequence that gets there is ended.
        min_ratio: The fewest tokens for each position of the source; the larger minimum counts, rounded up.
        max_ratio: The most tokens for each position of the source, or None; the smaller maximum counts, rounded down.
            Where a minimum is above a maximum, the maximum counts; a prefix that is longer than it is written whole,
            to the last letter that is typed.
        unique_ngrams: No sequence of so many tokens comes twice (Paulus, Xiong and Socher, "A deep reinforced model
            for abstractive summarization", 2017); those that a prefix forces may. None to allow any.
        banned: The ids of tokens that are never written, such as that of <PAD>; a prefix may hold them.

    Raises:
        SettingError: A value is outside its range.

    Example:
        >>> Limits(max_length=100, max_ratio=1.5).longest(torch.tensor([4, 90])).tolist()
        [6, 100]
    """

    min_length: int = 0
    max_length: int = 200
    min_ratio: float = 0.0
    max_ratio: float | None = None
    unique_ngrams: int | None = None
    banned: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        whole_number("min_length", self.min_length, 0, LARGEST_LENGTH)
        whole_number("max_length", self.max_length, 0, LARGEST_LENGTH)
        if self.unique_ngrams is not None:
            whole_number("unique_ngrams", self.unique_ngrams, 1)
        for name, value in (("min_ratio", self.min_ratio), ("max_ratio", self.max_ratio)):
            if value is not None and (not is_number(value) or not 0 <= value < math.inf):
                raise SettingError(f"{name} is {value!r}; it must be 0 or a number above")
        if self.min_length > self.max_length:
            raise SettingError(f"min_length is {self.min_length}, above max_length, which is {self.max_length}")
        if self.max_ratio is not None and self.min_ratio > self.max_ratio:
            raise SettingError(f"min_ratio is {self.min_ratio}, above max_ratio, which is {self.max_ratio}")
        for token in self.banned:
            if (number := as_whole_number(token)) is None or number < 0:
                raise SettingError(f"the banned token {token!r} is no id; ids are whole numbers, 0 or more")

    def longest(self, source_lengths: Tensor) -> Tensor:
        """The most tokens for sources of some lengths, (N,)."""
        if self.max_ratio is None:
            return torch.full_like(source_lengths, self.max_length)
        return (source_lengths.double() * self.max_ratio).floor().clamp(max=self.max_length).to(source_lengths)

    def shortest(self, source_lengths: Tensor) -> Tensor:
        """The fewest tokens for sources of some lengths, (N,)."""
        fewest = (source_lengths.double() * self.min_ratio).ceil().clamp(self.min_length, self.max_length)
        return fewest.to(source_lengths).minimum(self.longest(source_lengths))


class TokenMask:
    """Rules out, at each step, the tokens that the limits and the prefixes do not allow.

    Args:
        limits: What a sequence may look like.
        source_lengths: How many positions of each source are real, (N,).
        end: The token that ends a sequence.
        prefixes: What the sequences of each source begin with, one a source; None for nothing.

    Attributes:
        longest: The most tokens that a sequence of each source may have, (N,).

    Raises:
        ShapeError: There is not one prefix a source.
        SettingError: A prefix holds the token that ends a sequence, or that token is banned.
    """

    def __init__(
        self, limits: Limits, source_lengths: Tensor, end: int, prefixes: Sequence[Prefix | None] | None = None
    ) -> None:
        number = len(source_lengths)
        if prefixes is not None and len(prefixes) != number:
            raise ShapeError(f"there are {len(prefixes)} prefixes for {number} sources; give one for each, or None")
        self._prefixes = [each or Prefix() for each in (prefixes or [None] * number)]
        for index, prefix in enumerate(self._prefixes):
            if end in prefix.tokens:
                raise SettingError(f"prefix {index} holds {end}, the token that ends a sequence; leave it out")
        if end in limits.banned:
            raise SettingError(f"the banned token {end} is the one that ends a sequence; no sequence would end")
        self._limits, self._end = limits, end
        device = source_lengths.device
        sizes = [len(prefix.tokens) for prefix in self._prefixes]
        self._sizes = torch.tensor(sizes, dtype=torch.int64, device=device)
        forced = [list(prefix.tokens) + [0] * (max(sizes) - len(prefix.tokens)) for prefix in self._prefixes]
        self._forced = torch.tensor(forced, dtype=torch.int64, device=device)
        self._longest_prefix = max(sizes, default=0)
        self._limit = limits.longest(source_lengths).maximum(self._sizes.to(source_lengths))
        most = torch.tensor([prefix.longest for prefix in self._prefixes], dtype=torch.int64, device=device)
        self.longest = self._limit.maximum(most.to(source_lengths))
        self._shortest = limits.shortest(source_lengths).to(device)
        self._banned = torch.tensor(limits.banned, dtype=torch.int64, device=device)
        self._unfinished = {index for index, prefix in enumerate(self._prefixes) if prefix.allowed is not None}
        self._size: int | None = None
        self._first_limit = int(self._limit.min()) if number else 0
        self._last_minimum = int(self._shortest.max()) if number else 0

    def apply(
        self, log_probabilities: Tensor, step: int, sources: Tensor, tokens: Callable[[Tensor], Tensor]
    ) -> Tensor:
        """Sets the log-probabilities of tokens that may not come next to minus infinity, in place.

        Args:
            log_probabilities: Of the next token, (R, V).
            step: How many tokens each row has so far.
            sources: Of which source each row is, (R,).
            tokens: Gives the tokens (F, step) that some rows have so far.

        Returns:
            Which rows are cut: they are at their longest, where only the end may come, and another token was more
            probable, (R,).

        Raises:
            SettingError: A token that is banned or forced is not one of the V.
            ShapeError: What may follow a prefix is not said of V tokens.
        """
        self._check(log_probabilities.shape[1])
        forced, tokens_forced, kept = self._forced_rows(log_probabilities, step, sources)
        allowed = self._allowed_rows(log_probabilities.shape[1], step, sources, tokens)
        # Where letters have still to be written, a sequence cannot end, and they may have come before.
        typing = torch.zeros(len(sources), dtype=torch.bool, device=sources.device)
        typing[[row for row, mask in allowed.items() if not mask[self._end]]] = True
        full = self._full_rows(step, sources, typing)
        kept_ends = log_probabilities[full, self._end]
        log_probabilities.index_fill_(1, self._banned, -torch.inf)
        if step < self._last_minimum:
            log_probabilities[(step < self._shortest[sources]).nonzero()[:, 0], self._end] = -torch.inf
        size = self._limits.unique_ngrams
        if size is not None and step >= size:
            rule_out_repeated(
                log_probabilities, tokens(torch.arange(len(sources), device=sources.device)), size, typing
            )
        for row, mask in allowed.items():
            log_probabilities[row].masked_fill_(~mask, -torch.inf)
        cut = torch.zeros(len(sources), dtype=torch.bool, device=sources.device)
        if len(full):
            cut[full] = kept_ends < log_probabilities[full].amax(1)
        for rows, chosen, values in ((forced, tokens_forced, kept), (full, self._end, kept_ends)):
            if len(rows):
                log_probabilities[rows] = -torch.inf
                log_probabilities[rows, chosen] = values
        return cut

    def _check(self, size: int) -> None:
        """Refuses ids that are none of the V tokens; they are known at the first step only."""
        if self._size == size:
            return
        self._size = size
        for tokens, called in ((self._banned, "the banned token {}"), (self._forced, "the token {} of a prefix")):
            if tokens.numel() and (largest := int(tokens.max())) >= size:
                raise SettingError(f"{called.format(largest)} is not one of the {size} (0 to {size - 1})")

    def _forced_rows(self, log_probabilities: Tensor, step: int, sources: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Which rows are inside their prefix, with which token next, and how probable it is."""
        if step >= self._longest_prefix:
            none = sources.new_zeros(0)
            return none, none, log_probabilities.new_zeros(0)
        rows = (step < self._sizes[sources]).nonzero()[:, 0]
        tokens = self._forced[sources[rows], step]
        return rows, tokens, log_probabilities[rows, tokens]

    def _full_rows(self, step: int, sources: Tensor, typing: Tensor) -> Tensor:
        """Which rows are as long as they may be."""
        if step < self._first_limit:
            return sources.new_zeros(0)
        return ((step >= self._limit[sources]) & ~typing).nonzero()[:, 0]

    def _allowed_rows(
        self, size: int, step: int, sources: Tensor, tokens: Callable[[Tensor], Tensor]
    ) -> dict[int, Tensor]:
        """What may come next in the rows whose prefix says it, (V,) each; a loop over the rows of such sources."""
        if not self._unfinished:
            return {}
        source_of = sources.tolist()
        rows = [
            row
            for row, source in enumerate(source_of)
            if source in self._unfinished and step >= len(self._prefixes[source].tokens)
        ]
        sequences = tokens(torch.tensor(rows, dtype=torch.int64, device=sources.device)).tolist() if rows else []
        masks: dict[int, Tensor] = {}
        for row, sequence in zip(rows, sequences, strict=True):
            prefix = self._prefixes[source_of[row]]
            mask = prefix.after(tuple(sequence[len(prefix.tokens) :]))
            if mask is None:
                continue
            if mask.shape != (size,) or mask.dtype != torch.bool:
                raise ShapeError(
                    f"what may follow prefix {source_of[row]} is {mask.dtype} {tuple(mask.shape)}; it must be "
                    f"booleans, one for each of the {size} tokens"
                )
            masks[row] = mask.to(sources.device)
        self._unfinished -= {source_of[row] for row in rows} - {source_of[row] for row in masks}
        return masks


def rule_out_repeated(log_probabilities: Tensor, tokens: Tensor, size: int, exempt: Tensor | None = None) -> None:
    """Sets the log-probabilities of tokens that would write an n-gram again to minus infinity, in place.

    Args:
        log_probabilities: Of the next token, (R, V).
        tokens: Those so far, (R, T).
        size: The n of the n-grams.
        exempt: Which rows may write one again, (R,); by default none.

    Example:
        >>> scores = torch.zeros(1, 4)
        >>> rule_out_repeated(scores, torch.tensor([[1, 2, 3, 1]]), 2)  # 1 2 has come
        >>> scores.tolist()
        [[0.0, 0.0, -inf, 0.0]]
    """
    ngrams = tokens.unfold(1, size, 1)
    beginning = tokens[:, tokens.shape[1] - size + 1 :]
    repeated = (ngrams[:, :, :-1] == beginning[:, None]).all(2)
    if exempt is not None:
        repeated &= ~exempt[:, None]
    rows, starts = repeated.nonzero(as_tuple=True)
    log_probabilities[rows, ngrams[rows, starts, -1]] = -torch.inf
