"""Prefix: what a hypothesis has to begin with, down to the letters of a word that is not yet typed to its end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from recurra.checks import as_whole_number
from recurra.errors import SettingError

__all__ = ["PartialWord", "Prefix"]


class PartialWord:
    """Which subwords may follow a prefix that ends inside a word: those that write the letters typed, whole or in part.

    A subword that writes only some of the letters is allowed where the rest of them can be written too.

    Args:
        pieces: What each of the V tokens writes, as it stands in the text; empty for one that writes nothing.
        typed: The letters that have to come first.

    Raises:
        SettingError: No sequence of subwords begins with these letters.

    Attributes:
        longest: The most subwords that they may take, one a letter.

    Example:
        >>> pieces = ["", " house", " h", "ou", "s", " home", " dog"]
        >>> allowed = PartialWord(pieces, " ho")
        >>> [piece for piece, may in zip(pieces, allowed(()), strict=True) if may]
        [' house', ' h', ' home']
        >>> [piece for piece, may in zip(pieces, allowed((2,)), strict=True) if may]
        ['ou']
        >>> allowed((2, 3)) is None  # the letters are written, and anything may follow
        True
    """

    def __init__(self, pieces: Sequence[str], typed: str) -> None:
        self._pieces, self._typed = pieces, typed
        self.longest = len(typed)
        # From the end of the letters backwards: which tokens may stand where so many letters remain to be written.
        self._masks: list[Tensor] = []
        for remaining in range(1, len(typed) + 1):
            rest = typed[len(typed) - remaining :]
            writes = [
                piece.startswith(rest)
                or (piece != "" and rest.startswith(piece) and self._ends(remaining - len(piece)))
                for piece in pieces
            ]
            self._masks.append(torch.tensor(writes, dtype=torch.bool))
        if typed and not self._masks[-1].any():
            raise SettingError(f"no sequence of the {len(pieces)} subwords begins with {typed!r}; leave letters out")

    def _ends(self, remaining: int) -> bool:
        """Whether the last letters, so many, can be written."""
        return bool(self._masks[remaining - 1].any())

    def __call__(self, following: tuple[int, ...]) -> Tensor | None:
        """Which tokens may be next, (V,), after some that followed the prefix; None once the letters are written."""
        remaining = len(self._typed) - sum(len(self._pieces[token]) for token in following)
        return self._masks[remaining - 1] if remaining > 0 else None


@dataclass(frozen=True, eq=False)
class Prefix:
    """What every hypothesis of a source begins with.

    Args:
        tokens: The ids that it begins with.
        allowed: What may follow them: True for a token that may be the next, (V,); or the letters of a word that have
            to be written. None for anything.

    Raises:
        SettingError: A token is no id.
    """

    tokens: tuple[int, ...] = ()
    allowed: Tensor | PartialWord | None = None

    def __post_init__(self) -> None:
        for token in self.tokens:
            if (number := as_whole_number(token)) is None or number < 0:
                raise SettingError(f"the token {token!r} of a prefix is no id; ids are whole numbers, 0 or more")

    @property
    def longest(self) -> int:
        """The most tokens that may go by until anything may come."""
        if isinstance(self.allowed, PartialWord):
            return len(self.tokens) + self.allowed.longest
        return len(self.tokens) + (self.allowed is not None)

    def after(self, following: tuple[int, ...]) -> Tensor | None:
        """What may come next after the tokens that follow the prefix; None for anything."""
        if isinstance(self.allowed, PartialWord):
            return self.allowed(following)
        return None if following else self.allowed
