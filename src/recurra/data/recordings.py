"""Recordings and what is said in them: manifests, folders and single files."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from recurra.data.audio import AUDIO_SUFFIXES, audio_info
from recurra.data.dataset import Examples, Problems, Role, fingerprint_files
from recurra.data.frames import FRAME_SUFFIXES, frames_in
from recurra.data.lines import STANDARD_INPUT, Source, name_of, read_lines
from recurra.data.recording import ManifestFormat, Recording, RecordingFormat
from recurra.data.tables import column_of, json_object, quoted_rows, read_as, text_value, unique_names
from recurra.errors import DataError

__all__ = ["read_recordings", "recordings_to_transcribe"]

AUDIO_NAMES = (
    "audio",
    "audio_filepath",
    "audio_file",
    "audio_path",
    "wav_filename",
    "wav",
    "path",
    "file",
    "file_name",
    "filename",
)
TRANSCRIPT_NAMES = ("transcript", "transcription", "text", "sentence")
GROUP_NAMES = ("group", "speaker", "speaker_id", "client_id")
"""The usual names of columns, whatever their case."""

SUFFIXES: Mapping[str, ManifestFormat] = {
    ".tsv": "tsv",
    ".csv": "csv",
    ".jsonl": "jsonl",
    ".json": "jsonl",
    ".fileids": "sphinx",
}

EMPTY = "a recording without a transcript is left out"
UNREADABLE = "a recording that cannot be read is left out"
UNREADABLE_INPUT = "a recording cannot be read; its transcript is empty"
MISNAMED = "a file whose name does not fit the pattern is left out"
"""Kinds of problems."""

_ALTERNATIVES = re.compile(r"\{([^{}]*)\}")

_SPHINX_LINE = re.compile(r"(?:<s>)?\s*(.*?)\s*(?:</s>)?\s*\(([^()\s]+)\)\s*")


def read_recordings(path: Path, how: RecordingFormat, role: Role) -> Examples[Recording]:
    """Read recordings and what is said in them.

    The path is a manifest (CSV, TSV or JSON lines with a column that names the files of sound), a list of Sphinx
    (.fileids, with the .transcription beside), a folder (a.wav beside a.txt, or names that say what is said), a pattern
    of names such as "digits/*_[0-4].wav", or one recording.

    Args:
        path: The manifest, the folder, the pattern or the recording.
        how: How it is read.
        role: What for: with "predict" transcripts may be missing, and no recording is left out.

    Raises:
        DataError: The file cannot be read, a line of it is wrong, it names a file that is missing, or there is no
            recording.
    """
    problems = Problems()
    files, read = _open(path, how, role, problems)
    recordings = [recording for recording in map(_measured, read) if _is_kept(recording, role, problems)]
    if not recordings and role != "predict":
        left_out = sum(problems.counts.values())
        beside = f"; {left_out:,} were left out: {problems.lines()[0]}" if left_out else ""
        raise DataError(f"{name_of(path)}: 0 recordings with a transcript in it{beside}; give some")
    sounds = [recording.audio for recording in recordings if recording.audio is not None]
    return Examples(
        recordings,
        [recording.source for recording in recordings],
        [max(1, len(recording)) for recording in recordings],
        problems,
        lambda: fingerprint_files([*files, *sounds], asdict(how)),
    )


def recordings_to_transcribe(path: Path, how: RecordingFormat, problems: Problems) -> Iterator[Recording]:
    """The recordings of a manifest, a folder or a file, one at a time, as soon as they are read; none is left out.

    Args:
        path: The manifest, the folder, the pattern or the recording; - reads a manifest from standard input.
        how: How it is read.
        problems: Where recordings that cannot be read are counted.

    Raises:
        DataError: The manifest cannot be read, or a line of it is wrong.
    """
    for recording in map(_measured, _open(path, how, "predict", problems)[1]):
        _is_kept(recording, "predict", problems)
        yield recording


def _measured(recording: Recording) -> Recording:
    """A recording with its length, or with why it has none."""
    if recording.audio is None or recording.trouble is not None:
        return recording
    try:
        if recording.audio.suffix.lower() in FRAME_SUFFIXES:
            return replace(recording, length=frames_in(recording.audio)[0])
        header = audio_info(recording.audio)
    except DataError as error:
        return replace(recording, trouble=str(error).removeprefix(f"{recording.audio}: "))
    return replace(recording, length=header.samples, rate=header.rate)


def _is_kept(recording: Recording, role: Role, problems: Problems) -> bool:
    """Whether a recording is one to learn from, to measure or to answer; what is odd about it is counted."""
    where = "" if recording.source.path == recording.audio else f"{recording.audio}: "
    if recording.audio is not None and recording.trouble is not None:
        if not recording.audio.exists() and role != "predict":
            raise DataError(f"{recording.source}: {where}there is no such file; mend its name or take the line out")
        if role == "evaluate":
            raise DataError(f"{recording.source}: {where}{recording.trouble}")
        problems.add(UNREADABLE_INPUT if role == "predict" else UNREADABLE, recording.source, where + recording.trouble)
        return role == "predict"
    if role in {"train", "validate"} and not (recording.transcript or "").strip():
        problems.add(EMPTY, recording.source)
        return False
    return True


# Files


def _open(path: Path, how: RecordingFormat, role: Role, problems: Problems) -> tuple[list[Path], Iterator[Recording]]:
    """The manifests that are read, and their recordings, one at a time."""
    format_ = how.format or _format_by_name(path)
    if format_ == "folder":
        return [], _folder(path, how, role, problems)
    if format_ == "audio":
        return [], iter([_beside(path, how)])
    if format_ == "sphinx":
        listed = path.with_suffix(".fileids")
        transcripts = path.with_suffix(".transcription")
        files = [listed] if role == "predict" and not transcripts.exists() else [listed, transcripts]
        return files, _sphinx(files, how)
    return [path], _manifest(path, how, role, format_)


def _format_by_name(path: Path) -> ManifestFormat | None:
    if path.is_dir() or (path != STANDARD_INPUT and not path.exists() and _is_pattern(str(path))):
        return "folder"
    suffix = (Path(path.stem).suffix if path.suffix == ".gz" else path.suffix).lower()
    if suffix in AUDIO_SUFFIXES or suffix in FRAME_SUFFIXES:
        return "audio"
    return "sphinx" if suffix == ".transcription" else SUFFIXES.get(suffix)


def _manifest(path: Path, how: RecordingFormat, role: Role, format_: ManifestFormat | None) -> Iterator[Recording]:
    lines: Iterable[tuple[int, str]] = read_lines(path)
    if format_ is None:
        iterator = iter(lines)
        first = list(itertools.islice(iterator, 1))
        lines = itertools.chain(first, iterator)
        line = first[0][1] if first else ""
        format_ = "jsonl" if line.lstrip().startswith("{") else "tsv" if "\t" in line else "csv"
    with read_as(how.format):
        if format_ == "jsonl":
            yield from _objects(path, lines, how, role)
        elif format_ == "tsv":
            yield from _table(path, ((number, line.split("\t")) for number, line in lines), how, role)
        else:
            yield from _table(path, quoted_rows(path, lines, ","), how, role)


# Manifests


def _table(path: Path, rows: Iterable[tuple[int, list[str]]], how: RecordingFormat, role: Role) -> Iterator[Recording]:
    """The recordings of a table; without a heading, the first column is the file and the second what is said."""
    heading: list[str] | None = None
    for row, (line, cells) in enumerate(rows):
        source = Source(path, line)
        if row == 0 and (how.audio_column in cells or column_of(cells, None, AUDIO_NAMES) is not None):
            heading = unique_names(cell.strip() for cell in cells)
            continue
        if not "".join(cells).strip():
            continue
        if heading is None:
            if len(cells) > 2 or (len(cells) == 1 and role != "predict"):
                raise DataError(
                    f"{source}: this row has {len(cells)} columns; give two, a file of sound and what is said in it, "
                    "or a heading that names them, such as audio and transcript"
                )
            yield _named(dict(zip(("audio", "transcript"), cells, strict=False)), source, how, role, None)
            continue
        if len(cells) != len(heading):
            raise DataError(
                f"{source}: this row has {len(cells)} columns, and the heading has {len(heading)}; give every row as "
                "many"
            )
        record = dict(zip(heading, cells, strict=True))
        yield _named(record, source, how, role, record)


def _objects(path: Path, lines: Iterable[tuple[int, str]], how: RecordingFormat, role: Role) -> Iterator[Recording]:
    for number, line in lines:
        if not line.strip():
            continue
        source = Source(path, number)
        record = json_object(line, source, '{"audio": "a.wav", "transcript": "yes"}')
        row = {name: value if isinstance(value, str) else json.dumps(value) for name, value in record.items()}
        yield _named(record, source, how, role, row)


def _named(
    record: Mapping[str, Any], source: Source, how: RecordingFormat, role: Role, row: Mapping[str, str] | None
) -> Recording:
    """The recording that a row names."""
    names = list(record)
    audio = column_of(names, how.audio_column, AUDIO_NAMES)
    transcript = column_of(names, how.transcript_column, TRANSCRIPT_NAMES)
    group = column_of(names, how.group_column, GROUP_NAMES)
    for place, wanted, flag in (
        (audio, how.audio_column or "audio", "--audio-column"),
        (0 if role == "predict" else transcript, how.transcript_column or "transcript", "--transcript-column"),
        (0 if how.group_column is None or role == "predict" else group, how.group_column, "--group-column"),
    ):
        if place is None:
            raise DataError(f"{source}: there is no column {wanted}; the names are: {', '.join(names)}; say {flag}")
    file = text_value(record, names[audio or 0], source).strip()
    if not file:
        raise DataError(f"{source}: no file of sound is named; name one, or take the line out")
    said = None if transcript is None or record[names[transcript]] is None else record[names[transcript]]
    if said is not None:
        said = text_value(record, names[transcript or 0], source)
    return Recording(
        _path_of(file, source.path, how),
        said,
        None if group is None or record[names[group]] is None else str(record[names[group]]),
        source,
        row,
    )


def _path_of(file: str, manifest: Path, how: RecordingFormat) -> Path:
    if how.audio_folder is not None:
        return how.audio_folder / file
    return Path(file) if manifest == STANDARD_INPUT else manifest.parent / file


# Sphinx


def _sphinx(files: Sequence[Path], how: RecordingFormat) -> Iterator[Recording]:
    """The recordings of a list of Sphinx, and what is said in each, told by its name at the end of a line."""
    transcripts = iter(read_lines(files[1])) if len(files) > 1 else None
    find = _finder(files[0], how)
    for number, line in read_lines(files[0]):
        name = line.strip()
        if not name:
            continue
        source = Source(files[0], number)
        said = None
        if transcripts is not None:
            at, text = next(transcripts, (number, ""))
            matched = _SPHINX_LINE.fullmatch(text)
            if matched is None or matched[2].rpartition("/")[2] != name.rpartition("/")[2]:
                raise DataError(
                    f"{files[1]}:{at}: this should be what is said in {name} ({source}) and end in "
                    f"({name.rpartition('/')[2]}); give a line for each of the list, in its order"
                )
            said = " ".join(word for word in matched[1].split() if not (word[0] == "<" and word[-1] == ">"))
        fields = how.fields(Path(f"{name}.wav")) or {}
        yield Recording(find(name, source), said, fields.get("group", Path(name).parent.name or None), source)


def _finder(listed: Path, how: RecordingFormat) -> Callable[[str, Source], Path]:
    """Finds the file of a name without its ending, in the folder of the list and the usual ones beside it."""
    beside = [listed.parent, listed.parent.parent]
    folders = [how.audio_folder] if how.audio_folder else [*beside, *(beside[1] / name for name in ("feat", "wav"))]
    suffixes = ("", ".wav", ".flac", ".sph", ".mfc", ".npy", ".ogg", ".mp3")
    likely: list[tuple[Path, str]] = [*itertools.product(folders, suffixes)]

    def find(name: str, source: Source) -> Path:
        for place, (folder, suffix) in enumerate(likely):
            if (path := folder / f"{name}{suffix}").is_file():
                likely.insert(0, likely.pop(place))  # the others are where the last one was
                return path
        raise DataError(
            f"{source}: there is no {name}.wav, .flac, .sph, .mfc or .npy in {', '.join(map(str, folders))}; mend its "
            "name, or say --audio-folder"
        )

    return find


# Folders


def _folder(path: Path, how: RecordingFormat, role: Role, problems: Problems) -> Iterator[Recording]:
    """The recordings in a folder and in those within it, or those of a pattern, in the order of their names."""
    found = path.rglob("*") if path.is_dir() else _of_pattern(path)
    files = sorted(file for file in found if file.suffix.lower() in AUDIO_SUFFIXES | FRAME_SUFFIXES)
    if not files:
        raise DataError(f"{path}: there is no recording; give a folder of WAV, FLAC, OGG or MP3 files, or a manifest")
    for number, file in enumerate(files, 1):
        recording = _beside(file, how, number)
        if how.name_pattern is not None and role != "predict" and how.fields(file) is None:
            problems.add(MISNAMED, Source(file, number))
            continue
        yield recording


def _of_pattern(path: Path) -> set[Path]:
    """The files whose names fit a pattern, in which braces hold alternatives, as in a shell."""
    steps = path.parts
    fixed = next(place for place, step in enumerate(steps) if _is_pattern(step))
    folder = Path(*steps[:fixed])
    return {file for pattern in _alternatives("/".join(steps[fixed:])) for file in folder.glob(pattern)}


def _is_pattern(text: str) -> bool:
    return bool(set("*?[{") & set(text))


def _alternatives(pattern: str) -> Iterator[str]:
    """A pattern for each choice of alternatives in innermost braces first."""
    matched = _ALTERNATIVES.search(pattern)
    if matched is None:
        yield pattern
        return
    for choice in matched[1].split(","):
        yield from _alternatives(pattern[: matched.start()] + choice + pattern[matched.end() :])


def _beside(file: Path, how: RecordingFormat, number: int = 1) -> Recording:
    """A recording whose name says what is said in it, or beside which a text says it."""
    fields = how.fields(file) or {}
    said = fields.get("transcript")
    text = file.with_suffix(".txt")
    if said is None and text.is_file():
        said = " ".join(line.strip() for _, line in read_lines(text)).strip()
    columns = {name: value for name, value in fields.items() if name not in {"transcript", "group"}} or None
    return Recording(file, said, fields.get("group"), Source(file, number), columns)
