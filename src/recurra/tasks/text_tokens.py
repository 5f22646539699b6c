"""What a language model reads of a text: where it begins, and where it ends."""

from __future__ import annotations

from collections.abc import Sequence

from recurra.data import Vocabulary

__all__ = ["opening", "start_of", "tokens_of"]

LOOKED_AT = 2000
"""Characters of a text in which its first words are looked for."""


def start_of(vocabulary: Vocabulary) -> int | None:
    """The token read before a text's first: <EOS>, else a line's end, else none.

    Example:
        >>> start_of(Vocabulary.build("to be", "word")), start_of(Vocabulary.build("to be", "character"))
        (3, None)
    """
    if vocabulary.end is not None:
        return vocabulary.end
    newline = vocabulary.encode("\n")[0]
    return None if newline == vocabulary.unknown else newline


def tokens_of(vocabulary: Vocabulary, ids: Sequence[int]) -> list[int]:
    """A text as a model reads it whole: after its start, and with its end where the model knows one.

    Args:
        vocabulary: The model's.
        ids: The text's units.

    Example:
        >>> tokens_of(Vocabulary.build("to be", "word"), [1, 2])
        [3, 1, 2, 3]
    """
    start, end = start_of(vocabulary), vocabulary.end
    tokens = [*([] if start is None else [start]), *ids]
    if ids and end is not None and ids[-1] != end:
        tokens.append(end)
    return tokens


def opening(vocabulary: Vocabulary, text: str, words: int) -> str:
    r"""The first words of a text, from its first line of words of letters on, without those that are unknown.

    Args:
        vocabulary: The model's.
        text: The text.
        words: How many words at most.

    Example:
        >>> opening(Vocabulary.build("= 1 =\nthe cat sat\n", "character"), "= 1 =\nthe cat sat\n", 2)
        'the cat'
    """
    special = {vocabulary.unknown, vocabulary.end}
    head = text[:LOOKED_AT].encode("utf-8", "replace").decode()  # a byte that is no UTF-8 is no character
    known = [number for number in vocabulary.encode(head) if number not in special]
    lines = [line.split() for line in vocabulary.decode(known).split("\n")]
    plain = [line for line in lines if any(word.isalpha() for word in line[:words])]
    first = [word for word in plain[0] if any(map(str.isalpha, word))] if plain else vocabulary.decode(known).split()
    return " ".join(first[:words])
