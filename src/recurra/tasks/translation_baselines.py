"""What trivial rules make of a sentence: the sentence itself, and word for word by a lexicon."""

from __future__ import annotations

import re

from recurra.data.dataset import Dataset
from recurra.data.lexicon import Lexicon
from recurra.data.sentence_pair import SentencePair
from recurra.tasks.task import Baseline
from recurra.tasks.translation import Translation
from recurra.tasks.translation_checks import words_of

__all__ = ["translation_baselines", "word_by_word"]

LEARNED = 10_000
"""Pairs that a lexicon is learned from: the first ones, in seconds."""

_BEFORE, _AFTER = re.compile(r" (?=[.,;:!?)\]}%…])"), re.compile(r"(?<=[(\[{]) ")


def translation_baselines(pairs: Dataset[SentencePair]) -> list[Baseline[SentencePair, Translation]]:
    """The sentence as it is, and each of its words by the lexicon of the pairs trained on.

    Args:
        pairs: The pairs to train on.
    """
    examples = (pairs[index] for index in range(min(len(pairs), LEARNED)))
    lexicon = Lexicon([(words_of(pair.source_text), words_of(pair.target_text or "")) for pair in examples])
    return [
        Baseline("the sentence itself", lambda pair: Translation.of_text(pair.source_text)),
        Baseline("word by word", lambda pair: Translation.of_text(word_by_word(lexicon, pair.source_text))),
    ]


def word_by_word(lexicon: Lexicon, text: str) -> str:
    """A sentence in which each word is the most probable one of the other language; unknown words stay.

    Args:
        lexicon: Which word goes with which.
        text: The sentence.

    Example:
        >>> lexicon = Lexicon([(["ein", "hund", "."], ["a", "dog", "."]), (["ein"], ["a"]), (["."], ["."])])
        >>> word_by_word(lexicon, "Ein Hund bellt.")
        'A dog bellt.'
    """
    words = [lexicon.best(word) or word for word in words_of(text)]
    line = _AFTER.sub("", _BEFORE.sub("", " ".join(words)))
    return line[:1].upper() + line[1:]
