"""Features: what the formulas say, the same in pieces as of the whole to the bit, and lengths known before."""

import numpy as np
import pytest
import scipy.fft
import torch
from hypothesis import given
from hypothesis import strategies as st

from recurra.data.dataset import Problems
from recurra.data.feature_extractor import LOST, UNREADABLE, FeatureExtractor
from recurra.data.feature_norm import RunningNorm, Statistics, by_recording, fit_statistics
from recurra.data.feature_stream import FeatureStream, SlopeStream
from recurra.data.features import FeatureFormat, SoundFrames, with_slopes
from recurra.data.recording import Recording, RecordingFormat
from recurra.data.recordings import read_recordings, recording_of
from recurra.data.speech_augmentation import SpeechAugmentation
from recurra.data.tone_words import write_tone_words
from recurra.errors import DataError, SettingError


def sound(count, seed=0):
    return (np.random.default_rng(seed).standard_normal(count) * 0.1).astype(np.float32)


def mel(hertz):
    return 1127 * np.log(1 + np.asarray(hertz) / 700)


def reference_filterbank(samples, how):
    """Kaldi's filters, by their definition, one frame at a time."""
    window, step = int(how.rate * how.window / 1000), int(how.rate * how.step / 1000)
    size = 1 << (window - 1).bit_length()
    shape = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(window) / (window - 1))) ** 0.85
    edges = np.linspace(mel(how.lowest), mel(how.rate / 2), how.filters + 2)
    at = mel(np.arange(size // 2) * how.rate / size)
    rising = (at - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    falling = (edges[2:, None] - at) / (edges[2:] - edges[1:-1])[:, None]
    filters = np.maximum(0, np.minimum(rising, falling))
    rows = []
    for begin in range(0, len(samples) - window + 1, step):
        frame = samples[begin : begin + window].astype(np.float64)
        frame = frame - frame.mean()
        frame = frame - 0.97 * np.concatenate([frame[:1], frame[:-1]])
        power = np.abs(np.fft.rfft(frame * shape, size)[:-1]) ** 2
        rows.append(np.log(np.maximum(filters @ power, np.finfo(np.float32).eps)))
    return np.array(rows)


@pytest.mark.parametrize("how", [FeatureFormat(), FeatureFormat(rate=8000, filters=23, window=32, lowest=100)])
def test_filters_are_what_the_formulas_say(how):
    samples = sound(how.rate // 2)
    assert np.abs(SoundFrames(how).push(samples) - reference_filterbank(samples, how)).max() < 2e-3


def test_cepstra_are_the_cosine_transform_of_filters():
    how = FeatureFormat(kind="mfcc", filters=30, coefficients=13)
    filters = SoundFrames(FeatureFormat(filters=30)).push(sound(8000))
    lifter = 1 + 11 * np.sin(np.pi * np.arange(13) / 22)
    expected = scipy.fft.dct(filters, norm="ortho", axis=1)[:, :13] * lifter
    assert np.abs(SoundFrames(how).push(sound(8000)) - expected).max() < 2e-3


def test_slopes_are_those_of_a_line_fitted_to_five_frames():
    frames = np.random.default_rng(0).standard_normal((9, 2)).astype(np.float32)
    padded = np.pad(frames, ((2, 2), (0, 0)), mode="edge")
    fitted = [np.polyfit(np.arange(-2, 3), padded[t : t + 5], 1)[0] for t in range(9)]
    both = with_slopes(frames, 2)
    assert np.allclose(both[:, :2], frames)
    assert np.allclose(both[:, 2:4], fitted, atol=1e-6)
    assert np.allclose(both[:, 4:], with_slopes(both[:, 2:4], 1)[:, 2:])
    assert with_slopes(frames[:0], 2).shape == (0, 6)


CUTS = st.lists(st.integers(0, 40_000), max_size=12)


@given(
    cuts=CUTS,
    count=st.integers(0, 40_000),
    kind=st.sampled_from(["filterbank", "mfcc"]),
    slopes=st.integers(0, 2),
    normalisation=st.sampled_from(["none", "global", "running"]),
)
def test_a_stream_has_the_features_of_the_whole_to_the_bit(cuts, count, kind, slopes, normalisation):
    how = FeatureFormat(kind, 8000, 20, slopes=slopes, normalisation=normalisation)
    statistics = Statistics((0.5,) * (how.width * (1 + slopes)), (1.5,) * (how.width * (1 + slopes)))
    samples = sound(count)
    stream = FeatureStream(how, statistics)
    pieces = [stream.push(piece) for piece in np.split(samples, sorted(min(cut, count) for cut in cuts))]
    streamed = np.concatenate([*pieces, stream.finish()])
    whole = FeatureExtractor(how, statistics).features(recording_of((samples, 8000), RecordingFormat()))
    assert np.array_equal(streamed, whole)
    assert len(whole) == how.frames_of(count)


def test_a_frame_is_known_when_the_delay_that_is_stated_has_passed():
    how = FeatureFormat(rate=8000, slopes=2, normalisation="none")
    stream, samples = FeatureStream(how), sound(8000)
    delay = round(stream.delay * 8000)
    assert delay == (25 + 4 * 10) * 8
    assert len(stream.push(samples[: delay - 1])) == 0
    assert len(stream.push(samples[delay - 1 : delay])) == 1
    assert len(stream.push(samples[delay : delay + 80])) == 1


@given(st.lists(st.integers(0, 60), max_size=6), st.integers(0, 2))
def test_slopes_in_pieces_are_those_of_the_whole(cuts, order):
    frames = np.random.default_rng(0).standard_normal((60, 3)).astype(np.float32)
    stream = SlopeStream(order)
    pieces = [stream.push(piece) for piece in np.split(frames, sorted(cuts))]
    assert np.array_equal(np.concatenate([*pieces, stream.finish()]), with_slopes(frames, order))


def test_a_running_mean_is_of_the_window_and_what_was_trained_on():
    frames = np.random.default_rng(0).standard_normal((50, 2)).astype(np.float32) * 3 + 1
    normalised = RunningNorm(Statistics((2.0, -1.0), (1.0, 4.0)), window=10, prior=5).push(frames)
    for t in range(50):
        heard = frames[max(0, t - 9) : t + 1].astype(np.float64)
        mean = (5 * np.array([2.0, -1.0]) + heard.sum(0)) / (5 + len(heard))
        square = (5 * np.array([4 + 1, 1 + 16.0]) + (heard**2).sum(0)) / (5 + len(heard))
        assert np.allclose(normalised[t], (frames[t] - mean) / np.sqrt(square - mean**2), atol=1e-5)


def test_a_running_mean_keeps_no_more_than_its_window():
    norm = RunningNorm(Statistics((0.0,), (1.0,)), window=10)
    for _ in range(100):
        norm.push(np.ones((7, 1), np.float32))
    assert len(norm._sums) == 11


def test_statistics_are_of_all_frames_together():
    parts = [np.random.default_rng(n).standard_normal((n, 4)).astype(np.float32) + n for n in (3, 0, 11)]
    fitted, whole = fit_statistics(parts), np.concatenate(parts)
    assert np.allclose(fitted.mean, whole.mean(0), atol=1e-5)
    assert np.allclose(fitted.deviation, whole.std(0), atol=1e-5)
    assert np.allclose(by_recording(whole).std(0), 1, atol=1e-5)
    assert not by_recording(np.ones((5, 2), np.float32)).any()  # a feature that never changes is 0, and no NaN
    with pytest.raises(DataError, match="no frame of sound"):
        fit_statistics([whole[:0]])


# Recordings


@pytest.fixture
def tones(tmp_path):
    return read_recordings(write_tone_words(tmp_path, 6), RecordingFormat(), "train")


def test_one_extractor_for_files_and_samples_at_any_rate(tones):
    how = FeatureFormat(rate=16_000, slopes=1, normalisation="running")
    extractor = FeatureExtractor.fitted(how, tones, kept_bytes=1 << 20)
    for recording in tones:
        features = extractor.features(recording)
        assert features.shape == (extractor.frames_of(recording), extractor.size)
        again = FeatureExtractor(how, extractor.statistics).features(recording)
        assert np.array_equal(features, again)  # what is kept is what would be computed
    assert extractor.statistics is not None
    assert len(extractor.statistics.mean) == extractor.size == 80


def test_what_cannot_be_read_is_an_error_or_counted_silence(tones, tmp_path):
    extractor = FeatureExtractor(FeatureFormat(rate=8000))
    odd = [
        Recording(tones[0].audio, None, None, tones.source(0), trouble="this is no recording"),
        Recording(tones[0].audio, None, None, tones.source(0), length=30, width=13),
    ]
    messages = ["this is no recording", "this is ready-made features, 13 a frame"]
    for recording, message in zip(odd, messages, strict=True):
        with pytest.raises(DataError, match=message):
            extractor.features(recording)
        problems = Problems()
        assert extractor.features(recording, problems).shape == (0, 40)
        assert problems.counts[UNREADABLE] == 1
    longer = Recording(tones[0].audio, None, None, tones.source(0), length=80_000, rate=8000)
    problems = Problems()
    assert len(extractor.features(longer, problems))
    assert problems.counts[LOST] == 1


def test_ready_made_features_are_normalised_as_sound_and_need_their_width(tmp_path):
    frames = sound(40 * 13).reshape(40, 13) + 3
    np.save(tmp_path / "a.npy", frames)
    recordings = read_recordings(tmp_path, RecordingFormat(), "predict")
    extractor = FeatureExtractor.fitted(FeatureFormat(slopes=2), recordings)
    assert (extractor.ready_made, extractor.size) == (13, 39)
    assert np.array_equal(extractor.features(recordings[0]), by_recording(with_slopes(frames, 2)))
    with pytest.raises(DataError, match="this is sound, and the model was trained on ready-made features, 13 a frame"):
        extractor.features(recording_of((sound(8000), 8000), RecordingFormat()))
    with pytest.raises(DataError, match="cannot compute them of sound"):
        extractor.stream()


@pytest.mark.parametrize("change", [SpeechAugmentation(speed=(0.8, 1.2), time_masks=2), SpeechAugmentation(noise=1.0)])
def test_what_is_changed_in_training_is_drawn_from_the_generator_alone(tones, change):
    extractor = FeatureExtractor(FeatureFormat(rate=8000), kept_bytes=1 << 20)
    plain = extractor.features(tones[0]).copy()

    def changed(seed):
        return extractor.features_to_train_on(tones[0], change, torch.Generator().manual_seed(seed))

    first = changed(1)
    assert torch.equal(first, changed(1))
    assert not torch.equal(first[:10], changed(2)[:10])
    assert np.array_equal(extractor.features(tones[0]), plain)  # what is kept is not what was changed
    nothing = extractor.features_to_train_on(tones[0], SpeechAugmentation(), torch.Generator())
    assert np.array_equal(nothing.numpy(), plain)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"kind": "mffc"}, "mfcc"),
        ({"normalisation": "speaker"}, "there is no normalisation 'speaker'"),
        ({"slopes": 3}, "slopes is 3; give 0, 1 or 2"),
        ({"step": 30}, "step 30 ms"),
        ({"lowest": 8000}, "a lowest below 8000 Hz"),
        ({"kind": "mfcc", "filters": 10}, "13 coefficients of 10 filters"),
        ({"rate": 16_000.5}, "rate is 16000.5"),
    ],
)
def test_settings_are_checked(settings, message):
    with pytest.raises(SettingError, match=message):
        FeatureFormat(**settings)


def test_what_needs_statistics_says_so():
    with pytest.raises(SettingError, match="running normalisation needs the statistics"):
        FeatureExtractor(FeatureFormat(normalisation="running"))
    with pytest.raises(SettingError, match="a stream does not know before its end; train with running or global"):
        FeatureExtractor(FeatureFormat()).stream()
