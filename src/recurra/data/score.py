"""From a score in bars, with voices, ties and repeats, to the piece it tells to play."""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Sequence
from fractions import Fraction

from recurra.data.lines import Source
from recurra.data.piece import Key, Metre, Note, Piece, Tempo, Track
from recurra.data.repeats import Bar, played

__all__ = ["Measure", "Sound", "perform"]

PLAIN = Bar()
"""A bar that nothing is repeated from or to."""

TICKS = 480
"""The ticks of a quarter, unless a score has times that need more."""

MOST_TICKS = 32_767
"""The most ticks a quarter that a MIDI file can have."""


@dataclasses.dataclass
class Sound:
    """A note as it is written.

    Args:
        start: Where in its bar it begins, in quarters.
        length: How long it is, in quarters.
        pitch: Its key, 60 for middle C.
        velocity: How hard it is struck.
        tied: Whether it goes on into the next note of its pitch.
        track: Which part plays it.
        voice: Which of a part's voices; ties hold within one.
    """

    start: Fraction
    length: Fraction
    pitch: int
    velocity: int = 80
    tied: bool = False
    track: int = 0
    voice: str = ""


@dataclasses.dataclass
class Measure:
    """A bar as it is written.

    Args:
        sounds: Its notes, in order.
        length: How long it is, in quarters.
        metre: Beats and unit from here on; None for no change.
        key: Sharps and whether minor from here on; None for no change.
        tempos: Quarters a minute, from where in the bar on.
        repeats: What it has of repeats.
    """

    sounds: list[Sound] = dataclasses.field(default_factory=list)
    length: Fraction = Fraction(0)
    metre: tuple[int, int] | None = None
    key: tuple[int, bool] | None = None
    tempos: list[tuple[Fraction, float]] = dataclasses.field(default_factory=list)
    repeats: Bar = PLAIN


def perform(
    measures: Sequence[Measure], tracks: Sequence[Track], *, title: str, source: Source, lost: Counter[str]
) -> Piece:
    """The piece that a score tells to play: repeats are played, tied notes are one.

    A first bar that is shorter than its metre is an upbeat and gets a metre of its own, so that the bars that follow
    begin where they are written.

    Args:
        measures: The bars as they are written.
        tracks: The parts.
        title: What the piece is called.
        source: Where it came from.
        lost: What of it is lost so far; ties that lead nowhere and times that no tick fits are added.
    """
    signatures = _signatures(measures)
    order = played([measure.repeats for measure in measures])
    performance = _Performance(lost)
    for number in order:
        performance.add(measures[number], *signatures[number])
    performance.end()
    if order:
        performance.mark_upbeat(measures[order[0]].length)
    times = performance.times()
    ticks = _ticks_for(times)
    lost["times that no tick fits"] += sum((time * ticks).denominator > 1 for time in times)

    def tick(time: Fraction) -> int:
        return round(time * ticks)

    return Piece(
        [Note(tick(n.start), tick(n.end), n.pitch, n.velocity, n.track) for n in performance.notes],
        tracks=tracks,
        tempos=[Tempo(tick(time), round(60e6 / rate)) for time, rate in performance.tempos.items()],
        metres=[Metre(tick(time), *metre) for time, metre in performance.metres.items()],
        keys=[Key(tick(time), *key) for time, key in performance.keys.items()],
        ticks_per_quarter=ticks,
        title=title,
        source=source,
        lost=+lost,
    )


@dataclasses.dataclass
class _Played:
    """A note as it is played, from when to when in quarters."""

    start: Fraction
    end: Fraction
    pitch: int
    velocity: int
    track: int


class _Performance:
    """What was played so far."""

    def __init__(self, lost: Counter[str]) -> None:
        self.notes: list[_Played] = []
        self.tempos: dict[Fraction, float] = {}
        self.metres: dict[Fraction, tuple[int, int]] = {}
        self.keys: dict[Fraction, tuple[int, bool]] = {}
        self._lost = lost
        self._now = Fraction(0)
        self._tied: dict[tuple[int, str, int], _Played] = {}

    def add(self, measure: Measure, metre: tuple[int, int] | None, key: tuple[int, bool] | None) -> None:
        """Plays a bar."""
        if metre is not None and (not self.metres or next(reversed(self.metres.values())) != metre):
            self.metres[self._now] = metre
        if key is not None and (not self.keys or next(reversed(self.keys.values())) != key):
            self.keys[self._now] = key
        for at, rate in measure.tempos:
            if not self.tempos or next(reversed(self.tempos.values())) != rate:
                self.tempos[self._now + at] = rate
        for sound in measure.sounds:
            self._add_sound(sound)
        self._now += measure.length

    def _add_sound(self, sound: Sound) -> None:
        place = (sound.track, sound.voice, sound.pitch)
        start = self._now + sound.start
        note = self._tied.pop(place, None)
        if note is not None and note.end != start:
            self._lost["ties that lead to no note"] += 1
            note = None
        if note is None:
            note = _Played(start, start, sound.pitch, sound.velocity, sound.track)
            self.notes.append(note)
        note.end = start + sound.length
        if sound.tied:
            self._tied[place] = note

    def end(self) -> None:
        """Counts the ties that are still open."""
        self._lost["ties that lead to no note"] += len(self._tied)

    def mark_upbeat(self, length: Fraction) -> None:
        """Gives a first bar that is shorter than its metre says one of its own."""
        metre = self.metres.get(Fraction(0))
        if metre is None or not 0 < length < Fraction(4 * metre[0], metre[1]):
            return
        part = length / 4  # of a whole note
        if part.denominator & (part.denominator - 1) == 0 and part.denominator <= 128:
            unit = max(part.denominator, metre[1])
            self.metres = {Fraction(0): (int(part * unit), unit), length: metre} | {
                time: later for time, later in self.metres.items() if time > length
            }

    def times(self) -> set[Fraction]:
        """Every time at which something is."""
        times = {time for note in self.notes for time in (note.start, note.end)}
        return times | {*self.tempos, *self.metres, *self.keys}


def _signatures(measures: Sequence[Measure]) -> list[tuple[tuple[int, int] | None, tuple[int, bool] | None]]:
    """The metre and the key that are in force in each bar, in the order they are written."""
    metre, key = None, None
    signatures = []
    for measure in measures:
        metre, key = measure.metre or metre, measure.key or key
        signatures.append((metre, key))
    return signatures


def _ticks_for(times: set[Fraction]) -> int:
    """How many ticks a quarter needs for all times to be whole numbers of them, or the usual if that are too many."""
    ticks = math.lcm(TICKS, *{time.denominator for time in times})
    return ticks if ticks <= MOST_TICKS else TICKS
