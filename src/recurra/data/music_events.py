"""A piece as a text of events, exact in ticks, and back: what a language model can learn and write."""

from __future__ import annotations

import re
from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Iterator

from recurra.data.piece import Key, Metre, Note, Piece, Tempo, Track

__all__ = ["decode", "encode"]

_EVENT = re.compile(
    r"(?P<kind>on|off)(?P<pitch>\d{1,3})(?:@(?P<track>\d{1,3}))?"
    r"|(?P<value>velocity|shift|tempo|ticks)(?P<number>\d{1,9})"
    r"|metre(?P<beats>\d{1,3})/(?P<unit>\d{1,3})"
    r"|key(?P<sharps>-?\d)(?P<mode>major|minor)"
    r"|track(?P<channel>\d{1,2}):(?P<program>\d{1,3})"
)
_FIRST_VELOCITY = 80
_LONGEST_SHIFT = 999_999_999


def encode(piece: Piece) -> list[str]:
    """The events of a piece, one a token without spaces.

    First come `ticks480`, the ticks of a quarter, and a `track0:73`, channel and program, for each part. Then, in the
    order of time, `shift240` goes on by so many ticks; `tempo500000` says the microseconds of a quarter, `metre6/8` and
    `key-3minor` what they say; `velocity64` how hard the notes that follow are struck, 80 at first; `on60` begins a
    note and `off60` ends the one of its pitch that began first, `on60@1` and `off60@1` on a part other than the first.

    Names and the title are no music and are left out. Notes of one part and pitch of which one ends within another
    exchange their ends, as in a MIDI file.

    Args:
        piece: The piece.

    Example:
        >>> " ".join(encode(Piece([Note(0, 480, 60), Note(240, 480, 64, 50)])))
        'ticks480 track0:0 on60 shift240 velocity50 on64 shift240 off60 off64'
    """
    timed: list[tuple[int, int, int, str]] = []  # tick, order within it, number, event
    for kind, event in _signs(piece):
        timed.append((kind, 1, len(timed), event))
    for note in piece.notes:
        name = f"{note.pitch}@{note.track}" if note.track else f"{note.pitch}"
        timed.append((note.start, 2, len(timed), f"on{name} {note.velocity}"))
        timed.append((note.end, 0 if note.end > note.start else 2, len(timed), f"off{name}"))
    events = [f"ticks{piece.ticks_per_quarter}", *(f"track{track.channel}:{track.program}" for track in piece.tracks)]
    now, velocity = 0, _FIRST_VELOCITY
    for tick, _, _, event in sorted(timed):
        while tick > now:
            events.append(f"shift{min(tick - now, _LONGEST_SHIFT)}")
            now += min(tick - now, _LONGEST_SHIFT)
        name, _, struck = event.partition(" ")
        if struck and int(struck) != velocity:
            velocity = int(struck)
            events.append(f"velocity{velocity}")
        events.append(name)
    return events


def _signs(piece: Piece) -> Iterator[tuple[int, str]]:
    """The tempos, metres and keys as events, with their ticks."""
    yield from ((tempo.tick, f"tempo{tempo.microseconds}") for tempo in piece.tempos)
    yield from ((metre.tick, f"metre{metre.beats}/{metre.unit}") for metre in piece.metres)
    yield from ((key.tick, f"key{key.sharps}{'minor' if key.minor else 'major'}") for key in piece.keys)


def decode(events: Iterable[str], *, title: str = "") -> Piece:
    """The piece that events tell; any events at all tell one, even those that a model drew at random.

    Notes that are not ended end with the piece. What cannot be is left out and counted in the piece's `lost`: ends of
    notes that do not sound, parts, pitches and velocities that there are not, and words that are no events.

    Args:
        events: The events.
        title: What the piece is called.

    Example:
        >>> piece = decode("on60 shift480 off60 off61 on64 shift480 la".split())
        >>> [(note.start, note.end, note.pitch) for note in piece.notes], dict(piece.lost)
        ([(0, 480, 60), (480, 960, 64)], {'ends of notes that do not sound': 1, 'words that are no events': 1, \
'notes never ended, which end with the piece': 1})
    """
    reader = _Reader()
    for event in events:
        reader.take(event)
    return reader.piece(title)


class _Reader:
    """What events told so far."""

    def __init__(self) -> None:
        self.lost: Counter[str] = Counter()
        self._now, self._velocity, self._ticks = 0, _FIRST_VELOCITY, 480
        self._notes: list[Note] = []
        self._sounding: defaultdict[tuple[int, int], deque[tuple[int, int]]] = defaultdict(deque)
        self._tracks: list[Track] = []
        self._tempos: dict[int, Tempo] = {}
        self._metres: dict[int, Metre] = {}
        self._keys: dict[int, Key] = {}

    def take(self, text: str) -> None:
        """Goes on by an event."""
        event = _EVENT.fullmatch(text)
        if event is None:
            self.lost["words that are no events"] += 1
        elif event["kind"]:
            self._strike(event["kind"], int(event["pitch"]), int(event["track"] or 0))
        elif event["value"]:
            self._set(event["value"], int(event["number"]))
        elif event["beats"]:
            beats, unit = int(event["beats"]), int(event["unit"])
            if beats and unit:
                self._metres[self._now] = Metre(self._now, beats, unit)
            self.lost["values that are none"] += not (beats and unit)
        elif event["sharps"]:
            good = abs(int(event["sharps"])) <= 7
            self.lost["values that are none"] += not good
            if good:
                self._keys[self._now] = Key(self._now, int(event["sharps"]), event["mode"] == "minor")
        elif int(event["channel"]) < 16 and int(event["program"]) < 128 and not (self._now or self._notes):
            self._tracks.append(Track("", int(event["program"]), int(event["channel"])))
        else:
            self.lost["parts too late or beyond all sounds"] += 1

    def _strike(self, kind: str, pitch: int, track: int) -> None:
        waiting = self._sounding[track, pitch]
        if kind == "on" and pitch < 128 and track < max(1, len(self._tracks)):
            waiting.append((self._now, self._velocity))
        elif kind == "on":
            self.lost["notes of a pitch or a part that there is not"] += 1
        elif waiting:
            start, velocity = waiting.popleft()
            self._notes.append(Note(start, self._now, pitch, velocity, track))
        else:
            self.lost["ends of notes that do not sound"] += 1

    def _set(self, kind: str, number: int) -> None:
        good = {"velocity": 0 < number < 128, "tempo": number > 0, "ticks": number > 0, "shift": True}[kind]
        if not good:
            self.lost["values that are none"] += 1
        elif kind == "velocity":
            self._velocity = number
        elif kind == "shift":
            self._now += number
        elif kind == "tempo":
            self._tempos[self._now] = Tempo(self._now, number)
        else:
            self._ticks = number

    def piece(self, title: str) -> Piece:
        """The piece, all notes ended."""
        for (track, pitch), waiting in self._sounding.items():
            self.lost["notes never ended, which end with the piece"] += len(waiting)
            self._notes += [Note(start, self._now, pitch, velocity, track) for start, velocity in waiting]
        return Piece(
            self._notes,
            tracks=self._tracks or [Track()],
            tempos=list(self._tempos.values()),
            metres=list(self._metres.values()),
            keys=list(self._keys.values()),
            ticks_per_quarter=self._ticks,
            title=title,
            lost=+self.lost,
        )
