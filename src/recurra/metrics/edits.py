"""Edits: what makes one sequence of another, aligned item by item."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Generic, Literal, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

__all__ = ["Edit", "EditKind", "align"]

T = TypeVar("T", bound=Hashable)

EditKind = Literal["equal", "substitution", "deletion", "insertion"]

WHOLE_TABLE = 2**24
"""For up to so many pairs of items the table of costs is held at once, 8 bytes a pair; of more, halves are aligned."""


class Edit(NamedTuple, Generic[T]):
    """A step from a reference to an answer.

    Args:
        kind: What is done: kept as it is, replaced, left out, or put in.
        reference: The item of the reference; None for an insertion.
        answer: The item of the answer; None for a deletion.
    """

    kind: EditKind
    reference: T | None
    answer: T | None


def align(reference: Sequence[T], answer: Sequence[T]) -> list[Edit[T]]:
    """The fewest edits that make the answer of the reference, in order; of those, edits that keep most items.

        D(i, j) = min(D(i-1, j-1) + [r<i> is not a<j>], D(i-1, j) + 1, D(i, j-1) + 1)

    Wagner and Fischer, "The string-to-string correction problem", 1974. What is too long for a table is cut in two
    where an optimal way passes (Hirschberg, "A linear space algorithm for computing maximal common subsequences",
    1975), so that memory grows with the length alone.

    Args:
        reference: The items that are right, such as words.
        answer: The items to compare with them.

    Returns:
        The edits; those that are not equal count the distance of Levenshtein.

    Example:
        >>> [edit.kind for edit in align("two dogs run".split(), "too dogs".split())]
        ['substitution', 'equal', 'deletion']
    """
    numbers: dict[T, int] = {}
    old = np.array([numbers.setdefault(item, len(numbers)) for item in reference], np.int64)
    new = np.array([numbers.setdefault(item, len(numbers)) for item in answer], np.int64)
    edits = []
    i = j = 0
    for kind in _kinds(old, new):
        before = reference[i] if kind != "insertion" else None
        after = answer[j] if kind != "deletion" else None
        edits.append(Edit(kind, before, after))
        i += kind != "insertion"
        j += kind != "deletion"
    return edits


Items = npt.NDArray[np.int64]


def _kinds(old: Items, new: Items) -> list[EditKind]:
    """The kinds of the edits of two numbered sequences."""
    if len(old) * len(new) <= WHOLE_TABLE or len(old) < 2:
        return _traced(old, new)
    middle = len(old) // 2
    # Where the way of least cost leaves the first half of the reference.
    edit = _edit_cost(old, new)
    onward = _costs(old[:middle], new, edit)[-1]
    back = _costs(old[middle:][::-1], new[::-1], edit)[-1]
    cut = int(np.argmin(onward + back[::-1]))
    return _kinds(old[:middle], new[:cut]) + _kinds(old[middle:], new[cut:])


def _edit_cost(old: Items, new: Items) -> int:
    """What an edit costs where an item that is kept saves 1: more than all of them can save.

    So of the ways of fewest edits the one wins that keeps most.
    """
    return min(len(old), len(new)) + 1


def _costs(old: Items, new: Items, edit: int, every: bool = False) -> list[Items]:
    """The cost of the best way from the beginning to each place of the answer, for the last row or for every one."""
    steps = edit * np.arange(len(new) + 1)
    row = steps
    rows = [row]
    for item in old:
        arriving = np.append(row[0] + edit, np.minimum(row[1:] + edit, row[:-1] + np.where(new == item, -1, edit)))
        # Insertions run along the row: the least of what arrived before, and an edit for each item since.
        row = np.minimum.accumulate(arriving - steps) + steps
        if every:
            rows.append(row)
    return rows if every else [row]


def _traced(old: Items, new: Items) -> list[EditKind]:
    """The edits on the best way through the whole table, from its end."""
    edit = _edit_cost(old, new)
    rows = _costs(old, new, edit, every=True)
    kinds: list[EditKind] = []
    i, j = len(old), len(new)
    while i or j:
        cost = rows[i][j]
        equal = i > 0 and j > 0 and old[i - 1] == new[j - 1]
        if equal and cost == rows[i - 1][j - 1] - 1:
            kinds.append("equal")
        elif i and j and cost == rows[i - 1][j - 1] + edit:
            kinds.append("substitution")
        elif i and cost == rows[i - 1][j] + edit:
            kinds.append("deletion")
        else:
            kinds.append("insertion")
        i -= kinds[-1] != "insertion"
        j -= kinds[-1] != "deletion"
    return kinds[::-1]
