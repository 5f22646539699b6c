"""How good a tagger is: F1 over spans, and where it comes from, entities of the training part or entities beyond it."""

from __future__ import annotations

import base64
import hashlib
import itertools
import math
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import replace
from functools import cached_property

from pydantic import BaseModel, ConfigDict

from recurra.data.tagged_sentence import TaggedSentence
from recurra.data.tags import Scheme, Span, write_tags
from recurra.metrics import Metric, span_f1, span_precision, span_recall, span_tally, token_accuracy
from recurra.tasks.tagging import Tagging

__all__ = ["SeenEntities", "entity_metrics"]

DIGEST = 6
"""Bytes that are kept of an entity: among a million of them one in 280 million others is taken for one."""

SentenceMetric = Metric[TaggedSentence, Tagging]


class SeenEntities(BaseModel):
    """Which entities, by their words and type, the training part has; digests of them, not their names.

    Capitals do not tell entities apart, for a headline writes CHINA and its text China.

    Args:
        digests: The digests, side by side, in base64.

    Example:
        >>> seen = SeenEntities.of([TaggedSentence(("In", "New", "York"), None, ((1, 3, "LOC"),))])
        >>> ("new york", "LOC") in seen, ("new york", "ORG") in seen
        (True, False)
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    digests: str = ""

    @classmethod
    def of(cls, sentences: Iterable[TaggedSentence]) -> SeenEntities:
        """Those of sentences.

        Args:
            sentences: The part that is trained on.
        """
        digests = {_digest(text, type_) for sentence in sentences for text, type_ in _entities(sentence)}
        return cls(digests=base64.b64encode(b"".join(sorted(digests))).decode("ascii"))

    @cached_property
    def _members(self) -> frozenset[bytes]:
        digests = iter(base64.b64decode(self.digests))
        return frozenset(bytes(itertools.islice(digests, DIGEST)) for _ in range(len(self)))

    def __len__(self) -> int:
        return len(base64.b64decode(self.digests)) // DIGEST

    def __contains__(self, entity: object) -> bool:
        match entity:
            case (str(text), str(type_)):
                return _digest(text, type_) in self._members
        return False


def _digest(text: str, type_: str) -> bytes:
    named = f"{type_}\n{text.casefold()}".encode("utf-8", "surrogatepass")
    return hashlib.blake2b(named, digest_size=DIGEST).digest()


def _entities(sentence: TaggedSentence) -> Iterator[tuple[str, str]]:
    """The words and the type of each entity of a sentence."""
    for start, end, type_ in sentence.spans or ():
        yield " ".join(sentence.words[start:end]), type_


def entity_metrics(
    seen: SeenEntities | None = None,
    known: Callable[[str], bool] | None = None,
    *,
    scheme: Scheme = Scheme.IOB2,
    labels: bool = False,
) -> list[SentenceMetric]:
    """F1 over spans first, which selects the weights, then precision, recall, the accuracy of tags and F1 of parts.

    The parts are the entities whose words and type the training part has and those that it does not have, and the
    entities of words of the vocabulary alone and those with another word. Each entity, there or predicted, is of one of
    the two, and one that is right of the same, so that their counts add up to those of the whole. A model that learned
    names by heart is told by the second.

    What is predicted always obeys the scheme, so these are the figures of conlleval and those of a strict reading.

    Args:
        seen: The entities of the training part; None leaves the first parts out.
        known: Whether a word is one of the vocabulary; None leaves the second parts out.
        scheme: The scheme of the tags whose accuracy is told.
        labels: Whether the label of each sentence is predicted, too.
    """
    measures: list[SentenceMetric] = [
        span_f1(_gold, _predicted),
        span_precision(_gold, _predicted),
        span_recall(_gold, _predicted),
    ]
    if labels:
        measures.append(_label_accuracy())
    accuracy: SentenceMetric = token_accuracy(
        lambda sentence: write_tags(_gold(sentence), len(sentence), scheme),
        lambda sentence, answer: write_tags(answer.spans, len(sentence), scheme),
    )
    measures.append(replace(accuracy, detail=True))
    if seen is not None:

        def is_seen(sentence: TaggedSentence, span: Span) -> bool:
            start, end, type_ = span
            return (" ".join(sentence.words[start:end]), type_) in seen

        measures += [
            _f1_of_part("f1_seen", "F1 of entities seen in training", is_seen),
            _f1_of_part("f1_unseen", "F1 of other entities", lambda *which: not is_seen(*which)),
        ]
    if known is not None:

        def is_known(sentence: TaggedSentence, span: Span) -> bool:
            return all(map(known, sentence.words[span[0] : span[1]]))

        measures += [
            _f1_of_part("f1_known_words", "F1 of entities of known words", is_known),
            _f1_of_part("f1_unknown_words", "F1 of entities with an unknown word", lambda *which: not is_known(*which)),
        ]
    return measures


def _gold(sentence: TaggedSentence) -> Collection[Span]:
    return sentence.spans or ()


def _predicted(answer: Tagging) -> Collection[Span]:
    return answer.spans


def _f1_of_part(name: str, label: str, belongs: Callable[[TaggedSentence, Span], bool]) -> SentenceMetric:
    """F1 of the entities that belong to a part."""
    whole = span_f1(_gold, _predicted, name, label)

    def tally(sentence: TaggedSentence, answer: Tagging) -> dict[object, float]:
        gold, predicted = (
            [span for span in spans if belongs(sentence, span)] for spans in (_gold(sentence), answer.spans)
        )
        return dict(span_tally(gold, predicted))

    return Metric(name, label, tally, whole.value, detail=True)


def _label_accuracy() -> SentenceMetric:
    return Metric(
        "label_accuracy",
        "label accuracy",
        lambda sentence, answer: {"right": sentence.label == answer.label, "all": 1},
        lambda tally: tally["right"] / tally["all"] if tally["all"] else math.nan,
    )
