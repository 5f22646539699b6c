"""Made up sentences to train and to time a tagger on, where those of CoNLL-2003 are not at hand."""

from __future__ import annotations

import bisect
import random
from itertools import accumulate
from pathlib import Path

LENGTHS = (1, 1, 2, 3, 4, 5, 6, 7, 7, 8, 9, 10, 11, 13, 16, 19, 22, 26, 29, 32, 37, 50)
"""The shortest sentence of CoNLL-2003's training part, and the lengths that each further 20th of them stays below; the
longest, of up to 113 words, are so rare that 50 as the last comes nearer to how many words there are."""

WORDS = 23_600
"""How many different words these have; the most frequent is one of 28, and they fall off as Zipf says."""

TYPES = ("LOC", "MISC", "ORG", "PER")
PARTS = {"eng.train": 14_041, "eng.testb": 3_453}
"""The files, and how many sentences each has."""

LETTERS, WEIGHTS = "etaoinshrdlucmfwypvbgkjqxz", [26 - rank for rank in range(26)]


def write_sentences(folder: Path) -> None:
    """Write made up files of the names of CoNLL-2003's, in its format: as many sentences, as long, of as many words.

    A sixth of the words are in names, whose spelling says so, so that something can be learned from them.
    """
    draw = random.Random(0)
    spellings = [spelling(draw, number) for number in range(WORDS)]
    weights = list(accumulate(1 / (2.7 + rank) for rank in range(WORDS)))
    for name, count in PARTS.items():
        lines: list[str] = []
        for _ in range(count):
            twentieth = draw.randrange(1, len(LENGTHS) - 1)
            length = draw.randint(LENGTHS[twentieth], max(LENGTHS[twentieth], LENGTHS[twentieth + 1] - 1))
            for _ in range(length):
                number = bisect.bisect(weights, draw.random() * weights[-1])
                lines.append(f"{spellings[number]} {_tag(number)}")
            lines.append("")
        (folder / name).write_text("\n".join(lines) + "\n", encoding="utf-8")


def spelling(draw: random.Random, number: int) -> str:
    """A word of the length that English words have, the frequent ones short; a name has a capital."""
    size = draw.randint(2, 4) if number < 100 else draw.randint(4, 10)
    word = "".join(draw.choices(LETTERS, WEIGHTS, k=size)) + (LETTERS[number % 26] if number >= 100 else "")
    return word if _tag(number) == "O" else word.capitalize()


def _tag(number: int) -> str:
    """The tag of a word; adjacent names of a type are one."""
    return f"I-{TYPES[number // 5 % len(TYPES)]}" if number > 10 and number % 5 == 0 else "O"
