"""Names of languages, by which the heading of a table of translations is told."""

from __future__ import annotations

import re
from collections.abc import Sequence

__all__ = ["names_two_languages"]

CODES = """
    af am ar az be bg bn bs ca cs cy da de el en eo es et eu fa fi fr ga gl gu he hi hr hu hy id is it
    ja ka kk km kn ko ku ky la lb lo lt lv mg mk ml mn mr ms mt my nb ne nl nn no pa pl ps pt ro ru si
    sk sl so sq sr sv sw ta te tg th tk tl tr uk ur uz vi xh yi zh zu
"""
"""Codes of ISO 639-1."""

NAMES = """
    arabic bengali bulgarian catalan chinese croatian czech danish dutch english estonian finnish
    french german greek hebrew hindi hungarian icelandic indonesian irish italian japanese korean latin
    latvian lithuanian norwegian persian polish portuguese romanian russian serbian slovak slovenian
    spanish swahili swedish thai turkish ukrainian urdu vietnamese welsh
"""
"""English names of languages."""

REGION = re.compile(r"[-_][A-Za-z]{2,4}$")
"""What may follow a code: a country or a script, as in en-GB and zh_Hant."""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


def names_two_languages(cells: Sequence[str]) -> bool:
    """Whether a row has two cells, each of which is the code or the English name of another language.

    Example:
        >>> names_two_languages(["de", "en-GB"]), names_two_languages(["German", "English"])
        (True, True)
        >>> names_two_languages(["Ja", "Yes"]), names_two_languages(["de", "de"])
        (False, False)
    """
    names = [REGION.sub("", cell.strip()).lower() for cell in cells]
    known = all(name in _words(CODES) for name in names) or all(name in _words(NAMES) for name in names)
    return len(names) == 2 and known and len({cell.strip().lower() for cell in cells}) == 2
