"""Hypothesis: a sequence that a search ended, its score, and what the score is made of."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from recurra.decoding.penalties import Penalties
from recurra.decoding.ranking import grouped
from recurra.decoding.trace import Trace

__all__ = ["Ended", "Hypothesis"]


@dataclass(frozen=True, eq=False)
class Hypothesis:
    """A sequence that was written for a source.

        score = log_probability / length_penalty + coverage_penalty

    Attributes:
        tokens: The sequence, without the token that ends it.
        score: What hypotheses are ranked by.
        log_probability: The natural logarithm of the probability of the sequence with the token that ends it.
        length_penalty: What it is divided by.
        coverage_penalty: What is added, 0 or less.
        log_probabilities: Of each token, that of the one that ends it last; log_probability is their sum.
        attention: Where each of these tokens was read from, (T + 1, S); None where the model has no attention.
        cut: Whether it was ended at its longest, where another token was more probable than the end.
    """

    tokens: tuple[int, ...]
    score: float
    log_probability: float
    length_penalty: float
    coverage_penalty: float
    log_probabilities: tuple[float, ...]
    attention: Tensor | None = None
    cut: bool = False


@dataclass(frozen=True)
class _Endings:
    """The F hypotheses that ended at one step."""

    choices: Tensor
    sources: Tensor
    totals: Tensor
    coverages: Tensor
    scores: Tensor
    cut: Tensor


class Ended:
    """Gathers what ended, step by step, and reads the best of each source out.

    Args:
        penalties: How hypotheses are scored.
        source_lengths: How many positions of each source are real, (N,).
    """

    def __init__(self, penalties: Penalties, source_lengths: Tensor) -> None:
        self._penalties, self._source_lengths = penalties, source_lengths
        self._steps: list[int] = []
        self._endings: list[_Endings] = []

    def add(
        self, step: int, choices: Tensor, sources: Tensor, totals: Tensor, attention: Tensor | None, cut: Tensor
    ) -> Tensor:
        """Adds what ended at a step.

        Args:
            step: The number of the step, from 0.
            choices: Which of its choices these are, (F,).
            sources: Of which source each is, (F,).
            totals: The log-probabilities, (F,).
            attention: The attention in all, (F, S), where the penalty of coverage needs it.
            cut: Which were ended at their longest, (F,).

        Returns:
            The scores, (F,).
        """
        lengths = torch.full_like(choices, step + 1)
        coverages = torch.zeros_like(totals)
        if attention is not None:
            coverages = self._penalties.coverages(attention, self._source_lengths[sources])
        scores = totals / self._penalties.divisors(lengths) + coverages
        self._steps.append(step)
        self._endings.append(_Endings(choices, sources, totals, coverages, scores, cut))
        return scores

    def best(self, trace: Trace, number: int) -> list[list[Hypothesis]]:
        """The best hypotheses of each source, the best first; of equals the one that ended first.

        Args:
            trace: The choices of all steps.
            number: How many of a source at most.
        """
        hypotheses: list[list[Hypothesis]] = [[] for _ in range(len(self._source_lengths))]
        if not self._endings:
            return hypotheses
        sizes = torch.tensor([len(endings.choices) for endings in self._endings])
        steps = torch.tensor(self._steps).repeat_interleave(sizes).to(self._source_lengths.device)
        columns = [
            torch.cat([getattr(endings, name) for endings in self._endings])
            for name in ("choices", "sources", "totals", "coverages", "scores", "cut")
        ]
        order = columns[4].sort(descending=True, stable=True).indices
        order = order[columns[1][order].sort(stable=True).indices]
        order = order[grouped(columns[1][order]).rank < number]
        steps = steps[order]
        choices, sources, totals, coverages, scores, cut = (column[order] for column in columns)
        path = trace.read(steps, choices)
        divisors = self._penalties.divisors(steps + 1)
        values = zip(
            *(column.tolist() for column in (steps, sources, totals, coverages, scores, cut, divisors)), strict=True
        )
        tokens, log_probabilities = path.tokens.tolist(), path.log_probabilities.tolist()
        lengths = self._source_lengths.tolist()
        for row, (step, source, total, coverage, score, is_cut, divisor) in enumerate(values):
            attention = None if path.attention is None else path.attention[row, : step + 1, : lengths[source]].clone()
            hypothesis = Hypothesis(
                tokens=tuple(tokens[row][:step]),
                score=score,
                log_probability=total,
                length_penalty=divisor,
                coverage_penalty=coverage,
                log_probabilities=tuple(log_probabilities[row][: step + 1]),
                attention=attention,
                cut=is_cut,
            )
            hypotheses[source].append(hypothesis)
        return hypotheses
