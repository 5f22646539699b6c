"""Scorer: what a search asks of a model that writes a sequence a token at a time, given a source."""

from __future__ import annotations

from typing import Protocol, TypeVar

import torch
from torch import Tensor

from recurra.errors import RunError, SettingError, ShapeError

__all__ = ["Scorer", "State", "check_numbers", "checked_step", "covered_so_far"]

State = TypeVar("State")


class Scorer(Protocol[State]):
    """A model over a batch of N sources, as search, sampling and forced decoding see it.

    The state is the scorer's own affair; what decodes only hands it back. A state has a row for each hypothesis, and
    the rows of one source stand side by side.
    """

    @property
    def begin(self) -> int:
        """The token that the first step reads, <BOS>."""
        ...

    @property
    def end(self) -> int:
        """The token that ends a sequence, <EOS>."""
        ...

    @property
    def source_lengths(self) -> Tensor:
        """How many positions of each source are real, (N,); where they lie is where the search computes."""
        ...

    def start(self) -> State:
        """The state before the first step, one row a source, in order."""
        ...

    def step(self, tokens: Tensor, state: State) -> tuple[Tensor, Tensor | None, State]:
        """The model after one more token.

        Args:
            tokens: The last token of each row, (R,).
            state: The state, of R rows.

        Returns:
            The log-probabilities of the next token (R, V), natural logarithms, which may be written over; the weights
            of attention (R, S) with which they were computed, 0 or more, or None; the state after it.
        """
        ...

    def select(self, state: State, rows: Tensor, same_sources: bool) -> State:
        """The state of some rows, in another order or more than once.

        Args:
            state: The state.
            rows: Which rows, (R,).
            same_sources: Whether each place keeps its source, so that what depends on the source alone may stay.
        """
        ...


def checked_step(scorer: Scorer[State], tokens: Tensor, state: State) -> tuple[Tensor, Tensor | None, State]:
    """A step of a scorer, with the shapes of its answer checked.

    Raises:
        ShapeError: A row is missing, or there is no token to choose.
    """
    log_probabilities, attention, state = scorer.step(tokens, state)
    rows = len(tokens)
    if log_probabilities.ndim != 2 or len(log_probabilities) != rows or scorer.end >= log_probabilities.shape[1]:
        raise ShapeError(
            f"a step gives log-probabilities (R, V) with R = {rows} and V above {scorer.end}, the token that ends a "
            f"sequence; these are {tuple(log_probabilities.shape)}"
        )
    if attention is not None and (attention.ndim != 2 or len(attention) != rows):
        raise ShapeError(f"a step gives attention (R, S) with R = {rows}; this is {tuple(attention.shape)}")
    return log_probabilities, attention, state


def covered_so_far(before: Tensor | None, attention: Tensor | None, rows: Tensor) -> Tensor:
    """The sum of attention over the steps so far, (C, S) in float64, of choices that extend some rows.

    Args:
        before: The sum up to the step before, (R, S); None at the first.
        attention: What the step gives, (R, S).
        rows: Which rows are extended, (C,).

    Raises:
        SettingError: The model gives no attention.
    """
    if attention is None:
        raise SettingError("the penalty of coverage needs attention, and this model has none; set it to 0")
    wide = attention.double()
    return (wide if before is None else before + wide)[rows]


def check_numbers(log_probabilities: Tensor, step: int) -> None:
    """Refuses a step whose log-probabilities, the highest of each row, are not numbers.

    Args:
        log_probabilities: The highest of each row, (R,).
        step: The number of the step, from 0; people are told it from 1.

    Raises:
        RunError: One is NaN or infinite.
    """
    if bool((log_probabilities.isnan() | (log_probabilities == torch.inf)).any()):
        raise RunError(
            f"the model's log-probabilities at step {step + 1} are not numbers, as after training that diverged; "
            "train again with a lower learning rate or gradients clipped"
        )
