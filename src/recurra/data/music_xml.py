"""Scores in MusicXML, plain or compressed (.musicxml, .xml, .mxl)."""

from __future__ import annotations

import io
import lzma
import zipfile
import zlib
from collections import Counter
from fractions import Fraction
from pathlib import Path
from xml.etree import ElementTree
from xml.parsers import expat

from recurra.data.lines import Source, name_of
from recurra.data.music_xml_part import read_part
from recurra.data.piece import DRUM_CHANNEL, Piece, Track
from recurra.data.repeats import Bar
from recurra.data.score import Measure, perform
from recurra.errors import DataError

__all__ = ["parse_music_xml", "read_music_xml"]

LARGEST_SCORE = 64 << 20
"""How many bytes a score may have, unpacked."""


def read_music_xml(path: Path) -> Piece:
    """The piece in a score in MusicXML, with its parts, voices, chords, ties, keys, metres, tempos and repeats.

    Notes sound as they do on the instrument: a part that is written in another key is transposed. What is not kept is
    counted in the piece's `lost`: grace and cue notes, lyrics, ornaments and articulations, pedals and jumps such as da
    capo.

    Args:
        path: The file; one that is zipped is unpacked.

    Raises:
        DataError: It cannot be read, is no MusicXML, is counted time by time, declares entities, or is too large.
    """
    try:
        data = path.read_bytes() if path.stat().st_size <= LARGEST_SCORE else b""
    except OSError as error:
        raise DataError(f"cannot read {name_of(path)}: {error.strerror}") from None
    if not data:
        raise DataError(f"{name_of(path)} is empty, or larger than {LARGEST_SCORE:,} bytes; give a score in MusicXML")
    return parse_music_xml(_unpacked(data, path) if data[:2] == b"PK" else data, path)


def parse_music_xml(data: bytes, path: Path) -> Piece:
    """The piece in the bytes of a score in MusicXML.

    Args:
        data: The bytes, not zipped.
        path: What the file is called, for messages.

    Raises:
        DataError: As for `read_music_xml`.
    """
    root = _tree(data, path)
    if root.tag == "score-timewise":
        raise DataError(f"{name_of(path)} is written measure by measure (score-timewise); save it as score-partwise")
    if root.tag != "score-partwise":
        raise DataError(f"{name_of(path)} is no MusicXML: its root is <{root.tag}>, not <score-partwise>")
    lost: Counter[str] = Counter()
    described = {part.get("id", ""): part for part in root.iterfind("part-list/score-part")}
    parts = root.findall("part")
    tracks = [_track(described.get(part.get("id", "")), number) for number, part in enumerate(parts)]
    measures = _together([read_part(part, number, lost, name_of(path)) for number, part in enumerate(parts)])
    for kind in ("lyric", "ornaments", "articulations", "harmony", "words"):
        lost[_MARKS[kind]] += sum(1 for _ in root.iter(kind))
    title = root.findtext("work/work-title") or root.findtext("movement-title") or ""
    return perform(measures, tracks, title=title.strip(), source=Source(path, 1), lost=lost)


_MARKS = {
    "lyric": "syllables of lyrics",
    "ornaments": "ornaments",
    "articulations": "articulations",
    "harmony": "chord symbols",
    "words": "words",
}


def _unpacked(data: bytes, path: Path) -> bytes:
    """The score in a zipped file: the one that its container names, or else the first there is."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = archive.namelist()
            if "META-INF/container.xml" in names:
                container = _tree(_member(archive, "META-INF/container.xml", path), path)
                named = [
                    element.get("full-path", "") for element in container.iter() if element.tag.endswith("rootfile")
                ]
                names = [*named, *names]
            scores = [n for n in names if n.lower().endswith((".xml", ".musicxml")) and not n.startswith("META-INF")]
            if not scores:
                raise DataError(f"{name_of(path)} is a zip file without a score in MusicXML")
            return _member(archive, scores[0], path)
    except (
        zipfile.BadZipFile,
        zlib.error,
        lzma.LZMAError,
        LookupError,
        RuntimeError,
        EOFError,
        ValueError,
        OSError,
    ) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{name_of(path)}: the zip file is damaged: {error}") from None


def _member(archive: zipfile.ZipFile, name: str, path: Path) -> bytes:
    """A file of a zip file, of which no more is unpacked than a score may have."""
    with archive.open(name) as file:
        data = file.read(LARGEST_SCORE + 1)
    if len(data) > LARGEST_SCORE:
        raise DataError(f"{name_of(path)}: {name} unpacks to over {LARGEST_SCORE:,} bytes; no score has as many")
    return data


def _tree(data: bytes, path: Path) -> ElementTree.Element:
    """The tree of a text in XML; entities, which could stand for gigabytes or for other files, are refused."""
    builder = ElementTree.TreeBuilder()
    parser = expat.ParserCreate()
    parser.buffer_text = True

    def refuse(name: str, *_: object) -> None:
        raise DataError(f"{name_of(path)}: the score declares the entity {name!r}, which MusicXML has no use for")

    parser.EntityDeclHandler = refuse
    parser.StartElementHandler = builder.start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.data
    try:
        parser.Parse(data, True)
        return builder.close()
    except (expat.ExpatError, AssertionError, LookupError, ValueError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{name_of(path)} is no XML: {error}") from None


def _track(described: ElementTree.Element | None, number: int) -> Track:
    """The track of a part, as the list of parts describes it."""
    usual = (0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 11, 12, 13, 14, 15)[number % 15]
    if described is None:
        return Track(channel=usual)
    program = _whole(described.findtext("midi-instrument/midi-program"), 1, 128, 1) - 1
    channel = _whole(described.findtext("midi-instrument/midi-channel"), 1, 16, usual + 1) - 1
    name = (described.findtext("part-name") or "").strip()
    return Track(name, program, channel if channel == DRUM_CHANNEL else usual)


def _whole(text: str | None, lowest: int, highest: int, default: int) -> int:
    """A whole number in a range, or the default where there is none."""
    try:
        value = int(text or default)
    except ValueError:
        return default
    return value if lowest <= value <= highest else default


def _together(parts: list[list[Measure]]) -> list[Measure]:
    """The bars of all parts as one; each is as long as its longest, so parts stay together."""
    together: list[Measure] = []
    for number in range(max(map(len, parts), default=0)):
        here = [part[number] for part in parts if number < len(part)]
        repeats = [measure.repeats for measure in here]
        together.append(
            Measure(
                sounds=[sound for measure in here for sound in measure.sounds],
                length=max((measure.length for measure in here), default=Fraction(0)),
                metre=next((measure.metre for measure in here if measure.metre), None),
                key=next((measure.key for measure in here if measure.key), None),
                tempos=sorted({tempo for measure in here for tempo in measure.tempos}),
                repeats=Bar(
                    any(bar.begins for bar in repeats),
                    max(bar.ends for bar in repeats),
                    frozenset().union(*(bar.endings for bar in repeats)),
                ),
            )
        )
    return together
