"""Lists of recordings as Sphinx and Kaldi write them: names in one file, what is said in another."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from recurra.data.dataset import Role
from recurra.data.lines import Source, read_lines
from recurra.data.recording import Recording, RecordingFormat
from recurra.errors import DataError

__all__ = ["LISTED_TOGETHER", "kaldi_folder", "recordings_of_kaldi", "recordings_of_sphinx"]

LISTED_TOGETHER = ("wav.scp", "text", "utt2spk", "segments")
"""The files of a folder of Kaldi."""

SOUGHT_SUFFIXES = ("", ".wav", ".flac", ".sph", ".mfc", ".npy", ".ogg", ".mp3")
"""What a name of a list of Sphinx may lack."""

_SPHINX_LINE = re.compile(r"(?:<s>)?\s*(.*?)\s*(?:</s>)?\s*\(([^()\s]+)\)\s*")


def recordings_of_sphinx(files: Sequence[Path], how: RecordingFormat, role: Role) -> Iterator[Recording]:
    """The recordings of a list of Sphinx, and what is said in each.

    A line of the transcription ends in the name of its recording in parentheses; markers such as <s> and <sil> are left
    out. The files of sound or of features are looked for from the folder of the list and the one above, and there in
    feat and wav. A recording's group is the last folder of its name, unless a pattern of names says another.

    Args:
        files: The list and, where it is known what is said, the transcription.
        how: How they are read.
        role: What for: to predict, a file of sound that is missing is named as it would be.

    Raises:
        DataError: A file cannot be read, the two do not belong together, or a file of sound is missing.
    """
    transcripts = iter(read_lines(files[1])) if len(files) > 1 else None
    find = _finder(files[0], how, role)
    number = 0
    for number, line in read_lines(files[0]):
        name = line.strip()
        if not name:
            continue
        source = Source(files[0], number)
        said = None if transcripts is None else _said(files[1], next(transcripts, (number, "")), name, source)
        fields = how.fields(Path(f"{name}.wav")) or {}
        yield Recording(find(name, source), said, fields.get("group", Path(name).parent.name or None), source)
    for at, text in transcripts or ():
        if text.strip():
            raise DataError(f"{files[1]}:{at}: {files[0]} ends after {number:,} lines; give both equally many")


def _said(path: Path, line: tuple[int, str], name: str, source: Source) -> str:
    """What is said in a recording, by its line of a transcription of Sphinx."""
    last = name.rpartition("/")[2]
    matched = _SPHINX_LINE.fullmatch(line[1])
    if matched is None or matched[2].rpartition("/")[2] != last:
        raise DataError(
            f"{path}:{line[0]}: this should be what is said in {name} ({source}) and end in ({last}); give a line for "
            "each of the list, in its order"
        )
    return " ".join(word for word in matched[1].split() if not (word[0] == "<" and word[-1] == ">"))


def _finder(listed: Path, how: RecordingFormat, role: Role) -> Callable[[str, Source], Path]:
    """Finds the file of a name without its ending."""
    above = listed.parent.parent
    folders = [how.audio_folder] if how.audio_folder else [listed.parent, above, above / "feat", above / "wav"]
    likely = [*itertools.product(folders, SOUGHT_SUFFIXES)]

    def find(name: str, source: Source) -> Path:
        for place, (folder, suffix) in enumerate(likely):
            if (path := folder / f"{name}{suffix}").is_file():
                likely.insert(0, likely.pop(place))  # the others are where the last one was
                return path
        if role == "predict":
            return folders[0] / f"{name}.wav"
        raise DataError(
            f"{source}: there is no {name} with .wav, .flac, .sph, .mfc or .npy in {', '.join(map(str, folders))}; "
            "mend its name, or say where names begin with --audio-folder"
        )

    return find


def kaldi_folder(path: Path) -> Path:
    """The folder of Kaldi that a path means, itself or its wav.scp."""
    return path.parent if path.name == "wav.scp" else path


def recordings_of_kaldi(folder: Path, how: RecordingFormat, role: Role) -> Iterator[Recording]:
    """The recordings of a folder of Kaldi: wav.scp, text, utt2spk and, where there are any, segments.

    Args:
        folder: The folder.
        how: How it is read; relative names begin in `audio_folder`, or in the folder.
        role: What for.

    Raises:
        DataError: A file cannot be read, a line of it is wrong, or a recording has no line in another.
    """
    listed = _keyed(folder / "wav.scp")
    sounds = {name: _kaldi_sound(source, file, folder, how) for name, (source, file) in listed.items()}
    said = _keyed(folder / "text") if role != "predict" or (folder / "text").exists() else {}
    speakers = _keyed(folder / "utt2spk") if (folder / "utt2spk").exists() else {}
    segments = _keyed(folder / "segments") if (folder / "segments").exists() else None
    for name, (source, value) in (listed if segments is None else segments).items():
        sound, span = name, None
        if segments is not None:
            sound, span = _segment(source, value)
        if sound not in sounds:
            raise DataError(f"{source}: there is no recording {sound} in {folder / 'wav.scp'}; add its line")
        if role != "predict" and name not in said:
            raise DataError(f"{source}: there is no line for {name} in {folder / 'text'}; add it, empty for silence")
        text = said[name][1] if name in said else None
        yield Recording(sounds[sound], text, speakers.get(name, (None, None))[1], source, {"id": name}, span=span)


def _keyed(path: Path) -> dict[str, tuple[Source, str]]:
    """The lines of a file by their first word: where each stands, and the rest of it."""
    lines: dict[str, tuple[Source, str]] = {}
    for number, line in read_lines(path):
        if not line.strip():
            continue
        key, _, rest = line.strip().partition(" ") if "\t" not in line else line.strip().partition("\t")
        if key in lines:
            raise DataError(f"{path}:{number}: {key} has a line already, {lines[key][0].line}; give each one")
        lines[key] = (Source(path, number), rest.strip())
    return lines


def _kaldi_sound(source: Source, file: str, folder: Path, how: RecordingFormat) -> Path:
    if file.endswith("|") or not file:
        raise DataError(f"{source}: {file[:40]!r} is a command and no file; write its sound to a file and name that")
    return (how.audio_folder or folder) / file


def _segment(source: Source, value: str) -> tuple[str, tuple[float, float]]:
    """The recording, the beginning and the end of a segment."""
    try:
        sound, begin, end = value.split()
        span = (float(begin), float(end))
    except ValueError:
        span = (1.0, 0.0)
    if not 0 <= span[0] < span[1]:
        raise DataError(f"{source}: {value[:60]!r}; give a recording, the second it begins at and the one it ends at")
    return sound, span
