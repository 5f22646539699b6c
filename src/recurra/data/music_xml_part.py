"""One part of a score in MusicXML, bar by bar."""

from __future__ import annotations

import re
from collections import Counter
from fractions import Fraction
from xml.etree.ElementTree import Element

from recurra.data.repeats import Bar
from recurra.data.score import Measure, Sound
from recurra.errors import DataError

__all__ = ["read_part"]

_STEPS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}


def read_part(part: Element, track: int, lost: Counter[str], name: str) -> list[Measure]:
    """The bars of a part.

    Args:
        part: Its element.
        track: Its number.
        lost: Counts of what is not kept, which are added to.
        name: What the file is called, for messages.

    Raises:
        DataError: A number is none; the message names the part and the bar.
    """
    reader = _Part(track, lost)
    for number, measure in enumerate(part.iterfind("measure"), start=1):
        try:
            reader.read(measure)
        except (ValueError, KeyError, ZeroDivisionError) as error:
            where = f"{name}, part {part.get('id', track + 1)}, bar {measure.get('number', number)}"
            raise DataError(f"{where}: a value is missing or is none: {error}; the file is damaged") from None
    return reader.measures


class _Part:
    """A part as far as it was read."""

    def __init__(self, track: int, lost: Counter[str]) -> None:
        self.measures: list[Measure] = []
        self._track, self._lost = track, lost
        self._divisions = Fraction(1)
        self._shift = 0
        self._velocity = 80
        self._endings: frozenset[int] = frozenset()
        self._measure = Measure()
        self._now = self._last = Fraction(0)

    def read(self, element: Element) -> None:
        """Reads a bar."""
        self._measure = Measure(repeats=Bar(endings=self._endings))
        self._now = self._last = Fraction(0)
        self.measures.append(self._measure)
        for child in element:
            if child.tag == "note":
                self._note(child)
            elif child.tag == "attributes":
                self._attributes(child)
            elif child.tag == "backup":
                self._now = max(Fraction(0), self._now - self._duration(child))
            elif child.tag == "forward":
                self._advance(self._duration(child))
            elif child.tag == "barline":
                self._barline(child)
            elif child.tag in ("direction", "sound"):
                self._direction(child)

    def _duration(self, element: Element) -> Fraction:
        length = Fraction(element.findtext("duration", "0").strip()) / self._divisions
        if length < 0:
            raise ValueError(f"a duration of {length} quarters")
        return length

    def _advance(self, length: Fraction) -> None:
        self._now += length
        self._measure.length = max(self._measure.length, self._now)

    def _note(self, element: Element) -> None:
        if element.find("grace") is not None or element.find("cue") is not None:
            self._lost["grace notes" if element.find("grace") is not None else "cue notes"] += 1
            return
        length = self._duration(element)
        if element.find("chord") is None:
            self._last = self._now
            self._advance(length)
        if element.find("rest") is not None:
            return
        pitch = element.find("pitch")
        if pitch is None:
            self._lost["notes without a pitch"] += 1
            return
        self._sound(pitch, length, element)

    def _sound(self, pitch: Element, length: Fraction, element: Element) -> None:
        """Adds the sound of a note."""
        altered = Fraction(pitch.findtext("alter", "0").strip())
        self._lost["quarter tones, which are rounded"] += altered.denominator > 1
        key = 12 * (int(pitch.findtext("octave", "").strip()) + 1) + _STEPS[pitch.findtext("step", "").strip()]
        key += round(altered) + self._shift
        if not 0 <= key < 128:
            self._lost["notes beyond all instruments"] += 1
            return
        if length == 0:
            self._lost["notes of no length"] += 1
            return
        struck = element.get("dynamics")
        velocity = self._velocity if struck is None else _velocity(struck)
        tied = any(tie.get("type") == "start" for tie in element.iterfind("tie"))
        voice = element.findtext("voice", "")
        self._measure.sounds.append(Sound(self._last, length, key, velocity, tied, self._track, voice))

    def _attributes(self, element: Element) -> None:
        divisions = element.findtext("divisions")
        if divisions is not None:
            self._divisions = Fraction(divisions.strip())
            if self._divisions <= 0:
                raise ValueError(f"{divisions} divisions of a quarter")
        fifths = element.findtext("key/fifths")
        if fifths is not None and -7 <= int(fifths) <= 7:
            self._measure.key = (int(fifths), element.findtext("key/mode", "major").strip() == "minor")
        beats, unit = element.findtext("time/beats"), element.findtext("time/beat-type")
        if beats is not None and unit is not None:
            metre = (sum(int(n) for n in beats.split("+")), int(unit))
            good = 0 < metre[0] < 256 and metre[1] in (1, 2, 4, 8, 16, 32, 64, 128)
            self._lost["metres that are none"] += not good
            self._measure.metre = metre if good else None
        transpose = element.find("transpose")
        if transpose is not None:
            octaves = int(transpose.findtext("octave-change", "0"))
            self._shift = 12 * octaves + round(Fraction(transpose.findtext("chromatic", "0").strip()))

    def _barline(self, element: Element) -> None:
        measure = self._measure
        ending, repeat = element.find("ending"), element.find("repeat")
        if ending is not None and ending.get("type") == "start":
            self._endings = frozenset(int(n) for n in re.findall(r"\d{1,2}", ending.get("number", "")))
            measure.repeats = measure.repeats._replace(endings=self._endings)
        elif ending is not None:
            self._endings = frozenset()
        if repeat is not None and repeat.get("direction") == "forward":
            measure.repeats = measure.repeats._replace(begins=True)
        elif repeat is not None:
            measure.repeats = measure.repeats._replace(ends=max(2, int(repeat.get("times", "2"))))

    def _direction(self, element: Element) -> None:
        for sound in [element] if element.tag == "sound" else element.iterfind("sound"):
            tempo, dynamics = sound.get("tempo"), sound.get("dynamics")
            if tempo is not None and 4 <= float(tempo) <= 4000:
                self._measure.tempos.append((self._now, float(tempo)))
            if dynamics is not None:
                self._velocity = _velocity(dynamics)
            jumps = ("dacapo", "dalsegno", "tocoda", "fine")
            self._lost["jumps such as da capo, which are not played"] += any(sound.get(jump) for jump in jumps)
        self._lost["moves of the sustain pedal"] += element.find("direction-type/pedal") is not None


def _velocity(text: str) -> int:
    """The velocity of dynamics, which MusicXML counts in per cent of 90."""
    return min(127, max(1, round(0.9 * float(text))))
