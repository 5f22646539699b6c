"""The settings of machine translation: the sentences, their batches, the network and the search.

They are read without torch, so that the command line can list them at once.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from recurra.data.sentence_pair import PairFormat, ParallelFormat
from recurra.tasks.network_settings import RecurrentSettings
from recurra.tasks.settings import DataSettings, Settings, TaskConfig
from recurra.training.settings import TrainingSettings

__all__ = ["MachineTranslationConfig", "PairBatchSettings", "PairSettings", "SearchSettings", "TranslatorSettings"]


class PairSettings(DataSettings):
    """The sentences, and how their files are read and cut."""

    data: Path = Field(
        description="Sentences to train on: a text such as train.de, beside which train.en has their translations line "
        "by line; or a table (TSV, CSV or JSON lines) of both. Gzipped or not."
    )
    valid: Path | None = Field(None, description="Sentences to validate on; without them, the last part of the data.")
    format: PairFormat | None = Field(None, description="How the files are written; by default it is detected.")
    source_language: str | None = Field(
        None, description="Suffix or column of the sentences to translate; by default the file's suffix, or source."
    )
    target_language: str | None = Field(
        None, description="Suffix or column of their translations; target where it is a column and not given."
    )
    level: Literal["bpe", "word", "character"] = Field(
        "bpe", description="What sentences are cut into: pieces of words (byte pairs), words, or characters."
    )
    max_vocabulary: int = Field(6000, ge=3, description="Most pieces, words or characters of a vocabulary.")
    min_count: int = Field(2, ge=1, description="Words that occur less often are <UNK>; pairs are not merged.")
    joint: bool = Field(True, description="One vocabulary for both languages, with one embedding.")
    longest: int = Field(
        100, ge=1, description="Pairs of which a sentence has more pieces are not trained on; they are counted."
    )

    @property
    def how(self) -> ParallelFormat:
        """How the files are read."""
        return ParallelFormat(self.format, self.source_language, self.target_language)


class PairBatchSettings(Settings):
    """How the sentences are handed to the model."""

    changes_use: ClassVar[bool] = False

    batch_size: int = Field(64, ge=1, description="Pairs side by side in a step of training.")
    max_pieces: int = Field(8192, ge=1, description="Most pieces of a batch, of the longer language, with padding.")
    subword_dropout: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="Rate at which merges of byte pairs are left out in training, so that words are cut in many ways.",
    )
    valid_beam: int = Field(1, ge=1, description="Width of the beam in the validations of a training.")


class TranslatorSettings(RecurrentSettings):
    """The network."""

    cell: str | None = Field("gru", description="Name of a cell; `recurra cells` lists them.")
    embedding_size: int = Field(256, ge=1, description="Width of the embeddings.")
    hidden_size: int = Field(256, ge=1, description="Width of the recurrent layers, in each direction.")
    encoder_layers: int = Field(1, ge=1, description="How many layers read a sentence, in both directions.")
    num_layers: int = Field(2, ge=1, description="How many layers write the translation.")
    decoder: Literal["deep", "input-feeding", "conditional"] = Field(
        "deep", description="Where the decoder attends: after its first layer, for all steps at once; or step by step."
    )
    attention: Literal["dot", "general", "additive"] = Field("general", description="How attention compares.")
    dropout: float = Field(0.3, ge=0, lt=1, description="Rate of dropout on embeddings and between layers.")
    context_dropout: float = Field(0.3, ge=0, lt=1, description="Rate of dropout on the outputs of the encoder.")
    output_dropout: float = Field(0.3, ge=0, lt=1, description="Rate of dropout on what the readout reads.")
    token_dropout: float = Field(0.0, ge=0, lt=1, description="Rate at which whole pieces are left out.")
    tie_weights: bool = Field(True, description="Share the embedding of the target with the readout.")
    label_smoothing: float = Field(
        0.1, ge=0, lt=1, description="Share of the target that is spread evenly over the vocabulary."
    )


class SearchSettings(Settings):
    """How a translation is looked for."""

    changes_use: ClassVar[bool] = False
    in_use: ClassVar[bool] = True

    beam: int = Field(5, ge=1, le=1000, description="How many translations are followed at a time; 1 is greedy.")
    length_penalty: Literal["none", "average", "gnmt"] = Field(
        "average",
        description="What log-probabilities are divided by, so that short translations do not win for being short: the "
        "length, or (5 + length) / 6, to the power of length_alpha.",
    )
    length_alpha: float = Field(1.0, ge=0, description="Exponent of the length penalty; 0 is none.")
    coverage_penalty: float = Field(
        0.0, ge=0, description="Weight of the penalty on parts of the sentence that little attention went to."
    )
    min_length: int = Field(0, ge=0, description="Fewest pieces of a translation.")
    max_length: int = Field(500, ge=1, description="Most pieces of a translation.")
    longest_input: int = Field(
        500, ge=1, description="Most pieces of a sentence that are read; what is cut off is said."
    )
    max_ratio: float = Field(3.0, gt=0, description="Most pieces of a translation for each of the sentence's.")
    unique_ngrams: int | None = Field(None, ge=1, description="Length of the n-grams that never come twice.")
    alternatives: int = Field(1, ge=1, description="How many translations are given, the best first.")
    prefix: str = Field(
        "",
        description="What every translation begins with; the rest follows.",
        json_schema_extra={"metavar": "TEXT"},
    )
    sample: bool = Field(False, description="Draw translations instead of looking for the most probable.")
    temperature: float = Field(1.0, gt=0, description="What logits are divided by where translations are drawn.")
    top_k: int | None = Field(None, ge=1, description="Draw among so many of the most probable pieces.")
    top_p: float | None = Field(None, gt=0, le=1, description="Draw among the most probable of this total.")
    search_seed: int = Field(0, ge=0, description="Seed of what is drawn.")
    copy_unknown: bool = Field(
        True, description="Write, for <UNK>, the word of the sentence that most attention went to."
    )
    nearest: str = Field(
        "",
        description="File of pairs, such as those trained on: the one most like a sentence is shown beside it.",
        json_schema_extra={"metavar": "FILE"},
    )
    ensemble: tuple[str, ...] = Field((), description="Runs of the same vocabulary that translate together with it.")

    @model_validator(mode="after")
    def _drawing_is_asked_for(self) -> Self:
        if not self.sample:
            for key in ("temperature", "top_k", "top_p"):
                if getattr(self, key) != type(self).model_fields[key].default:
                    raise ValueError(f"--{key.replace('_', '-')} is for translations that are drawn: add --sample")
        return self

    @model_validator(mode="after")
    def _shortest_is_not_above_longest(self) -> Self:
        if self.min_length > self.max_length:
            raise ValueError(
                f"--min-length {self.min_length} is above --max-length {self.max_length}, and a translation cannot be "
                "both: lower the first or raise the second"
            )
        return self


class MachineTranslationConfig(TaskConfig):
    """All settings of a translator's run."""

    pairs: PairSettings
    batches: PairBatchSettings = PairBatchSettings()
    model: TranslatorSettings = TranslatorSettings()
    search: SearchSettings = SearchSettings()
    training: TrainingSettings = TrainingSettings(
        epochs=20,
        learning_rate=1e-3,
        schedule="cosine",
        decay_floor=0.05,
        warmup_steps=200,
        weight_average=0.998,
        beta2=0.98,
    )

    @model_validator(mode="after")
    def _merges_are_there_to_leave_out(self) -> Self:
        if self.batches.subword_dropout and self.pairs.level != "bpe":
            raise ValueError(
                f"subword_dropout leaves out merges of byte pairs, and level is {self.pairs.level!r}: leave it out"
            )
        return self
