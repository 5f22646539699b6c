"""What pairs trained on are like: how long translations are, what is carried over, what repeats; kept with the assets."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from recurra.data.dataset import Dataset
from recurra.data.sentence_pair import SentencePair

__all__ = ["RARE", "LengthBand", "PairProfile", "Threshold", "Word", "normalised_number", "words_in"]

RARE = 0.02
"""What fewer lines than this share of those trained or validated on are like is a risk."""

PROFILED = 50_000
"""The most pairs that a profile is made of: the first ones."""

BAND, MAX_BANDS = 200, 20
"""The fewest pairs of a band of lengths, and the most bands."""

LONGEST_NGRAM = 8
"""The longest n-grams that are looked at."""

EXPECTED = 0.75
"""The probability, by the rule of succession, from which on a word or number is expected to be carried over."""

STEM, ENDING = 4, 2
"""Two words are forms of one where they begin with as many letters alike, and as many at most differ at the end."""

Shape = Literal["lower", "capitalised", "upper", "mixed"]

_WORD = re.compile(r"[^\W\d_](?:[\w'’-]*\w)?")
_NUMBER = re.compile(r"\d+(?:[.,'’\u00a0\u202f ]\d{3}(?!\d)|[.,]\d+)*")
_ENDS = re.compile(r"[.!?:;\"“”„»«(–—-]\s*$|^\s*$")


class Word(BaseModel):
    """A word of a text and where it stands.

    Args:
        text: The word.
        start: Its first character.
        end: That after its last.
        opens: Whether a sentence begins with it, where capitals say nothing.
    """

    model_config = ConfigDict(frozen=True)

    text: str
    start: int
    end: int
    opens: bool
