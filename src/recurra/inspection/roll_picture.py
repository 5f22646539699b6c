"""Pictures of pieces: the notes over time, how surprising each frame is, and what stands in other pieces."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from recurra.data.copied_music import CopiedPassage
from recurra.data.piano_roll import piece_of
from recurra.data.piece import note_name
from recurra.data.rolls import Roll
from recurra.inspection.pictures import check_picture, new_figure, save

__all__ = ["draw_roll"]

NOTE, COPIED, BARS = "#1f4e79", "#c8553d", "#d5d9de"
WIDEST, TALLEST = 24.0, 7.0
"""Inches."""

BLACK_KEYS = {1, 3, 6, 8, 10}


def draw_roll(
    roll: Roll,
    path: str | Path,
    *,
    bits: Sequence[float] = (),
    copies: Sequence[CopiedPassage] = (),
    frames_a_bar: int = 16,
    primer: int = 0,
    title: str = "",
) -> None:
    """Draw a piece.

    Args:
        roll: The piece.
        path: Where the picture goes: .png, .pdf or .svg.
        bits: How surprising each frame is, in bits, (T,); none leaves the curve below the notes out.
        copies: Passages that stand in other pieces, which are marked.
        frames_a_bar: How many frames a bar has.
        primer: How many frames at the beginning the piece goes on from, which are shaded.
        title: What stands above.

    Raises:
        SettingError: matplotlib is missing, or the file's name ends in no kind of picture.
        RunError: The file cannot be written.
    """
    check_picture(path)
    steps = max(len(roll), 1)
    sounding = np.flatnonzero(roll.frames.any(0)) + roll.lowest
    low, high = (int(sounding[0]) - 2, int(sounding[-1]) + 2) if len(sounding) else (58, 62)
    height = min(TALLEST, 1.6 + 0.1 * (high - low)) + (1.1 if len(bits) else 0)
    figure = new_figure(min(WIDEST, max(6.0, 2 + 0.11 * steps)), height)
    ratios = [3.2, 1] if len(bits) else [1]
    panels = figure.subplots(len(ratios), 1, sharex=True, squeeze=False, height_ratios=ratios)[:, 0]
    axes = panels[0]
    for pitch in range(low, high + 1):
        if pitch % 12 in BLACK_KEYS:
            axes.axhspan(pitch - 0.5, pitch + 0.5, color="#f3f5f7", linewidth=0, zorder=0)
    if primer:
        axes.axvspan(0, primer, color="#fff3d6", linewidth=0, zorder=0.5)
        axes.text(primer, high + 0.3, "goes on from here ", ha="right", va="top", fontsize=7.5, color="#8a6d1f")
    for passage in copies:
        axes.axvspan(passage.begin, passage.begin + passage.frames, color=COPIED, alpha=0.13, linewidth=0, zorder=0.6)
    notes = piece_of(roll.frames, 1, lowest=roll.lowest)
    ticks = notes.ticks_per_quarter
    for note in notes.notes:
        begin, end = note.start / ticks, note.end / ticks
        copied = any(passage.begin <= begin < passage.begin + passage.frames for passage in copies)
        axes.barh(
            note.pitch, end - begin - 0.12, 0.82, left=begin + 0.06, color=COPIED if copied else NOTE, linewidth=0
        )
    for panel in panels:
        for bar in range(0, steps + 1, frames_a_bar):
            panel.axvline(bar, color=BARS, linewidth=0.8, zorder=0.7)
        panel.spines[["top", "right"]].set_visible(False)
        panel.tick_params(labelsize=8)
    names = [pitch for pitch in range(low, high + 1) if pitch % 12 == 0 or (high - low < 14 and pitch % 12 in (5, 7))]
    axes.set_yticks(names, [note_name(pitch) for pitch in names])
    axes.set(ylim=(low - 0.5, high + 0.8), xlim=(0, steps))
    axes.set_title(title, fontsize=10, loc="left")
    bottom = panels[-1]
    every = max(1, -(-steps // frames_a_bar // 24)) * frames_a_bar
    bottom.set_xticks(range(0, steps, every), [str(frame // frames_a_bar + 1) for frame in range(0, steps, every)])
    bottom.set_xlabel("bar", fontsize=9)
    if len(bits):
        # A step lasts until the next, and the last one until the end.
        bottom.fill_between(
            np.arange(steps + 1), [*bits, bits[-1]], step="post", color="#6b8fb5", alpha=0.55, linewidth=0
        )
        bottom.set_ylabel("bits", fontsize=9)
        bottom.set_ylim(0, max(max(bits) * 1.1, 1e-9))
    save(figure, path)
