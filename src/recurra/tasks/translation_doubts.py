"""Translations with what makes them doubtful, and what is usual of those of the part validated on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from recurra.data.dataset import Dataset
from recurra.data.sentence_pair import SentencePair
from recurra.models.translator import Translator
from recurra.tasks.machine_translation_batches import PairBatch, TranslationAssets
from recurra.tasks.machine_translation_settings import MachineTranslationConfig
from recurra.tasks.nearest_pair import nearest_of, with_neighbour
from recurra.tasks.translation import Translation
from recurra.tasks.translation_risks import with_risks
from recurra.tasks.usual_answers import UsualAnswers

if TYPE_CHECKING:
    from recurra.tasks.trained import Trained

__all__ = ["calibrate", "checked"]

CALIBRATED = 1000
"""The most sentences of the part validated on that are translated to tell what is usual."""


def checked(
    config: MachineTranslationConfig, assets: TranslationAssets, answers: Sequence[Translation]
) -> list[Translation]:
    """Translations with what makes each doubtful, and the pair most like its sentence where a file of pairs is named.

    Args:
        config: The settings.
        assets: What is known of the pairs trained and validated on.
        answers: The translations.
    """
    path = config.search.nearest
    nearest = nearest_of(path, config.pairs.how) if path else None
    return [with_neighbour(with_risks(answer, assets.profile, assets.usual), nearest) for answer in answers]


def calibrate(
    run: Trained[MachineTranslationConfig, SentencePair, TranslationAssets, Translator, PairBatch, Translation],
    pairs: Dataset[SentencePair],
) -> TranslationAssets:
    """The assets with what is usual of translations of the part validated on, or of some of its sentences.

    Args:
        run: What was trained.
        pairs: The part validated on.
    """
    step = max(1, -(-len(pairs) // CALIBRATED))
    plain = run.using(prefix="", sample=False, nearest="")
    answers = list(plain.answers(pairs[index] for index in range(0, len(pairs), step)))
    return run.assets.model_copy(update={"usual": UsualAnswers.of(answers)})
