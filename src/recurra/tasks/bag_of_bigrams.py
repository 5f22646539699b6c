"""The linear rule beside a classifier of texts: words and pairs of words, weighed by naive Bayes.

Wang and Manning, "Baselines and bigrams: simple, good sentiment and topic classification", ACL 2012: on short texts it
is hard to beat, and it takes seconds.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["bag_of_bigrams"]

SMOOTHING, DECAY, STEPS = 1.0, 1e-5, 40
"""What is added to every count; the pull of the weights towards zero; the steps of the optimiser."""

LARGE = 1000
"""Texts from which on words and pairs that only one of them has are left out."""


def bag_of_bigrams(
    texts: Sequence[Sequence[str]], classes: Sequence[int], count: int
) -> Callable[[Sequence[str]], int]:
    r"""Fit a logistic regression on words and pairs of words, scaled by how much they tell by naive Bayes.

        r<f> = log(p(f | class) / p(f | other classes)),   x<f> = r<f> if f is in the text, else 0

    Args:
        texts: The words of each text.
        classes: The class of each, from 0.
        count: C, how many classes there are.

    Returns:
        A function from the words of a text to its class.

    Example:
        >>> texts = [["so", "good"], ["good", "fun"], ["so", "bad"], ["bad", "film"]]
        >>> classify = bag_of_bigrams(texts, [1, 1, 0, 0], 2)
        >>> classify(["good", "film"]), classify(["bad", "fun"])
        (1, 0)
    """
    documents = Counter(feature for text in texts for feature in _features(text))
    least = 2 if len(texts) > LARGE else 1
    numbers = {feature: place for place, feature in enumerate(f for f, n in documents.items() if n >= least)}

    def known(words: Sequence[str]) -> list[int]:
        return [numbers[feature] for feature in _features(words) if feature in numbers]

    rows = [known(text) for text in texts]
    labels = torch.tensor(classes)
    flat = torch.tensor([feature for row in rows for feature in row], dtype=torch.int64)
    offsets = torch.tensor([0, *itertools.accumulate(map(len, rows))][:-1])
    row_of = torch.repeat_interleave(torch.arange(len(rows)), torch.tensor([len(row) for row in rows]))
    counts = torch.full((len(numbers), count), SMOOTHING, dtype=torch.float64)
    counts.index_put_((flat, labels[row_of]), torch.ones(len(flat), dtype=torch.float64), accumulate=True)
    others = counts.sum(1, keepdim=True) - counts
    ratios = (counts / counts.sum(0)).log() - (others / others.sum(0)).log()
    weights, bias = _fit(lambda table: F.embedding_bag(flat, table, offsets, mode="sum"), ratios, labels)
    return lambda words: int(((ratios * weights)[known(words)].sum(0) + bias).argmax())


def _features(words: Sequence[str]) -> Iterable[str]:
    """The words of a text and its pairs of words, each once."""
    lowered = [word.lower() for word in words]
    return dict.fromkeys([*lowered, *(f"{a} {b}" for a, b in itertools.pairwise(lowered))])


def _fit(summed: Callable[[Tensor], Tensor], ratios: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """The weights by which the ratios of features are multiplied, and the bias of each class."""
    weights = torch.ones_like(ratios, requires_grad=True)
    bias = torch.zeros(ratios.shape[1], dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.LBFGS([weights, bias], max_iter=STEPS, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimiser.zero_grad()
        value = F.cross_entropy(summed(ratios * weights) + bias, labels) + DECAY * weights.square().sum()
        value.backward()  # type: ignore[no-untyped-call]
        return value

    with torch.enable_grad():
        optimiser.step(loss)  # type: ignore[no-untyped-call]
    return weights.detach(), bias.detach()
