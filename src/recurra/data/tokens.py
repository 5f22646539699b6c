"""Tokens: where the words of a raw text begin and end."""

from __future__ import annotations

import bisect
import functools
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from recurra.data.tags import Span

__all__ = ["Token", "spans_of_characters", "tokenise"]

UNSPACED = "\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
"""Kana and Han, which are written without spaces: each character is a token, as in the corpora of these languages."""

JOINERS = "\u00ad\u200c\u200d\u2060"
"""Characters without a width that stand within words."""

CANDIDATES = (*range(0x300, 0x20000), *range(0xE0100, 0xE01F0))
"""The planes that have characters which alter the one before: accents, vowel signs, variants."""

SKINS = "\U0001f3fb-\U0001f3ff"
"""Colours of skin, which alter an emoji."""

TITLES = "Mr|Mrs|Ms|Dr|St|Jr|Sr|Prof|Gen|Sen|Rep|Gov|Lt|Col|Sgt|Capt|Inc|Corp|Co|Ltd|vs"
"""Words that keep their full stop, as they do in the corpora of English."""

PATTERN = r"""
      [A-Za-z]++ (?= [ ,] )                                             # most words, which need no closer look
    | (?i: https?:// | www\.) [^\s<>"]* [\w/]                           # addresses
    | (?<! [\w.+-]) \w [\w.+-]*+ @ \w++ (?: [.-]++ \w++ )*+
    | (?: [^\W\d_] \. ){2,}+ (?: [^\W\d_] (?! \w) )? (?: - WORD )*+     # abbreviations: U.S., U.S.-based
    | (?: TITLES ) \. (?! \w)
    | (?! I) [A-Z] \. (?= \s [A-Z] )                                    # initials: J. Smith
    | \d++ (?: [.,:/-] \d++ )*+ (?: WORD )?+ (?: [-&'’] WORD )*+        # numbers, dates: 3.5, 2-1, 3rd, 24-year-old
    | ['’] (?: s | S | re | RE | ve | VE | ll | LL | d | D | m | M ) (?! \w)
    | WORD (?: [-&'’] WORD )*+                                          # words: Franco-German, AT&T, O'Brien
    | \.{2,}+ | -{2,}+
    | [\U0001f1e6-\U0001f1ff]{2}                                        # flags
    | \S [MARKS]*+ (?: \u200d [^\s\w] [MARKS]*+ )*+                     # signs, with what alters and joins them
    """
"""The pattern of a token, in which WORD, MARKS and TITLES stand for patterns of their own.

It takes time in proportion to the text, whatever the text: what an alternative reads before it fails is not read again
from each of its characters, and nothing repeated can be divided in two ways.
"""

CLITICS = ("n't", "n’t", "'re", "’re", "'ve", "’ve", "'ll", "’ll", "'s", "’s", "'d", "’d", "'m", "’m")
"""What English joins to a word, and its corpora keep as words."""


class Token(NamedTuple):
    """A word and where it stands.

    Args:
        text: The word.
        start: Its first character in the text, from 0.
        end: The character after its last.
    """

    text: str
    start: int
    end: int


def tokenise(text: str) -> list[Token]:
    """Cuts a text into words and punctuation, as the corpora of tagged text do.

    Nothing is changed: each token is a piece of the text, and what stands between tokens is white space alone.

    Example:
        >>> [token.text for token in tokenise("U.S. officials didn't meet O'Brien's Franco-German team on 1996-08-22.")]
        ['U.S.', 'officials', 'did', "n't", 'meet', "O'Brien", "'s", 'Franco-German', 'team', 'on', '1996-08-22', '.']
    """
    tokens: list[Token] = []
    for match in _pattern().finditer(text):
        piece = match.group()
        if "'" in piece or "’" in piece:
            tokens.extend(_without_clitics(piece, match.start()))
        else:
            tokens.append(Token(piece, *match.span()))
    return tokens


def _without_clitics(word: str, start: int) -> Iterator[Token]:
    """A word, and what English has joined to its end, as tokens."""
    cuts = [len(word)]
    while clitic := next((c for c in CLITICS if word.endswith((c, c.upper()), 0, cuts[-1])), None):
        if cuts[-1] == len(clitic):
            break
        cuts.append(cuts[-1] - len(clitic))
    cuts.append(0)
    for first, last in zip(cuts[:0:-1], cuts[-2::-1], strict=True):
        yield Token(word[first:last], start + first, start + last)


@functools.cache
def _pattern() -> re.Pattern[str]:
    """The pattern of a token; made when first asked for, since all characters are asked whether they are marks."""
    marks = "".join(c for c in map(chr, CANDIDATES) if unicodedata.category(c).startswith("M"))
    word = f"(?:[^\\W{UNSPACED}]++[{marks}{JOINERS}]*+)++"
    pattern = PATTERN.replace("WORD", word).replace("MARKS", marks + SKINS).replace("TITLES", TITLES)
    return re.compile(pattern, re.VERBOSE)


def spans_of_characters(tokens: Sequence[tuple[int, int]], spans: Iterable[Span]) -> tuple[list[Span], list[Span]]:
    """Spans of characters as spans of tokens, and those that fit no token boundary.

    A span may begin or end with white space, which belongs to no token.

    Args:
        tokens: Where each token begins and ends, in characters, in order.
        spans: First character, end (not included) and type of each.

    Returns:
        The spans of tokens, and the spans of characters that begin or end within a token or hold none.

    Example:
        >>> spans_of_characters([(0, 3), (4, 9), (9, 10)], [(4, 9, "LOC"), (4, 7, "LOC")])
        ([(1, 2, 'LOC')], [(4, 7, 'LOC')])
    """
    starts, ends = [start for start, _ in tokens], [end for _, end in tokens]
    fitting, others = [], []
    for start, end, type_ in spans:
        first = bisect.bisect_left(starts, start)
        last = bisect.bisect_right(ends, end)
        cuts_first = first > 0 and ends[first - 1] > start
        cuts_last = last < len(tokens) and starts[last] < end
        if first < last and not cuts_first and not cuts_last:
            fitting.append((first, last, type_))
        else:
            others.append((start, end, type_))
    return fitting, others
