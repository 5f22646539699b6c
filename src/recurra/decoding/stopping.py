"""Strings that end a text: written up to where the first of them would stand whole."""

from collections.abc import Sequence

from recurra.errors import SettingError

__all__ = ["StopStrings"]


class StopStrings:
    """Lets a text through up to the first of some strings, piece by piece.

    The text ends at the first character with which one of them stands there whole; of two that end together the longer
    counts. How the text is cut into pieces makes no difference: what may be the beginning of one is held back until
    that is known.

    Args:
        stop: The strings, or one; none lets everything through.

    Attributes:
        stopped: Whether one of them came; nothing is let through after it.

    Raises:
        SettingError: One is empty or no text.

    Example:
        >>> strings = StopStrings(["END"])
        >>> [strings.feed(piece) for piece in ("one E", "NE", "ND two")], strings.stopped
        (['one ', 'EN', ''], True)
    """

    def __init__(self, stop: str | Sequence[str] = ()) -> None:
        strings = [stop] if isinstance(stop, str) else list(stop)
        for string in strings:
            if not isinstance(string, str) or not string:
                raise SettingError(f"the stop string {string!r} is {'empty' if string == '' else 'no text'}")
        self._stop = strings
        self._held = ""
        self.stopped = False

    def feed(self, piece: str) -> str:
        """What of the text so far may be shown now.

        Args:
            piece: What follows in the text.
        """
        if not self._stop:
            return piece
        if self.stopped:
            return ""
        text = self._held + piece
        ends = [(begin + len(string), begin) for string in self._stop if (begin := text.find(string)) >= 0]
        if ends:
            self._held, self.stopped = "", True
            return text[: min(ends)[1]]
        held = max(_overlap(text, string) for string in self._stop)
        shown, self._held = text[: len(text) - held], text[len(text) - held :]
        return shown

    def end(self) -> str:
        """What was held back, where the text ends by itself."""
        held, self._held = self._held, ""
        return held


def _overlap(text: str, string: str) -> int:
    """How many characters at the end of a text are a beginning of a string."""
    most = min(len(text), len(string) - 1)
    return next((size for size in range(most, 0, -1) if text.endswith(string[:size])), 0)
