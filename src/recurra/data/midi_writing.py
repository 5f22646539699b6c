"""Standard MIDI files, written so that what is read again is what was written, tick for tick."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from pathlib import Path

from recurra.data.files import write_atomically
from recurra.data.piece import Piece
from recurra.errors import DataError

__all__ = ["midi_bytes", "write_midi"]


def write_midi(path: Path, piece: Piece) -> None:
    """Writes a piece as a MIDI file of format 1: a first track of tempos, metres and keys, then one a part.

    Args:
        path: The file; it is there as a whole or not at all.
        piece: The piece. Notes of one part and key of which one would end within another exchange their ends, since
            a MIDI file cannot tell them apart.

    Raises:
        DataError: A metre, a tempo or a number of ticks does not fit in a MIDI file.
        RunError: The file cannot be written.
    """
    write_atomically(path, midi_bytes(piece))


def midi_bytes(piece: Piece) -> bytes:
    """The bytes of the MIDI file of a piece; see `write_midi`."""
    if not 0 < piece.ticks_per_quarter < 1 << 15:
        raise DataError(f"a MIDI file has 1 to 32,767 ticks a quarter, and this piece {piece.ticks_per_quarter:,}")
    chunks = [_track_bytes(_conductor(piece), piece.title), *_parts(piece)]
    header = struct.pack(">4sIHHH", b"MThd", 6, 1, len(chunks), piece.ticks_per_quarter)
    return header + b"".join(struct.pack(">4sI", b"MTrk", len(chunk)) + chunk for chunk in chunks)


def _conductor(piece: Piece) -> Iterator[tuple[int, bytes]]:
    """The tempos, metres and keys of a piece, each with its tick."""
    for tempo in piece.tempos:
        if not 0 < tempo.microseconds < 1 << 24:
            raise DataError(
                f"a quarter of {tempo.microseconds:,} microseconds fits in no MIDI file, which has 1 to 16,777,215"
            )
        yield tempo.tick, b"\xff\x51\x03" + tempo.microseconds.to_bytes(3, "big")
    for metre in piece.metres:
        power = metre.unit.bit_length() - 1
        if metre.unit != 1 << power or power > 7 or not 0 < metre.beats < 256:
            raise DataError(
                f"a metre of {metre.beats}/{metre.unit} fits in no MIDI file: 1 to 255 beats of 1, 2, 4 to 128"
            )
        yield metre.tick, bytes([0xFF, 0x58, 4, metre.beats, power, 24, 8])
    for key in piece.keys:
        yield key.tick, bytes([0xFF, 0x59, 2, key.sharps & 0xFF, key.minor])


def _parts(piece: Piece) -> Iterator[bytes]:
    """The chunk of each track, a program before each note that needs another than its channel has."""
    programs: dict[int, int] = {}
    events: list[list[tuple[int, int, bytes]]] = [[] for _ in piece.tracks]
    for note in piece.notes:  # by tick and then by track, as the file will be played
        track = piece.tracks[note.track]
        if programs.get(track.channel, 0) != track.program:
            events[note.track].append((note.start, 1, bytes([0xC0 | track.channel, track.program])))
            programs[track.channel] = track.program
        events[note.track].append((note.start, 1, bytes([0x90 | track.channel, note.pitch, note.velocity])))
        off = bytes([0x80 | track.channel, note.pitch, 64])
        events[note.track].append((note.end, 1 if note.end == note.start else 0, off))
    for track, messages in zip(piece.tracks, events, strict=True):
        messages.sort(key=lambda event: event[:2])  # the sort is stable: of one tick, ends before begins
        yield _track_bytes(((tick, body) for tick, _, body in messages), track.name)


def _track_bytes(events: Iterable[tuple[int, bytes]], name: str) -> bytes:
    """The events of one track with the ticks between them, after its name and before its end."""
    text = name.encode()
    parts = [b"\x00\xff\x03" + _number(len(text)) + text] if text else []
    before = 0
    for tick, body in sorted(events, key=lambda event: event[0]):
        parts += [_wait(tick - before), body]
        before = tick
    return b"".join([*parts, b"\x00\xff\x2f\x00"])


def _wait(ticks: int) -> bytes:
    """The number of ticks before an event; one that is too long is cut by empty texts."""
    longest = (1 << 28) - 1
    return (_number(longest) + b"\xff\x01\x00") * (ticks // longest) + _number(ticks % longest)


def _number(value: int) -> bytes:
    """A number, seven bits a byte."""
    digits: list[int] = [value & 0x7F]
    while value := value >> 7:
        digits.append(value & 0x7F | 0x80)
    return bytes(reversed(digits))
