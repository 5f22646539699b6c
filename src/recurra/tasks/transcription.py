"""What a recogniser answers: what was said, when, and how sure it is."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["SpokenWord", "Transcription"]


@dataclass(frozen=True)
class SpokenWord:
    """A word and when it was spoken.

    Args:
        text: The word.
        start: When it begins, in seconds.
        end: When it ends, in seconds.
        confidence: How probable it is that its labels are right, from 0 to 1.
    """

    text: str
    start: float
    end: float
    confidence: float


@dataclass(frozen=True)
class Transcription:
    """What was said in a recording.

    Args:
        text: The words, with a space between them; empty where nothing is heard.
        confidence: How probable it is, from 0 to 1, by the network's own word: greedy, the probability of the one way
            through the frames that was taken; of a beam, the share among the transcripts that were left.
        words: The words with their times.
        alternatives: Transcripts and the natural logarithms of their probabilities, the best first.
        duration: How long the recording is, in seconds.
    """

    text: str
    confidence: float = 1.0
    words: tuple[SpokenWord, ...] = ()
    alternatives: tuple[tuple[str, float], ...] = ()
    duration: float = 0.0
