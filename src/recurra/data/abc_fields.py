"""What the fields of ABC say: metre, length of a note, tempo and key.

The standard is ABC 2.1, https://abcnotation.com/wiki/abc:standard:v2.1.
"""

from __future__ import annotations

import re
from fractions import Fraction
from typing import NamedTuple

__all__ = ["KeyField", "key_of", "metre_of", "tempo_of", "unit_of", "usual_unit"]

_TONICS = {"C": 0, "G": 1, "D": 2, "A": 3, "E": 4, "B": 5, "F": -1}
_MODES = {"ion": 0, "maj": 0, "mix": -1, "dor": -2, "aeo": -3, "min": -3, "m": -3, "phr": -4, "loc": -5, "lyd": 1}
_SHARPS, _FLATS = "FCGDAEB", "BEADGCF"
_KEY = re.compile(r"([A-G])([#b]?)\s*([A-Za-z]*)")
_ALTERED = re.compile(r"(\^\^|\^|__|_|=)([A-Ga-g])(?![A-Za-z])")
ALTERATIONS = {"^": 1, "^^": 2, "_": -1, "__": -2, "=": 0}


class KeyField(NamedTuple):
    """A key.

    Args:
        sharps: The sharps of its signature; flats below 0.
        minor: Whether it is minor, Dorian and the like.
        altered: By how many semitones each letter is altered, C to B.
        shift: By how many semitones everything sounds higher than it is written.
    """

    sharps: int = 0
    minor: bool = False
    altered: dict[str, int] = {}  # noqa: RUF012  (never changed)
    shift: int = 0


def key_of(text: str) -> KeyField | None:
    """The key that a K: field says; None if it says none that there is.

    Example:
        >>> key_of("Em").sharps, key_of("Ddor").sharps, key_of("Bb").altered
        (1, 0, {'B': -1, 'E': -1})
    """
    text = text.strip()
    shift = sum(12 * int(n) for n in re.findall(r"octave=(-?\d)", text))
    shift += sum(int(n) for n in re.findall(r"transpose=(-?\d\d?)", text))
    if text in ("HP", "Hp"):  # the pipes: F and C are sharp, and one of the two says so
        return KeyField(0 if text == "HP" else 2, False, {"F": 1, "C": 1}, shift)
    key = _KEY.match(text)
    if key is None:
        plain = not text or re.match(r"none|clef|treble|bass|alto|tenor|octave|transpose|[\^_=]", text)
        return KeyField(0, False, _altered(0, text), shift) if plain else None
    tonic, accidental, mode = key.groups()
    mode = mode.lower()
    word = "m" if mode in ("m", "minor") else mode[:3]
    if word not in _MODES:  # a clef, perhaps, or "exp"; without a mode a key is major
        word = "maj"
    sharps = _TONICS[tonic] + {"#": 7, "b": -7, "": 0}[accidental] + _MODES[word]
    if not -7 <= sharps <= 7:
        return None
    altered = _altered(0 if "exp" in text.split() else sharps, text[key.end() :])
    return KeyField(sharps, _MODES[word] in (-2, -3, -4, -5), altered, shift)


def _altered(sharps: int, rest: str) -> dict[str, int]:
    """How each letter is altered by a signature and by the accidentals after it."""
    altered = dict.fromkeys(_SHARPS[: max(0, sharps)], 1) | dict.fromkeys(_FLATS[: max(0, -sharps)], -1)
    return altered | {letter.upper(): ALTERATIONS[sign] for sign, letter in _ALTERED.findall(rest)}


def metre_of(text: str) -> tuple[int, int] | None:
    """The beats and the unit that an M: field says; None for free metre and for what is none.

    Example:
        >>> metre_of("C|"), metre_of("6/8"), metre_of("(2+3)/8"), metre_of("none")
        ((2, 2), (6, 8), (5, 8), None)
    """
    text = text.split("%")[0].strip()
    if text in ("C", "C|"):
        return (4, 4) if text == "C" else (2, 2)
    fraction = re.match(r"\(?(\d{1,3}(?:\+\d{1,2})*)\)?/(\d{1,3})\b", text)
    if fraction is None:
        return None
    beats, unit = sum(map(int, fraction[1].split("+"))), int(fraction[2])
    return (beats, unit) if 0 < beats < 256 and unit in (1, 2, 4, 8, 16, 32, 64, 128) else None


def unit_of(text: str) -> Fraction | None:
    """The length of a note in quarters that an L: field says; None if it says none."""
    fraction = re.match(r"\s*(\d{1,3})(?:/(\d{1,3}))?", text)
    if fraction is None or not int(fraction[1]) or (fraction[2] and not int(fraction[2])):
        return None
    return Fraction(4 * int(fraction[1]), int(fraction[2] or 1))


def usual_unit(metre: tuple[int, int] | None) -> Fraction:
    """The length of a note in quarters where no L: field says it: a sixteenth in short bars, or else an eighth."""
    return Fraction(1, 4) if metre and 4 * metre[0] < 3 * metre[1] else Fraction(1, 2)


def tempo_of(text: str, unit: Fraction) -> float | None:
    """The quarters a minute that a Q: field says; None if it says a word alone.

    Args:
        text: What stands in the field.
        unit: The length of a note in quarters, which is the beat of a field that says a number alone.

    Example:
        >>> [tempo_of(text, Fraction(1, 2)) for text in ("3/8=80", '"Slow" 1/4=60', "200", '"Slow"')]
        [120.0, 60.0, 100.0, None]
    """
    text = re.sub(r'"[^"]*"', "", text)
    equation = re.match(r"\s*((?:\d{1,3}/\d{1,3}\s*)+|C\d?)\s*=\s*(\d{1,4}(?:\.\d{1,3})?)", text)
    if equation is not None:
        beats = [Fraction(4 * int(n), int(d)) for n, d in re.findall(r"(\d+)/(\d+)", equation[1]) if int(d)]
        rate = sum(beats, Fraction(0)) * Fraction(equation[2]) if beats else unit * Fraction(equation[2])
    else:
        number = re.match(r"\s*(\d{1,4})\b", text)
        rate = unit * int(number[1]) if number else Fraction(0)
    return float(rate) if 4 <= rate <= 4000 else None
