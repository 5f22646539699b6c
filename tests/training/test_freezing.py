"""Parts that rest while others learn, and parts that learn at rates of their own."""

import pytest
import torch
from torch import nn

from recurra.errors import SettingError
from recurra.training import StepLoss, train
from recurra.training.optimisers import build_optimiser
from recurra.training.settings import TrainingSettings


class Points:
    def epoch(self, number, start=0):
        return [torch.linspace(-1, 1, 16).unsqueeze(1)][start:]


def error(model, batch, carried):
    return StepLoss(((model(batch) - 3 * batch) ** 2).sum(), len(batch))


def moved(epochs=1, **settings):
    """How far each parameter went."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(1, 4), nn.Linear(4, 1))
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    train(model, Points(), error, TrainingSettings(epochs=epochs, device="cpu", clip_norm=None, **settings))
    return {name: float((p.detach() - before[name]).abs().max()) for name, p in model.named_parameters()}


def test_what_is_frozen_stays_as_it_was_and_the_rest_learns():
    distance = moved(epochs=5, freeze=("0.*",), weight_decay=0.5)
    assert distance["0.weight"] == distance["0.bias"] == 0
    assert distance["1.weight"] > 0


def test_the_last_pattern_is_let_go_first():
    assert moved(epochs=1, freeze=("0.weight", "1.weight"), unfreeze_every=1)["1.weight"] == 0
    later = moved(epochs=2, freeze=("0.weight", "1.weight"), unfreeze_every=1)
    assert later["0.weight"] == 0 < later["1.weight"]
    assert moved(epochs=3, freeze=("0.weight", "1.weight"), unfreeze_every=1)["0.weight"] > 0


def test_a_rate_of_its_own_is_a_share_of_the_rate():
    whole = moved(optimiser="sgd", learning_rate=0.01)
    tenth = moved(optimiser="sgd", learning_rate=0.01, rate_factors=("0.*=0.1",))
    assert tenth["0.weight"] == pytest.approx(whole["0.weight"] / 10, rel=1e-4)
    assert tenth["1.weight"] == pytest.approx(whole["1.weight"])
    assert moved(optimiser="sgd", rate_factors=("0.*=0.1", "0.bias=0"))["0.bias"] == 0


def test_each_part_learns_more_slowly_than_the_one_above_it():
    model = nn.Sequential(nn.Linear(1, 4), nn.Linear(4, 4), nn.Linear(4, 1))
    settings = TrainingSettings(
        freeze=("0.*", "1.*"), unfreeze_every=1, rate_divisor=2.6, rate_factors=("1.bias=0.5",), learning_rate=0.1
    )
    groups = build_optimiser(model, settings).param_groups
    factor = {id(p): group["rate_factor"] for group in groups for p in group["params"]}
    factors = {name: factor[id(p)] for name, p in model.named_parameters()}
    assert factors == pytest.approx(
        {"0.weight": 1 / 2.6**2, "0.bias": 1 / 2.6**2, "1.weight": 1 / 2.6, "1.bias": 0.5, "2.weight": 1, "2.bias": 1}
    )
    whole = moved(epochs=1, optimiser="sgd", learning_rate=0.01)
    assert moved(epochs=1, optimiser="sgd", learning_rate=0.01, freeze=("0.*",), unfreeze_every=1, rate_divisor=4) == (
        pytest.approx({name: 0 if name.startswith("0") else distance for name, distance in whole.items()})
    )


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"freeze": ("2.*",)}, r"--freeze: no parameter of the model is called 2\.\*; its names begin with 0, 1"),
        ({"freeze": ("*",)}, "all parameters of the model are frozen"),
        ({"rate_factors": ("0.*",)}, "is no pattern and factor; write such as"),
        ({"rate_factors": ("0.*=-1",)}, "is no pattern and factor"),
        ({"rate_factors": ("9=1",)}, "no parameter of the model is called 9"),
        ({"freeze": ("0.*",), "rate_divisor": 2.6}, "rate_divisor 2.6 has no effect without unfreeze_every"),
        ({"unfreeze_every": 2}, "unfreeze_every 2 has no effect without freeze"),
    ],
)
def test_what_names_nothing_is_refused(settings, message):
    with pytest.raises(SettingError, match=message):
        moved(**settings)
