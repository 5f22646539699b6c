"""The settings of a network that reads words: what is known of a word, and what of it is left out in training."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from recurra.tasks.network_settings import NetworkSettings

__all__ = ["WordSettings"]


class WordSettings(NetworkSettings):
    """A recurrent network that reads words."""

    word_size: int = Field(100, ge=0, description="Width of a word's embedding; 0 leaves it out.")
    vectors: str | None = Field(
        None, description="Pretrained word vectors beside the word's embedding: a file, or the name glove-50d."
    )
    max_vectors: int = Field(
        400_000,
        ge=0,
        description="How many vectors of the file, from its beginning, the model keeps beside those of the words it is "
        "trained on, so that words it meets later have theirs.",
    )
    tune_vectors: bool = Field(False, description="Learn how the vectors of the words trained on are to change.")
    word_dropout: float = Field(0.1, ge=0, lt=1, description="Rate at which words are read as <UNK> in training.")
    once_dropout: float = Field(
        0.5, ge=0, lt=1, description="Rate at which words that occur once are read as <UNK> in training."
    )
    character_network: Literal["cnn", "lstm", "none"] = Field(
        "cnn", description="How the characters of a word are read."
    )
    character_size: int = Field(60, ge=1, description="Width of what the character network makes of a word.")
    ngrams: int = Field(20_000, ge=0, description="Ids that hashed n-grams of characters share; 0 leaves them out.")
    ngram_size: int = Field(50, ge=1, description="Width of the n-grams' embedding.")
    ngram_dropout: float = Field(0.2, ge=0, lt=1, description="Rate at which n-grams are left out in training.")
