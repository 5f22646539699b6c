"""What a text that a language model wrote has word for word from the text it learned."""

from __future__ import annotations

from itertools import chain
from pathlib import Path
from typing import NamedTuple

from recurra.data.text import read_text, strip_lines
from recurra.errors import DataError
from recurra.metrics.copies import CopyIndex

__all__ = ["LearnedText", "TextCopy"]


class TextCopy(NamedTuple):
    """The longest run of a text that stands in another word for word.

    Args:
        length: How many units it has; 0 if nothing is shared.
        line: The line of the other that it begins in, from 1; 0 if nothing is shared.
        text: The run itself.
    """

    length: int
    line: int
    text: str


class LearnedText:
    r"""The text that a model learned, in which copies are looked for.

    Args:
        path: The text's file.
        by_words: Whether runs are of whole words, whatever space is between them; or else of characters.
        strip: Whether it was learned without the white space at both ends of every line.

    Raises:
        DataError: The file is not there any more, or is no text.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "a.txt"
        >>> _ = path.write_text("the cat sat\non the mat\n")
        >>> LearnedText(path, by_words=True).longest_copy("a dog sat on the cat")
        TextCopy(length=3, line=1, text='sat on the')
    """

    def __init__(self, path: Path, *, by_words: bool, strip: bool = False) -> None:
        self.path, self.unit = path, "words" if by_words else "characters"
        if not path.is_file():
            raise DataError(f"{path}: the text that the run learned is not there; copies are looked for in it")
        text = strip_lines(read_text(path)) if strip else read_text(path)
        self._units = text.split() if by_words else text
        sizes = [len(line.split()) if by_words else len(line) + 1 for line in text.split("\n")]
        self._lines = list(chain.from_iterable([number] * size for number, size in enumerate(sizes, 1)))

    def longest_copy(self, text: str) -> TextCopy:
        """The longest run of a text that was copied; the first of several.

        Args:
            text: The text, without what the model was given to begin with.
        """
        units = text.split() if self.unit == "words" else text
        # The text is kept and what was learned is gone through, which takes memory for the text alone.
        copy = CopyIndex([units]).longest(self._units)
        if not copy.length:
            return TextCopy(0, 0, "")
        run = units[copy.at : copy.at + copy.length]
        return TextCopy(copy.length, self._lines[copy.start], run if isinstance(run, str) else " ".join(run))
