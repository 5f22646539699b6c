"""Tunes in ABC notation: a file has one or many, each with its header and its music.

The standard is ABC 2.1, https://abcnotation.com/wiki/abc:standard:v2.1; what older files write otherwise is read too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from recurra.data.abc_fields import key_of, metre_of, tempo_of, unit_of, usual_unit
from recurra.data.abc_voice import AbcVoice, tokens_of
from recurra.data.lines import Source, name_of
from recurra.data.piece import Piece, Track
from recurra.data.score import Measure, perform
from recurra.errors import DataError

__all__ = ["parse_abc", "read_abc"]

_IN_MUSIC = frozenset("IKLMNPQRTUVWXmrsw")
"""The fields that may stand between lines of music; other letters are notes there."""


def read_abc(path: Path) -> Iterator[Piece]:
    r"""The tunes of a file in ABC notation, in order; each is sourced at the line of its X: field.

    Repeats and endings are played. What is not kept is counted in each piece's `lost`: grace notes, chord symbols,
    lyrics, decorations, and characters that ABC has not, which mean that the tune may be wrong.

    Args:
        path: The file, in UTF-8 or Latin-1.

    Raises:
        DataError: The file cannot be read, or has no X: field; or, when its turn comes, a tune has no K: field.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "a.abc"
        >>> _ = path.write_text("X:1\nT:Scale\nM:2/4\nL:1/8\nK:D\nDEFG|A4|]\n")
        >>> [[note.pitch for note in tune.notes] for tune in read_abc(path)]
        [[62, 64, 66, 67, 69]]
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError(f"cannot read {name_of(path)}: {error.strerror}") from None
    if b"\0" in data:
        raise DataError(f"{name_of(path)} is no text: it has a zero byte; give tunes in ABC notation")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("latin-1")
    return parse_abc(text, path)


def parse_abc(text: str, path: Path) -> Iterator[Piece]:
    """The tunes of a text in ABC notation.

    Args:
        text: The text.
        path: What its file is called, for messages.

    Raises:
        DataError: As for `read_abc`.
    """
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    begins = [number for number, line in enumerate(lines) if line.startswith("X:")]
    if not begins:
        raise DataError(f"{name_of(path)} has no X: field, with which a tune in ABC notation begins")
    return _tunes(lines, begins, path)


def _tunes(lines: list[str], begins: list[int], path: Path) -> Iterator[Piece]:
    before = [line for line in lines[: begins[0]] if line[:2] in ("M:", "L:", "Q:")]  # they hold for every tune
    for begin, end in zip(begins, [*begins[1:], len(lines)], strict=True):
        yield _Tune(Source(path, begin + 1), before).read(lines[begin:end])


class _Tune:
    """A tune as far as it was read.

    Args:
        source: Where it begins.
        before: The fields at the head of its file, which hold for each tune.
    """

    def __init__(self, source: Source, before: list[str]) -> None:
        self.source = source
        self.lost: Counter[str] = Counter()
        self.title = ""
        self.fields: dict[str, str] = {line[0]: line[2:].strip() for line in before}
        self.voices: dict[str, AbcVoice] = {}
        self.voice: AbcVoice | None = None
        self.names: dict[str, str] = {}

    def read(self, lines: list[str]) -> Piece:
        """Reads the tune from its lines."""
        for line in lines:
            if self.voice is not None and not line.strip():
                break  # an empty line ends a tune
            if line.startswith("%"):
                continue
            line = line.split("%")[0].rstrip()
            if len(line) > 1 and line[1] == ":" and line[0].isalpha() and self._is_field(line):
                self._field(line[0], line[2:].strip())
            elif self.voice is not None:
                self._read_music(line)
        if self.voice is None:
            raise DataError(f"{self.source}: the tune has no K: field, with which its music begins")
        return self._piece()

    def _read_music(self, line: str) -> None:
        """Reads a line of music, which a field within may change or hand to another voice."""
        for token in tokens_of(line):
            if token["field"]:
                self._inline(token["field"][1], token["field"][3:-1].strip())
            elif self.voice is not None:
                self.voice.take(token)

    def _is_field(self, line: str) -> bool:
        return self.voice is None or (line[0] in _IN_MUSIC and line[2:3] not in ("|", ":"))

    def _field(self, letter: str, text: str) -> None:
        """What a line that is a field says."""
        if letter == "T":
            self.title = self.title or text
        elif letter == "P" and self.voice is None and len(text) > 1:
            self.lost["orders of parts"] += 1
        elif letter == "V":
            name = text.split()[0] if text else "1"
            self.names.setdefault(name, text)
            if self.voice is not None:
                self._choose(name)
        elif letter == "w":
            self.lost["lines of lyrics"] += 1
        elif letter in "MLQ" and self.voice is None:
            self.fields[letter] = text
        elif letter == "K" and self.voice is None:
            self.fields["K"] = text
            self._choose(next(iter(self.names), "1"))
        elif letter in "KMLQ":
            self._inline(letter, text)

    def _choose(self, name: str) -> None:
        """The voice in which the music goes on."""
        if name not in self.voices:
            metre = metre_of(self.fields.get("M", ""))
            unit = unit_of(self.fields.get("L", "")) or usual_unit(metre)
            self.voice = self.voices[name] = AbcVoice(len(self.voices), unit, self.lost)
            self._inline("M", self.fields.get("M", ""))
            self._inline("K", self.fields["K"])
            if "Q" in self.fields:
                self._inline("Q", self.fields["Q"])
        self.voice = self.voices[name]

    def _inline(self, letter: str, text: str) -> None:
        """What a field says of the voice from here on."""
        if letter == "V":
            self._choose(text.split()[0] if text else "1")
        elif self.voice is None:
            return
        elif letter == "K":
            key = key_of(text)
            self.lost["keys that are none"] += key is None
            if key is not None:
                self.voice.set_key(key)
        elif letter == "M":
            metre = metre_of(text)
            self.lost["metres that are none"] += metre is None and text.strip() not in ("none", "")
            self.voice.set_metre(metre)
        elif letter == "L":
            self.voice.unit = unit_of(text) or self.voice.unit
        elif letter == "Q":
            rate = tempo_of(text, self.voice.unit)
            self.lost["tempos without a number"] += rate is None
            if rate is not None:
                self.voice.set_tempo(rate)

    def _piece(self) -> Piece:
        voices = [voice.measures() for voice in self.voices.values()]
        names = list(self.voices)
        tracks = [Track(name if len(names) > 1 else "", 0, _channel(number)) for number, name in enumerate(names)]
        self.lost["voices with fewer bars"] += sum(len(voice) < max(map(len, voices)) for voice in voices)
        return perform(_together(voices), tracks, title=self.title, source=self.source, lost=self.lost)


def _channel(number: int) -> int:
    """The channel of a part: never that of the drums."""
    return (0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 11, 12, 13, 14, 15)[number % 15]


def _together(voices: list[list[Measure]]) -> list[Measure]:
    """The bars of all voices as one; the first that has a bar says its metre, key and repeats."""
    together = max(voices, key=len)
    for number, measure in enumerate(together):
        here = [voice[number] for voice in voices if number < len(voice)]
        measure.length, measure.sounds = max(v.length for v in here), [sound for v in here for sound in v.sounds]
    return together
