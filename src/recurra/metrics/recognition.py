"""Metrics of what was recognised: word and character error rate, pooled over the corpus, and what is confused."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import TypeVar

from rich.cells import cell_len

from recurra.metrics.chart import Matrix
from recurra.metrics.edits import Edit, align
from recurra.metrics.metric import Metric, Row, Tally

__all__ = [
    "NOTHING",
    "aligned_listing",
    "character_error_rate",
    "characters_of",
    "confusions",
    "error_tally",
    "rate_of",
    "sentence_error_rate",
    "word_error_rate",
    "words_of",
]

R = TypeVar("R")
P = TypeVar("P")

NOTHING = ""
"""What stands for the word that is missing: beside an insertion, and beside a deletion."""

MOST_CONFUSED = 20
"""How many words the table and the matrix of confusions hold."""

_PLURALS = {"substitution": "substitutions", "deletion": "deletions", "insertion": "insertions"}


def words_of(text: str) -> list[str]:
    """The words of a text: what white space separates."""
    return text.split()


def characters_of(text: str) -> list[str]:
    """The characters of a text, the spaces between words among them, those around it not."""
    return list(text.strip())


def error_tally(reference: Sequence[str], answer: Sequence[str], pairs: bool = True) -> Tally:
    """What is counted of an utterance: its items, the edits by kind and, by pair, what was heard for what.

    Args:
        reference: The words or characters that were spoken.
        answer: Those that were recognised.
        pairs: Whether the pairs of words are counted too: (spoken, recognised), with NOTHING for what is missing.

    Example:
        >>> counts = error_tally("one two three".split(), "one too a three".split())
        >>> counts["items"], counts["substitutions"], counts["insertions"]
        (3, 1, 1)
    """
    tally: Counter[Hashable] = Counter()
    tally.update({"items": len(reference), "substitutions": 0, "deletions": 0, "insertions": 0})
    for edit in align(reference, answer):
        if edit.kind != "equal":
            tally[_PLURALS[edit.kind]] += 1
        if pairs:
            tally[edit.reference or NOTHING, edit.answer or NOTHING] += 1
    return tally


def rate_of(tally: Tally) -> float:
    """Errors of a sum of tallies over its items; where nothing was spoken, how much was put in.

    (substitutions + deletions + insertions) / items, as jiwer pools it.

    Example:
        >>> rate_of(error_tally([], ["a", "b"]))
        2.0
    """
    errors = tally["substitutions"] + tally["deletions"] + tally["insertions"]
    return errors / (tally["items"] or 1)


def word_error_rate(
    expected: Callable[[R], str], answered: Callable[[P], str], words: Callable[[str], Sequence[str]] = words_of
) -> Metric[R, P]:
    """The words that are wrong, left out or put in, over the words that were spoken; a table of those most confused.

        WER = (substitutions + deletions + insertions) / words of all references

    The utterances of a corpus are pooled: counted together, not averaged. So it may be above 1, an utterance in which
    nothing was spoken counts by what was put in, and nothing is left out.

    Args:
        expected: The transcript of an example.
        answered: The transcript in an answer.
        words: How a transcript is cut into words.

    Example:
        >>> from recurra.metrics import add
        >>> metric = word_error_rate(lambda example: example, lambda answer: answer)
        >>> total = add(metric.tally(*pair) for pair in [("one two", "one too"), ("", "oh"), ("three", "")])
        >>> metric.show(metric.value(total))
        '100.00%'
    """
    return Metric(
        "wer",
        "word error rate",
        lambda example, answer: error_tally(words(expected(example)), words(answered(answer))),
        lambda tally: rate_of(tally) if _counted(tally) else math.nan,
        "lower",
        table=_word_table,
        matrix=_word_matrix,
        coarsened=_without_pairs,
    )


def character_error_rate(
    expected: Callable[[R], str],
    answered: Callable[[P], str],
    characters: Callable[[str], Sequence[str]] = characters_of,
) -> Metric[R, P]:
    """The characters that are wrong, left out or put in, over those that were spoken, pooled as words are.

    Spaces between words count, those around a transcript do not.

    Args:
        expected: The transcript of an example.
        answered: The transcript in an answer.
        characters: How a transcript is cut into characters.

    Example:
        >>> metric = character_error_rate(lambda example: example, lambda answer: answer)
        >>> round(metric.value(metric.tally("nine", "five")), 2)
        0.5
    """
    return Metric(
        "cer",
        "character error rate",
        lambda example, answer: error_tally(characters(expected(example)), characters(answered(answer)), pairs=False),
        lambda tally: rate_of(tally) if _counted(tally) else math.nan,
        "lower",
    )


def sentence_error_rate(
    expected: Callable[[R], str], answered: Callable[[P], str], words: Callable[[str], Sequence[str]] = words_of
) -> Metric[R, P]:
    """The share of utterances with an error in them: 1 - accuracy where an utterance is one word.

    Args:
        expected: The transcript of an example.
        answered: The transcript in an answer.
        words: How a transcript is cut into words.
    """
    return Metric(
        "ser",
        "sentence error rate",
        lambda example, answer: {"wrong": words(expected(example)) != words(answered(answer)), "all": 1},
        lambda tally: tally["wrong"] / tally["all"] if tally["all"] else math.nan,
        "lower",
    )


def _counted(tally: Tally) -> bool:
    """Whether there was an utterance, if only an empty one."""
    return bool(tally)


def _without_pairs(tally: Tally) -> Tally:
    return {key: count for key, count in tally.items() if not isinstance(key, tuple)}


def confusions(tally: Tally, most: int | None = None) -> list[tuple[str, str, int]]:
    """Which words were taken for which, the most frequent first: spoken, recognised, how often.

    Args:
        tally: A sum of tallies with pairs.
        most: How many are wanted; None for all.

    Example:
        >>> confusions(error_tally("b e b".split(), "e e e".split()))
        [('b', 'e', 2)]
    """
    pairs = [(key[0], key[1], int(n)) for key, n in tally.items() if isinstance(key, tuple) and key[0] != key[1] and n]
    return sorted(pairs, key=lambda pair: (-pair[2], pair[0], pair[1]))[:most]


def _word_errors(tally: Tally) -> Counter[str]:
    """How many errors each word has a part in."""
    errors: Counter[str] = Counter()
    for spoken, recognised, count in confusions(tally):
        for word in {spoken, recognised} - {NOTHING}:
            errors[word] += count
    return errors


def _most_confused(tally: Tally) -> list[str]:
    """The words with most errors, the worst first."""
    errors = _word_errors(tally)
    return sorted(errors, key=lambda word: (-errors[word], word))[:MOST_CONFUSED]


def _word_table(tally: Tally) -> list[Row]:
    """What became of the words with most errors."""
    rows = []
    pairs = {key: int(count) for key, count in tally.items() if isinstance(key, tuple)}
    for word in _most_confused(tally):
        spoken = sum(count for (gold, _), count in pairs.items() if gold == word)
        right, deleted = pairs.get((word, word), 0), pairs.get((word, NOTHING), 0)
        inserted = pairs.get((NOTHING, word), 0)
        instead = sum(count for (_, answer), count in pairs.items() if answer == word) - right - inserted
        figures = {"spoken": spoken, "right": right, "replaced": spoken - right - deleted, "left out": deleted}
        rows.append(Row(word, {**figures, "put in": inserted, "heard for others": instead}))
    return rows


def _word_matrix(tally: Tally) -> Matrix:
    """What the words with most errors were taken for."""
    words = [*sorted(_most_confused(tally)), NOTHING]
    counts = [[int(tally.get((spoken, recognised), 0)) for recognised in words] for spoken in words]
    return Matrix("confused words", [word or "(none)" for word in words], counts)


_MARKS = {"equal": "", "substitution": "S", "deletion": "D", "insertion": "I"}

_HEADINGS = ("spoken", "recognised", "")


def aligned_listing(edits: Iterable[Edit[str]], width: int = 100) -> str:
    """An alignment for people: what was spoken over what was recognised, and below what kind of error each is.

    Stars stand for what is missing; S is a substitution, D a deletion and I an insertion.

    Args:
        edits: The alignment.
        width: How many columns of a terminal a line has; what is longer goes on below.

    Example:
        >>> print(aligned_listing(align("rub out g m".split(), "rubout g n".split())))
        spoken      rub  out     g  m
        recognised  ***  rubout  g  n
                    D    S          S
    """
    lead = max(map(len, _HEADINGS))
    blocks: list[list[str]] = []
    for edit in edits:
        spoken, recognised = edit.reference, edit.answer
        column = max(cell_len(word) for word in (spoken, recognised) if word is not None)
        stars = "*" * column
        cells = [stars if spoken is None else spoken, stars if recognised is None else recognised, _MARKS[edit.kind]]
        if not blocks or cell_len(blocks[-1][0]) + 2 + column > width:
            blocks.append([heading.ljust(lead) for heading in _HEADINGS])
        for number, cell in enumerate(cells):
            blocks[-1][number] += "  " + cell + " " * (column - cell_len(cell))
    return "\n\n".join("\n".join(line.rstrip() for line in block).rstrip() for block in blocks)
