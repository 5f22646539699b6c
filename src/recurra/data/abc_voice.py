"""The music of one voice in ABC notation, token by token."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from fractions import Fraction

from recurra.data.abc_fields import ALTERATIONS, KeyField
from recurra.data.repeats import Bar
from recurra.data.score import Measure, Sound

__all__ = ["AbcVoice", "tokens_of"]

_LENGTH = r"\d{0,4}(?:/+\d{0,4})?"
_PITCH = r"(?:\^\^?|__?|=)?[A-Ga-g][,']*"
_TOKEN = re.compile(
    rf"""
    (?P<field>\[[A-Za-z]:[^\]]*\])
  | (?P<bar>(?:\[\||:*\|)(?:[|\]]|\[(?=\|))*:*|::+)\s?(?P<after>\d[\d,-]*)?
  | \[(?P<ending>\d[\d,-]*)
  | \[(?P<chord>[^\]|]*)\](?P<chord_length>{_LENGTH})
  | (?P<note>{_PITCH})(?P<length>{_LENGTH})
  | (?P<rest>[zx])(?P<rest_length>{_LENGTH})
  | (?P<bars>[ZX])(?P<count>\d{{0,3}})
  | \((?P<tuplet>[2-9])(?::(?P<time>\d?)(?::(?P<span>\d?))?)?
  | (?P<broken>>+|<+)
  | (?P<tie>-)
  | (?P<overlay>&)
  | (?P<grace>\{{[^}}]*\}})
  | (?P<symbol>"[^"]*")
  | (?P<decoration>![^!\s|]+!|\+[^+\s|]+\+|[.~H-WYh-w])
  | (?P<nothing>\s+|[()`\\!$*]|y\d*)
  | (?P<unknown>.)
    """,
    re.VERBOSE,
)
_IN_CHORD = re.compile(
    rf"(?P<note>{_PITCH})(?P<length>{_LENGTH})(?P<tie>-?)|(?P<nothing>[\s.~H-Wh-w()]|\{{[^}}]*\}}|\"[^\"]*\")|(?P<unknown>.)"
)
_STEPS = {"C": 60, "D": 62, "E": 64, "F": 65, "G": 67, "A": 69, "B": 71}


def tokens_of(line: str) -> Iterator[re.Match[str]]:
    """The tokens of a line of music; of those that are fields the group `field` is what stands in brackets."""
    return _TOKEN.finditer(line)


class AbcVoice:
    """One voice of a tune as far as it was read.

    Args:
        track: Its number.
        unit: The length of a note that says none, in quarters.
        lost: Counts of what is not kept.
    """

    def __init__(self, track: int, unit: Fraction, lost: Counter[str]) -> None:
        self.unit = unit
        self._track, self._lost = track, lost
        self._metre: tuple[int, int] | None = None
        self._key = KeyField()
        self._measures: list[Measure] = [Measure()]
        self._now = Fraction(0)
        self._endings: frozenset[int] = frozenset()
        self._altered: dict[str, int] = {}  # in this bar, by letter: in every octave, as the standard says
        self._last: list[Sound] = []
        self._last_names: list[str] = []
        self._last_length = Fraction(0)
        self._tied: dict[str, int] = {}  # the pitches that were tied, by the names that they were written with
        self._broken = Fraction(1)
        self._tuplet, self._in_tuplet = Fraction(1), 0
        self._layer = 0

    def set_key(self, key: KeyField) -> None:
        """Changes the key from here on."""
        self._key, self._altered = key, {}
        self._measures[-1].key = (key.sharps, key.minor)

    def set_metre(self, metre: tuple[int, int] | None) -> None:
        """Changes the metre from here on; None for free metre."""
        self._metre = metre
        self._measures[-1].metre = metre or self._measures[-1].metre

    def set_tempo(self, rate: float) -> None:
        """Changes the tempo from here on, in quarters a minute."""
        self._measures[-1].tempos.append((self._now, rate))

    def measures(self) -> list[Measure]:
        """The bars that were read."""
        self._close(Bar())
        return self._measures[:-1]

    def take(self, token: re.Match[str]) -> None:
        """Goes on by a token, other than a field."""
        if token["note"]:
            self._strike([(token["note"], _length(token["length"]), False)])
        elif token["bar"]:
            self._bar(token["bar"])
            self._begin_ending(token["after"] or "")
        elif token["ending"]:
            self._close(Bar())
            self._begin_ending(token["ending"])
        elif token["chord"] is not None:
            self._chord(token["chord"], _length(token["chord_length"]))
        elif token["rest"]:
            self._strike([], _length(token["rest_length"]))
        elif token["bars"]:
            self._rest_for(int(token["count"] or 1))
        elif token["tuplet"]:
            self._begin_tuplet(int(token["tuplet"]), int(token["time"] or 0), int(token["span"] or 0))
        elif token["broken"]:
            self._break(token["broken"])
        elif token["tie"]:
            for sound, name in zip(self._last, self._last_names, strict=True):
                self._tie(sound, name)
        elif token["overlay"]:
            self._measures[-1].length = max(self._now, self._measures[-1].length)
            self._now, self._layer = Fraction(0), self._layer + 1
        else:
            self._count(token)

    def _count(self, token: re.Match[str]) -> None:
        """Counts what is not kept."""
        if token["grace"]:
            self._lost["grace notes"] += len(re.findall("[A-Ga-g]", token["grace"]))
        elif token["symbol"]:
            self._lost["chord symbols" if re.match('"[A-G]', token["symbol"]) else "annotations"] += 1
        elif token["decoration"]:
            self._lost["decorations"] += 1
        elif token["unknown"]:
            self._lost["characters that ABC has not"] += 1

    def _strike(self, notes: list[tuple[str, Fraction, bool]], length: Fraction = Fraction(1)) -> None:
        """Sounds notes together, or none for a rest: their names, lengths in units, and whether they are tied."""
        scale = self.unit * self._broken * (self._tuplet if self._in_tuplet else 1)
        self._broken, self._in_tuplet = Fraction(1), max(0, self._in_tuplet - 1)
        pitches = [self._pitch(name) for name, *_ in notes]
        for sound in self._last:
            if sound.tied and sound.pitch not in pitches:
                sound.tied = False
                self._lost["ties to another pitch, which are slurs"] += 1
        self._tied = {}
        self._last, self._last_names = [], [name for name, *_ in notes]
        for (name, size, tied), pitch in zip(notes, pitches, strict=True):
            if not 0 <= pitch < 128:
                self._lost["notes beyond all instruments"] += 1
                pitch = pitch % 12 + 60
            sound = Sound(self._now, size * scale, pitch, track=self._track, voice=str(self._layer))
            self._last.append(sound)
            if tied:
                self._tie(sound, name)
        self._measures[-1].sounds += self._last
        self._last_length = (notes[0][1] if notes else length) * scale
        self._now += self._last_length

    def _pitch(self, name: str) -> int:
        """The pitch that a name has here, by its own accidental, a tie, the bar's accidentals or the key."""
        sign = name.rstrip(",'")[:-1]
        letter = name[len(sign)]
        upper = letter.upper()
        if not sign and name in self._tied:
            return self._tied[name]
        if sign:
            self._altered[upper] = ALTERATIONS[sign]
        altered = self._altered.get(upper, self._key.altered.get(upper, 0))
        octaves = letter.islower() + name.count("'") - name.count(",")
        return _STEPS[upper] + 12 * octaves + altered + self._key.shift

    def _tie(self, sound: Sound, name: str) -> None:
        sound.tied = True
        self._tied[name.lstrip("^_=")] = sound.pitch

    def _chord(self, text: str, length: Fraction) -> None:
        """Sounds the notes within brackets."""
        notes = []
        for token in _IN_CHORD.finditer(text):
            if token["note"]:
                notes.append((token["note"], _length(token["length"]) * length, bool(token["tie"])))
            elif token["unknown"]:
                self._lost["characters that ABC has not"] += 1
        if notes:
            self._strike(notes)

    def _rest_for(self, bars: int) -> None:
        """Rests for whole bars."""
        beats, unit = self._metre or (4, 4)
        for number in range(bars):
            if number:
                self._bar("|")
            self._strike([], Fraction(4 * beats, unit) / self.unit)

    def _begin_tuplet(self, notes: int, time: int, span: int) -> None:
        """Begins a tuplet: so many notes in the time of others, for so many notes."""
        compound = self._metre is not None and self._metre[0] % 3 == 0 and self._metre[0] > 3
        usual = {2: 3, 3: 2, 4: 3, 6: 2, 8: 3}.get(notes, 3 if compound else 2)
        self._tuplet, self._in_tuplet = Fraction(time or usual, notes), span or notes

    def _break(self, signs: str) -> None:
        """Makes the note before longer and the one that follows shorter, or the other way about."""
        shorter = Fraction(1, 1 << min(len(signs), 4))
        before, self._broken = (2 - shorter, shorter) if signs[0] == ">" else (shorter, 2 - shorter)
        for sound in self._last:
            sound.length *= before
        self._now += self._last_length * (before - 1)
        self._last_length *= before

    def _bar(self, text: str) -> None:
        """Ends a bar at a line; its colons say what is repeated."""
        colons = len(text) - len(text.lstrip(":"))
        both = not text.strip(":")
        begins = both or text.endswith(":")
        self._close(Bar(begins, 1 + (1 if both else colons) if colons else 0))
        if colons or begins or text in ("||", "|]", "[|"):
            self._endings = frozenset()

    def _close(self, line: Bar) -> None:
        """Ends the bar, if it has begun, and begins the next; the line says what ends and what begins."""
        measure = self._measures[-1]
        measure.length = max(measure.length, self._now)
        if measure.length:
            measure.repeats = measure.repeats._replace(endings=self._endings)
            self._measures.append(Measure())
            self._now, self._altered, self._layer = Fraction(0), {}, 0
        if line.ends and len(self._measures) > 1:
            last = self._measures[-2]
            last.repeats = last.repeats._replace(ends=line.ends)
        if line.begins:
            self._measures[-1].repeats = Bar(begins=True)

    def _begin_ending(self, text: str) -> None:
        """Begins an ending for the times that a text names, such as 1, 1,3 or 1-3."""
        times: set[int] = set()
        for first, last in re.findall(r"(\d{1,2})(?:-(\d{1,2}))?", text):
            times |= set(range(int(first), int(last or first) + 1))
        if times:
            self._endings = frozenset(times)


def _length(text: str) -> Fraction:
    """The length that digits and slashes after a note say, in units."""
    number, slash, rest = text.partition("/")
    below = int(rest.lstrip("/")) if rest.lstrip("/") else 1 << (1 + rest.count("/")) if slash else 1
    return Fraction(int(number or 1), below or 1)
