"""Strings of spoken digits: real recordings that come with a package, put together; or a synthetic voice."""

from __future__ import annotations

import csv
import importlib.metadata
import io
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch

from recurra.data.audio import Samples, read_audio, write_wav
from recurra.data.files import write_atomically
from recurra.data.formant_voice import DIGITS, say_digit
from recurra.data.sound_effects import pink_noise, sound_at_speed, with_noise
from recurra.data.spec_augment import uniform

__all__ = ["recorded_digits", "write_spoken_digits"]

RATE = 8000
"""Samples a second."""

SPEAKERS = 10
"""How many voices there are: one real one at as many speeds, or as many synthetic ones."""


def recorded_digits() -> Mapping[int, Path]:
    """The recordings of spoken digits that come with the package captcha, none of whose code is run.

    Returns:
        The file of each digit; empty where the package is not installed.
    """
    try:
        files = importlib.metadata.files("captcha") or []
    except importlib.metadata.PackageNotFoundError:
        return {}
    digits = {
        int(file.parts[-2]): Path(str(file.locate()))
        for file in files
        if len(file.parts) > 2 and file.parts[-3] == "data" and file.parts[-2].isdecimal() and file.suffix == ".wav"
    }
    return digits if len(digits) == len(DIGITS) and all(path.is_file() for path in digits.values()) else {}


def write_spoken_digits(folder: Path, count: int, seed: int = 0, *, synthetic: bool | None = None) -> Path:
    """Write recordings of three to six digits, as words, with a manifest.

    They are put together of one recording of each digit, one person's, at other speeds (which changes the pitch, too),
    with pauses between and pink noise below; or said by synthetic voices.

    Args:
        folder: Where; it must exist.
        count: How many recordings.
        seed: What is drawn from.
        synthetic: Whether the voice is synthetic; None for a real one where the package captcha is installed.

    Returns:
        The manifest, a table with commas and the columns audio, transcript and speaker.
    """
    files = {} if synthetic else recorded_digits()
    known = {digit: read_audio(path, RATE)[0] for digit, path in files.items()}
    draw = torch.Generator().manual_seed(seed)
    table = io.StringIO()
    rows = csv.writer(table, lineterminator="\n")
    rows.writerow(["audio", "transcript", "speaker"])
    for number in range(count):
        speaker = number % SPEAKERS
        digits = torch.randint(10, (3 + int(torch.randint(4, (), generator=draw)),), generator=draw).tolist()
        name = f"{number:04}.wav"
        write_wav(folder / name, _spoken(digits, speaker, known, draw), RATE)
        rows.writerow([name, " ".join(DIGITS[digit] for digit in digits), f"voice-{speaker}"])
    manifest = folder / "recordings.csv"
    write_atomically(manifest, table.getvalue())
    return manifest


def _spoken(digits: list[int], speaker: int, known: Mapping[int, Samples], draw: torch.Generator) -> Samples:
    """Digits one after another, with pauses, and noise below."""
    share = speaker / (SPEAKERS - 1)
    pieces = [np.zeros(int(uniform(0.1, 0.3, draw) * RATE), np.float32)]
    for digit in digits:
        if known:
            said = sound_at_speed(known[digit], (0.8 + 0.4 * share) * uniform(0.95, 1.05, draw))
        else:
            said = say_digit(digit, RATE, draw, pitch=90 + 130 * share, size=0.92 + 0.25 * share)
        pieces += [said, np.zeros(int(uniform(0.03, 0.2, draw) * RATE), np.float32)]
    pieces.append(np.zeros(int(uniform(0.05, 0.2, draw) * RATE), np.float32))
    sound = np.concatenate(pieces) * np.float32(uniform(0.5, 1.5, draw))
    return with_noise(sound, pink_noise(len(sound), draw), uniform(15, 35, draw))
