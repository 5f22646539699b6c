"""Standard MIDI files, read in plain Python: no file, however damaged, can end the process."""

from __future__ import annotations

import dataclasses
import struct
from collections import Counter, defaultdict, deque
from pathlib import Path
from typing import NamedTuple

from recurra.data.lines import Source, name_of
from recurra.data.piece import Key, Metre, Note, Piece, Tempo, Track
from recurra.errors import DataError

__all__ = ["parse_midi", "read_midi"]

LARGEST_FILE = 8 << 20
"""How many bytes a file may have: as many as three million notes take, more than any score that people play."""

_TEXTS = {1: "texts", 2: "copyright notices", 4: "names of instruments", 5: "lyrics", 6: "markers", 7: "cue points"}
_MESSAGES = {0xA0: "pressures of keys", 0xB0: "control changes", 0xD0: "pressures of channels", 0xE0: "pitch bends"}
_ENDS = (0x20, 0x21, 0x2F)  # channel prefix, port, end of track: they shape the file and not the music
_SUSTAIN = 64


class _Message(NamedTuple):
    """A message to a channel, sorted as it would be played."""

    tick: int
    chunk: int
    number: int
    status: int
    first: int
    second: int


@dataclasses.dataclass
class _Contents:
    """What was read of a file so far."""

    messages: list[_Message] = dataclasses.field(default_factory=list)
    tempos: dict[int, Tempo] = dataclasses.field(default_factory=dict)
    metres: dict[int, Metre] = dataclasses.field(default_factory=dict)
    keys: dict[int, Key] = dataclasses.field(default_factory=dict)
    names: dict[int, str] = dataclasses.field(default_factory=dict)
    ports: dict[int, int] = dataclasses.field(default_factory=dict)
    ends: dict[int, int] = dataclasses.field(default_factory=dict)
    lost: Counter[str] = dataclasses.field(default_factory=Counter)


def read_midi(path: Path) -> Piece:
    """The piece in a MIDI file of format 0 or 1, exact in ticks.

    Kept are notes with their velocities, tempos, metres, key signatures, and tracks with their names, programs and
    channels; a part whose program changes becomes one track a program. Everything else is counted in the piece's
    `lost`. A note that is struck again before it ends is ended by the first note-off of two, as players do.

    Args:
        path: The file; .mid, .midi, .kar or .rmi.

    Raises:
        DataError: It is no MIDI file, is cut off or damaged (the message names the byte), has no notes, or counts time
            in film frames.

    Example:
        >>> import tempfile
        >>> from recurra.data.midi_writing import write_midi
        >>> path = Path(tempfile.mkdtemp()) / "a.mid"
        >>> write_midi(path, Piece([Note(0, 480, 60, 100)], tempos=[Tempo(0, 400_000)]))
        >>> read_midi(path).notes
        (Note(start=0, end=480, pitch=60, velocity=100, track=0),)
    """
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise DataError(
                f"{name_of(path)} has {path.stat().st_size:,} bytes; a MIDI file has {LARGEST_FILE:,} at most"
            )
        data = path.read_bytes()
    except OSError as error:
        raise DataError(f"cannot read {name_of(path)}: {error.strerror}") from None
    return parse_midi(data, path)


def parse_midi(data: bytes, path: Path) -> Piece:
    """The piece in the bytes of a MIDI file.

    Args:
        data: The bytes.
        path: What the file is called, for messages.

    Raises:
        DataError: As for `read_midi`.
    """
    contents = _Contents()
    ticks_per_quarter, chunks = _chunks(data, path)
    for number, (begin, end) in enumerate(chunks):
        _read_track(_Bytes(data, begin, end, path, number + 1), number, contents)
    notes, tracks = _notes(contents)
    if not notes:
        raise DataError(f"{name_of(path)} has no notes in its {len(chunks)} tracks; give one that has, or leave it out")
    lost = contents.lost
    with_notes = {track.chunk for track in tracks}
    lost["tracks without notes"] = sum(chunk not in with_notes for chunk in range(1, len(chunks)))
    title = contents.names.get(0, "") if len(chunks) > 1 and 0 not in with_notes else ""
    return Piece(
        notes,
        tracks=[Track(contents.names.get(track.chunk, ""), track.program, track.channel) for track in tracks],
        tempos=list(contents.tempos.values()),
        metres=list(contents.metres.values()),
        keys=list(contents.keys.values()),
        ticks_per_quarter=ticks_per_quarter,
        title=title,
        source=Source(path, 1),
        lost=+lost,
    )


class _Bytes:
    """The bytes of one chunk, read one after another; what is wrong with them is said with their place."""

    def __init__(self, data: bytes, begin: int, end: int, path: Path, track: int) -> None:
        self.data, self.at, self.end, self.path, self.track = data, begin, end, path, track

    def wrong(self, what: str, at: int | None = None) -> DataError:
        """What is wrong, and at which byte."""
        byte = self.at if at is None else at
        return DataError(f"{name_of(self.path)}, byte {byte:,} (track {self.track}): {what}; the file is damaged")

    def byte(self) -> int:
        """The next byte."""
        if self.at >= self.end:
            raise self.wrong("the track ends within a message")
        self.at += 1
        return self.data[self.at - 1]

    def several(self, count: int) -> bytes:
        """The next bytes, so many."""
        if count > self.end - self.at:
            raise self.wrong(f"{count:,} bytes are announced and the track has {self.end - self.at:,} more")
        self.at += count
        return self.data[self.at - count : self.at]

    def number(self) -> int:
        """The next number of one to four bytes, seven bits in each."""
        value, begin = 0, self.at
        for _ in range(4):
            byte = self.byte()
            value = value << 7 | byte & 0x7F
            if byte < 0x80:
                return value
        raise self.wrong("a number goes on after four bytes", begin)


def _chunks(data: bytes, path: Path) -> tuple[int, list[tuple[int, int]]]:
    """How many ticks a quarter has, and where each track begins and ends."""
    begin = data.find(b"MThd", 0, 64) if data[:4] == b"RIFF" and data[8:12] == b"RMID" else 0
    if data[begin : begin + 4] != b"MThd" or begin < 0:
        what = "is empty" if not data else f"begins with {data[:4]!r}, not with b'MThd'"
        raise DataError(f"{name_of(path)} is no MIDI file: it {what}")
    if len(data) < begin + 14:
        raise DataError(f"{name_of(path)} ends within its header: the file was cut off")
    length, format_, count, division = struct.unpack_from(">IHHH", data, begin + 4)
    if format_ > 2 or length < 6:
        raise DataError(f"{name_of(path)}: the header says format {format_} in {length:,} bytes; there are 0, 1 and 2")
    if division & 0x8000:
        raise DataError(
            f"{name_of(path)} counts time in film frames (SMPTE) and not in quarters; save it with ticks per quarter"
        )
    if division == 0:
        raise DataError(f"{name_of(path)}: the header says 0 ticks a quarter; the file is damaged")
    chunks: list[tuple[int, int]] = []
    at = begin + 8 + length
    while at + 8 <= len(data) and len(chunks) < count:
        kind, size = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "big")
        if kind == b"MTrk":
            if size > len(data) - at - 8:
                raise DataError(
                    f"{name_of(path)}, byte {at:,}: track {len(chunks) + 1} claims {size:,} bytes and the file has "
                    f"{len(data) - at - 8:,} more; it was cut off, or is damaged"
                )
            chunks.append((at + 8, at + 8 + size))
        at += 8 + size
    if len(chunks) < count:
        raise DataError(
            f"{name_of(path)}: the header says {count:,} tracks and the file has {len(chunks)}; it was cut off"
        )
    if format_ == 2 and count > 1:
        raise DataError(
            f"{name_of(path)} is of format 2: its {count} tracks are {count} pieces; save each as a file of format 1"
        )
    return division, chunks


def _read_track(data: _Bytes, chunk: int, contents: _Contents) -> None:
    """Reads one track's events into the contents."""
    tick, number, running = 0, 0, 0
    while data.at < data.end:
        tick += data.number()
        number += 1
        status = data.byte()
        if status < 0x80:
            if not running:
                raise data.wrong(f"a message begins with {status}, which is none", data.at - 1)
            status, data.at = running, data.at - 1
        if status < 0xF0:
            running = status
            first = data.byte()
            second = 0 if status & 0xE0 == 0xC0 else data.byte()
            if (first | second) > 0x7F:
                raise data.wrong(f"the message {status:#x} has a value over 127", data.at - 1)
            contents.messages.append(_Message(tick, chunk, number, status, first, second))
        elif status == 0xFF:
            kind = data.byte()
            body = data.several(data.number())
            if kind == 0x2F:
                break
            _read_meta(kind, body, tick, chunk, contents)
        elif status in (0xF0, 0xF7):
            data.several(data.number())
            contents.lost["system messages"] += 1
        else:
            raise data.wrong(f"a message begins with {status:#x}, which no file has", data.at - 1)
    contents.ends[chunk] = tick


def _read_meta(kind: int, body: bytes, tick: int, chunk: int, contents: _Contents) -> None:
    """Reads an event that is about the music and is sent to no channel."""
    lost = contents.lost
    if kind == 0x51 and len(body) == 3 and any(body):
        lost["tempos that another replaces at once"] += tick in contents.tempos
        contents.tempos[tick] = Tempo(tick, int.from_bytes(body, "big"))
    elif kind == 0x58 and len(body) >= 2 and body[0] and body[1] < 8:
        lost["metres that another replaces at once"] += tick in contents.metres
        contents.metres[tick] = Metre(tick, body[0], 1 << body[1])
    elif kind == 0x59 and len(body) == 2 and body[1] < 2 and -7 <= (sharps := (body[0] ^ 0x80) - 0x80) <= 7:
        lost["keys that another replaces at once"] += tick in contents.keys
        contents.keys[tick] = Key(tick, sharps, bool(body[1]))
    elif kind in (0x51, 0x58, 0x59):
        lost["impossible tempos, metres and keys"] += 1
    elif kind == 3 and chunk not in contents.names:
        contents.names[chunk] = _text(body)
    elif kind == 0x21 and len(body) == 1:
        contents.ports[chunk] = body[0]
    elif kind not in _ENDS and (kind != 1 or body):  # an empty text only fills a wait that is too long for one number
        lost[_TEXTS.get(kind, "other events")] += 1


def _text(body: bytes) -> str:
    try:
        return body.decode()
    except UnicodeDecodeError:
        return body.decode("latin-1")


class _Part(NamedTuple):
    """What makes a track: the notes of one chunk on one channel with one program."""

    chunk: int
    channel: int
    program: int


def _notes(contents: _Contents) -> tuple[list[Note], list[_Part]]:
    """The notes of all messages as they would be played, and the parts that play them."""
    lost = contents.lost
    programs: dict[tuple[int, int], int] = {}
    sounding: defaultdict[tuple[int, int, int], deque[tuple[int, int, _Part]]] = defaultdict(deque)
    closed: list[tuple[int, int, int, int, _Part]] = []
    for tick, chunk, _, status, first, second in sorted(contents.messages):
        kind, channel = status & 0xF0, status & 0x0F
        line = (contents.ports.get(chunk, 0), channel)
        if kind == 0x90 and second:
            part = _Part(chunk, channel, programs.get(line, 0))
            sounding[chunk, channel, first].append((tick, second, part))
        elif kind in (0x80, 0x90):
            waiting = sounding.get((chunk, channel, first))
            if waiting:
                begin, velocity, part = waiting.popleft()
                closed.append((begin, tick, first, velocity, part))
            else:
                lost["note-offs without a note"] += 1
            lost["velocities of release"] += kind == 0x80 and second not in (0, 64)
        elif kind == 0xC0:
            programs[line] = first
        else:
            sustain = kind == 0xB0 and first == _SUSTAIN
            lost["moves of the sustain pedal" if sustain else _MESSAGES[kind]] += 1
    for (chunk, _, pitch), waiting in sounding.items():
        lost["notes never closed, which end with their track"] += len(waiting)
        closed += [(begin, contents.ends[chunk], pitch, velocity, part) for begin, velocity, part in waiting]
    parts = sorted({note[-1] for note in closed})
    numbers = {part: number for number, part in enumerate(parts)}
    return [Note(begin, end, pitch, velocity, numbers[p]) for begin, end, pitch, velocity, p in closed], parts
