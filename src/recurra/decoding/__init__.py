"""Decoding: from a model's logits to sequences and their probabilities. It knows no model but by them.

- `drawing`: a token from the logits of a step
- `sampling`: novel sequences, by temperature, top-k and top-p
- `stopping`: strings that end a text
- `scoring`: the probability of a given sequence, perplexity, bits per character
- `ctc_beam`: the best transcripts frame by frame, with what else is known of them: `word_scorer` (a lexicon, a model of
  words), `label_scorer` (a model of labels), `hotwords`, and `prefix_scorer`, their contract
- `transducer_search`: what a transducer writes, greedily or with a beam
- `ngram`: language models of n-grams
- `ctc`: the labels that are heard frame by frame, their times, and how probable a transcript is
- `word_times`: when words were spoken
- `beam`: the best sequences that a model writes for a source, by beam search
- `ancestral`: sequences drawn for a source
- `forced`: how a model scores a given sequence for a source
- `scorer`, `hypothesis`: what these three ask of a model, and what they answer
- `penalties`, `limits`, `prefix`: how a hypothesis is scored, what may stand in it, and what it begins with
- `ensemble`: several models as one
- `copying`: unknown words copied from the source by attention
- `calibration`: probabilities that come true as often as they say, and how sure one can be of a share
"""

from recurra.decoding.ancestral import draw_hypotheses, source_seed
from recurra.decoding.beam import beam_search
from recurra.decoding.copying import replace_unknown
from recurra.decoding.drawing import Drawer, SamplingSettings, filter_logits
from recurra.decoding.ensemble import Ensemble
from recurra.decoding.forced import score_targets
from recurra.decoding.hypothesis import Hypothesis
from recurra.decoding.limits import Limits
from recurra.decoding.penalties import Penalties
from recurra.decoding.prefix import PartialWord, Prefix
from recurra.decoding.sampling import draw_tokens, sample
from recurra.decoding.scorer import Scorer
from recurra.decoding.scoring import bits, perplexity, sequence_log_probabilities
from recurra.decoding.stopping import StopStrings

__all__ = [
    "Drawer",
    "Ensemble",
    "Hypothesis",
    "Limits",
    "PartialWord",
    "Penalties",
    "Prefix",
    "SamplingSettings",
    "Scorer",
    "StopStrings",
    "beam_search",
    "bits",
    "draw_hypotheses",
    "draw_tokens",
    "filter_logits",
    "perplexity",
    "replace_unknown",
    "sample",
    "score_targets",
    "sequence_log_probabilities",
    "source_seed",
]
