"""The names of pitches, scales and chords."""

from __future__ import annotations

import re
from collections.abc import Mapping

from recurra.errors import SettingError
from recurra.spelling import did_you_mean, unknown

__all__ = ["CHORDS", "SCALES", "chord_classes", "pitch_class", "pitch_of", "scale_classes"]

SCALES: Mapping[str, tuple[int, ...]] = {
    "major": (0, 2, 4, 5, 7, 9, 11),
    "minor": (0, 2, 3, 5, 7, 8, 10),
    "harmonic": (0, 2, 3, 5, 7, 8, 11),
    "melodic": (0, 2, 3, 5, 7, 9, 11),
    "dorian": (0, 2, 3, 5, 7, 9, 10),
    "phrygian": (0, 1, 3, 5, 7, 8, 10),
    "lydian": (0, 2, 4, 6, 7, 9, 11),
    "mixolydian": (0, 2, 4, 5, 7, 9, 10),
    "locrian": (0, 1, 3, 5, 6, 8, 10),
    "pentatonic": (0, 2, 4, 7, 9),
    "minor-pentatonic": (0, 3, 5, 7, 10),
    "blues": (0, 3, 5, 6, 7, 10),
    "whole-tone": (0, 2, 4, 6, 8, 10),
    "chromatic": tuple(range(12)),
}
"""Semitones above the root, by the name of the scale."""

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
    "9": (0, 2, 4, 7, 10),
    "5": (0, 7),
}
"""Semitones above the root, by what stands after its name."""

_LETTERS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
_ROOT = re.compile(r"([A-G])(#|b|)")
_PITCH = re.compile(r"([A-G])(#|b|)(-?\d)")


def pitch_class(name: str) -> int:
    """The pitch class of a name such as C, F# or Bb; C is 0.

    Raises:
        SettingError: It is no name of a pitch class.
    """
    matched = _ROOT.fullmatch(name)
    if matched is None:
        raise SettingError(f"{name!r} is no pitch class; expected a letter from A to G, with # or b, such as F# or Bb")
    return _class_of(matched)


def pitch_of(name: str) -> int:
    """The pitch of a name with its octave, middle C being C4.

    Raises:
        SettingError: It is no name of a pitch.

    Example:
        >>> pitch_of("C4"), pitch_of("Bb3"), pitch_of("C-1")
        (60, 58, 0)
    """
    matched = _PITCH.fullmatch(name)
    pitch = _class_of(matched, wrapped=False) + 12 * (int(matched[3]) + 1) if matched else -1
    if not 0 <= pitch <= 127:
        raise SettingError(
            f"{name!r} is no pitch; expected a letter, # or b, and an octave, such as F#3; C4 is middle C"
        )
    return pitch


def scale_classes(name: str) -> frozenset[int]:
    """The pitch classes of a scale: a root and a kind, or the classes themselves between commas.

    Raises:
        SettingError: It is no scale.

    Example:
        >>> scale_classes("A:minor") == scale_classes("C:major") == scale_classes("C,D,E,F,G,A,B")
        True
    """
    root, colon, kind = name.partition(":")
    if not colon:
        if name == "chromatic":
            return frozenset(range(12))
        if "," not in name:
            raise SettingError(
                f"{name!r} is no scale; expected a root and a kind, such as C:major, or pitch classes, such as C,D,Eb,G"
            )
        return frozenset(pitch_class(each) for each in name.split(","))
    if kind not in SCALES:
        raise SettingError(unknown("scale", kind, SCALES))
    return frozenset((pitch_class(root) + step) % 12 for step in SCALES[kind])


def chord_classes(name: str) -> frozenset[int]:
    """The pitch classes of a chord: a root and what follows it.

    Raises:
        SettingError: It is no chord.

    Example:
        >>> sorted(chord_classes("F#m7"))
        [1, 4, 6, 9]
    """
    matched = _ROOT.match(name)
    kind = name[matched.end() :] if matched else ""
    if matched is None:
        raise SettingError(f"{name!r} is no chord; it begins with a letter from A to G, with # or b, such as F#m7")
    if kind not in CHORDS:
        known = [f"{matched[0]}{each}" for each in CHORDS]
        hint = did_you_mean(name, known)
        raise SettingError(
            f"{name!r} is no chord{hint or ';'} {'The' if hint else 'the'} chords are: {', '.join(known)}"
        )
    return frozenset((_class_of(matched) + step) % 12 for step in CHORDS[kind])


def _class_of(matched: re.Match[str], *, wrapped: bool = True) -> int:
    number = _LETTERS[matched[1]] + {"#": 1, "b": -1, "": 0}[matched[2]]
    return number % 12 if wrapped else number
