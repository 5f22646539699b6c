"""Metrics of translations: BLEU, chrF and TER as sacrebleu counts them, from tallies that add up."""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeVar

from recurra.extras import need
from recurra.metrics.metric import Metric, Tally

__all__ = ["TranslationScore", "bleu", "chrf", "moses_tokens", "ter", "tokenised_bleu", "tokenised_warning"]

R = TypeVar("R")
P = TypeVar("P")

BLEU_ORDER, CHRF_ORDER = 4, 6
"""The longest n-grams of words, and of characters, that are counted."""

MOSTLY = 0.5
"""Share of lines that look tokenised from which on a text does."""

_SPACED_MARK = re.compile(r"\s[.,;:!?]+(\s|$)")
_MARK = re.compile(r"[.,;:!?]+(\s|$)")


@dataclass(frozen=True)
class TranslationScore:
    r"""How near translations are to their references: sentences are counted, and the figure follows from the sums.

    The figure of a sum of tallies is that of sacrebleu's corpus_score on the sentences together, also where some are
    empty (Post, "A call for clarity in reporting BLEU scores", WMT 2018).

    Args:
        name: Its key among the metrics of a validation.
        label: What it is called on the screen.
        better: Whether a lower or a higher figure is better.
        counts: The names of what is counted.
        scorer: The metric of sacrebleu.
        detail: Whether it is told by an evaluation only, as what is slow to count.
        reading: What is made of a text before it is measured.
        note: What the signature says beside that of sacrebleu.

    Example:
        >>> from recurra.metrics import add
        >>> score = bleu()
        >>> pairs = [("A man is asleep.", "A man is sleeping."), ("Two dogs run.", "Two dogs run.")]
        >>> total = add(score.tally(reference, answer) for reference, answer in pairs)
        >>> round(score.value(total), 2)
        59.69
        >>> score.signature().partition("|version")[0]
        'nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp'
    """

    name: str
    label: str
    better: Literal["lower", "higher"]
    counts: tuple[str, ...]
    scorer: Any
    detail: bool = False
    reading: Callable[[str], str] = str
    note: str = ""

    def tally(self, reference: str, answer: str) -> Tally:
        """What is counted of a sentence.

        Args:
            reference: The translation that is right.
            answer: The translation to measure.
        """
        # sacrebleu has no public name for the counts of a sentence; the tests hold their sums against its own figures.
        statistics = self.scorer._extract_corpus_statistics([self.reading(answer)], [[self.reading(reference)]])[0]
        return {"sentences": 1, **dict(zip(self.counts, statistics, strict=True))}

    def value(self, tally: Tally) -> float:
        """The figure, from 0 to 100 (TER may be more); NaN where there is no sentence."""
        if not tally.get("sentences"):
            return math.nan
        return float(self.scorer._compute_score_from_stats([tally.get(name, 0) for name in self.counts]).score)

    def signature(self) -> str:
        """The settings and the version, as papers report them beside the figure."""
        self.scorer.num_refs = 1  # known to sacrebleu only after the first sentence
        return f"{self.scorer.get_signature()}{self.note}"

    def metric(self, expected: Callable[[R], str], answered: Callable[[P], str]) -> Metric[R, P]:
        """The metric of a use.

        Args:
            expected: The reference of an example.
            answered: The translation in an answer.
        """
        return Metric(
            self.name,
            self.label,
            lambda example, answer: self.tally(expected(example), answered(answer)),
            self.value,
            self.better,
            ".2f",
            detail=self.detail,
            signature=self.signature(),
        )


def bleu(
    *, lowercase: bool = False, tokenise: Literal["13a", "intl", "char", "none"] = "13a", name: str | None = None
) -> TranslationScore:
    """The geometric mean of the precisions of 1- to 4-grams, times a penalty for answers that are too short.

        BLEU = 100 min(1, exp(1 - reference length / answer length)) (p<1> p<2> p<3> p<4>)^(1/4)

    Papineni et al., "BLEU: a method for automatic evaluation of machine translation", ACL 2002.

    Args:
        lowercase: Whether case is left out of account.
        tokenise: How sacrebleu cuts sentences into words; "none" for sentences that are tokenised, as those of older
            papers: see `moses_tokens`.
        name: Its key among the metrics of a validation; None for one that says how it is measured.

    Raises:
        SettingError: sacrebleu is not installed.
    """
    scorer = _sacrebleu("BLEU").BLEU(lowercase=lowercase, tokenize=tokenise, force=True)
    usual = "_".join(["bleu", *(["lowercase"] * lowercase), *([] if tokenise == "13a" else [tokenise])])
    said = ", ".join([*(["lower-cased"] * lowercase), *([] if tokenise == "13a" else [f"tok:{tokenise}"])])
    orders = range(1, BLEU_ORDER + 1)
    counts = ["answer words", "reference words"] + [f"{what} {n}-grams" for what in ("right", "answer") for n in orders]
    return TranslationScore(name or usual, f"BLEU ({said})" if said else "BLEU", "higher", tuple(counts), scorer)


def tokenised_bleu(language: str) -> TranslationScore:
    """BLEU of lower-cased tokens as Moses cuts them, which papers report that came before sacrebleu.

    Its figure compares with none of detokenised text.

    Args:
        language: The language of the translations, such as "en".

    Raises:
        SettingError: sacrebleu is not installed.

    Example:
        >>> score = tokenised_bleu("en")
        >>> round(score.value(score.tally("The man's hat.", "the man's hat .")), 6)
        100.0
    """
    return replace(
        bleu(lowercase=True, tokenise="none", name="bleu_tokenised"),
        label="BLEU (tokenised, lower-cased)",
        detail=True,
        reading=functools.partial(moses_tokens, language=language),
        note=", of Moses' tokens: papers before sacrebleu report this one; the other figures are of detokenised text",
    )


def chrf(*, lowercase: bool = False, words: int = 0) -> TranslationScore:
    """The F-score of n-grams of 1 to 6 characters, in which recall counts twice as much as precision.

    Popović, "chrF: character n-gram F-score for automatic MT evaluation", WMT 2015; with words, "chrF++: words helping
    character n-grams", WMT 2017.

    Args:
        lowercase: Whether case is left out of account.
        words: The longest n-grams of words that are counted beside those of characters: 0 for chrF2, 2 for chrF2++.

    Raises:
        SettingError: sacrebleu is not installed.
    """
    scorer = _sacrebleu("chrF").CHRF(lowercase=lowercase, word_order=words)
    grams = [f"{n} characters" for n in range(1, CHRF_ORDER + 1)] + [f"{n} words" for n in range(1, words + 1)]
    counts = tuple(f"{what} {gram}" for gram in grams for what in ("answer", "reference", "right"))
    label = "chrF2" + "+" * words
    name = label.lower().replace("+", "p") + "_lowercase" * lowercase
    return TranslationScore(name, f"{label} (lower-cased)" if lowercase else label, "higher", counts, scorer)


def ter(*, cased: bool = False) -> TranslationScore:
    """The edits of words and moves of phrases that make an answer the reference, in percent of the reference's words.

    It takes about a millisecond for a sentence of 12 words, and seconds for one of 200.

    Snover et al., "A study of translation edit rate with targeted human annotation", AMTA 2006.

    Args:
        cased: Whether case counts; by default it does not.

    Raises:
        SettingError: sacrebleu is not installed.
    """
    scorer = _sacrebleu("TER").TER(case_sensitive=cased)
    name, label = ("ter_cased", "TER (cased)") if cased else ("ter", "TER")
    return TranslationScore(name, label, "lower", ("edits", "reference words"), scorer, detail=True)


def _sacrebleu(what: str) -> Any:  # noqa: ANN401  (an optional package)
    need("sacrebleu", what)
    return need("sacrebleu.metrics", what)


def tokenised_warning(texts: Iterable[str]) -> str | None:
    """What is to be said of references that seem to be tokenised already; None where they do not.

    Example:
        >>> print(tokenised_warning(["Two dogs run .", "A man , asleep ."]))
        the references seem to be tokenised already (2 of 2 lines have a space before a mark of punctuation), ...
        >>> tokenised_warning(["Two dogs run.", "A man, asleep."])
    """
    marked = spaced = 0
    for text in texts:
        if _MARK.search(text):
            marked += 1
            spaced += _SPACED_MARK.search(text) is not None
    if spaced <= MOSTLY * marked:
        return None
    return (
        f"the references seem to be tokenised already ({spaced:,} of {marked:,} lines have a space before a mark of "
        "punctuation), and BLEU tokenises what it is given: its figure then compares with none of detokenised text"
    )


_SEPARATED = re.compile(r"[^\w\s.'`,\-]|\.{2,}|(?<!\d),|,(?!\d)")
_FINAL_PERIOD = re.compile(r"(?<=[^\s.])\.(?=['\")\s]*$)")
_OUTER_APOSTROPHE = re.compile(r"(?<![^\W\d_])'|'(?![^\W\d_])")
_STRAIGHT = str.maketrans("‘’“”„«»", "''" + '"' * 5)
_CLITICS = {"en": " '", "fr": "' ", "it": "' "}
"""Where a word is cut at an apostrophe between letters; in other languages it is a token."""


def moses_tokens(text: str, language: str) -> str:
    """A sentence in lower case with spaces between its tokens, much as Moses' tokeniser has them.

    Older papers report BLEU of such sentences. Marks are separated, hyphens stay, quotation marks are straight, an
    English clitic is a token and so is a French one; a period is separated at the end only.

    Args:
        text: The sentence.
        language: Its language, such as "en".

    Example:
        >>> moses_tokens("A well-known man's hat, 1,000 of them.", "en")
        "a well-known man 's hat , 1,000 of them ."
    """
    text = _SEPARATED.sub(r" \g<0> ", " ".join(text.translate(_STRAIGHT).split()))
    text = _OUTER_APOSTROPHE.sub(" ' ", text)
    text = re.sub(r"(?<=\w)'(?=\w)", _CLITICS.get(language, " ' "), text)
    return " ".join(_FINAL_PERIOD.sub(" .", text).lower().split())
