"""Rolls of pieces and pieces of rolls."""

from fractions import Fraction

import numpy as np
import pytest
import symusic
from hypothesis import given, settings, strategies
from hypothesis.extra.numpy import arrays
from tests.support.pieces import pieces

from recurra.data.midi_writing import midi_bytes
from recurra.data.piano_roll import piece_of, roll_of
from recurra.data.piece import Key, Metre, Note, Piece, Tempo, Track, bar_lines, seconds_at, transposed
from recurra.errors import DataError


@given(
    arrays(np.bool_, strategies.tuples(strategies.integers(0, 12), strategies.integers(1, 5))),
    strategies.integers(1, 13),
)
def test_the_roll_of_the_piece_of_a_roll_is_the_roll(roll, steps):
    again, lost = roll_of(piece_of(roll, steps, lowest=40), steps, lowest=40, highest=39 + roll.shape[1])
    sounding = np.flatnonzero(roll.any(axis=1))
    assert np.array_equal(again, roll[: sounding[-1] + 1 if len(sounding) else 0])  # silence at the end is no note
    assert not lost


@strategies.composite
def short_pieces(draw):
    spans = strategies.tuples(
        *[strategies.integers(0, 200)] * 2, strategies.integers(57, 64), strategies.integers(1, 2)
    )
    notes = [Note(min(a, b), max(a, b), pitch, 1 + 40 * v, v - 1) for a, b, pitch, v in draw(strategies.lists(spans))]
    return Piece(notes, tracks=[Track(), Track(channel=9)], ticks_per_quarter=draw(strategies.integers(1, 60)))


@given(short_pieces(), strategies.integers(1, 6))
def test_a_key_sounds_in_the_steps_nearest_to_its_notes(piece, steps):
    roll, lost = roll_of(piece, steps, lowest=58, highest=63)
    expected = np.zeros_like(roll)
    off = joined = 0
    struck = set()
    for note in (note for note in piece.notes if note.track == 0 and 58 <= note.pitch <= 63):
        begin, end = (Fraction(tick * steps, piece.ticks_per_quarter) for tick in note[:2])
        off += begin.denominator > 1 or end.denominator > 1
        first = int(begin + Fraction(1, 2))
        sounds = range(first, max(first + 1, int(end + Fraction(1, 2))))
        joined += bool({(note.pitch, step) for step in (first - 1, *sounds)} & struck)
        struck |= {(note.pitch, step) for step in sounds}
        expected[list(sounds), note.pitch - 58] = True
    assert np.array_equal(roll, expected)
    assert lost["notes off the steps"] == off
    assert lost["notes that join the one before on their key"] == joined
    assert lost["notes of drums"] == sum(note.track for note in piece.notes)
    assert lost["notes outside Bb3 to Eb4"] == sum(note.track == 0 and note.pitch in (57, 64) for note in piece.notes)


def test_velocities_and_tempos_that_a_roll_has_not_are_counted():
    piece = Piece(
        [Note(0, 480, 60, 90), Note(480, 960, 60, 90), Note(0, 480, 62, 20)], tempos=[Tempo(0, 1), Tempo(9, 2)]
    )
    assert roll_of(piece)[1] == {
        "velocities unlike the rest": 1, "changes of tempo": 1, "notes that join the one before on their key": 1,
    }  # fmt: skip


def test_a_piece_of_days_is_refused():
    with pytest.raises(DataError, match="lasts 4,000,000 steps"):
        roll_of(Piece([Note(0, 480_000_000, 60)]))


@settings(max_examples=50)
@given(pieces())
def test_seconds_are_those_of_symusic(piece):
    score = symusic.Score.from_midi(midi_bytes(piece)).to("second")
    theirs = sorted(note.time for track in score.tracks for note in track.notes)
    ours = sorted(seconds_at(piece, [note.start for note in piece.notes]))
    assert np.allclose(theirs, ours, rtol=1e-4, atol=1e-3)


def test_bars_follow_the_metres():
    piece = Piece([Note(0, 2000, 60)], metres=[Metre(100, 2, 4), Metre(700, 6, 8)], ticks_per_quarter=100)
    assert bar_lines(piece) == [0, 100, 300, 500, 700, 1000, 1300, 1600, 1900]
    with pytest.raises(DataError, match="over 1,048,576 bars"):
        bar_lines(Piece([Note(0, 1 << 40, 60)], metres=[Metre(0, 1, 128)]))


def test_transposition_moves_pitches_and_key_and_leaves_drums():
    piece = Piece(
        [Note(0, 1, 60), Note(0, 1, 36, track=1)], tracks=[Track(), Track(channel=9)], keys=[Key(0, -3, True)]
    )
    higher = transposed(piece, 2)
    assert [note.pitch for note in higher.notes] == [62, 36]
    assert higher.keys == (Key(0, -1, True),)  # C minor, then D minor
    with pytest.raises(DataError, match="is no note"):
        transposed(piece, 90)
