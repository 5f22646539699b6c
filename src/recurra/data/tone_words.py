"""Words whose letters are tones: recordings that are made in a moment, for tests and documents."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
import torch

from recurra.data.audio import Samples, write_wav
from recurra.data.files import write_atomically
from recurra.data.sound_effects import white_noise
from recurra.data.spec_augment import uniform

__all__ = ["TONES", "write_tone_words"]

TONES = {"a": 500.0, "b": 900.0, "c": 1500.0, "d": 2400.0}
"""The hertz of each letter."""

RATE = 8000
"""Samples a second."""

LETTER, PAUSE = 0.09, 0.12
"""Seconds of a letter, and of the silence between words."""


def write_tone_words(folder: Path, count: int = 40, seed: int = 0) -> Path:
    """Write recordings of one or two words of two or three letters, each letter a tone, by four speakers.

    Args:
        folder: Where; it must exist.
        count: How many recordings.
        seed: What is drawn from.

    Returns:
        The manifest, a table with commas and the columns audio, transcript and speaker.

    Example:
        >>> import tempfile
        >>> print(write_tone_words(Path(tempfile.mkdtemp()), 2).read_text().splitlines()[0])
        audio,transcript,speaker
    """
    draw = torch.Generator().manual_seed(seed)
    table = io.StringIO()
    rows = csv.writer(table, lineterminator="\n")
    rows.writerow(["audio", "transcript", "speaker"])
    for number in range(count):
        words = [_word(draw) for _ in range(1 + _whole(2, draw))]
        speaker = number % 4
        name = f"{number:03}.wav"
        write_wav(folder / name, _spoken(words, 0.94 + 0.04 * speaker, draw), RATE)
        rows.writerow([name, " ".join(words), f"speaker-{speaker}"])
    manifest = folder / "recordings.csv"
    write_atomically(manifest, table.getvalue())
    return manifest


def _whole(below: int, draw: torch.Generator) -> int:
    return int(torch.randint(below, (), generator=draw))


def _word(draw: torch.Generator) -> str:
    """Two or three letters of which no two next to each other are the same."""
    letters = [*TONES]
    word = letters[_whole(4, draw)]
    for _ in range(1 + _whole(2, draw)):
        word += [letter for letter in letters if letter != word[-1]][_whole(3, draw)]
    return word


def _spoken(words: list[str], pitch: float, draw: torch.Generator) -> Samples:
    silence = np.zeros(int(PAUSE * RATE))
    pieces = [silence]
    for word in words:
        for letter in word:
            time = np.arange(int(LETTER * uniform(0.9, 1.1, draw) * RATE)) / RATE
            rise = np.sin(np.pi * np.arange(len(time)) / len(time))
            pieces.append(0.4 * rise * np.sin(2 * np.pi * TONES[letter] * pitch * time))
        pieces.append(silence)
    sound = np.concatenate(pieces)
    return (sound + 0.003 * white_noise(len(sound), draw)).astype(np.float32)
