"""How probable pieces are, for people and for programs."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from rich.text import Text

from recurra.data.rolls import Roll
from recurra.tasks.music_surprise import Surprise
from recurra.tasks.task import Format
from recurra.training.figures import printable

if TYPE_CHECKING:
    from recurra.tasks.trained import Trained

__all__ = ["MUSIC_FORMATS", "show"]

BLOCKS = " ▁▂▃▄▅▆▇█"
WIDTH = 64
"""Signs that stand for the surprise of a piece on a line."""


def show(roll: Roll, answer: Surprise) -> dict[str, Any]:
    """The answer as JSON: bits of surprise of each frame, and of each of its notes beside the pitch."""
    frames = len(answer.log_probabilities)
    return {
        "piece": roll.title or str(roll.source),
        "frames": frames,
        "log_probability": round(-answer.nats, 3),
        "nats_a_frame": round(answer.nats / frames, 4) if frames else None,
        "surprise": [round(bits, 3) for bits in answer.bits],
        "notes": [
            [[pitch, round(bits, 3)] for pitch, bits in zip(pitches, each, strict=True)]
            for pitches, each in zip(roll.pitches, answer.note_bits, strict=True)
        ],
    }


def surprise_lines(
    run: Trained[Any, Roll, Any, Any, Any, Surprise], answered: Iterable[tuple[Roll, Surprise]]
) -> Iterator[Text]:
    """A line a piece: nats a frame, and the surprise along it."""
    for roll, answer in answered:
        frames = len(answer.log_probabilities)
        name = printable(roll.title or str(roll.source), "utf-8")
        if not frames:
            yield Text(f"{name}: no frame\n", "dim")
            continue
        yield Text.assemble(
            (f"{answer.nats / frames:6.2f}", "cyan"), " nats a frame  ", (_curve(answer.bits), "yellow"), f"  {name}\n"
        )


def _curve(bits: list[float]) -> str:
    """The surprise along a piece, drawn with blocks: its mean over equal stretches."""
    width = min(WIDTH, len(bits))
    edges = [round(number * len(bits) / width) for number in range(width + 1)]
    means = [math.fsum(bits[a:b]) / (b - a) for a, b in itertools.pairwise(edges)]
    most = max(*means, 1e-9) if len(means) > 1 else max(means[0], 1e-9)
    return "".join(BLOCKS[min(len(BLOCKS) - 1, math.ceil(mean / most * (len(BLOCKS) - 1)))] for mean in means)


MUSIC_FORMATS: Mapping[str, Format[Roll, Surprise]] = {"text": surprise_lines}
"""The formats by name, beside JSON lines."""
