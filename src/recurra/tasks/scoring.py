"""The probabilities of many rows of tokens, those of like length read side by side."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from recurra.data import IGNORED
from recurra.data.batching import batches_by_length
from recurra.decoding import sequence_log_probabilities
from recurra.models import LanguageModel

__all__ = ["log_probabilities"]

ROWS, MOST_LOGITS = 256, 1 << 23
"""What is read at once has no more rows, and no more logits, than these, so that memory does not grow with the rows."""


@torch.no_grad()
def log_probabilities(model: LanguageModel, rows: Sequence[Sequence[int]], chunk: int) -> list[list[float]]:
    """The log-probability of each token but the first of each row, given those before it.

    Args:
        model: The model.
        rows: Tokens, two or more in each.
        chunk: How many steps are read at once.

    Returns:
        Natural logarithms, in the order of the rows.
    """
    device = next(model.parameters()).device
    lengths = torch.tensor([len(row) - 1 for row in rows])
    most = max(chunk, MOST_LOGITS // model.vocabulary_size)
    # Of what is longer than a chunk, only a chunk is read at once.
    order = batches_by_length(lengths.clamp(max=chunk), ROWS, torch.Generator(), shuffle=False, max_steps=most)
    found: list[list[float]] = [[] for _ in rows]
    for members in order:
        longest = max(len(rows[member]) for member in members)
        # Padding comes after a row's own tokens, and so changes nothing that counts.
        padded = torch.tensor([[*rows[member], *[0] * (longest - len(rows[member]))] for member in members])
        tokens, ends = padded.to(device), lengths[members].to(device)[:, None]
        state = None
        for first in range(0, longest - 1, chunk):
            last = min(first + chunk, longest - 1)
            logits, state = model(tokens[:, first:last], state)
            counts = torch.arange(first, last, device=device) < ends
            targets = tokens[:, first + 1 : last + 1].masked_fill(~counts, IGNORED)
            scores = sequence_log_probabilities(logits, targets).tolist()
            for member, row in zip(members, scores, strict=True):
                found[member] += row[: max(0, len(rows[member]) - 1 - first)]
    return found
