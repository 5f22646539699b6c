"""What a translator answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from recurra.data import Vocabulary
from recurra.tasks.score import word_spans

__all__ = ["Alternative", "Neighbour", "Risk", "Span", "Translation"]

Span = tuple[int, int]
"""The first character of a part of a text, from 0, and the one after its last."""


@dataclass(frozen=True)
class Risk:
    """What makes a translation doubtful.

    Args:
        name: The kind, such as "number".
        reason: It, in a line.
        source: The parts of the sentence that it is about.
        translation: The parts of the translation that it is about.
    """

    name: str
    reason: str
    source: tuple[Span, ...] = ()
    translation: tuple[Span, ...] = ()


@dataclass(frozen=True)
class Neighbour:
    """The pair trained on that is most like a sentence.

    Args:
        source_text: Its sentence.
        target_text: Its translation.
        similarity: How like: from 0, no word in common, to 1, the same words.
        where: Its file and line.
    """

    source_text: str
    target_text: str
    similarity: float
    where: str


@dataclass(frozen=True)
class Alternative:
    """A translation of a sentence.

    Args:
        text: The translation as people read it.
        score: What the search orders by: the log-probability with its penalties.
        log_probability: The natural logarithm of its probability given the sentence.
        ids: What the model wrote, the end left out.
        log_probabilities: That of each of them and of the end, given all before it.
        attention: How much attention went to each piece of the sentence, (T, S): a row for each of `ids`.
        finished: Whether it ends by itself, not because it was as long as allowed.
    """

    text: str
    score: float
    log_probability: float
    ids: tuple[int, ...] = ()
    log_probabilities: tuple[float, ...] = ()
    attention: Tensor = field(default_factory=lambda: torch.empty(0, 0))
    finished: bool = True


@dataclass(frozen=True)
class Translation:
    """The translations of a sentence, the best first.

    Args:
        alternatives: At least one.
        source: The pieces of the sentence that were read, <EOS> last.
        vocabularies: Those of the sentence and of its translations.
        cut: How many pieces of the sentence were not read, because it is too long.
        risks: What makes the best one doubtful.
        source_text: The sentence as it was read.
        neighbour: The pair trained on that is most like it; None where it was not looked for.
    """

    alternatives: tuple[Alternative, ...]
    source: tuple[int, ...] = ()
    vocabularies: tuple[Vocabulary, Vocabulary] | None = None
    cut: int = 0
    risks: tuple[Risk, ...] = ()
    source_text: str = ""
    neighbour: Neighbour | None = None

    @classmethod
    def of_text(cls, text: str, source_text: str = "") -> Translation:
        """A translation that no model wrote."""
        return cls((Alternative(text, 0.0, 0.0),), source_text=source_text)

    @property
    def best(self) -> Alternative:
        """The best one."""
        return self.alternatives[0]

    @property
    def text(self) -> str:
        """The text of the best one."""
        return self.best.text

    @property
    def reasons(self) -> str:
        """What makes the best one doubtful, in a line; empty if nothing does."""
        return "; ".join(risk.reason for risk in self.risks)

    def by_words(self) -> tuple[list[str], list[str], list[list[float]]]:
        """The words of the sentence, those of the best translation, and the attention between them.

        The attention of a word is the mean over its pieces, and that to a word the sum. The sentence's end is its last
        word, so that a row sums to 1.
        """
        if self.vocabularies is None or not self.best.ids:
            return [], [], []
        source, target = self.vocabularies
        read, written = _spans(source, self.source), _spans(target, self.best.ids)
        rows = [
            [float(self.best.attention[first:last, begin:end].sum(1).mean()) for begin, end in read]
            for first, last in written
        ]
        return _words(source, self.source, read), _words(target, self.best.ids, written), rows


def _spans(vocabulary: Vocabulary, ids: Sequence[int]) -> list[tuple[int, int]]:
    """The units of each word; in a vocabulary of words, which are joined without their spaces, each is one."""
    if vocabulary.level == "word":
        return [(index, index + 1) for index in range(len(ids))]
    return word_spans(vocabulary, ids)


def _words(vocabulary: Vocabulary, ids: Sequence[int], spans: Sequence[tuple[int, int]]) -> list[str]:
    ends = vocabulary.end
    return ["∎" if ids[first] == ends else vocabulary.decode(ids[first:last]).strip() for first, last in spans]
