import itertools
import math

import pytest
import torch

from recurra.decoding import bits, perplexity, sequence_log_probabilities
from recurra.errors import DataError, ShapeError

START = torch.tensor([0.3, -1.0, 2.0])
TABLE = torch.tensor([[1.0, 0.0, -1.0], [0.5, 0.5, 0.0], [0.0, 3.0, 1.0]])


def markov_logits(sequences):
    """What a Markov model of three tokens gives before each token of the sequences, (B, T, V)."""
    return torch.cat([START.expand(len(sequences), 1, 3), TABLE[sequences[:, :-1]]], dim=1)


@pytest.mark.parametrize("length", [1, 2, 5])
def test_the_probabilities_of_all_sequences_of_a_length_sum_to_one(length):
    sequences = torch.tensor(list(itertools.product(range(3), repeat=length)))
    scores = sequence_log_probabilities(markov_logits(sequences), sequences)
    assert scores.shape == sequences.shape
    assert scores.dtype == torch.float64
    assert scores.sum(1).exp().sum().item() == pytest.approx(1, abs=1e-14)


def test_a_sequences_probability_is_the_product_of_the_tables():
    start, table = START.double().softmax(-1), TABLE.double().softmax(-1)
    [score] = sequence_log_probabilities(markov_logits(torch.tensor([[2, 1, 1]])), torch.tensor([[2, 1, 1]])).sum(1)
    assert score.exp().item() == pytest.approx((start[2] * table[2, 1] * table[1, 1]).item(), rel=1e-14)


def test_it_is_what_the_loss_is():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(4, 5, 6, generator=generator, dtype=torch.float64)
    targets = torch.randint(6, (4, 5), generator=generator)
    targets[1, 3:] = -100
    loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="sum")
    scores = sequence_log_probabilities(logits, targets)
    torch.testing.assert_close(-scores.sum(), loss)
    assert scores[1, 3:].tolist() == [0.0, 0.0]


def test_long_sums_of_single_precision_logits_keep_their_digits():
    logits = torch.zeros(1, 100_000, 7)
    total = sequence_log_probabilities(logits, torch.zeros(1, 100_000, dtype=torch.int64)).sum().item()
    assert total == pytest.approx(-100_000 * math.log(7), rel=1e-12)


def test_an_impossible_token_has_no_probability():
    logits = torch.tensor([[[0.0, -math.inf]]])
    assert sequence_log_probabilities(logits, torch.tensor([[1]])).item() == -math.inf


@pytest.mark.parametrize("shape", [(2, 3), (2, 4, 5), (1, 2, 3, 5)])
def test_shapes_that_do_not_belong_together_are_refused(shape):
    with pytest.raises(ShapeError, match=r"logits \(B, T, V\) need targets \(B, T\)"):
        sequence_log_probabilities(torch.zeros(shape), torch.zeros(2, 3, dtype=torch.int64))


@pytest.mark.parametrize("target", [-1, 5])
def test_a_target_outside_the_logits_is_refused(target):
    with pytest.raises(ShapeError, match=f"the target {target} is not one of the 5 tokens"):
        sequence_log_probabilities(torch.zeros(1, 2, 5), torch.tensor([[0, target]]))


def test_perplexity_and_bits_of_equally_probable_tokens():
    for size in (2, 27, 10_000):
        nll = 50 * math.log(size)
        assert perplexity(nll, 50) == pytest.approx(size)
        assert bits(nll, 50) == pytest.approx(math.log2(size))
        assert perplexity(nll, 50) == pytest.approx(2 ** bits(nll, 50))


def test_bits_per_character_of_a_model_of_words_share_over_characters():
    assert bits(3 * math.log(8), 12) == pytest.approx(9 / 12)


def test_a_perplexity_too_large_is_infinite_and_one_of_nothing_refused():
    assert perplexity(1e6, 1) == math.inf
    assert perplexity(math.inf, 1) == math.inf
    assert math.isnan(perplexity(math.nan, 1))
    for measure in (perplexity, bits):
        with pytest.raises(DataError, match="mean over 0 tokens"):
            measure(0.0, 0)
