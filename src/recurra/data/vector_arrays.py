"""Word vectors in numpy's files: an array with the words beside, or an archive of both."""

from __future__ import annotations

import json
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recurra.data.dataset import Problems
from recurra.data.lines import Source, read_lines
from recurra.data.vector_files import NO_WORD, TWICE, Wanted, WordVectors
from recurra.errors import DataError

__all__ = ["load_array", "read_npy", "read_npz", "select_rows"]


def read_npy(path: Path, wanted: Wanted) -> WordVectors:
    """The vectors of an array in a file, with the words beside."""
    beside = [path.with_suffix(ending) for ending in (".txt", ".json")]
    words_path = next((file for file in beside if file.exists()), None)
    if words_path is None:
        raise DataError(
            f"{path}: there are no words for these vectors; put them beside it in {beside[0].name}, one a line, or in "
            f"{beside[1].name}, a list"
        )
    pairs = (
        _json_words(words_path)
        if words_path.suffix == ".json"
        else ((word, number - 1) for number, word in read_lines(words_path))
    )
    return select_rows(path, pairs, load_array(path), wanted, words_path)


def read_npz(path: Path, wanted: Wanted) -> WordVectors:
    """The vectors of an archive of two arrays."""
    archive = load_array(path)
    try:
        missing = [name for name in ("words", "vectors") if name not in archive]
        if missing:
            raise DataError(
                f"{path}: there is no array {missing[0]!r}; it has {', '.join(archive) or 'none'}; save it with "
                "numpy.savez(path, words=..., vectors=...)"
            )
        arrays = {name: _array(path, archive, name) for name in ("words", "vectors")}
    finally:
        archive.close()
    if arrays["words"].dtype.kind != "U" or arrays["words"].ndim != 1:
        raise DataError(f"{path}: 'words' is an array of {arrays['words'].dtype}; give one row of texts")
    pairs = ((str(word), row) for row, word in enumerate(arrays["words"]))
    return select_rows(path, pairs, arrays["vectors"], wanted, path)


def load_array(path: Path) -> Any:  # noqa: ANN401  (an array, or an archive of some)
    """What numpy has saved; nothing is unpickled, and an array stays in its file until rows are taken from it."""
    try:
        return np.load(path, mmap_mode="r" if path.suffix == ".npy" else None, allow_pickle=False)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise _unsaved(path, error) from error


def _array(path: Path, archive: Mapping[str, NDArray[Any]], name: str) -> NDArray[Any]:
    try:
        return archive[name]
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise _unsaved(path, error) from error


def _unsaved(path: Path, error: Exception) -> DataError:
    reason = str(error).splitlines()[0] if str(error) else "it is empty"
    return DataError(
        f"{path}: cannot be read as numpy's ({reason}); save numbers and texts, not objects, with numpy.save or savez"
    )


def _json_words(path: Path) -> Iterator[tuple[str, int]]:
    """Words and the row of each, of a list or an object in JSON."""
    text = "\n".join(line for _, line in read_lines(path))
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: this is not JSON ({error}); give a list of words, or the row of each") from None
    if not isinstance(content, dict | list):
        raise DataError(f"{path}: this is no list of words; give one, or the row of each")
    pairs = content.items() if isinstance(content, dict) else zip(content, range(len(content)), strict=True)
    for word, row in pairs:
        if not isinstance(word, str) or type(row) is not int:
            raise DataError(f"{path}: {word!r} with the row {row!r} is no word with its row; give texts and integers")
        yield word, row


def select_rows(
    path: Path,
    pairs: Iterable[tuple[str, int]],
    vectors: NDArray[Any],
    wanted: Wanted,
    words_path: Path,
) -> WordVectors:
    """The rows of an array that belong to wanted words."""
    if vectors.ndim != 2 or not vectors.size or vectors.dtype.kind not in "fiu":
        raise DataError(
            f"{path}: the vectors are {vectors.dtype} of the shape {vectors.shape}; give numbers, a row for each word"
        )
    problems, rows, count = Problems(), dict[str, int](), 0
    for count, (word, row) in enumerate(pairs, 1):
        if not 0 <= row < len(vectors):
            raise DataError(
                f"{words_path}: the word {word!r} is of row {row:,}, counted from 0, and there are {len(vectors):,} "
                "vectors; give as many words as vectors"
            )
        if wanted.words is not None and count > wanted.first and word not in wanted.words:
            continue
        if word in rows:
            problems.add(TWICE, Source(words_path, count), repr(word))
        elif not word:
            problems.add(NO_WORD, Source(words_path, count))
        else:
            rows[word] = row
    if count != len(vectors):
        raise DataError(
            f"{words_path}: there are {count:,} words and {len(vectors):,} vectors; give as many words as vectors"
        )
    chosen = np.asarray(vectors[np.fromiter(rows.values(), dtype=np.int64)], dtype=np.float32)
    finite = np.isfinite(chosen).all(axis=1)
    if not finite.all():
        word = list(rows)[int(finite.argmin())]
        raise DataError(f"{path}: the vector of {word!r} has a number that is not finite; leave the word out")
    return WordVectors(tuple(rows), chosen, problems)
