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
    "piece_of",
    "roll_of",
    "seconds_at",
    "transposed",
]

DRUM_CHANNEL = 9
"""The channel, from 0, on which a pitch is a drum and not a height."""

LONGEST_ROLL = 1 << 20
"""How many steps a roll may have: 18 hours of sixteenths at 60 quarters a minute."""

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
        if len(lines) + (stop - metre.tick) / bar > LONGEST_ROLL:
            raise DataError(f"{_named(piece)} has over {LONGEST_ROLL:,} bars: its times or metres are wrong")
        begin = Fraction(metre.tick)
        while begin < stop:
            lines.append(int(begin))
            begin += bar
    return lines


def roll_of(
    piece: Piece, steps_per_quarter: int = 4, *, lowest: int = 21, highest: int = 108
) -> tuple[NDArray[np.bool_], Counter[str]]:
    """Which keys sound in each step of a piece, and what a roll cannot tell of it.

    Starts and ends go to the nearest step, each by itself, so a note is off by half a step at most however long the
    piece is. A note lasts one step at least.

    Args:
        piece: The piece.
        steps_per_quarter: How many steps a quarter has.
        lowest: The lowest pitch of the roll; 21 is the lowest of a piano.
        highest: The highest; 108 is the highest of a piano.

    Returns:
        The roll (T, keys), and counts of what is lost: drums, which have no height; notes outside the range; notes that
        begin or end off the steps; notes that sound on while another strikes the same key, or that touch the next one;
        velocities other than the commonest one; and changes of tempo.

    Raises:
        DataError: The roll would have over a million steps: the file's times are wrong.

    Example:
        >>> roll, lost = roll_of(Piece([Note(0, 480, 60), Note(480, 720, 62)]), 2, lowest=60, highest=62)
        >>> roll.astype(int).tolist(), dict(lost)
        ([[1, 0, 0], [1, 0, 0], [0, 0, 1]], {})
    """
    lost: Counter[str] = Counter()
    pitched = [note for note in piece.notes if not piece.tracks[note.track].drums]
    kept = [note for note in pitched if lowest <= note.pitch <= highest]
    lost["notes of drums"] = len(piece.notes) - len(pitched)
    lost[f"notes outside {note_name(lowest)} to {note_name(highest)}"] = len(pitched) - len(kept)
    table = np.array([note[:4] for note in kept], dtype=np.int64).reshape(-1, 4)
    begins, off_begin = _steps(table[:, 0], steps_per_quarter, piece.ticks_per_quarter)
    ends, off_end = _steps(table[:, 1], steps_per_quarter, piece.ticks_per_quarter)
    ends = np.maximum(ends, begins + 1)
    length = int(ends.max(initial=0))
    if length > LONGEST_ROLL:
        raise DataError(
            f"{_named(piece)} lasts {length:,} steps, {steps_per_quarter} a quarter; a roll has {LONGEST_ROLL:,} at "
            "most: the times in the file are wrong"
        )
    roll = np.zeros((length, highest - lowest + 1), dtype=np.bool_)
    last: dict[int, int] = {}
    for begin, end, pitch in zip(begins.tolist(), ends.tolist(), table[:, 2].tolist(), strict=True):
        roll[begin:end, pitch - lowest] = True
        lost["notes that join the one before on their key"] += begin <= last.get(pitch, -1)
        last[pitch] = max(end, last.get(pitch, -1))
    lost["notes off the steps"] = int((off_begin | off_end).sum())
    commonest = Counter(table[:, 3].tolist()).most_common(1)
    lost["velocities unlike the rest"] = len(kept) - (commonest[0][1] if commonest else 0)
    lost["changes of tempo"] = sum(tempo.tick > 0 for tempo in piece.tempos)
    return roll, +lost


def piece_of(
    roll: NDArray[np.bool_],
    steps_per_quarter: int = 4,
    *,
    lowest: int = 21,
    quarters_a_minute: float = 100.0,
    metre: tuple[int, int] = (4, 4),
    velocity: int = 80,
    program: int = 0,
    title: str = "",
) -> Piece:
    """The piece that a roll shows: each run of steps in which a key sounds is a note.

    Args:
        roll: Which keys sound in each step. (T, keys)
        steps_per_quarter: How many steps a quarter has.
        lowest: The pitch of the roll's first key.
        quarters_a_minute: The tempo.
        metre: Beats in a bar, and which part of a whole note each is.
        velocity: The velocity of every note.
        program: The number of the sound in General MIDI, from 0.
        title: What the piece is called.

    Example:
        >>> piece = piece_of(np.array([[1, 0], [1, 1]], dtype=bool), 4, lowest=60)
        >>> [(note.start, note.end, note.pitch) for note in piece.notes]
        [(0, 240, 60), (120, 240, 61)]
    """
    step = -(-480 // steps_per_quarter)  # ticks, so that every step is a whole number of them
    padded = np.zeros((len(roll) + 2, roll.shape[1]), dtype=np.int8)
    padded[1:-1] = roll
    change = np.diff(padded, axis=0).T  # by key, then by time: begins and ends come in the same order
    keys, begins = np.nonzero(change == 1)
    ends = np.nonzero(change == -1)[1]
    return Piece(
        [
            Note(begin * step, end * step, lowest + key, velocity)
            for key, begin, end in zip(keys.tolist(), begins.tolist(), ends.tolist(), strict=True)
        ],
        tracks=[Track(program=program)],
        tempos=[Tempo(0, round(60e6 / quarters_a_minute))],
        metres=[Metre(0, *metre)],
        ticks_per_quarter=step * steps_per_quarter,
        title=title,
    )


def _steps(
    ticks: NDArray[np.int64], steps_per_quarter: int, ticks_per_quarter: int
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """The step nearest to each tick, the later of two, and whether the tick is off it."""
    doubled = 2 * ticks * steps_per_quarter + ticks_per_quarter
    steps = doubled // (2 * ticks_per_quarter)
    return steps, steps * ticks_per_quarter != ticks * steps_per_quarter


def _named(piece: Piece) -> str:
    return str(piece.source) if piece.source else (piece.title or "the piece")
