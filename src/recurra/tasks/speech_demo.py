"""A demonstration of speech recognition: strings of digits."""

from __future__ import annotations

from pathlib import Path

from recurra.data.spoken_digits import recorded_digits, write_spoken_digits
from recurra.tasks.task import Demo

__all__ = ["demo"]

RECORDINGS = 300
"""How many strings of digits there are."""


def demo(folder: Path) -> Demo:
    """Writes recordings of digits, and settings that learn them in a minute or two."""
    real = bool(recorded_digits())
    manifest = write_spoken_digits(folder, RECORDINGS)
    voice = (
        "put together of real recordings, one of each digit, at ten speeds: one person's voice, which comes with the "
        "package captcha"
        if real
        else "said by ten synthetic voices, since the package captcha with its real recordings is not installed"
    )
    about = f"an LSTM of both directions and CTC learn the words of {RECORDINGS:,} strings of digits, {voice}"
    settings = {
        "data": manifest,
        "unit": "word",
        "rate": 8000,
        "filters": 32,
        "normalisation": "global",
        "convolution_size": 64,
        "hidden_size": 64,
        "num_layers": 1,
        "dropout": 0.1,
        "batch_size": 8,
        "epochs": 14,
        "learning_rate": 6e-3,
        "warmup_steps": 30,
        "weight_average": 0.95,
        "speed_change": 0.15,
    }
    return Demo(about, settings)
