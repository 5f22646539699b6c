"""What pieces are like: range, density, intervals and repetition, for pieces drawn beside those of a corpus."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["music_statistics", "statistics_table"]

CLASSES = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")


def music_statistics(rolls: Iterable[NDArray[np.bool_]], *, bar: int = 16, lowest: int = 21) -> dict[str, float]:
    """Figures of some pieces, pooled over all of their frames; a run of frames in which a key sounds is a note.

    Args:
        rolls: Which keys sound in each frame of each piece, (T, K) each.
        bar: Frames a bar.
        lowest: The pitch of the first key.

    Returns:
        By name: pieces, frames and notes; the lowest and the highest pitch; notes a frame; the share of silent frames;
        onsets a bar; frames a note lasts; frames like the one before, out of those with one before; whole bars like an
        earlier one of their piece, out of those with an earlier one; the mean step of the top voice in semitones, and
        the shares of its steps, among frames where it moves, of at most 2 semitones and of over 7; and the share of
        each pitch class among the keys sounding. What there is nothing to divide by is not a number.

    Example:
        >>> figures = music_statistics([np.array([[1, 0, 0], [0, 0, 1]], dtype=bool)], bar=2, lowest=60)
        >>> figures["notes"], figures["onsets a bar"], figures["mean step of the top voice"], figures["share of C"]
        (2.0, 2.0, 2.0, 0.5)
    """
    pieces = [np.asarray(roll, dtype=bool) for roll in rolls]
    frames = sum(map(len, pieces))
    sounding = sum((roll.sum(0, dtype=np.int64) for roll in pieces), np.zeros(1, dtype=np.int64))
    pressed = int(sounding.sum())
    notes = sum(int((roll & ~np.pad(roll, ((1, 0), (0, 0)))[:-1]).sum()) for roll in pieces)
    keys = np.flatnonzero(sounding)
    alike = sum(int((roll[1:] == roll[:-1]).all(1).sum()) for roll in pieces)
    repeated = [_repeated_bars(roll, bar) for roll in pieces]
    steps = np.concatenate([np.zeros(0), *map(_top_steps, pieces)])
    figures = {
        "pieces": float(len(pieces)),
        "frames": float(frames),
        "notes": float(notes),
        "lowest pitch": float(lowest + keys[0]) if len(keys) else float("nan"),
        "highest pitch": float(lowest + keys[-1]) if len(keys) else float("nan"),
        "notes a frame": _share(pressed, frames),
        "silent frames": _share(sum(int((~roll.any(1)).sum()) for roll in pieces), frames),
        "onsets a bar": _share(notes * bar, frames),
        "frames a note": _share(pressed, notes),
        "frames like the last": _share(alike, sum(max(len(roll) - 1, 0) for roll in pieces)),
        "bars like an earlier one": _share(sum(each[0] for each in repeated), sum(each[1] for each in repeated)),
        "mean step of the top voice": _share(float(steps.sum()), len(steps)),
        "steps of 2 semitones or less": _share(int((steps <= 2).sum()), len(steps)),
        "leaps of over 7 semitones": _share(int((steps > 7).sum()), len(steps)),
    }
    for number, name in enumerate(CLASSES):
        of_class = sum(int(sounding[key]) for key in keys if (lowest + key) % 12 == number)
        figures[f"share of {name}"] = _share(of_class, pressed)
    return figures


def statistics_table(columns: Mapping[str, Mapping[str, float]]) -> str:
    """Figures of several sets of pieces side by side.

    Args:
        columns: By the heading of a column, what `music_statistics` gave.

    Example:
        >>> print(statistics_table({"drawn": {"notes": 4, "onsets a bar": 1.5}, "corpus": {"notes": 2}}))
                      drawn  corpus
        notes             4       2
        onsets a bar  1.500       -
    """
    names = list(dict.fromkeys(name for figures in columns.values() for name in figures))
    rows = [["", *columns]]
    rows += [[name, *(_written(figures.get(name)) for figures in columns.values())] for name in names]
    return _aligned(rows)


def _aligned(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = (
        "  ".join(
            [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        )
        for row in rows
    )
    return "\n".join(lines)


def _written(figure: float | None) -> str:
    if figure is None or figure != figure:
        return "-"
    return f"{figure:,.0f}" if float(figure).is_integer() and abs(figure) > 1 else f"{figure:.3f}"


def _share(part: float, whole: float) -> float:
    return part / whole if whole else float("nan")


def _repeated_bars(roll: NDArray[np.bool_], bar: int) -> tuple[int, int]:
    """How many whole bars are like an earlier one, and how many have an earlier one."""
    bars = [roll[start : start + bar].tobytes() for start in range(0, len(roll) - bar + 1, bar)]
    return len(bars) - len(set(bars)), max(len(bars) - 1, 0)


def _top_steps(roll: NDArray[np.bool_]) -> NDArray[np.float64]:
    """The intervals by which the highest key moves, over silences too, in semitones."""
    sounds = roll[roll.any(1)]
    if not len(sounds):
        return np.zeros(0)
    top = sounds.shape[1] - 1 - sounds[:, ::-1].argmax(1)
    steps = np.abs(np.diff(top)).astype(np.float64)
    moved: NDArray[np.float64] = steps[steps > 0]
    return moved
