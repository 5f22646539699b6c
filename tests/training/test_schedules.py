import math
from typing import get_args

import pytest

from recurra.training import LearningRate, Place, TrainingSettings
from recurra.training.schedules import Plateau
from recurra.training.settings import ScheduleName


def rate(place, **settings):
    return LearningRate(TrainingSettings(learning_rate=0.5, **settings)).at(place)


@pytest.mark.parametrize("schedule", sorted({*get_args(ScheduleName)} - {"one-cycle"}))
def test_every_schedule_but_one_cycle_starts_at_the_learning_rate_and_takes_a_warmup(schedule):
    assert rate(Place(0, 0, 0.0), schedule=schedule) == 0.5
    warm = [rate(Place(step, 0, 0.0), schedule=schedule, warmup_steps=5) for step in range(7)]
    assert warm == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.5, 0.5, 0.5])


def test_cosine_is_torchs():
    import torch

    optimiser = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.5)
    oracle = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, T_max=10, eta_min=0.05)
    for step in range(11):
        assert rate(Place(step, 0, step / 10), schedule="cosine", decay_floor=0.1) == pytest.approx(
            oracle.get_last_lr()[0]
        )
        optimiser.step()
        oracle.step()


def test_one_cycle_is_torchs():
    import torch

    optimiser = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.5, momentum=0.9)
    # Torch's first phase ends a step early and its last step has the number 100, so that 101 steps are 100 parts.
    oracle = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, 0.5, total_steps=101, pct_start=31 / 101, cycle_momentum=False, final_div_factor=10
    )
    for step in range(101):
        ours = rate(Place(step, 0, step / 100), schedule="one-cycle", decay_floor=0.004)
        assert ours == pytest.approx(oracle.get_last_lr()[0])
        optimiser.step()
        if step < 100:
            oracle.step()


def test_step_holds_and_then_decays_every_epoch():
    rates = [rate(Place(0, epoch, 0.0), schedule="step", decay_after=4, decay_factor=0.5) for epoch in range(13)]
    # The small model of Zaremba et al. 2014: 4 epochs at the full rate, then half of it, and half again, to epoch 13.
    assert rates == [0.5 * 0.5 ** max(epoch + 1 - 4, 0) for epoch in range(13)]
    assert rate(Place(0, 12, 0.0), schedule="step", decay_floor=0.1) == pytest.approx(0.05)


def test_a_plateau_decays_when_validations_stop_improving():
    schedule = LearningRate(TrainingSettings(learning_rate=1.0, schedule="plateau", decay_after=2, decay_factor=0.1))
    seen = []
    for loss in (5.0, 4.0, 4.5, 4.2, 4.0, 4.1, 3.0, math.nan, 3.5):
        schedule.observe(loss)
        seen.append(schedule.at(Place(0, 0, 0.0)))
    assert seen == pytest.approx([1, 1, 1, 0.1, 0.1, 0.01, 0.01, 0.01, 0.001])


def test_a_plateau_has_a_floor():
    plateau = Plateau(after=1, factor=0.5, floor=0.3)
    for _ in range(5):
        plateau.observe(1.0)
    assert plateau.ratio == 0.3
