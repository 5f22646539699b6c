"""The settings of music generation: the pieces, the network and the distribution of a frame.

They are read without torch, so that the command line can list them at once.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self

from pydantic import Field, model_validator

from recurra.tasks.network_settings import RecurrentSettings
from recurra.tasks.settings import DataSettings, Settings, TaskConfig
from recurra.training.settings import TrainingSettings

if TYPE_CHECKING:  # torch is imported once a network is built
    from recurra.data.rolls import RollFormat
    from recurra.nn import Recurrent

__all__ = ["MusicConfig", "MusicModelSettings", "PieceBatchSettings", "PieceSettings"]


class PieceSettings(DataSettings):
    """The pieces, and how they become piano rolls."""

    data: Path = Field(
        description="Pieces to train on: a folder of scores (MIDI, ABC, MusicXML), a score, or a file of piano rolls "
        "(.mat, .npz, JSON)."
    )
    valid: Path | None = Field(
        None,
        description="Pieces to validate on, which may be the same file where it holds parts; without it, the last part "
        "of the data.",
    )
    lowest: int = Field(21, ge=0, le=127, description="Pitch of the lowest key, 60 being middle C.")
    highest: int = Field(108, ge=0, le=127, description="Pitch of the highest key.")
    steps_per_quarter: int = Field(4, ge=1, le=96, description="Frames in a quarter of a score.")

    @model_validator(mode="after")
    def _keys_are_in_order(self) -> Self:
        if self.lowest >= self.highest:
            raise ValueError(f"lowest is {self.lowest}, highest {self.highest}; give a highest key above the lowest")
        return self

    @property
    def keys(self) -> int:
        """How many keys there are."""
        return self.highest - self.lowest + 1

    @property
    def how(self) -> RollFormat:
        """How the files are read."""
        from recurra.data.rolls import Keys, RollFormat

        return RollFormat(Keys(self.lowest, self.highest), self.steps_per_quarter)


class PieceBatchSettings(Settings):
    """How pieces are put side by side, and moved to other keys."""

    batch_size: int = Field(16, ge=1, description="Most pieces side by side in a step of training.")
    max_frames: int = Field(2000, ge=1, description="Most frames of a step, padding included.")
    transpose_down: int = Field(5, ge=0, description="Most semitones that a piece is moved down in training.")
    transpose_up: int = Field(6, ge=0, description="Most semitones that a piece is moved up in training.")


class MusicModelSettings(RecurrentSettings):
    """The network and the distribution of a frame."""

    cell: str | None = Field("lstm", description="Cell of the recurrent layers.")
    hidden_size: int = Field(200, ge=1, description="Width of the recurrent layers.")
    head: Literal["chord", "independent"] = Field(
        "chord",
        description="The distribution of a frame: over whole chords, note by note from low to high; or each key for "
        "itself.",
    )
    head_size: int = Field(200, ge=1, description="Width of the hidden layer of the chord head.")
    channels: int = Field(32, ge=1, description="Features of a key in the independent head.")
    history: int = Field(
        2, ge=0, le=64, description="Frames before that the head sees around a note; the independent head may see none."
    )
    memory: bool = Field(
        True,
        description="Remember the whole piece: how long each note has sounded, and what followed the longest earlier "
        "passage that ended like now.",
    )
    periods: tuple[int, ...] = Field(
        (), description="With memory, lengths of bars and beats, in frames, in which the place of a frame is told."
    )
    window: int = Field(24, ge=1, le=127, description="Keys on each side of a note that the head sees.")
    output_dropout: float = Field(0.0, ge=0, lt=1, description="Rate of dropout on what the recurrent layers say.")

    @model_validator(mode="after")
    def _periods_can_be_told(self) -> Self:
        if self.periods and not self.memory:
            raise ValueError("periods are told by the memory, and memory is off: leave one of them out")
        if any(period < 2 for period in self.periods):
            raise ValueError(f"periods has {min(self.periods)}: a bar or a beat has 2 frames or more")
        return self

    def recurrent(self, width: int) -> Recurrent:
        """The layers, for inputs of a width."""
        from recurra.nn import Recurrent

        options = {name: getattr(self, name) for name in RecurrentSettings.model_fields}
        return Recurrent(self.made, width, **{k: v for k, v in options.items() if k not in {"cell", "equations"}})


class MusicConfig(TaskConfig):
    """All settings of a run that generates music."""

    pieces: PieceSettings
    batches: PieceBatchSettings = PieceBatchSettings()
    model: MusicModelSettings = MusicModelSettings()
    training: TrainingSettings = TrainingSettings(
        optimiser="adamw",
        learning_rate=3e-3,
        schedule="cosine",
        warmup_steps=50,
        clip_norm=1.0,
        weight_average=0.99,
        epochs=60,
    )
