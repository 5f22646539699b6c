"""Recordings read as streams: whether what is heard of pieces is what is heard of the whole, and how fast."""

from __future__ import annotations

import dataclasses
import random
import time
from typing import TYPE_CHECKING, Any

import numpy as np

from recurra.data.audio import read_audio
from recurra.data.dataset import Problems
from recurra.data.recording import Recording
from recurra.errors import DataError
from recurra.models.recogniser import Recogniser
from recurra.tasks.speech_recognition_batches import FLAT, SpeechAssets
from recurra.tasks.speech_recognition_settings import SpeechRecognitionConfig, SpeechSearchSettings
from recurra.tasks.speech_stream import Listener, SpeechStream
from recurra.tasks.streaming import LiveOptions, LiveRecord, LiveStream, Replay, Streaming, held_bytes, pieces_of
from recurra.tasks.transcription import Transcription

if TYPE_CHECKING:
    from recurra.tasks.trained import Trained

    SpeechRun = Trained[SpeechRecognitionConfig, Recording, SpeechAssets, Recogniser, Any, Transcription]

__all__ = ["SPEECH_STREAMING"]

LONGEST_PIECE = 3.0
"""Seconds of the longest piece in which a recording comes."""


class _FeaturesRead(LiveStream):
    """Ready-made features of one recording as their bytes come: numbers of 32 bits, a frame after another."""

    def __init__(self, run: SpeechRun, width: int) -> None:
        self._listener = Listener(run)
        self._features = run.assets.extractor(run.config.features.how).frame_stream()
        self._width, self._rest, self._count = width, b"", 0
        self._step = run.config.features.step / 1000
        self.delay = self._features.delay + self._listener.delay
        self.about = f"ready-made features, {width} a frame"

    def push(self, piece: bytes) -> list[LiveRecord]:
        content = self._rest + piece
        whole = len(content) - len(content) % (4 * self._width)
        self._rest = content[whole:]
        frames = np.frombuffer(content[:whole], np.float32).reshape(-1, self._width)
        self._count += len(frames)
        return self._listener.push(self._features.push(frames), silent=self._features.spread < FLAT) if whole else []

    def close(self) -> list[LiveRecord]:
        silent = self._features.spread < FLAT
        lines = self._listener.push(self._features.finish(), silent=silent) if self._count else []
        return lines + self._listener.finish(self._count * self._step, silent=silent)


def _replay(run: SpeechRun, recording: Recording, draw: random.Random) -> Replay:
    """A recording in pieces of random sizes, from a byte to seconds."""
    greedy = dataclasses.replace(run, config=run.config.model_copy(update={"search": SpeechSearchSettings()}))
    [answer] = greedy.answers([recording])
    seconds = recording.seconds(run.config.features.step)
    stream, content, a_second = _opened(run, recording)
    lines, busy, kept = [], 0.0, 0
    for piece in pieces_of(content, int(LONGEST_PIECE * a_second), draw):
        begin = time.process_time()
        lines += stream.push(piece)
        busy += time.process_time() - begin
        kept = max(kept, held_bytes(stream))
    begin = time.process_time()
    lines += stream.close()
    busy += time.process_time() - begin
    streamed = "".join(("" if line.values.get("joined") else " ") + line.text for line in lines).strip()
    return Replay(streamed, answer.text, seconds, busy, kept)


def _opened(run: SpeechRun, recording: Recording) -> tuple[LiveStream, bytes, float]:
    """A stream for a recording, its bytes, and how many of these come in a second; none of what cannot be read."""
    extractor = run.assets.extractor(run.config.features.how)
    if extractor.ready_made is not None:
        frames = extractor.frames(recording, Problems())
        a_second = 4 * extractor.ready_made * 1000 / run.config.features.step
        return _FeaturesRead(run, extractor.ready_made), frames.astype(np.float32).tobytes(), a_second
    samples, rate = np.zeros(0, np.float32), recording.rate or run.config.features.rate
    if recording.samples is not None:
        samples = recording.samples
    elif recording.audio is not None and recording.trouble is None:
        try:
            count = None if recording.span is None else recording.length
            samples, rate = read_audio(recording.audio, None, recording.begin, count)
        except DataError:
            samples = np.zeros(0, np.float32)
    stream = SpeechStream(run, LiveOptions(rate=rate, kind="f32"))
    return stream, samples.astype("<f4").tobytes(), 4.0 * rate


def _delay(run: SpeechRun) -> float:
    extractor = run.assets.extractor(run.config.features.how)
    if extractor.ready_made is not None:
        return _FeaturesRead(run, extractor.ready_made).delay
    return SpeechStream(run).delay


SPEECH_STREAMING: Streaming[Recording] = Streaming(open=SpeechStream, replay=_replay, delay=_delay)
