"""What a model of music answers to a piece: how probable each of its frames is."""

from __future__ import annotations

import math
from dataclasses import dataclass

from recurra.data.rolls import Roll
from recurra.metrics import Metric, Tally

__all__ = ["Surprise", "music_metrics"]


@dataclass(frozen=True)
class Surprise:
    """How probable a piece is, frame by frame.

    Args:
        log_probabilities: The natural logarithm of the probability of each frame, given all before it.
        notes: Of each frame the log-probabilities of its notes, from low to high. They are those of the whole frame
            only together with that of what does not sound.
    """

    log_probabilities: tuple[float, ...]
    notes: tuple[tuple[float, ...], ...] = ()

    @property
    def nats(self) -> float:
        """-log p of the whole piece."""
        return -math.fsum(self.log_probabilities)

    @property
    def bits(self) -> list[float]:
        """-log2 p of each frame: how surprising it is."""
        return [-value / math.log(2) for value in self.log_probabilities]

    @property
    def note_bits(self) -> list[list[float]]:
        """-log2 p of each note of each frame, from low to high, given those below it."""
        return [[max(0.0, -value / math.log(2)) for value in frame] for frame in self.notes]


def music_metrics(head: str) -> list[Metric[Roll, Surprise]]:
    """What says how well pieces are predicted; the first selects the weights.

    Args:
        head: What the distribution of a frame is over, as it stands beside every figure: the likelihoods of different
            distributions of a frame are of the same thing, but what they can reach differs.
    """

    def mean(tally: Tally) -> float:
        return tally["nats"] / tally["frames"] if tally["frames"] else math.nan

    def whole(roll: Roll, answer: Surprise) -> Tally:
        return {"nats": answer.nats, "frames": len(answer.log_probabilities)}

    def from_the_second(roll: Roll, answer: Surprise) -> Tally:
        return {"nats": -math.fsum(answer.log_probabilities[1:]), "frames": max(0, len(answer.log_probabilities) - 1)}

    def by_piece(roll: Roll, answer: Surprise) -> Tally:
        frames = len(answer.log_probabilities)
        return {"nats": answer.nats / frames if frames else 0.0, "frames": float(frames > 0)}

    signature = f"natural logarithms, the distribution of a frame over {head}"
    return [
        Metric(
            "nll",
            f"NLL a frame ({head})",
            whole,
            mean,
            "lower",
            ".3f",
            signature=f"{signature}; all frames of all pieces, the first given one without a note",
        ),
        Metric("nll_later", "NLL from the second frame on", from_the_second, mean, "lower", ".3f", detail=True),
        Metric("nll_by_piece", "mean of the pieces' NLL a frame", by_piece, mean, "lower", ".3f", detail=True),
    ]
