"""A demonstration of music generation: chorales that come with a package, or scales that are made up."""

from __future__ import annotations

from pathlib import Path

from recurra.data.tunes import write_tunes
from recurra.tasks.task import Demo

__all__ = ["demo"]


def demo(folder: Path) -> Demo:
    """A model that learns in about a minute how four voices move."""
    written = write_tunes(folder, "chorales", 160)
    settings = {
        "data": folder / "train",
        "valid": folder / "valid",
        "steps_per_quarter": 2,
        "lowest": 36,
        "highest": 84,
        "hidden_size": 128,
        "head_size": 128,
        "output_dropout": 0.2,
        "max_frames": 800,
        "epochs": 8,
        "learning_rate": 6e-3,
        "warmup_steps": 20,
        "weight_average": 0.95,
    }
    about = (
        f"a model of music learns from {written}, read as piano rolls of eighths; then it is asked how surprising each "
        "frame of a piece is. `recurra sample` writes new ones"
    )
    return Demo(about, settings)
