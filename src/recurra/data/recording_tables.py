"""Manifests of recordings: tables, JSON lines, and lists of names."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from recurra.data.audio import AUDIO_SUFFIXES
from recurra.data.dataset import Role
from recurra.data.frames import FRAME_SUFFIXES
from recurra.data.lines import STANDARD_INPUT, Source, read_lines
from recurra.data.recording import ManifestFormat, Recording, RecordingFormat
from recurra.data.tables import column_of, json_object, quoted_rows, text_value, unique_names
from recurra.errors import DataError

__all__ = ["recordings_of_table"]

AUDIO_NAMES = (
    *("audio", "audio_filepath", "audio_file", "audio_path", "wav_filename"),
    *("wav", "path", "file", "file_name", "filename"),
)
TRANSCRIPT_NAMES = ("transcript", "transcription", "text", "sentence")
GROUP_NAMES = ("group", "speaker", "speaker_id", "client_id")
BEGIN_NAMES, END_NAMES = ("offset", "start", "start_time"), ("end", "end_time")
DURATION_NAMES = ("duration",)
"""The usual names of columns, whatever their case; times are in seconds."""


def recordings_of_table(
    path: Path, how: RecordingFormat, role: Role, format_: ManifestFormat | None
) -> Iterator[Recording]:
    """The recordings of a manifest, one at a time.

    Args:
        path: The manifest; - reads standard input.
        how: How it is read.
        role: What for.
        format_: How it is written; None to see by its first line.

    Raises:
        DataError: The manifest cannot be read, or a line of it is wrong.
    """
    lines: Iterable[tuple[int, str]] = read_lines(path)
    if format_ is None:
        format_, lines = _detect(lines, role)
    if format_ == "jsonl":
        yield from _of_objects(path, lines, how, role)
    elif format_ == "tsv":
        yield from _of_rows(path, ((number, line.split("\t")) for number, line in lines), how, role)
    elif format_ == "list":
        yield from _of_rows(path, ((number, [line]) for number, line in lines), how, role)
    else:
        yield from _of_rows(path, quoted_rows(path, lines, ","), how, role)


def _detect(lines: Iterable[tuple[int, str]], role: Role) -> tuple[ManifestFormat, Iterable[tuple[int, str]]]:
    iterator = iter(lines)
    first = list(itertools.islice(iterator, 1))
    line = first[0][1].strip() if first else ""
    whole = itertools.chain(first, iterator)
    if line.startswith("{"):
        return "jsonl", whole
    if "\t" in line:
        return "tsv", whole
    is_name = Path(line).suffix.lower() in AUDIO_SUFFIXES | FRAME_SUFFIXES
    return ("list" if is_name and role == "predict" else "csv"), whole


def _of_rows(
    path: Path, rows: Iterable[tuple[int, list[str]]], how: RecordingFormat, role: Role
) -> Iterator[Recording]:
    """The recordings of a table; without a heading, the first column is the file and the second what is said."""
    heading: list[str] | None = None
    for row, (line, cells) in enumerate(rows):
        source = Source(path, line)
        cells = [cell.strip() for cell in cells]
        if row == 0 and (how.audio_column in cells or column_of(cells, None, AUDIO_NAMES) is not None):
            heading = unique_names(cells)
        elif not "".join(cells):
            continue
        elif heading is None:
            if len(cells) > 2 or (len(cells) == 1 and role != "predict"):
                raise DataError(
                    f"{source}: this row has {len(cells)} column{'s' * (len(cells) > 1)}; give two, a file of sound "
                    "and what is said in it, or a heading that names them, such as audio and transcript"
                )
            yield _of_record(dict(zip(("audio", "transcript"), cells, strict=False)), source, how, role, None)
        elif len(cells) != len(heading):
            raise DataError(
                f"{source}: this row has {len(cells)} columns, and the heading has {len(heading)}; give every row as "
                "many"
            )
        else:
            record = dict(zip(heading, cells, strict=True))
            yield _of_record(record, source, how, role, record)


def _of_objects(path: Path, lines: Iterable[tuple[int, str]], how: RecordingFormat, role: Role) -> Iterator[Recording]:
    for number, line in lines:
        if line.strip():
            source = Source(path, number)
            record = json_object(line, source, '{"audio": "a.wav", "transcript": "yes"}')
            row = {name: value if isinstance(value, str) else json.dumps(value) for name, value in record.items()}
            yield _of_record(record, source, how, role, row)


def _of_record(
    record: Mapping[str, Any], source: Source, how: RecordingFormat, role: Role, row: Mapping[str, str] | None
) -> Recording:
    """The recording that a row or an object names."""
    audio = _column(record, how.audio_column, AUDIO_NAMES, source, "audio")
    transcript = _column(
        record, how.transcript_column, TRANSCRIPT_NAMES, source, None if role == "predict" else "transcript"
    )
    group = _column(record, how.group_column, GROUP_NAMES, source, None)
    file = "" if audio is None else text_value(record, audio, source).strip()
    if not file:
        raise DataError(f"{source}: no file of sound is named; name one, or take the line out")
    is_known = transcript is not None and record[transcript] is not None
    value = None if group is None else record[group]
    return Recording(
        _path_of(file, source.path, how),
        text_value(record, str(transcript), source) if is_known else None,
        None if value is None or value == "" else value if isinstance(value, str) else json.dumps(value),
        source,
        row,
        span=_span(record, source),
    )


def _column(
    record: Mapping[str, Any], name: str | None, usual: Sequence[str], source: Source, needed: str | None
) -> str | None:
    """The name of a column as the table has it; None where it has none, and needs none."""
    names = list(record)
    index = column_of(names, name, usual)
    if index is None and (name is not None or needed is not None):
        wanted = f"named {name}" if name is not None else f"of the {needed}"
        flag = f"; say which it is with --{needed}-column" if name is None else ""
        raise DataError(f"{source}: there is no column {wanted}, only {', '.join(names)}{flag}")
    return None if index is None else names[index]


def _span(record: Mapping[str, Any], source: Source) -> tuple[float, float] | None:
    """The seconds at which a recording begins and ends in its file; None for the whole file."""

    def seconds(usual: Sequence[str]) -> float | None:
        name = _column(record, None, usual, source, None)
        if name is None or record[name] is None or record[name] == "":
            return None
        try:
            value = float(record[name])
        except (TypeError, ValueError):
            value = math.nan
        if not 0 <= value < math.inf:
            raise DataError(f"{source}: {name} is {str(record[name])[:20]!r}; give seconds from the beginning")
        return value

    begin = seconds(BEGIN_NAMES)
    if begin is None:
        return None
    end, duration = seconds(END_NAMES), seconds(DURATION_NAMES)
    if end is None:
        end = math.inf if duration is None else begin + duration
    if end <= begin:
        raise DataError(f"{source}: it begins at {begin:g} seconds and ends at {end:g}; give an end after that")
    return (begin, end)


def _path_of(file: str, manifest: Path, how: RecordingFormat) -> Path:
    if how.audio_folder is not None:
        return how.audio_folder / file
    return Path(file) if manifest == STANDARD_INPUT else manifest.parent / file
