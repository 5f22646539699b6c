"""Live speech: raw sound in, lines of words with their times out, as soon as each is certain."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch

from recurra.data.audio import Resampler, Samples
from recurra.data.frames import Frames
from recurra.data.raw_sound import PipeDecoder, RawFormat
from recurra.data.recording import Recording
from recurra.decoding.live_ctc import LivePath
from recurra.decoding.live_lines import HeardLine, LiveLines
from recurra.errors import SettingError
from recurra.models.recogniser import BLANK, Recogniser
from recurra.tasks.speech_recognition_batches import FLAT, SpeechAssets
from recurra.tasks.speech_recognition_settings import SpeechRecognitionConfig
from recurra.tasks.speech_search import WORD_REACH
from recurra.tasks.streaming import LiveOptions, LiveRecord, LiveStream
from recurra.tasks.transcription import Transcription

if TYPE_CHECKING:
    from recurra.tasks.trained import Trained

    SpeechRun = Trained[SpeechRecognitionConfig, Recording, SpeechAssets, Recogniser, Any, Transcription]

__all__ = ["Listener", "SpeechStream"]

ENDPOINT = 1.0
"""Seconds of silence that end a line unless told."""

LONGEST = 20.0
"""Seconds after which a line ends with the next word unless told."""


class Listener:
    """Features of one recording as they come, to lines of words: greedily, the labels of the whole.

    What it keeps does not grow, however long the recording. It never begins anew: a line that ends changes nothing of
    what is heard after it, so that the lines together are the transcript of the whole.

    Args:
        run: A recogniser of one direction.
        endpoint: Seconds of silence that end a line.
        longest: Seconds after which a line ends with the next word.

    Raises:
        SettingError: The network reads each recording from its end, too; or a value is impossible.
    """

    def __init__(self, run: SpeechRun, endpoint: float = ENDPOINT, longest: float = LONGEST) -> None:
        for name, value in (("endpoint", endpoint), ("longest", longest)):
            if not (math.isfinite(value) and value > 0):
                raise SettingError(f"{name} is {value:g}; give seconds above 0")
        _check_directions(run)
        self._assets, config = run.assets, run.config
        self._frame = config.features.step / 1000
        self._step = self._frame * config.model.subsampling
        self._separator = None if run.assets.unit == "word" else run.assets.separator
        self._reader = run.model.stream()
        self._path = LivePath(BLANK)
        self._lines = LiveLines(
            self._separator,
            endpoint / self._step,
            longest / self._step,
            labels_are_words=run.assets.unit == "word",
        )
        self._held: list[LiveRecord] = []
        self._counted = 0.0

    @property
    def delay(self) -> float:
        """Seconds from the beginning of a frame of features until the label that is heard in it has ended."""
        return self._reader.delay * self._frame + self._step

    @property
    def unfinished(self) -> str:
        """The words of the line so far."""
        last = self._path.unfinished
        return self._assets.decode((*self._lines.ids, *(() if last is None else (last.label,))))

    def push(self, features: Frames, *, silent: bool = False) -> list[LiveRecord]:
        """The lines that the next features end.

        Args:
            features: Features of sound, (T, F).
            silent: Whether all that was heard so far is silence without noise, of which no word is told.
        """
        for frame in self._reader.push(torch.from_numpy(features)) if len(features) else ():
            self._hear(frame)
        return [] if silent else self._handed_out()

    def finish(self, seconds: float = math.inf, *, silent: bool = False) -> list[LiveRecord]:
        """The line that is held back at the end; the next features begin another recording.

        Args:
            seconds: How long the recording is.
            silent: Whether all of it is silence without noise.
        """
        for frame in self._reader.finish():
            self._hear(frame)
        log_probability, frames = self._path.log_probability, self._path.frames
        line = self._lines.finish(self._path.finish(), frames)
        if line is not None:
            self._held.append(self._record(line, log_probability, seconds))
        self._counted = 0.0
        lines = self._handed_out()
        return [] if silent else lines

    def _hear(self, frame: torch.Tensor) -> None:
        ended = self._path.push(frame)
        line = self._lines.hear(ended, self._path.unfinished, self._path.frames)
        if line is not None:
            self._held.append(self._record(line, self._path.log_probability))

    def _handed_out(self) -> list[LiveRecord]:
        lines, self._held = self._held, []
        return lines

    def _record(self, line: HeardLine, log_probability: float, seconds: float = math.inf) -> LiveRecord:
        text, step = self._assets.decode(line.ids), self._step
        words = [
            {
                "word": self._assets.decode(word.labels),
                "start": round(min(word.start * step, seconds), 3),
                "end": round(min(word.end * step, seconds), 3),
                "confidence": round(word.confidence, 4),
            }
            for word in line.words(self._separator, WORD_REACH / step)
        ]
        confidence = min(1.0, math.exp(log_probability - self._counted))
        self._counted = log_probability
        values: dict[str, Any] = {
            "text": text,
            "start": words[0]["start"],
            "end": words[-1]["end"],
            "confidence": round(confidence, 4),
            "words": words,
        }
        return LiveRecord(text, values | ({"joined": True} if line.joined else {}))


def _check_directions(run: SpeechRun) -> None:
    """Refuse what a stream cannot be, with what could be one.

    Raises:
        SettingError: The network or the normalisation reads each recording to its end.
    """
    wrong = {
        "--no-bidirectional": ("its network reads each recording from its end, too", run.config.model.bidirectional),
        "--normalisation running": (
            "its features are normalised by the mean of the whole recording",
            run.config.features.normalisation == "utterance",
        ),
    }
    reasons = [reason for reason, holds in wrong.values() if holds]
    if reasons:
        flags = " ".join(flag for flag, (_, holds) in wrong.items() if holds)
        raise SettingError(
            f"this recogniser cannot stream: {' and '.join(reasons)}, so it knows no word before the last is heard; "
            f"train one with {flags}"
        )


class SpeechStream(LiveStream):
    """Raw sound, or a WAV, as its bytes come; lines of words as soon as each is certain.

    Args:
        run: A recogniser of one direction that was trained on sound.
        options: How the sound is written and where lines end.

    Raises:
        SettingError: The run cannot stream, or an option is impossible.
        DataError: It was trained on ready-made features.
    """

    def __init__(self, run: SpeechRun, options: LiveOptions = LiveOptions()) -> None:  # noqa: B008  (it is frozen)
        _check_directions(run)
        self._rate = run.config.features.rate
        usual = RawFormat(options.kind or "s16", options.rate or self._rate, options.channels or 1)
        endpoint = ENDPOINT if options.endpoint is None else options.endpoint
        self._listener = Listener(run, endpoint, LONGEST if options.longest is None else options.longest)
        self._features = run.assets.extractor(run.config.features.how).stream()
        self._sound = PipeDecoder(usual)
        self._resampler: Resampler | None = None
        self._count = 0
        self.delay = self._features.delay + self._listener.delay
        channels = "1 channel" if usual.channels == 1 else f"{usual.channels} channels"
        self.about = (
            f"{usual.kind} sound, {channels}, {usual.rate:,} samples a second unless a WAV says otherwise; a word is "
            f"heard {self.delay:.2f} s after it was said, and {endpoint:g} s of silence end a line"
        )

    @property
    def unfinished(self) -> str:
        """The words of the line so far."""
        return "" if self._silent else self._listener.unfinished

    @property
    def problems(self) -> list[str]:
        """That the sound ended within a sample."""
        left = self._sound.left
        return [f"the sound ended within a sample: {left} bytes were left out"] if left else []

    @property
    def _silent(self) -> bool:
        return self._features.spread < FLAT

    def push(self, piece: bytes) -> list[LiveRecord]:
        """The lines that the next bytes of sound end."""
        return self._hear(self._sound.push(piece))

    def close(self) -> list[LiveRecord]:
        """The line that is held back at the end."""
        lines = self._hear(self._sound.finish())
        if self._resampler is not None:
            lines += self._features_of(self._resampler.finish())
        lines += self._listener.push(self._features.finish(), silent=self._silent)
        seconds = self._count / self._sound.how.rate if self._sound.how is not None else 0.0
        return lines + self._listener.finish(seconds, silent=self._silent)

    def _hear(self, samples: Samples) -> list[LiveRecord]:
        if not len(samples) or self._sound.how is None:
            return []
        if self._resampler is None:
            self._resampler = Resampler(self._sound.how.rate, self._rate)
        self._count += len(samples)
        return self._features_of(self._resampler.push(samples))

    def _features_of(self, samples: Samples) -> list[LiveRecord]:
        features = self._features.push(samples)
        return self._listener.push(features, silent=self._silent)
