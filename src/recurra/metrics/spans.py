"""Spans: precision, recall and F1 of entities, as the shared task's own script conlleval counts them, or strictly."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Literal, TypeVar

from recurra.metrics.metric import Metric, Row, Tally

__all__ = [
    "Span",
    "conlleval_spans",
    "f1_of",
    "span_f1",
    "span_precision",
    "span_recall",
    "span_tally",
    "strict_spans",
    "token_accuracy",
]

R = TypeVar("R")
P = TypeVar("P")


Span = tuple[int, int, str]
"""An entity: the step it begins at, the step after its last, and its type."""


def conlleval_spans(tags: Sequence[str]) -> list[Span]:
    """The spans of a sequence of tags as conlleval reads them, whether the tags obey a scheme or not.

    A tag is O, or a prefix and a type, such as B-PER. A span ends where the type changes, before and after S, after E,
    and before B; it begins where one has ended, or after O. So I after O begins a span, as B does. (The script of 2000
    missed the end between E and B; here it is one.)

    Tjong Kim Sang and Buchholz, "Introduction to the CoNLL-2000 shared task: chunking", 2000.

    Args:
        tags: The tags of a sentence, with prefixes B, I, E, S (or L and U for E and S).

    Example:
        >>> conlleval_spans(["I-PER", "B-PER", "I-PER", "O", "I-LOC", "I-ORG"])
        [(0, 1, 'PER'), (1, 3, 'PER'), (4, 5, 'LOC'), (5, 6, 'ORG')]
    """
    spans: list[Span] = []
    start: int | None = None
    previous, previous_type = "O", ""
    for step, tag in enumerate([*tags, "O"]):
        prefix, type_ = _split(tag)
        breaks = prefix in "OBS" or previous in "OES" or type_ != previous_type
        if start is not None and breaks:
            spans.append((start, step, previous_type))
            start = None
        if start is None and prefix != "O":
            start = step
        previous, previous_type = prefix, type_
    return spans


def strict_spans(tags: Sequence[str], scheme: Literal["IOB2", "IOBES"]) -> list[Span]:
    """The spans of a sequence of tags that obey a scheme; what does not obey it is no span.

    In IOB2 a span is B and any number of I, in IOBES (and BILOU, with other letters) it is S, or B, any number of I,
    and E, all of one type. On tags that obey the scheme throughout it says the same as `conlleval_spans`; on others the
    figures that follow are not comparable with those of the shared tasks.

    Args:
        tags: The tags of a sentence.
        scheme: What they are to obey.

    Example:
        >>> tags = ["I-PER", "B-PER", "I-PER", "O", "B-LOC", "I-ORG"]
        >>> strict_spans(tags, "IOB2"), strict_spans(tags, "IOBES")
        ([(1, 3, 'PER'), (4, 5, 'LOC')], [])
    """
    spans: list[Span] = []
    start: int | None = None
    open_type = ""
    for step, tag in enumerate([*tags, "O"]):
        prefix, type_ = _split(tag)
        if start is not None and not (prefix in {"I", "E"} and type_ == open_type):
            if scheme == "IOB2":
                spans.append((start, step, open_type))
            start = None
        if prefix == "S" and scheme == "IOBES":
            spans.append((step, step + 1, type_))
        elif prefix == "B":
            start, open_type = step, type_
        elif prefix == "E" and start is not None:
            spans.append((start, step + 1, open_type))
            start = None
    return spans


def _split(tag: str) -> tuple[str, str]:
    """The prefix of a tag, in the letters of IOBES, and its type."""
    prefix, _, type_ = tag.partition("-") if tag != "O" else ("O", "", "")
    return {"L": "E", "U": "S", "W": "S", "M": "I"}.get(prefix, prefix), type_


def span_tally(gold: Iterable[Span], predicted: Iterable[Span]) -> Tally:
    """How many spans there are, how many were predicted and how many of those are right, by type.

    A span counts as right where its first step, its end and its type are.
    """
    expected, answered = set(gold), set(predicted)
    tally: Counter[Hashable] = Counter()
    for name, spans in (("gold", expected), ("predicted", answered), ("right", expected & answered)):
        for _, _, type_ in spans:
            tally[name, type_] += 1
    return tally


def f1_of(right: float, predicted: float, gold: float) -> tuple[float, float, float]:
    """Precision, recall and F1 of counts; precision and F1 are 0 where nothing was predicted.

    Example:
        >>> f1_of(right=1, predicted=2, gold=1)
        (0.5, 1.0, 0.6666666666666666)
    """
    precision = right / predicted if predicted else 0.0
    recall = right / gold if gold else math.nan
    return precision, recall, 2 * right / (predicted + gold) if predicted + gold else math.nan


def _sums(tally: Tally, type_: str | None = None) -> tuple[float, float, float]:
    """Spans that are right, that were predicted and that there are, of one type or of all."""
    right, predicted, gold = (
        sum(
            count
            for key, count in tally.items()
            if isinstance(key, tuple) and key[0] == name and type_ in (None, key[1])
        )
        for name in ("right", "predicted", "gold")
    )
    return right, predicted, gold


def span_f1(
    gold: Callable[[R], Iterable[Span]], predicted: Callable[[P], Iterable[Span]], name: str = "f1", label: str = "F1"
) -> Metric[R, P]:
    """F1 over all spans, and a table of precision, recall and F1 by type.

        precision = right / predicted,   recall = right / gold,   F1 = 2 right / (predicted + gold)

    Args:
        gold: The spans of an example.
        predicted: The spans of an answer.
        name: The metric's name.
        label: What it is called on the screen.
    """

    def table(tally: Tally) -> list[Row]:
        types = sorted({key[1] for key in tally if isinstance(key, tuple)})
        rows = []
        for type_ in types:
            right, found, there = _sums(tally, type_)
            precision, recall, f1 = f1_of(right, found, there)
            figures = {"precision": precision, "recall": recall, "F1": f1, "spans": int(there), "predicted": int(found)}
            rows.append(Row(type_, figures))
        return rows

    return Metric(
        name,
        label,
        lambda example, answer: span_tally(gold(example), predicted(answer)),
        lambda tally: f1_of(*_sums(tally))[2],
        table=table,
    )


def span_precision(
    gold: Callable[[R], Iterable[Span]], predicted: Callable[[P], Iterable[Span]], name: str = "precision"
) -> Metric[R, P]:
    """The share of the spans predicted that are right; see `span_f1`."""
    return _of_spans(gold, predicted, name, 0)


def span_recall(
    gold: Callable[[R], Iterable[Span]], predicted: Callable[[P], Iterable[Span]], name: str = "recall"
) -> Metric[R, P]:
    """The share of the spans there are that were predicted; see `span_f1`."""
    return _of_spans(gold, predicted, name, 1)


def _of_spans(
    gold: Callable[[R], Iterable[Span]], predicted: Callable[[P], Iterable[Span]], name: str, which: int
) -> Metric[R, P]:
    return Metric(
        name,
        name,
        lambda example, answer: span_tally(gold(example), predicted(answer)),
        lambda tally: f1_of(*_sums(tally))[which],
    )


def token_accuracy(
    gold: Callable[[R], Sequence[str]],
    predicted: Callable[[R, P], Sequence[str]],
    name: str = "token_accuracy",
    label: str = "token accuracy",
) -> Metric[R, P]:
    """The share of steps whose tag is right, as conlleval prints it beside F1; it is high where most tags are O.

    Args:
        gold: The tags of an example.
        predicted: From an example and an answer, as many tags.
        name: The metric's name.
        label: What it is called on the screen.
    """

    def tally(example: R, answer: P) -> Tally:
        pairs = list(zip(gold(example), predicted(example, answer), strict=True))
        return {"right": sum(expected == answered for expected, answered in pairs), "all": len(pairs)}

    return Metric(name, label, tally, lambda tally: tally["right"] / tally["all"] if tally["all"] else math.nan)
