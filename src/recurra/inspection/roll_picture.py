"""A picture of a piece of music as a piano roll."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from recurra.data.piece import Piece, bar_lines, note_name
from recurra.inspection.pictures import check_picture, new_figure, save

__all__ = ["Passage", "draw_piece"]

_BLACK = frozenset({1, 3, 6, 8, 10})
_COLOURS = ("#1f3b57", "#8a4b08", "#2d6a4f", "#7a2e55", "#4b4b9b", "#6b6b00")


class Passage(NamedTuple):
    """A passage that is marked, from one tick to another, and what is said of it."""

    start: int
    end: int
    text: str


def draw_piece(piece: Piece, path: str | Path, *, title: str = "", passages: Sequence[Passage] = ()) -> None:
    """Draws a piece as a piano roll: dark notes on light, a colour a part, bars numbered, the Cs named.

    Args:
        piece: The piece.
        path: The picture; its name ends in .png, .pdf or .svg.
        title: What stands above; by default the piece's title.
        passages: Passages that are marked, such as copied ones.

    Raises:
        SettingError: matplotlib is not installed, or the name ends in no kind of picture.
        RunError: The file cannot be written.
    """
    check_picture(path)
    pitches = [note.pitch for note in piece.notes] or [60]
    low, high = min(pitches) - 2, max(pitches) + 2
    quarters = piece.end / piece.ticks_per_quarter
    figure = new_figure(min(max(6.0, 1.2 + 0.22 * quarters), 40.0), min(max(2.6, 1.0 + 0.085 * (high - low)), 12.0))
    axes = figure.add_subplot()
    for pitch in range(low, high + 1):
        if pitch % 12 in _BLACK:
            axes.axhspan(pitch - 0.5, pitch + 0.5, color="#f1f2f4", linewidth=0)
    for passage in passages:
        axes.axvspan(passage.start, passage.end, color="#f6c945", alpha=0.35, linewidth=0)
        axes.text(
            passage.start, high + 0.6, f" {passage.text}", fontsize=8, color="#7a5b00", va="bottom", clip_on=False
        )
    _bars(axes, piece)
    for number, track in enumerate(piece.tracks):
        colour = _COLOURS[number % len(_COLOURS)]
        notes = [note for note in piece.notes if note.track == number]
        for note in notes:
            axes.broken_barh(
                [(note.start, max(note.end - note.start, 1))],
                (note.pitch - 0.42, 0.84),
                facecolor=colour,
                alpha=0.35 + 0.65 * note.velocity / 127,
                edgecolor="white",
                linewidth=0.4,
            )
        if len(piece.tracks) > 1 and notes:
            axes.plot([], [], color=colour, linewidth=5, label=track.name or f"part {number + 1}")
    if len(piece.tracks) > 1:
        axes.legend(fontsize=8, frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0), borderaxespad=0.3)
    named = [pitch for pitch in range(low, high + 1) if pitch % 12 == 0] or [low + 2, high - 2]
    axes.set_yticks(named, [note_name(pitch) for pitch in named], fontsize=8)
    axes.set_ylim(low - 0.5, high + 0.5)
    axes.set_xlim(0, max(piece.end, 1))
    axes.tick_params(length=0)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_xlabel("bar", fontsize=9)
    axes.set_title(title or piece.title, fontsize=10, loc="left", pad=18 if passages else 6)
    save(figure, path)


def _bars(axes: Any, piece: Piece) -> None:  # noqa: ANN401  (matplotlib's)
    """Draws a line at each bar, and numbers as many as there is room for."""
    lines = bar_lines(piece)
    step = next(step for step in (1, 2, 4, 8, 16, 32, 64, 1 << 21) if len(lines) <= 40 * step)
    for number, tick in enumerate(lines):
        if number % step == 0 or step < 8:
            axes.axvline(tick, color="#b9bec6" if number % step == 0 else "#e1e4e8", linewidth=0.7, zorder=0.5)
    axes.set_xticks(lines[::step], [str(number + 1) for number in range(0, len(lines), step)], fontsize=8)
