"""What a classifier reads of a text: its words, its characters, or pieces of words; of a long one head and tail."""

from __future__ import annotations

from collections.abc import Iterable

from recurra.data import Vocabulary
from recurra.data.tokens import tokenise
from recurra.tasks.sentiment_classification_settings import ReviewLevel

__all__ = ["SPACE", "TextUnits", "head_and_tail", "learn_pieces", "words_of"]

SPACE = "\u2581"
"""How a space is spelled among characters: a lower block, as in sentencepiece."""


def words_of(text: str, longest: int | None = None) -> list[str]:
    """The words of a text; of one with more than `longest` its head and its tail.

    Example:
        >>> words_of("It isn't bad."), words_of("one two three four five", 4)
        (['It', 'is', "n't", 'bad', '.'], ['one', 'two', 'four', 'five'])
    """
    words = [token.text for token in tokenise(text)]
    if longest is None or len(words) <= longest:
        return words
    tail = longest // 2
    return words[: longest - tail] + words[len(words) - tail :]


def head_and_tail(text: str, longest: int | None) -> str:
    """A text whose middle is left out where it has more words.

    Example:
        >>> head_and_tail("One, two, three and four.", 4)
        'One, four.'
    """
    tokens = [] if longest is None else tokenise(text)
    if longest is None or len(tokens) <= longest:
        return text
    tail = longest // 2
    return f"{text[: tokens[longest - tail - 1].end]} {text[tokens[len(tokens) - tail].start :]}"


def learn_pieces(texts: Iterable[str], size: int) -> Vocabulary:
    """The pieces of words that are frequent in texts; see `recurra.data.units.BytePairs`.

    Args:
        texts: The texts.
        size: How many pieces, the 256 bytes included.
    """
    return Vocabulary.build((" ".join(text.split()) for text in texts), "bpe", size)


class TextUnits:
    r"""Cuts texts into what a network reads a step.

    White space at the ends of a text, and how much of it stands between words, changes nothing at any level.

    Args:
        level: Words, characters or pieces of words.
        longest: The most words that are read of a text.
        pieces: The pieces, at level "bpe".

    Example:
        >>> TextUnits("character")(" So  bad\n")
        ['S', 'o', '▁', 'b', 'a', 'd']
    """

    def __init__(self, level: ReviewLevel, longest: int | None = None, pieces: Vocabulary | None = None) -> None:
        self.level, self.longest, self.pieces = level, longest, pieces

    def __call__(self, text: str) -> list[str]:
        """The units of a text."""
        if self.level == "word":
            return words_of(text, self.longest)
        spaced = " ".join(head_and_tail(text, self.longest).split())
        if self.level == "character":
            return [SPACE if character == " " else character for character in spaced]
        assert self.pieces is not None
        return self.pieces.split(spaced)
