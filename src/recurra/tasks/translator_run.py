"""A trained translator: it translates, and says how probable a given translation is."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import torch

from recurra.data import END
from recurra.data.lines import Source
from recurra.data.sentence_pair import SentencePair
from recurra.decoding.forced import score_targets
from recurra.decoding.hypothesis import Hypothesis
from recurra.errors import DataError, SettingError
from recurra.models.translator import Translator
from recurra.nn.evaluating import evaluating
from recurra.tasks.machine_translation_batches import PairBatch, TranslationAssets
from recurra.tasks.machine_translation_settings import MachineTranslationConfig
from recurra.tasks.score import Score
from recurra.tasks.trained import LONGEST_SUGGESTED, Trained, windows
from recurra.tasks.translation import Alternative, Translation
from recurra.tasks.translation_search import penalties_of, scorer_of

__all__ = ["TranslatorRun"]

EMPTY = "the translation is empty; give at least one word"

_NOWHERE = Source(Path(), 1)

WINDOW = 512
"""How many pairs are looked at together, to find those of like length."""


class TranslatorRun(
    Trained[MachineTranslationConfig, SentencePair, TranslationAssets, Translator, PairBatch, Translation]
):
    """A trained translator: it translates, and says how probable a given translation is.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> import recurra
        >>> folder = Path(tempfile.mkdtemp())
        >>> settings = recurra.tasks.TASKS["machine-translation"].example(folder) | {"epochs": 1}
        >>> run = recurra.train("machine-translation", **settings, out=folder / "run", show=False)
        >>> best = run.predict("le chat noir").best
        >>> score = run.score("le chat noir", best)
        >>> abs(score.log_probability - best.log_probability) < 1e-3
        True
    """

    def score(self, source: str, translation: str | Alternative) -> Score:
        """The probability of a translation: of each piece given the sentence and all before it, and of the whole.

            p(y | x) = product over t of p(y<t> | y<1..t-1>, x<1..S>)

        Args:
            source: The sentence.
            translation: A text, which is cut into pieces as those of training are; or an answer of `predict`, in the
                pieces that the model wrote, so that it has the probability that the search reported.

        Raises:
            DataError: The translation is empty.
        """
        for name, value in (("source", source), ("translation", translation)):
            if not isinstance(value, str) and not (name == "translation" and isinstance(value, Alternative)):
                raise SettingError(f"score: {name} is {value!r}; give a str")
        ids = self._ids(translation)
        if not ids and isinstance(translation, str):
            raise DataError(EMPTY)
        return self._scores([(source, ids)])[0]

    def score_many(self, pairs: Iterable[SentencePair], window: int = WINDOW) -> Iterator[Score | None]:
        """The probability of each of many translations, in their order: what `score` gives of each.

        Args:
            pairs: Sentences with their translations.
            window: So many pairs are read before the first of them is answered, to score those of like length together.

        Yields:
            The score of each; None for a translation that is empty or missing.
        """
        for several in windows(pairs, window):
            encoded = [(pair.source_text, self._ids(pair.target_text or "")) for pair in several]
            scores = iter(self._scores([pair for pair in encoded if pair[1]]))
            yield from (next(scores) if ids else None for _, ids in encoded)

    def _ids(self, translation: str | Alternative) -> list[int]:
        if isinstance(translation, Alternative):
            return list(translation.ids)
        return self.assets.target_ids(translation)[:-1]

    def _scores(self, pairs: Sequence[tuple[str, list[int]]]) -> list[Score]:
        """The score of the pieces of each translation, given its sentence."""

        def scored(batch: PairBatch) -> list[Score]:
            scorer = scorer_of(self.config, self.assets, self.model, batch.to(self.device))
            targets = [pairs[index][1] for index in batch.index.tolist()]
            hypotheses = score_targets(scorer, targets, penalties=penalties_of(self.config.search))
            return [self._score_of(hypothesis) for hypothesis in hypotheses]

        with torch.no_grad(), evaluating(self.model):
            return self._by_example([SentencePair(source, None, _NOWHERE) for source, _ in pairs], scored)

    def _score_of(self, hypothesis: Hypothesis) -> Score:
        vocabulary = self.assets.target
        units = [vocabulary.tokens[token] for token in hypothesis.tokens]
        ids = [*hypothesis.tokens, self.assets.end]
        return Score.of(vocabulary, [*units, END], ids, hypothesis.log_probabilities)

    def suggestions(self) -> list[tuple[str, str]]:
        """What to try on the command line."""
        data = shlex.quote(str(self.config.files.valid or self.config.files.data))
        pair = None if self.validated_on is None else self.validated_on[0]
        suggested = [("evaluate", "")]
        if pair is not None and pair.source_text.isprintable() and len(pair.source_text) <= LONGEST_SUGGESTED:
            text = shlex.quote(pair.source_text.strip())
            start = shlex.quote(f"{(pair.target_text or '').split(' ')[0]} ")
            return [*suggested, ("predict", f" --text {text}"), ("predict", f" --text {text} --prefix {start}")]
        return [*suggested, ("predict", f" {data}")]
