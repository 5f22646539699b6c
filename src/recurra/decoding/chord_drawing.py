"""Drawing frames of music, with keys that may, must or must not sound."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from recurra.decoding.drawing import SamplingSettings, filter_logits
from recurra.errors import RunError, SettingError

__all__ = ["FrameMask", "NextNote", "draw_chords", "draw_keys"]

LEAST_TEMPERATURE = 1e-6
"""What stands for a temperature of 0 where keys are independent."""


class FrameMask(NamedTuple):
    """What a frame may be, for each of N rows.

    Attributes:
        may: Whether each key may sound, (N, K).
        must: Whether each key must sound, (N, K); whatever must may.
        least: The fewest notes, (N,).
        most: The most notes, (N,).
        barred: A chord, (N, K).
        bars: Whether that one must not be, (N,).
    """

    may: Tensor
    must: Tensor
    least: Tensor
    most: Tensor
    barred: Tensor
    bars: Tensor

    @classmethod
    def anything(cls, rows: int, keys: int) -> FrameMask:
        """A mask that every frame keeps to."""
        return cls(
            torch.ones(rows, keys, dtype=torch.bool),
            torch.zeros(rows, keys, dtype=torch.bool),
            torch.zeros(rows, dtype=torch.int64),
            torch.full((rows,), keys),
            torch.zeros(rows, keys, dtype=torch.bool),
            torch.zeros(rows, dtype=torch.bool),
        )

    def bars_what_is_allowed(self) -> Tensor:
        """Whether the chord that must not be is one that the rest of the mask allows, (N,)."""
        count = self.barred.sum(1)
        fits = (self.barred <= self.may).all(1) & (self.must <= self.barred).all(1)
        return self.bars & fits & (self.least <= count) & (count <= self.most)


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
        _check_numbers(logits)
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
    numbers = torch.arange(mask.may.shape[1])
    count = notes.sum(1).long()[:, None]
    higher = numbers > last[:, None]
    may, required = mask.may & higher, mask.must & higher
    passes_none = _before(required) == 0
    # How many required notes and how many others can follow each key.
    required_above = _above(required)
    others_above = _above(may) - required_above
    chords = _number_of_chords(
        others_above,
        mask.least[:, None] - count - 1 - required_above,
        mask.most[:, None] - count - 1 - required_above,
    )
    end = (count >= mask.least[:, None]) & (count <= mask.most[:, None]) & ~required.any(1, keepdim=True)
    barred = mask.bars_what_is_allowed()[:, None] & (notes.bool() == (mask.barred & ~higher)).all(1, keepdim=True)
    rest = mask.barred & higher
    next_barred = barred & rest & (_before(rest) == 0)
    chords = chords - next_barred.long()
    end &= ~(barred & ~rest.any(1, keepdim=True))
    return torch.cat([may & passes_none & (chords > 0), end], 1)


def _before(marks: Tensor) -> Tensor:
    """How many marks stand before each place of a row."""
    return marks.long().cumsum(1) - marks.long()


def _above(marks: Tensor) -> Tensor:
    """How many marks stand after each place of a row."""
    return marks.long().sum(1, keepdim=True) - marks.long().cumsum(1)


def _number_of_chords(keys: Tensor, least: Tensor, most: Tensor) -> Tensor:
    """How many sets of so many keys have a number of members between two numbers: 0, 1, or 2 for any larger number."""
    least, most = least.clamp(min=0), torch.minimum(most, keys)
    alone = (least == most) & ((least == 0) | (least == keys))
    number = torch.where(alone, 1, 2)
    return torch.where(least > most, 0, number)


def draw_keys(
    logits: Tensor, mask: FrameMask, settings: SamplingSettings, draws: Sequence[torch.Generator]
) -> tuple[Tensor, Tensor]:
    """Frames of independent keys, given that they are allowed.

    Of what is left after the mask a number of notes between the fewest and the most is drawn exactly: with W<k>[c] the
    probability that the keys from k on bring c notes to a number that is allowed, key k sounds with the probability
    p<k> W<k+1>[c+1] / W<k>[c]. As long as the keys are those of a chord that must not be, the sums leave that one out.

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
    _check_numbers(logits)
    rows, keys = logits.shape
    sharp = logits.double() / max(settings.temperature, LEAST_TEMPERATURE)
    # What may not sound has log-odds so low that no count comes of it, and what must sound so high.
    log_on = F.logsigmoid(sharp).masked_fill(~mask.may, -torch.inf).masked_fill(mask.must, 0)
    log_off = F.logsigmoid(-sharp).masked_fill(~mask.may, 0).masked_fill(mask.must, -torch.inf)
    numbers = torch.stack([torch.rand(keys, generator=draw, dtype=torch.float64) for draw in draws])
    every, barred = torch.arange(rows), mask.barred
    fit = _log_fits(log_on, log_off, mask)
    other = _log_others(log_on, log_off, fit, barred)
    frames, count = torch.zeros(rows, keys), torch.zeros(rows, dtype=torch.int64)
    like = mask.bars_what_is_allowed()
    for key in range(keys):
        with_key = torch.where(like & barred[:, key], other[key + 1], fit[key + 1, every, count + 1])
        whole = torch.where(like, other[key], fit[key, every, count])
        sounds = numbers[:, key] < (log_on[:, key] + with_key - whole).exp()
        frames[:, key] = sounds.float()
        count += sounds
        like = like & (sounds == barred[:, key])
    each = -F.binary_cross_entropy_with_logits(logits, frames, reduction="none").sum(1)
    return frames, each


def _log_fits(log_on: Tensor, log_off: Tensor, mask: FrameMask) -> Tensor:
    """How probable it is that the keys from each on bring a number of notes to one that is allowed.

    Returns:
        Natural logarithms, (K + 1, N, K + 2).
    """
    rows, keys = log_on.shape
    counts = torch.arange(keys + 1)
    fits = (counts >= mask.least[:, None]) & (counts <= mask.most[:, None])
    fit = torch.full((keys + 1, rows, keys + 2), -torch.inf, dtype=torch.float64)
    fit[keys, :, :-1] = torch.zeros(rows, keys + 1, dtype=torch.float64).masked_fill(~fits, -torch.inf)
    for key in range(keys - 1, -1, -1):
        fit[key, :, :-1] = torch.logaddexp(
            log_on[:, key, None] + fit[key + 1, :, 1:], log_off[:, key, None] + fit[key + 1, :, :-1]
        )
    return fit


def _log_others(log_on: Tensor, log_off: Tensor, fit: Tensor, chord: Tensor) -> Tensor:
    """The same after the lower keys of one chord, that chord left out.

    Returns:
        Natural logarithms, (K + 1, N).
    """
    rows, keys = log_on.shape
    every, before = torch.arange(rows), _before(chord)
    other = torch.full((keys + 1, rows), -torch.inf, dtype=torch.float64)
    for key in range(keys - 1, -1, -1):
        sounds = chord[:, key]
        count = before[:, key]
        with_key = torch.where(sounds, other[key + 1], fit[key + 1, every, count + 1])
        without = torch.where(sounds, fit[key + 1, every, count], other[key + 1])
        other[key] = torch.logaddexp(log_on[:, key] + with_key, log_off[:, key] + without)
    return other


def _check(mask: FrameMask) -> None:
    """Refuse a mask that allows nothing."""
    required = mask.must.sum(1)
    possible = (mask.must <= mask.may).all(1)
    chords = _number_of_chords(mask.may.sum(1) - required, mask.least - required, mask.most - required)
    possible &= chords > mask.bars_what_is_allowed().long()
    if not possible.all():
        raise SettingError(f"row {int((~possible).nonzero()[0])} of a frame allows no chord; allow more keys")


def _check_numbers(logits: Tensor) -> None:
    if logits.isnan().any():
        raise RunError(
            "the model's logits are not numbers, as after training that diverged; train again with a lower learning "
            "rate or gradients clipped"
        )


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
