"""The settings of named entity recognition: the sentences, their batches and the network.

They are read without torch, so that the command line can list them at once.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import Field, model_validator

from recurra.data.tagged_sentence import TaggedFormat
from recurra.data.tags import Scheme
from recurra.tasks.network_settings import PoolingName
from recurra.tasks.settings import DataSettings, Settings, TaskConfig
from recurra.tasks.word_settings import WordSettings
from recurra.training.settings import TrainingSettings

__all__ = ["NamedEntityConfig", "TaggedSettings", "TaggerBatchSettings", "TaggerSettings"]


class TaggedSettings(DataSettings):
    """The sentences, and how their files are read."""

    data: Path = Field(description="File of tagged sentences to train on: columns, CoNLL-U or JSON lines.")
    valid: Path | None = Field(None, description="File to validate on; without it, the last part of the data.")
    word_column: int = Field(1, description="Column of the words, from 1; -1 is the last.")
    tag_column: int = Field(-1, description="Column of the tags.")
    feature_columns: tuple[int, ...] = Field(
        (), description="Columns of further features of a word, such as its part of speech."
    )
    separator: str | None = Field(None, description="What stands between columns; by default a tab, or white space.")
    scheme: Scheme | None = Field(None, description="Scheme of the tags; by default it is detected.")
    min_count: int = Field(1, ge=1, description="Words that occur less often are <UNK>.")

    @property
    def format(self) -> TaggedFormat:
        """How the files are read."""
        return TaggedFormat(None, self.word_column, self.tag_column, self.feature_columns, self.separator, self.scheme)


class TaggerBatchSettings(Settings):
    """How the sentences are handed to the model."""

    batch_size: int = Field(10, ge=1, description="Sentences side by side in a step of training.")
    max_words: int = Field(8192, ge=1, description="Most words of a batch, padding included.")
    swap_names: float = Field(
        0.0, ge=0, le=1, description="Rate at which names are replaced by others of their type in training."
    )


class TaggerSettings(WordSettings):
    """The network."""

    cell: str | None = Field("lstm", description="Name of a cell; `recurra cells` lists them.")
    hidden_size: int = Field(140, ge=1, description="Width of the recurrent layers.")
    bidirectional: bool = Field(True, description="Read each sentence from its end to its beginning, too.")
    lookahead: int | None = Field(
        None,
        ge=0,
        le=100,
        description="Decide the tag of a word once so many words after it are known; takes --no-bidirectional.",
    )
    dropout: float = Field(0.5, ge=0, lt=1, description="Rate of dropout on inputs, between layers and on outputs.")
    state_dropout: float = Field(0.25, ge=0, lt=1, description="Rate of variational dropout on the recurrent state.")
    feature_size: int = Field(12, ge=1, description="Width of the embedding of a word's shape, and of each feature.")
    occurrences: int = Field(
        0,
        ge=0,
        description="How many other occurrences of a capitalised word in its document are read, with their neighbours; "
        "0 for none. It takes vectors, and documents in the data.",
    )
    occurrence_size: int = Field(60, ge=1, description="Width of what is read of the other occurrences.")
    head: Literal["crf", "softmax"] = Field(
        "crf", description="How tags are read off; with --lookahead a softmax, if nothing is said."
    )
    sentence_label: bool = Field(False, description="Learn the label of each sentence, too.")
    pooling: PoolingName = Field("max", description="What stands for a sentence whose label is learned.")

    @model_validator(mode="before")
    @classmethod
    def _decided_one_by_one(cls, given: Any) -> Any:  # noqa: ANN401  (whatever the settings are made from)
        """Tags that are decided one by one are learned one by one.

        A CRF learns sequences, and may leave to a later word what tells an earlier one's tag. On CoNLL-2003 (4 epochs,
        a lookahead of 1) F1 was 0.762 with it, and 0.812 with a softmax.
        """
        if isinstance(given, dict) and given.get("lookahead") is not None:
            return {"head": "softmax", **given}
        return given


class NamedEntityConfig(TaskConfig):
    """All settings of a tagger's run."""

    sentences: TaggedSettings
    batches: TaggerBatchSettings = TaggerBatchSettings()
    model: TaggerSettings = TaggerSettings()
    training: TrainingSettings = TrainingSettings(
        epochs=15,
        learning_rate=3e-3,
        weight_decay=0.01,
        schedule="cosine",
        warmup_steps=100,
        weight_average=0.998,
        beta2=0.98,
    )
