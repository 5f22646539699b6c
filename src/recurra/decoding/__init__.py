"""Decoding: from a model's logits to sequences and their probabilities. It knows logits only, and no model.

- `drawing`: a token from the logits of a step
- `sampling`: novel sequences, by temperature, top-k and top-p
- `stopping`: strings that end a text
- `scoring`: the probability of a given sequence, perplexity, bits per character
- `calibration`: probabilities that come true as often as they say, and how sure one can be of a share
"""

from recurra.decoding.drawing import Drawer, SamplingSettings, filter_logits
from recurra.decoding.sampling import draw_tokens, sample
from recurra.decoding.scoring import bits, perplexity, sequence_log_probabilities
from recurra.decoding.stopping import StopStrings

__all__ = [
    "Drawer",
    "SamplingSettings",
    "StopStrings",
    "bits",
    "draw_tokens",
    "filter_logits",
    "perplexity",
    "sample",
    "sequence_log_probabilities",
]
