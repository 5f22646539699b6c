"""A trained recogniser: it transcribes, and finds where the words of a known transcript are."""

from __future__ import annotations

import shlex
from typing import Any

import torch

from recurra.data.dataset import Examples
from recurra.data.lines import Source
from recurra.data.recording import Recording
from recurra.decoding.ctc import forced_alignment
from recurra.errors import DataError, SettingError
from recurra.models.long_recording import read_in_pieces
from recurra.models.recogniser import BLANK
from recurra.models.transducer import SpeechModel
from recurra.nn.evaluating import evaluating
from recurra.tasks.speech_recognition_batches import SpeechAssets, SpeechBatch, transcript_of
from recurra.tasks.speech_recognition_settings import SpeechRecognitionConfig
from recurra.tasks.speech_search import aligned_transcription
from recurra.tasks.trained import Trained
from recurra.tasks.transcription import Transcription

__all__ = ["RecogniserRun"]


class RecogniserRun(Trained[SpeechRecognitionConfig, Recording, SpeechAssets, SpeechModel, SpeechBatch, Transcription]):
    """A trained recogniser: it transcribes, and finds where the words of a known transcript are.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> import recurra
        >>> folder = Path(tempfile.mkdtemp())
        >>> settings = recurra.tasks.TASKS["speech-recognition"].example(folder) | {"epochs": 1}
        >>> run = recurra.train("speech-recognition", **settings, out=folder / "run", show=False)
        >>> run.predict(folder / "000.wav").duration > 0
        True
        >>> [word.text for word in run.align(folder / "000.wav", "ab ca").words]
        ['ab', 'ca']
    """

    def align(self, recording: Any, transcript: str) -> Transcription:  # noqa: ANN401  (as `predict` takes it)
        """Where the words of a transcript are in a recording, by the most probable way through its frames.

        Args:
            recording: The name of a file, or samples and their rate.
            transcript: What is said in it.

        Returns:
            The transcript with the times of its words; the logarithm of its probability is that of all ways that spell
            it.

        Raises:
            SettingError: The model is a transducer.
            DataError: The recording cannot be read, is too short for the transcript, or the transcript has characters
                that the model does not know.
        """
        if self.config.model.head != "ctc":
            raise SettingError("a known transcript is aligned by the frames of a network of CTC; this is a transducer")
        example = self.task.parse(self.config, recording)
        text = transcript_of(self.config.recordings, Recording(None, transcript, None, Source(example.file, 1)))
        unknown = [unit for unit in self.assets.units(text) if unit not in self.assets.labels]
        if unknown:
            raise DataError(f"{example.name}: the transcript has {unknown[0]!r}, which the model does not know")
        labels = self.assets.encode(text)
        dataset = Examples([example], [example.source], [max(1, len(example))])
        [batch] = self._batches(dataset, "predict").epoch(0)
        with torch.no_grad(), evaluating(self.model):
            read = read_in_pieces(self.model, batch.features[0].to(self.device)).cpu()
        try:
            path = forced_alignment(read, labels, BLANK)
        except DataError as error:
            raise DataError(f"{example.name}: {error}") from None
        return aligned_transcription(self.config, self.assets, read, path, example.seconds(self.config.features.step))

    def suggestions(self) -> list[tuple[str, str]]:
        """What to try with the run on the command line: (command, what follows the folder)."""
        first = None if self.validated_on is None else self.validated_on[0].audio
        inputs = first or self.config.recordings.valid or self.config.recordings.data
        return [("evaluate", ""), ("predict", f" {shlex.quote(str(inputs))} --format ctm")]
