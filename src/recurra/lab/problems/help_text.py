"""Help text: English that every Python carries, and ways to cut it."""

from __future__ import annotations

import re
from pydoc_data import topics

import torch

from recurra.data import split_validation
from recurra.lab.examples import Examples

__all__ = ["help_text", "windows", "words"]


def help_text(longest: int | None = None) -> tuple[str, str]:
    """Python's own help topics, in a part to train on and a part to test on, a tenth of the whole.

    The text changes with the version of Python, and what is measured on it a little, too.

    Args:
        longest: The most characters of the two together; None for all.
    """
    text = "\n\n".join(topics.topics[name] for name in sorted(topics.topics))
    return split_validation(text[:longest], 0.1)


def words(text: str) -> list[str]:
    """A text cut into words, each with the space before it; signs and white space are words too. None is lost.

    Example:
        >>> words("To be, or not")
        ['To', ' be', ',', ' or', ' not']
    """
    return re.findall(r" ?\w+|[^\w\s]|\s", text)


def windows(ids: torch.Tensor, count: int, length: int, random: torch.Generator) -> Examples:
    """Pieces of a text, from random places, to be answered by what comes next.

    Args:
        ids: The text (N,).
        count: B, how many.
        length: T, the steps of each.
        random: What the places are drawn from.

    Returns:
        Ids (B, T), and targets (B, T).
    """
    places = torch.randint(len(ids) - length, (count, 1), generator=random)
    cut = ids[places + torch.arange(length + 1)]
    return Examples(cut[:, :-1].contiguous(), cut[:, 1:].contiguous())
