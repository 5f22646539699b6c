"""What a recogniser reads: features and labels, by what was fitted on the part to train on."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, Self

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from recurra.data.batch import IGNORED, Batch
from recurra.data.dataset import Dataset, Examples, Problems, Role
from recurra.data.feature_extractor import FeatureExtractor
from recurra.data.feature_norm import Statistics
from recurra.data.features import FeatureFormat
from recurra.data.padded import PaddedBatches
from recurra.data.recording import LENGTHS_A_SECOND, Recording
from recurra.data.recording_checks import ctc_frames, foreign_characters, too_short_for_ctc
from recurra.data.speech_augmentation import AS_IT_IS
from recurra.errors import DataError
from recurra.tasks.assets import Assets
from recurra.tasks.speech_recognition_settings import RecordingSettings, SpeechRecognitionConfig

__all__ = ["SpeechAssets", "SpeechBatch", "SpeechBatches", "batches", "transcript_of"]

LISTED = 5
"""How many recordings an error lists."""

ANSWERED = 16
"""How many recordings are answered side by side."""

MEGABYTE = 2**20

FLAT = 1e-3
"""Features that change less than this from frame to frame, all of them, are those of silence without noise."""

UNALIGNABLE = "a recording is too short for its transcript, which no loss counts"
FOREIGN = "a character of a transcript is not in the alphabet, and is left out of the loss"
"""Kinds of problems."""


def transcript_of(settings: RecordingSettings, recording: Recording) -> str:
    """What is said in a recording, as it is learned and measured; empty where it is not known.

    Accented letters are one character, and words have one space between them.
    """
    text = unicodedata.normalize("NFC", " ".join((recording.transcript or "").split()))
    return text if settings.case == "keep" else text.lower() if settings.case == "lower" else text.upper()


class SpeechAssets(Assets):
    """What is known of the recordings trained on.

    Args:
        labels: What the labels of the network stand for, from label 1 on: characters or words.
        unit: Which of both.
        ready_made: Features of a frame, where recordings are files of ready-made ones.
        mean: The mean of each feature, where the normalisation needs it.
        deviation: Their standard deviations.
        words: The words of the transcripts.
        ngrams: Their n-grams, as ARPA files list them: words, log10 of the probability and of the back-off weight.
    """

    labels: tuple[str, ...]
    unit: str
    ready_made: int | None = None
    mean: tuple[float, ...] | None = None
    deviation: tuple[float, ...] | None = None
    words: tuple[str, ...] = ()
    ngrams: tuple[tuple[tuple[str, ...], float, float], ...] = ()

    @property
    def separator(self) -> int | None:
        """The label between words; None where there is none."""
        return self.labels.index(" ") + 1 if " " in self.labels else None

    def units(self, text: str) -> Sequence[str]:
        """A transcript as units, known or not."""
        return text.split() if self.unit == "word" else text

    def encode(self, text: str) -> list[int]:
        """The labels of a transcript; what has none is left out."""
        ids = {label: number for number, label in enumerate(self.labels, 1)}
        return [ids[unit] for unit in self.units(text) if unit in ids]

    def decode(self, labels: Sequence[int]) -> str:
        """The text of labels."""
        units = [self.labels[label - 1] for label in labels]
        return " ".join(units) if self.unit == "word" else " ".join("".join(units).split())

    def extractor(self, how: FeatureFormat, kept_bytes: int = 0) -> FeatureExtractor:
        """What computes features."""
        statistics = None
        if self.mean is not None and self.deviation is not None:
            statistics = Statistics(self.mean, self.deviation)
        return FeatureExtractor(how, statistics, self.ready_made, kept_bytes)


@dataclass(frozen=True, eq=False, kw_only=True)
class SpeechBatch(Batch):
    """Recordings side by side; the targets are the labels of their transcripts, (B, U).

    Args:
        features: Their features, (B, T, F).
        lengths: How many frames each has, (B,), at least 1.
        target_lengths: How many labels each has, (B,).
        known: Whether the loss counts the transcript, (B,): it is known, and some way through the frames spells it.
        silent: Whether there is nothing to hear, (B,).
        seconds: How long each is, (B,).
        exact: Whether answers are to be looked for as the settings say, not as a validation does it.
    """

    features: Tensor
    lengths: Tensor
    target_lengths: Tensor
    known: Tensor
    silent: Tensor
    seconds: Tensor
    exact: bool = True

    def without_answers(self) -> Self:
        """The same rows with nothing to answer."""
        nothing = torch.zeros_like(self.target_lengths)
        return replace(super().without_answers(), target_lengths=nothing, known=torch.zeros_like(self.known))


class SpeechBatches(PaddedBatches[Recording, SpeechBatch]):
    """Recordings of like length side by side.

    Attributes:
        left_out: How many recordings are not among them, because they are too short for their transcripts.
    """

    left_out: int = 0


def batches(
    config: SpeechRecognitionConfig, assets: SpeechAssets, recordings: Dataset[Recording], role: Role
) -> SpeechBatches:
    """Recordings of like length side by side.

    Raises:
        DataError: Transcripts have characters outside the alphabet, or recordings to train on are too short for theirs,
            and the settings do not say to leave them out.
    """
    training, kept = role == "train", config.batches.kept_features * MEGABYTE
    extractor = assets.extractor(config.features.how, kept if role in ("train", "validate") else 0)
    chosen = recordings
    if role != "predict":
        _check_characters(config, assets, recordings, role)
        chosen = _alignable(config, assets, recordings, extractor, role)
    made = SpeechBatches(
        chosen,
        _Preparation(config, assets, extractor, role, recordings.problems),
        config.batches.batch_size if training else ANSWERED,
        max_steps=max(1, int(config.batches.max_seconds * LENGTHS_A_SECOND)),
        shuffle=training,
        seed=config.training.seed,
        ahead=config.batches.ahead if training else 0,
    )
    made.left_out = len(recordings) - len(chosen)
    return made


def _check_characters(
    config: SpeechRecognitionConfig, assets: SpeechAssets, recordings: Dataset[Recording], role: Role
) -> None:
    """Count characters that no label stands for, or refuse them where they would be learned or chosen by."""
    if assets.unit == "word":
        return
    indices = range(len(recordings))
    texts = [(recordings.source(index), transcript_of(config.recordings, recordings[index])) for index in indices]
    foreign = foreign_characters(texts, assets.labels)
    if not foreign:
        return
    if config.recordings.foreign == "refuse" and role != "evaluate":
        others = f"; and {len(foreign) - LISTED:,} others" if len(foreign) > LISTED else ""
        raise DataError(
            f"transcripts have characters outside the alphabet {''.join(assets.labels)!r}: "
            f"{'; '.join(map(str, foreign[:LISTED]))}{others}; correct them, give an --alphabet that has them, a "
            "--case that makes them like others, or --foreign leave-out"
        )
    for each in foreign:
        for source in each.sources:
            recordings.problems.add(FOREIGN, source, repr(each.character))


def _alignable(
    config: SpeechRecognitionConfig,
    assets: SpeechAssets,
    recordings: Dataset[Recording],
    extractor: FeatureExtractor,
    role: Role,
) -> Dataset[Recording]:
    """The recordings of which some way through the frames spells the transcript: of others the loss is infinite.

    Of those to measure none is left out, but no loss counts them.
    """
    if config.model.head == "transducer":  # which may write any number of labels in a frame
        return recordings
    short = too_short_for_ctc(
        recordings,
        lambda recording: -(-extractor.frames_of(recording) // config.model.subsampling),
        lambda recording: assets.encode(transcript_of(config.recordings, recording)),
    )
    if role == "train" and short and config.recordings.unalignable == "refuse":
        others = f"; and {len(short) - LISTED:,} others" if len(short) > LISTED else ""
        raise DataError(
            f"recordings are too short for their transcripts after subsampling: {'; '.join(map(str, short[:LISTED]))}"
            f"{others}; look whether sound and transcripts belong together, give a smaller --subsampling or --step, or "
            "--unalignable leave-out"
        )
    for each in short:
        recordings.problems.add(UNALIGNABLE, each.source, f"{each.frames:,} frames, {each.needed:,} needed")
    return _without(recordings, {each.index for each in short}, config) if role == "train" and short else recordings


def _without(recordings: Dataset[Recording], out: set[int], config: SpeechRecognitionConfig) -> Dataset[Recording]:
    """The recordings but for some."""
    kept = [index for index in range(len(recordings)) if index not in out]
    if not kept:
        raise DataError(f"{config.recordings.data}: every recording is too short for its transcript")
    return Examples(
        [recordings[index] for index in kept],
        [recordings.source(index) for index in kept],
        [recordings.lengths[index] for index in kept],
        recordings.problems,
        recordings.fingerprint,
    )


class _Row(NamedTuple):
    """A recording as numbers: its features, its labels, whether the loss counts those, and whether it is silent."""

    features: Tensor
    labels: list[int]
    known: bool
    silent: bool


class _Preparation:
    """Makes batches of recordings.

    Args:
        config: The settings.
        assets: What was fitted.
        extractor: What computes features.
        role: What the batches are for.
        problems: Where recordings that cannot be read are counted.
    """

    def __init__(
        self,
        config: SpeechRecognitionConfig,
        assets: SpeechAssets,
        extractor: FeatureExtractor,
        role: Role,
        problems: Problems,
    ) -> None:
        self.config, self.assets, self.extractor, self.role, self.problems = config, assets, extractor, role, problems
        self.change = config.augmentation.change(config.features.rate, config.features.lowest)

    def __call__(self, recordings: Sequence[Recording], draw: torch.Generator) -> SpeechBatch:
        """A batch."""
        rows = [self._row(recording, draw) for recording in recordings]
        targets = [torch.tensor(row.labels or [IGNORED]) for row in rows]
        step = self.config.features.step
        return SpeechBatch(
            targets=pad_sequence(targets, batch_first=True, padding_value=IGNORED),
            features=pad_sequence([row.features for row in rows], batch_first=True),
            lengths=torch.tensor([len(row.features) for row in rows]),
            target_lengths=torch.tensor([len(row.labels) for row in rows]),
            known=torch.tensor([row.known for row in rows]),
            silent=torch.tensor([row.silent for row in rows]),
            seconds=torch.tensor([recording.seconds(step) for recording in recordings], dtype=torch.float64),
            exact=self.role != "validate",
        )

    def _row(self, recording: Recording, draw: torch.Generator) -> _Row:
        labels: list[int] = []
        if self.role != "predict":
            labels = self.assets.encode(transcript_of(self.config.recordings, recording))
        needed, silent = ctc_frames(labels) if self.config.model.head == "ctc" else 1, False
        if self.role == "train":
            features = self._changed(recording, needed, draw)
        else:
            features, silent = self._heard(recording)
        if not len(features):  # the network reads a frame at least
            features = torch.zeros(1, self.extractor.size)
        known = self.role != "predict" and needed <= self._frames(features)
        return _Row(features, labels if known else [], known, silent)

    def _frames(self, features: Tensor) -> int:
        """How many frames are left of features after subsampling."""
        return -(-len(features) // self.config.model.subsampling)

    def _changed(self, recording: Recording, needed: int, draw: torch.Generator) -> Tensor:
        """Features that are changed at random, at a speed at which they are long enough for their labels."""
        features = self.extractor.features_to_train_on(recording, self.change, draw)
        if self._frames(features) >= needed:
            return features
        slow = replace(self.change, speed=AS_IT_IS, sound_speed=AS_IT_IS)
        return self.extractor.features_to_train_on(recording, slow, draw)

    def _heard(self, recording: Recording) -> tuple[Tensor, bool]:
        """Features as they are, and whether they are those of silence."""
        frames = self.extractor.frames(recording, self.problems)
        silent = not len(frames) or bool(np.ptp(frames, axis=0).max() < FLAT)
        return torch.from_numpy(self.extractor.finished(frames)), silent
