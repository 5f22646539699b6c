"""Speech recognition: what is said in recordings; many to many of different length.

    p(y | x) = sum over all ways through the frames x that spell the labels y, the product over t of p(label<t> | x)

Recordings of any rate and number of channels go in, and words with their times come out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from recurra.data.batching import Batches
from recurra.data.dataset import Dataset, Problems, Role
from recurra.data.feature_extractor import FeatureExtractor
from recurra.data.recording import Recording
from recurra.data.recording_checks import recording_warnings
from recurra.data.recordings import read_recordings, recording_of, recordings_to_transcribe
from recurra.data.sound_facts import digest_of
from recurra.data.tone_words import write_tone_words
from recurra.decoding.ngram import NgramModel
from recurra.errors import DataError, SettingError
from recurra.metrics import Metric
from recurra.metrics.recognition import character_error_rate, sentence_error_rate, word_error_rate
from recurra.models.encoder import Encoder
from recurra.models.long_recording import read_in_pieces
from recurra.models.recogniser import Recogniser, RecogniserScores
from recurra.models.subsampling import Subsampling
from recurra.models.transducer import SpeechModel, Transducer, TransducerScores
from recurra.tasks.speech_demo import demo
from recurra.tasks.speech_output import SPEECH_FORMATS, show, transcription_mistake
from recurra.tasks.speech_recognition_batches import SpeechAssets, SpeechBatch, SpeechBatches, batches, transcript_of
from recurra.tasks.speech_recognition_settings import RecordingSettings, SpeechRecognitionConfig
from recurra.tasks.speech_replay import SPEECH_STREAMING
from recurra.tasks.speech_search import transcriptions
from recurra.tasks.task import Baseline, Facts, Task
from recurra.tasks.trained import Trained
from recurra.tasks.transcription import Transcription
from recurra.training import StepLoss

__all__ = ["SPEECH_RECOGNITION", "SpeechAssets", "SpeechRecognitionConfig"]

LONGEST_AT_ONCE = 40_000
"""Frames of the longest recording that is read at once."""


def read(config: SpeechRecognitionConfig, path: Path, role: Role) -> Dataset[Recording]:
    """The recordings of a file or a folder, their transcripts written as the settings say."""
    recordings = read_recordings(path, config.recordings.how, role)
    written = [
        recording
        if recording.transcript is None
        else replace(recording, transcript=transcript_of(config.recordings, recording))
        for recording in recordings
    ]
    return replace(recordings, items=written)


def stream(config: SpeechRecognitionConfig, path: Path, problems: Problems) -> Iterator[Recording]:
    """The recordings to transcribe, one at a time."""
    return recordings_to_transcribe(path, config.recordings.how, problems)


def parse(config: SpeechRecognitionConfig, value: Any) -> Recording:  # noqa: ANN401  (whatever a caller has)
    """The name of a file, or samples with their rate."""
    return value if isinstance(value, Recording) else recording_of(value, config.recordings.how)


def fit(config: SpeechRecognitionConfig, recordings: Dataset[Recording]) -> SpeechAssets:
    """The labels and the statistics of features, of the part to train on alone."""
    settings = config.recordings
    examples = [recordings[index] for index in range(len(recordings))]
    texts = [transcript_of(settings, recording) for recording in examples]
    if settings.alphabet is not None:
        if settings.unit == "word":
            raise SettingError("alphabet is of characters, and unit is 'word': leave it out")
        labels = tuple(dict.fromkeys(settings.alphabet))
    else:
        labels = tuple(sorted({unit for text in texts for unit in (text.split() if settings.unit == "word" else text)}))
    if not labels:
        raise DataError(f"{settings.data}: no transcript has a {settings.unit}; give recordings with what is said")
    extractor = FeatureExtractor.fitted(config.features.how, examples)
    statistics, said = extractor.statistics, [text.split() for text in texts]
    return SpeechAssets(
        labels=labels,
        unit=settings.unit,
        ready_made=extractor.ready_made,
        mean=None if statistics is None else statistics.mean,
        deviation=None if statistics is None else statistics.deviation,
        words=tuple(sorted({word for words in said for word in words})),
        ngrams=_ngrams(settings, said),
    )


def _ngrams(
    settings: RecordingSettings, transcripts: Sequence[Sequence[str]]
) -> tuple[tuple[tuple[str, ...], float, float], ...]:
    """The n-grams of transcripts, which a search can use."""
    if not settings.ngram_order:
        return ()
    model = NgramModel.fit(transcripts, settings.ngram_order, settings.ngram_smoothing)
    return tuple((ngram, *numbers) for ngram, numbers in sorted(model.table.items()))


def build(config: SpeechRecognitionConfig, assets: SpeechAssets) -> SpeechModel:
    """The network, untrained."""
    settings = config.model
    subsampling = Subsampling(
        assets.extractor(config.features.how).size,
        settings.convolution_size,
        settings.subsampling,
        settings.kernel_size,
        settings.dropout,
    )
    recurrent = settings.recurrent(settings.convolution_size)
    encoder = Encoder(nn.Identity(), recurrent, settings.dropout, settings.lookahead)
    if settings.head == "ctc":
        return Recogniser(subsampling, encoder, len(assets.labels))
    return Transducer(
        subsampling,
        encoder,
        len(assets.labels),
        settings.made,
        settings.prediction_size,
        settings.prediction_size,
        joint_size=settings.joint_size,
        dropout=settings.dropout,
        backend=settings.backend,
    )


def _loss(model: SpeechModel, scores: Any, batch: SpeechBatch) -> StepLoss:  # noqa: ANN401  (those of the model)
    losses: Tensor = model.loss(scores, batch.targets, batch.target_lengths)
    return StepLoss(losses.where(batch.known, losses.new_zeros(())).sum(), batch.count)


def loss(config: SpeechRecognitionConfig, model: SpeechModel, batch: SpeechBatch, carried: None) -> StepLoss:
    """-log p(y | x), summed over recordings, in nats; so the mean is per label."""
    scores, _ = model(batch.features, lengths=batch.lengths)
    return _loss(model, scores, batch)


def _read(model: SpeechModel, batch: SpeechBatch) -> RecogniserScores | TransducerScores:
    """What the network says of recordings; of long ones piece by piece."""
    if batch.features.shape[1] <= LONGEST_AT_ONCE:
        scores: RecogniserScores | TransducerScores = model(batch.features, lengths=batch.lengths)[0]
        return scores
    rows = [read_in_pieces(model, row[:end]) for row, end in zip(batch.features, batch.lengths.tolist(), strict=True)]
    lengths = torch.tensor([len(row) for row in rows], device=batch.lengths.device)
    made = TransducerScores if isinstance(model, Transducer) else RecogniserScores
    return made(pad_sequence(rows, batch_first=True), lengths)


def predict(
    config: SpeechRecognitionConfig, assets: SpeechAssets, model: SpeechModel, batch: SpeechBatch
) -> list[Transcription]:
    """What is said in each recording."""
    return transcriptions(config, assets, model, _read(model, batch), batch)


def measure(
    config: SpeechRecognitionConfig, assets: SpeechAssets, model: SpeechModel, batch: SpeechBatch
) -> tuple[StepLoss, list[Transcription]]:
    """The loss and the answers by one run of the network."""
    scores = _read(model, batch)
    return _loss(model, scores, batch), transcriptions(config, assets, model, scores, batch)


def metrics(config: SpeechRecognitionConfig, assets: SpeechAssets) -> list[Metric[Recording, Transcription]]:
    """Character error rate, which selects the weights, word error rate and sentence error rate."""

    def expected(recording: Recording) -> str:
        return transcript_of(config.recordings, recording)

    def answered(answer: Transcription) -> str:
        return answer.text

    return [
        character_error_rate(expected, answered),
        word_error_rate(expected, answered),
        sentence_error_rate(expected, answered),
    ]


def facts(recording: Recording) -> Facts:
    """What is known of a recording without a model."""
    text = " ".join((recording.transcript or "").split())
    return Facts(digest_of(recording), text, recording.group, words=text.split())


def baselines(
    config: SpeechRecognitionConfig, recordings: Dataset[Recording]
) -> list[Baseline[Recording, Transcription]]:
    """Nothing, and what is said most often."""
    texts = Counter(transcript_of(config.recordings, recordings[index]) for index in range(len(recordings)))
    (usual, _), *_ = texts.most_common(1)
    nothing, most = Transcription(""), Transcription(usual)
    return [
        Baseline("nothing is said", lambda recording: nothing),
        Baseline("always what is said most often", lambda recording: most),
    ]


def describe(
    config: SpeechRecognitionConfig,
    assets: SpeechAssets,
    training: Batches[SpeechBatch],
    validation: Batches[SpeechBatch],
) -> list[str]:
    """How many recordings there are, how long they are, and of which labels."""
    assert isinstance(training, SpeechBatches)
    assert isinstance(validation, SpeechBatches)
    step = config.features.step
    seconds = sum(training.dataset[index].seconds(step) for index in range(len(training.dataset)))
    speakers = {training.dataset[index].group for index in range(len(training.dataset))} - {None}
    said = f"{len(training.dataset):,} recordings to train on"
    parts = [
        said + (f" of {len(speakers):,} speakers" if speakers else ""),
        f"{seconds / 60:,.1f} minutes",
        f"{len(training):,} batches an epoch",
        f"{len(validation.dataset):,} to validate on",
        f"{len(assets.labels):,} different {assets.unit}s",
    ]
    if training.left_out:
        recordings = "1 recording" if training.left_out == 1 else f"{training.left_out:,} recordings"
        parts.append(f"{recordings} too short for what is said left out")
    return parts


def example(folder: Path) -> dict[str, Any]:
    """Writes words whose letters are tones, and settings small enough to learn them in seconds."""
    return {
        "data": write_tone_words(folder),
        "rate": 8000,
        "filters": 16,
        "hidden_size": 16,
        "convolution_size": 16,
        "num_layers": 1,
        "dropout": 0.0,
        "batch_size": 8,
        "epochs": 3,
        "learning_rate": 0.01,
        "warmup_steps": 2,
        "time_masks": 1,
        "longest_time_mask": 2,
    }


def _trained() -> type[Trained[Any, Any, Any, Any, Any, Any]]:
    from recurra.tasks.recogniser_run import RecogniserRun

    return RecogniserRun


SPEECH_RECOGNITION: Task[SpeechRecognitionConfig, Recording, SpeechAssets, SpeechModel, SpeechBatch, Transcription] = (
    Task(
        name="speech-recognition",
        unit=lambda config: f"{config.recordings.unit}s",
        config=SpeechRecognitionConfig,
        assets=SpeechAssets,
        read=read,
        stream=stream,
        parse=parse,
        fit=fit,
        batches=batches,
        build=build,
        loss=loss,
        predict=predict,
        metrics=metrics,
        show=show,
        facts=facts,
        example=example,
        measure=measure,
        describe=describe,
        baselines=baselines,
        examine=recording_warnings,
        mistake=transcription_mistake,
        formats=SPEECH_FORMATS,
        demo=demo,
        trained=_trained,
        live=SPEECH_STREAMING,
    )
)
