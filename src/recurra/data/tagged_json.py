"""Tagged text in JSON lines: an object a line, a text with spans of its characters, or words with tags."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from recurra.data.dataset import Problems, Role
from recurra.data.lines import Source, name_of
from recurra.data.tables import json_object
from recurra.data.tagged_columns import NO_WORD
from recurra.data.tagged_sentence import BLANKS, TaggedRow, TaggedSentence
from recurra.data.tags import Span
from recurra.data.tokens import spans_of_characters, tokenise
from recurra.errors import DataError

__all__ = ["MISFIT", "plain_sentence", "read_json"]

MISFIT = "a span fits no token boundary and is left out"
TWICE = "a span is given twice and counts once"
EMPTY_LINE = "an empty line is left out"
"""Kinds of problems."""

MAX_MISFITS = 0.05
"""The share of spans of characters that may fit no token boundary; where more do, the offsets are wrong."""

EXAMPLE = '{"text": "Ann left Rome.", "entities": [[0, 3, "PER"], [9, 13, "LOC"]]}'

_READINGS: dict[str, Callable[[str, int, int], tuple[int, int]]] = {
    "their ends seem to be the last characters: add 1": lambda text, start, end: (start, end + 1),
    "they seem to count from 1: take 1 off": lambda text, start, end: (start - 1, end - 1),
    "they seem to count from 1, and their ends to be the last characters: take 1 off the starts": (
        lambda text, start, end: (start - 1, end)
    ),
    "they seem to count code units of UTF-16, as JavaScript does": lambda text, start, end: (
        len(text.encode("utf-16-le")[: 2 * start].decode("utf-16-le", errors="ignore")),
        len(text.encode("utf-16-le")[: 2 * end].decode("utf-16-le", errors="ignore")),
    ),
    "they seem to count bytes of UTF-8": lambda text, start, end: (
        len(text.encode()[:start].decode(errors="ignore")),
        len(text.encode()[:end].decode(errors="ignore")),
    ),
}
"""What offsets that fit no token boundary may mean, and how each is read."""


def plain_sentence(text: str, source: Source) -> TaggedSentence:
    """A text as a sentence of its tokens.

    Example:
        >>> plain_sentence("Ann left.", Source(Path("-"), 1)).offsets
        ((0, 3), (4, 8), (8, 9))
    """
    tokens = tokenise(text)
    return TaggedSentence(
        tuple(token.text for token in tokens),
        source,
        text=text,
        offsets=tuple((token.start, token.end) for token in tokens),
    )


def read_json(path: Path, lines: Iterable[tuple[int, str]], role: Role, problems: Problems) -> Iterator[TaggedRow]:
    """The sentences of JSON lines.

    An object has "text", or "tokens" (or "words"), or both. With it come "entities" (or "spans", "label", "labels"),
    each [start, end, type] or an object of these, which count characters where there is a text and tokens elsewhere; or
    "tags" (or "ner_tags"), one for each token. It may have a "label" (or "intent") for the sentence, and the name of
    its "document" (or "doc_id").

    Args:
        path: The file.
        lines: Its lines, with their numbers.
        role: What for; to predict, spans and tags are not read, and an empty line is a sentence without words.
        problems: Takes what was left out.

    Raises:
        DataError: A line is no such object, or too many spans fit no token boundary.
    """
    documents: dict[str, int] = {}
    misfits: list[tuple[TaggedSentence, Span]] = []
    fitting = 0
    for number, line in lines:
        source = Source(path, number)
        if not line.strip(BLANKS):
            if role == "predict":
                yield TaggedRow(plain_sentence("", source), None, [number])
            else:
                problems.add(EMPTY_LINE, source)
            continue
        record = json_object(line, source, EXAMPLE)
        sentence = _sentence(record, source, documents)
        if role == "predict":
            yield TaggedRow(sentence, None, [number])
            continue
        sentence = replace(sentence, label=_label(record, source))
        if not sentence.words:
            problems.add(NO_WORD, source)
            continue
        tags = _tags(record, sentence)
        if tags is None:
            spans, others = _spans(record, sentence, problems)
            fitting += len(spans)
            misfits += [(sentence, span) for span in others]
            sentence = replace(sentence, spans=spans)
        yield TaggedRow(sentence, tags, [number])
    if len(misfits) > MAX_MISFITS * (fitting + len(misfits)):
        raise DataError(_about(path, misfits, fitting + len(misfits), problems))


def _first(record: Mapping[str, Any], *keys: str) -> Any:  # noqa: ANN401  (whatever JSON holds)
    return next((record[key] for key in keys if record.get(key) is not None), None)


def _sentence(record: Mapping[str, Any], source: Source, documents: dict[str, int]) -> TaggedSentence:
    """The words of an object, where they stand in its text, and the number of its document."""
    words, text = _first(record, "tokens", "words"), record.get("text")
    if isinstance(words, list):  # an annotator's tokens are objects with a text
        words = [word.get("text") if isinstance(word, dict) else word for word in words]
        if not all(isinstance(word, str) and word.strip() for word in words):
            raise DataError(f'{source}: "tokens" has one that is no word; give a list of texts, none of them empty')
    elif words is not None:
        raise DataError(f'{source}: "tokens" is {_shown(words)}; give a list of words')
    if text is not None and not isinstance(text, str):
        raise DataError(f'{source}: "text" is {_shown(text)}; give a text')
    if words is None and text is None:
        raise DataError(f'{source}: there is neither "text" nor "tokens"; give an object such as {EXAMPLE}')
    if words is None:
        sentence = plain_sentence(text or "", source)
    else:
        offsets = None if text is None else _offsets(words, text, source)
        sentence = TaggedSentence(tuple(words), source, text=text, offsets=offsets)
    key = json.dumps(_first(record, "document", "doc_id"), sort_keys=True)
    return sentence if key == "null" else replace(sentence, document=documents.setdefault(key, len(documents)))


def _offsets(words: Sequence[str], text: str, source: Source) -> tuple[tuple[int, int], ...]:
    """Where the words of a text stand in it."""
    offsets, end = [], 0
    for word in words:
        start = text.find(word, end)
        if start < 0 or text[end:start].strip():
            raise DataError(
                f'{source}: the "tokens" are not those of the "text": {word!r} does not come next after character '
                f"{end}; give tokens that are pieces of the text, or leave one of both out"
            )
        end = start + len(word)
        offsets.append((start, end))
    return tuple(offsets)


def _label(record: Mapping[str, Any], source: Source) -> str | None:
    """The label of the sentence; a list is spans."""
    label = next((record[key] for key in ("label", "intent") if isinstance(record.get(key), str)), None)
    if label is None:
        other = _first(record, "label", "intent")
        if other is not None and not isinstance(other, list):
            raise DataError(f'{source}: "label" is {_shown(other)}; give a text, such as "request"')
        return None
    return label.strip() or None


def _tags(record: Mapping[str, Any], sentence: TaggedSentence) -> list[str] | None:
    """The tags of an object; None if it has spans."""
    tags = _first(record, "tags", "ner_tags")
    if tags is None:
        return None
    source = sentence.source
    if not isinstance(tags, list) or not all(isinstance(tag, str) and tag for tag in tags):
        raise DataError(f'{source}: "tags" is {_shown(tags)}; give the name of a tag for each word, such as "B-PER"')
    if len(tags) != len(sentence):
        raise DataError(f"{source}: there are {len(tags)} tags for {len(sentence)} words; give every word a tag")
    return tags


def _spans(
    record: Mapping[str, Any], sentence: TaggedSentence, problems: Problems
) -> tuple[tuple[Span, ...], list[Span]]:
    """The spans that an object has, in words, and those that fit no boundary of words, in characters."""
    source = sentence.source
    entries = next(
        (record[k] for k in ("entities", "spans", "label", "labels") if isinstance(record.get(k), list)), None
    )
    if entries is None:
        raise DataError(f'{source}: there are neither "entities" nor "tags"; give an object such as {EXAMPLE}')
    entered = [_span(entry, source) for entry in entries]
    spans = sorted(set(entered))
    for start, end, type_ in sorted(entered)[: len(entered) - len(spans)]:
        problems.add(TWICE, source, f"{start} to {end}, {type_}")
    limit = len(sentence) if sentence.text is None else len(sentence.text)
    for (start, end, type_), (start_after, end_after, type_after) in itertools.pairwise(spans):
        if start_after < end:
            raise DataError(
                f"{source}: the spans from {start} to {end} ({type_}) and from {start_after} to {end_after} "
                f"({type_after}) overlap; a word belongs to one entity: leave one out"
            )
    if sentence.offsets is None:
        for start, end, _ in spans:
            if end > limit:
                raise DataError(f"{source}: the span from {start} to {end} ends after the last of {limit} tokens")
        return tuple(spans), []
    fitting, misfits = spans_of_characters(sentence.offsets, [span for span in spans if span[1] <= limit])
    misfits += [span for span in spans if span[1] > limit]
    for start, end, type_ in misfits:
        problems.add(MISFIT, source, f"{(sentence.text or '')[start:end]!r} from {start} to {end}, {type_}")
    return tuple(fitting), misfits


def _span(entry: object, source: Source) -> Span:
    """A span as JSON has it: [start, end, type], or an object of these."""
    whole = entry
    if isinstance(entry, dict):
        entry = [entry.get("start"), entry.get("end"), _first(entry, "label", "type", "entity_group")]
    match entry:
        case [int(start), int(end), str(type_)] if type(start) is type(end) is int and 0 <= start < end:
            if type_.strip() and not re.search(r"\s", type_):
                return start, end, type_
            raise DataError(f"{source}: the type of a span is {type_!r}; give a name without white space, such as PER")
    raise DataError(
        f"{source}: a span is {_shown(whole)}; give [start, end, type], where end is after the last character and so "
        "greater than start"
    )


def _about(path: Path, misfits: Sequence[tuple[TaggedSentence, Span]], count: int, problems: Problems) -> str:
    """What is said where too many spans fit no token boundary."""
    listed = next(line for line in problems.lines() if line.startswith(MISFIT))
    sample = misfits[:1000]
    hits = dict.fromkeys(_READINGS, 0)
    for sentence, (start, end, type_) in sample:
        text = sentence.text or ""
        for reading, read in _READINGS.items():
            first, last = read(text, start, end)
            if 0 <= first < last <= len(text):
                hits[reading] += bool(spans_of_characters(sentence.offsets or (), [(first, last, type_)])[0])
    likeliest = max(hits, key=lambda reading: hits[reading])
    remedy = (
        likeliest
        if 2 * hits[likeliest] > len(sample)
        else "they must count characters of the text, from 0, and end after their last"
    )
    return (
        f"{name_of(path)}: of {count:,} spans, {len(misfits):,} fit no token boundary, more than {MAX_MISFITS:.0%}: "
        f'{listed}; {remedy}; to cut texts into other tokens, give "tokens" beside "text"'
    )


def _shown(value: object) -> str:
    """A value of JSON, cut short."""
    text = json.dumps(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
