"""A piece of music as a score has it: notes in ticks, with the tempos, metres, keys and tracks that go with them."""

from __future__ import annotations

import dataclasses
import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from recurra.data.lines import Source
from recurra.errors import DataError

__all__ = [
    "DRUM_CHANNEL",
    "Key",
    "Metre",
    "Note",
    "Piece",
    "Tempo",
    "Track",
    "bar_lines",
    "losses_in_words",
    "note_name",
    "piece_name",
    "seconds_at",
    "transposed",
]

DRUM_CHANNEL = 9
"""The channel, from 0, on which a pitch is a drum and not a height."""

MOST_BARS = 1 << 20
"""How many bars a piece may have: 580 hours at 120 quarters a minute."""

DEFAULT_TEMPO = 500_000
"""The microseconds a quarter lasts until a file says otherwise: 120 quarters a minute."""

_NAMES = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")


class Note(NamedTuple):
    """A note.

    Args:
        start: The tick it begins at.
        end: The tick it ends at; not before its start.
        pitch: Its key, 60 for middle C; 0 to 127. On a track of drums the number of a drum.
        velocity: How hard it is struck, 1 to 127.
        track: Which of the piece's tracks plays it, from 0.
    """

    start: int
    end: int
    pitch: int
    velocity: int = 80
    track: int = 0


class Tempo(NamedTuple):
    """From which tick on a quarter lasts how many microseconds."""

    tick: int
    microseconds: int


class Metre(NamedTuple):
    """From which tick on a bar has how many beats, and which part of a whole note each is: 6 and 8 for 6/8."""

    tick: int
    beats: int
    unit: int


class Key(NamedTuple):
    """From which tick on the key signature has how many sharps (flats below 0), and whether it is a minor key."""

    tick: int
    sharps: int
    minor: bool = False


class Track(NamedTuple):
    """An instrument's part.

    Args:
        name: What it is called; may be empty.
        program: The number of its sound in General MIDI, from 0.
        channel: The channel it is sent on, from 0; channel 9 is the drums.
    """

    name: str = ""
    program: int = 0
    channel: int = 0

    @property
    def drums(self) -> bool:
        """Whether its pitches are drums."""
        return self.channel == DRUM_CHANNEL


@dataclasses.dataclass(frozen=True)
class Piece:
    """A piece of music; two are equal if they sound and are barred alike, wherever they came from.

    Args:
        notes: The notes; they are sorted by start, track, pitch, end and velocity.
        tracks: The parts that notes name by number.
        tempos: The tempos, in order; before the first a quarter lasts half a second.
        metres: The metres, in order; before the first bars are of four quarters.
        keys: The key signatures, in order.
        ticks_per_quarter: How many ticks a quarter has.
        title: What the piece is called; may be empty.
        source: Where it came from, for messages.
        lost: What the file had that the piece has not, by kind, with counts: nothing is dropped in silence.

    Raises:
        DataError: A note ends before it begins, or has a pitch, a velocity or a track that there is not; or a tempo
            or a metre is none.

    Example:
        >>> piece = Piece([Note(480, 960, 64), Note(0, 480, 60)])
        >>> [note.pitch for note in piece.notes], piece.end
        ([60, 64], 960)
    """

    notes: Sequence[Note]
    tracks: Sequence[Track] = (Track(),)
    tempos: Sequence[Tempo] = ()
    metres: Sequence[Metre] = ()
    keys: Sequence[Key] = ()
    ticks_per_quarter: int = 480
    title: str = ""
    source: Source | None = dataclasses.field(default=None, compare=False)
    lost: Mapping[str, int] = dataclasses.field(default_factory=Counter, compare=False)

    def __post_init__(self) -> None:
        for note in self.notes:
            if not (0 <= note.start <= note.end and 0 <= note.pitch < 128 and 0 < note.velocity < 128):
                raise DataError(
                    f"{note} is no note: it ends no earlier than it begins, its pitch is 0 to 127 and its velocity "
                    "1 to 127"
                )
            if not 0 <= note.track < len(self.tracks):
                raise DataError(f"{note} is on a track that a piece of {len(self.tracks)} has not; count from 0")
        for metre in self.metres:
            if not (metre.tick >= 0 and metre.beats > 0 and metre.unit > 0):
                raise DataError(f"{metre} is no metre: a bar has one beat at least")
        for tempo in self.tempos:
            if not (tempo.tick >= 0 and tempo.microseconds > 0):
                raise DataError(f"{tempo} is no tempo: a quarter lasts one microsecond at least")
        if self.ticks_per_quarter < 1:
            raise DataError(f"{self.ticks_per_quarter} ticks a quarter are too few: give 1 or more")
        order = sorted(self.notes, key=lambda note: (note.start, note.track, note.pitch, note.end, note.velocity))
        for name, value in (
            ("notes", order),
            ("tracks", self.tracks),
            ("tempos", sorted(self.tempos, key=lambda tempo: tempo.tick)),
            ("metres", sorted(self.metres, key=lambda metre: metre.tick)),
            ("keys", sorted(self.keys, key=lambda key: key.tick)),
        ):
            object.__setattr__(self, name, tuple(value))

    @property
    def end(self) -> int:
        """The tick at which the last note ends; 0 of a piece without notes."""
        return max((note.end for note in self.notes), default=0)


def note_name(pitch: int) -> str:
    """The name of a pitch, middle C being C4.

    Example:
        >>> note_name(60), note_name(58)
        ('C4', 'Bb3')
    """
    return f"{_NAMES[pitch % 12]}{pitch // 12 - 1}"


def losses_in_words(lost: Mapping[str, int]) -> str:
    """What was lost, with counts, the most frequent first; empty if nothing was.

    Example:
        >>> losses_in_words({"pitch bends": 2, "control changes": 1200})
        '1,200 control changes, 2 pitch bends'
    """
    order = sorted(((count, kind) for kind, count in lost.items() if count), key=lambda pair: (-pair[0], pair[1]))
    return ", ".join(f"{count:,} {kind}" for count, kind in order)


def transposed(piece: Piece, semitones: int) -> Piece:
    """A piece so many semitones higher; its drums stay. Key signatures go with it.

    Raises:
        DataError: A note would leave the 128 pitches there are.

    Example:
        >>> transposed(Piece([Note(0, 480, 60)]), -3).notes[0].pitch
        57
    """
    notes = [n if piece.tracks[n.track].drums else n._replace(pitch=n.pitch + semitones) for n in piece.notes]
    keys = [key._replace(sharps=(key.sharps + 7 * semitones + 5) % 12 - 5) for key in piece.keys]
    return dataclasses.replace(piece, notes=notes, keys=keys if semitones % 12 else piece.keys)


def seconds_at(piece: Piece, ticks: Sequence[int]) -> NDArray[np.float64]:
    """When each tick is, in seconds from the beginning, by the piece's tempos.

    Args:
        piece: The piece.
        ticks: The ticks, in any order. (N)

    Returns:
        The seconds. (N)

    Example:
        >>> piece = Piece([], tempos=[Tempo(480, 1_000_000)])
        >>> seconds_at(piece, [480, 960]).tolist()
        [0.5, 1.5]
    """
    changes = [Tempo(0, DEFAULT_TEMPO), *piece.tempos]
    begins = np.array([change.tick for change in changes], dtype=np.float64)
    rates = np.array([change.microseconds for change in changes], dtype=np.float64) / 1e6 / piece.ticks_per_quarter
    times = np.concatenate([[0.0], np.cumsum(np.diff(begins) * rates[:-1])])
    at = np.asarray(ticks, dtype=np.float64)
    which = np.searchsorted(begins, at, side="right") - 1
    return np.asarray(times[which] + (at - begins[which]) * rates[which], dtype=np.float64)


def bar_lines(piece: Piece, end: int | None = None) -> list[int]:
    """The ticks at which bars begin, by the piece's metres; a change of metre begins a bar.

    Args:
        piece: The piece.
        end: Where to stop; None for the end of the last note.

    Raises:
        DataError: There are over a million bars.

    Example:
        >>> bar_lines(Piece([Note(0, 4800, 60)], metres=[Metre(0, 4, 4), Metre(1920, 3, 4)]))
        [0, 1920, 3360]
    """
    end = piece.end if end is None else end
    first = piece.metres[0].tick if piece.metres else 1
    changes = [*([Metre(0, 4, 4)] if first > 0 else []), *piece.metres]
    lines: list[int] = []
    for metre, following in itertools.pairwise([*changes, Metre(end, 4, 4)]):
        bar = Fraction(4 * metre.beats * piece.ticks_per_quarter, metre.unit)
        stop = min(end, following.tick)
        if len(lines) + (stop - metre.tick) / bar > MOST_BARS:
            raise DataError(f"{piece_name(piece)} has over {MOST_BARS:,} bars: its times or metres are wrong")
        begin = Fraction(metre.tick)
        while begin < stop:
            lines.append(int(begin))
            begin += bar
    return lines


def piece_name(piece: Piece) -> str:
    """What a piece is called in messages."""
    return str(piece.source) if piece.source else (piece.title or "the piece")
