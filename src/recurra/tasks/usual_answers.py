"""What translations of the part validated on are like: how sure the model is, and how evenly it attends."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from recurra.tasks.translation import Span, Translation
from recurra.tasks.translation_profile import RARE

__all__ = ["UsualAnswers", "least_covered", "mean_log_probability"]

RUN = 3
"""Words one after another that hardly any attention goes to where something was left out."""


class UsualAnswers(BaseModel):
    """What translations of the part validated on are like.

    Args:
        lines: How many there are.
        log_probability: The mean log-probability of a piece that only 2% of them are below.
        coverage: The attention to three words one after another that only 2% of them have less of.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    lines: int = Field(ge=1)
    log_probability: float = Field(allow_inf_nan=False)
    coverage: float | None = Field(None, ge=0, allow_inf_nan=False)

    @classmethod
    def of(cls, answers: Sequence[Translation]) -> UsualAnswers | None:
        """That of translations; None where none is of a model."""
        answers = [answer for answer in answers if answer.best.log_probabilities]
        if not answers:
            return None
        covered = [least[0] for answer in answers if (least := least_covered(answer)) is not None]
        return cls(
            lines=len(answers),
            log_probability=float(np.quantile([mean_log_probability(answer) for answer in answers], RARE)),
            coverage=max(0.0, float(np.quantile(covered, RARE))) if covered else None,
        )


def mean_log_probability(answer: Translation) -> float:
    """The mean log-probability of the pieces of the best translation, its end included."""
    return answer.best.log_probability / max(1, len(answer.best.log_probabilities))


def least_covered(answer: Translation) -> tuple[float, Span] | None:
    """The least attention that all words of the best translation gave to three words of the sentence in a row.

    Returns:
        The attention, 1 for that of a word of the translation, and where these words stand; None without attention.
    """
    source, _, rows = answer.by_words()
    words = source[:-1]  # the sentence's end is the last
    if not words or not rows:
        return None
    attention = np.asarray(rows).sum(0)[: len(words)]
    run = min(RUN, len(words))
    totals = np.convolve(attention, np.ones(run), "valid")
    first = int(totals.argmin())
    spans = _spans_of(words, answer.source_text)
    return float(totals[first]), (spans[first][0], spans[first + run - 1][1])


def _spans_of(words: Sequence[str], text: str) -> list[Span]:
    spans, last = [], 0
    for word in words:
        begin = text.find(word, last)
        begin = last if begin < 0 else begin
        last = min(len(text), begin + len(word))
        spans.append((begin, last))
    return spans
