"""Small random automata that stand for a translation model, and what they say by enumeration of all sequences."""

import itertools
import math
from dataclasses import dataclass

import torch

from recurra.decoding import Limits, Penalties

BEGIN, END = 0, 1


class Automaton:
    """A scorer whose next distribution is looked up by the state that the tokens so far lead to.

    The rows of a state hold the source beside it, so that a row that is moved wrongly answers for another source.
    """

    begin, end = BEGIN, END

    def __init__(self, seed, sources, size=4, states=6, attends=True, dtype=torch.float64, scale=2.0):
        generator = torch.Generator().manual_seed(seed)
        number = 1 + max(sources, default=0)
        tables = [
            self._tables(torch.Generator().manual_seed(1000 * seed + each), size, states, scale, dtype)
            for each in range(number)
        ]
        self.next_state = torch.randint(states, (states, size), generator=generator)
        self.log_probabilities = torch.stack([each[0] for each in tables])
        self.attention = torch.stack([each[1] for each in tables]) if attends else None
        self.sources = torch.tensor(sources, dtype=torch.int64)
        self.source_lengths = 1 + self.sources % 3
        self.rows = 0

    @staticmethod
    def _tables(generator, size, states, scale, dtype):
        logits = scale * torch.randn(states, size, generator=generator, dtype=dtype)
        attention = (2 * torch.randn(states, 3, generator=generator, dtype=dtype)).exp()
        return logits.log_softmax(-1), attention

    def start(self):
        return {"source": self.sources, "state": torch.zeros_like(self.sources)}

    def step(self, tokens, state):
        self.rows += len(tokens)
        after = self.next_state[state["state"], tokens]
        attention = None
        if self.attention is not None:
            real = torch.arange(3) < 1 + state["source"][:, None] % 3
            attention = self.attention[state["source"], after] * real
            attention = attention / attention.sum(1, keepdim=True)
        log_probabilities = self.log_probabilities[state["source"], after]
        return log_probabilities, attention, {"source": state["source"], "state": after}

    def select(self, state, rows, same_sources):
        moved = {name: tensor[rows] for name, tensor in state.items()}
        assert not same_sources or torch.equal(moved["source"], state["source"])
        return moved


@dataclass(frozen=True)
class Sequence:
    """A sequence and what it is worth, in plain floats."""

    tokens: tuple
    log_probabilities: tuple
    score: float


def enumerate_sequences(automaton, place, penalties=None, limits=None, prefix=(), first=None):
    """All sequences of one source within limits, the best first; `first` is what may follow the prefix."""
    penalties, limits = penalties or Penalties(), limits or Limits(max_length=3)
    source = int(automaton.sources[place])
    positions = 1 + source % 3
    longest = limits.max_length
    if limits.max_ratio is not None:
        longest = min(longest, math.floor(limits.max_ratio * positions))
    shortest = min(max(limits.min_length, math.ceil(limits.min_ratio * positions)), longest)
    longest = max(longest, len(prefix) + (first is not None and END not in first))
    alphabet = [token for token in range(automaton.log_probabilities.shape[-1]) if token != END]
    free = [token for token in alphabet if token not in limits.banned]
    sequences = []
    for size in range(max(shortest, len(prefix)), longest + 1):
        for rest in itertools.product(free, repeat=size - len(prefix)):
            tokens = (*prefix, *rest)
            if not _repeats(tokens, len(prefix), limits.unique_ngrams) and (
                first is None or (rest[0] if rest else END) in first
            ):
                sequences.append(value_of(automaton, source, tokens, penalties))
    return sorted((each for each in sequences if each.score > -math.inf), key=lambda each: -each.score)


def _repeats(tokens, forced, size):
    if size is None:
        return False
    return any(
        tokens[end - size : end] in [tokens[other : other + size] for other in range(end - size)]
        for end in range(max(size, forced + 1), len(tokens) + 1)
    )


def value_of(automaton, source, tokens, penalties):
    """What a sequence is worth, by the definitions."""
    state, before, values = 0, BEGIN, []
    positions = 1 + source % 3
    covered = [0.0] * positions
    for token in (*tokens, END):
        state = int(automaton.next_state[state, before])
        values.append(float(automaton.log_probabilities[source, state, token]))
        if automaton.attention is not None:
            weights = automaton.attention[source, state, :positions].tolist()
            covered = [sum(pair) for pair in zip(covered, [each / sum(weights) for each in weights], strict=True)]
        before = token
    length = len(values)
    divisor = {
        "none": 1.0,
        "average": length**penalties.alpha,
        "gnmt": (5 + length) ** penalties.alpha / 6**penalties.alpha,
    }
    coverage = penalties.coverage * sum(math.log(min(each, 1.0)) for each in covered) if penalties.coverage else 0.0
    return Sequence(tokens, tuple(values), sum(values) / divisor[penalties.length] + coverage)
