"""Language models of n-grams: how probable a word is after those before, estimated from sentences or read as ARPA."""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Literal, get_args

from recurra.checks import whole_number
from recurra.errors import DataError, SettingError

__all__ = ["END", "START", "UNKNOWN", "NgramModel", "Smoothing"]

START, END, UNKNOWN = "<s>", "</s>", "<unk>"
"""What stands before a sentence, what ends it, and every word that is not in the vocabulary."""

Smoothing = Literal["kneser-ney", "witten-bell"]

Ngram = tuple[str, ...]

LN_10 = math.log(10)

NO_PROBABILITY = -99.0
"""What ARPA files write for the logarithm of 0."""


class NgramModel:
    """A language model of n-grams in the form of ARPA files.

        p(w | h) = that of the n-gram (h, w) where it is listed, else b(h) p(w | h without its first word)

    Args:
        table: By n-gram, the logarithms to base 10 of its probability and of its b; as ARPA files list them.

    Raises:
        SettingError: There is no n-gram.

    Example:
        >>> model = NgramModel.fit([["one", "two"], ["one", "three"]], order=2)
        >>> one = model.after(model.start(), "one")
        >>> math.exp(model.log_probability(one, "two")) > math.exp(model.log_probability(one, "one"))
        True
    """

    def __init__(self, table: Mapping[Ngram, tuple[float, float]]) -> None:
        if not table:
            raise SettingError("a model of n-grams has at least one n-gram; this one has none")
        self.table = dict(table)
        self.order = max(map(len, self.table))
        self.words = frozenset(ngram[0] for ngram in self.table if len(ngram) == 1) - {START}

    @classmethod
    def fit(
        cls,
        sentences: Iterable[Sequence[str]],
        order: int = 3,
        smoothing: Smoothing = "kneser-ney",
        vocabulary: Iterable[str] = (),
    ) -> NgramModel:
        """Estimates a model from sentences.

        Interpolated Kneser-Ney smoothing with three discounts (Chen and Goodman, "An empirical study of smoothing
        techniques for language modeling", 1998): from the count of an n-gram something is taken, and what is taken
        is shared out by the model of the order below, which counts in how many contexts a word stands and not how
        often. Or Witten-Bell smoothing, for texts so small or so regular that these counts of counts say nothing.

        Args:
            sentences: The sentences, as words.
            order: n, the words of the longest n-grams.
            smoothing: How what was never seen gets its share.
            vocabulary: Words that may come beside those of the sentences.

        Raises:
            SettingError: The order is no whole number from 1, or the smoothing unknown.
            DataError: There is no sentence, or a word is one of the marks.
        """
        order = whole_number("order", order, 1)
        if smoothing not in get_args(Smoothing):
            known = ", ".join(get_args(Smoothing))
            raise SettingError(f"the smoothing {smoothing!r} is unknown; it is one of {known}")
        counts = _counts(sentences, order)
        if not counts[1]:
            raise DataError("there is no sentence to estimate a model of n-grams from")
        words = {ngram[-1] for ngram in counts[1]} | set(vocabulary) | {END, UNKNOWN}
        for word in words - {END, UNKNOWN}:
            if word == START or not word or any(character.isspace() for character in word):
                raise DataError(f"{word!r} is no word for a model of n-grams: a mark, or with white space in it")
        return cls(_table(counts, order, smoothing, words - {START}))

    def start(self) -> Ngram:
        """The history at the beginning of a sentence."""
        return self._kept((START,))

    def after(self, history: Ngram, word: str) -> Ngram:
        """The history after one more word: as much of it as matters."""
        return self._kept((*history, word if word in self.words else UNKNOWN))

    def _kept(self, history: Ngram) -> Ngram:
        history = history[max(0, len(history) - self.order + 1) :]
        while history and history not in self.table:
            history = history[1:]
        return history

    def log_probability(self, history: Ngram, word: str) -> float:
        """The natural logarithm of the probability of a word after a history, END for the end of the sentence.

        Minus infinity where the model lists neither the word nor UNKNOWN.
        """
        word = word if word in self.words else UNKNOWN
        total = 0.0
        while True:
            entry = self.table.get((*history, word))
            if entry is not None:
                return -math.inf if entry[0] <= NO_PROBABILITY else (total + entry[0]) * LN_10
            if not history:
                return -math.inf
            total += self.table.get(history, (0.0, 0.0))[1]
            history = history[1:]

    def end(self, history: Ngram) -> float:
        """The natural logarithm of the probability that the sentence ends."""
        return self.log_probability(history, END)

    def advance(self, steps: Sequence[tuple[Ngram, str]]) -> list[Ngram]:
        """The histories after one more word each; see `after`."""
        return [self.after(history, word) for history, word in steps]

    def perplexity(self, sentences: Iterable[Sequence[str]]) -> float:
        """E to the mean negative log-probability of the words of sentences, their ends among them.

        Raises:
            DataError: There is no sentence.
        """
        total, number = 0.0, 0
        for sentence in sentences:
            history = self.start()
            for word in (*sentence, END):
                total += self.log_probability(history, word)
                history = self.after(history, word)
                number += 1
        if not number:
            raise DataError("the perplexity of no sentence is not defined")
        return math.exp(-total / number)

    def to_arpa(self) -> Iterator[str]:
        """The lines of the model as an ARPA file; read again, they are the same model to the bit."""
        yield "\\data\\"
        by_order: defaultdict[int, list[Ngram]] = defaultdict(list)
        for ngram in sorted(self.table):
            by_order[len(ngram)].append(ngram)
        for n in range(1, self.order + 1):
            yield f"ngram {n}={len(by_order[n])}"
        for n in range(1, self.order + 1):
            yield ""
            yield f"\\{n}-grams:"
            for ngram in by_order[n]:
                probability, backoff = self.table[ngram]
                yield f"{probability!r}\t{' '.join(ngram)}" + (f"\t{backoff!r}" if backoff else "")
        yield ""
        yield "\\end\\"

    @classmethod
    def from_arpa(cls, lines: Iterable[str], file: str) -> NgramModel:
        """Reads a model from the lines of an ARPA file.

        Args:
            lines: The lines.
            file: The name of the file, for messages.

        Raises:
            DataError: A line is none of an ARPA file, or the file ends early.
        """
        table: dict[Ngram, tuple[float, float]] = {}
        promised: dict[int, int] = {}
        order, ended, number = 0, False, 0
        for number, raw in enumerate(lines, 1):
            line = raw.strip()
            if not line or (not order and line == "\\data\\"):
                continue
            if line == "\\end\\":
                ended = True
                break
            if match := re.fullmatch(r"\\(\d+)-grams:", line):
                order = int(match[1])
            elif match := re.fullmatch(r"ngram\s+(\d+)\s*=\s*(\d+)", line):
                promised[int(match[1])] = int(match[2])
            elif order:
                ngram, entry = _entry(line, order, f"{file}, line {number}")
                table[ngram] = entry
            elif promised:
                raise DataError(f"{file}, line {number}: {line[:60]!r} stands where \\1-grams: is expected")
        counted = Counter(map(len, table))
        if not ended or not table or any(counted[n] != count for n, count in promised.items()):
            told = ", ".join(f"{counted[n]:,} of {count:,} {n}-grams" for n, count in sorted(promised.items()))
            raise DataError(
                f"{file}, line {number}: the file is no whole model in the ARPA format ({told or 'it has no n-grams'})"
                "; write or copy it again"
            )
        return cls(table)


def _entry(line: str, order: int, where: str) -> tuple[Ngram, tuple[float, float]]:
    """An n-gram of an ARPA file: log10 of its probability, its words, and log10 of its b where it has one."""
    fields = line.split()
    if len(fields) not in {order + 1, order + 2}:
        raise DataError(f"{where}: an entry has a number, {order} words and perhaps a number; this is {line[:60]!r}")
    try:
        probability = float(fields[0])
        backoff = float(fields[order + 1]) if len(fields) == order + 2 else 0.0
    except ValueError:
        raise DataError(f"{where}: {line[:60]!r} has no number where one is expected") from None
    if not (probability <= 0 and math.isfinite(backoff)):
        raise DataError(f"{where}: a logarithm of a probability is 0 or less; this is {fields[0]}")
    words = tuple(UNKNOWN if word == "<UNK>" else word for word in fields[1 : order + 1])
    return words, (probability, backoff)


def _counts(sentences: Iterable[Sequence[str]], order: int) -> list[Counter[Ngram]]:
    """How often each n-gram comes, by its length; the start of a sentence is in contexts alone."""
    counts: list[Counter[Ngram]] = [Counter() for _ in range(order + 1)]
    for sentence in sentences:
        words = (START, *sentence, END)
        for last in range(1, len(words)):
            for n in range(1, min(order, last + 1) + 1):
                counts[n][words[last - n + 1 : last + 1]] += 1
    return counts


def _table(
    counts: list[Counter[Ngram]], order: int, smoothing: Smoothing, words: set[str]
) -> dict[Ngram, tuple[float, float]]:
    """The probabilities and weights b of all n-grams, from the short ones to the long ones."""
    probabilities: dict[Ngram, float] = {}
    backoffs: dict[Ngram, float] = {}
    for n in range(1, order + 1):
        counted = counts[n]
        if smoothing == "kneser-ney" and n < order:
            counted = _continuations(counts, n)
        followers: defaultdict[Ngram, list[int]] = defaultdict(list)
        for ngram, count in counted.items():
            followers[ngram[:-1]].append(count)
        discounts = _discounts(counted)
        totals = {}
        for context, after in followers.items():
            if smoothing == "witten-bell":
                totals[context] = float(sum(after) + len(after))
                backoffs[context] = len(after) / totals[context]
            else:
                totals[context] = float(sum(after))
                backoffs[context] = sum(_discount(count, discounts) for count in after) / totals[context]
        for word in sorted(words) if n == 1 else ():
            probabilities[word,] = backoffs[()] / len(words)
        for ngram, count in counted.items():
            taken = 0.0 if smoothing == "witten-bell" else _discount(count, discounts)
            below = probabilities[ngram[1:]] if n > 1 else 1 / len(words)
            probabilities[ngram] = (count - taken) / totals[ngram[:-1]] + backoffs[ngram[:-1]] * below
    table = {
        ngram: (math.log10(value), math.log10(backoffs[ngram]) if backoffs.get(ngram) else 0.0)
        for ngram, value in probabilities.items()
    }
    if backoffs.get((START,)):
        table[START,] = (NO_PROBABILITY, math.log10(backoffs[START,]))
    return table


def _continuations(counts: list[Counter[Ngram]], n: int) -> Counter[Ngram]:
    """In how many contexts each n-gram stands; where it begins a sentence, before which is nothing, how often."""
    counted: Counter[Ngram] = Counter(ngram[1:] for ngram in counts[n + 1])
    for ngram, count in counts[n].items():
        if ngram[0] == START:
            counted[ngram] = count
    return counted


def _discounts(counted: Counter[Ngram]) -> tuple[float, float, float]:
    """What is taken from a count of 1, of 2, and of more; all the same where too few of them say."""
    n1, n2, n3, n4 = (sum(count == size for count in counted.values()) for size in (1, 2, 3, 4))
    one = n1 / (n1 + 2 * n2) if n1 and n2 else 0.5
    if not (n1 and n2 and n3 and n4):
        return one, one, one
    first, second, third = 1 - 2 * one * n2 / n1, 2 - 3 * one * n3 / n2, 3 - 4 * one * n4 / n3
    if not (0 < first < 1 and 0 < second < 2 and 0 < third < 3):
        return one, one, one
    return first, second, third


def _discount(count: int, discounts: tuple[float, float, float]) -> float:
    return discounts[min(count, 3) - 1]
