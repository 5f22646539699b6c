import contextlib

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from recurra.training import TrainingSettings
from recurra.training.averaging import ExponentialAverage, NoAverage, TriggeredAverage, build_average


def weight(value):
    model = nn.Linear(1, 1, bias=False)
    nn.init.constant_(model.weight, value)
    return model


def test_the_settings_say_which():
    kinds = {"asgd": TriggeredAverage, "sgd": NoAverage}
    for optimiser, kind in kinds.items():
        assert type(build_average(weight(1.0), TrainingSettings(optimiser=optimiser))) is kind
    assert build_average(weight(1.0), TrainingSettings(weight_average=0.9)).decay == 0.9


@given(st.lists(st.floats(0, 9), max_size=12), st.integers(1, 4))
def test_averaging_begins_as_in_the_papers_algorithm(values, after):
    average = TriggeredAverage(weight(0.0), after)
    logs, triggered = [], False
    for t, value in enumerate(values):  # algorithm 1 of Merity, Keskar and Socher 2018
        if not triggered:
            triggered = t > after and value > min(logs[: t - after])
            logs.append(value)
        average.observe(value)
        assert average.triggered == triggered


def test_the_triggered_average_is_the_mean_since_then():
    model = weight(0.0)
    average = TriggeredAverage(model, after=1)
    for step in range(6):
        nn.init.constant_(model.weight, float(step))
        if step == 3:
            for value in (1.0, 2.0, 3.0):
                average.observe(value)
        average.update()
    with average.applied():
        assert model.weight.item() == pytest.approx((3 + 4 + 5) / 3)
    assert model.weight.item() == 5.0


@pytest.mark.parametrize("make", [lambda m: ExponentialAverage(m, 0.9), lambda m: TriggeredAverage(m, 1)])
def test_an_average_goes_on_from_its_state(make):
    torch.manual_seed(0)
    first, second = weight(0.0), weight(0.0)
    ours, resumed = make(first), make(second)
    for step in range(8):
        if step == 4:
            resumed.resume(ours.state())
        for value in (1.0, 2.0, 3.0)[step : step + 1]:
            ours.observe(value)
        nn.init.constant_(first.weight, float(torch.rand(())))
        second.load_state_dict(first.state_dict())
        ours.update()
        if step >= 4:
            resumed.update()
    with ours.applied(), resumed.applied():
        assert torch.equal(first.weight, second.weight)


def test_an_error_inside_gives_the_weights_back():
    model = weight(1.0)
    average = ExponentialAverage(model, 0.5)
    average.update()
    nn.init.constant_(model.weight, 2.0)
    with contextlib.suppress(RuntimeError), average.applied():
        assert model.weight.item() == 1.0
        raise RuntimeError
    assert model.weight.item() == 2.0
