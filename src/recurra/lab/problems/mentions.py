"""Mentions of people: in training each name stands in one half of the sentences alone."""

from __future__ import annotations

from itertools import cycle
from typing import Literal

import torch

from recurra.errors import SettingError
from recurra.lab.examples import Examples

__all__ = ["FAMILIES", "FIRSTS", "NAME", "NO_NAME", "WORDS", "Where", "ids_of", "mentions"]

Where = Literal["halves", "swapped", "anywhere"]
"""Where names begin: those of each half in that half of the sentence alone, in the other alone, or all in both."""

NO_NAME, NAME = 0, 1
"""The tags: a word is no part of a person's name, or is part of one."""

FIRSTS = (
    ("harry", "ron", "neville", "luna", "tom", "arthur", "molly", "fred"),
    ("hermione", "ginny", "dean", "cho", "james", "lily", "george", "percy"),
)
"""First names: those of the first half of a sentence, and those of the second."""

FAMILIES = (("potter", "king", "mason", "fisher"), ("baker", "cook", "page", "miller"))
"""Family names of the two halves. In lower case they are ordinary nouns as well: only the word before tells."""

TITLES = ("mr", "mrs", "professor")
DETERMINERS = ("the", "a")
ADJECTIVES = ("tall", "new", "quiet", "young")
NOUNS = ("spell", "letter", "book", "cat", "castle", "train")
VERBS = ("saw", "found", "remembered", "liked", "described", "wanted")
LINKS = ("and", "while", "but")

WORDS = (
    *(word for half in (*FIRSTS, *FAMILIES) for word in half),
    *(*TITLES, *DETERMINERS, *ADJECTIVES, *NOUNS, *VERBS, *LINKS),
)
"""The vocabulary: the id of a word is its place."""

_ID = {word: place for place, word in enumerate(WORDS)}


def mentions(count: int, length: int, random: torch.Generator, where: Where = "halves") -> Examples:
    """Draw sentences in lower case, as a recogniser of speech writes them, with a tag for every word.

        harry potter saw the tall baker and professor baker liked ginny
        NAME  NAME   -   -   -   -     -   -         NAME  -     NAME

    A family name is one after a first name or a title, and else an ordinary noun. All words but names stand anywhere.

    Args:
        count: B, how many.
        length: T, how many words each has; the last clause ends where there are so many.
        random: What they are drawn from.
        where: Where each name begins.

    Returns:
        Ids of `WORDS` (B, T), and tags (B, T).

    Raises:
        SettingError: The length is below 2.

    Example:
        >>> drawn = mentions(1, 9, torch.Generator().manual_seed(0))
        >>> " ".join(WORDS[word] for word in drawn.inputs[0]), drawn.targets[0].tolist()
        ('mr potter found a potter while hermione baker found', [0, 1, 0, 0, 0, 0, 1, 1, 0])
    """
    if length < 2:
        raise SettingError(f"length is {length}; a sentence of two halves has 2 words or more")
    inputs = torch.empty(count, length, dtype=torch.int64)
    targets = torch.full((count, length), NO_NAME)
    for row in range(count):
        words, names = _sentence(length, random, where)
        inputs[row] = ids_of(" ".join(words))
        targets[row, names] = NAME
    return Examples(inputs, targets)


def ids_of(sentence: str) -> torch.Tensor:
    """The ids of the words of a sentence, (number of words,).

    Example:
        >>> [WORDS[word] for word in ids_of("harry saw a cat")]
        ['harry', 'saw', 'a', 'cat']
    """
    return torch.tensor([_ID[word] for word in sentence.split()])


def _sentence(length: int, random: torch.Generator, where: Where) -> tuple[list[str], list[int]]:
    """The words of a sentence, and the positions of those that are names."""
    numbers = iter(torch.rand(3 * length + 5, generator=random).tolist())  # three a word at most
    words: list[str] = []
    names: list[int] = []

    def add(*choices: tuple[str, ...]) -> None:
        words.extend(options[int(next(numbers) * len(options))] for options in choices)

    for part in cycle(("subject", "verb", "object", "link")):
        position = len(words)
        if position >= length:
            break
        if part in ("verb", "link"):
            add(VERBS if part == "verb" else LINKS)
            continue
        kind, coin = next(numbers), next(numbers)
        second = coin < 0.5 if where == "anywhere" else (2 * position >= length) == (where == "halves")
        firsts, families = FIRSTS[second], FAMILIES[second]
        if kind < 0.2:
            add(firsts)
            names.append(position)
        elif kind < 0.35:
            add(firsts, families)
            names += (position, position + 1)
        elif kind < 0.5:
            add(TITLES, families)
            names.append(position + 1)
        elif kind < 0.75:
            add(DETERMINERS, NOUNS + FAMILIES[0] + FAMILIES[1])
        else:
            add(DETERMINERS, ADJECTIVES, NOUNS + FAMILIES[0] + FAMILIES[1])
    return words[:length], [position for position in names if position < length]
