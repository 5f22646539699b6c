"""Everything Recurra raises on purpose.

    RecurraError
    ├── EquationError   the text of a cell is wrong            (also a ValueError)
    ├── ShapeError      a tensor or a size does not fit        (also a ValueError)
    ├── SettingError    an unknown or impossible setting       (also a ValueError)
    ├── DataError       a file of data cannot be used          (also a ValueError)
    ├── RunError        a run folder is damaged or foreign     (also a ValueError)
    ├── BackendError    the backend asked for cannot run       (also a RuntimeError)
    └── TrainingError   training cannot go on                  (also a RuntimeError)

Each message says what came, where, what was expected and how to mend it. On the command line any of them is
one message on standard error and exit code 2; a traceback means a fault of ours.
"""

import operator
import unicodedata
from numbers import Real

LARGEST_SEED = 2**32 - 1
"""Seeds of everything random go from 0 to this."""

LONGEST_QUOTE = 1000
"""How many characters of a line are quoted; of a longer one, those around what is meant."""


class RecurraError(Exception):
    """The root of the tree: catch this to catch everything Recurra raises on purpose."""


class EquationError(RecurraError, ValueError):
    """The text of a cell is wrong; the message quotes the line, marks the character and says the mend.

    Args:
        problem: What is wrong, in one sentence.
        mend: What would be right.
        line: The line's number in the text, from 1; 0 if the text as a whole is meant.
        column: The character in the line, from 0.
        source: The line itself.
        length: How many characters to mark.
    """

    def __init__(
        self, problem: str, mend: str = "", *, line: int = 0, column: int = 0, source: str = "", length: int = 1
    ) -> None:
        self.problem, self.mend, self.line, self.column, self.source, self.length = (
            problem,
            mend,
            line,
            column,
            source,
            length,
        )
        parts = [f"line {line}: {problem}" if line else problem]
        if source:
            shown, at = _excerpt(source, column)
            lead = "".join(_blank(c) for c in shown[:at])
            parts += [f"    {shown}", f"    {lead}{'^' * max(1, min(length, len(shown) - at))}"]
        if mend:
            parts.append(mend)
        super().__init__("\n".join(parts))

    def within(self, file: str) -> "EquationError":
        """The same error, with the file it stands in named first."""
        place = f"{file}, line {self.line}" if self.line else file
        error = EquationError(
            f"{place}: {self.problem}", self.mend, column=self.column, source=self.source, length=self.length
        )
        error.line = self.line
        return error


def as_whole_number(value: object) -> int | None:
    """A whole number of any type, such as NumPy's or a tensor's, as an int; None for a float, a boolean or a text.

    Example:
        >>> as_whole_number(3), as_whole_number(3.0), as_whole_number(True), as_whole_number("3")
        (3, None, None, None)
    """
    if isinstance(value, bool) or "bool" in str(getattr(value, "dtype", "")):
        return None
    try:
        return operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        return None


def is_number(value: object) -> bool:
    """Whether this is a real number of any type, such as NumPy's; a boolean or a text is none.

    Example:
        >>> is_number(1), is_number(0.5), is_number(True), is_number("1")
        (True, True, False, False)
    """
    return isinstance(value, Real) and not isinstance(value, bool)


def whole_number(name: str, value: object, least: int, most: int | None = None) -> int:
    """A setting that is a whole number within its range, as an int.

    Args:
        name: What the setting is called.
        value: What came for it.
        least: The smallest that it may be.
        most: The largest, or None.

    Raises:
        SettingError: It is no whole number, or is out of range.

    Example:
        >>> whole_number("batch_size", 2.5, 1)
        Traceback (most recent call last):
        recurra.errors.SettingError: batch_size is 2.5; it is a whole number from 1
    """
    number = as_whole_number(value)
    if number is None or number < least or (most is not None and number > most):
        shown = number if number is not None else repr(value)
        raise SettingError(
            f"{name} is {shown}; it is a whole number from {least}{'' if most is None else f' to {most}'}"
        )
    return number


def _excerpt(source: str, column: int) -> tuple[str, int]:
    """A line as it can be shown, and where the column is in it: not endless, and nothing that steers a terminal."""
    start = max(0, column - LONGEST_QUOTE // 2) if len(source) > LONGEST_QUOTE else 0
    part = source[start : start + LONGEST_QUOTE]
    shown = "".join("\ufffd" if unicodedata.category(c) in {"Cc", "Cs"} and c != "\t" else c for c in part)
    before, after = "… " if start else "", " …" if start + LONGEST_QUOTE < len(source) else ""
    return f"{before}{shown}{after}", column - start + len(before)


def _blank(character: str) -> str:
    """White space as wide as a character is on a terminal, so that a caret stands under the one that is meant."""
    if character == "\t":
        return character
    if unicodedata.combining(character) or unicodedata.category(character) in {"Mn", "Me", "Cf"}:
        return ""
    return "\u3000" if unicodedata.east_asian_width(character) in {"W", "F"} else " "


class ShapeError(RecurraError, ValueError):
    """A tensor or a size does not fit where it was given."""


class SettingError(RecurraError, ValueError):
    """A setting is unknown, or its value is not one of those possible."""


class DataError(RecurraError, ValueError):
    """A file of data is missing, empty, of the wrong kind, or too short for what was asked."""


class RunError(RecurraError, ValueError):
    """A run folder is missing, damaged, or was written by another version."""


class BackendError(RecurraError, RuntimeError):
    """The backend asked for cannot run this cell here."""


class TrainingError(RecurraError, RuntimeError):
    """Training cannot go on: a loss or a gradient is not finite, or depends on no parameter."""
