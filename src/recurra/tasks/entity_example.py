"""Synthetic sentences with names, made from templates: enough to learn what a name looks like in a few seconds."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator

from recurra.data.tags import OUTSIDE

__all__ = ["synthetic_columns"]

WORDS = {
    "FIRST": "Harry, Hermione, Ron, Ginny, Ada, Alan, Grace, Emmy, Marie, Niels, Lise, Rosalind, Carl, Sofia, Leo, "
    "Nina, Omar, Yuki, Ines, Pablo",
    "LAST": "Potter, Granger, Weasley, Lovelace, Turing, Hopper, Noether, Curie, Bohr, Meitner, Franklin, Gauss, "
    "Tolstoy, Simone, Tanaka, Silva",
    "LOC": "Paris, New York, London, Rome, Buenos Aires, Tokyo, Oslo, Cairo, Lima, Cape Town, Godric 's Hollow",
    "ORG": "Gringotts, Acme Corporation, Royal Society, Daily Prophet, Northern Railways, Reuters, Ministry of Magic",
    "VERB": "found, lost, bought, painted, repaired, sold, carried, described, discovered, opened, hid, studied, drew, "
    "built, saw",
    "ADJECTIVE": "old, golden, red, small, heavy, strange, cold, long, broken, secret",
    "NOUN": "key, book, hat, letter, map, bridge, violin, garden, machine, clock, song, table, potion, wand",
}
"""What is drawn for a word in capitals, with a comma between one and the next."""

FULL_NAMES = 0.7
"""The share of people who have a last name."""

TEMPLATES = (
    "[PER] and [PER] VERB a ADJECTIVE NOUN .",
    "[PER] VERB the NOUN .",
    "[PER] met [PER] in [LOC] .",
    "Yesterday [PER] wrote a letter to [PER] .",
    "[PER] works for [ORG] in [LOC] .",
    "[ORG] VERB the ADJECTIVE NOUN in [LOC] .",
    "The train to [LOC] was late again .",
    "The NOUN of [PER] was ADJECTIVE .",
    "[PER] , [PER] and [PER] went from [LOC] to [LOC] .",
    "In [LOC] , [PER] taught [PER] a song .",
    "They VERB a ADJECTIVE NOUN and a NOUN .",
    "She asked [ORG] about the NOUN .",
    '" A ADJECTIVE NOUN , " said [PER] .',
    "Nobody in [LOC] VERB it .",
    "An ADJECTIVE NOUN is never ADJECTIVE .",
    "[ORG] paid [PER] 300 galleons in 1996 .",
    "Every NOUN was ADJECTIVE when [PER] VERB it .",
    "Outside it was ADJECTIVE , and nothing happened .",
    "Something VERB [PER] near [LOC] .",
)
"""Sentences in which words in capitals are drawn from the lists, and names in brackets of the type that is given."""


def synthetic_columns(sentences: int = 300, seed: int = 0) -> str:
    r"""A file of columns, a word and its tag in IOB2: the same for the same seed.

    Args:
        sentences: How many there are.
        seed: What they are drawn from.

    Example:
        >>> synthetic_columns(1).split("\n")[-4:]
        ['said\tO', 'Marie\tB-PER', '.\tO', '']
    """
    draw = random.Random(seed)
    lines = ["# source = synthetic sentences, made from templates"]
    for _ in range(sentences):
        for piece in draw.choice(TEMPLATES).split():
            lines += [f"{word}\t{tag}" for word, tag in _filled(piece, draw)]
        lines.append("")
    return "\n".join(lines)


def _filled(piece: str, draw: random.Random) -> Iterator[tuple[str, str]]:
    """The words of a piece of a template, and their tags."""
    name = re.fullmatch(r"\[(.*)\]", piece)
    if name is None:
        yield (_drawn(piece, draw) if piece in WORDS else piece), OUTSIDE
        return
    text = _drawn("FIRST" if name[1] == "PER" else name[1], draw)
    if name[1] == "PER" and draw.random() < FULL_NAMES:
        text += f" {_drawn('LAST', draw)}"
    for place, word in enumerate(text.split()):
        yield word, f"{'I' if place else 'B'}-{name[1]}"


def _drawn(key: str, draw: random.Random) -> str:
    return draw.choice(WORDS[key].split(", "))
