"""Whether a finished piece keeps to its constraints, found out from its notes alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recurra.decoding.music_constraints import MusicConstraints

__all__ = ["Finding", "check_constraints"]

BEATS = 4
"""How many beats a bar is counted in where places are told."""


@dataclass(frozen=True)
class Finding:
    """What a check of a finished piece says of one constraint.

    Args:
        constraint: The constraint as it was written.
        frames: How many frames it speaks of.
        violations: How many of them break it.
        first: The first frame that does, from 0; None where none does.
        frames_a_bar: How many frames a bar has.

    Example:
        >>> print(Finding("scale=C:major", frames=128, violations=2, first=21))
        scale=C:major: 128 frames, 2 violations, the first in bar 2, beat 2 (frame 22)
    """

    constraint: str
    frames: int
    violations: int
    first: int | None
    frames_a_bar: int = 16

    @property
    def bar(self) -> int | None:
        """The bar of the first violation, from 1."""
        return None if self.first is None else self.first // self.frames_a_bar + 1

    @property
    def beat(self) -> int | None:
        """The quarter of its bar, from 1."""
        return None if self.first is None else self.first % self.frames_a_bar * BEATS // self.frames_a_bar + 1

    def __str__(self) -> str:
        frames, violations = _counted(self.frames, "frame"), _counted(self.violations, "violation")
        told = f"{self.constraint}: {frames}, {violations}"
        return (
            told
            if self.first is None
            else f"{told}, the first in bar {self.bar}, beat {self.beat} (frame {self.first + 1})"
        )

    def as_json(self) -> dict[str, Any]:
        """The same for programs."""
        told = {"constraint": self.constraint, "frames": self.frames, "violations": self.violations}
        return (
            told
            if self.first is None
            else {**told, "first": {"frame": self.first + 1, "bar": self.bar, "beat": self.beat}}
        )


def check_constraints(
    constraints: MusicConstraints,
    frames: NDArray[np.bool_],
    lowest: int,
    primer: NDArray[np.bool_] | None = None,
    begun: int = 0,
) -> list[Finding]:
    """Check a finished piece, each constraint by itself.

    Nothing of what the piece was written with is used here: pitches are counted one after another.

    Args:
        constraints: The constraints.
        frames: Which keys sound, (T, K).
        lowest: The pitch of the first key.
        primer: The piece whose bars are kept, (T', K).
        begun: How many frames the piece goes on from; they are as they are, and not checked.

    Example:
        >>> constraints = MusicConstraints.parse("scale=C:major hold<=1")
        >>> for finding in check_constraints(constraints, np.eye(3, dtype=np.bool_), lowest=60):
        ...     print(finding)
        scale=C:major: 3 frames, 1 violation, the first in bar 1, beat 1 (frame 2)
        hold<=1: 3 frames, 0 violations
    """
    chords = [frozenset((np.flatnonzero(frame) + lowest).tolist()) for frame in frames]
    return [
        Finding(
            constraints.written[name],
            len(marks),
            sum(marks.values()),
            next((t for t, broken in marks.items() if broken), None),
            constraints.frames_a_bar,
        )
        for name, marks in _checks(constraints, chords, lowest, primer, begun)
    ]


Chord = frozenset[int]


def _checks(
    constraints: MusicConstraints, chords: list[Chord], lowest: int, primer: NDArray[np.bool_] | None, begun: int
) -> Iterator[tuple[str, dict[int, bool]]]:
    """Of each constraint, whether each frame that it speaks of breaks it."""
    length, written = len(chords), range(begun, len(chords))
    if constraints.scale is not None:
        yield "scale", {t: not _classes(chords[t]) <= constraints.scale for t in written}
    if constraints.pitches is not None:
        low, high = constraints.pitches
        yield "range", {t: any(not low <= pitch <= high for pitch in chords[t]) for t in written}
    if constraints.track:
        tracks = ((t, constraints.chord_at(t)) for t in written)
        yield "chords", {t: not _classes(chords[t]) <= track for t, track in tracks if track is not None}
    if "notes" in constraints.written:
        most = 128 if constraints.most is None else constraints.most
        counted = [t for t in written if t < length - 1 or constraints.end != frozenset()]
        yield "notes", {t: not constraints.least <= len(chords[t]) <= most for t in counted}
    if constraints.hold is not None:
        yield "hold", {t: _longest(chords, t) > constraints.hold for t in written}
    kept = [t for begin, end in constraints.keep for t in range(begin, end)]
    if constraints.repeat is not None:
        back = constraints.repeat
        yield (
            "repeat",
            {t: t >= back and len(set(chords[t - back : t + 1])) == 1 for t in sorted({*written} - {*kept})},
        )
    if kept and primer is not None:
        of_primer = [frozenset((np.flatnonzero(frame) + lowest).tolist()) for frame in primer]
        yield "keep", {t: t >= min(length, len(primer)) or chords[t] != of_primer[t] for t in sorted({*kept})}
    for name in ("bars", "length"):
        if name in constraints.written:
            yield name, {length - 1: length != constraints.length}
    if constraints.end is not None and length:
        silence = not constraints.end
        yield "end", {length - 1: bool(chords[-1]) == silence or not _classes(chords[-1]) <= constraints.end}


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def _classes(chord: Iterable[int]) -> set[int]:
    return {pitch % 12 for pitch in chord}


def _longest(chords: list[Chord], t: int) -> int:
    """For how many frames the note that sounds longest in a frame has sounded."""
    sounding, back = set(chords[t]), 0
    while sounding:
        back += 1
        sounding = sounding & chords[t - back] if t >= back else set()
    return back
