"""Drawing frames of music, with keys that may, must or must not sound."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from recurra.decoding.drawing import SamplingSettings, filter_logits
from recurra.errors import SettingError

__all__ = ["FrameMask", "NextNote", "draw_chords", "draw_keys"]


class FrameMask(NamedTuple):
    """What a frame may be, for each of N rows.

    Attributes:
        may: Whether each key may sound, (N, K).
        must: Whether each key must sound, (N, K); whatever must may.
        least: The fewest notes, (N,).
        most: The most notes, (N,).
    """

    may: Tensor
    must: Tensor
    least: Tensor
    most: Tensor

    @classmethod
    def anything(cls, rows: int, keys: int) -> FrameMask:
        """A mask that every frame keeps to."""
        return cls(
            torch.ones(rows, keys, dtype=torch.bool),
            torch.zeros(rows, keys, dtype=torch.bool),
            torch.zeros(rows, dtype=torch.int64),
            torch.full((rows,), keys),
        )


class NextNote(Protocol):
    """What gives the logits of the next note of chords."""

    def __call__(self, notes: Tensor, last: Tensor) -> Tensor:
        """The logits (N, K + 1) of the next key, or last the end, minus infinity for keys that are not higher.

        Args:
            notes: The keys chosen so far, (N, K), 0 or 1.
            last: The highest of them, (N,); -1 where none is.
        """


def draw_chords(
    next_note: NextNote, mask: FrameMask, settings: SamplingSettings, draws: Sequence[torch.Generator]
) -> tuple[Tensor, Tensor]:
    """Chords note by note from low to high, each note from those from which a chord can be reached that is allowed.

    What is drawn is p(note | lower notes), with whatever leads to no allowed chord left out and the rest divided by
    their sum: required keys are not passed over, and a chord ends once it has its notes.

    Args:
        next_note: The model.
        mask: What is allowed of each of N rows.
        settings: Temperature, top-k and top-p, of each note.
        draws: Where the numbers of each row come from; a row depends on its own alone.

    Returns:
        The chords (N, K), 0 or 1, and the natural logarithm of the probability of each by the model itself, (N,).

    Raises:
        SettingError: No chord is allowed.
    """
    rows, keys = mask.may.shape
    _check(mask)
    notes, last = torch.zeros(rows, keys), torch.full((rows,), -1)
    total, open_ = torch.zeros(rows), torch.ones(rows, dtype=torch.bool)
    while open_.any():
        logits = next_note(notes, last)
        allowed = _next_allowed(mask, notes, last)
        chosen = _drawn(logits.masked_fill(~allowed, -torch.inf), settings, draws, open_)
        each = logits.log_softmax(1).gather(1, chosen[:, None])[:, 0]
        total = torch.where(open_, total + each, total)
        open_ = open_ & (chosen < keys)
        goes_on = open_.nonzero()[:, 0]
        notes[goes_on, chosen[goes_on]] = 1
        last[goes_on] = chosen[goes_on]
    return notes, total


def _next_allowed(mask: FrameMask, notes: Tensor, last: Tensor) -> Tensor:
    """Which keys, or the end, lead to a chord that is allowed, (N, K + 1)."""
    keys = mask.may.shape[1]
    numbers = torch.arange(keys)
    count = notes.sum(1).long()[:, None]
    higher = numbers > last[:, None]
    required = mask.must & higher
    # How many may and must sound above each key.
    above = (mask.may & higher).long().flip(1).cumsum(1).flip(1) - (mask.may & higher).long()
    required_above = required.long().flip(1).cumsum(1).flip(1) - required.long()
    passes_none = required.long().cumsum(1) - required.long() == 0
    allowed = (
        mask.may
        & higher
        & passes_none
        & (count + 1 + above >= mask.least[:, None])
        & (count + 1 + required_above <= mask.most[:, None])
    )
    end = (count >= mask.least[:, None]) & ~required.any(1, keepdim=True)
    return torch.cat([allowed, end], 1)


def draw_keys(
    logits: Tensor, mask: FrameMask, settings: SamplingSettings, draws: Sequence[torch.Generator]
) -> tuple[Tensor, Tensor]:
    """Frames of independent keys, given that they are allowed.

    Of what is left after the mask a number of notes between the fewest and the most is drawn exactly: with W<k>[c] the
    probability that the keys from k on bring c notes to a number that is allowed, key k sounds with the probability
    p<k> W<k+1>[c+1] / W<k>[c].

    Args:
        logits: The log-odds of each key, (N, K).
        mask: What is allowed.
        settings: The temperature; at 0 each key is as it is more probable, as far as the mask and the numbers allow.
        draws: Where the numbers of each row come from.

    Returns:
        The frames (N, K), 0 or 1, and the natural logarithm of the probability of each by the model itself, (N,).

    Raises:
        SettingError: No frame is allowed, or top-k or top-p are asked for.
    """
    if settings.top_k is not None or settings.top_p not in (None, 1):
        raise SettingError(
            "--top-k and --top-p are of a model of whole chords, and its keys are independent: leave "
            "them out, or lower the --temperature"
        )
    _check(mask)
    rows, keys = logits.shape
    sharp = logits.double() / max(settings.temperature, 1e-6)
    # What may not sound has log-odds so low that no count comes of it, and what must sound so high.
    log_on = torch.nn.functional.logsigmoid(sharp).masked_fill(~mask.may, -torch.inf).masked_fill(mask.must, 0)
    log_off = torch.nn.functional.logsigmoid(-sharp).masked_fill(~mask.may, 0).masked_fill(mask.must, -torch.inf)
    counts = torch.arange(keys + 1)
    reach = torch.empty(keys + 1, rows, keys + 2, dtype=torch.float64)
    fits = (counts >= mask.least[:, None]) & (counts <= mask.most[:, None])
    reach[keys] = -torch.inf
    reach[keys, :, :-1] = torch.zeros(rows, keys + 1, dtype=torch.float64).masked_fill(~fits, -torch.inf)
    for key in range(keys - 1, -1, -1):
        reach[key] = -torch.inf
        reach[key, :, :-1] = torch.logaddexp(
            log_on[:, key, None] + reach[key + 1, :, 1:], log_off[:, key, None] + reach[key + 1, :, :-1]
        )
    frames, count = torch.zeros(rows, keys), torch.zeros(rows, dtype=torch.int64)
    numbers = torch.stack([torch.rand(keys, generator=draw, dtype=torch.float64) for draw in draws])
    every = torch.arange(rows)
    for key in range(keys):
        share = (log_on[:, key] + reach[key + 1, every, count + 1] - reach[key, every, count]).exp()
        sounds = numbers[:, key] < share
        frames[:, key] = sounds.float()
        count += sounds
    each = -torch.nn.functional.binary_cross_entropy_with_logits(logits, frames, reduction="none").sum(1)
    return frames, each


def _check(mask: FrameMask) -> None:
    """Refuse a mask that allows nothing."""
    possible = (mask.must <= mask.may).all(1)
    possible &= (mask.must.sum(1) <= mask.most) & (mask.may.sum(1) >= mask.least) & (mask.least <= mask.most)
    if not possible.all():
        raise SettingError(f"row {int((~possible).nonzero()[0])} of a frame allows no chord; allow more keys")


def _drawn(logits: Tensor, settings: SamplingSettings, draws: Sequence[torch.Generator], open_: Tensor) -> Tensor:
    """An id for each row, from its own numbers; a row that has ended draws none."""
    chosen = torch.zeros(len(logits), dtype=torch.int64)
    for row in open_.nonzero()[:, 0].tolist():
        probabilities = filter_logits(logits[row : row + 1], settings)[0].double().softmax(0)
        number = torch.rand((), generator=draws[row], dtype=torch.float64)
        picked = int(torch.searchsorted(probabilities.cumsum(0), number, right=True))
        # Of rounding the sum may end below the number: then it is the last that has a probability.
        chosen[row] = min(picked, int(probabilities.nonzero()[-1]))
    return chosen
