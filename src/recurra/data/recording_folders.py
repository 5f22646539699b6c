"""Recordings in folders, with what is said in texts beside them or in their names."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from recurra.data.audio import AUDIO_SUFFIXES
from recurra.data.dataset import Problems, Role
from recurra.data.frames import FRAME_SUFFIXES
from recurra.data.lines import Source, read_lines
from recurra.data.recording import Recording, RecordingFormat
from recurra.errors import DataError

__all__ = ["is_pattern", "recording_beside", "recordings_in_folder"]

MISNAMED = "a file whose name does not fit the pattern is left out"
"""A kind of problem."""

_ALTERNATIVES = re.compile(r"\{([^{}]*)\}")


def recordings_in_folder(path: Path, how: RecordingFormat, role: Role, problems: Problems) -> Iterator[Recording]:
    """The recordings in a folder and in those within it, or those of a pattern, in the order of their names.

    What is said in a.wav is in a.txt beside it; or in a transcript file of LibriSpeech, b.trans.txt in its folder, of
    which a line begins with the name of a recording; or in the name itself. Hidden files are none.

    Args:
        path: The folder, or the pattern.
        how: How they are read.
        role: What for.
        problems: Where files are counted whose names do not fit.

    Raises:
        DataError: There is no recording, or a text cannot be read.
    """
    if not path.is_dir() and not is_pattern(str(path)):
        raise DataError(f"{path}: this is no folder; give one of recordings, or a pattern of their names")
    among: Iterable[Path] = path.rglob("*") if path.is_dir() else _of_pattern(path)
    files = sorted(
        file for file in among if file.suffix.lower() in AUDIO_SUFFIXES | FRAME_SUFFIXES and file.name[0] != "."
    )
    if not files:
        what = "folder" if path.is_dir() else "pattern"
        raise DataError(f"{path}: this {what} has no recording; give WAV, FLAC, OGG or MP3 files, or a manifest")
    listed: dict[Path, dict[str, str]] = {}
    for number, file in enumerate(files, 1):
        if how.name_pattern is not None and how.fields(file) is None and role != "predict":
            problems.add(MISNAMED, Source(file, number))
            continue
        if file.parent not in listed:
            listed[file.parent] = _listed_transcripts(file.parent)
        yield recording_beside(file, how, number, listed[file.parent])


def recording_beside(
    file: Path, how: RecordingFormat, number: int = 1, listed: dict[str, str] | None = None
) -> Recording:
    """A recording, what is said in it, if its name or a text beside says it, and what else its name says.

    Args:
        file: The file.
        how: How it is read.
        number: Its number in its folder.
        listed: What is said in recordings of the folder, by their names without the ending.

    Raises:
        DataError: The text beside cannot be read.
    """
    fields = how.fields(file) or {}
    said, text = fields.get("transcript", (listed or {}).get(file.stem)), file.with_suffix(".txt")
    if said is None and text.is_file():
        said = " ".join(line.strip() for _, line in read_lines(text)).strip()
    columns = {name: value for name, value in fields.items() if name not in {"transcript", "group"}} or None
    return Recording(file, said, fields.get("group"), Source(file, number), columns)


def _listed_transcripts(folder: Path) -> dict[str, str]:
    """What is said in the recordings of a folder, by its transcript files."""
    lines = (line.partition(" ") for file in sorted(folder.glob("*.trans.txt")) for _, line in read_lines(file))
    return {name: said.strip() for name, _, said in lines if name}


def is_pattern(text: str) -> bool:
    """Whether a path is a pattern of names, as in a shell."""
    return bool(set("*?[{") & set(text))


def _of_pattern(path: Path) -> set[Path]:
    """The files whose names fit a pattern, in which braces hold alternatives."""
    steps = path.parts
    fixed = next(place for place, step in enumerate(steps) if is_pattern(step))
    folder = Path(*steps[:fixed])
    return {file for pattern in _alternatives("/".join(steps[fixed:])) for file in folder.glob(pattern)}


def _alternatives(pattern: str) -> Iterator[str]:
    """A pattern for each choice of the alternatives in braces."""
    matched = _ALTERNATIVES.search(pattern)
    if matched is None:
        yield pattern
        return
    for choice in matched[1].split(","):
        yield from _alternatives(pattern[: matched.start()] + choice + pattern[matched.end() :])
