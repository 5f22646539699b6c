"""The settings of sentiment classification: the texts, their batches and the network.

They are read without torch, so that the command line can list them at once.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from recurra.data.classified_text import ClassifiedFormat, TextFormat
from recurra.tasks.network_settings import PoolingName
from recurra.tasks.settings import DataSettings, Settings, TaskConfig
from recurra.tasks.word_settings import WordSettings
from recurra.training.settings import TrainingSettings

__all__ = [
    "ClassesPerText",
    "ReviewBatchSettings",
    "ReviewLevel",
    "ReviewSettings",
    "SentimentConfig",
    "SentimentSettings",
]

ReviewLevel = Literal["word", "character", "bpe"]
"""What a text is cut into."""

ClassesPerText = Literal["one", "several"]
"""How many classes a text has: several may be none."""


class ReviewSettings(DataSettings):
    """The texts, and how their files are read."""

    data: Path = Field(
        description="File of texts with classes to train on: CSV, TSV, JSON lines, fastText's lines, lines that begin "
        "with their class; or a folder with a folder a class."
    )
    format: TextFormat | None = Field(None, description="How the files are written; by default it is detected.")
    text_column: str | None = Field(None, description="Column of the texts; by default one called text, review, ...")
    label_column: str | None = Field(None, description="Column of the classes; by default one called label, ...")
    group_column: str | None = Field(None, description="Column of what texts belong to, such as an author.")
    label_separator: str | None = Field(
        None, description="What stands between the classes of a text in a table, such as |; an empty cell is none."
    )
    labels: ClassesPerText | None = Field(
        None,
        description="How many classes a text has; by default several where a text to train on has several or none, "
        "or a label_separator is given.",
    )
    level: ReviewLevel = Field(
        "word", description="What a text is cut into: words, characters, or frequent pieces of words (byte pairs)."
    )
    pieces: int = Field(4096, ge=256, description="Level bpe: how many pieces there are, the 256 bytes among them.")
    min_count: int = Field(1, ge=1, description="Words that occur less often are <UNK>.")
    longest: int | None = Field(
        None, ge=2, description="Most words read of a text: of a longer one its head and its tail, half of them each."
    )

    @property
    def how(self) -> ClassifiedFormat:
        """How the files are read."""
        return ClassifiedFormat(
            self.format, self.text_column, self.label_column, self.group_column, self.label_separator
        )


class ReviewBatchSettings(Settings):
    """How the texts are handed to the model."""

    changes_use: ClassVar[bool] = False

    batch_size: int = Field(32, ge=1, description="Texts side by side in a step of training.")
    max_words: int = Field(
        16_384, ge=1, description="Most words of a batch (or characters, or pieces), padding included."
    )


class SentimentSettings(WordSettings):
    """The network."""

    cell: str | None = Field("lstm", description="Name of a cell; `recurra cells` lists them.")
    hidden_size: int = Field(128, ge=1, description="Width of the recurrent layers.")
    bidirectional: bool = Field(True, description="Read each text from its end to its beginning, too.")
    dropout: float = Field(0.5, ge=0, lt=1, description="Rate of dropout on inputs, between layers and on outputs.")
    pooling: PoolingName = Field("last+mean+max", description="What stands for a text.")
    allow_empty: bool = Field(
        False,
        description="Several classes a text: give none where none is probable enough; by default it is then the most "
        "probable one.",
    )
    balance: bool = Field(False, description="Weigh classes so that each counts the same, however many texts it has.")
    label_smoothing: float = Field(
        0.0, ge=0, lt=1, description="Share of the target that is spread evenly over all classes."
    )


class SentimentConfig(TaskConfig):
    """All settings of a classifier's run."""

    texts: ReviewSettings
    batches: ReviewBatchSettings = ReviewBatchSettings()
    model: SentimentSettings = SentimentSettings()
    training: TrainingSettings = TrainingSettings(
        epochs=10,
        learning_rate=2e-3,
        weight_decay=0.01,
        schedule="cosine",
        warmup_steps=50,
        weight_average=0.99,
        beta2=0.98,
    )

    @model_validator(mode="after")
    def _vectors_are_of_words(self) -> Self:
        if self.model.vectors is not None and self.texts.level != "word":
            raise ValueError(
                f"vectors are of words, and level is {self.texts.level!r}: leave vectors out, or read words"
            )
        return self
