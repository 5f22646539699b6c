"""A trained model of music: it says how probable pieces are, and writes new ones."""

from __future__ import annotations

from typing import Any

from recurra.data.rolls import Roll
from recurra.models.music_model import MusicModel
from recurra.tasks.music_generation_batches import FrameBatch, MusicAssets
from recurra.tasks.music_surprise import Surprise
from recurra.tasks.trained import Trained

__all__ = ["MusicRun"]


class MusicRun(Trained[Any, Roll, MusicAssets, MusicModel, FrameBatch, Surprise]):
    """A trained model of music."""
