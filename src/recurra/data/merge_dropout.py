"""Byte pairs of which some merges are left out at random, so that a word is read in many ways."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence

__all__ = ["MergeDropout"]


class MergeDropout:
    """Cuts words into pieces as byte pairs do, but for merges that are left out at random (BPE-dropout).

    Each time that the most frequent pair of neighbours is merged, every pair is out of the question at a rate of its
    own; when all are, the word stays as it is cut. At rate 0 that is what byte pairs do. Provilkov, Emelianenko and
    Voita, "BPE-dropout: simple and effective subword regularization", ACL 2020.

    Args:
        merges: The pairs that are merged, the most frequent first.

    Example:
        >>> cut = MergeDropout([("l", "o"), ("lo", "w"), ("e", "r"), ("low", "er")])
        >>> cut("lower", 0.0, random.Random(0)), cut("lower", 0.5, random.Random(1))
        (['lower'], ['lo', 'w', 'er'])
    """

    def __init__(self, merges: Iterable[Sequence[str]]) -> None:
        self._ranks: Mapping[tuple[str, str], int] = {(left, right): rank for rank, (left, right) in enumerate(merges)}

    def __call__(self, word: str, rate: float, draw: random.Random) -> list[str]:
        """The pieces of a word.

        Args:
            word: The word, in the signs that the merges are spelled in.
            rate: How often a merge is left out, from 0 to 1.
            draw: What is drawn from.
        """
        pieces, rank_of, drawn = list(word), self._ranks.get, draw.random
        while len(pieces) > 1:
            best, place = None, 0
            for index in range(len(pieces) - 1):
                rank = rank_of((pieces[index], pieces[index + 1]))
                # Only what would be merged is drawn for: that leaves the chances as they are.
                if rank is not None and (best is None or rank < best) and drawn() >= rate:
                    best, place = rank, index
            if best is None:
                break
            pieces[place : place + 2] = [pieces[place] + pieces[place + 1]]
        return pieces
