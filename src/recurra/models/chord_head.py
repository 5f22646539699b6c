"""The chord head: the notes of a chord one after another, from low to high, so that chords have probabilities."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recurra.checks import whole_number
from recurra.nn.dropout import Dropout, check_rate

__all__ = ["ChordHead", "PartialChords"]


class PartialChords(NamedTuple):
    """Chords of which the lower notes are chosen.

    Attributes:
        frame: Which of the frames each belongs to, (M,).
        notes: The keys chosen so far, (M, K), 0 or 1.
        last: The highest of them, (M,); -1 where none is.
    """

    frame: Tensor
    notes: Tensor
    last: Tensor


class ChordHead(nn.Module):
    """A distribution over whole chords: from low to high the next note, or the end of the chord.

        p(x<t>) = product over its notes n<1> < n<2> < ... of p(n<i> | n<1..i-1>) times p(end | all of them)
        z       = U c<t> + E n<1..i-1> + L n<i-1> + R (the last frames and n<1..i-1>, seen from n<i-1>)
        s       = dropout(relu(z)), then s + relu(M s)
        logit k = O[k] s + V[k] c<t> + Q[k - n<i-1>] s + (G s) . x<t-1..t-P>[k]    k > n<i-1>, or the end

    The probabilities of all 2^K chords sum to 1, and a chord takes as many steps as it has notes. What is seen from the
    last note, and the logits by the interval from it, have the same weights wherever the note is, so that a way of
    leading voices that is learned in one key is known in all. Before the first note the lowest of the frame before
    stands for the last. Chords as a sequence of notes: Walder, "Modelling symbolic music: beyond the piano roll", 2016;
    distributions over chords: Boulanger-Lewandowski, Bengio and Vincent, ICML 2012.

    Args:
        context: The width of what is known of the frames before, c<t>.
        keys: K, how many keys there are.
        size: D, the width of the hidden layer.
        history: P, how many frames before are seen from the last note, 1 or more.
        window: How many keys are seen on each side of it.
        dropout: Rate of dropout in the hidden layer.

    Raises:
        SettingError: A size or a rate is impossible.

    Example:
        >>> head = ChordHead(context=4, keys=3, size=5, history=1, window=2)
        >>> chords = torch.tensor([[k >> 2 & 1, k >> 1 & 1, k & 1] for k in range(8)]).float()
        >>> context, history = torch.randn(1, 4).expand(8, 4), torch.ones(8, 1, 3)
        >>> round(head.log_probability(context, history, chords).exp().sum().item(), 5)
        1.0
    """

    name = "whole chords"

    def __init__(
        self, context: int, keys: int, size: int = 200, history: int = 2, window: int = 24, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.keys, self.history = whole_number("keys", keys, 1), whole_number("history", history, 1)
        self.window, size = whole_number("window", window, 1), whole_number("size", size, 1)
        self.by_context = nn.Linear(context, size)
        self.by_notes = nn.Parameter(torch.randn(keys, size) * 0.05)
        self.by_last = nn.Parameter(torch.randn(keys + 1, size) * 0.05)  # its last row: no note is chosen yet
        self.by_surroundings = nn.Linear((history + 1) * (2 * window + 1), size, bias=False)
        self.dropout = Dropout(check_rate("dropout", dropout))
        self.hidden = nn.Linear(size, size)
        self.readout = nn.Linear(size, keys + 1)
        self.by_context_alone = nn.Linear(context, keys + 1, bias=False)
        self.by_interval = nn.Linear(size, 2 * window + 1, bias=False)
        self.by_history = nn.Linear(size, history)  # how much a key that sounded is likely to sound
        nn.init.zeros_(self.by_history.weight)
        nn.init.zeros_(self.by_history.bias)

    def begin_at_(self, shares: Tensor) -> None:
        """Begin with the shares of frames in which each key sounds.

        Args:
            shares: (K,), each between 0 and 1.
        """
        with torch.no_grad():
            self.readout.bias.copy_(torch.cat([shares, shares.new_ones(1)]).log())

    def start(self, context: Tensor) -> PartialChords:
        """Chords without a note yet, one for each frame.

        Args:
            context: What is known of the frames before, (N, C).
        """
        rows = len(context)
        frame = torch.arange(rows, device=context.device)
        return PartialChords(frame, context.new_zeros(rows, self.keys), torch.full_like(frame, -1))

    def next_logits(self, context: Tensor, history: Tensor, partial: PartialChords) -> Tensor:
        """The logits of what comes next in chords: a higher key, or last the end.

        Args:
            context: What is known of the frames before, (N, C).
            history: The last P frames, the last one first, (N, P, K).
            partial: What is chosen so far, of M chords.

        Returns:
            (M, K + 1), minus infinity for keys that are not higher than the last.
        """
        frame, notes, last = partial
        first = last < 0
        centre = torch.where(first, self._lowest(history)[frame], last)
        wide = self.window
        before = F.pad(history, (wide, wide)).unfold(2, 2 * wide + 1, 1)[frame, :, centre]
        chosen = F.pad(notes, (wide, wide)).unfold(1, 2 * wide + 1, 1)[torch.arange(len(notes)), centre]
        surroundings = torch.cat([before.flatten(1), chosen], 1)
        # A last note of -1 is the last row.
        hidden = self.by_context(context)[frame] + notes @ self.by_notes + self.by_last[last]
        hidden = self.dropout(F.relu(hidden + self.by_surroundings(surroundings)))
        hidden = hidden + F.relu(self.hidden(hidden))
        logits = self.readout(hidden) + self.by_context_alone(context)[frame]
        intervals = F.pad(self.by_interval(hidden), (1, 1))  # what lies outside the window has none
        numbers = torch.arange(self.keys, device=last.device)
        at = (numbers - centre[:, None] + wide + 1).clamp(0, 2 * wide + 2)
        kept = torch.bmm(self.by_history(hidden)[:, None], history[frame])[:, 0]
        logits = logits + F.pad(intervals.gather(1, at) + kept, (0, 1))
        past = F.pad(numbers <= last[:, None], (0, 1))
        masked: Tensor = logits.masked_fill(past, -torch.inf)
        return masked

    def note_log_probabilities(self, context: Tensor, history: Tensor, chords: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The log-probability of each note of chords, and of their ends.

        Args:
            context: What is known of the frames before, (N, C).
            history: The last P frames, the last one first, (N, P, K).
            chords: Which keys sound, (N, K), 0 or 1.

        Returns:
            Of the M notes and ends, in the order of the frames: the frame; the key, or K for the end; and the natural
            logarithm. Each (M,).
        """
        partial, choices = self._steps(chords)
        logits = self.next_logits(context, history, partial)
        each = -F.cross_entropy(logits, choices, reduction="none")
        return partial.frame, choices, each

    def log_probability(self, context: Tensor, history: Tensor, chords: Tensor) -> Tensor:
        """The log-probability of what sounds in each frame.

        Args:
            context: What is known of the frames before, (N, C).
            history: The last P frames, the last one first, (N, P, K).
            chords: Which keys sound, (N, K), 0 or 1.

        Returns:
            Natural logarithms, (N,).
        """
        frame, _, each = self.note_log_probabilities(context, history, chords)
        return each.new_zeros(len(chords)).index_add(0, frame, each)

    def _steps(self, chords: Tensor) -> tuple[PartialChords, Tensor]:
        """Every step in which chords are chosen, and what is chosen in it, in the order of the frames."""
        frame, note = chords.nonzero(as_tuple=True)  # by frame, in it from low to high
        counts = chords.sum(1).long()
        begin = (counts + 1).cumsum(0) - (counts + 1)
        frames = torch.repeat_interleave(torch.arange(len(chords), device=chords.device), counts + 1)
        within = torch.arange(len(note), device=chords.device) - (counts.cumsum(0) - counts)[frame]
        choices = torch.full_like(frames, self.keys)
        choices[begin[frame] + within] = note
        last = torch.full_like(choices, -1)
        last[1:] = choices[:-1]
        last[begin] = -1
        keys = torch.arange(self.keys, device=chords.device)
        return PartialChords(frames, chords[frames] * (keys <= last[:, None]), last), choices

    def _lowest(self, history: Tensor) -> Tensor:
        """The lowest key of the frame before; the middle one where it has none."""
        before = history[:, 0]
        return torch.where(before.any(1), before.argmax(1), self.keys // 2)
