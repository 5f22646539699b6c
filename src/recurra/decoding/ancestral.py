"""Ancestral sampling: sequences drawn from a model that is given a source, many sources at a time."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from recurra.checks import LARGEST_SEED, whole_number
from recurra.decoding.drawing import Drawer, SamplingSettings
from recurra.decoding.hypothesis import Hypothesis
from recurra.decoding.limits import Limits, TokenMask
from recurra.decoding.penalties import Penalties
from recurra.decoding.prefix import Prefix
from recurra.decoding.rollout import roll_out
from recurra.decoding.sampling import as_array
from recurra.decoding.scorer import Scorer, State
from recurra.errors import SettingError, ShapeError

__all__ = ["draw_hypotheses", "source_seed"]


def source_seed(seed: int, key: int | str) -> int:
    """A seed for one source of many, which depends on nothing but these two.

    Args:
        seed: That of all.
        key: What tells the source from others, such as the number of its line.

    Raises:
        SettingError: The seed is out of range.

    Example:
        >>> source_seed(1, 7) == source_seed(1, 7), source_seed(1, 7) == source_seed(1, 8)
        (True, False)
    """
    return _hashed(f"{whole_number('seed', seed, 0, LARGEST_SEED)} {key}")


def draw_hypotheses(
    scorer: Scorer[State],
    seeds: Sequence[int],
    *,
    samples: int = 1,
    settings: SamplingSettings | None = None,
    penalties: Penalties | None = None,
    limits: Limits | None = None,
    prefixes: Sequence[Prefix | None] | None = None,
) -> list[list[Hypothesis]]:
    """Draws sequences for each source, each token from the model's distribution, given those before.

        y<t> ~ softmax(filter(log p(· | y<1..t-1>, source)))

    What limits and prefixes rule out is left out of the distribution.

    Args:
        scorer: The model, over N sources.
        seeds: A seed for each source, (N,), as `source_seed` gives; of one source's samples the first ones are the
            same however many are drawn, and beside other sources, as long as `step` gives a row the same numbers.
        samples: How many sequences are drawn of each.
        settings: How a token is drawn; by default from the model's distribution.
        penalties: How what is drawn is scored.
        limits: How long a sequence may be, and what may not stand in it.
        prefixes: What the sequences of each source begin with, one a source; None for nothing.

    Returns:
        For each source its sequences in the order in which they were drawn. Their log-probabilities are the model's,
        before anything was left out.

    Raises:
        SettingError: A setting is outside its range, or no token is left to draw.
        ShapeError: There is not one seed or prefix a source, or the scorer's shapes do not belong together.
        RunError: A log-probability is not a number, as after training that diverged.
    """
    samples = whole_number("samples", samples, 1)
    lengths = scorer.source_lengths
    if len(seeds) != len(lengths):
        raise ShapeError(f"there are {len(seeds)} seeds for {len(lengths)} sources; give one for each")
    mask = TokenMask(limits or Limits(), lengths, scorer.end, prefixes)
    row_seeds = [_hashed(f"{seed}, sample {sample}") for seed in seeds for sample in range(samples)]
    draw = Drawer(len(row_seeds), settings, seeds=row_seeds)
    drawn_last = torch.arange(len(row_seeds), device=lengths.device)

    def choose(
        log_probabilities: Tensor, step: int, sequences: Tensor, tokens: Callable[[Tensor], Tensor]
    ) -> tuple[Tensor, Tensor]:
        nonlocal drawn_last
        if len(sequences) < len(drawn_last):
            draw.keep(torch.searchsorted(drawn_last, sequences).tolist())
            drawn_last = sequences
        cut = mask.apply(log_probabilities, step, sequences // samples, tokens)
        if bool((log_probabilities == -torch.inf).all(1).any()):
            raise SettingError(
                f"no token is left to draw after {step}: the limits leave none out of {log_probabilities.shape[1]}; "
                "ask for fewer tokens, or allow n-grams to come twice"
            )
        drawn = draw(as_array(log_probabilities, len(sequences)))
        return torch.tensor(drawn, device=lengths.device), cut

    sequences = roll_out(scorer, choose, penalties or Penalties(), samples)
    return [sequences[first : first + samples] for first in range(0, len(sequences), samples)]


def _hashed(text: str) -> int:
    """A number of 56 bits that a text alone decides, the same in every process."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=7).digest(), "big")
