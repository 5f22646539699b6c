"""Tag schemes: how spans are written as a tag a step, and tags as spans."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import NamedTuple

from recurra.errors import DataError

__all__ = [
    "OUTSIDE",
    "Scheme",
    "Span",
    "TagProblem",
    "detect_scheme",
    "read_spans",
    "tag_problem",
    "tags_of",
    "write_tags",
]

OUTSIDE = "O"
"""The tag of a step that belongs to no span."""

ALIASES = {"L": "E", "U": "S", "W": "S", "M": "I"}
"""Other letters for the last step of a span, a single step and the middle: BILOU, BMEWO, BMES."""


Span = tuple[int, int, str]
"""An entity: the step it begins at, the step after its last, and its type."""


MAX_STRAY = 0.01
"""The share of spans that may begin with B in IOB1 where I would do; where more do, schemes are mixed."""


class Scheme(StrEnum):
    """A tag scheme.

    | scheme | first step of a span | middle | last | single step | between adjacent spans of one type |
    | --- | --- | --- | --- | --- | --- |
    | IO | I (or no prefix) | I | I | I | cannot be told apart |
    | IOB1 | I | I | I | I | B at the second one's first step |
    | IOB2 | B | I | I | B | |
    | IOBES | B | I | E | S | |
    | BILOU | B | I | L | U | |

    IOB1: Ramshaw and Marcus, "Text chunking using transformation-based learning", 1995; IOB2 and IOBES: Tjong Kim Sang
    and Veenstra, "Representing text chunks", EACL 1999; BILOU: Ratinov and Roth, "Design challenges and misconceptions
    in named entity recognition", CoNLL 2009.
    """

    IO = "IO"
    IOB1 = "IOB1"
    IOB2 = "IOB2"
    IOBES = "IOBES"
    BILOU = "BILOU"


class TagProblem(NamedTuple):
    """A tag that a scheme does not allow where it stands.

    Args:
        step: Where, from 0; the number of tags if it is the end that is wrong.
        reason: What is wrong, in a few words.
    """

    step: int
    reason: str


def split_tag(tag: str) -> tuple[str, str]:
    """The prefix of a tag and its type; a tag without a prefix is the type itself, as in IO.

    Example:
        >>> split_tag("B-PER"), split_tag("O"), split_tag("NAME"), split_tag("I-in-flight")
        (('B', 'PER'), ('O', ''), ('', 'NAME'), ('I', 'in-flight'))
    """
    if tag == OUTSIDE:
        return OUTSIDE, ""
    prefix, dash, type_ = tag.partition("-")
    if not dash or prefix not in {"B", "I", "E", "S", *ALIASES} or not type_:
        return "", tag
    return prefix, type_


def tag_problem(tags: Sequence[str], scheme: Scheme, *, strict: bool = True) -> TagProblem | None:
    """The first tag that a scheme does not allow where it stands; None if they are right.

    Args:
        tags: The tags of a sentence.
        scheme: Their scheme.
        strict: Whether IOB1 refuses a B where I would do. It is no doubt what such a B means, and the files of
            CoNLL-2003 have one.

    Example:
        >>> tag_problem(["O", "I-PER"], Scheme.IOB2)
        TagProblem(step=1, reason='I-PER does not begin a span, and no span of PER is open before it')
    """
    letters = {"IO": {"", "I"}, "IOB1": {"I", "B"}, "IOB2": {"B", "I"}}.get(scheme.value, {"B", "I", "E", "S"})
    previous, previous_type = OUTSIDE, ""
    for step, tag in enumerate(tags):
        prefix, type_ = split_tag(tag)
        prefix = _standard(prefix, scheme)
        if prefix != OUTSIDE and prefix not in letters:
            return TagProblem(step, f"{tag} is no tag of {scheme.value}")
        inside = previous in {"B", "I"} and scheme in {Scheme.IOBES, Scheme.BILOU}
        continues = prefix in {"I", "E"} and type_ == previous_type
        if inside and not continues:
            return TagProblem(step, f"{tag} stands where a span of {previous_type} is open")
        if scheme is Scheme.IOB2 and prefix == "I" and (previous == OUTSIDE or type_ != previous_type):
            return TagProblem(step, f"{tag} does not begin a span, and no span of {type_} is open before it")
        if scheme in {Scheme.IOBES, Scheme.BILOU} and prefix in {"I", "E"} and not (inside and continues):
            return TagProblem(step, f"{tag} does not begin a span, and no span of {type_} is open before it")
        if strict and scheme is Scheme.IOB1 and prefix == "B" and (previous == OUTSIDE or type_ != previous_type):
            return TagProblem(step, f"{tag} stands where no span of {type_} has just ended")
        previous, previous_type = prefix, type_
    if previous in {"B", "I"} and scheme in {Scheme.IOBES, Scheme.BILOU}:
        return TagProblem(len(tags), f"the sentence ends where a span of {previous_type} is open")
    return None


def detect_scheme(sentences: Iterable[Sequence[str]]) -> Scheme:
    """The scheme that all sentences obey; of several, the plainest reading of their letters.

    BILOU and IOBES are told by their letters, IOB1 by an I that begins a span, IOB2 by a B wherever one begins, and IO
    by the lack of any B. Where every span is of one step and adjacent ones differ, all say the same.

    Raises:
        DataError: No scheme fits every sentence; the message says which comes nearest and where it fails. `where` of
            the error is the number of the sentence and of the tag, from 0.
    """
    problems: dict[Scheme, tuple[int, TagProblem]] = {}
    letters: set[str] = set()
    candidates = list(Scheme)
    stray, begun = 0, 0  # sentences with a B where IOB1 has I, and spans, as far as IOB1 may be the scheme
    for number, tags in enumerate(sentences):
        letters.update(split_tag(tag)[0] for tag in tags)
        for scheme in list(candidates):
            problem = tag_problem(tags, scheme)
            if problem is None:
                continue
            problems.setdefault(scheme, (number, problem))
            if scheme is not Scheme.IOB1 or tag_problem(tags, scheme, strict=False):
                candidates.remove(scheme)
        if Scheme.IOB1 in candidates:
            stray += tag_problem(tags, Scheme.IOB1) is not None
            begun += len(read_spans(tags, Scheme.IOB1, strict=False))
    if stray > MAX_STRAY * begun and Scheme.IOB1 in candidates:
        candidates.remove(Scheme.IOB1)
    fitting = [scheme for scheme in _by_letters(letters) if scheme in candidates]
    if fitting:
        return fitting[0]
    named = [scheme for scheme in _by_letters(letters) if scheme in problems]
    # The scheme that fits longest is the one that was meant.
    nearest = max(named, key=lambda scheme: (problems[scheme][0], problems[scheme][1].step))
    number, problem = problems[nearest]
    error = DataError(f"the tags are of no scheme: by {nearest.value}, the nearest, {problem.reason}")
    error.where = (number, problem.step)  # type: ignore[attr-defined]
    raise error


def _by_letters(letters: set[str]) -> list[Scheme]:
    """The schemes that letters may be of, the likeliest first."""
    if letters & {"L", "U"}:
        return [Scheme.BILOU]
    if letters & {"E", "S", "M", "W"}:
        return [Scheme.IOBES]
    if "" in letters:
        return [Scheme.IO]
    return [Scheme.IOB2, Scheme.IOB1] if "B" in letters else [Scheme.IO, Scheme.IOB1]


def read_spans(tags: Sequence[str], scheme: Scheme, *, strict: bool = True) -> list[Span]:
    """The spans that tags write: for each its first step, its end (not included) and its type.

    Args:
        tags: The tags of a sentence, right in the scheme.
        scheme: Their scheme.
        strict: Whether IOB1 refuses a B where I would do.

    Raises:
        DataError: A tag is not allowed where it stands.

    Example:
        >>> read_spans(["I-PER", "I-PER", "B-PER", "O"], Scheme.IOB1)
        [(0, 2, 'PER'), (2, 3, 'PER')]
    """
    problem = tag_problem(tags, scheme, strict=strict)
    if problem is not None:
        raise DataError(f"tag {problem.step + 1}: {problem.reason}")
    spans: list[Span] = []
    for step, tag in enumerate(tags):
        prefix, type_ = split_tag(tag)
        if prefix == OUTSIDE:
            continue
        adjacent = bool(spans) and spans[-1][1] == step and spans[-1][2] == type_
        begins = not adjacent or prefix == "B" or _standard(prefix, scheme) == "S"
        if scheme in {Scheme.IOBES, Scheme.BILOU} and step and _standard(split_tag(tags[step - 1])[0], scheme) in "ES":
            begins = True
        if begins:
            spans.append((step, step + 1, type_))
        else:
            spans[-1] = (spans[-1][0], step + 1, type_)
    return spans


def write_tags(spans: Iterable[Span], length: int, scheme: Scheme) -> list[str]:
    """The tags that write spans; what `read_spans` reads as the same spans.

    In IO adjacent spans of one type become one: it cannot tell them apart.

    Args:
        spans: First step, end (not included) and type of each; they do not overlap.
        length: How many steps there are.
        scheme: The scheme to write.

    Raises:
        DataError: Spans overlap, are empty, or lie outside the steps.

    Example:
        >>> write_tags([(0, 2, "PER"), (3, 4, "LOC")], 4, Scheme.IOBES)
        ['B-PER', 'E-PER', 'O', 'S-LOC']
    """
    tags = [OUTSIDE] * length
    last_end, last_type = 0, ""
    for start, end, type_ in sorted(spans):
        if not last_end <= start < end <= length:
            raise DataError(f"the span from {start} to {end} overlaps another, is empty, or ends past step {length}")
        letters = ["I"] * (end - start)
        if scheme is Scheme.IOB2 or (scheme is Scheme.IOB1 and start == last_end and type_ == last_type):
            letters[0] = "B"
        if scheme in {Scheme.IOBES, Scheme.BILOU}:
            last, single = ("E", "S") if scheme is Scheme.IOBES else ("L", "U")
            letters = ["B", *letters[1:-1], last] if end - start > 1 else [single]
        tags[start:end] = [f"{letter}-{type_}" for letter in letters]
        last_end, last_type = end, type_
    return tags


def tags_of(types: Iterable[str], scheme: Scheme) -> list[str]:
    """All tags of a scheme for types: O, and for each type its letters.

    Example:
        >>> tags_of(["PER"], Scheme.IOB2)
        ['O', 'B-PER', 'I-PER']
    """
    letters = {"IO": "I", "IOB1": "BI", "IOB2": "BI", "IOBES": "BIES", "BILOU": "BILU"}[scheme.value]
    return [OUTSIDE, *(f"{letter}-{type_}" for type_, letter in itertools.product(types, letters))]


def _standard(prefix: str, scheme: Scheme) -> str:
    """A prefix in the letters of IOBES, where the scheme has others."""
    return ALIASES.get(prefix, prefix) if scheme in {Scheme.IOBES, Scheme.BILOU} else prefix
