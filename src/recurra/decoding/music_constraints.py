"""What generated music is to keep to, read from a text."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recurra.decoding.music_names import chord_classes, pitch_of, scale_classes
from recurra.errors import SettingError
from recurra.spelling import unknown

__all__ = ["MusicConstraints"]

LARGEST = 1_000_000
"""The largest number of bars or frames that a constraint may have."""

_TERM = re.compile(r'\s*(?P<name>[^\s=<>"]*)(?P<sign><=|>=|=|)(?P<value>"[^"]*"|[^\s"]*)')

_Classes = frozenset[int]


@dataclass(frozen=True)
class MusicConstraints:
    """What generated music is to keep to, read from a text of terms between spaces.

    For example,

        scale=C:major range=C3..C6 notes=1..4 chords="C|F G7|C" hold<=2bars repeat<=8 keep=1-2 bars=16 closed

    - `scale=C:major`: only notes of a scale: a root and major, minor, harmonic, melodic, dorian, phrygian, lydian,
      mixolydian, locrian, pentatonic, minor-pentatonic, blues, whole-tone or chromatic; or the pitch classes
      themselves, `scale=C,D,Eb,G`.
    - `range=C3..C6`: only keys from one pitch to another; C4 is middle C.
    - `chords="C|F G7|Am"`: only notes of a chord; strokes part bars, spaces part the chords of a bar, each an equal
      share of it; `-` leaves a bar or a share free. Past its end the track begins again.
    - `notes=1..4`, `notes=4`, `notes<=4`, `notes>=1`: how many notes sound in a frame; `voices` says the same.
    - `rests=no`: in each frame a note sounds.
    - `hold<=2bars`, `hold<=6`: no key sounds on for longer, in bars or frames.
    - `repeat<=8`: no frame that is written is the same as the 8 before it; bars as well.
    - `keep=1-4`, `keep=1-4,9`: these bars are those of the primer, and the others are written around them.
    - `bars=16`, `length=100`: how long the piece is, in bars or frames.
    - `closed`, `end=rest`: the last frame is silent, so that every note has ended; `end=C`: it has notes of this chord
      alone, and one at least.

    Args:
        text: The constraints as they were written.
        frames_a_bar: How many frames a bar has.
        written: Each term as it was written, by the name of the constraint.
        scale: The pitch classes that may sound; None for all.
        pitches: The lowest and the highest pitch; None for all.
        track: The chords of each bar, an equal share of it each; None in place of one leaves it free.
        least: The fewest notes of a frame.
        most: The most notes of a frame; None for any number.
        hold: For how many frames a key may sound on; None for any number.
        repeat: How many equal frames may follow one another; None for any number.
        keep: The frames that are the primer's, as the first and the one after the last.
        length: How many frames the piece has; None where that is not said.
        end: The pitch classes of the last frame, none for silence; None where it is not said.

    Example:
        >>> constraints = MusicConstraints.parse("scale=C:major range=C4..B4 notes=1..2", frames_a_bar=8)
        >>> constraints.may(frame=0, length=8, lowest=60, keys=12).nonzero()[0].tolist()
        [0, 2, 4, 5, 7, 9, 11]
    """

    text: str
    frames_a_bar: int
    written: Mapping[str, str] = field(default_factory=dict)
    scale: _Classes | None = None
    pitches: tuple[int, int] | None = None
    track: tuple[tuple[_Classes | None, ...], ...] = ()
    least: int = 0
    most: int | None = None
    hold: int | None = None
    repeat: int | None = None
    keep: tuple[tuple[int, int], ...] = ()
    length: int | None = None
    end: _Classes | None = None

    @classmethod
    def parse(cls, text: str, frames_a_bar: int = 16) -> MusicConstraints:
        """Constraints from a text.

        Args:
            text: The text; empty for none.
            frames_a_bar: How many frames a bar has.

        Raises:
            SettingError: A term is not understood; the message says which, and at what character it begins.
        """
        return cls(text.strip(), frames_a_bar, **_Parser(text, frames_a_bar).parse())

    def parts(self, frame: int, length: int) -> dict[str, _Classes | tuple[int, int]]:
        """What limits the keys of a frame, by constraint: pitch classes, or the lowest and the highest pitch.

        Args:
            frame: Which, from 0.
            length: How many frames the piece has.
        """
        limits: dict[str, _Classes | tuple[int, int]] = {}
        if self.pitches is not None:
            limits["range"] = self.pitches
        if self.scale is not None:
            limits["scale"] = self.scale
        chord = self.chord_at(frame)
        if chord is not None:
            limits["chords"] = chord
        if self.end is not None and frame == length - 1:
            limits["end"] = self.end
        return limits

    def may(self, frame: int, length: int, lowest: int, keys: int) -> NDArray[np.bool_]:
        """Which keys may sound in a frame, by scale, range, chords and end; what sounded before is not looked at.

        Args:
            frame: Which, from 0.
            length: How many frames the piece has.
            lowest: The pitch of the first key.
            keys: K, how many keys there are.

        Returns:
            (K,).
        """
        allowed = np.ones(keys, np.bool_)
        for limit in self.parts(frame, length).values():
            allowed &= keys_within(limit, lowest, keys)
        return allowed

    def notes(self, frame: int, length: int) -> tuple[int, int | None]:
        """The fewest and the most notes of a frame; None for any number."""
        if self.end is not None and frame == length - 1:
            return (max(1, self.least), self.most) if self.end else (0, 0)
        return self.least, self.most

    def chord_at(self, frame: int) -> _Classes | None:
        """The pitch classes of the chord of a frame; None where it is free."""
        if not self.track:
            return None
        bar = self.track[frame // self.frames_a_bar % len(self.track)]
        return bar[frame % self.frames_a_bar * len(bar) // self.frames_a_bar]

    @property
    def kept(self) -> tuple[tuple[int, int], ...] | None:
        """The frames that are the primer's, as the first and the one after the last; None where none has to be."""
        return self.keep or None


def keys_within(limit: _Classes | tuple[int, int], lowest: int, keys: int) -> NDArray[np.bool_]:
    """Which keys have one of some pitch classes, or lie between two pitches, (K,)."""
    pitches = np.arange(lowest, lowest + keys)
    if isinstance(limit, tuple):
        return (limit[0] <= pitches) & (pitches <= limit[1])
    return np.isin(pitches % 12, list(limit))


class _Parser:
    """From a text to the values of constraints."""

    def __init__(self, text: str, frames_a_bar: int) -> None:
        self._text, self._bar, self._no_rests = text, frames_a_bar, False
        self._values: dict[str, Any] = {}
        self._written: dict[str, str] = {}
        self._readers: dict[str, tuple[tuple[str, ...], str, Callable[[str, str], None]]] = {
            "scale": (("=",), "scale=C:major", self._scale),
            "range": (("=",), "range=C3..C6", self._range),
            "chords": (("=",), 'chords="C|F G7|C"', self._chords),
            "notes": (("=", "<=", ">="), "notes=1..4", self._notes),
            "voices": (("=", "<=", ">="), "voices<=4", self._notes),
            "rests": (("=",), "rests=no", self._rests),
            "hold": (("<=",), "hold<=2bars", self._hold),
            "repeat": (("<=",), "repeat<=8", self._repeat),
            "keep": (("=",), "keep=1-4", self._keep),
            "bars": (("=",), "bars=16", self._bars),
            "length": (("=",), "length=128", self._length),
            "end": (("=",), "end=rest", self._end),
            "closed": (("",), "closed", self._closed),
        }

    def parse(self) -> dict[str, Any]:
        """The values, by the name of the field."""
        at = 0
        while self._text[at:].strip():
            matched = _TERM.match(self._text, at)
            assert matched is not None  # every part may be empty
            begin, whole = matched.start("name"), matched[0].strip()
            try:
                if not whole or matched.end() == begin or self._text[matched.end() : matched.end() + 1].strip():
                    rest = self._text[begin:].split()[0]
                    raise SettingError(f"{rest!r} is not understood; a quotation mark encloses a whole value")
                self._term(matched["name"], matched["sign"], matched["value"].strip('"').strip(), whole)
            except SettingError as error:
                raise SettingError(
                    f"constraint {whole or self._text[begin:]!r} at character {begin + 1}: {error}"
                ) from None
            at = matched.end()
        least, most = self._values.get("least", 0), self._values.get("most")
        least = max(least, 1) if self._no_rests else least
        self._values["least"] = least
        if most is not None and least > most:
            raise SettingError(
                f"the constraints {self._text.strip()!r} ask for {least} notes or more and {most} or fewer"
            )
        return {**self._values, "written": self._written}

    def _term(self, name: str, sign: str, value: str, whole: str) -> None:
        if name not in self._readers:
            raise SettingError(unknown("constraint", name, self._readers))
        signs, example, read = self._readers[name]
        if sign not in signs or (sign and not value):
            raise SettingError(f"expected as in {example}")
        read(sign, value)
        same = {"voices": "notes", "closed": "end", "rests": "notes"}.get(name, name)
        self._written[same] = f"{self._written[same]} {whole}" if same in self._written else whole

    def _set(self, name: str, value: object) -> None:
        if name in self._values:
            raise SettingError("this was said before; leave one of them out")
        self._values[name] = value

    def _scale(self, sign: str, value: str) -> None:
        self._set("scale", scale_classes(value))

    def _range(self, sign: str, value: str) -> None:
        low, dots, high = value.partition("..")
        if not dots:
            raise SettingError("expected two pitches, such as range=C3..C6")
        first, last = pitch_of(low), pitch_of(high)
        if first > last:
            raise SettingError("the first pitch is the higher one; exchange them")
        self._set("pitches", (first, last))

    def _chords(self, sign: str, value: str) -> None:
        bars = [
            tuple(None if name == "-" else chord_classes(name) for name in bar.split())
            for bar in value.strip("|").split("|")
        ]
        for number, bar in enumerate(bars, 1):
            if not bar or self._bar % len(bar):
                raise SettingError(
                    f"bar {number} has {len(bar)} chords, and the {self._bar} frames of a bar are to be shared evenly; "
                    'expected as in chords="C|F G7|-|C"'
                )
        self._set("track", tuple(bars))

    def _notes(self, sign: str, value: str) -> None:
        low, dots, high = value.partition("..")
        if dots and sign != "=":
            raise SettingError("expected one number, or = in place of the sign")
        numbers = _whole(low, 0), _whole(high if dots else low, 0)
        if numbers[0] > numbers[1]:
            raise SettingError("the first number is the larger one; exchange them")
        if sign in {"=", ">="}:
            self._set("least", numbers[0])
        if sign in {"=", "<="}:
            self._set("most", numbers[1])

    def _rests(self, sign: str, value: str) -> None:
        if value not in {"no", "yes"}:
            raise SettingError("expected rests=no or rests=yes")
        self._no_rests |= value == "no"

    def _hold(self, sign: str, value: str) -> None:
        self._set("hold", self._frames(value))

    def _repeat(self, sign: str, value: str) -> None:
        self._set("repeat", self._frames(value))

    def _keep(self, sign: str, value: str) -> None:
        spans = []
        for part in value.split(","):
            first, dash, last = part.partition("-")
            begin, end = _whole(first) - 1, _whole(last if dash else first)
            if begin >= end:
                raise SettingError("the first bar is after the last; exchange them")
            spans.append((begin * self._bar, end * self._bar))
        self._set("keep", tuple(sorted(spans)))

    def _bars(self, sign: str, value: str) -> None:
        self._set("length", _whole(value) * self._bar)

    def _length(self, sign: str, value: str) -> None:
        self._set("length", _whole(value))

    def _end(self, sign: str, value: str) -> None:
        self._set("end", frozenset() if value == "rest" else chord_classes(value))

    def _closed(self, sign: str, value: str) -> None:
        if value:
            raise SettingError("expected closed alone")
        self._set("end", frozenset())

    def _frames(self, value: str) -> int:
        bars = re.fullmatch(r"(\d+)bars?", value)
        return _whole(bars[1]) * self._bar if bars else _whole(value)


def _whole(text: str, least: int = 1) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 7 or not least <= int(text) <= LARGEST:
        raise SettingError(f"{text!r} stands where a whole number from {least} to {LARGEST:,} was expected")
    return int(text)
