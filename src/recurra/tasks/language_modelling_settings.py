"""The settings of language modelling: the text, its batches and the network.

They are read without torch, so that the command line can list them at once.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from pydantic import Field, field_validator

from recurra.data.units import Level
from recurra.tasks.network_settings import RecurrentSettings
from recurra.tasks.settings import DataSettings, Settings, TaskConfig

__all__ = ["BatchSettings", "LanguageModellingConfig", "ModelSettings", "TextSettings"]


class TextSettings(DataSettings):
    """The text, and how it is cut."""

    data: Path = Field(description="Text file to train on, in UTF-8.")
    valid: Path | None = Field(None, description="Text file to validate on; without it, the last part of the data.")
    level: Level = Field("character", description="How finely the text is cut.")
    sentences: bool = Field(
        False, description="Read each line as a sentence of its own, ended by <EOS>, rather than one long stream."
    )
    strip_lines: bool = Field(False, description="Take the white space off both ends of every line.")
    max_vocabulary: int | None = Field(None, ge=2, description="Most units to know; the rarer ones become <UNK>.")
    min_count: int = Field(1, ge=1, description="Units that occur less often become <UNK>.")


class BatchSettings(Settings):
    """How the text is handed to the model."""

    changes_use: ClassVar[bool] = False

    batch_size: int = Field(32, ge=1, description="Sequences side by side in a step of training.")
    chunk_length: int | None = Field(
        64,
        ge=1,
        description="A stream: steps of a chunk, after each of which the weights are changed: truncated "
        "backpropagation through time.",
    )
    reach: int | None = Field(
        None, ge=1, description="A stream: steps that the gradient goes back from a chunk's end; by default the chunk."
    )
    random_lengths: bool = Field(
        False, description="A stream: draw the length of every chunk around chunk_length, as AWD-LSTM does."
    )
    valid_batch_size: int = Field(
        16, ge=1, description="Tracks side by side in validation of a stream, each begun afresh; 1 is exact, and slow."
    )


class ModelSettings(RecurrentSettings):
    """The network."""

    embedding_size: int = Field(128, ge=1, description="Width of the embedding.")
    hidden_size: int = Field(256, ge=1, description="Width of the recurrent layers.")
    between_dropout: float | None = Field(
        None, ge=0, lt=1, description="Rate of dropout between layers, if another than dropout."
    )
    output_dropout: float | None = Field(
        None, ge=0, lt=1, description="Rate of dropout on the output, if another than dropout."
    )
    locked_dropout: bool = Field(False, description="One mask a sequence for the dropouts above, not one a step.")
    embedding_dropout: float = Field(0.0, ge=0, lt=1, description="Rate at which whole tokens are dropped.")
    tie_weights: bool = Field(False, description="Share the embedding's weights with the output layer.")
    initial: str | None = Field(
        None,
        description="How parameters begin: a rule for all, such as uniform(-0.1, 0.1), and after ; some by name, such "
        "as b_forget = 1.",
    )
    activation_penalty: float = Field(
        0.0, ge=0, description="Weight of the mean square of the outputs in what is learned (AR of AWD-LSTM)."
    )
    temporal_penalty: float = Field(
        0.0, ge=0, description="Weight of the mean square of the outputs' changes in what is learned (TAR)."
    )

    @field_validator("initial")
    @classmethod
    def _the_rules_are_right(cls, text: str | None) -> str | None:
        if text is not None:
            from recurra.models.initial import read_rules  # imports torch, which the help of a command does without

            read_rules(text)
        return text


class LanguageModellingConfig(TaskConfig):
    """All settings of a language model's run."""

    text: TextSettings
    batches: BatchSettings = BatchSettings()
    model: ModelSettings = ModelSettings()
