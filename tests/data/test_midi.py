"""MIDI files: read as symusic reads them, written so that they are read exactly, and harmless however damaged."""

import collections
import dataclasses
import struct
from pathlib import Path

import pytest
import symusic
from hypothesis import given, settings
from tests.support.pieces import damaged, pieces

from recurra.data.midi import LARGEST_FILE, parse_midi, read_midi
from recurra.data.midi_writing import midi_bytes, write_midi
from recurra.data.piece import Metre, Note, Piece, Tempo, Track
from recurra.errors import DataError, RecurraError

SONG = Piece(
    [Note(0, 480, 60, 100), Note(480, 960, 64, 31), Note(0, 960, 36, 127, 1), Note(960, 1000, 40, 1, 2)],
    tracks=[Track("flute", 73, 0), Track("", 0, 9), Track("bass", 33, 1)],
    tempos=[Tempo(0, 400_000), Tempo(480, 700_000)],
    metres=[Metre(0, 6, 8), Metre(720, 3, 4)],
    title="song",
)


def midi(*tracks, format_=1, division=96):
    """A MIDI file of tracks of raw events, to each of which an end is added."""
    chunks = [struct.pack(">4sI", b"MTrk", len(track) + 4) + track + b"\0\xff\x2f\0" for track in tracks]
    return struct.pack(">4sIHHH", b"MThd", 6, format_, len(tracks), division) + b"".join(chunks)


def read(data):
    return parse_midi(data, Path("a.mid"))


def notes_of(piece):
    """What of each note another library tells too."""
    tracks = piece.tracks
    return sorted(
        (n.start, n.end, n.pitch, n.velocity, tracks[n.track].program, tracks[n.track].drums) for n in piece.notes
    )


@given(pieces())
def test_what_is_written_is_read_exactly(piece):
    again = read(midi_bytes(piece))
    # Parts that differ in nothing but their number cannot be confused either: each has a chunk of its own.
    assert again == piece
    assert not again.lost


@settings(max_examples=50)
@given(pieces())
def test_symusic_reads_the_same_notes_tempos_and_metres(piece):
    # symusic knows no program that a channel has from another part, so here no two parts share a channel.
    tracks = [track._replace(channel=number) for number, track in enumerate(piece.tracks)]
    piece = dataclasses.replace(piece, tracks=tracks)
    score = symusic.Score.from_midi(midi_bytes(piece))
    theirs = [(n.time, n.end, n.pitch, n.velocity, t.program, t.is_drum) for t in score.tracks for n in t.notes]
    assert sorted(theirs) == notes_of(piece)
    assert [(t.time, t.mspq) for t in score.tempos] == [tuple(tempo) for tempo in piece.tempos]
    assert [(m.time, m.numerator, m.denominator) for m in score.time_signatures] == [tuple(m) for m in piece.metres]


def test_files_of_symusic_are_read_as_it_wrote_them(tmp_path):
    write_midi(tmp_path / "ours.mid", SONG)
    symusic.Score(str(tmp_path / "ours.mid")).dump_midi(str(tmp_path / "theirs.mid"))
    again = read_midi(tmp_path / "theirs.mid")
    assert notes_of(again) == notes_of(SONG)
    assert (again.tempos, again.metres, again.ticks_per_quarter) == (SONG.tempos, SONG.metres, SONG.ticks_per_quarter)


def test_running_status_and_ends_by_velocity_0_are_read_in_format_0():
    piece = read(midi(b"\0\x90\x3c\x50\x60\x3c\0\0\x3e\x51\x81\0\x3e\0", format_=0))
    assert piece.notes == (Note(0, 96, 60, 80), Note(96, 224, 62, 81))


def test_a_part_is_split_where_its_program_changes_on_its_channel_whichever_track_says_so():
    piece = read(midi(b"\0\xc3\x05\x60\xc3\x07", b"\0\x93\x3c\x50\x30\x83\x3c\0\x30\x93\x3e\x50\x01\x83\x3e\0"))
    assert [piece.tracks[note.track].program for note in piece.notes] == [5, 7]


def test_what_is_not_kept_is_counted():
    events = [
        b"\xb0\x40\x7f", b"\xb0\x07\x64", b"\xe0\0\x40", b"\xa0\x3c\1", b"\xd0\1", b"\xff\x05\1a", b"\xff\x01\1a",
        b"\xf0\2\1\xf7", b"\x80\x30\x40", b"\x90\x3c\x50", b"\x80\x3c\x7f", b"\x90\x3e\x50", b"\xff\x51\3\0\0\0",
        b"\xff\x51\3\5\0\0", b"\xff\x51\3\6\0\0",
    ]  # fmt: skip
    piece = read(midi(b"", b"\1".join([b"\0", *events])[1:], b"\0\xff\x03\4mute"))
    assert piece.notes == (Note(10, 11, 60, 80), Note(12, 15, 62, 80))
    assert piece.lost == collections.Counter({
        "moves of the sustain pedal": 1, "control changes": 1, "pitch bends": 1, "pressures of keys": 1,
        "pressures of channels": 1, "lyrics": 1, "texts": 1, "system messages": 1, "note-offs without a note": 1,
        "velocities of release": 1, "notes never closed, which end with their track": 1, "tracks without notes": 1,
        "impossible tempos, metres and keys": 1,
    })  # fmt: skip


NOTE = b"\0\x90\x3c\x50\x01\x3c\0"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "is empty"),
        (b"Dear Sir, this is a letter", "begins with b'Dear'"),
        (midi(NOTE)[:10], "ends within its header"),
        (midi(b"\0\xff\x01\2ab"), "has no notes in its 1 tracks"),
        (midi(NOTE, division=0xE728), "film frames"),
        (midi(NOTE, division=0), "0 ticks a quarter"),
        (midi(NOTE, NOTE, format_=2), "its 2 tracks are 2 pieces"),
        (midi(NOTE, format_=7), "format 7"),
        (midi(NOTE)[:-4], "byte 14: track 1 claims 11 bytes and the file has 7 more"),
        (midi(NOTE)[:14] + b"MTrk\x7f\xff\xff\xff" + NOTE, "claims 2,147,483,647 bytes"),
        (midi(NOTE, NOTE)[:33], "says 2 tracks and the file has 1"),
        (midi(b"\0\x3c\x50"), "byte 23 (track 1): a message begins with 60"),
        (midi(b"\0\x90\x3c\xd0"), "a value over 127"),
        (midi(b"\0\xf4"), "begins with 0xf4"),
        (midi(b"\xff\xff\xff\xff\1" + NOTE), "goes on after four bytes"),
        (midi(b"\0\xff\x01\xff\xff\xff\x7f"), "268,435,455 bytes are announced and the track has 4 more"),
    ],
)
def test_what_is_wrong_is_one_line_with_the_file(data, message):
    with pytest.raises(DataError) as error:
        read(data)
    assert message in str(error.value)
    assert str(error.value).startswith("a.mid")
    assert "\n" not in str(error.value)


def test_a_file_beyond_all_size_is_refused_unread(tmp_path):
    with (tmp_path / "big.mid").open("wb") as file:
        file.truncate(LARGEST_FILE + 1)
    with pytest.raises(DataError, match=r"big\.mid has 8,388,609 bytes"):
        read_midi(tmp_path / "big.mid")
    with pytest.raises(DataError, match=r"cannot read .*none.mid: No such file"):
        read_midi(tmp_path / "none.mid")


def test_damaged_files_are_read_or_refused():
    data = midi_bytes(dataclasses.replace(SONG, notes=[Note(n, n + 9, 30 + n % 60, 80, n % 3) for n in range(300)]))
    outcomes = collections.Counter()
    for seed in range(150):
        try:
            piece = read(damaged(data, seed))
            assert read(midi_bytes(piece)).notes == piece.notes
            outcomes["read"] += 1
        except RecurraError:
            outcomes["refused"] += 1
    assert min(outcomes.values()) > 10


def test_a_metre_that_no_file_has_is_refused():
    with pytest.raises(DataError, match="a metre of 3/5 fits in no MIDI file"):
        midi_bytes(Piece([Note(0, 1, 60)], metres=[Metre(0, 3, 5)]))
