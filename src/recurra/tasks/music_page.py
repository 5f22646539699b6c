"""A page that plays a piece and shows how surprising it is: one file, with no network behind it."""

from __future__ import annotations

import json
from collections.abc import Sequence

from recurra.data.copied_music import CopiedPassage
from recurra.data.piano_roll import piece_of
from recurra.data.piece import note_name
from recurra.data.rolls import Roll
from recurra.tasks.page import escaped, page_head

__all__ = ["PageOfMusic", "music_page"]

STYLE = """
:root { --note: hsl(212 60% 32%); --grid: hsl(220 12% 88%); --copied: hsl(12 60% 50%); --roll: hsl(220 20% 98%) }
@media (prefers-color-scheme: dark) { :root { --note: hsl(206 70% 68%); --grid: hsl(220 10% 24%);
  --copied: hsl(14 80% 62%); --roll: hsl(220 12% 13%) } }
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 75rem }
h1 { font-size: 1.25rem; margin: 0 0 .25rem } h2 { font-size: 1rem; margin: 1.8rem 0 .2rem }
p { margin: .2rem 0 .7rem; color: var(--faint) }
.bar { display: flex; gap: .8rem; align-items: center; flex-wrap: wrap; margin: .4rem 0 }
button { font: inherit; min-width: 5.5rem; padding: .35rem .9rem; border-radius: .4rem; border: 1px solid var(--faint);
  background: transparent; color: inherit; cursor: pointer }
button:focus-visible, .roll:focus-visible { outline: 3px solid hsl(206 90% 55%); outline-offset: 2px }
.roll { overflow-x: auto; background: var(--roll); border: 1px solid var(--grid); border-radius: .4rem;
  cursor: pointer }
svg { display: block } .line { stroke: var(--grid) } .name { fill: var(--faint); font-size: 10px }
.copied { fill: var(--copied); opacity: .16 } .head { stroke: hsl(350 85% 55%); stroke-width: 2 }
.surprise { fill: var(--faint); opacity: .45 } .note { stroke: var(--roll); stroke-width: .6 }
.legend { display: inline-block; width: 7rem; height: .7rem; border-radius: .2rem; vertical-align: middle;
  background: linear-gradient(90deg, hsl(212 45% 42%), hsl(275 55% 50%), hsl(345 75% 52%)) }
"""

SCRIPT = """
'use strict';
for (const section of document.querySelectorAll('section')) {
  const piece = JSON.parse(section.querySelector('script').textContent);
  const button = section.querySelector('button'), roll = section.querySelector('.roll');
  const head = section.querySelector('.head'), clock = section.querySelector('.clock');
  let context = null, began = 0, from = 0, timer = 0;
  const end = piece.frames * piece.seconds;
  const show = at => {
    const x = piece.left + at / piece.seconds * piece.step;
    head.setAttribute('x1', x); head.setAttribute('x2', x);
    const frame = Math.min(piece.frames - 1, Math.floor(at / piece.seconds));
    const bits = piece.bits.length ? `, ${piece.bits[frame].toFixed(1)} bits` : '';
    clock.textContent = `${at.toFixed(1)} of ${end.toFixed(1)} s, bar ${Math.floor(frame / piece.bar) + 1}${bits}`;
    if (context && (x < roll.scrollLeft || x > roll.scrollLeft + roll.clientWidth - 40)) roll.scrollLeft = x - 60;
  };
  const stop = () => { if (!context) return; cancelAnimationFrame(timer); context.close(); context = null;
    button.textContent = 'Play'; button.setAttribute('aria-pressed', 'false'); };
  const play = () => {
    context = new AudioContext(); began = context.currentTime + 0.05;
    const master = context.createGain(); master.gain.value = 0.25; master.connect(context.destination);
    for (const [begin, stopAt, pitch] of piece.notes) {
      const a = begin * piece.seconds - from, b = stopAt * piece.seconds - from;
      if (b <= 0) continue;
      const tone = context.createOscillator(), gain = context.createGain(), start = began + Math.max(0, a);
      tone.type = 'triangle'; tone.frequency.value = 440 * 2 ** ((pitch - 69) / 12);
      gain.gain.setValueAtTime(0, start); gain.gain.linearRampToValueAtTime(0.5, start + 0.015);
      gain.gain.exponentialRampToValueAtTime(0.12, began + Math.max(b, a + 0.05));
      gain.gain.linearRampToValueAtTime(0, began + b + 0.08);
      tone.connect(gain).connect(master); tone.start(start); tone.stop(began + b + 0.1);
    }
    button.textContent = 'Pause'; button.setAttribute('aria-pressed', 'true');
    const tick = () => { const at = from + Math.max(0, context.currentTime - began);
      if (at >= end) { from = 0; stop(); show(0); return; } show(at); timer = requestAnimationFrame(tick); };
    tick();
  };
  const toggle = () => { if (context) { from += Math.max(0, context.currentTime - began); stop(); } else play(); };
  const seek = at => { const playing = !!context; stop(); from = Math.min(Math.max(0, at), end - 0.01); show(from);
    if (playing) play(); };
  button.addEventListener('click', toggle);
  roll.addEventListener('click', event => {
    const x = event.clientX - roll.getBoundingClientRect().left + roll.scrollLeft - piece.left;
    seek(x / piece.step * piece.seconds); });
  roll.addEventListener('keydown', event => {
    const now = from + (context ? Math.max(0, context.currentTime - began) : 0), bar = piece.bar * piece.seconds;
    if (event.key === ' ') toggle(); else if (event.key === 'ArrowRight') seek(now + bar);
    else if (event.key === 'ArrowLeft') seek(now - bar); else if (event.key === 'Home') seek(0); else return;
    event.preventDefault(); });
  show(0);
}
"""

STEP, KEY, LEFT, CURVE = 9, 8, 34, 46
"""Pixels of a frame, of a key, of the names of keys, and of the curve of surprise."""


class PageOfMusic:
    """A piece as a page shows it.

    Args:
        roll: The piece.
        title: What it is called.
        bits: How surprising each frame is, in bits; may be empty.
        copies: Passages that stand in other pieces.
        notes: What is said of it, a sentence each.
    """

    def __init__(
        self,
        roll: Roll,
        title: str,
        bits: Sequence[float] = (),
        copies: Sequence[CopiedPassage] = (),
        notes: Sequence[str] = (),
    ) -> None:
        self.roll, self.title, self.bits, self.copies, self.notes = roll, title, list(bits), copies, notes


def music_page(
    pieces: Sequence[PageOfMusic], title: str, *, seconds_a_frame: float = 0.15, frames_a_bar: int = 16
) -> str:
    """A page that plays pieces: a click or the space bar plays, the arrows go a bar on or back.

    Args:
        pieces: The pieces.
        title: What the page is called.
        seconds_a_frame: How long a frame lasts.
        frames_a_bar: How many frames a bar has.
    """
    sections = "".join(_section(piece, seconds_a_frame, frames_a_bar) for piece in pieces)
    legend = (
        '<p>The colour of a note says how surprising its frame was to the model: <span class="legend"></span> '
        "from expected to surprising. Click the roll to play from there; with the keyboard: space plays, the arrows "
        "go a bar on or back.</p>\n"
    )
    return page_head(title, STYLE, scripts=True) + legend + sections + f"<script>{SCRIPT}</script>\n</body>\n</html>\n"


def _section(piece: PageOfMusic, seconds: float, bar: int) -> str:
    notes = [
        (note.start // 480, note.end // 480, note.pitch)
        for note in piece_of(piece.roll.frames, 1, lowest=piece.roll.lowest).notes
    ]
    data = {
        "frames": len(piece.roll),
        "seconds": seconds,
        "bar": bar,
        "left": LEFT,
        "step": STEP,
        "bits": [round(value, 2) for value in piece.bits],
        "notes": notes,
    }
    said = "".join(f"<p>{escaped(note)}</p>\n" for note in piece.notes)
    label = escaped(f"{piece.title}: piano roll; space plays")
    return (
        f'<section>\n<h2>{escaped(piece.title)}</h2>\n{said}<div class="bar"><button type="button" '
        f'aria-pressed="false">Play</button><span class="clock"></span></div>\n'
        f'<div class="roll" tabindex="0" role="img" aria-label="{label}">{_drawing(piece, notes, bar)}</div>\n'
        f'<script type="application/json">{json.dumps(data)}</script>\n</section>\n'
    )


def _drawing(piece: PageOfMusic, notes: Sequence[tuple[int, int, int]], bar: int) -> str:
    """The roll as SVG."""
    pitches = [pitch for _, _, pitch in notes] or [60]
    low, high = min(pitches) - 1, max(pitches) + 1
    frames, height = len(piece.roll), (high - low + 1) * KEY
    curve = CURVE if piece.bits else 0
    width = LEFT + frames * STEP + 8
    most = max(piece.bits, default=0.0) or 1.0
    parts = [f'<svg width="{width}" height="{height + curve + 6}" aria-hidden="true">']
    for pitch in range(low, high + 1):
        if pitch % 12 == 0:
            y = (high - pitch + 1) * KEY
            parts.append(f'<text class="name" x="4" y="{y - 1}">{note_name(pitch)}</text>')
            parts.append(f'<line class="line" x1="{LEFT}" x2="{width}" y1="{y}" y2="{y}"/>')
    for frame in range(0, frames + 1, bar):
        x = LEFT + frame * STEP
        parts.append(f'<line class="line" x1="{x}" x2="{x}" y1="0" y2="{height}"/>')
    for passage in piece.copies:
        x, wide = LEFT + passage.begin * STEP, passage.frames * STEP
        parts.append(f'<rect class="copied" x="{x}" y="0" width="{wide}" height="{height}"/>')
    for begin, end, pitch in notes:
        share = min(1.0, piece.bits[begin] / most) if piece.bits else 0.0
        hue = round(212 + 133 * share)
        parts.append(
            f'<rect class="note" x="{LEFT + begin * STEP}" y="{(high - pitch) * KEY}" rx="2" height="{KEY}" '
            f'width="{(end - begin) * STEP}" fill="hsl({hue} {45 + round(30 * share)}% 48%)">'
            f"<title>{note_name(pitch)}, bar {begin // bar + 1}</title></rect>"
        )
    for frame, bits in enumerate(piece.bits):
        tall = round(bits / most * (CURVE - 8), 1)
        left, top = LEFT + frame * STEP, height + CURVE - tall
        parts.append(f'<rect class="surprise" x="{left}" y="{top}" width="{STEP - 1}" height="{tall}"/>')
    parts.append(f'<line class="head" x1="{LEFT}" x2="{LEFT}" y1="0" y2="{height + curve}"/></svg>')
    return "".join(parts)
