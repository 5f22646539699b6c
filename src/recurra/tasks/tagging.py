"""A tagger's answer to a sentence, and the answer as JSON."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from recurra.data.tagged_sentence import TaggedSentence
from recurra.data.tags import Span

__all__ = ["Entity", "Tagging", "entities", "show"]


@dataclass(frozen=True)
class Tagging:
    """A tagger's answer.

    Args:
        spans: First word, end and type of each entity.
        confidences: The probability of each of them.
        label: The sentence's label; None for a model without.
        label_probability: Its probability.
    """

    spans: tuple[Span, ...]
    confidences: tuple[float, ...]
    label: str | None = None
    label_probability: float | None = None


class Entity(NamedTuple):
    """An entity in its text.

    Args:
        start: Its first character, from 0.
        end: The character after its last.
        type: Its type.
        confidence: Its probability.
    """

    start: int
    end: int
    type: str
    confidence: float


def entities(sentence: TaggedSentence, answer: Tagging) -> tuple[str, list[Entity]]:
    """The text of a sentence, and where its entities stand in it.

    The text of a sentence that has only words is its words with a space between them.

    Example:
        >>> from pathlib import Path
        >>> from recurra.data.lines import Source
        >>> sentence = TaggedSentence(("In", "New", "York"), Source(Path("-"), 1))
        >>> entities(sentence, Tagging(((1, 3, "LOC"),), (0.9,)))
        ('In New York', [Entity(start=3, end=11, type='LOC', confidence=0.9)])
    """
    text, offsets = sentence.text, sentence.offsets
    if text is None or offsets is None:
        text, places, start = " ".join(sentence.words), [], 0
        for word in sentence.words:
            places.append((start, start + len(word)))
            start += len(word) + 1
        offsets = tuple(places)
    pairs = zip(answer.spans, answer.confidences, strict=True)
    return text, [
        Entity(offsets[start][0], offsets[end - 1][1], type_, confidence) for (start, end, type_), confidence in pairs
    ]


def show(sentence: TaggedSentence, answer: Tagging) -> dict[str, Any]:
    """The answer as JSON can hold it: start and end count characters of the text, or words where there is none.

    Example:
        >>> from recurra.data.lines import Source
        >>> from recurra.data.tagged_json import plain_sentence
        >>> show(plain_sentence("Ann left.", Source("-", 1)), Tagging(((0, 1, "PER"),), (0.91,)))["entities"]
        [{'start': 0, 'end': 3, 'type': 'PER', 'text': 'Ann', 'confidence': 0.91}]
    """
    has_text = sentence.text is not None and sentence.offsets is not None
    text, placed = entities(sentence, answer)
    listed = []
    for (first, after, _), entity in zip(answer.spans, placed, strict=True):
        start, end = (entity.start, entity.end) if has_text else (first, after)
        listed.append(
            {
                "start": start,
                "end": end,
                "type": entity.type,
                "text": text[entity.start : entity.end],
                "confidence": round(entity.confidence, 4),
            }
        )
    shown: dict[str, Any] = {"text": sentence.text} if sentence.text is not None else {"tokens": list(sentence.words)}
    shown["entities"] = listed
    if answer.label is not None:
        shown |= {"label": answer.label, "label_confidence": round(answer.label_probability or 0.0, 4)}
    return shown
