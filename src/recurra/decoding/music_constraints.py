"""Constraints on music in one language, as masks that a sampler keeps to and as a report that checks what came out."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from recurra.decoding.chord_drawing import FrameMask
from recurra.errors import SettingError
from recurra.spelling import unknown

__all__ = ["ConstraintMasks", "Finding", "MusicConstraints"]

SCALES: Mapping[str, tuple[int, ...]] = {
    "major": (0, 2, 4, 5, 7, 9, 11),
    "minor": (0, 2, 3, 5, 7, 8, 10),
    "harmonic": (0, 2, 3, 5, 7, 8, 11),
    "melodic": (0, 2, 3, 5, 7, 9, 11),
    "dorian": (0, 2, 3, 5, 7, 9, 10),
    "phrygian": (0, 1, 3, 5, 7, 8, 10),
    "lydian": (0, 2, 4, 6, 7, 9, 11),
    "mixolydian": (0, 2, 4, 5, 7, 9, 10),
    "pentatonic": (0, 2, 4, 7, 9),
    "blues": (0, 3, 5, 6, 7, 10),
    "whole-tone": (0, 2, 4, 6, 8, 10),
    "chromatic": tuple(range(12)),
}
CHORDS: Mapping[str, tuple[int, ...]] = {
    "": (0, 4, 7),
    "m": (0, 3, 7),
    "7": (0, 4, 7, 10),
    "maj7": (0, 4, 7, 11),
    "m7": (0, 3, 7, 10),
    "dim": (0, 3, 6),
    "dim7": (0, 3, 6, 9),
    "m7b5": (0, 3, 6, 10),
    "aug": (0, 4, 8),
    "sus2": (0, 2, 7),
    "sus4": (0, 5, 7),
    "6": (0, 4, 7, 9),
    "m6": (0, 3, 7, 9),
}
LETTERS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}

TERMS = ("scale", "range", "chords", "notes", "hold", "keep", "bars", "length", "end")
_TERM = re.compile(r"""(?P<name>[a-z]+)(?P<sign><=|=)(?P<value>"[^"]*"|\S+)\s*|(?P<bad>\S+)\s*""")
_NOTE = re.compile(r"([A-G])([#b]?)(-?\d)")
_ROOT = re.compile(r"([A-G])([#b]?)")

Bits = NDArray[np.bool_]


@dataclass(frozen=True)
class Finding:
    """What a check of a finished piece says of one constraint.

    Args:
        constraint: The constraint as it was written.
        frames: How many frames it speaks of.
        violations: How many of them break it.
        first: The first frame that does, from 0; None where none does.
    """

    constraint: str
    frames: int
    violations: int
    first: int | None

    def __str__(self) -> str:
        told = f"{self.constraint}: {self.frames:,} frames, {self.violations:,} violations"
        return told if self.first is None else f"{told}, the first in frame {self.first + 1}"


@dataclass(frozen=True)
class MusicConstraints:
    """What generated music keeps to, read from a text.

    For example,

        scale=C:major range=C3..C6 notes=1..4 chords="C|F|G7|C" hold<=2bars keep=1-2 bars=16 end=rest

    - `scale=C:major`: only notes of a scale; the root, and one of major, minor, harmonic, melodic, dorian, phrygian,
      lydian, mixolydian, pentatonic, blues, whole-tone, chromatic.
    - `range=C3..C6`: only keys in a range, middle C being C4.
    - `chords="C|F G7|Am"`: only notes of a chord; bars between strokes, chords within a bar between spaces, each an
      equal share of it, and the track from its beginning again when it has ended.
    - `notes=1..4`, `notes=4`: how many notes sound in a frame.
    - `hold<=2bars`, `hold<=6`: no key sounds for longer, in bars or frames.
    - `keep=1-4`: these bars are those of the primer, and the others are written to them.
    - `bars=16`, `length=100`: how long the piece is, in bars or frames.
    - `end=rest`, `end=C`: the last frame is silent, or has notes of a chord alone.

    Args:
        text: The constraints as they were written.
        frames_a_bar: How many frames a bar has.
        terms: What was read, by name.

    Raises:
        SettingError: A constraint is not understood.

    Example:
        >>> constraints = MusicConstraints.parse('scale=C:major range=C4..B4 notes=1..2', frames_a_bar=8)
        >>> constraints.may(frame=0, length=8, lowest=60, keys=12).nonzero()[0].tolist()
        [0, 2, 4, 5, 7, 9, 11]
    """

    text: str
    frames_a_bar: int
    terms: Mapping[str, str]

    @classmethod
    def parse(cls, text: str, frames_a_bar: int = 16) -> MusicConstraints:
        """Constraints from a text.

        Args:
            text: The text; empty for none.
            frames_a_bar: How many frames a bar has.
        """
        terms: dict[str, str] = {}
        for match in _TERM.finditer(text.strip()):
            if match["bad"] is not None:
                raise SettingError(
                    f"constraint {match['bad']!r} is not understood; each is a name, = and a value, such as "
                    "scale=C:major or hold<=2bars"
                )
            name = match["name"]
            if name not in TERMS:
                raise SettingError(unknown("constraint", name, TERMS))
            if name in terms:
                raise SettingError(f"constraint {name} is given twice; leave one of them out")
            if (match["sign"] == "<=") != (name == "hold"):
                raise SettingError(f"constraint {match[0].strip()!r}: write {name}{'<=' if name == 'hold' else '='}")
            terms[name] = match["value"].strip('"')
        constraints = cls(text.strip(), frames_a_bar, terms)
        constraints._check()
        return constraints

    def _check(self) -> None:
        """Refuse values that are not understood, before anything is drawn."""
        for name in ("scale", "range", "chords", "notes", "hold", "keep", "end"):
            if name in self.terms:
                getattr(self, f"_{name}")()
        if "bars" in self.terms and "length" in self.terms:
            raise SettingError("constraints bars and length both say how long a piece is: leave one of them out")
        for name in ("bars", "length"):
            if name in self.terms:
                self._whole(name, self.terms[name])

    @property
    def length(self) -> int | None:
        """How many frames a piece has; None where that is not said."""
        if "bars" in self.terms:
            return self._whole("bars", self.terms["bars"]) * self.frames_a_bar
        return self._whole("length", self.terms["length"]) if "length" in self.terms else None

    @property
    def kept(self) -> tuple[int, int] | None:
        """The first frame that is the primer's, and the one after the last; None where none has to be."""
        return self._keep() if "keep" in self.terms else None

    def may(self, frame: int, length: int, lowest: int, keys: int) -> Bits:
        """Which keys may sound in a frame, by scale, range, chords and the end; what sounded before is not looked at.

        Args:
            frame: Which, from 0.
            length: How many frames the piece has.
            lowest: The pitch of the first key.
            keys: K, how many keys there are.
        """
        pitches = np.arange(lowest, lowest + keys)
        allowed = np.ones(keys, np.bool_)
        if "scale" in self.terms:
            allowed &= np.isin(pitches % 12, list(self._scale()))
        if "range" in self.terms:
            low, high = self._range()
            allowed &= (low <= pitches) & (pitches <= high)
        if "chords" in self.terms:
            allowed &= np.isin(pitches % 12, list(self._chord_at(frame)))
        if "end" in self.terms and frame == length - 1:
            allowed &= np.isin(pitches % 12, list(self._end()))
        return allowed

    def notes(self, frame: int, length: int) -> tuple[int, int]:
        """The fewest and the most notes of a frame."""
        if frame == length - 1 and self.terms.get("end") == "rest":
            return 0, 0
        return self._notes() if "notes" in self.terms else (0, 128)

    @property
    def longest(self) -> int | None:
        """For how many frames a key may sound at most; None for any number."""
        return self._hold() if "hold" in self.terms else None

    def report(self, frames: Bits, lowest: int, primer: Bits | None = None) -> list[Finding]:
        """Check a finished piece, each constraint by itself, from its notes alone.

        Args:
            frames: Which keys sound, (T, K).
            lowest: The pitch of the first key.
            primer: The piece whose bars are kept.
        """
        pitches = [np.flatnonzero(frame) + lowest for frame in frames]
        length = len(frames)
        broken: dict[str, Sequence[bool]] = {}
        if "scale" in self.terms:
            scale = self._scale()
            broken["scale"] = [any(p % 12 not in scale for p in chord.tolist()) for chord in pitches]
        if "range" in self.terms:
            low, high = self._range()
            broken["range"] = [bool(len(chord)) and not (low <= chord[0] and chord[-1] <= high) for chord in pitches]
        if "chords" in self.terms:
            tracks = [self._chord_at(frame) for frame in range(length)]
            broken["chords"] = [any(p % 12 not in t for p in c.tolist()) for c, t in zip(pitches, tracks, strict=True)]
        if "notes" in self.terms:
            least, most = self._notes()
            silent = self.terms.get("end") == "rest"
            broken["notes"] = [
                not least <= len(chord) <= most and not (silent and frame == length - 1)
                for frame, chord in enumerate(pitches)
            ]
        if "hold" in self.terms:
            broken["hold"] = [bool((run > self._hold()).any()) for run in _runs(frames)]
        if "keep" in self.terms and primer is not None:
            begin, end = self._keep()
            broken["keep"] = [
                not np.array_equal(frames[t], primer[t]) for t in range(begin, min(end, length, len(primer)))
            ]
        for name in ("bars", "length"):
            if name in self.terms:
                broken[name] = [length != self.length]
        if "end" in self.terms and length:
            broken["end"] = [any(p % 12 not in self._end() for p in pitches[-1].tolist())]
        return [self._finding(name, list(marks), length) for name, marks in broken.items()]

    def _finding(self, name: str, marks: list[bool], length: int) -> Finding:
        written = f"{name}{'<=' if name == 'hold' else '='}{self.terms[name]}"
        first = marks.index(True) if any(marks) else None
        if first is not None and name == "keep":
            first += self._keep()[0]
        if first is not None and name == "end":
            first = length - 1
        return Finding(written, len(marks), sum(marks), first)

    def _scale(self) -> frozenset[int]:
        root, colon, kind = self.terms["scale"].partition(":")
        matched = _ROOT.fullmatch(root)
        if matched is None or not colon:
            raise SettingError(f"scale={self.terms['scale']}: write a root and a kind, such as scale=C:major")
        if kind not in SCALES:
            raise SettingError(unknown("scale", kind, tuple(SCALES)))
        return frozenset((_class_of(matched) + step) % 12 for step in SCALES[kind])

    def _range(self) -> tuple[int, int]:
        low, dots, high = self.terms["range"].partition("..")
        ends = [_NOTE.fullmatch(low), _NOTE.fullmatch(high)]
        if not dots or None in ends:
            raise SettingError(f"range={self.terms['range']}: write two notes, such as range=C3..C6")
        first, last = (_class_of(m) + 12 * (int(m[3]) + 1) for m in ends if m is not None)
        if first > last:
            raise SettingError(f"range={self.terms['range']}: the first note is the higher one; exchange them")
        return first, last

    def _chords(self) -> list[list[frozenset[int]]]:
        bars = [[_chord(name) for name in bar.split()] for bar in self.terms["chords"].strip("|").split("|")]
        if any(not bar or self.frames_a_bar % len(bar) for bar in bars):
            raise SettingError(
                f"chords={self.terms['chords']!r}: each bar has chords that share its {self.frames_a_bar} frames "
                'evenly, such as chords="C|F G7|C"'
            )
        return bars

    def _chord_at(self, frame: int) -> frozenset[int]:
        bars = self._chords()
        bar = bars[frame // self.frames_a_bar % len(bars)]
        return bar[frame % self.frames_a_bar * len(bar) // self.frames_a_bar]

    def _notes(self) -> tuple[int, int]:
        low, dots, high = self.terms["notes"].partition("..")
        least, most = self._whole("notes", low, 0), self._whole("notes", high if dots else low, 0)
        if least > most:
            raise SettingError(f"notes={self.terms['notes']}: the first number is the larger one; exchange them")
        return least, most

    def _hold(self) -> int:
        value = self.terms["hold"]
        bars = re.fullmatch(r"(\d+)bars?", value)
        return self._whole("hold", bars[1]) * self.frames_a_bar if bars else self._whole("hold", value)

    def _keep(self) -> tuple[int, int]:
        first, _, last = self.terms["keep"].partition("-")
        begin = self._whole("keep", first) - 1
        end = self._whole("keep", last or first)
        if begin >= end:
            raise SettingError(f"keep={self.terms['keep']}: the first bar is after the last; exchange them")
        return begin * self.frames_a_bar, end * self.frames_a_bar

    def _end(self) -> frozenset[int]:
        return frozenset() if self.terms["end"] == "rest" else _chord(self.terms["end"])

    def _whole(self, name: str, text: str, least: int = 1) -> int:
        if not text.isascii() or not text.isdigit() or not least <= int(text) <= 10**6:
            raise SettingError(f"constraint {name} has {text!r} where a whole number from {least} was expected")
        return int(text)


def _class_of(matched: re.Match[str]) -> int:
    return (LETTERS[matched[1]] + {"#": 1, "b": -1, "": 0}[matched[2]]) % 12


def _chord(name: str) -> frozenset[int]:
    """The pitch classes of a chord.

    Example:
        >>> sorted(_chord("F#m7"))
        [1, 4, 6, 9]
    """
    matched = _ROOT.match(name)
    kind = name[matched.end() :] if matched else ""
    if matched is None or kind not in CHORDS:
        known = ", ".join(f"C{kind}" for kind in CHORDS)
        raise SettingError(f"the chord {name!r} is not known; a root and a kind, such as {known}")
    return frozenset((_class_of(matched) + step) % 12 for step in CHORDS[kind])


def _runs(frames: Bits) -> NDArray[np.int64]:
    """For how many frames each key has sounded without a break, (T, K)."""
    runs = np.zeros((len(frames), frames.shape[1]), np.int64)
    before = np.zeros(frames.shape[1], np.int64)
    for t, frame in enumerate(frames):
        before = np.where(frame, before + 1, 0)
        runs[t] = before
    return runs


class ConstraintMasks:
    """The masks of a piece that is being written, frame after frame, such that none ever allows nothing.

    Args:
        constraints: The constraints.
        length: How many frames the piece will have.
        lowest: The pitch of the first key.
        keys: How many keys there are.
        primer: The frames that it goes on from, or whose bars are kept, (T, K); None for none.
        rows: How many pieces are written side by side.
        begun: Frames that every piece begins with as they are, whatever the constraints say; `next` is of the frame
            after them.

    Raises:
        SettingError: Two constraints cannot both be kept.
    """

    def __init__(
        self,
        constraints: MusicConstraints,
        length: int,
        lowest: int,
        keys: int,
        primer: Bits | None = None,
        rows: int = 1,
        begun: Bits | None = None,
    ) -> None:
        self._constraints, self._length, self._rows = constraints, length, rows
        self._may = np.stack([constraints.may(frame, length, lowest, keys) for frame in range(length)])
        numbers = np.array([constraints.notes(frame, length) for frame in range(length)])
        self._least, self._most = numbers[:, 0], np.minimum(numbers[:, 1], keys)
        self._fixed: dict[int, Bits] = {}
        if constraints.kept is not None:
            begin, end = constraints.kept
            if primer is None or len(primer) < min(end, length):
                raise SettingError(
                    f"keep={constraints.terms['keep']}: there is no primer that has these bars; give one"
                )
            self._fixed = {t: primer[t] for t in range(begin, min(end, length))}
        self._runs = np.zeros((rows, keys), np.int64)
        self._begin = self._frame = 0 if begun is None else len(begun)
        if begun is not None and len(begun):
            self._runs += _runs(begun)[-1]
        self._check(int((self._runs[0] > 0).sum()))
        self._ahead = self._sounding_ahead()

    def _check(self, most_before: int) -> None:
        """Refuse constraints that cannot all be kept, after a frame in which so many keys sound."""
        longest = self._constraints.longest
        for t in range(self._begin, self._length):
            if t in self._fixed:
                self._check_kept(t)
                most_before = int(self._fixed[t].sum())
                continue
            there, least = int(self._may[t].sum()), int(self._least[t])
            if there < least:
                raise SettingError(
                    f"the constraints {self._constraints.text!r} leave {there} keys in frame {t + 1}, and {least} "
                    "notes have to sound: allow fewer notes or more keys"
                )
            following = int(self._fixed[t + 1].sum()) if t + 1 in self._fixed else 0
            held = min(there, most_before) + following
            if longest is not None and there - held < least:
                raise SettingError(
                    f"the constraints {self._constraints.text!r} leave {there} keys in frame {t + 1}, of which "
                    f"{held} may have been held for too long, and {least} notes have to sound: allow fewer notes, "
                    "more keys or a longer hold"
                )
            most_before = min(int(self._most[t]), there)

    def _check_kept(self, t: int) -> None:
        kept = self._fixed[t]
        count = int(kept.sum())
        if (kept & ~self._may[t]).any() or not self._least[t] <= count <= self._most[t]:
            raise SettingError(
                f"frame {t + 1} is kept by keep={self._constraints.terms['keep']}, and breaks another of the "
                f"constraints {self._constraints.text!r}: keep other bars, or leave that one out"
            )

    def _sounding_ahead(self) -> NDArray[np.int64]:
        """For how many kept frames after each frame a key will sound on, (T + 1, K)."""
        ahead = np.zeros((self._length + 1, self._may.shape[1]), np.int64)
        for t in range(self._length - 2, -1, -1):
            if t + 1 in self._fixed:
                ahead[t] = np.where(self._fixed[t + 1], ahead[t + 1] + 1, 0)
        longest = self._constraints.longest
        if longest is not None and self._fixed:
            runs = _runs(np.stack([self._fixed.get(t, self._may[t] & False) for t in range(self._length)]))
            if (runs > longest).any():
                raise SettingError(
                    f"a key sounds for {runs.max()} frames in the bars kept, and hold<={longest} frames is asked for: "
                    "keep other bars, or hold longer"
                )
        return ahead

    def next(self) -> FrameMask:
        """What the next frame may be."""
        t = self._frame
        if t in self._fixed:
            kept = torch.from_numpy(self._fixed[t]).expand(self._rows, -1)
            count = kept.sum(1)
            return FrameMask(kept, kept, count, count)
        may = np.broadcast_to(self._may[t], self._runs.shape)
        longest = self._constraints.longest
        if longest is not None:
            may = may & (self._runs + 1 + self._ahead[t] <= longest)
        allowed = torch.from_numpy(may.copy())
        full = torch.full((self._rows,), 0)
        return FrameMask(allowed, torch.zeros_like(allowed), full + int(self._least[t]), full + int(self._most[t]))

    def advance(self, chords: Bits) -> None:
        """Take what was drawn.

        Args:
            chords: Which keys sound in each row, (N, K).
        """
        self._runs = np.where(chords, self._runs + 1, 0)
        self._frame += 1
