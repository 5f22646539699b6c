"""Scoring: how probable a model finds a sequence, and the numbers by which language models are compared."""

import math

import torch
from torch import Tensor

from recurra.errors import DataError, ShapeError


def sequence_log_probabilities(logits: Tensor, targets: Tensor, ignored: int = -100) -> Tensor:
    """Gives the log-probability of each token of sequences, of which the sum is that of the sequence.

        log p(y<t> | y<1..t-1>) = logits<t>[y<t>] - log(sum over v of exp(logits<t>[v]))

    They are computed in double precision, so that sums over long sequences keep their digits.

    Args:
        logits: What a model gives before each token, (B, T, V).
        targets: The tokens, (B, T).
        ignored: The target that marks padding; it counts as certain, log-probability 0.

    Returns:
        Natural logarithms (B, T) in float64.

    Raises:
        ShapeError: The shapes do not belong together, or a target is not one of the V.

    Example:
        >>> sequence_log_probabilities(torch.zeros(1, 2, 4), torch.tensor([[3, 0]])).exp().tolist()
        [[0.25, 0.25]]
    """
    if logits.ndim != 3 or logits.shape[:2] != targets.shape:
        raise ShapeError(
            f"logits (B, T, V) need targets (B, T); these are {tuple(logits.shape)} and {tuple(targets.shape)}"
        )
    counts = targets != ignored
    chosen = targets.masked_fill(~counts, 0)
    size = logits.shape[-1]
    if bool(((chosen < 0) | (chosen >= size)).any()):
        wrong = int(chosen[(chosen < 0) | (chosen >= size)][0])
        raise ShapeError(
            f"the target {wrong} is not one of the {size} tokens that the logits are for (0 to {size - 1})"
        )
    wide = logits.to(torch.float64)
    scores = wide.gather(-1, chosen[..., None]).squeeze(-1) - wide.logsumexp(dim=-1)
    return scores.masked_fill(~counts, 0.0)


def perplexity(nll_sum_nats: float, count: int) -> float:
    """Gives the perplexity: the number of equally probable tokens that would be as hard to predict.

        exp(-(1/N) sum over t of log p(y<t> | y<1..t-1>))

    Jelinek, Mercer, Bahl and Baker, "Perplexity: a measure of the difficulty of speech recognition tasks", 1977.

    Args:
        nll_sum_nats: The sum of the negative log-probabilities, in nats.
        count: The number N of tokens that were predicted.

    Returns:
        The perplexity; infinite if it is too large for a float.

    Raises:
        DataError: No token was predicted.

    Example:
        >>> round(perplexity(100 * math.log(6), 100), 9)
        6.0
    """
    try:
        return math.exp(_mean(nll_sum_nats, count))
    except OverflowError:
        return math.inf


def bits(nll_sum_nats: float, count: int) -> float:
    """Gives the bits that each unit takes: bits per character if the count is one of characters.

        -(1/N) sum over t of log2 p(y<t> | y<1..t-1>)

    Args:
        nll_sum_nats: The sum of the negative log-probabilities, in nats.
        count: The number N of units to share it over: characters for bits per character, also of a model of words.

    Returns:
        Bits a unit.

    Raises:
        DataError: There is no unit to share it over.

    Example:
        >>> bits(3 * math.log(2), 1)
        3.0
    """
    return _mean(nll_sum_nats, count) / math.log(2)


def _mean(nll_sum_nats: float, count: int) -> float:
    """The mean over tokens, of which there must be some."""
    if count < 1:
        raise DataError(f"the mean over {count} tokens is not defined; give a text with at least two tokens")
    return nll_sum_nats / count
