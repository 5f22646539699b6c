"""What a network knows of words: the vocabulary and the vectors that are kept, and how words become its input."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import torch
from pydantic import Field
from torch import Tensor

from recurra.data import Vocabulary
from recurra.data.spellings import SpelledWords, Spellings, normalised
from recurra.data.vectors import VectorTable, read_vectors
from recurra.errors import DataError
from recurra.models.token_input import TokenInput
from recurra.tasks.assets import Assets, KeptVocabulary
from recurra.tasks.word_settings import WordSettings

__all__ = ["KeptVectors", "WordAssets", "WordReader", "fit_words", "vocabulary_form", "word_input", "word_rows"]


class KeptVectors(Assets):
    """The words whose pretrained vectors a model keeps: the vectors themselves are among its weights.

    Args:
        words: The words, in the order of their rows.
        width: The number of components of a vector.
        share: The share of the words trained on, each counted as often as it occurs, that have a vector.
        numbers: The vectors, (N, width), until the model has them.
    """

    words: tuple[str, ...]
    width: int = Field(ge=1)
    share: float = Field(ge=0, le=1)
    numbers: Tensor | None = Field(None, exclude=True)

    def __eq__(self, other: object) -> bool:
        # Of what was read back from a file the vectors are with the weights.
        return isinstance(other, KeptVectors) and self.model_dump() == other.model_dump()

    __hash__ = None  # type: ignore[assignment]  # two equal ones may be compared, none is a key

    @cached_property
    def _table(self) -> VectorTable:
        return VectorTable(self.words, torch.empty(0))

    def row(self, word: str) -> int:
        """The row of a word's vector from 1; 0 for a word without."""
        row = self._table.find(word)
        return 0 if row is None else row + 1


class WordAssets(Assets):
    """What is known of the words that a network was trained on.

    Args:
        words: The words, the most frequent first.
        frequent: How many of them occur more than once.
        characters: The characters of words.
        vectors: The words whose pretrained vectors are kept; None without.
    """

    words: KeptVocabulary
    frequent: int
    characters: KeptVocabulary
    vectors: KeptVectors | None = None

    @cached_property
    def spellings(self) -> dict[int, Spellings]:
        """What turns words into numbers, by how many ids n-grams share; kept, since it remembers every spelling."""
        return {}


def vocabulary_form(word: str) -> str:
    """A word as the vocabulary has it."""
    return "_".join(normalised(word).split())


def fit_words(settings: WordSettings, forms: Counter[str], min_count: int) -> dict[str, Any]:
    """The fields of `WordAssets` that follow from the words trained on.

    Args:
        settings: Those of the network.
        forms: How often each word occurs, as it is spelled.
        min_count: Words that occur less often are <UNK>.
    """
    counts: Counter[str] = Counter()
    for form, count in forms.items():
        counts[vocabulary_form(form)] += count
    known = [word for word, count in counts.most_common() if count >= min_count]
    return {
        "words": Vocabulary("word", known, end_of_sentence=False),
        "frequent": sum(count > 1 for count in counts.values()),
        "characters": Vocabulary("character", sorted(set().union(*forms))),
        "vectors": _vectors(settings, forms),
    }


def _vectors(settings: WordSettings, forms: Counter[str]) -> KeptVectors | None:
    """The pretrained vectors of the words trained on and of the most frequent others."""
    if settings.vectors is None:
        return None
    table = read_vectors(settings.vectors, forms, first=settings.max_vectors)
    share = table.coverage(forms).share
    if not share:
        raise DataError(
            f"{settings.vectors}: none of the words trained on has a vector there; give vectors of their language"
        )
    return KeptVectors(words=table.words, width=table.width, share=share, numbers=table.vectors.half())


def word_input(settings: WordSettings, assets: WordAssets, **further: Any) -> TokenInput:  # noqa: ANN401
    """The module that makes vectors of words.

    Args:
        settings: Those of the network.
        assets: What was fitted.
        **further: What else `TokenInput` takes, such as features.
    """
    kept = assets.vectors
    # Where a trained model is loaded, its vectors come with its weights.
    vectors = None if kept is None else torch.zeros(len(kept.words), kept.width)
    if kept is not None and kept.numbers is not None:
        vectors = kept.numbers
    return TokenInput(
        len(assets.words),
        settings.word_size,
        characters=len(assets.characters),
        character_network=settings.character_network,
        character_size=settings.character_size,
        ngrams=settings.ngrams,
        ngram_size=settings.ngram_size,
        vectors=vectors,
        tune_vectors=settings.tune_vectors,
        dropout=settings.dropout,
        **further,
    )


def word_rows(assets: WordAssets, prefix: str) -> dict[str, tuple[str, ...]]:
    """The words and characters that rows of the parameters of a `TokenInput` belong to.

    Args:
        assets: What was fitted.
        prefix: What the names of its parameters begin with.
    """
    return {
        **dict.fromkeys((f"{prefix}words.weight", f"{prefix}changes.weight"), assets.words.tokens),
        f"{prefix}vectors": ("", *(assets.vectors.words if assets.vectors else ())),
        f"{prefix}characters.embedding.weight": ("", *assets.characters.tokens),
    }


class WordReader:
    """Turns words into numbers, some of them left out while a network is trained.

    Args:
        settings: Those of the network.
        assets: What was fitted.
    """

    def __init__(self, settings: WordSettings, assets: WordAssets) -> None:
        self.settings, self.assets = settings, assets
        self.spellings = _spellings(settings, assets)

    def __call__(self, rows: Sequence[Sequence[str]], draw: torch.Generator | None = None) -> SpelledWords:
        """The numbers of the words of each row; one without words is a row of padding.

        Args:
            rows: The words.
            draw: What is drawn from to leave words and n-grams out; None to leave out none.
        """
        spelled = self.spellings([words or ("",) for words in rows])
        return spelled if draw is None else self._dropped(spelled, draw)

    def _dropped(self, spelled: SpelledWords, draw: torch.Generator) -> SpelledWords:
        """Words, some of them read as <UNK>, and some of their n-grams left out.

        Of a word that is read as <UNK> the spelling as a whole, the last of the n-grams, is left out as well: so it is
        with words that are not met in training.
        """
        words, ngrams, settings = spelled.words, spelled.ngrams, self.settings
        rates = torch.where(words >= self.assets.frequent, settings.once_dropout, settings.word_dropout)
        dropped = torch.rand(words.shape, generator=draw) < rates
        if settings.ngrams:
            whole = (ngrams != 0).sum(2, keepdim=True) - 1
            out = torch.arange(ngrams.shape[2]) == whole.masked_fill(~dropped[:, :, None], -1)
            if settings.ngram_dropout:
                out |= torch.rand(ngrams.shape, generator=draw) < settings.ngram_dropout
            ngrams = ngrams.masked_fill(out, 0)
        return spelled._replace(words=words.masked_fill(dropped, self.assets.words.unknown or 0), ngrams=ngrams)


def _spellings(settings: WordSettings, assets: WordAssets) -> Spellings:
    """What turns words into numbers."""
    ngrams = settings.ngrams
    if ngrams not in assets.spellings:
        word_ids = {word: number for number, word in enumerate(assets.words.tokens)}
        character_ids = {character: number for number, character in enumerate(assets.characters.tokens, 1)}
        unknown_word, unknown_character = word_ids["<UNK>"], character_ids["<UNK>"]
        assets.spellings[ngrams] = Spellings(
            lambda word: word_ids.get(vocabulary_form(word), unknown_word),
            (lambda word: 0) if assets.vectors is None else assets.vectors.row,
            lambda character: character_ids.get(character, unknown_character),
            ngrams,
        )
    return assets.spellings[ngrams]
