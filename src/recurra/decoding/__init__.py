"""Decoding: from a model's logits to sequences and their probabilities. It knows logits only, and no model.

- `sampling`: novel sequences, by temperature, top-k and top-p
- `scoring`: the probability of a given sequence, perplexity, bits per character
- `calibration`: probabilities that come true as often as they say, and how sure one can be of a share
"""

from recurra.decoding.sampling import SamplingSettings, draw_tokens, filter_logits, sample
from recurra.decoding.scoring import bits, perplexity, sequence_log_probabilities

__all__ = [
    "SamplingSettings",
    "bits",
    "draw_tokens",
    "filter_logits",
    "perplexity",
    "sample",
    "sequence_log_probabilities",
]
