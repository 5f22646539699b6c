"""Features of recordings: one preprocessing for training, evaluation, prediction and streams."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from recurra.data.audio import Samples, audio_blocks, resampled
from recurra.data.dataset import Problems
from recurra.data.feature_norm import Statistics, by_recording, fit_statistics, norm_of
from recurra.data.feature_stream import FeatureStream, FrameStream
from recurra.data.features import FeatureFormat, SoundFrames, with_slopes
from recurra.data.frames import Frames, read_frames
from recurra.data.recording import Recording
from recurra.data.speech_augmentation import SpeechAugmentation
from recurra.errors import DataError, SettingError

__all__ = ["FeatureExtractor"]

LOST = "a recording ends before its header says; what is there is read"
UNREADABLE = "a recording cannot be read; it counts as silence"
"""Kinds of problems."""


class FeatureExtractor:
    """Features of recordings.

    Args:
        how: What is computed of sound, and how features are normalised.
        statistics: Those of the part to train on, of all features with their slopes; needed where the normalisation is
            global or running.
        ready_made: Features of a frame, where recordings are files of ready-made ones; None where they are sound.
        kept_bytes: How much of what was computed is kept for the next epoch; 0 for nothing.

    Raises:
        SettingError: Statistics are needed, and missing.

    Example:
        >>> from pathlib import Path
        >>> from recurra.data.lines import Source
        >>> second = np.sin(np.arange(8000, dtype=np.float32) / 10)
        >>> tone = Recording(None, None, None, Source(Path("tone"), 1), length=8000, rate=8000, samples=second)
        >>> FeatureExtractor(FeatureFormat(filters=20, slopes=1)).features(tone).shape
        (98, 40)
    """

    def __init__(
        self,
        how: FeatureFormat,
        statistics: Statistics | None = None,
        ready_made: int | None = None,
        kept_bytes: int = 0,
    ) -> None:
        self.how, self.statistics, self.ready_made = how, statistics, ready_made
        if how.normalisation != "utterance":
            norm_of(how.normalisation, statistics)
        self._room = kept_bytes
        self._kept: dict[tuple[object, int], Frames] = {}

    @classmethod
    def fitted(cls, how: FeatureFormat, recordings: Iterable[Recording], kept_bytes: int = 0) -> FeatureExtractor:
        """An extractor for recordings such as these, with their statistics where the normalisation needs them.

        Raises:
            DataError: There is none, or one cannot be read.
        """
        recordings = list(recordings)
        if not recordings:
            raise DataError("there is no recording to train on; give one or more")
        ready_made = recordings[0].width
        if how.normalisation in {"utterance", "none"}:
            return cls(how, None, ready_made, kept_bytes)
        plain = cls(replace(how, normalisation="none"), None, ready_made, kept_bytes)
        extractor = cls(how, fit_statistics(map(plain.features, recordings)), ready_made, plain._room)
        extractor._kept = plain._kept
        return extractor

    @property
    def size(self) -> int:
        """The features of a frame, with their slopes."""
        return self._width * self.blocks

    @property
    def blocks(self) -> int:
        """How many equal blocks of features there are: themselves, their slopes, and those of the slopes."""
        return 1 + self.how.slopes

    @property
    def _width(self) -> int:
        return self.how.width if self.ready_made is None else self.ready_made

    def frames_of(self, recording: Recording) -> int:
        """How many frames a recording has, by its header."""
        return recording.length if recording.rate is None else self.how.frames_of(recording.length, recording.rate)

    def features(self, recording: Recording, problems: Problems | None = None) -> Frames:
        """The features of a recording with their slopes, normalised.

        Args:
            recording: The recording.
            problems: Where it is counted that it cannot be read, or ends too early, and counts as silence; with None
                that is an error.

        Returns:
            (T, size).

        Raises:
            DataError: Its file cannot be read, or is of another kind than those trained on.
        """
        return self.finished(self.frames(recording, problems))

    def features_to_train_on(self, recording: Recording, change: SpeechAugmentation, draw: torch.Generator) -> Tensor:
        """The features of a recording, changed at random.

        Args:
            recording: The recording.
            change: What is changed.
            draw: What is drawn from.

        Returns:
            (T, size).

        Raises:
            DataError: Its file cannot be read.
            SettingError: Energies of filters are to be changed, and the features are no such energies.
        """
        if change.changes_filters and (self.ready_made is not None or self.how.kind != "filterbank"):
            raise SettingError(
                "warp_change and equaliser change energies of mel filters, and the features are "
                f"{'ready-made' if self.ready_made is not None else 'cepstra'}; leave both out, or give sound and "
                "--kind filterbank"
            )
        if change.changes_sound and self.ready_made is None:
            sound = np.concatenate(list(self.sound(recording)))
            frames = SoundFrames(self.how).push(change.of_sound(sound, draw))
        else:
            frames = self.frames(recording)
        frames = change.of_frames(torch.from_numpy(frames), draw).numpy()
        return change.masked(torch.from_numpy(self.finished(frames)), draw, self.blocks)

    def frames(self, recording: Recording, problems: Problems | None = None) -> Frames:
        """The features of a recording as they are, neither normalised nor with slopes.

        Sound is read block by block, so that of an hour only its features are in memory.

        Args:
            recording: The recording.
            problems: As for `features`.

        Returns:
            (T, F).

        Raises:
            DataError: Its file cannot be read, or is of another kind than those trained on.
        """
        key = (recording.audio or recording.source, recording.begin)
        if key in self._kept:
            return self._kept[key]
        try:
            frames = self._computed(recording)
        except DataError as error:
            if problems is None:
                raise
            problems.add(UNREADABLE, recording.source, str(error))
            return np.zeros((0, self._width), np.float32)
        if problems is not None and len(frames) < self.frames_of(recording) - 1:
            problems.add(LOST, recording.source)
        if frames.nbytes <= self._room:
            self._room -= frames.nbytes
            self._kept[key] = frames
        return frames

    def finished(self, frames: Frames) -> Frames:
        """Features with their slopes, normalised.

        Args:
            frames: Features, (T, F).

        Returns:
            (T, size).
        """
        wide = with_slopes(frames, self.how.slopes)
        if self.how.normalisation == "utterance":
            return by_recording(wide)
        return norm_of(self.how.normalisation, self.statistics).push(wide)

    def frame_stream(self) -> FrameStream:
        """What gives the features of ready-made frames as they come.

        Raises:
            SettingError: Features are normalised by the whole recording.
        """
        return FrameStream(self.how, self.statistics)

    def stream(self) -> FeatureStream:
        """What gives the features of sound as it comes.

        Raises:
            SettingError: Features are normalised by the whole recording.
            DataError: The features trained on were ready-made.
        """
        if self.ready_made is not None:
            raise DataError(
                f"the model was trained on ready-made features, {self.ready_made} a frame, and cannot compute them of "
                "sound; train on recordings of sound"
            )
        return FeatureStream(self.how, self.statistics)

    def _computed(self, recording: Recording) -> Frames:
        if recording.trouble is not None:
            raise DataError(f"{recording.name}: {recording.trouble}")
        if recording.width != self.ready_made:
            wanted = "sound" if self.ready_made is None else f"ready-made features, {self.ready_made} a frame"
            is_ = "sound" if recording.width is None else f"ready-made features, {recording.width} a frame"
            raise DataError(f"{recording.name}: this is {is_}, and the model was trained on {wanted}; give those")
        if recording.width is not None and recording.audio is not None:
            return read_frames(recording.audio, recording.width)
        computer = SoundFrames(self.how)
        return np.concatenate([computer.push(block) for block in self.sound(recording)])

    def sound(self, recording: Recording) -> Iterable[Samples]:
        """The sound of a recording at the rate of the features, in blocks."""
        if recording.samples is not None:
            return [resampled(recording.samples, recording.rate or self.how.rate, self.how.rate)]
        if recording.audio is None:
            raise DataError(f"{recording.source}: there is no sound; give a file or samples")
        length = None if recording.span is None else recording.length
        return audio_blocks(recording.audio, self.how.rate, recording.begin, length)
