"""Names that are one slip of the keyboard apart.

Names are compared word by word: `W_input_2` is the words W, input and 2. Two names are a slip apart if all their words
are the same but one, that one has at least four letters in both and begins alike, and they differ by

    two letters that changed places, or a letter doubled        alhpa, allpha
    a letter missing or a letter too many                       alpa, alphae
    another letter, in words of six letters or more             candidote

So b_f and b_g, W_1 and W_2, w and W, theta_in and theta_out, beta and zeta are names of their own: this is how parallel
parameters are called.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from typing import Literal

__all__ = ["Names", "slip"]

Slip = Literal["swapped", "doubled", "letters"]

SHORTEST, SHORTEST_REPLACED = 4, 6
"""How many letters a word needs to be taken for a misspelt one: the shorter it is, the more words are like it."""

LONGEST = 60
"""Longer names are not compared: nobody types them twice by hand."""


def slip(name: str, other: str) -> Slip | None:
    """What sets two names apart if it is one slip of the keyboard, else None.

    Example:
        >>> slip("alhpa", "alpha"), slip("b_forrget", "b_forget"), slip("alpa", "alpha")
        ('swapped', 'doubled', 'letters')
        >>> slip("b_f", "b_g"), slip("w_1", "w_2"), slip("beta", "zeta"), slip("alpha", "alpha")
        (None, None, None, None)
    """
    words, others = _words(name), _words(other)
    differing = [(a, b) for a, b in zip(words, others, strict=False) if a != b]
    if len(words) != len(others) or len(differing) != 1:
        return None
    longer, shorter = sorted(differing[0], key=len, reverse=True)
    return _slip(longer, shorter) if len(shorter) >= SHORTEST and shorter.isalpha() and longer.isalpha() else None


def _words(name: str) -> list[str]:
    return re.findall(r"\d+|_+|[^\W\d_]+", name)


def _slip(longer: str, shorter: str) -> Slip | None:
    """What sets two words apart, each one slip from the other."""
    at = next((k for k, (a, b) in enumerate(zip(longer, shorter, strict=False)) if a != b), len(shorter))
    if len(longer) == len(shorter):
        if longer[at : at + 2] == shorter[at : at + 2][::-1] and longer[at + 2 :] == shorter[at + 2 :]:
            return "swapped"
        replaced = at > 0 and len(shorter) >= SHORTEST_REPLACED and longer[at + 1 :] == shorter[at + 1 :]
        return "letters" if replaced else None
    if len(longer) != len(shorter) + 1 or at == 0 or longer[at + 1 :] != shorter[at:]:
        return None
    return "doubled" if longer[at] == longer[at - 1] else "letters"


class Names:
    """Names among which the one that was meant can be found, quickly, however many there are."""

    def __init__(self, names: Iterable[str]) -> None:
        # Two names that are a slip apart are equal once each has lost the right letter, or none.
        self._by_shortened: defaultdict[str, list[str]] = defaultdict(list)
        for name in dict.fromkeys(names):
            for shortened in _shortened(name):
                self._by_shortened[shortened].append(name)

    def near(self, name: str, slips: Iterable[Slip] = ("swapped", "doubled", "letters")) -> str | None:
        """The first of the names that is such a slip from this one."""
        wanted = set(slips)
        for shortened in _shortened(name):
            for other in self._by_shortened.get(shortened, ()):
                if slip(name, other) in wanted:
                    return other
        return None


def _shortened(name: str) -> list[str]:
    """The name, and the name with each of its letters left out; not its digits, in which no slip is looked for."""
    if len(name) > LONGEST:
        return []
    return list(dict.fromkeys([name, *(name[:k] + name[k + 1 :] for k, c in enumerate(name) if c.isalpha())]))
