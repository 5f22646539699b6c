"""What somebody probably meant who wrote a name that is not known."""

import difflib
from collections.abc import Iterable

__all__ = ["did_you_mean", "nearest", "unknown"]

CLOSE = 0.75
"""How alike two names are, from 0 to 1, of which one may be the other mistyped."""

SYNONYMS: dict[str, tuple[str, ...]] = {
    "accumulate": ("accumulation", "grad-accum", "gradient-accumulation", "gradient-accumulation-steps"),
    "batch-size": ("bs", "minibatch", "mini-batch-size"),
    "bpe": ("byte-pair", "byte-pairs", "bytepair", "subword", "subwords", "wordpiece", "sentencepiece"),
    "character": ("char", "chars", "letter", "letters"),
    "cell": ("rnn", "rnn-type", "model", "model-type", "architecture"),
    "chunk-length": ("bptt", "seq-len", "seq-length", "sequence-length", "block-size", "context-length"),
    "checkpoint-every": ("save-every", "save-steps"),
    "clip-norm": ("clip", "grad-clip", "gradient-clip", "gradient-clipping", "max-norm", "max-grad-norm"),
    "data": ("input", "file", "train", "train-file", "dataset", "corpus"),
    "device": ("gpu", "cuda", "cpu"),
    "embedding-size": ("emb", "emb-size", "emsize", "embed-dim", "embedding-dim", "d-model"),
    "epochs": ("num-epochs", "n-epochs", "nb-epoch", "passes"),
    "hidden-size": ("hidden", "hidden-dim", "hidden-units", "units", "nhid", "width", "rnn-size", "dim"),
    "learning-rate": ("lr", "step-size", "eta", "alpha"),
    "level": ("tokenizer", "tokeniser", "tokens"),
    "log-every": ("log-interval", "logging-steps"),
    "max-minutes": ("time", "max-time", "timeout", "hours"),
    "max-steps": ("iterations", "iters", "updates"),
    "max-vocabulary": ("vocab", "vocab-size", "vocabulary-size"),
    "num-layers": ("n-layers", "nlayers", "depth", "stack"),
    "optimiser": ("optim", "opt", "solver"),
    "out": ("output", "output-dir", "save-dir", "folder", "run"),
    "patience": ("early-stopping", "early-stop"),
    "precision": ("amp", "fp16", "bf16", "dtype", "mixed-precision"),
    "primer": ("prompt", "prime", "start", "seed-text"),
    "schedule": ("scheduler", "lr-schedule", "lr-scheduler"),
    "tie-weights": ("tied", "tie", "weight-tying"),
    "validate-every": ("eval-every", "eval-steps", "eval-interval", "val-check-interval"),
    "weight-average": ("ema",),
    "valid": ("val", "validation", "dev", "valid-file", "test"),
    "warmup-steps": ("warmup",),
    "weight-decay": ("wd", "l2"),
}
"""What other libraries call the flags and settings, by our names."""

VALUES: dict[str, tuple[str, ...]] = {
    "character": ("char", "chars", "letter", "letters"),
    "bpe": ("subword", "subwords", "wordpiece", "sentencepiece", "byte-pair", "byte-pairs"),
    "constant": ("fixed",),
    "one-cycle": ("onecycle", "1cycle"),
    "plateau": ("reduce-on-plateau", "reducelronplateau"),
    "bfloat16": ("bf16", "fp16", "half", "float16", "amp", "mixed"),
    "float32": ("fp32", "single", "full"),
    "replicated": ("ddp", "data-parallel"),
    "sharded": ("fsdp", "fsdp2", "zero"),
}
"""What other libraries call the values of settings, by our names."""


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
    for ours, theirs in (SYNONYMS | VALUES).items():
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


def unknown(kind: str, name: object, known: Iterable[str]) -> str:
    """What is said of a name that is not known.

    Example:
        >>> unknown("cell", "gruu", ["gru", "lstm"])
        "there is no cell 'gruu'; did you mean gru? The cells are: gru, lstm"
        >>> unknown("cell", "?", ["gru", "lstm"])
        "there is no cell '?'; the cells are: gru, lstm"
    """
    listed = list(known)
    hint = did_you_mean(str(name), listed)
    return f"there is no {kind} {name!r}{hint or ';'} {'The' if hint else 'the'} {kind}s are: {', '.join(listed)}"


def _plain(name: str) -> str:
    return name.lower().replace("_", "-").strip("-")
