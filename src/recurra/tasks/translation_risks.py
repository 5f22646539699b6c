"""What makes a translation doubtful: by its attention, and by what the pairs trained and validated on are like."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from recurra.tasks.translation import Risk, Span, Translation
from recurra.tasks.translation_profile import (
    RARE,
    CopyRate,
    PairProfile,
    Word,
    forms_of,
    is_carried,
    ngrams_of,
    numbers_in,
    words_in,
)
from recurra.tasks.usual_answers import UsualAnswers, least_covered, mean_log_probability

__all__ = ["with_risks"]

MAX_NAMED = 40
"""The most characters of a text that a reason repeats."""


@dataclass(frozen=True)
class _Checked:
    """A translation that is checked, and what it is compared with."""

    answer: Translation
    profile: PairProfile
    usual: UsualAnswers | None

    @property
    def source(self) -> str:
        return self.answer.source_text

    @property
    def text(self) -> str:
        return self.answer.text


def with_risks(answer: Translation, profile: PairProfile | None, usual: UsualAnswers | None) -> Translation:
    """A translation with what makes it doubtful.

    Args:
        answer: The translation.
        profile: What the pairs trained on are like; None where that is not known.
        usual: What translations of the part validated on are like; None where that is not known.

    Example:
        >>> profile = PairProfile.of([("Der Hund schläft.", "The dog is asleep."), ("Er ist 12.", "He is 12.")] * 50)
        >>> answer = Translation.of_text("He is 13.", "Er ist 12.")
        >>> [risk.reason for risk in with_risks(answer, profile, None).risks]
        ['12 is not carried over', '13 is not in the sentence']
    """
    if not answer.source_text.strip():
        return answer
    checked = _Checked(answer, profile or PairProfile(), usual)
    return replace(answer, risks=tuple(risk for detect in _DETECTORS for risk in detect(checked)))


def _unread(checked: _Checked) -> Iterator[Risk]:
    if checked.answer.cut:
        yield Risk("unread", f"the last {checked.answer.cut:,} pieces of the sentence were not read")


def _unfinished(checked: _Checked) -> Iterator[Risk]:
    if not checked.text.strip():
        yield Risk("empty", "it has no words")
    if not checked.answer.best.finished:
        yield Risk("unfinished", "it was cut off at the longest that is allowed", translation=(_end_of(checked.text),))


def _end_of(text: str) -> Span:
    words = text.split()
    return len(text) - len(words[-1]) if words else 0, len(text)


def _unknown(checked: _Checked) -> Iterator[Risk]:
    """Characters, and words of a vocabulary of words, that no text trained on has."""
    known = set(checked.profile.characters)
    strange = [index for index, character in enumerate(checked.source) if known and character not in known]
    if strange:
        said = " ".join(dict.fromkeys(checked.source[index] for index in strange))
        what = "character" if len(said) == 1 else "characters"
        reason = f"no sentence trained on has the {what} {_named(said)}"
        yield Risk("unknown", reason, tuple((index, index + 1) for index in strange))
    elif checked.answer.vocabularies is not None:
        count = checked.answer.source.count(_unknown_id(checked.answer.vocabularies[0].unknown))
        if count:
            yield Risk("unknown", f"{count:,} of its words {'is' if count == 1 else 'are'} not known")


def _unknown_id(number: int | None) -> int:
    return -1 if number is None else number


def _untranslated(checked: _Checked) -> Iterator[Risk]:
    """Words of the sentence that stand in the translation as they are, more than in pairs trained on."""
    length = checked.profile.copied
    source, target = words_in(checked.source), words_in(checked.text)
    if length is None or not source:
        return
    if _folded(source) == _folded(target):
        if not all(checked.profile.expects(word) for word in source):
            yield Risk(
                "untranslated", "it is the sentence itself", ((0, len(checked.source)),), ((0, len(checked.text)),)
            )
        return
    copied = set(ngrams_of(_folded(source), length)) & set(ngrams_of(_folded(target), length))
    for begin, end in _runs(target, copied, length):
        words = target[begin:end]
        known = {word.text.casefold() for word in source if checked.profile.expects(word)}
        if all(word.text.casefold() in known for word in words):
            continue
        span = words[0].start, words[-1].end
        yield Risk("untranslated", f"{_named(checked.text[slice(*span)])} is as in the sentence", translation=(span,))


def _folded(words: Sequence[Word]) -> list[str]:
    return [word.text.casefold() for word in words]


def _runs(words: Sequence[Word], ngrams: set[tuple[str, ...]], length: int) -> Iterator[tuple[int, int]]:
    """The longest stretches of words that n-grams cover."""
    covered = [False] * len(words)
    for first, ngram in enumerate(ngrams_of(_folded(words), length)):
        if ngram in ngrams:
            covered[first : first + length] = [True] * length
    begin = None
    for index, inside in enumerate([*covered, False]):
        if inside and begin is None:
            begin = index
        elif not inside and begin is not None:
            yield begin, index
            begin = None


def _repeated(checked: _Checked) -> Iterator[Risk]:
    """N-grams that come twice, of a length of which hardly any translation trained on has such."""
    length = checked.profile.repeated
    words = words_in(checked.text)
    if length is None:
        return
    in_source = _folded(words_in(checked.source))
    counts = Counter(ngrams_of(_folded(words), length))
    twice = {ngram for ngram, count in counts.items() if count > 1}
    if not twice or len(set(ngrams_of(in_source, length))) < len(ngrams_of(in_source, length)):
        return
    spans = tuple((words[a].start, words[b - 1].end) for a, b in _runs(words, twice, length))
    often = max(counts.values())
    said = _named(" ".join(next(ngram for ngram in counts if counts[ngram] == often)))
    yield Risk("repetition", f"{said} comes {'twice' if often == 2 else f'{often:,} times'}", translation=spans)


def _numbers(checked: _Checked) -> Iterator[Risk]:
    read, written = numbers_in(checked.source), numbers_in(checked.text)
    profile = checked.profile
    for spans in _lacking(read, written, profile.numbers):
        yield Risk("number", f"{checked.source[slice(*spans[0])]} is not carried over", spans)
    for spans in _lacking(written, read, profile.numbers_written):
        yield Risk("number", f"{checked.text[slice(*spans[0])]} is not in the sentence", translation=spans)


def _lacking(
    words: Sequence[Word], others: Sequence[Word], rates: Mapping[int, CopyRate]
) -> Iterator[tuple[Span, ...]]:
    """Where each number stands that the others lack, if by the pairs trained on it should be among them."""
    known = {word.text for word in others}
    for text in dict.fromkeys(word.text for word in words if word.text not in known):
        if (rate := rates.get(len(text))) is None or rate.expected:
            yield tuple((word.start, word.end) for word in words if word.text == text)


def _names(checked: _Checked) -> Iterator[Risk]:
    forms = forms_of(word.text for word in words_in(checked.text))
    for word in words_in(checked.source):
        if checked.profile.expects(word) and not is_carried(word.text, forms):
            yield Risk("name", f"{_named(word.text)} is not carried over", ((word.start, word.end),))


def _length(checked: _Checked) -> Iterator[Risk]:
    source, text = len(checked.source.strip()), len(checked.text.strip())
    band = checked.profile.band_of(source)
    if band is None or not text:
        return
    ratio = text / source
    if not band.low <= ratio <= band.high:
        yield Risk(
            "length",
            f"it is {ratio:.2f} times as long as the sentence; pairs trained on of that length have {band.low:.2f} to "
            f"{band.high:.2f}",
        )


def _covered(checked: _Checked) -> Iterator[Risk]:
    if checked.usual is None or checked.usual.coverage is None or (least := least_covered(checked.answer)) is None:
        return
    attention, span = least
    if attention < checked.usual.coverage:
        yield Risk(
            "coverage",
            f"little attention went to {_named(checked.source[slice(*span)])} ({attention:.2f}; {1 - RARE:.0%} of the "
            f"lines validated on have at least {checked.usual.coverage:.2f} everywhere)",
            (span,),
        )


def _unsure(checked: _Checked) -> Iterator[Risk]:
    if checked.usual is None or not checked.answer.best.log_probabilities:
        return
    mean = mean_log_probability(checked.answer)
    if mean < checked.usual.log_probability:
        yield Risk(
            "unsure",
            f"its mean log-probability a piece is {mean:.2f}; {1 - RARE:.0%} of lines validated on have at least "
            f"{checked.usual.log_probability:.2f}",
        )


def _named(text: str) -> str:
    """A text as a reason repeats it."""
    return f"“{text if len(text) <= MAX_NAMED else text[: MAX_NAMED - 1] + '…'}”"


_DETECTORS: tuple[Callable[[_Checked], Iterator[Risk]], ...] = (
    _unread,
    _unfinished,
    _unknown,
    _untranslated,
    _repeated,
    _numbers,
    _names,
    _length,
    _covered,
    _unsure,
)
