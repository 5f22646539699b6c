"""Reading plain text: the file, its sentences, and the part kept for validation."""

from pathlib import Path

from recurra.checks import is_number
from recurra.errors import DataError, SettingError

_FOREIGN_STARTS = (
    (b"\xff\xfe\x00\x00", "UTF-32 text", "iconv -f UTF-32 -t UTF-8"),
    (b"\x00\x00\xfe\xff", "UTF-32 text", "iconv -f UTF-32 -t UTF-8"),
    (b"\xff\xfe", "UTF-16 text", "iconv -f UTF-16 -t UTF-8"),
    (b"\xfe\xff", "UTF-16 text", "iconv -f UTF-16 -t UTF-8"),
    (b"\x1f\x8b", "a gzip archive", "gzip -dc"),
    (b"BZh", "a bzip2 archive", "bzip2 -dc"),
    (b"\xfd7zXZ\x00", "an xz archive", "xz -dc"),
    (b"\x28\xb5\x2f\xfd", "a Zstandard archive", "zstd -dc"),
    (b"PK\x03\x04", "a zip archive", "unzip -p"),
)
"""How files start that people take for text, what they are, and the command that makes text of them."""


def foreign_kind(data: bytes) -> tuple[str, str] | None:
    """What bytes are that people take for text, and the command that makes text of them; None if they may be text."""
    return next(((kind, command) for start, kind, command in _FOREIGN_STARTS if data.startswith(start)), None)


def read_text(path: str | Path, *, binary: bool = False) -> str:
    r"""Reads a text file in UTF-8.

    A byte-order mark at the start is left out, and every line ends in a single line feed, whatever it ended in.

    Args:
        path: The file.
        binary: Whether it may be any file, of which a model of bytes is made: where it is no text in UTF-8, all its
            bytes are kept as they are, those that are no UTF-8 as Python's "surrogateescape" has them.

    Returns:
        The text.

    Raises:
        DataError: There is no such file, it is a folder, holds no text, or is no UTF-8; the message says at which byte
            and line.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder) / "two_lines.txt"
        ...     _ = path.write_bytes(b"one\r\ntwo\r\n")
        ...     read_text(path)
        'one\ntwo\n'
    """
    try:
        data = Path(path).read_bytes()
    except FileNotFoundError as error:
        raise DataError(f"{path}: there is no such file; give the path of a text file in UTF-8") from error
    except IsADirectoryError as error:
        raise DataError(f"{path}: this is a folder; give the path of a text file in it") from error
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path itself
        reason = getattr(error, "strerror", None) or error
        raise DataError(f"{path}: cannot be read ({reason}); give the path of a text file in UTF-8") from error
    try:
        text = _decode(path, data).removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    except DataError:
        if not binary:
            raise
        return data.decode("utf-8", errors="surrogateescape")
    if not text.strip():
        what = "is empty" if not data else f"holds nothing but white space ({len(data)} bytes)"
        raise DataError(f"{path}: the file {what}; give a file with text in it")
    return text


def _decode(path: str | Path, data: bytes) -> str:
    """The text of a file's bytes, or an error that says where they stop being text."""
    try:
        if (offset := data.find(b"\0")) < 0:
            return data.decode("utf-8")
        what, mend = "zero, as in a binary file", "give a file of text, or level byte, which reads any file"
    except UnicodeDecodeError as error:
        offset = error.start
        what = f"0x{data[offset]:02x}, which is no UTF-8 there"
        mend = "convert the file from what it is in, such as: iconv -f LATIN1 -t UTF-8 FILE > FILE.txt"
    if foreign := foreign_kind(data):
        kind, command = foreign
        raise DataError(f"{path}: this is {kind}, not text in UTF-8; convert it: {command} FILE > FILE.txt")
    line = data.count(b"\n", 0, offset) + 1
    raise DataError(f"{path}: byte {offset} (in line {line}) is {what}; {mend}")


def split_validation(text: str, fraction: float = 0.1) -> tuple[str, str]:
    r"""Cuts the last part of a text off for validation.

    The cut is at the line's end that is nearest, else at the space that is nearest, if that leaves between half and one
    and a half times the fraction asked for; else it is exactly there. The two parts together are the text.

    Args:
        text: The whole text.
        fraction: The share of its characters to keep for validation, between 0 and 1.

    Returns:
        The part to train on and the part to validate on, neither empty.

    Raises:
        SettingError: The fraction is not between 0 and 1.
        DataError: The text is too short to cut.

    Example:
        >>> split_validation("one\ntwo\nthree\nfour\n", 0.25)
        ('one\ntwo\nthree\n', 'four\n')
    """
    if not is_number(fraction) or not 0 < fraction < 1:
        raise SettingError(f"the fraction for validation is {fraction!r}; it must be between 0 and 1, such as 0.1")
    if len(text) < 2:
        raise DataError(f"a text of {len(text)} characters cannot be cut in two; give a longer one")
    cut = min(max(round(len(text) * (1 - fraction)), 1), len(text) - 1)
    reach = min(cut, len(text) - cut) // 2
    for mark in ("\n", " "):
        # A cut comes after its mark, so a mark at place i gives the cut i + 1, and a mark not found (-1) gives 0.
        before = text.rfind(mark, max(cut - reach - 1, 0), cut) + 1
        after = text.find(mark, cut, cut + reach) + 1
        places = [place for place in (before, after) if place]
        if places:
            nearest = min(places, key=lambda place: abs(place - cut))
            return text[:nearest], text[nearest:]
    return text[:cut], text[cut:]


def sentences(text: str) -> list[str]:
    r"""Takes a text as one sentence a line; lines of nothing but white space are no sentences.

    Example:
        >>> sentences("Cats average 15 hours of sleep a day.\n\nDogs bark.\n")
        ['Cats average 15 hours of sleep a day.', 'Dogs bark.']
    """
    return [line for line in text.split("\n") if line.strip()]


def strip_lines(text: str) -> str:
    r"""Takes the white space off both ends of every line, and keeps the line ends.

    Some corpora put a space around every line, which a model of characters would be paid for predicting.

    Example:
        >>> strip_lines(" no it was n't black monday \n but while\n")
        "no it was n't black monday\nbut while\n"
    """
    return "\n".join(line.strip() for line in text.split("\n"))
