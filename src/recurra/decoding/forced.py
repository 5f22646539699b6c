"""Forced decoding: how a model scores sequences that are given."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from recurra.checks import as_whole_number
from recurra.decoding.hypothesis import Hypothesis
from recurra.decoding.penalties import Penalties
from recurra.decoding.rollout import roll_out
from recurra.decoding.scorer import Scorer, State
from recurra.errors import SettingError, ShapeError

__all__ = ["score_targets"]


def score_targets(
    scorer: Scorer[State], targets: Sequence[Sequence[int]], *, penalties: Penalties | None = None
) -> list[Hypothesis]:
    """Scores a given sequence for each source: what a search reports of a hypothesis, it is scored here.

    Args:
        scorer: The model, over N sources.
        targets: A sequence of ids for each source, without the token that ends one.
        penalties: How sequences are scored; by default by the mean log-probability.

    Returns:
        The sequences as hypotheses, in order.

    Raises:
        SettingError: A token is not one of the V, or it is the one that ends a sequence, or a penalty needs attention
            that the model does not give.
        ShapeError: There is not one sequence a source, or the scorer's shapes do not belong together.
        RunError: A log-probability is not a number, as after training that diverged.
    """
    lengths = scorer.source_lengths
    if len(targets) != len(lengths):
        raise ShapeError(f"there are {len(targets)} targets for {len(lengths)} sources; give one for each")
    for index, target in enumerate(targets):
        for token in target:
            if (number := as_whole_number(token)) is None or number < 0:
                raise SettingError(f"the token {token!r} of target {index} is no id; ids are whole numbers, 0 or more")
        if scorer.end in target:
            raise SettingError(f"target {index} holds {scorer.end}, the token that ends a sequence; leave it out")
    longest = max(map(len, targets), default=0)
    rows = [[*target, *[scorer.end] * (longest + 1 - len(target))] for target in targets]
    padded = torch.tensor(rows, dtype=torch.int64, device=lengths.device)

    def choose(
        log_probabilities: Tensor, step: int, sequences: Tensor, tokens: Callable[[Tensor], Tensor]
    ) -> tuple[Tensor, Tensor]:
        chosen, size = padded[sequences, step], log_probabilities.shape[1]
        if int(chosen.max()) >= size:
            index = int(sequences[chosen.argmax()])
            raise SettingError(
                f"the token {int(chosen.max())} of target {index} is not one of the {size} (0 to {size - 1})"
            )
        return chosen, torch.zeros_like(chosen, dtype=torch.bool)

    return roll_out(scorer, choose, penalties or Penalties())
