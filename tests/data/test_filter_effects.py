"""Energies of filters of another voice or through another microphone, against sound that is so."""

import math

import numpy as np
import pytest
import torch

from recurra.data.features import FeatureFormat, SoundFrames
from recurra.data.filter_effects import equalised, warped
from recurra.data.speech_augmentation import SpeechAugmentation
from recurra.errors import SettingError

RATE, HOW = 8000, FeatureFormat(rate=8000, filters=40)


def tone(hertz):
    samples = 0.3 * np.sin(2 * np.pi * hertz * np.arange(RATE // 5) / RATE)
    return torch.from_numpy(SoundFrames(HOW).push(samples.astype(np.float32)))


@pytest.mark.parametrize("hertz", [400, 1000, 2200])
@pytest.mark.parametrize("factor", [0.8, 1.0, 1.15])
def test_a_warped_tone_is_the_tone_at_that_many_times_its_frequency(hertz, factor):
    expected = tone(hertz * factor).mean(0).argmax()
    assert abs(int(warped(tone(hertz), factor, RATE, HOW.lowest).mean(0).argmax()) - int(expected)) <= 1


def test_nothing_is_warped_by_one():
    frames = torch.randn(7, 40, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(warped(frames, 1.0, RATE, HOW.lowest), frames)
    with pytest.raises(SettingError, match="factor is 0"):
        warped(frames, 0.0, RATE, HOW.lowest)


def test_an_equaliser_is_one_curve_of_few_corners_within_its_decibels():
    draw = torch.Generator().manual_seed(0)
    curves = torch.stack([equalised(torch.zeros(4, 40), 6.0, draw) for _ in range(200)])
    assert (curves == curves[:, :1]).all()  # the same in every frame
    gains = curves[:, 0] / math.log(10) * 10
    assert 5.5 < gains.max() <= 6.0
    assert -6.0 <= gains.min() < -5.5
    bends = (gains.diff(n=2).abs() > 1e-4).sum(1)
    assert bends.max() <= 2 * 3  # three corners between the ends, each between two filters


def test_what_is_drawn_is_drawn_again():
    change, frames = SpeechAugmentation(warp=(0.8, 1.2), equaliser=9.0, rate=RATE), torch.randn(20, 40)
    first, second = (change.of_frames(frames, torch.Generator().manual_seed(3)) for _ in range(2))
    assert torch.equal(first, second)
    assert not torch.equal(first, frames)
    assert torch.equal(SpeechAugmentation(rate=RATE).of_frames(frames, torch.Generator()), frames)
