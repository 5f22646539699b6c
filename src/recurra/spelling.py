"""What somebody probably meant who wrote a name that is not known."""

import difflib
from collections.abc import Iterable

__all__ = ["did_you_mean", "nearest"]

CLOSE = 0.75
"""How alike two names are, from 0 to 1, of which one may be the other mistyped."""

SYNONYMS: dict[str, tuple[str, ...]] = {
    "batch-size": ("bs", "minibatch", "mini-batch-size"),
    "cell": ("rnn", "rnn-type", "model", "model-type", "architecture"),
    "chunk-length": ("bptt", "seq-len", "seq-length", "sequence-length", "block-size", "context-length"),
    "clip-norm": ("clip", "grad-clip", "gradient-clip", "gradient-clipping", "max-norm", "max-grad-norm"),
    "data": ("input", "file", "train", "train-file", "dataset", "corpus"),
    "device": ("gpu", "cuda", "cpu"),
    "embedding-size": ("emb", "emb-size", "emsize", "embed-dim", "embedding-dim", "d-model"),
    "hidden-size": ("hidden", "hidden-dim", "hidden-units", "units", "nhid", "width", "rnn-size", "dim"),
    "learning-rate": ("lr", "rate", "step-size", "eta", "alpha"),
    "level": ("tokenizer", "tokeniser", "tokens"),
    "max-vocabulary": ("vocab", "vocab-size", "vocabulary-size"),
    "num-layers": ("n-layers", "nlayers", "depth", "stack"),
    "optimiser": ("optim", "opt", "solver"),
    "out": ("output", "output-dir", "save-dir", "folder", "run"),
    "patience": ("early-stopping", "early-stop"),
    "primer": ("prompt", "prefix", "prime", "start", "seed-text"),
    "schedule": ("scheduler", "lr-schedule", "lr-scheduler"),
    "tie-weights": ("tied", "tie", "weight-tying"),
    "valid": ("val", "validation", "dev", "valid-file", "test"),
    "warmup-steps": ("warmup",),
    "weight-decay": ("wd", "l2"),
}
"""What other libraries call the flags and settings, by our names."""


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The one of some names that somebody meant; None if none is like it.

    A synonym of another library, a name that has all words of what was written, or else the most similar spelling;
    capitals, hyphens and underscores make no difference.

    Args:
        name: What was written.
        known: The names there are.

    Example:
        >>> known = ["learning_rate", "num_layers", "zoneout"]
        >>> nearest("lr", known), nearest("--layers", known), nearest("out", known)
        ('learning_rate', 'num_layers', None)
    """
    spelled = {_plain(one): one for one in known}
    written = _plain(name)
    for ours, theirs in SYNONYMS.items():
        if written in theirs and ours in spelled:
            return spelled[ours]
    words = set(written.split("-"))
    holding = [one for one in spelled if words <= set(one.split("-"))]
    close = difflib.get_close_matches(written, holding or list(spelled), n=1, cutoff=0.0 if holding else CLOSE)
    return spelled[close[0]] if close else None


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """The part of a message that says what was meant, from its semicolon on; empty if that is not known.

    Example:
        >>> did_you_mean("trian", ["train", "resume"]), did_you_mean("frobnicate", ["train"])
        ('; did you mean train?', '')
    """
    meant = nearest(name, known)
    return "" if meant is None else f"; did you mean {meant}?"


def _plain(name: str) -> str:
    return name.lower().replace("_", "-").strip("-")
