"""From a piece to the keys that sound in each step of it, and back."""

from __future__ import annotations

from collections import Counter

import numpy as np
from numpy.typing import NDArray

from recurra.data.piece import Metre, Note, Piece, Tempo, Track, note_name, piece_name
from recurra.errors import DataError

__all__ = ["piece_of", "roll_of"]

LONGEST_ROLL = 1 << 20
"""How many steps a roll may have: 73 hours of sixteenths at 60 quarters a minute."""


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
            f"{piece_name(piece)} lasts {length:,} steps, {steps_per_quarter} a quarter; a roll has {LONGEST_ROLL:,} "
            "at most: the times in the file are wrong"
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
