"""Changes of a text by which the behaviour of a classifier is told: some should not matter to it, and some should.

Ribeiro, Wu, Guestrin and Singh, "Beyond accuracy: behavioral testing of NLP models with CheckList", ACL 2020, whose
invariance and directional expectation tests these are.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from dataclasses import dataclass

from recurra.data.tokens import Token, tokenise

__all__ = ["PERTURBATIONS", "Perturbation"]

NAMES_OF_MEN = (
    "Andrew Anthony Benjamin Brandon Brian Charles Christopher Daniel David Edward Eric George Gregory James Jason "
    "Jeffrey Jonathan Joseph Joshua Justin Kenneth Kevin Larry Matthew Michael Nicholas Paul Richard Robert Ronald "
    "Ryan Samuel Stephen Steven Thomas Timothy"
)
NAMES_OF_WOMEN = (
    "Amanda Amy Angela Anna Ashley Barbara Betty Brenda Cynthia Deborah Donna Elizabeth Emily Emma Helen Jennifer "
    "Jessica Karen Kathleen Kimberly Laura Linda Lisa Margaret Mary Melissa Michelle Nancy Nicole Pamela Patricia "
    "Rebecca Samantha Sandra Sarah Sharon Stephanie Susan"
)
MEN, WOMEN = frozenset(NAMES_OF_MEN.split()), frozenset(NAMES_OF_WOMEN.split())
"""Frequent first names that are no other words of English."""

MARKS = frozenset(".,;:!?…")
"""What is left out as punctuation, alone or repeated."""

VERB = re.compile(
    r"\b(?:is|are|was|were|can|could|will|would|should)\b(?!\s+(?:not|never|no|n['’]t)\b|['’])", re.IGNORECASE
)
"""A verb that takes "not" after it, where it has none."""

LONG = 4
"""Letters of the shortest word that is misspelled."""


@dataclass(frozen=True)
class Perturbation:
    """A change of texts.

    Args:
        name: What is done, in a few words.
        matters: Whether the answer should be another one after it.
        apply: From a text and what is drawn from, the changed text; None where there is nothing to change.
    """

    name: str
    matters: bool
    apply: Callable[[str, random.Random], str | None]

    def __call__(self, text: str, seed: int) -> str | None:
        """The changed text, the same for a text and a seed whatever else is changed; None if it is no other text."""
        changed = self.apply(text, random.Random(f"{seed} {self.name} {text}"))
        return None if changed == text else changed


def _spaced(text: str, draw: random.Random) -> str:
    return f"  {'  '.join(text.split())} \n"


def _misspelled(text: str, draw: random.Random) -> str | None:
    """Two neighbouring letters of one word are swapped."""
    swaps = [
        first
        for token in tokenise(text)
        if token.text.isalpha() and len(token.text) >= LONG
        for first in range(token.start, token.end - 1)
        if text[first] != text[first + 1]
    ]
    if not swaps:
        return None
    first = draw.choice(swaps)
    return text[:first] + text[first + 1] + text[first] + text[first + 2 :]


def _renamed(text: str, draw: random.Random) -> str | None:
    """Each first name becomes another one, the same wherever it comes; in a text without capitals any case will do."""
    others: dict[str, str] = {}

    def renamed(token: Token) -> str:
        name = token.text.title()
        names = next((names for names in (MEN, WOMEN) if name in names), None)
        if names is None or (token.text.islower() and text != text.lower()):
            return token.text
        if name not in others:
            others[name] = draw.choice(sorted(names - {name}))
        other = others[name]
        return other.lower() if token.text.islower() else other.upper() if token.text.isupper() else other

    return _rewritten(text, renamed)


def _unpunctuated(text: str, draw: random.Random) -> str | None:
    """Stops, commas and the like are left out, with the white space before them."""
    return _rewritten(text, lambda token: None if MARKS.issuperset(token.text) else token.text)


def _rewritten(text: str, rewrite: Callable[[Token], str | None]) -> str | None:
    """A text whose tokens are others; one that is None goes with the white space before it. None for an empty one."""
    pieces, end = [], 0
    for token in tokenise(text):
        word = rewrite(token)
        pieces += [] if word is None else [text[end : token.start], word]
        end = token.end
    return "".join([*pieces, text[end:]]) or None


def _negated(text: str, draw: random.Random) -> str | None:
    """The first verb that can be is denied: "is" becomes "is not"."""
    verb = VERB.search(text)
    if verb is None:
        return None
    shouted = verb[0].isupper() and text.isupper()
    return f"{text[: verb.end()]} {'NOT' if shouted else 'not'}{text[verb.end() :]}"


PERTURBATIONS = (
    Perturbation("white space doubled, a line end added", False, _spaced),
    Perturbation("in capitals", False, lambda text, draw: text.upper()),
    Perturbation("in lower case", False, lambda text, draw: text.lower()),
    Perturbation("two letters of a word swapped", False, _misspelled),
    Perturbation("first names exchanged", False, _renamed),
    Perturbation("punctuation left out", False, _unpunctuated),
    Perturbation('negated: "is" becomes "is not"', True, _negated),
)
"""All changes, those that should not matter first."""
