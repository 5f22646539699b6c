"""Pieces of music as piano rolls: which keys sound in each frame of a piece."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from recurra.data.abc_notation import read_abc
from recurra.data.dataset import Examples, Problems, Role, fingerprint_files
from recurra.data.lines import STANDARD_INPUT, Source, name_of
from recurra.data.midi import read_midi
from recurra.data.music_xml import read_music_xml
from recurra.data.piano_roll import roll_of
from recurra.data.piece import Piece
from recurra.data.roll_files import FilePart, Keys, read_roll_file
from recurra.errors import DataError

__all__ = ["Keys", "Roll", "RollFormat", "read_rolls", "rolls_to_predict"]

ROLL_FILES = (".mat", ".npz", ".json", ".jsonl", ".ndjson")
MIDI_FILES = (".mid", ".midi", ".kar", ".rmi")
SCORE_FILES = (".abc", ".musicxml", ".mxl", ".xml")
"""What is read, by the end of the name."""

PIANO_KEYS = Keys(21, 108)
"""The 88 keys of a piano."""

_PARTS: dict[Role, FilePart] = {"train": "train", "validate": "valid", "evaluate": "test", "predict": "test"}
"""The part of a file of parts that is read for each purpose."""


@dataclass(frozen=True)
class Roll:
    """A piece of music as a piano roll.

    Args:
        frames: Which keys sound in each frame, (T, keys).
        lowest: The pitch of the first key.
        source: Where it came from.
        title: What it is called; may be empty.

    Example:
        >>> Roll(np.eye(3, dtype=np.bool_), 60, Source(Path("a.json"), 1)).pitches
        [[60], [61], [62]]
    """

    frames: NDArray[np.bool_]
    lowest: int
    source: Source
    title: str = ""

    def __len__(self) -> int:
        return len(self.frames)

    @property
    def pitches(self) -> list[list[int]]:
        """The pitches that sound in each frame, from low to high."""
        return [(np.flatnonzero(frame) + self.lowest).tolist() for frame in self.frames]


@dataclass(frozen=True)
class RollFormat:
    """How rolls are read.

    Args:
        keys: The keys that are kept; notes outside are counted and left out.
        steps_per_quarter: How many frames a quarter of a score has.
    """

    keys: Keys = PIANO_KEYS
    steps_per_quarter: int = 4


def read_rolls(path: Path, how: RollFormat, role: Role) -> Examples[Roll]:
    """The pieces of a file or of a folder.

    A file that holds parts, such as the .mat files of the literature, is read to train for its training part, to
    validate for its validation part and to evaluate for its test part. In a folder every score is read, and what cannot
    be read is counted among the problems.

    Args:
        path: A file of rolls (.mat, .npz, .json, .jsonl), a score (.mid, .abc, MusicXML), or a folder of scores.
        how: How it is read.
        role: What for.

    Raises:
        DataError: The file cannot be read, or nothing in it can be used.
    """
    problems = Problems()
    pieces = [roll for roll in _rolls(path, how, role, problems) if _usable(roll, problems)]
    if not pieces:
        raise DataError(f"{path}: no piece in it has a note{_because(problems)}; give a file with music")
    files = _files(path)
    settings = {"keys": list(how.keys), "steps_per_quarter": how.steps_per_quarter, "part": _PARTS[role]}
    return Examples(
        pieces,
        [piece.source for piece in pieces],
        [len(piece) for piece in pieces],
        problems,
        lambda: fingerprint_files(files, settings),
    )


def rolls_to_predict(path: Path, how: RollFormat, problems: Problems) -> Iterator[Roll]:
    """The pieces to predict, one at a time, none left out: a score that cannot be read is a piece without frames."""
    yield from _rolls(path, how, "predict", problems)


def _because(problems: Problems) -> str:
    lines = problems.lines()
    return f" ({lines[0]})" if lines else ""


def _usable(roll: Roll, problems: Problems) -> bool:
    """Whether a piece has a note; one without is counted."""
    if roll.frames.any():
        return True
    if len(roll) or not problems.counts["a score that cannot be read was left out"]:
        problems.add("a piece without a note was left out", roll.source)
    return False


def _files(path: Path) -> list[Path]:
    """The files that are read: one, or the scores of a folder in the order of their names."""
    if not path.is_dir():
        return [path]
    kinds = {*MIDI_FILES, *SCORE_FILES}
    files = sorted(each for each in path.rglob("*") if each.suffix.lower() in kinds and each.is_file())
    if not files:
        raise DataError(f"{path}: no score in this folder; expected files that end in {', '.join(sorted(kinds))}")
    return files


def _rolls(path: Path, how: RollFormat, role: Role, problems: Problems) -> Iterator[Roll]:
    kind = path.suffix.lower()
    if path == STANDARD_INPUT or kind in ROLL_FILES:
        yield from _of_roll_file(path, how, role, problems)
        return
    if not path.exists():
        raise DataError(f"{name_of(path)}: there is no such file; give a file of piano rolls or scores, or a folder")
    if not path.is_dir() and kind not in (*MIDI_FILES, *SCORE_FILES):
        known = ", ".join((*ROLL_FILES, *MIDI_FILES, *SCORE_FILES))
        raise DataError(f"{path}: its kind is not known; a name ends in {known}, or is that of a folder")
    for file in _files(path):
        source = Source(file, 1)
        try:
            for number, piece in enumerate(_pieces(file), 1):
                yield _of_piece(piece, Source(file, number), how, problems)
        except DataError as error:
            if not path.is_dir():
                raise
            problems.add("a score that cannot be read was left out", source, str(error))
            if role == "predict":
                yield Roll(np.zeros((0, how.keys.number), np.bool_), how.keys.lowest, source)


def _pieces(path: Path) -> Iterator[Piece]:
    """The pieces of a score."""
    kind = path.suffix.lower()
    if kind in MIDI_FILES:
        yield read_midi(path)
    elif kind == ".abc":
        yield from read_abc(path)
    else:
        yield read_music_xml(path)


def _of_piece(piece: Piece, source: Source, how: RollFormat, problems: Problems) -> Roll:
    """The roll of a piece; what a roll cannot tell of it is counted."""
    frames, lost = roll_of(piece, how.steps_per_quarter, lowest=how.keys.lowest, highest=how.keys.highest)
    for kind, count in sorted({**piece.lost, **lost}.items()):
        problems.add(f"pieces that lost {kind}", source, f"{count:,}")
    return Roll(frames, how.keys.lowest, source, piece.title)


def _of_roll_file(path: Path, how: RollFormat, role: Role, problems: Problems) -> Iterator[Roll]:
    """The rolls of a file; of one with parts, those of the part that is wanted."""
    wanted, parts, count = _PARTS[role], set[FilePart](), 0
    for roll in read_roll_file(path, how.keys):
        if roll.part is not None and roll.part != wanted:
            parts.add(roll.part)
            continue
        count += 1
        if roll.outside:
            problems.add("a piece has notes outside --lowest to --highest", roll.source, f"{roll.outside:,}")
        yield Roll(roll.frames, how.keys.lowest, roll.source)
    if not count and parts:
        raise DataError(f"{path}: it has the parts {', '.join(sorted(parts))}, and not {wanted}, which was asked for")
