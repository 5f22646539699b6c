"""The data doctor of pairs: whether lines and their translations belong together, and where they stop to."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from recurra.data.dataset import Dataset
from recurra.data.lexicon import Lexicon, WordPair
from recurra.data.sentence_pair import SentencePair
from recurra.data.shifted_lines import MAX_SHIFT, Stretch, shift_costs, stretches
from recurra.data.tokens import tokenise

__all__ = ["pair_warnings", "words_of"]

Floats = npt.NDArray[np.float64]

FEWEST, SAMPLED = 100, 4000
"""Pairs to train on from which on a lexicon tells something, and how many of a part are looked at."""

WINDOW, FITTING = 20, 0.3
"""Of so many lines one after another, translations fit by less than this share of what they usually fit better by than
those of other lines, where lines stop to belong together."""

BY_CHANCE = 0.6
"""The share of lines that fit their translation better than another line's up to which they do not belong together."""

MARGIN = 1.0
"""How much better a pair fits the other way round before its languages are exchanged, in nats per word."""

COPIES = 0.01
"""The share of translations that are the text itself from which on a model learns to copy."""

SPREAD, MAX_LISTED = 7.0, 3
"""How many standard deviations a ratio of lengths is from the median where it is listed, and how many are listed."""


def words_of(text: str) -> list[str]:
    """The words of a sentence as a lexicon has them, whatever their case.

    Example:
        >>> words_of("Two dogs, asleep.")
        ['two', 'dogs', ',', 'asleep', '.']
    """
    return [token.text.casefold() for token in tokenise(text)]


class PairPart:
    """A part of a dataset, whose words are found when they are asked for.

    Args:
        name: What it is called.
        pairs: Its pairs.
    """

    def __init__(self, name: str, pairs: Dataset[SentencePair]) -> None:
        self.name, self.pairs = name, pairs
        self._words: dict[int, tuple[list[str], list[str]]] = {}

    def __len__(self) -> int:
        return len(self.pairs)

    @functools.cached_property
    def sample(self) -> list[int]:
        """The indices of some pairs, evenly spaced."""
        spaced = np.linspace(0, len(self) - 1, min(len(self), SAMPLED)).astype(int)
        return [int(index) for index in np.unique(spaced)]

    def words(self, index: int) -> tuple[list[str], list[str]]:
        """The words of a pair."""
        if index not in self._words:
            pair = self.pairs[index]
            self._words[index] = words_of(pair.source_text), words_of(pair.target_text or "")
        return self._words[index]

    def shifted(self, indices: Iterable[int], shift: int) -> list[WordPair]:
        """Each line with the translation so many lines further down."""
        return [
            (self.words(index)[0], self.words(index + shift)[1]) for index in indices if 0 <= index + shift < len(self)
        ]


@dataclass(frozen=True, eq=False)
class Fit:
    """How well the sampled pairs of a part fit, in nats per word of the translation.

    Args:
        indices: Which pairs these are, (P,).
        straight: The loss of each, (P,).
        other: That of its text with the translation of another line, (P,).
        exchanged: That of the pair the other way round, (P,).
    """

    indices: Sequence[int]
    straight: Floats
    other: Floats
    exchanged: Floats

    @classmethod
    def of(cls, lexicon: Lexicon, part: PairPart, indices: Sequence[int], shift: int = 0) -> Fit:
        pairs = part.shifted(indices, shift)
        half = len(pairs) // 2
        others = [(pair[0], pairs[(number + half) % len(pairs)][1]) for number, pair in enumerate(pairs)]
        exchanged = [(target, source) for source, target in pairs]
        return cls(indices, *map(lexicon.losses_of, (pairs, others, exchanged)))

    @property
    def better(self) -> Floats:
        """Whether each fits its translation better than another line's; a tie is half, (P,)."""
        better: Floats = (self.straight < self.other) + 0.5 * (self.straight == self.other)
        return better

    @property
    def share(self) -> float:
        """The share of pairs that fit their translation better than another line's."""
        return float(self.better.mean())


def pair_warnings(parts: Mapping[str, Dataset[SentencePair]]) -> list[str]:
    """What is wrong with pairs of sentences, a sentence each, with where it is.

    A lexicon (Brown et al. 1993, model 1) of some of the pairs to train on tells how well each pair fits, beside the
    same text with the translation of another line, with those a few lines further, and the other way round.

    Args:
        parts: The parts by name; the one to train on comes first.
    """
    every = [PairPart(name, pairs) for name, pairs in parts.items()]
    misfits = _misfits_by_part(every)
    warnings = []
    for part in every:
        # Lines that do not belong together are of unlikely lengths, too, which says nothing more of them.
        warnings += [*_copies(part), *(misfits.get(part.name) or _lengths(part))]
    return warnings


def _misfits_by_part(every: Sequence[PairPart]) -> dict[str, list[str]]:
    """What a lexicon tells of each part, up to the first that others cannot be compared with."""
    train = every[0]
    if len(train) < FEWEST:
        return {}
    lexicon, fit = _learned(train)
    if fit.share <= BY_CHANCE:
        return {train.name: [_shuffled(train, fit, fit.share)]}
    misfits = {train.name: _misfits(lexicon, train, Fit.of(lexicon, train, train.sample[1::2]), fit)}
    if not misfits[train.name]:  # else what is learned of these pairs says little of other parts
        misfits |= {part.name: _misfits(lexicon, part, Fit.of(lexicon, part, part.sample), fit) for part in every[1:]}
    return misfits


def _learned(train: PairPart) -> tuple[Lexicon, Fit]:
    """A lexicon of half of the sample, and how well the other half fits; of shifted lines where only these fit."""
    learned, held_out = train.sample[::2], train.sample[1::2]
    lexicon = Lexicon(train.shifted(learned, 0))
    fit = Fit.of(lexicon, train, held_out)
    if fit.share > BY_CHANCE:
        return lexicon, fit
    best = lexicon, fit
    for shift in range(-MAX_SHIFT, MAX_SHIFT + 1):
        candidate = Lexicon(train.shifted(learned, shift))
        measured = Fit.of(candidate, train, held_out, shift)
        if measured.share > best[1].share:
            best = candidate, measured
    return best


def _misfits(lexicon: Lexicon, part: PairPart, measured: Fit, usual: Fit) -> list[str]:
    """Languages that are exchanged, and lines that do not belong together."""
    exchanged = measured.straight - measured.exchanged > MARGIN
    if 2 * exchanged.mean() > 1:
        return [
            f"{part.name}: its languages are exchanged: {exchanged.mean():.0%} of its lines fit the pairs trained on "
            "only the other way round; exchange its two texts"
        ]
    warnings = []
    if exchanged.any():
        count = int(exchanged.sum())
        first = [measured.indices[number] for number in np.flatnonzero(exchanged)[:MAX_LISTED]]
        warnings.append(
            f"{part.name}: {_lines(count)} of {len(exchanged):,} looked at {'has' if count == 1 else 'have'} the "
            f"languages exchanged: {_listed(part, first, count)}"
        )
    if len(part) < WINDOW:
        return warnings
    gaps = np.convolve(measured.other - measured.straight, np.ones(WINDOW) / WINDOW, "valid")
    if gaps.min() >= FITTING * float((usual.other - usual.straight).mean()):
        return warnings
    middle = (float(usual.straight.mean()) + float(usual.other.mean())) / 2
    costs = shift_costs(
        lambda shift: lexicon.losses_of(part.shifted(range(len(part)), shift)), len(part), float(usual.other.mean())
    )
    wrong = [s for s in stretches(costs, middle) if s.shift != 0 and s.last - s.first >= WINDOW]
    if len(wrong) == 1 and wrong[0].shift is None and wrong[0].last - wrong[0].first == len(part):
        return [*warnings, _shuffled(part, measured, usual.share)]
    return warnings + [_shifted(part, stretch) for stretch in wrong[:MAX_LISTED]]


def _shuffled(part: PairPart, fit: Fit, usual: float) -> str:
    beside = f", and {usual:.0%} of those trained on do" if usual > BY_CHANCE else ""
    return (
        f"{part.name}: its lines do not belong to their translations: {fit.share:.0%} of them fit theirs better than "
        f"that of another line (half would by chance{beside}), by the words that go together in the pairs trained on"
    )


def _shifted(part: PairPart, stretch: Stretch) -> str:
    first, last = part.pairs.source(stretch.first), part.pairs.source(stretch.last - 1)
    where = f"from about {first} on" if stretch.last == len(part) else f"from about {first} to line {last.line:,}"
    if stretch.first == 0 and stretch.last == len(part):
        where = f"from {first} to the end"
    if stretch.shift is None:
        return f"{part.name}: {where} lines do not belong to their translations; look there for what was sorted or lost"
    way = "further down" if stretch.shift > 0 else "further up"
    return (
        f"{part.name}: {where} the translation of a line stands {_lines(abs(stretch.shift))} {way}; look there for a "
        "line too many or one that was lost"
    )


def _copies(part: PairPart) -> list[str]:
    pairs = (part.pairs[index] for index in range(len(part)))
    equal = [i for i, pair in enumerate(pairs) if pair.source_text.strip() == (pair.target_text or "").strip()]
    if len(equal) <= COPIES * len(part):
        return []
    return [
        f"{part.name}: {_lines(len(equal))} ({len(equal) / len(part):.1%}) "
        f"{'is its own translation' if len(equal) == 1 else 'are their own translations'}, which teaches a model to "
        f"copy: {_listed(part, equal[:MAX_LISTED], len(equal))}"
    ]


def _lengths(part: PairPart) -> list[str]:
    """Pairs whose ratio of lengths is far from that of the others, the farthest first."""
    pairs = [part.pairs[index] for index in range(len(part))]
    lengths = np.array([(len(pair.source_text.strip()), len((pair.target_text or "").strip())) for pair in pairs])
    if len(part) < FEWEST:
        return []
    ratios = np.diff(np.log1p(lengths), axis=1)[:, 0]
    distances = np.abs(ratios - np.median(ratios))
    deviation = 1.4826 * float(np.median(distances))  # that of a normal distribution
    far = np.flatnonzero(distances > max(SPREAD * deviation, np.log(2)))
    if not len(far):
        return []
    worst = sorted(far.tolist(), key=lambda index: (-distances[index], index))[:MAX_LISTED]
    shown = "; ".join(f"{part.pairs.source(i)} ({lengths[i][0]:,} and {lengths[i][1]:,} characters)" for i in worst)
    return [
        f"{part.name}: {_lines(len(far))} {'has' if len(far) == 1 else 'have'} a translation of a length far from the "
        f"others': {shown}{'; ...' if len(far) > len(worst) else ''}"
    ]


def _listed(part: PairPart, indices: Sequence[int], count: int) -> str:
    return "; ".join(str(part.pairs.source(index)) for index in indices) + ("; ..." if count > len(indices) else "")


def _lines(count: int) -> str:
    return "1 line" if count == 1 else f"{count:,} lines"
