"""Names that only the next word tells: Teddy bears are on sale; Teddy Roosevelt was a great president."""

from __future__ import annotations

import torch

from recurra.lab.examples import IGNORED, Examples

__all__ = ["FIRST", "NAME", "NO_NAME", "PLACE", "WORDS", "ids_of", "names"]

NO_NAME, NAME = 0, 1
"""The tags: a word is no part of a person's name, or is part of one."""

FIRST = {
    "Teddy": ("bears", "Roosevelt"),
    "Jack": ("knives", "London"),
    "Rose": ("bushes", "Macaulay"),
    "May": ("flowers", "Sinclair"),
}
"""Words that may begin a name or not: what follows them if not, and if so."""

PLACE = 3
"""The place of such a word in the sentence, from 0."""

SPEAKERS, VERBS = ("He", "She", "They", "Somebody"), ("said", "wrote", "thought")
THINGS, PERSONS = ("are on sale", "are sold out", "are cheap"), ("was a great president", "was a writer", "was famous")
PAD = ""

LONGEST = PLACE + 2 + max(len(ending.split()) for ending in (*THINGS, *PERSONS))
"""T, the length to which all sentences are filled up."""

_SPOKEN = " ".join((*SPEAKERS, *VERBS, ",", *FIRST, *(word for pair in FIRST.values() for word in pair)))
WORDS = tuple(dict.fromkeys([PAD, *_SPOKEN.split(), *" ".join((*THINGS, *PERSONS)).split()]))
"""The vocabulary: the id of a word is its place; 0 fills up."""

_ID = {word: place for place, word in enumerate(WORDS)}


def names(count: int, random: torch.Generator) -> Examples:
    """Draw sentences of reported speech with a tag for every word.

        He said , Teddy bears are on sale                 - - - -    -    - - -
        He said , Teddy Roosevelt was a great president   - - - NAME NAME - - - -

    Half of them are of each sort, independently of every word up to Teddy: a network that has not read on can only
    guess there.

    Args:
        count: B, how many.
        random: What they are drawn from.

    Returns:
        Ids (B, T), and tags (B, T), `IGNORED` where a sentence is filled up.

    Example:
        >>> drawn = names(1, torch.Generator().manual_seed(1))
        >>> " ".join(WORDS[word] for word in drawn.inputs[0]), drawn.targets[0].tolist()
        ('She thought , Teddy bears are sold out ', [0, 0, 0, 0, 0, 0, 0, 0, -100])
    """
    inputs, targets = torch.zeros(count, LONGEST, dtype=torch.int64), torch.full((count, LONGEST), IGNORED)
    firsts = tuple(FIRST)
    for row in range(count):
        speaker, verb, first, person, thing = (
            int(torch.randint(size, (), generator=random))
            for size in (len(SPEAKERS), len(VERBS), len(firsts), 2, len(THINGS))
        )
        word = firsts[first]
        ending = (PERSONS if person else THINGS)[thing]
        ids = ids_of(f"{SPEAKERS[speaker]} {VERBS[verb]} , {word} {FIRST[word][person]} {ending}")
        inputs[row, : len(ids)] = ids
        targets[row, : len(ids)] = NO_NAME
        targets[row, PLACE : PLACE + 2] = NAME if person else NO_NAME
    return Examples(inputs, targets)


def ids_of(sentence: str) -> torch.Tensor:
    """The ids of the words of a sentence, (number of words,).

    Example:
        >>> WORDS[ids_of("He said , Teddy bears are on sale")[PLACE]]
        'Teddy'
    """
    return torch.tensor([_ID[word] for word in sentence.split()])
