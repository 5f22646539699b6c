"""A text as a dataset: one stream, or a sentence a line."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from recurra.data.dataset import Examples, Problems, fingerprint_files
from recurra.data.lines import Source, read_lines
from recurra.data.text import read_text, split_validation, strip_lines

__all__ = ["TextExamples", "read_texts", "texts_to_predict"]


@dataclass
class TextExamples(Examples[str]):
    """A text, whose examples are the whole of it, or its sentences.

    Args:
        text: The text.
        by_sentence: Whether each line is a sentence of its own.
    """

    text: str = ""
    by_sentence: bool = False

    @classmethod
    def of(cls, text: str, path: Path, *, by_sentence: bool, fingerprint_of: Callable[[], str]) -> TextExamples:
        """The examples of a text.

        Args:
            text: The text.
            path: The file it is of.
            by_sentence: Whether each line is a sentence of its own.
            fingerprint_of: Gives the digest of what was read.
        """
        if by_sentence:
            numbered = [(line, number) for number, line in enumerate(text.split("\n"), 1) if line.strip()]
        else:
            numbered = [(text, 1)]
        return cls(
            [line for line, _ in numbered],
            [Source(path, number) for _, number in numbered],
            [len(line) for line, _ in numbered],
            Problems(),
            fingerprint_of,
            text,
            by_sentence,
        )

    def split(
        self,
        fraction: float,
        group_of: Callable[[str], Hashable] = lambda example: None,
        classes_of: Callable[[str], Sequence[Hashable]] | None = None,
    ) -> tuple[TextExamples, TextExamples]:
        """Keep the last part of the text for validation; see `split_validation`."""
        texts = split_validation(self.text, fraction)
        train, valid = (
            self.of(text, self.sources[0].path, by_sentence=self.by_sentence, fingerprint_of=_part(self, name))
            for text, name in zip(texts, (f"without {fraction:g}", f"last {fraction:g}"), strict=True)
        )
        first = texts[0].count("\n")
        return train, replace(valid, sources=[Source(path, line + first) for path, line in valid.sources])


def _part(whole: TextExamples, name: str) -> Callable[[], str]:
    return lambda: hashlib.sha256(f"{whole.fingerprint()} {name}".encode()).hexdigest()


def read_texts(path: Path, *, by_sentence: bool, strip: bool = False, binary: bool = False) -> TextExamples:
    r"""Read a file of text.

    Args:
        path: The file.
        by_sentence: Whether each line is a sentence of its own.
        strip: Whether the white space at both ends of every line is left out.
        binary: Whether it may be any file; see `read_text`.

    Raises:
        DataError: It cannot be read, holds no text, or is no UTF-8.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "cats.txt"
        >>> _ = path.write_text("the cat\n\n a dog\n")
        >>> list(read_texts(path, by_sentence=True, strip=True)), list(read_texts(path, by_sentence=False))
        (['the cat', 'a dog'], ['the cat\n\n a dog\n'])
    """
    text = read_text(path, binary=binary)
    text = strip_lines(text) if strip else text
    settings = {"by_sentence": by_sentence, "strip": strip, "binary": binary}
    return TextExamples.of(
        text, path, by_sentence=by_sentence, fingerprint_of=lambda: fingerprint_files([path], settings)
    )


def texts_to_predict(path: Path) -> Iterator[str]:
    """The texts of a file, one a line, as soon as they are read; none is left out.

    Raises:
        DataError: The file cannot be read, or a line of it is no UTF-8.
    """
    return (line for _, line in read_lines(path))
