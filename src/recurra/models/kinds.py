"""The closed choices of the models, which settings read without torch."""

from __future__ import annotations

from typing import Literal

__all__ = ["CharacterNetwork", "PoolingKind"]

CharacterNetwork = Literal["cnn", "lstm", "none"]
"""How the characters of a word are read."""

PoolingKind = Literal["last", "mean", "max", "attention", "last+mean+max"]
"""What stands for a sequence of outputs."""
