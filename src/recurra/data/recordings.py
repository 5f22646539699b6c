"""Recordings and what is said in them: manifests, folders and single files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from recurra.checks import whole_number
from recurra.data.audio import AUDIO_SUFFIXES, audio_info, one_channel, read_audio_bytes
from recurra.data.dataset import Examples, Problems, Role, fingerprint_files
from recurra.data.frames import FRAME_SUFFIXES, frames_in
from recurra.data.lines import STANDARD_INPUT, Source, name_of, open_bytes
from recurra.data.recording import ManifestFormat, Recording, RecordingFormat
from recurra.data.recording_folders import is_pattern, recording_beside, recordings_in_folder
from recurra.data.recording_lists import LISTED_TOGETHER, kaldi_folder, recordings_of_kaldi, recordings_of_sphinx
from recurra.data.recording_tables import recordings_of_table
from recurra.data.tables import read_as
from recurra.errors import DataError, ShapeError

__all__ = ["read_recordings", "recording_of", "recordings_to_transcribe"]

SUFFIXES: dict[str, ManifestFormat] = {
    ".tsv": "tsv", ".csv": "csv", ".jsonl": "jsonl", ".json": "jsonl", ".fileids": "sphinx", ".transcription": "sphinx"
}  # fmt: skip
"""How manifests are written, by the ends of their names."""

MP3_FRAMES = frozenset((b"\xff\xfb", b"\xff\xf3"))
"""How an MP3 begins that has no other header."""

SHORTER_BY = 0.1
"""Seconds that are missing at the end of a recording before that is counted."""

EMPTY = "a recording without a transcript is left out"
NO_SOUND = "a recording without sound is left out"
UNREADABLE = "a recording that cannot be read is left out"
UNREADABLE_INPUT = "a recording cannot be read; its transcript is empty"
CUT = "a recording that ends before its header says is left out"
CUT_INPUT = "a recording ends before its header says; what is there is read"
LONG = "a recording that is longer than the longest to train on is left out"
CHANNELS = "a recording has several channels; their mean is taken"
"""Kinds of problems."""


def read_recordings(path: Path, how: RecordingFormat, role: Role) -> Examples[Recording]:
    """Read recordings and what is said in them.

    The path is one of:

    - a manifest: CSV, TSV or JSON lines with a column that names the files of sound, and one with what is said;
    - a list of Sphinx, train.fileids, beside which train.transcription has what is said, or a folder of Kaldi;
    - a folder in which a.txt beside a.wav has what is said in it, or a transcript file of LibriSpeech, or names say it;
    - a pattern of names as in a shell, such as "digits/*_{george,theo}_[0-4].wav";
    - one recording.

    Files of features (.npy of frames by features, .mfc of Sphinx) are read as those of sound. A manifest that names a
    file that is missing is an error. Of the parts to train and to validate on, recordings without a transcript or
    without sound, and those that cannot be read or end too early, are left out and counted.

    Args:
        path: The manifest, the folder, the pattern or the recording.
        how: How it is read.
        role: What for: with "predict" transcripts may be missing, and no recording is left out.

    Raises:
        DataError: A file cannot be read, a line of it is wrong, or there is no recording.
        SettingError: The package that reads sound is not installed.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> np.save(folder / "7_theo_1.npy", np.zeros((30, 13), np.float32))
        >>> how = RecordingFormat(name_pattern="{transcript}_{group}_{}")
        >>> recording = read_recordings(folder, how, "train")[0]
        >>> recording.transcript, recording.group, len(recording)
        ('7', 'theo', 30)
    """
    with read_as(how.format):
        return _read(path, how, role)


def _read(path: Path, how: RecordingFormat, role: Role) -> Examples[Recording]:
    problems = Problems()
    files, read = _open(path, how, role, problems)
    missing: list[Recording] = []
    recordings = []
    for recording in (_measured(recording, how) for recording in read):
        if recording.trouble is not None and role != "predict" and not recording.file.exists():
            missing.append(recording)
        elif _is_kept(recording, how, role, problems):
            recordings.append(recording)
    if missing:
        raise _missing(missing)
    if role != "predict":
        _check_whole(path, recordings, problems)
    sounds = dict.fromkeys(recording.audio for recording in recordings if recording.audio is not None)
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
        path: The manifest, the folder, the pattern or the recording; - reads a recording, or a manifest, from standard
            input.
        how: How it is read.
        problems: Where recordings that cannot be read are counted.

    Raises:
        DataError: The manifest cannot be read, or a line of it is wrong.
        SettingError: The package that reads sound is not installed.
    """
    with read_as(how.format):
        for read in _open(path, how, "predict", problems)[1]:
            recording = _measured(read, how)
            _is_kept(recording, how, "predict", problems)
            yield recording


def recording_of(value: Any, how: RecordingFormat) -> Recording:  # noqa: ANN401  (whatever a caller has)
    """The recording that a value in Python stands for.

    Args:
        value: The name of a file, or samples from -1 to 1, (N,) or (channels, N), and how many there are in a second.
        how: How files are read.

    Raises:
        DataError: It is none, or the file cannot be read.
        ShapeError: The samples are no such array.

    Example:
        >>> recording_of((np.zeros(8000), 8000), RecordingFormat()).seconds()
        1.0
    """
    if isinstance(value, (str, Path)):
        recording = _measured(recording_beside(Path(value), how), how)
        if recording.trouble is not None:
            raise DataError(f"{value}: {recording.trouble}")
        return recording
    if not isinstance(value, (tuple, list)) or len(value) != 2:
        raise DataError(f"{str(value)[:40]!r} is no recording; give the name of a file, or samples and their rate")
    samples, rate = np.asarray(value[0]), whole_number("rate", value[1], 1)
    if samples.ndim not in {1, 2} or samples.dtype.kind not in "fi" or not all(samples.shape[:-1]):
        raise ShapeError(
            f"samples are {samples.dtype} of shape {samples.shape}; give numbers from -1 to 1, (N,) or (channels, N)"
        )
    if samples.dtype.kind == "i":
        samples = samples / float(-np.iinfo(samples.dtype).min)
    mono = one_channel(samples)
    if not np.isfinite(mono).all():
        raise DataError("a sample is not finite; give numbers from -1 to 1")
    return Recording(None, None, None, Source(Path("samples"), 1), length=len(mono), rate=rate, samples=mono)


# What is known of a recording by its header


def _measured(recording: Recording, how: RecordingFormat) -> Recording:
    """A recording with its length, or with why it has none."""
    if recording.audio is None or recording.trouble is not None:
        return recording
    try:
        if recording.audio.suffix.lower() in FRAME_SUFFIXES:
            frames, width = frames_in(recording.audio, how.features)
            return replace(recording, length=frames, width=width)
        header = audio_info(recording.audio)
    except DataError as error:
        return replace(recording, trouble=str(error).removeprefix(f"{recording.audio}: "))
    measured = replace(recording, length=header.samples, rate=header.rate, channels=header.channels)
    if recording.span is not None:
        begin, end = recording.span
        if begin >= header.seconds or (end > header.seconds + SHORTER_BY and end < float("inf")):
            raise DataError(
                f"{recording.source}: from {begin:g} to {end:g} seconds of {recording.audio}, which lasts "
                f"{header.seconds:.2f}; mend the times, which are seconds"
            )
        last = min(header.samples, header.samples if end == float("inf") else round(end * header.rate))
        return replace(measured, length=last - measured.begin)
    return replace(measured, missing=header.missing / header.rate)


def _is_kept(recording: Recording, how: RecordingFormat, role: Role, problems: Problems) -> bool:
    """Whether a recording is one to learn from, to measure or to answer; what is odd about it is counted."""
    where = "" if recording.source.path == recording.audio else recording.name
    if recording.trouble is not None:
        if role == "evaluate":
            raise DataError(f"{recording.source}: {where}{': ' * bool(where)}{recording.trouble}")
        problems.add(
            UNREADABLE_INPUT if role == "predict" else UNREADABLE,
            recording.source,
            f"{where}{': ' * bool(where)}{recording.trouble}",
        )
        return role == "predict"
    if role == "evaluate" and recording.transcript is None:
        raise DataError(f"{recording.source}: it is not known what is said in it; say it, or take it out")
    learned_from = role in {"train", "validate"}
    for kind, is_so, of_others in (
        (EMPTY, not (recording.transcript or "").strip(), None),
        (NO_SOUND, recording.length == 0, None),
        (CUT, recording.missing > SHORTER_BY, CUT_INPUT),
    ):
        if is_so and learned_from:
            problems.add(kind, recording.source, where)
            return False
        if is_so and of_others is not None:
            problems.add(of_others, recording.source, where)
    if role == "train" and how.longest is not None and recording.seconds() > how.longest:
        problems.add(LONG, recording.source, f"{recording.seconds():.1f} s")
        return False
    if recording.channels > 1:
        problems.add(CHANNELS, recording.source, where)
    return True


def _missing(missing: Sequence[Recording]) -> DataError:
    first, others = missing[0], len(missing) - 1
    beside = f" (and {others:,} other{'s' * (others > 1)} {'are' if others > 1 else 'is'} missing)" if others else ""
    return DataError(
        f"{first.source}: {first.audio}: there is no such file{beside}; mend its name, take the line out, or say where "
        "names begin with --audio-folder"
    )


def _check_whole(path: Path, recordings: Sequence[Recording], problems: Problems) -> None:
    """Refuse a part without a recording, and one of recordings that no model can all read.

    Raises:
        DataError: It is one.
    """
    if not recordings:
        left_out = "; ".join(problems.lines())
        raise DataError(
            f"{name_of(path)}: 0 recordings with a transcript in it{f' ({left_out})' if left_out else ''}; give some"
        )
    widths = Counter(recording.width for recording in recordings)
    if len(widths) > 1:
        usual, odd = recordings[0].width, next(other for other in recordings if other.width != recordings[0].width)
        said = ["sound" if width is None else f"{width} features a frame" for width in (usual, odd.width)]
        raise DataError(
            f"{odd.source}: {odd.name}: this is {said[1]}, and {recordings[0].name} is {said[0]}; give one kind alone"
        )


# Files


def _open(path: Path, how: RecordingFormat, role: Role, problems: Problems) -> tuple[list[Path], Iterator[Recording]]:
    """The manifests that are read, and their recordings, one at a time."""
    if path == STANDARD_INPUT and role == "predict" and how.format in {None, "audio"} and _is_sound(path):
        return [], _of_standard_input(path)
    format_ = how.format or _format_by_name(path)
    if format_ == "folder":
        return [], recordings_in_folder(path, how, role, problems)
    if format_ == "audio":
        return [], iter([recording_beside(path, how)])
    if format_ == "kaldi":
        folder = kaldi_folder(path)
        files = [file for name in LISTED_TOGETHER if (file := folder / name).exists()]
        return files, recordings_of_kaldi(folder, how, role)
    if format_ == "sphinx":
        listed, transcripts = path.with_suffix(".fileids"), path.with_suffix(".transcription")
        files = [listed] if role == "predict" and not transcripts.exists() else [listed, transcripts]
        return files, recordings_of_sphinx(files, how, role)
    return [path], recordings_of_table(path, how, role, format_)


def _format_by_name(path: Path) -> ManifestFormat | None:
    if path == STANDARD_INPUT:
        return None
    if path.name == "wav.scp" or (path / "wav.scp").exists():
        return "kaldi"
    if path.is_dir() or (not path.exists() and is_pattern(str(path))):
        return "folder"
    suffix = (Path(path.stem).suffix if path.suffix == ".gz" else path.suffix).lower()
    return "audio" if suffix in AUDIO_SUFFIXES | FRAME_SUFFIXES else SUFFIXES.get(suffix)


def _is_sound(path: Path) -> bool:
    """Whether what comes from standard input begins as a file of sound does."""
    with open_bytes(path) as file:
        begin = bytes(file.peek(4)[:4]) if hasattr(file, "peek") else b""
    return begin in {b"RIFF", b"fLaC", b"OggS", b"FORM"} or begin[:3] == b"ID3" or begin[:2] in MP3_FRAMES


def _of_standard_input(path: Path) -> Iterator[Recording]:
    with open_bytes(path) as file:
        samples, rate = read_audio_bytes(Path(name_of(path)), file.read())
    yield Recording(None, None, None, Source(path, 1), length=len(samples), rate=rate, samples=samples)
