"""Frames of features: files of ready-made ones, and what is computed of sound."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from recurra.data.audio import check_audio_file
from recurra.errors import DataError

__all__ = ["FRAME_SUFFIXES", "SPHINX_WIDTH", "Frames", "frames_in", "read_frames"]

Frames = NDArray[np.float32]
"""Features of each frame, (T, F)."""

FRAME_SUFFIXES = frozenset((".npy", ".mfc"))
"""How the names of files of features end."""

SPHINX_WIDTH = 13
"""Features of a frame in a file of Sphinx, which does not say it."""


def frames_in(path: Path, width: int = SPHINX_WIDTH) -> tuple[int, int]:
    """The frames of a file of features and the features of each, by its header alone.

    Args:
        path: A file of NumPy (.npy) of frames by features, or of Sphinx (.mfc).
        width: The features of a frame in a file of Sphinx.

    Raises:
        DataError: It is no such file.
    """
    check_audio_file(path)
    if path.suffix.lower() == ".npy":
        return _npy_header(path)[0]
    return _sphinx_order(path, width)[0]


def read_frames(path: Path, width: int = SPHINX_WIDTH) -> Frames:
    r"""The features of a file.

    A file of Sphinx holds an integer of four bytes, how many numbers follow, and the numbers, of four bytes each, in
    the order of bytes of the machine that wrote it, which the integer tells.

    Args:
        path: A file of NumPy (.npy) of frames by features, or of Sphinx (.mfc).
        width: The features of a frame in a file of Sphinx.

    Returns:
        The features, float32, (T, F).

    Raises:
        DataError: It is no such file, or a feature is not finite.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "one.mfc"
        >>> _ = path.write_bytes(b"\0\0\0\x0d" + np.arange(13, dtype=">f4").tobytes())
        >>> read_frames(path).shape
        (1, 13)
    """
    check_audio_file(path)
    if path.suffix.lower() == ".npy":
        _npy_header(path)
        frames = np.load(path, allow_pickle=False).astype(np.float32)
    else:
        shape, order = _sphinx_order(path, width)
        frames = np.fromfile(path, dtype=f"{order}f4", offset=4).astype(np.float32).reshape(shape)
    if not np.isfinite(frames).all():
        at = int(np.flatnonzero(~np.isfinite(frames).all(1))[0])
        raise DataError(f"{path}: a feature of frame {at + 1:,} is not finite; compute them again")
    return np.asarray(frames)


def _sphinx_order(path: Path, width: int) -> tuple[tuple[int, int], str]:
    """The frames, the features of each and the order of bytes of a file of Sphinx."""
    size = path.stat().st_size
    with path.open("rb") as file:
        header = file.read(4)
    numbers = size // 4 - 1
    counts = {order: int.from_bytes(header, order) for order in ("big", "little")}
    order = next((order for order, count in counts.items() if count == numbers and size % 4 == 0), None)
    if order is None:
        raise DataError(
            f"{path}: its header says {counts['little']:,} numbers, or {counts['big']:,} with the most significant "
            f"byte first, and there are {max(0, numbers):,}; give a whole file of Sphinx"
        )
    if numbers % width:
        raise DataError(f"{path}: {numbers:,} numbers are no frames of {width} features; give files of {width} each")
    return (numbers // width, width), "<" if order == "little" else ">"


def _npy_header(path: Path) -> tuple[tuple[int, int], np.dtype[Any]]:
    """The shape and the type of an array of NumPy's."""
    try:
        with path.open("rb") as file:
            version = npy.read_magic(file)
            read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
            shape, _, dtype = read(file)
            begin = file.tell()
    except ValueError as error:
        raise DataError(f"{path}: this is no array of NumPy's ({error}); write it with numpy.save") from None
    if len(shape) != 2 or dtype.kind not in "fiu" or not shape[1]:
        raise DataError(
            f"{path}: an array of {dtype} and shape {tuple(shape)}; give one of numbers, frames by features"
        )
    there = path.stat().st_size - begin
    if there < dtype.itemsize * shape[0] * shape[1]:
        raise DataError(f"{path}: its header says {shape[0]:,} frames of {shape[1]}, and the file ends before")
    return (shape[0], shape[1]), dtype
