"""The CRF against enumeration of every sequence of tags, and its gradient against finite differences."""

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from recurra.errors import SettingError, ShapeError
from recurra.nn.crf import CRF


def random_crf(tags: int, seed: int, *, constrained: bool = True) -> CRF:
    torch.manual_seed(seed)
    constraints: list[Tensor | None] = [None, None, None]
    if constrained:
        follows, starts, ends = torch.rand(tags, tags) < 0.7, torch.rand(tags) < 0.7, torch.rand(tags) < 0.7
        follows[0] = follows[:, 0] = starts[0] = ends[0] = True  # some sequence of every length is allowed
        constraints = [follows, starts, ends]
    crf = CRF(tags, *constraints).double()
    for parameter in crf.parameters():
        torch.nn.init.normal_(parameter, std=2)
    return crf


@torch.no_grad()
def enumerated(crf: CRF, scores: Tensor) -> dict[tuple[int, ...], float]:
    """exp(score) of every sequence that is allowed, straight from the definition; scores (T, K)."""
    weights = {}
    for tags in itertools.product(range(crf.num_tags), repeat=len(scores)):
        allowed = bool(crf.may_start[tags[0]]) and bool(crf.may_end[tags[-1]])
        if not allowed or not all(crf.may_follow[a, b] for a, b in itertools.pairwise(tags)):
            continue
        total = float(crf.start[tags[0]] + crf.end[tags[-1]])
        total += sum(float(scores[t, k]) for t, k in enumerate(tags))
        total += sum(float(crf.transitions[a, b]) for a, b in itertools.pairwise(tags))
        weights[tags] = math.exp(total)
    return weights


@given(st.integers(1, 3), st.lists(st.integers(1, 4), min_size=1, max_size=3), st.integers(0, 10**6), st.booleans())
@settings(max_examples=40, deadline=None)
def test_everything_equals_enumeration(tags, lengths, seed, constrained):
    crf = random_crf(tags, seed, constrained=constrained)
    rows = [2 * torch.randn(length, tags, dtype=torch.float64) for length in lengths]
    scores = pad_sequence(rows, batch_first=True, padding_value=math.nan)  # what is padding is never read
    log_z, marginals = crf.log_partition(scores, lengths), crf.marginals(scores, lengths)
    best = crf.n_best(scores, 5, lengths)
    for row, length in enumerate(lengths):
        weights = enumerated(crf, rows[row])
        z = sum(weights.values())
        assert math.isclose(log_z[row].item(), math.log(z), rel_tol=1e-9, abs_tol=1e-9)
        for step, tag in itertools.product(range(length), range(tags)):
            expected = sum(w for y, w in weights.items() if y[step] == tag) / z
            assert math.isclose(float(marginals[row, step, tag]), expected, abs_tol=1e-9)
        ranked = sorted(weights.values(), reverse=True)[:5]
        assert [math.exp(p) for _, p in best[row]] == pytest.approx([w / z for w in ranked])
        for path, log_p in best[row]:
            assert math.isclose(math.exp(log_p), weights[tuple(path)] / z, rel_tol=1e-9)
        assert len({tuple(path) for path, _ in best[row]}) == len(best[row])
        assert crf.decode(scores, lengths)[row] == best[row][0][0]
        y = torch.zeros(scores.shape[:2], dtype=torch.int64)
        for other, (path, _) in enumerate(ways[0] for ways in best):
            y[other, : len(path)] = torch.tensor(path)
        assert math.isclose(crf.log_probability(scores, y, lengths)[row].item(), best[row][0][1], abs_tol=1e-9)


@given(st.integers(0, 10**6))
@settings(max_examples=25, deadline=None)
def test_the_probability_of_a_window_equals_enumeration(seed):
    crf = random_crf(3, seed)
    lengths = [4, 2, 1]
    rows = [2 * torch.randn(length, 3, dtype=torch.float64) for length in lengths]
    windows = []
    for row, length in enumerate(lengths):
        for first in range(length):
            for last in range(first, length):
                windows.append((row, first, torch.rand(last - first + 1, 3) < 0.6))
    got = crf.window_probabilities(pad_sequence(rows, batch_first=True), windows, lengths)
    for (row, first, tags), probability in zip(windows, got.tolist(), strict=True):
        weights = enumerated(crf, rows[row])
        agreeing = sum(w for y, w in weights.items() if all(ok[y[first + k]] for k, ok in enumerate(tags)))
        assert math.isclose(probability, agreeing / sum(weights.values()), abs_tol=1e-9)


@pytest.mark.parametrize("constrained", [False, True])
def test_the_gradient_is_that_of_finite_differences(constrained, monkeypatch):
    monkeypatch.setattr("recurra.nn.lattice.MAX_PAIRS", 50)  # so that the pairs are summed in several strides
    crf = random_crf(4, 3, constrained=constrained)
    scores = torch.randn(3, 5, 4, dtype=torch.float64, requires_grad=True)
    lengths = torch.tensor([5, 1, 3])
    tags = torch.zeros(3, 5, dtype=torch.int64)
    names, values = zip(*crf.named_parameters(), strict=True)

    def loss(scores, *values):
        inside = dict(zip(names, values, strict=True))
        return torch.func.functional_call(crf, inside, (scores,), {"tags": tags, "lengths": lengths})

    crf.forward = crf.log_probability
    assert torch.autograd.gradcheck(loss, (scores, *values))


def test_the_gradient_at_padding_is_zero_whatever_it_holds():
    crf = random_crf(3, 5)
    scores = torch.randn(2, 4, 3, dtype=torch.float64)
    scores[1, 2:] = math.nan
    scores.requires_grad_()
    crf.log_partition(scores, [4, 2]).sum().backward()
    assert bool((scores.grad[1, 2:] == 0).all())
    assert bool(scores.grad.isfinite().all())


@given(st.integers(0, 10**6), st.floats(0, 200))
@settings(max_examples=30, deadline=None)
def test_the_loss_is_never_negative_even_in_float32(seed, scale):
    crf = random_crf(3, seed, constrained=False).float()
    scores = scale * torch.randn(4, 6, 3)
    lengths = torch.tensor([6, 4, 2, 1])
    best = pad_sequence([torch.tensor(row) for row in crf.decode(scores, lengths)], batch_first=True)
    assert bool((crf.log_probability(scores, best, lengths) <= 0).all())


def test_rows_do_not_depend_on_their_neighbours():
    crf = random_crf(4, 7).float()
    lengths = [6, 3, 1]
    rows = [torch.randn(length, 4) for length in lengths]
    together = crf.n_best(pad_sequence(rows, batch_first=True, padding_value=9.0), 3, lengths)
    alone = [crf.n_best(row[None], 3)[0] for row in rows]
    assert together == alone


def test_fewer_sequences_than_asked_for_are_all_given():
    crf = CRF(2, transitions=torch.tensor([[True, False], [True, True]]))
    sequences = crf.n_best(torch.zeros(1, 2, 2), 10)[0]
    assert sorted(path for path, _ in sequences) == [[0, 0], [1, 0], [1, 1]]


def test_half_precision_scores_are_computed_in_float32():
    crf = CRF(3)
    scores = torch.randn(1, 40, 3).half()
    assert crf.marginals(scores).dtype == torch.float32
    assert torch.equal(crf.log_partition(scores), crf.log_partition(scores.float()))


@given(st.integers(0, 10**6), st.sampled_from([0.1, 1.0, 30.0, 500.0]), st.booleans())
@settings(max_examples=40, deadline=None)
def test_products_of_weights_and_sums_of_logarithms_agree(seed, scale, constrained):
    crf = random_crf(4, seed, constrained=constrained)
    scores, lengths = scale * torch.randn(3, 7, 4, dtype=torch.float64), [7, 1, 4]
    fast = crf.marginals(scores, lengths), crf.log_partition(scores, lengths)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("recurra.nn.lattice.SPREAD", -1.0)
        exact = crf.marginals(scores, lengths), crf.log_partition(scores, lengths)
    for one, other in zip(fast, exact, strict=True):
        assert torch.allclose(one, other, rtol=1e-9, atol=1e-9)


def test_a_weight_that_underflows_is_not_lost():
    # The only way to the tag that is sure at the end leads through one that is hopeless at the beginning.
    transitions = torch.tensor([[True, False], [True, True]])
    scores = torch.tensor([[[800.0, 0.0], [0.0, 0.0], [0.0, 2000.0]]])
    crf = CRF(2, transitions)
    assert crf.decode(scores) == [[1, 1, 1]]
    assert crf.marginals(scores)[0, 0].tolist() == pytest.approx([0.0, 1.0])


def test_thousands_of_steps_stay_finite():
    crf = random_crf(2, 1, constrained=False).float()
    scores = torch.randn(1, 3000, 2, requires_grad=True)
    crf.log_partition(scores).sum().backward()
    assert torch.allclose(scores.grad.sum(2), torch.ones(1, 3000))
    exact = crf.double().marginals(scores.detach().double())
    assert torch.allclose(scores.grad.double(), exact, atol=1e-6)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda crf: crf.log_partition(torch.zeros(2, 3)), "expected \\(B, T, K\\) with K = 3"),
        (lambda crf: crf.decode(torch.zeros(2, 3, 4)), "expected \\(B, T, K\\) with K = 3"),
        (lambda crf: crf.decode(torch.zeros(2, 3, 3), [3, 4]), "whole numbers from 1 to 3; got \\[3, 4\\]"),
        (lambda crf: crf.decode(torch.zeros(2, 3, 3), [3, 0]), "whole numbers from 1 to 3"),
        (lambda crf: crf.log_probability(torch.zeros(1, 2, 3), torch.tensor([[0, 3]])), "none of the 3"),
        (lambda crf: crf.log_probability(torch.zeros(1, 2, 3), torch.tensor([[0]])), "expected \\(B, T\\)"),
        (lambda crf: crf.log_probability(torch.zeros(1, 2, 3), torch.tensor([[2, 1]])), "the constraints forbid"),
        (lambda crf: crf.window_probabilities(torch.zeros(1, 2, 3), [(0, 1, torch.ones(2, 3).bool())]), "outside"),
        (lambda crf: CRF(3, torch.ones(3, 3)), "expected \\(3, 3\\) of torch.bool"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(call, message):
    follows = torch.ones(3, 3, dtype=torch.bool)
    follows[2, 1] = False
    with pytest.raises(ShapeError, match=message) as caught:
        call(CRF(3, follows))
    assert "\n" not in str(caught.value)


def test_settings_out_of_range_are_refused():
    with pytest.raises(SettingError, match="num_tags is 0"):
        CRF(0)
    with pytest.raises(SettingError, match="n is 0"):
        CRF(2).n_best(torch.zeros(1, 1, 2), 0)


def test_a_window_may_be_long_beside_many_that_are_short():
    # Side by side with the longest, each of the others would be advanced as many steps as it.
    layer, scores = CRF(3), torch.randn(1, 4000, 3, generator=torch.Generator().manual_seed(0))
    every, one = torch.ones(1, 3, dtype=torch.bool), torch.tensor([[True, False, False]])
    windows = [(0, step, one) for step in range(3000)] + [(0, 0, every.expand(4000, 3))]
    probabilities = layer.window_probabilities(scores, windows)
    assert torch.allclose(probabilities[:-1], layer.marginals(scores)[0, :3000, 0], atol=1e-5)
    assert probabilities[-1] == 1
