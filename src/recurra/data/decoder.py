"""Ids to text one at a time, for text that is shown while it is drawn."""

import codecs
from collections.abc import Sequence

from recurra.data.units import END, Units

__all__ = ["Decoder"]


class Decoder:
    """Turns ids into text one at a time: the pieces, one after another, are what `Vocabulary.decode` makes of all.

    A character whose bytes come one by one is held back until it is whole.

    Args:
        units: How units are put together.
        tokens: All tokens, each at the place of its id.
        before: What is written already. Where the next word begins a line, no space stands before it.

    Example:
        >>> from recurra.data import Vocabulary
        >>> decoder = Vocabulary("byte").decoder()
        >>> [decoder.feed(number) for number in "hé".encode()], decoder.end()
        (['h', '', 'é'], '')
    """

    def __init__(self, units: Units, tokens: Sequence[str], before: str = "") -> None:
        self._units, self._tokens = units, tokens
        self._bytes: dict[int, bytes] = {}
        self._utf8 = codecs.getincrementaldecoder("utf-8")("replace")
        self._between = units.between
        self._begins_line = not before or before.endswith("\n")

    def feed(self, number: int) -> str:
        """The text that one more id adds, as far as its characters are whole."""
        raw = self._bytes.get(number)
        if raw is None:
            token = self._tokens[number]
            raw = self._bytes[number] = b"\n" if token == END else self._units.bytes_of(token)
        if self._between:
            if not self._begins_line and raw != b"\n":
                raw = self._between + raw
            self._begins_line = raw == b"\n"
        return self._utf8.decode(raw)

    def end(self) -> str:
        """What is left where the text ends: a � for a character that is not whole."""
        return self._utf8.decode(b"", final=True)
