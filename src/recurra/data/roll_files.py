"""The piano rolls in a file: MATLAB's .mat, NumPy's .npz, JSON and JSON lines."""

from __future__ import annotations

import importlib
import json
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from recurra.data.lines import STANDARD_INPUT, Source, read_lines
from recurra.errors import DataError
from recurra.extras import need

__all__ = ["FilePart", "Keys", "read_roll_file"]

FilePart = Literal["train", "valid", "test"]
"""The parts that a file of a data set may hold."""

LARGEST_FILE = 1 << 28
"""How many bytes a file of rolls may have, and what it is unpacked to."""

LONGEST = 1 << 20
"""How many frames a piece may have: 73 hours of sixteenths at 60 quarters a minute."""

PIANO, MIDI_PITCHES = (21, 88), (0, 128)
"""The lowest pitch and the number of keys of the two usual keyboards."""

_MAT_NAMES: Mapping[str, FilePart] = {"traindata": "train", "validdata": "valid", "testdata": "test"}
_PART_NAMES: Mapping[str, FilePart] = {
    "train": "train",
    "training": "train",
    "valid": "valid",
    "validation": "valid",
    "dev": "valid",
    "test": "test",
}
_EXPECTED = "a piece is a list of frames, and a frame the list of its pitches, such as [[60, 64], [62]]"


class Keys(NamedTuple):
    """The keys of a roll.

    Args:
        lowest: The pitch of the first, 60 being middle C.
        highest: The pitch of the last.

    Example:
        >>> Keys(21, 108).number
        88
    """

    lowest: int
    highest: int

    @property
    def number(self) -> int:
        """How many keys there are."""
        return self.highest - self.lowest + 1


class FileRoll(NamedTuple):
    """A roll of a file: which keys sound, how many notes lie outside the keys, its part and where it stands."""

    frames: NDArray[np.bool_]
    outside: int
    part: FilePart | None
    source: Source


def read_roll_file(path: Path, keys: Keys) -> Iterator[FileRoll]:
    """The rolls of a file, in its order.

    A .mat file holds `traindata`, `validdata` and `testdata`, each a row of cells with an array (T, keys) a piece, as
    those of Boulanger-Lewandowski et al., "Modeling temporal dependencies in high-dimensional sequences", ICML 2012. A
    .npz file holds an array a piece, and whatever its name begins with before a slash or an underscore may be its part.
    JSON is a list of pieces or an object of such lists by part; a line of JSON lines is a piece.

    Args:
        path: The file; - is JSON lines from standard input.
        keys: The keys that are kept.

    Raises:
        DataError: The file is no such file, or an array is ragged, too wide, or not of zeros and ones.
    """
    kind = path.suffix.lower()
    if path == STANDARD_INPUT or kind in (".jsonl", ".ndjson"):
        yield from _json_lines(path, keys)
        return
    try:
        size = path.stat().st_size
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); give a file of piano rolls") from None
    if size > LARGEST_FILE:
        raise DataError(f"{path}: it has {size:,} bytes, and a file of piano rolls {LARGEST_FILE:,} at most")
    read = {".mat": _mat, ".npz": _npz, ".json": _json}[kind]
    count = 0
    for count, (part, place, value) in enumerate(read(path), 1):
        frames, outside = _as_roll(value, keys, f"{path}, {place}")
        yield FileRoll(frames, outside, part, Source(path, count))
    if not count:
        raise DataError(f"{path}: it holds no piece; give a file with one or more")


def _mat(path: Path) -> Iterator[tuple[FilePart, str, Any]]:
    need("scipy", "a .mat file")
    try:
        content = importlib.import_module("scipy.io").loadmat(path)
    except Exception as error:  # whatever its parser makes of bytes that are no such file
        raise DataError(f"{path}: cannot be read as a .mat file ({_one_line(error)}); fetch it again") from None
    names = [name for name in _MAT_NAMES if name in content]
    if not names:
        there = ", ".join(name for name in content if not name.startswith("__")) or "nothing"
        raise DataError(f"{path}: it holds {there}; expected the variables traindata, validdata and testdata")
    for name in names:
        cells = content[name]
        if cells.dtype != object:
            raise DataError(f"{path}: {name} is an array of {cells.dtype}; expected a row of cells, a piece each")
        for number, cell in enumerate(cells.ravel(), 1):
            yield _MAT_NAMES[name], f"{name} {number}", cell


def _npz(path: Path) -> Iterator[tuple[FilePart | None, str, Any]]:
    try:
        with zipfile.ZipFile(path) as archive:
            unpacked = sum(member.file_size for member in archive.infolist())
        if unpacked > LARGEST_FILE:
            raise DataError(f"{path}: it would unpack to {unpacked:,} bytes; {LARGEST_FILE:,} at most are read")
        with np.load(path, allow_pickle=False) as arrays:
            for name in arrays.files:
                head = name.replace("_", "/").replace(".", "/").partition("/")[0].lower()
                yield _PART_NAMES.get(head), f"array {name}", arrays[name]
    except DataError:
        raise
    except Exception as error:  # whatever a damaged archive leads to
        raise DataError(
            f"{path}: cannot be read as a .npz file ({_one_line(error)}); write one array of zeros and ones a piece"
        ) from None


def _json(path: Path) -> Iterator[tuple[FilePart | None, str, Any]]:
    try:
        content = json.loads(path.read_bytes().decode("utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{path}: it is no JSON ({_one_line(error)}); {_EXPECTED}") from None
    if isinstance(content, dict):
        unknown = [name for name in content if name.lower() not in _PART_NAMES]
        if unknown or not content:
            raise DataError(f"{path}: it holds {', '.join(unknown) or 'nothing'}; expected train, valid and test")
        parts: list[tuple[FilePart | None, str, Any]] = [
            (_PART_NAMES[name.lower()], name, pieces) for name, pieces in content.items()
        ]
    else:
        parts = [(None, "piece", content)]
    for part, name, pieces in parts:
        if not isinstance(pieces, list):
            raise DataError(f"{path}, {name}: this is no list of pieces; {_EXPECTED}")
        for number, piece in enumerate(pieces, 1):
            yield part, f"{name} {number}", piece


def _json_lines(path: Path, keys: Keys) -> Iterator[FileRoll]:
    for number, line in read_lines(path):
        if not line.strip():
            continue
        source = Source(path, number)
        try:
            piece = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise DataError(f"{source}: it is no JSON ({_one_line(error)}); {_EXPECTED}") from None
        frames, outside = _as_roll(piece, keys, str(source))
        yield FileRoll(frames, outside, None, source)


def _as_roll(value: Any, keys: Keys, where: str) -> tuple[NDArray[np.bool_], int]:  # noqa: ANN401  (whatever came)
    """A piece's frames (T, keys), and how many notes lie outside the keys."""
    if isinstance(value, list):
        whole = _of_pitches(value, where)
        first = 0
    else:
        whole, first = _of_array(np.asarray(value), keys, where)
    if len(whole) > LONGEST:
        raise DataError(f"{where}: it has {len(whole):,} frames; {LONGEST:,} at most: cut it into pieces")
    frames = np.zeros((len(whole), keys.number), np.bool_)
    low, high = max(first, keys.lowest), min(first + whole.shape[1], keys.highest + 1)
    if low < high:
        frames[:, low - keys.lowest : high - keys.lowest] = whole[:, low - first : high - first]
    return frames, int(whole.sum()) - int(frames.sum())


def _of_array(array: NDArray[Any], keys: Keys, where: str) -> tuple[NDArray[np.bool_], int]:
    """An array of zeros and ones, and the pitch of its first key."""
    if array.size == 0:
        return np.zeros((0, keys.number), np.bool_), keys.lowest
    if array.ndim != 2 or array.dtype.kind not in "buif":
        raise DataError(f"{where}: it is an array {array.shape} of {array.dtype}; expected frames by keys of 0 and 1")
    first = {count: lowest for lowest, count in (PIANO, MIDI_PITCHES)} | {keys.number: keys.lowest}
    if array.shape[1] not in first:
        raise DataError(
            f"{where}: it has {array.shape[1]} keys; expected 88 (a piano's), 128 (all pitches) or {keys.number} "
            "(--lowest to --highest)"
        )
    wrong = np.argwhere((array != 0) & (array != 1))
    if len(wrong):
        frame, key = wrong[0].tolist()
        raise DataError(f"{where}: frame {frame + 1}, key {key + 1} is {array[frame, key]}; expected 0 or 1")
    return array.astype(np.bool_), first[array.shape[1]]


def _of_pitches(frames: Sequence[Any], where: str) -> NDArray[np.bool_]:
    """Frames that are lists of pitches, over all 128."""
    if len(frames) > LONGEST:
        raise DataError(f"{where}: it has {len(frames):,} frames; {LONGEST:,} at most: cut it into pieces")
    whole = np.zeros((len(frames), 128), np.bool_)
    for number, frame in enumerate(frames, 1):
        if not isinstance(frame, list):
            raise DataError(f"{where}: frame {number} is {json.dumps(frame)[:40]}; {_EXPECTED}")
        for pitch in frame:
            if isinstance(pitch, bool) or not isinstance(pitch, int) or not 0 <= pitch < 128:
                raise DataError(f"{where}: frame {number} has {json.dumps(pitch)[:40]}; expected pitches from 0 to 127")
            whole[number - 1, pitch] = True
    return whole


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:120] or type(error).__name__
