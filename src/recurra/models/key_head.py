"""The independent head: each key of a frame for itself, given the frames before."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recurra.checks import whole_number

__all__ = ["KeyHead"]


class KeyHead(nn.Module):
    """Each key for itself: given the frames before, the keys of a frame are independent.

        z[k]     = relu(W * (x<t-1>, ..., x<t-P>)[k] + A c<t> + e[k])          * a convolution over keys
        z'[k]    = z[k] + relu(W' * z[k])
        l[k]     = V[k] c<t> + b[k] + w . z'[k] + (G c<t>) . x<t-1..t-P>[k]
        p(x<t>)  = product over k of sigmoid(l[k])^x<t>[k] (1 - sigmoid(l[k]))^(1 - x<t>[k])

    V is a model of each key (Boulanger-Lewandowski, Bengio and Vincent, "Modeling temporal dependencies in
    high-dimensional sequences", ICML 2012, call it RNN); the convolution has the same weights for every key, so that
    what is learned in one key is known in all.

    Args:
        context: The width of what is known of the frames before, c<t>.
        keys: K, how many keys there are.
        history: P, how many frames before are seen around each key; 0 for none.
        window: How many keys are seen on each side of a key.
        channels: How many features of a key there are.

    Raises:
        SettingError: A size is impossible.

    Example:
        >>> head = KeyHead(context=4, keys=3, history=1, window=2, channels=5)
        >>> chords = torch.tensor([[k >> 2 & 1, k >> 1 & 1, k & 1] for k in range(8)]).float()
        >>> context, history = torch.randn(1, 4).expand(8, 4), torch.ones(8, 1, 3)
        >>> round(head.log_probability(context, history, chords).exp().sum().item(), 5)
        1.0
    """

    name = "independent keys"

    def __init__(self, context: int, keys: int, history: int = 2, window: int = 24, channels: int = 32) -> None:
        super().__init__()
        self.keys, self.history = whole_number("keys", keys, 1), whole_number("history", history, 0)
        window, channels = whole_number("window", window, 1), whole_number("channels", channels, 1)
        self.readout = nn.Linear(context, keys)
        nn.init.normal_(self.readout.weight, std=0.3 * context**-0.5)
        if history:
            self.around = nn.Conv1d(history, channels, 2 * window + 1, padding=window)
            self.by_context = nn.Linear(context, channels)
            self.of_key = nn.Parameter(torch.randn(channels, keys) * 0.1)
            self.mixed = nn.Conv1d(channels, channels, 3, padding=1)
            self.to_logit = nn.Conv1d(channels, 1, 1)
            self.by_history = nn.Linear(context, history)  # how much a key that sounded is likely to sound
            nn.init.zeros_(self.by_history.weight)
            nn.init.zeros_(self.by_history.bias)

    def begin_at_(self, shares: Tensor) -> None:
        """Begin with the log-odds of the share of frames in which each key sounds.

        Left at 0, hundreds of steps would go into moving the biases of keys that nearly never sound.

        Args:
            shares: (K,), each between 0 and 1.
        """
        with torch.no_grad():
            self.readout.bias.copy_(torch.logit(shares))

    def logits(self, context: Tensor, history: Tensor) -> Tensor:
        """The log-odds of each key.

        Args:
            context: What is known of the frames before, (N, C).
            history: The last P frames, the last one first, (N, P, K).

        Returns:
            (N, K).
        """
        logits: Tensor = self.readout(context)
        if not self.history:
            return logits
        features = F.relu(self.around(history) + self.by_context(context)[:, :, None] + self.of_key)
        features = features + F.relu(self.mixed(features))
        by_features: Tensor = self.to_logit(features)
        kept = torch.bmm(self.by_history(context)[:, None], history)[:, 0]
        return logits + by_features[:, 0] + kept

    def log_probability(self, context: Tensor, history: Tensor, chords: Tensor) -> Tensor:
        """The log-probability of what sounds in each frame.

        Args:
            context: What is known of the frames before, (N, C).
            history: The last P frames, the last one first, (N, P, K).
            chords: Which keys sound, (N, K), 0 or 1.

        Returns:
            Natural logarithms, (N,).
        """
        logits = self.logits(context, history)
        return -F.binary_cross_entropy_with_logits(logits, chords, reduction="none").sum(1)

    def note_log_probabilities(self, context: Tensor, history: Tensor, chords: Tensor) -> Tensor:
        """The log-probability of each key as it is, sounding or not: (N, K)."""
        logits = self.logits(context, history)
        return -F.binary_cross_entropy_with_logits(logits, chords, reduction="none")
