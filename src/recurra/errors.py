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

import unicodedata

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
        if mend and source:
            parts.append(mend)
        elif mend:  # of the text as a whole nothing is quoted, and one line says it
            sentence = mend[0].lower() + mend[1:] if mend[1:2].islower() else mend
            parts[-1] += f"; {sentence.removesuffix('.')}"
        super().__init__("\n".join(parts))

    def within(self, file: str) -> "EquationError":
        """The same error, with the file it stands in named first."""
        place = f"{file}, line {self.line}" if self.line else file
        error = EquationError(
            f"{place}: {self.problem}", self.mend, column=self.column, source=self.source, length=self.length
        )
        error.line = self.line
        return error


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
