"""Rollout: one sequence a row, written step by step with tokens that something else chooses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor

from recurra.decoding.hypothesis import Ended, Hypothesis
from recurra.decoding.penalties import Penalties
from recurra.decoding.scorer import Scorer, State, check_numbers, checked_step, covered_so_far
from recurra.decoding.trace import Trace

__all__ = ["Choose", "roll_out"]


class Choose(Protocol):
    """What chooses the next token of each row."""

    def __call__(
        self, log_probabilities: Tensor, step: int, sequences: Tensor, tokens: Callable[[Tensor], Tensor]
    ) -> tuple[Tensor, Tensor]:
        """The tokens of a step.

        Args:
            log_probabilities: Of the next token, (R, V); they may be written over, except those of what is chosen.
            step: How many tokens each row has so far.
            sequences: Which sequence each row is, (R,), in order.
            tokens: Gives the tokens (F, step) that some rows have so far.

        Returns:
            The tokens (R,), and which rows were ended at their longest, (R,).
        """
        ...


@torch.no_grad()
def roll_out(scorer: Scorer[State], choose: Choose, penalties: Penalties, samples: int = 1) -> list[Hypothesis]:
    """Writes sequences until each has chosen the end; one that has leaves the batch.

    Args:
        scorer: The model, over N sources.
        choose: What chooses the tokens.
        penalties: How the sequences are scored.
        samples: How many sequences are written for each source, N · samples in all.

    Returns:
        The sequences, those of a source side by side.

    Raises:
        SettingError: A penalty needs attention that the model does not give.
        ShapeError: The scorer's shapes do not belong together.
        RunError: A log-probability is not a number, as after training that diverged.
    """
    lengths = scorer.source_lengths.repeat_interleave(samples)
    trace, ended = Trace(), Ended(penalties, lengths)
    sequences = torch.arange(len(lengths), device=lengths.device)
    tokens = torch.full_like(sequences, scorer.begin)
    totals = torch.zeros(len(sequences), dtype=torch.float64, device=lengths.device)
    covered = None
    state = scorer.start()
    if samples > 1:
        state = scorer.select(state, sequences // samples, False)
    while len(sequences):
        step = len(trace)
        log_probabilities, attention, state = checked_step(scorer, tokens, state)
        tokens, cut = choose(log_probabilities, step, sequences, trace.tokens)
        rows = torch.arange(len(sequences), device=lengths.device)
        chosen = log_probabilities[rows, tokens]
        check_numbers(chosen, step)
        totals = totals + chosen.double()
        if penalties.coverage:
            covered = covered_so_far(covered, attention, rows)
        trace.append(rows, tokens, chosen, attention)
        last, on = (tokens == scorer.end).nonzero()[:, 0], (tokens != scorer.end).nonzero()[:, 0]
        trace.keep(on)
        if not len(last):
            continue
        part = None if covered is None else covered[last]
        ended.add(step, last, sequences[last], totals[last], part, cut[last])
        sequences, tokens, totals = sequences[on], tokens[on], totals[on]
        covered = None if covered is None else covered[on]
        if len(on):
            state = scorer.select(state, on, False)
    return [hypothesis for (hypothesis,) in ended.best(trace, 1)]
