"""What the pairs trained on are like: how long translations are, which words are carried over, what repeats."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Annotated, NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, PlainSerializer

__all__ = [
    "RARE",
    "CopyRate",
    "LengthBand",
    "PairProfile",
    "Word",
    "forms_of",
    "is_carried",
    "ngrams_of",
    "numbers_in",
    "words_in",
]

RARE = 0.02
"""What fewer lines than this share of those trained or validated on are like is a risk."""

PROFILED = 20_000
"""The most pairs that a profile is made of: the first ones."""

BAND, MAX_BANDS = 200, 20
"""The fewest pairs of a band of lengths, and the most bands."""

LONGEST_NGRAM = 8
"""The longest n-grams that are looked at."""

EXPECTED = 0.75
"""The probability, by the rule of succession, from which on a word or number is expected to be carried over."""

STEM, ENDING = 4, 2
"""Two words are forms of one where they begin with as many letters alike, and as many at most differ at the end."""

_WORD = re.compile(r"[^\W\d_](?:[\w'’-]*\w)?")
_NUMBER = re.compile(r"\d+(?:[.,'’\u00a0\u202f ]\d{3}(?!\d)|[.,]\d+)*")
_Words = Annotated[frozenset[str], PlainSerializer(sorted, return_type=list[str])]
"""Words, which are written in order, so that the same pairs give the same file."""

_OPENING = frozenset('.!?:;"“”„»«(–—-')


class Word(NamedTuple):
    """A word of a text and where it stands.

    Args:
        text: The word.
        start: Its first character in the text, from 0.
        end: The character after its last.
        opens: Whether it opens a sentence, where a capital says nothing.
    """

    text: str
    start: int
    end: int
    opens: bool = False

    @property
    def shape(self) -> str:
        """How it is written: "lower", "capitalised", "upper" or "mixed"; what opens a sentence is no "capitalised"."""
        if self.text.lower() == self.text:
            return "lower"
        if self.text[:1].isupper() and self.text[1:] == self.text[1:].lower():
            return "lower" if self.opens else "capitalised"
        return "upper" if self.text == self.text.upper() else "mixed"


def words_in(text: str) -> list[Word]:
    """The words of a text, numbers and marks left out.

    Example:
        >>> [(word.text, word.shape) for word in words_in("Ein Hund, eBay. Der BMW")]
        [('Ein', 'lower'), ('Hund', 'capitalised'), ('eBay', 'mixed'), ('Der', 'lower'), ('BMW', 'upper')]
    """
    words, last = [], 0
    for match in _WORD.finditer(text):
        before = text[last : match.start()].strip()
        words.append(Word(match.group(), match.start(), match.end(), before[-1:] in _OPENING if before else not last))
        last = match.end()
    return words


def numbers_in(text: str) -> list[Word]:
    """The numbers of a text, in digits alone, whatever separates thousands and decimals.

    Example:
        >>> [number.text for number in numbers_in("1,000 or 1.000 or 1000, and 3,5")]
        ['1000', '1000', '1000', '35']
    """
    return [
        Word("".join(filter(str.isdigit, match.group())), match.start(), match.end())
        for match in _NUMBER.finditer(text)
    ]


def ngrams_of(words: Sequence[str], length: int) -> list[tuple[str, ...]]:
    """The n-grams of a list of words."""
    return [tuple(words[first : first + length]) for first in range(len(words) - length + 1)]


def forms_of(words: Iterable[str]) -> set[str]:
    """What the words of a text are known by, so that those of one stem meet; see `is_carried`."""
    return {form for word in words for form in _forms(word)}


def _forms(word: str) -> Iterator[str]:
    word = word.casefold()
    yield word
    for length in range(max(STEM, len(word) - ENDING), len(word)):
        yield f"{word[:length]}-"
    if len(word) >= STEM:
        yield f"{word}-"


def is_carried(word: str, forms: set[str]) -> bool:
    """Whether a text has a word, whatever its case, or another form of it.

    Example:
        >>> [is_carried(word, forms_of(["Anna's", "dog"])) for word in ("Annas", "anna", "Dogge")]
        [True, True, False]
    """
    return not forms.isdisjoint(_forms(word))


class CopyRate(BaseModel):
    """How often something was carried over.

    Args:
        seen: How often there was something to carry over.
        carried: How often it was.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    seen: int = Field(0, ge=0)
    carried: int = Field(0, ge=0)

    @property
    def expected(self) -> bool:
        """Whether the next one is expected to be: (carried + 1) / (seen + 2), the rule of succession, says so."""
        return self.seen > 0 and (self.carried + 1) / (self.seen + 2) >= EXPECTED


class LengthBand(BaseModel):
    """How much longer than texts of like length their translations are.

    Args:
        longest: The most characters of a text of the band.
        low: The ratio of characters that only 1% of translations are below.
        high: The one that only 1% are above.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    longest: int = Field(ge=0)
    low: float = Field(gt=0, allow_inf_nan=False)
    high: float = Field(gt=0, allow_inf_nan=False)


class PairProfile(BaseModel):
    """What is usual of the pairs trained on: by it, translations that are not are told. It takes some kilobytes.

    Args:
        bands: How long translations are, by the length of the text.
        shapes: How often words that came once were carried over, by how they are written: names are where nouns have
            no capitals.
        carried: Words that are not in small letters and are carried over although their shape mostly is not.
        translated: Those that are translated although their shape mostly is carried over.
        numbers: How often numbers of the text were carried over, by how many digits they have.
        numbers_written: How often those of the translation came from the text.
        repeated: The shortest n-grams that come twice in hardly any translation; None of none.
        copied: The shortest n-grams of the text that stand in hardly any translation as they are; None of none.
        characters: The characters of the texts.

    Example:
        >>> pairs = [("Der Hund von Anna.", "Anna's dog."), ("Die 12 Hunde von Rex.", "Rex's 12 dogs.")]
        >>> profile = PairProfile.of(pairs)
        >>> profile.shapes["capitalised"], profile.numbers[2].carried
        (CopyRate(seen=4, carried=1), 1)
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    bands: tuple[LengthBand, ...] = ()
    shapes: dict[str, CopyRate] = {}
    carried: _Words = frozenset()
    translated: _Words = frozenset()
    numbers: dict[int, CopyRate] = {}
    numbers_written: dict[int, CopyRate] = {}
    repeated: int | None = Field(None, ge=1)
    copied: int | None = Field(None, ge=1)
    characters: str = ""

    @classmethod
    def of(cls, pairs: Sequence[tuple[str, str]]) -> PairProfile:
        """That of texts with their translations; of many, of the first 20,000."""
        pairs = pairs[:PROFILED]
        shapes, carried, translated = _names(pairs)
        words = [tuple([word.text.casefold() for word in words_in(text)] for text in pair) for pair in pairs]
        return cls(
            bands=_bands(pairs),
            shapes=shapes,
            carried=carried,
            translated=translated,
            numbers=_numbers(pairs),
            numbers_written=_numbers([(target, source) for source, target in pairs]),
            repeated=_shortest_rare(len(pairs), lambda n: sum(_repeats(target, n) for _, target in words)),
            copied=_shortest_rare(len(pairs), lambda n: sum(_shares(source, target, n) for source, target in words)),
            characters="".join(sorted({character for source, _ in pairs for character in source})),
        )

    def expects(self, word: Word) -> bool:
        """Whether a word of a text is expected in its translation as it is, as names mostly are."""
        if word.shape == "lower" and word.text == word.text.lower():
            return False
        if word.text in self.carried or word.text in self.translated:
            return word.text in self.carried
        return self.shapes.get(word.shape, CopyRate()).expected

    def band_of(self, length: int) -> LengthBand | None:
        """The band of texts of so many characters; None of no pairs."""
        return next((band for band in self.bands if length <= band.longest), self.bands[-1] if self.bands else None)


def _names(pairs: Sequence[tuple[str, str]]) -> tuple[dict[str, CopyRate], frozenset[str], frozenset[str]]:
    """How often words that came once are carried over, by shape, and the words that are not as their shape is."""
    seen: Counter[str] = Counter()
    carried: Counter[str] = Counter()
    shape_of: dict[str, str] = {}
    for source, target in pairs:
        forms = forms_of(word.text for word in words_in(target))
        for word in {word.text: word for word in words_in(source)}.values():
            if word.text != word.text.lower():
                seen[word.text] += 1
                carried[word.text] += is_carried(word.text, forms)
                if word.shape != "lower":
                    shape_of[word.text] = word.shape
    once = [word for word in shape_of if seen[word] == 1]
    shapes = {
        shape: CopyRate(seen=len(words), carried=sum(carried[word] for word in words))
        for shape in sorted(set(shape_of.values()))
        for words in [[word for word in once if shape_of[word] == shape]]
    }
    exceptions: dict[bool, set[str]] = {True: set(), False: set()}
    for text, count in seen.items():
        expected = CopyRate(seen=count, carried=carried[text]).expected
        if count > 1 and expected != shapes.get(shape_of.get(text, "lower"), CopyRate()).expected:
            exceptions[expected].add(text)
    return shapes, frozenset(exceptions[True]), frozenset(exceptions[False])


def _numbers(pairs: Sequence[tuple[str, str]]) -> dict[int, CopyRate]:
    seen: Counter[int] = Counter()
    carried: Counter[int] = Counter()
    for source, target in pairs:
        written = {number.text for number in numbers_in(target)}
        for number in {number.text for number in numbers_in(source)}:
            seen[len(number)] += 1
            carried[len(number)] += number in written
    return {digits: CopyRate(seen=count, carried=carried[digits]) for digits, count in sorted(seen.items())}


def _bands(pairs: Sequence[tuple[str, str]]) -> tuple[LengthBand, ...]:
    lengths = np.array([(len(a.strip()), len(b.strip())) for a, b in pairs if a.strip() and b.strip()])
    if not len(lengths):
        return ()
    lengths = lengths[lengths[:, 0].argsort(kind="stable")]
    bands = []
    for part in np.array_split(lengths, min(MAX_BANDS, max(1, len(lengths) // BAND))):
        low, high = np.quantile(part[:, 1] / part[:, 0], [RARE / 2, 1 - RARE / 2])
        bands.append(LengthBand(longest=int(part[-1, 0]), low=float(low), high=float(high)))
    return tuple(bands)


def _shortest_rare(lines: int, count: Callable[[int], int]) -> int | None:
    """The shortest n-grams that fewer than so many lines have; None where even the longest are frequent."""
    return next((n for n in range(1, LONGEST_NGRAM + 1) if count(n) <= RARE * lines), None)


def _repeats(words: Sequence[str], length: int) -> bool:
    every = ngrams_of(words, length)
    return len(set(every)) < len(every)


def _shares(source: Sequence[str], target: Sequence[str], length: int) -> bool:
    return not set(ngrams_of(source, length)).isdisjoint(ngrams_of(target, length))
