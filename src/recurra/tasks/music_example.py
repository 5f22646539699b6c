"""Short synthetic pieces, for tests and examples."""

from __future__ import annotations

import json
import random
from pathlib import Path

__all__ = ["write_example"]

SCALE = (0, 2, 4, 5, 7, 9, 11)
PROGRESSIONS = ((0, 3, 4, 0), (0, 5, 3, 4), (0, 1, 4, 0))
"""Degrees of the scale, from 0, on which the chords of a piece stand."""


def write_example(folder: Path, count: int = 30) -> Path:
    """Writes pieces of broken and whole chords under a melody that walks the scale; made for the purpose.

    Args:
        folder: Where the file is written.
        count: How many pieces.

    Returns:
        The file, JSON of pitches a frame.
    """
    draw = random.Random(0)
    pieces = [_piece(draw) for _ in range(count)]
    path = folder / "pieces.json"
    path.write_text(json.dumps(pieces), encoding="utf-8")
    return path


def _piece(draw: random.Random) -> list[list[int]]:
    tonic, step = draw.choice((60, 62, 65, 67)), 7
    frames = []
    for degree in draw.choice(PROGRESSIONS):
        chord = [_pitch(tonic - 12, degree + third) for third in (0, 2, 4)]
        for _ in range(draw.choice((2, 4))):
            step = min(10, max(4, step + draw.choice((-1, 0, 1))))
            frames.append(sorted({*chord, _pitch(tonic, step)}))
    return frames


def _pitch(tonic: int, degree: int) -> int:
    octave, within = divmod(degree, len(SCALE))
    return tonic + 12 * octave + SCALE[within] - (12 if degree >= len(SCALE) else 0)
