import math
import sys

import pytest
import torch
from torch import nn

from recurra.data import StreamBatches
from recurra.errors import DataError, SettingError, TrainingError
from recurra.models import LanguageModel
from recurra.tasks.language_modelling import LANGUAGE_MODELLING, LanguageModellingConfig
from recurra.training import StepLoss, TrainingSettings
from recurra.training.range_test import RangeTest, range_test


class Epochs:
    """Batches by a function from the epoch's number."""

    def __init__(self, batches_of):
        self._batches_of = batches_of

    def epoch(self, number, start=0):
        return self._batches_of(number)[start:]


class Bowl(nn.Module):
    """A quadratic: a step multiplies its error by |1 - rate · curvature|, which exceeds 1 beyond rate 2 / curvature."""

    def __init__(self, curvature=1.0):
        super().__init__()
        self.curvature = curvature
        self.weight = nn.Parameter(torch.tensor([3.0], dtype=torch.float64))


def height(model, batch, carried):
    return StepLoss(0.5 * model.curvature * (model.weight**2).sum() + 1, 1)


def settings(**given):
    return TrainingSettings(**{"device": "cpu", "optimiser": "sgd", "clip_norm": None} | given)


ONE = Epochs(lambda number: [0.0])


@pytest.mark.parametrize("curvature", [0.1, 1.0, 30.0])
def test_it_finds_the_edge_that_theory_gives(curvature):
    """The largest rate is about 2 / curvature; what is suggested is safely below, and scales with it."""
    found = range_test(Bowl(curvature), ONE, height, settings(), low=1e-4 / curvature, high=1e3 / curvature, steps=150)
    assert found.diverged
    assert found.suggestion * curvature == pytest.approx(range_at_one().suggestion, rel=0.5)
    assert 0.02 < found.suggestion * curvature < 2 / 3
    assert found.rates[-1] * curvature > 2


def range_at_one():
    return range_test(Bowl(), ONE, height, settings(), low=1e-4, high=1e3, steps=150)


def test_rates_rise_by_the_same_factor_and_losses_are_those_before_each_step():
    found = range_test(Bowl(), ONE, height, settings(), low=1e-3, high=1e-1, steps=11)
    assert not found.diverged
    assert found.rates == pytest.approx([1e-3 * 10 ** (step / 5) for step in range(11)])
    weight, expected = 3.0, []
    for rate in found.rates:
        expected.append(0.5 * weight**2 + 1)
        weight -= rate * weight
    assert found.losses == pytest.approx(expected)
    average = 0.0
    for step, (loss, smoothed) in enumerate(zip(found.losses, found.smoothed, strict=True), 1):
        average = 0.8 * average + 0.2 * loss
        assert smoothed == pytest.approx(average / (1 - 0.8**step))
    assert found.smoothed[0] == pytest.approx(found.losses[0])


def test_it_stops_at_four_times_the_lowest_loss():
    found = range_at_one()
    assert found.smoothed[-1] > 4 * min(found.smoothed)
    assert all(value <= 4 * min(found.smoothed[: place + 1]) for place, value in enumerate(found.smoothed[:-1]))
    assert len(found.rates) < 150


@pytest.mark.parametrize("bad", ["loss", "gradient"])
def test_it_stops_where_a_loss_or_a_gradient_is_not_finite(bad):
    def cliff(model, batch, carried):
        weight = model.weight
        # The root of 0 is finite, and its derivative is not.
        beyond = weight * torch.nan if bad == "loss" else (weight - weight).sqrt() + weight
        return StepLoss((beyond if weight.item() < 2.9 else weight).sum(), 1)

    found = range_test(Bowl(), ONE, cliff, settings(), low=1e-4, high=1.0, steps=50)
    assert found.diverged
    assert 1 < len(found.rates) < 50
    assert min(found.losses) >= 2.9


def test_a_model_that_is_broken_from_the_first_step_is_an_error():
    def broken(model, batch, carried):
        return StepLoss(model.weight.sum() * torch.nan, 1)

    with pytest.raises(TrainingError, match="not finite at the first step"):
        range_test(Bowl(), ONE, broken, settings())


# What it leaves behind


def loss_of(model, batch, carried):
    config = LanguageModellingConfig(text={"data": "none.txt"})
    return LANGUAGE_MODELLING.loss(config, model, batch, carried)


def language_model():
    torch.manual_seed(3)
    model = LanguageModel(6, "gru", embedding_size=4, hidden_size=5, num_layers=2, dropout=0.3)
    return model, StreamBatches(torch.randint(6, (200,)), 2, 5)


@pytest.mark.parametrize("fails", [False, True])
def test_model_mode_gradients_and_random_numbers_are_as_before(fails):
    model, batches = language_model()
    model.embedding.eval()
    model.readout.weight.grad = torch.ones_like(model.readout.weight)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    random = torch.get_rng_state()
    calls = []

    def loss(model, batch, carried):
        calls.append(batch)
        if fails and len(calls) == 7:
            raise KeyboardInterrupt
        return loss_of(model, batch, carried)

    try:
        range_test(model, batches, loss, settings(), steps=15, high=1.0)
    except KeyboardInterrupt:
        assert fails
    assert len(calls) == (7 if fails else 15)
    assert torch.equal(torch.get_rng_state(), random)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert not model.embedding.training
    assert model.training
    assert model.recurrent.training
    assert model.readout.weight.grad.eq(1).all()
    assert model.readout.bias.grad is None


def test_it_finds_the_same_twice_and_moves_the_weights_in_between():
    model, batches = language_model()
    first = range_test(model, batches, loss_of, settings(), steps=20, high=1.0)
    torch.rand(5)
    assert range_test(model, batches, loss_of, settings(), steps=20, high=1.0) == first
    assert first.losses[0] != first.losses[-1]


def test_the_state_is_carried_and_epochs_follow_one_another():
    seen = []

    class Batch:
        def __init__(self, name, fresh):
            self.name, self.fresh = name, fresh

    batches = Epochs(lambda number: [Batch(f"{number}a", True), Batch(f"{number}b", False)])

    def loss(model, batch, carried):
        seen.append((batch.name, carried))
        return StepLoss((model.weight**2).sum(), 1, batch.name)

    range_test(Bowl(), batches, loss, settings(accumulate=2), steps=10, high=0.1)
    assert seen == [(f"{n}{x}", None if x == "a" else f"{n}a") for n in range(10) for x in "ab"]


def test_batches_are_accumulated_and_clipped_as_in_training():
    steps = []

    def loss(model, batch, carried):
        steps.append(model.weight.item())
        return StepLoss(model.weight.sum() * batch, int(batch))

    batches = Epochs(lambda number: [1.0, 3.0])
    found = range_test(Bowl(), batches, loss, settings(accumulate=2, clip_norm=0.5), low=0.1, high=1, steps=10)
    assert found.losses[0] == pytest.approx(3.0)  # (3 · 1 + 3 · 3) / 4
    assert steps[0] - steps[2] == pytest.approx(0.1 * 0.5, rel=1e-5)
    steps.clear()
    range_test(Bowl(), batches, loss, settings(accumulate=2), low=0.1, high=1, steps=10)
    assert steps[0] - steps[2] == pytest.approx(0.1 * (1 + 3) / (1 + 3))


# What it says


def found(smoothed, diverged=True):
    rates = tuple(10.0 ** (place - 3) for place in range(len(smoothed)))
    return RangeTest(rates, tuple(smoothed), tuple(smoothed), diverged)


def test_the_suggestion_is_the_lesser_of_both():
    early = found([5, 4.9, 2.9, 2.5, 2.4, 2.3, 9])
    assert early.steepest == pytest.approx(10**-1.5)
    assert early.largest == 100
    assert early.suggestion == early.steepest
    late = found([5, 4.9, 4.8, 4.7, 2.3, 9])
    assert late.steepest == pytest.approx(10**0.5)
    assert late.suggestion == pytest.approx(1.0)


def test_a_loss_that_never_falls_has_no_steepest():
    rising = found([2.0, 2.1, 2.2, 9.0])
    assert rising.steepest is None
    assert rising.suggestion == rising.largest / 10


def test_the_plot_is_a_picture_and_says_what_is_missing_without_matplotlib(monkeypatch):
    assert found([5, 4, 3, 9.0]).plot().startswith(b"\x89PNG")
    assert found([2.0, 2.1, 2.2]).plot().startswith(b"\x89PNG")
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(SettingError, match=r"^a plot needs matplotlib, .* pip install matplotlib$"):
        found([5, 4, 3, 9.0]).plot()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"low": 0}, "low is 0 and high 10; expected 0 < low < high"),
        ({"low": 1, "high": 1}, "expected 0 < low < high"),
        ({"high": math.inf}, "expected 0 < low < high"),
        ({"steps": 9}, "steps is 9; it must be 10 or more"),
    ],
)
def test_a_range_that_is_none_is_refused(given, message):
    with pytest.raises(SettingError, match=message):
        range_test(Bowl(), ONE, height, settings(), **given)


def test_nothing_to_train_on_is_an_error():
    with pytest.raises(DataError, match="nothing to train on"):
        range_test(Bowl(), Epochs(lambda number: []), height, settings())
