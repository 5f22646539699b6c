"""Constraints: which tag may follow which, so that what is decoded always writes spans."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

__all__ = ["TagConstraints", "iobes_constraints"]


class TagConstraints(NamedTuple):
    """What tags are allowed where; True for yes.

    Attributes:
        transitions: Which tag may follow which, (K, K), the previous tag first.
        starts: Which tags a sequence may begin with, (K,).
        ends: Which tags a sequence may end with, (K,).
    """

    transitions: Tensor
    starts: Tensor
    ends: Tensor


def iobes_constraints(tags: Sequence[str]) -> TagConstraints:
    """The constraints of IOBES: a span is S, or B, any number of I, and E, all of one type.

    Args:
        tags: The K tags, O among them.

    Example:
        >>> iobes_constraints(["O", "B-X", "E-X"]).transitions.tolist()
        [[True, True, False], [False, False, True], [True, True, False]]
    """
    prefixes = [tag[0] for tag in tags]
    types = [tag[2:] for tag in tags]
    transitions = torch.zeros(len(tags), len(tags), dtype=torch.bool)
    for before in range(len(tags)):
        for after in range(len(tags)):
            is_open = prefixes[before] in "BI"
            continues = prefixes[after] in "IE" and types[after] == types[before]
            transitions[before, after] = continues if is_open else prefixes[after] in "OBS"
    starts = torch.tensor([prefix in "OBS" for prefix in prefixes])
    ends = torch.tensor([prefix in "OES" for prefix in prefixes])
    return TagConstraints(transitions, starts, ends)
