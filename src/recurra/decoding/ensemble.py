"""Ensemble: several models as one scorer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from recurra.decoding.scorer import Scorer, checked_step
from recurra.errors import SettingError, ShapeError

__all__ = ["Ensemble"]


class Ensemble:
    """The mean of several models' probabilities, over the same sources and the same vocabulary.

        log p(y<t>) = log (1/M Σ<m> p<m>(y<t>)),    attention = 1/M Σ<m> attention<m>

    There is attention if each of the M models gives it.

    Args:
        scorers: The models, one or more.

    Raises:
        SettingError: There is none, or they begin or end a sequence with other tokens.
        ShapeError: They have other sources.
    """

    def __init__(self, scorers: Sequence[Scorer[Any]]) -> None:
        if not scorers:
            raise SettingError("an ensemble of no models scores nothing; give one or more")
        first = scorers[0]
        for index, scorer in enumerate(scorers):
            if (scorer.begin, scorer.end) != (first.begin, first.end):
                raise SettingError(
                    f"model {index} of the ensemble begins and ends a sequence with {scorer.begin} and {scorer.end}, "
                    f"the first with {first.begin} and {first.end}; all must have the same vocabulary"
                )
            if not torch.equal(scorer.source_lengths, first.source_lengths):
                raise ShapeError(f"the sources of model {index} of the ensemble have other lengths than the first's")
        self._scorers = list(scorers)
        self.begin, self.end, self.source_lengths = first.begin, first.end, first.source_lengths

    def start(self) -> list[Any]:
        """The states of the models."""
        return [scorer.start() for scorer in self._scorers]

    def step(self, tokens: Tensor, state: list[Any]) -> tuple[Tensor, Tensor | None, list[Any]]:
        """The models after one more token, as one.

        Raises:
            ShapeError: The models' vocabularies or sources are of different sizes.
        """
        answers = [checked_step(scorer, tokens, part) for scorer, part in zip(self._scorers, state, strict=True)]
        states = [after for _, _, after in answers]
        log_probabilities = _stack([each for each, _, _ in answers], "log-probabilities (R, V)")
        mean = log_probabilities.logsumexp(0) - math.log(len(answers))
        attention = [each for _, each, _ in answers if each is not None]
        if len(attention) < len(answers):
            return mean, None, states
        return mean, _stack(attention, "attention (R, S)").mean(0), states

    def select(self, state: list[Any], rows: Tensor, same_sources: bool) -> list[Any]:
        """The states of some rows."""
        pairs = zip(self._scorers, state, strict=True)
        return [scorer.select(part, rows, same_sources) for scorer, part in pairs]


def _stack(tensors: list[Tensor], what: str) -> Tensor:
    """The tensors of all models, (M, R, ...)."""
    for index, tensor in enumerate(tensors):
        if tensor.shape != tensors[0].shape:
            raise ShapeError(
                f"model {index} of the ensemble gives {what} of {tuple(tensor.shape)}, the first of "
                f"{tuple(tensors[0].shape)}; all must have the same vocabulary"
            )
    return torch.stack(tensors)
