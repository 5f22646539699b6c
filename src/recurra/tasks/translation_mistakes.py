"""What is wrong with a translation: how far from its reference it is, and what made it doubtful."""

from __future__ import annotations

import functools

from recurra.data.sentence_pair import SentencePair
from recurra.metrics.translation import TranslationScore, chrf
from recurra.tasks.mistakes import Mistake
from recurra.tasks.translation import Translation

__all__ = ["translation_mistake"]


def translation_mistake(pair: SentencePair, answer: Translation) -> Mistake | None:
    """How far a translation is from its reference, 100 - chrF2 of the sentence; None for one that is the reference.

    Args:
        pair: The sentence and its reference.
        answer: The translation.

    Example:
        >>> from pathlib import Path
        >>> from recurra.data.lines import Source
        >>> pair = SentencePair("Zwei Hunde.", "Two dogs.", Source(Path("test.de"), 1))
        >>> round(translation_mistake(pair, Translation.of_text("Two cats.")).cost, 1)
        79.7
        >>> translation_mistake(pair, Translation.of_text("Two dogs."))
    """
    reference = (pair.target_text or "").strip()
    if answer.text == reference:
        return None
    score = _chrf()
    cost = 100.0 - score.value(score.tally(reference, answer.text))
    return Mistake(cost, reference, answer.text, pair.source_text, notes=answer.reasons)


@functools.cache
def _chrf() -> TranslationScore:
    return chrf()
