"""Transcripts for people and for programs.

Each format is a generator: it takes recordings with their answers, one at a time, and gives what to write after each.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.text import Text

from recurra.data.recording import Recording
from recurra.data.subtitles import TimedWord, subrip, webvtt
from recurra.errors import SettingError
from recurra.metrics.edits import Edit, align
from recurra.metrics.recognition import aligned_listing
from recurra.tasks.mistakes import Mistake
from recurra.tasks.speech_recognition_batches import transcript_of
from recurra.tasks.task import Format
from recurra.tasks.transcription import SpokenWord, Transcription
from recurra.training.figures import printable

if TYPE_CHECKING:
    from recurra.tasks.trained import Trained

__all__ = ["SPEECH_FORMATS", "show", "transcription_mistake"]

Answered = Iterable[tuple[Recording, Transcription]]
"""Recordings with their answers."""

LISTED = 8
"""How many words that are wrong are listed in a line."""

ADDED = ("text", "confidence", "words", "alternatives", "duration")
"""The keys of an answer."""


def show(recording: Recording, answer: Transcription) -> dict[str, Any]:
    """The answer as JSON; a table's columns come first."""
    columns: Mapping[str, str] = {"audio": recording.name} if recording.columns is None else recording.columns
    shown: dict[str, Any] = {f"{name} (input)" if name in ADDED else name: value for name, value in columns.items()}
    shown |= {
        "text": answer.text,
        "confidence": round(answer.confidence, 4),
        "words": [_word(word) for word in answer.words],
        "duration": round(answer.duration, 3),
    }
    if len(answer.alternatives) > 1:
        shown["alternatives"] = [
            {"text": text, "log_probability": round(log_probability, 4)}
            for text, log_probability in answer.alternatives
        ]
    return shown


def _word(word: SpokenWord) -> dict[str, Any]:
    return {
        "word": word.text,
        "start": round(word.start, 3),
        "end": round(word.end, 3),
        "confidence": round(word.confidence, 4),
    }


def transcription_mistake(recording: Recording, answer: Transcription) -> Mistake | None:
    """How many words are wrong, with what was spoken over what was recognised; None if none is."""
    spoken, heard = (recording.transcript or "").split(), answer.text.split()
    edits = align(spoken, heard)
    wrong = sum(edit.kind != "equal" for edit in edits)
    if not wrong:
        return None
    return Mistake(float(wrong), " ".join(spoken), answer.text, recording.name, notes=_said_otherwise(edits))


def _said_otherwise(edits: Sequence[Edit[str]]) -> str:
    """What is wrong in a line: what was heard for what, what was left out and what was put in."""
    changes = [edit for edit in edits if edit.kind != "equal"]
    named = [
        f"{edit.reference} → {edit.answer}"
        if edit.kind == "substitution"
        else f"{edit.reference} left out"
        if edit.kind == "deletion"
        else f"{edit.answer} put in"
        for edit in changes[:LISTED]
    ]
    return ", ".join(named + ["..."] * (len(changes) > LISTED))


def lines(run: Trained[Any, Recording, Any, Any, Any, Transcription], answered: Answered) -> Iterator[Text]:
    """A transcript a line."""
    for _, answer in answered:
        yield Text(printable(answer.text, "utf-8") + "\n")


def conversation_times(run: Trained[Any, Recording, Any, Any, Any, Transcription], answered: Answered) -> Iterator[str]:
    """NIST's CTM: the recording, its channel, the beginning and the length of a word in seconds, it, its confidence."""
    for recording, answer in answered:
        name = "_".join(recording.file.stem.split()) or "recording"
        for word in answer.words:
            length = word.end - word.start
            yield f"{name} 1 {word.start:.2f} {length:.2f} {word.text} {word.confidence:.4f}\n"


def alignments(run: Trained[Any, Recording, Any, Any, Any, Transcription], answered: Answered) -> Iterator[str]:
    """What was said over what was heard, word over word, where it is known; what was heard where it is not."""
    for recording, answer in answered:
        yield f"{recording.name}\n"
        if recording.transcript is None:
            yield f"{answer.text}\n\n"
        else:
            said = transcript_of(run.config.recordings, recording).split()
            yield f"{aligned_listing(align(said, answer.text.split()))}\n\n"


def subtitles_srt(run: Trained[Any, Recording, Any, Any, Any, Transcription], answered: Answered) -> Iterator[str]:
    """Subtitles of one recording in the format of SubRip."""
    return (f"{line}\n" for line in subrip(_words_of_one(answered)))


def subtitles_vtt(run: Trained[Any, Recording, Any, Any, Any, Transcription], answered: Answered) -> Iterator[str]:
    """Subtitles of one recording in the format of WebVTT."""
    return (f"{line}\n" for line in webvtt(_words_of_one(answered)))


def _words_of_one(answered: Answered) -> Iterator[TimedWord]:
    for number, (recording, answer) in enumerate(answered):
        if number:
            raise SettingError(
                f"{recording.name}: a file of subtitles is of one recording, and this is a second one; give one, or "
                "--format ctm, which names the recording of each word"
            )
        yield from (TimedWord(word.text, word.start, word.end) for word in answer.words)


SPEECH_FORMATS: Mapping[str, Format[Recording, Transcription]] = {
    "text": lines,
    "aligned": alignments,
    "ctm": conversation_times,
    "srt": subtitles_srt,
    "vtt": subtitles_vtt,
}
"""The formats by name, beside JSON lines."""
