"""What is changed of recordings in training: as much as is said and no more, and drawn from the generator alone."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from recurra.data.audio import write_wav
from recurra.data.sound_effects import NoiseRecordings, louder, pink_noise, sound_at_speed, white_noise, with_noise
from recurra.data.spec_augment import at_speed, mask_features, mask_frames
from recurra.data.speech_augmentation import SpeechAugmentation
from recurra.errors import DataError, SettingError


def draw(seed=0):
    return torch.Generator().manual_seed(seed)


def runs(hidden):
    """How long each stretch of true values is."""
    edges = torch.diff(torch.cat([torch.zeros(1), hidden.float(), torch.zeros(1)]))
    return (edges == -1).nonzero().flatten() - (edges == 1).nonzero().flatten()


@given(
    length=st.integers(0, 80),
    count=st.integers(0, 3),
    longest=st.integers(0, 40),
    most=st.floats(0, 1),
    seed=st.integers(0, 1000),
)
def test_masks_over_time_hide_whole_frames_and_no_more_than_is_said(length, count, longest, most, seed):
    frames = torch.ones(length, 6)
    masked = mask_frames(frames, count, longest, draw(seed), most)
    hidden = (masked == 0).all(1)
    assert torch.equal(hidden, (masked == 0).any(1))
    assert len(runs(hidden)) <= count
    assert hidden.sum() <= count * min(longest, int(most * length))
    assert frames.all()  # what came stays as it is


@given(blocks=st.integers(1, 3), count=st.integers(0, 3), widest=st.integers(0, 12), seed=st.integers(0, 1000))
def test_masks_over_features_hide_a_band_in_every_block(blocks, count, widest, seed):
    masked = mask_features(torch.ones(5, 8 * blocks), count, widest, draw(seed), blocks).reshape(5, blocks, 8)
    hidden = masked[0, 0] == 0
    assert torch.equal(masked == 0, hidden.expand(5, blocks, 8))
    assert len(runs(hidden)) <= count
    assert hidden.sum() <= count * widest


def test_every_length_and_every_place_of_a_mask_is_as_likely():
    generator, counts = draw(), torch.zeros(4)
    begins = torch.zeros(10)
    for _ in range(4000):
        hidden = (mask_frames(torch.ones(10, 1), 1, 3, generator) == 0).flatten()
        counts[int(hidden.sum())] += 1
        if hidden.sum() == 1:
            begins += hidden
    assert (counts / 4000 - 1 / 4).abs().max() < 0.03
    assert (begins / begins.sum() - 1 / 10).abs().max() < 0.04


def test_frames_at_another_speed_are_interpolated():
    ramp = torch.arange(100.0)[:, None].expand(100, 2)
    faster = at_speed(ramp, 1.25)
    assert faster.shape == (80, 2)
    assert torch.allclose(torch.diff(faster, dim=0), torch.tensor(1.25), atol=1e-4)
    assert torch.equal(at_speed(ramp, 1.0), ramp)
    assert len(at_speed(ramp[:1], 3.0)) == 1
    assert len(at_speed(ramp[:0], 2.0)) == 0
    with pytest.raises(SettingError, match="speed is 0"):
        at_speed(ramp, 0)


def test_sound_at_another_speed_changes_its_pitch():
    tone = np.sin(2 * np.pi * 440 * np.arange(8000) / 8000).astype(np.float32)
    faster = sound_at_speed(tone, 1.1)
    assert len(faster) == round(8000 / 1.1)
    assert np.argmax(np.abs(np.fft.rfft(faster, 8000))) == pytest.approx(440 * 1.1, abs=1)
    with pytest.raises(SettingError, match=r"speed is 0\.01"):
        sound_at_speed(tone, 0.01)


@pytest.mark.parametrize(("noise", "slope"), [(white_noise, 0.0), (pink_noise, -1.0)])
def test_the_spectrum_of_noise_falls_as_it_should(noise, slope):
    samples = noise(1 << 16, draw())
    power = np.abs(np.fft.rfft(samples))[100:30_000] ** 2
    fitted = np.polyfit(np.log(np.arange(100, 30_000)), np.log(power), 1)[0]
    assert fitted == pytest.approx(slope, abs=0.05)
    assert samples.std() == pytest.approx(1, abs=0.01)
    assert len(noise(1, draw())) == 1


@given(ratio=st.floats(-20, 40), seed=st.integers(0, 100))
def test_noise_is_as_strong_as_the_ratio_says(ratio, seed):
    sound, noise = (white_noise(3000, draw(seed + n)) * 0.1 for n in range(2))
    added = with_noise(sound, noise, ratio).astype(np.float64) - sound
    assert 10 * math.log10((sound.astype(np.float64) ** 2).mean() / (added**2).mean()) == pytest.approx(ratio, abs=0.01)


def test_silence_has_no_ratio_to_noise_and_loudness_is_in_decibels():
    assert not with_noise(np.zeros(10, np.float32), np.ones(10, np.float32), 10).any()
    assert len(with_noise(np.zeros(0, np.float32), np.zeros(0, np.float32), 10)) == 0
    assert louder(np.ones(1, np.float32), 20).item() == pytest.approx(10)


def test_stretches_of_recorded_noise(tmp_path):
    write_wav(tmp_path / "street.wav", np.arange(1000, dtype=np.float32) / 1000, 8000)
    noises = NoiseRecordings(tmp_path, 8000)
    stretch = noises.stretch(100, draw())
    assert np.allclose(np.diff(stretch), 1 / 1000, atol=1e-4)
    assert len(noises.stretch(2500, draw())) == 2500
    with pytest.raises(DataError, match="there is no recording of noise"):
        NoiseRecordings(tmp_path / "none", 8000)
    change = SpeechAugmentation(noise=1.0, noise_folder=tmp_path, rate=8000)
    sound = white_noise(500, draw())
    assert np.array_equal(change.of_sound(sound, draw(3)), change.of_sound(sound, draw(3)))
    assert not np.array_equal(change.of_sound(sound, draw(3)), change.of_sound(sound, draw(4)))


def test_what_is_off_draws_nothing():
    generator, sound = draw(), white_noise(100, draw(1))
    change, state = SpeechAugmentation(), draw().get_state()
    assert not change.changes_sound
    assert change.of_sound(sound, generator) is sound
    frames = torch.ones(5, 3)
    assert change.masked(change.of_frames(frames, generator), generator) is frames
    assert torch.equal(generator.get_state(), state)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"speed": (1.1, 0.9)}, "speed is 1.1 to 0.9; give the least"),
        ({"sound_speed": (0, 1)}, "sound_speed is 0 to 1; give the least, from 0.1"),
        ({"noise": 2}, "noise is 2; it is a number from 0 to 1"),
        ({"gain": "loud"}, "gain is 'loud'"),
        ({"time_masks": -1}, "time_masks is -1"),
    ],
)
def test_settings_are_checked(settings, message):
    with pytest.raises(SettingError, match=message):
        SpeechAugmentation(**settings)
    with pytest.raises(SettingError, match="7 features are no 3 equal blocks"):
        mask_features(torch.ones(2, 7), 1, 2, draw(), 3)
