"""The data doctor of recordings: which cannot be learned, what is odd about sound and transcripts, and where."""

from __future__ import annotations

import itertools
import unicodedata
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from recurra.data.dataset import Dataset, Problems
from recurra.data.lines import Source
from recurra.data.recording import Recording
from recurra.data.sound_facts import sound_facts
from recurra.errors import DataError

__all__ = [
    "ForeignCharacter",
    "TooShort",
    "ctc_frames",
    "foreign_characters",
    "recording_warnings",
    "too_short_for_ctc",
]

LISTENED_TO = 2 * 3600.0
"""Seconds of sound that are listened to in a part at most; then evenly spaced recordings are."""

LONG = 60.0
"""Seconds from which on a recording costs much memory in training."""

SPREAD = 7.0
"""How many standard deviations a rate of speaking is from the median where it is listed."""

FEWEST = 30
"""Recordings from which on it is told how fast one usually speaks."""


# What CTC cannot learn


@dataclass(frozen=True)
class TooShort:
    """A recording that no path of CTC aligns with its transcript.

    Args:
        index: Its place in the dataset.
        source: Where it is.
        frames: The frames it has.
        needed: Those that its transcript needs.
    """

    index: int
    source: Source
    frames: int
    needed: int

    def __str__(self) -> str:
        return f"{self.source} ({self.frames:,} frames, {self.needed:,} needed)"


def ctc_frames(labels: Sequence[Hashable]) -> int:
    """The fewest frames of which CTC can make labels: one for each, and a blank between equal ones.

    Args:
        labels: The labels of a transcript, such as its characters.

    Example:
        >>> ctc_frames("three")
        6
    """
    return len(labels) + sum(label == before for before, label in itertools.pairwise(labels))


def too_short_for_ctc(
    recordings: Dataset[Recording],
    frames_of: Callable[[Recording], int],
    labels_of: Callable[[Recording], Sequence[Hashable]],
) -> list[TooShort]:
    """The recordings that CTC cannot align: their loss is infinite, and one of them ends a training.

    Args:
        recordings: The recordings.
        frames_of: The frames of a recording as the loss has them, after the subsampling.
        labels_of: The labels of its transcript.
    """
    short = []
    for index in range(len(recordings)):
        recording = recordings[index]
        frames, needed = frames_of(recording), ctc_frames(labels_of(recording))
        if frames < needed:
            short.append(TooShort(index, recordings.source(index), frames, needed))
    return short


# Characters


@dataclass
class ForeignCharacter:
    """A character that an alphabet lacks.

    Args:
        character: It.
        count: How often it is there.
        sources: Where first, a few.
    """

    character: str
    count: int = 0
    sources: list[Source] = field(default_factory=list)

    def __str__(self) -> str:
        name = unicodedata.name(self.character, f"U+{ord(self.character):04X}")
        others = ", ..." if self.count > len(self.sources) else ""
        return f"{self.character!r} ({name}): {self.count:,} ({', '.join(map(str, self.sources))}{others})"


def foreign_characters(
    transcripts: Iterable[tuple[Source, str]], alphabet: Iterable[str], listed: int = 3
) -> list[ForeignCharacter]:
    """The characters of transcripts that an alphabet lacks, the most frequent first.

    Args:
        transcripts: Transcripts as they are learned, and where each is from.
        alphabet: The characters that are known.
        listed: How many places are listed of each.

    Example:
        >>> from pathlib import Path
        >>> print(*foreign_characters([(Source(Path("a.csv"), 2), "café")], "abcdef"))
        'é' (LATIN SMALL LETTER E WITH ACUTE): 1 (a.csv:2)
    """
    known, foreign = set(alphabet), dict[str, ForeignCharacter]()
    for source, text in transcripts:
        for character, count in Counter(text).items():
            if character not in known:
                entry = foreign.setdefault(character, ForeignCharacter(character))
                entry.count += count
                if len(entry.sources) < listed:
                    entry.sources.append(source)
    return sorted(foreign.values(), key=lambda entry: (-entry.count, entry.character))


# Sound


def recording_warnings(parts: Mapping[str, Dataset[Recording]]) -> list[str]:
    """What is odd about recordings: silence, clipping, what is cut off or cancelled, how fast one speaks, other rates.

    Of a part with more than two hours, evenly spaced recordings are listened to.

    Args:
        parts: The parts by name, the one to train on first.

    Returns:
        A sentence each, with where it is.
    """
    warnings = [*_rates(parts)]
    for name, part in parts.items():
        problems = Problems()
        sound = [index for index in range(len(part)) if part[index].rate is not None and part[index].trouble is None]
        for index in _listened_to(part, sound):
            _listen(part[index], part.source(index), problems)
        for index in range(len(part)):
            if part[index].seconds() > LONG:
                problems.add(
                    f"a recording lasts more than {LONG:g} seconds, which costs memory in training",
                    part.source(index),
                    f"{part[index].seconds():,.0f} s",
                )
        _speaking_rates(part, problems)
        warnings += [f"{name}: {line}" for line in problems.lines()]
    return warnings


def _listened_to(part: Dataset[Recording], indices: Sequence[int]) -> list[int]:
    seconds = sum(part[index].seconds() for index in indices)
    if seconds <= LISTENED_TO:
        return [*indices]
    count = max(1, int(len(indices) * LISTENED_TO / seconds))
    return [indices[int(place)] for place in np.linspace(0, len(indices) - 1, count)]


def _listen(recording: Recording, source: Source, problems: Problems) -> None:
    try:
        facts = sound_facts(recording)
    except DataError as error:
        problems.add("a recording cannot be read to its end", source, str(error))
        return
    if facts.is_silent:
        problems.add("a recording is silent", source)
    if facts.is_clipped:
        problems.add("a recording is clipped: its loudest parts are cut off", source, f"{facts.clipped:.1%} of it")
    if facts.is_cancelled:
        problems.add("the channels of a recording cancel each other, and their mean is nearly silent", source)
    if facts.missing > 0.1:
        problems.add("a recording ends before its header says", source, f"{facts.missing:.1f} s are missing")


def _speaking_rates(part: Dataset[Recording], problems: Problems) -> None:
    """Count recordings in which one would speak much faster or slower than usual: the transcript may be another's."""
    known = [
        (index, len(text), part[index].seconds())
        for index in range(len(part))
        if (text := (part[index].transcript or "").strip()) and part[index].length
    ]
    if len(known) < FEWEST:
        return
    # Pauses before and after are as long in a short recording as in a long one.
    pause = min(seconds for _, _, seconds in known)
    rates = np.log([(letters + 1) / (seconds + pause) for _, letters, seconds in known])
    middle = np.median(rates)
    spread = max(1.4826 * float(np.median(np.abs(rates - middle))), 0.05)
    for (index, letters, seconds), rate in zip(known, rates, strict=True):
        if abs(rate - middle) > SPREAD * spread:
            pace = "fast" if rate > middle else "slow"
            problems.add(
                f"a transcript would be spoken very {pace}, and may be another recording's",
                part.source(index),
                f"{letters:,} characters in {seconds:.1f} s",
            )


def _rates(parts: Mapping[str, Dataset[Recording]]) -> list[str]:
    """Says where parts have sound of other rates than the one to train on: above half the rate there is nothing."""
    rates = {
        name: Counter(rate for index in range(len(part)) if (rate := part[index].rate) is not None)
        for name, part in parts.items()
    }
    (first, trained), *others = rates.items()
    warnings = []
    if len(trained) > 1:
        said = ", ".join(f"{rate:,} ({count:,})" for rate, count in trained.most_common())
        warnings.append(f"{first}: recordings have different numbers of samples a second: {said}")
    for name, counted in others:
        odd = {rate: count for rate, count in counted.items() if rate not in trained and trained}
        if odd:
            said = ", ".join(f"{rate:,} ({count:,})" for rate, count in odd.items())
            known = ", ".join(f"{rate:,}" for rate in sorted(trained))
            warnings.append(f"{name}: recordings have {said} samples a second, and those trained on {known}")
    return warnings
