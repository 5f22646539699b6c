"""Subject-verb agreement: the cat, which ..., was full; the cats, which ..., were full."""

from __future__ import annotations

import torch

from recurra.data.batch import IGNORED
from recurra.errors import SettingError
from recurra.lab.examples import Examples

__all__ = ["ANSWERS", "SUBJECTS", "WORDS", "agreement", "words_of"]

SUBJECTS = (("cat", "dog", "bird", "child"), ("cats", "dogs", "birds", "children"))
"""Nouns in the singular and in the plural: subjects, and objects of the clause, which distract."""

VERBS = ("ate", "saw", "liked", "chased")
ADVERBS = ("already", "often", "today")
ANSWERS = ("was", "were")
WORDS = ("the", ",", "which", "and", *SUBJECTS[0], *SUBJECTS[1], *VERBS, *ADVERBS)
"""The vocabulary: the id of a word is its place."""

_ID = {word: place for place, word in enumerate(WORDS)}


def agreement(count: int, distance: int, random: torch.Generator) -> Examples:
    """Draw beginnings of sentences; the answer after the last word is the verb, was (0) or were (1).

        the cats , which ate the bird and saw the dog ,   →   were (full)

    Between subject and verb stands a clause whose nouns are singular or plural at random, so that nothing but the
    subject tells the verb. Linzen, Dupoux and Goldberg, "Assessing the ability of LSTMs to learn syntax-sensitive
    dependencies", TACL 4, 2016, measure this in found text.

    Args:
        count: B, how many.
        distance: How many steps the verb is from the subject: 1 for "the cat was".
        random: What they are drawn from.

    Returns:
        Ids of `WORDS` (B, distance + 1), and targets (B, distance + 1), of which only the last counts.

    Raises:
        SettingError: The distance is below 1.

    Example:
        >>> drawn = agreement(1, 11, torch.Generator().manual_seed(1))
        >>> words_of(drawn.inputs[0])
        'the dogs , which ate the dog and saw the cat ,'
        >>> ANSWERS[drawn.targets[0, -1]]
        'were'
    """
    if distance < 1:
        raise SettingError(f"distance is {distance}; the verb stands 1 step or more after its subject")
    inputs = torch.stack(
        [torch.full((count,), _ID["the"]), *(_drawn(slot, count, random) for slot in ("noun", *_clause(distance - 1)))],
        dim=1,
    )
    plural = torch.tensor([word in SUBJECTS[1] for word in WORDS])
    targets = torch.full_like(inputs, IGNORED)
    targets[:, -1] = plural[inputs[:, 1]].long()
    return Examples(inputs, targets)


def words_of(ids: torch.Tensor) -> str:
    """The sentence of a row of ids."""
    return " ".join(WORDS[int(word)] for word in ids)


def _clause(length: int) -> list[str]:
    """The slots between subject and verb: `, which ... ,`, or adverbs where there is no room for it."""
    if length < 6:
        return ["adverb"] * length
    body = ["verb", "the", "noun", "and"]
    inner = [body[place % len(body)] for place in range(length - 3)]
    # A clause ends in a noun: what is left over are adverbs.
    while inner[-1] != "noun":
        inner.pop()
    return [",", "which", *inner, *["adverb"] * (length - 3 - len(inner)), ","]


def _drawn(slot: str, count: int, random: torch.Generator) -> torch.Tensor:
    """The ids of a slot, a word for each of `count` sentences."""
    choices = {"noun": (*SUBJECTS[0], *SUBJECTS[1]), "verb": VERBS, "adverb": ADVERBS}.get(slot, (slot,))
    ids = torch.tensor([_ID[word] for word in choices])
    return ids[torch.randint(len(ids), (count,), generator=random)]
