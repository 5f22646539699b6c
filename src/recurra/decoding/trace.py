"""Trace: what a search chose at each step, with back-pointers, read out once the hypotheses are known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

__all__ = ["Path", "Trace"]


@dataclass(frozen=True)
class _Step:
    """The C choices of a step, made among the R rows that were alive."""

    rows: Tensor  # (C,) which row each extends
    parents: Tensor  # (C,) which choice of the step before that row was
    tokens: Tensor  # (C,)
    log_probabilities: Tensor  # (C,)
    attention: Tensor | None  # (R, S)


class Path(NamedTuple):
    """What F hypotheses consist of; past the end of one stands 0.

    Attributes:
        tokens: (F, T).
        log_probabilities: (F, T), float64.
        attention: (F, T, S), or None where the model has none.
    """

    tokens: Tensor
    log_probabilities: Tensor
    attention: Tensor | None


class Trace:
    """Every choice of a search, a step after the other; nothing is copied when hypotheses are reordered."""

    def __init__(self) -> None:
        self._steps: list[_Step] = []
        self._alive: Tensor | None = None

    def __len__(self) -> int:
        return len(self._steps)

    def append(self, rows: Tensor, tokens: Tensor, log_probabilities: Tensor, attention: Tensor | None) -> None:
        """Adds the choices of a step.

        Args:
            rows: Which of the rows that were alive each choice extends, (C,).
            tokens: By which token, (C,).
            log_probabilities: How probable that token was, (C,).
            attention: The attention of the rows that were alive, (R, S).
        """
        parents = rows if self._alive is None else self._alive[rows]
        self._steps.append(_Step(rows, parents, tokens, log_probabilities.double(), attention))

    def keep(self, choices: Tensor) -> None:
        """Says which choices of the last step are alive, (R,): the rows of the next, in this order."""
        self._alive = choices

    def read(self, steps: Tensor, choices: Tensor) -> Path:
        """What hypotheses consist of, followed back from the last choice of each.

        Args:
            steps: At which step each was last extended, counted from 0, (F,).
            choices: By which choice of that step, (F,).
        """
        number = 1 + int(steps.max()) if len(steps) else 0
        pointers = choices.clone()
        tokens = pointers.new_zeros(len(pointers), number)
        log_probabilities = torch.zeros(len(pointers), number, dtype=torch.float64, device=pointers.device)
        attention: Tensor | None = None
        for time in reversed(range(number)):
            step = self._steps[time]
            reached = (steps >= time).nonzero()[:, 0]
            at = pointers[reached]
            tokens[reached, time] = step.tokens[at]
            log_probabilities[reached, time] = step.log_probabilities[at]
            if step.attention is not None:
                if attention is None:
                    attention = step.attention.new_zeros(len(pointers), number, step.attention.shape[1])
                attention[reached, time] = step.attention[step.rows[at]]
            pointers[reached] = step.parents[at]
        return Path(tokens, log_probabilities, attention)

    def tokens(self, rows: Tensor) -> Tensor:
        """The tokens (F, T) so far of some of the rows that are alive."""
        choices = rows if self._alive is None else self._alive[rows]
        columns = []
        for step in reversed(self._steps):
            columns.append(step.tokens[choices])
            choices = step.parents[choices]
        return torch.stack(columns[::-1], 1) if columns else choices.new_zeros(len(choices), 0)
