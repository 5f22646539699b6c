"""A piece of music as a page of HTML that plays it, shows what a model made of it, and needs nothing beside itself."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import NamedTuple

from recurra.data.piece import Piece, bar_lines, note_name, seconds_at
from recurra.tasks.page import escaped, page_head

__all__ = ["Curve", "Passage", "music_page"]

WIDTH = 30
"""Pixels of a quarter."""

ROW = 8
"""Pixels of a key."""

BAND = 44
"""Pixels of the height of a curve."""

MOST_BITS = 8.0
"""The surprise from which on a note has the last of the colours."""

STYLE = """
:root { --row: hsl(220 14% 95%); --line: hsl(220 10% 78%); --light: 45%; --copy: hsl(45 90% 60% / .35);
  --copytext: hsl(42 100% 24%); --accent: hsl(210 70% 42%) }
@media (prefers-color-scheme: dark) { :root { --row: hsl(220 10% 14%); --line: hsl(220 8% 32%); --light: 62%;
  --copy: hsl(45 80% 50% / .28); --copytext: hsl(45 80% 65%); --accent: hsl(210 80% 68%) } }
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 76rem }
h1 { font-size: 1.2rem; margin: 0 0 .6rem }
.bar { display: flex; gap: .8rem; align-items: center; flex-wrap: wrap; margin-bottom: .8rem }
button { font: inherit; padding: .35rem 1.1rem; border-radius: .5rem; border: 1px solid var(--accent); cursor: pointer;
  background: var(--accent); color: var(--background); min-width: 6.5rem }
input { flex: 1 1 10rem; accent-color: var(--accent) }
output { font-variant-numeric: tabular-nums; color: var(--faint); min-width: 6rem }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px }
.roll { display: flex; border: 1px solid var(--line); border-radius: .4rem; overflow: hidden }
.roll > svg { flex: none; border-right: 1px solid var(--line) }
.scroll { overflow-x: auto; flex: 1 }
svg { display: block } svg text { font: 11px system-ui, sans-serif; fill: var(--faint) }
svg .copied { fill: var(--copytext); font-weight: 600 }
.note { fill: hsl(var(--hue) 70% var(--light)) } .note.now { stroke: var(--text); stroke-width: 2 }
.curve { fill: none; stroke: var(--accent); stroke-width: 1.5 }
.scale { display: inline-block; width: 9rem; height: .7rem; border-radius: .3rem; vertical-align: middle;
  background: linear-gradient(90deg, hsl(210 70% var(--light)), hsl(105 70% var(--light)), hsl(0 70% var(--light))) }
p, ul { font-size: .9rem; color: var(--faint); margin: .7rem 0 } ul { padding-left: 1.2rem }
kbd { border: 1px solid var(--line); border-radius: .25rem; padding: 0 .3rem }
"""

SCRIPT = """
const notes = PLAYED, total = TOTAL, ticks = TICKS, seconds = SECONDS;
const play = document.getElementById('play'), seek = document.getElementById('seek');
const time = document.getElementById('time'), cursor = document.getElementById('cursor');
const scroll = document.getElementById('scroll'), shapes = document.querySelectorAll('.note');
let context = null, begun = 0, from = 0, playing = false, next = 0, voices = [];
const clock = s => Math.floor(s / 60) + ':' + String(Math.floor(s % 60)).padStart(2, '0');
function pixel(s) {
  let i = 1;
  while (i < seconds.length - 1 && seconds[i] <= s) i++;
  const part = (s - seconds[i - 1]) / ((seconds[i] - seconds[i - 1]) || 1);
  return ticks[i - 1] + part * (ticks[i] - ticks[i - 1]);
}
function show(s, follow) {
  const x = pixel(Math.min(s, total));
  cursor.setAttribute('x1', x); cursor.setAttribute('x2', x);
  time.textContent = clock(Math.min(s, total)) + ' / ' + clock(total);
  if (document.activeElement !== seek || playing) seek.value = s;
  shapes.forEach((shape, i) => shape.classList.toggle('now', playing && notes[i][0] <= s && s < notes[i][1]));
  if (follow && (x < scroll.scrollLeft || x > scroll.scrollLeft + scroll.clientWidth * .9))
    scroll.scrollLeft = Math.max(0, x - scroll.clientWidth * .15);
}
function sound(note, at) {
  const [start, end, pitch, velocity, drum] = note, gain = context.createGain();
  const tone = context.createOscillator(), loud = .16 * Math.pow(velocity / 127, 1.5);
  tone.type = drum ? 'square' : 'triangle';
  tone.frequency.value = drum ? 60 + 2 * pitch : 440 * Math.pow(2, (pitch - 69) / 12);
  const stop = drum ? at + .06 : at + Math.max(.05, end - start);
  gain.gain.setValueAtTime(0, at); gain.gain.linearRampToValueAtTime(loud, at + .01);
  gain.gain.setTargetAtTime(loud * .5, at + .02, .4); gain.gain.setTargetAtTime(0, stop, .04);
  tone.connect(gain).connect(context.destination);
  tone.start(at); tone.stop(stop + .3); voices.push(tone);
  tone.onended = () => { voices = voices.filter(voice => voice !== tone); };
}
const now = () => playing ? from + context.currentTime - begun : from;
const order = notes.map((_, i) => i).sort((a, b) => notes[a][0] - notes[b][0]);
function ahead() {
  if (!playing) return;
  const s = now();
  while (next < order.length && notes[order[next]][0] < s + .3) {
    const note = notes[order[next++]];
    sound(note, Math.max(context.currentTime, begun + note[0] - from));
  }
  if (s >= total + .3) { stop(); from = 0; show(0, true); return; }
  setTimeout(ahead, 100);
}
function frame() { if (playing) { show(now(), true); requestAnimationFrame(frame); } }
function stop() {
  if (!playing) return;
  from = Math.min(now(), total); playing = false; play.textContent = 'Play';
  voices.forEach(voice => voice.stop()); show(from, false);
}
function start() {
  context = context || new AudioContext(); context.resume();
  if (from >= total) from = 0;
  begun = context.currentTime + .05; playing = true; play.textContent = 'Pause';
  next = order.findIndex(i => notes[i][0] >= from - 1e-6); if (next < 0) next = order.length;
  ahead(); frame();
}
function go(s) {
  const was = playing; stop();
  from = Math.max(0, Math.min(total, s)); show(from, true);
  if (was) start();
}
play.addEventListener('click', () => playing ? stop() : start());
seek.addEventListener('input', () => go(+seek.value));
document.addEventListener('keydown', event => {
  if (event.target === play || event.target === seek && event.key !== ' ') return;
  const step = { ArrowLeft: -2, ArrowRight: 2 }[event.key];
  if (event.key === ' ') { event.preventDefault(); playing ? stop() : start(); }
  else if (step) { event.preventDefault(); go(now() + step); }
  else if (event.key === 'Home') { event.preventDefault(); go(0); }
});
shapes.forEach((shape, i) => shape.addEventListener('click', () => go(notes[i][0])));
show(0, false);
"""


class Passage(NamedTuple):
    """A passage that is marked, from one tick to another, and what is said of it."""

    start: int
    end: int
    text: str


class Curve(NamedTuple):
    """What is drawn below the roll, such as the activation of a gate.

    Args:
        name: What it is called.
        ticks: The ticks of a step.
        values: Its value at each step, from the beginning of the piece on.
    """

    name: str
    ticks: float
    values: Sequence[float]


def music_page(
    piece: Piece,
    *,
    title: str,
    surprises: Sequence[float | None] = (),
    curves: Sequence[Curve] = (),
    passages: Sequence[Passage] = (),
) -> str:
    """A page that plays a piece and shows it as a roll, by keyboard too; it is light or dark as the reader chose.

    Args:
        piece: The piece.
        title: What the page is called.
        surprises: How surprising each of the piece's notes was, in bits; None for one that was not judged. Empty if
            none was.
        curves: What is drawn below the roll.
        passages: Passages that are marked and listed, such as copied ones.

    Example:
        >>> from recurra.data.piece import Note
        >>> page = music_page(Piece([Note(0, 480, 60)]), title="One note", surprises=[2.5])
        >>> "C4, bar 1, 2.5 bits" in page
        True
    """
    pitches = [note.pitch for note in piece.notes] or [60]
    low, high = min(pitches) - 2, max(pitches) + 2
    scale = WIDTH / piece.ticks_per_quarter
    width, top = max(1.0, piece.end * scale), 18
    roll = top + ROW * (high - low + 1)
    height = roll + BAND * len(curves) + 4
    parts = [
        page_head(title, STYLE, script=True),
        '<div class="bar"><button id="play">Play</button>',
        '<input id="seek" type="range" min="0" step="0.01" value="0" aria-label="position" max="',
        f'{seconds_at(piece, [piece.end])[0]:.3f}"><output id="time"></output></div>\n',
        f'<div class="roll">{_names(low, high, top, roll, height, curves)}',
        f'<div class="scroll" id="scroll" tabindex="0" role="group" aria-label="piano roll"><svg width="{width:.1f}" ',
        f'height="{height}" role="img" aria-label="{len(piece.notes)} notes in {len(bar_lines(piece))} bars">\n',
        *_background(piece, low, high, top, scale, height),
        *(_passage(passage, scale, top, roll) for passage in passages),
        *_notes(piece, surprises, high, top, scale),
        *(_curve(curve, roll + BAND * number, scale) for number, curve in enumerate(curves)),
        f'<line id="cursor" y1="0" y2="{height}" stroke="var(--text)" stroke-width="1.5"/></svg></div></div>\n',
        _legend(bool(surprises), passages),
        f"<script>{_script(piece, scale)}</script>\n</body>\n</html>\n",
    ]
    return "".join(parts)


def _names(low: int, high: int, top: int, roll: int, height: int, curves: Sequence[Curve]) -> str:
    """The column at the left: the names of the Cs, and those of the curves."""
    named = [pitch for pitch in range(low, high + 1) if pitch % 12 == 0] or [low + 2]
    longest = max([3, *(len(curve.name) for curve in curves)])
    width = min(150, 16 + 7 * longest)
    keys = "".join(f'<text x="6" y="{top + ROW * (high - p) + 8}">{note_name(p)}</text>' for p in named)
    labels = "".join(
        f'<text x="6" y="{roll + BAND * number + 26}">{escaped(curve.name)}</text>'
        for number, curve in enumerate(curves)
    )
    return f'<svg width="{width}" height="{height}" aria-hidden="true">{keys}{labels}</svg>'


def _background(piece: Piece, low: int, high: int, top: int, scale: float, height: int) -> list[str]:
    """The rows of the black keys, and the bars with their numbers."""
    rows = [
        f'<rect x="0" y="{top + ROW * (high - pitch)}" width="100%" height="{ROW}" fill="var(--row)"/>'
        for pitch in range(low, high + 1)
        if pitch % 12 in {1, 3, 6, 8, 10}
    ]
    bars = [
        f'<line x1="{tick * scale:.1f}" x2="{tick * scale:.1f}" y1="0" y2="{height}" stroke="var(--line)"/>'
        f'<text x="{tick * scale + 3:.1f}" y="12">{number}</text>'
        for number, tick in enumerate(bar_lines(piece), start=1)
    ]
    return [*rows, *bars, "\n"]


def _passage(passage: Passage, scale: float, top: int, roll: int) -> str:
    x, width = passage.start * scale, (passage.end - passage.start) * scale
    return (
        f'<rect x="{x:.1f}" y="{top}" width="{width:.1f}" height="{roll - top}" fill="var(--copy)">'
        f"<title>{escaped(passage.text)}</title></rect>\n"
    )


def _notes(piece: Piece, surprises: Sequence[float | None], high: int, top: int, scale: float) -> list[str]:
    """The notes, coloured by how surprising they are."""
    lines = bar_lines(piece)
    shapes, bar = [], 0
    for number, note in enumerate(piece.notes):
        while bar < len(lines) and lines[bar] <= note.start:
            bar += 1
        bits = surprises[number] if surprises else None
        hue = 210 if bits is None else round(210 * (1 - min(max(bits, 0.0), MOST_BITS) / MOST_BITS))
        said = "" if bits is None else f", {bits:.1f} bits"
        shapes.append(
            f'<rect class="note" style="--hue:{hue}" x="{note.start * scale:.1f}" '
            f'y="{top + ROW * (high - note.pitch)}" '
            f'width="{max(1.5, (note.end - note.start) * scale - 1):.1f}" height="{ROW - 1}" rx="2">'
            f"<title>{note_name(note.pitch)}, bar {max(bar, 1)}{said}</title></rect>\n"
        )
    return shapes


def _curve(curve: Curve, top: int, scale: float) -> str:
    """A curve in its band, from the least of its values to the greatest."""
    least, greatest = min(curve.values, default=0.0), max(curve.values, default=1.0)
    span = (greatest - least) or 1.0
    points = " ".join(
        f"{(step + 0.5) * curve.ticks * scale:.1f},{top + BAND - 5 - (value - least) / span * (BAND - 10):.1f}"
        for step, value in enumerate(curve.values)
    )
    said = f"{escaped(curve.name)}: {least:.2f} to {greatest:.2f}"
    return f'<polyline class="curve" points="{points}"><title>{said}</title></polyline>\n'


def _legend(judged: bool, passages: Sequence[Passage]) -> str:
    """What the colours mean, which keys do what, and the marked passages in words."""
    bits = f'Surprise of a note: 0 <span class="scale"></span> {MOST_BITS:.0f} bits or more. ' if judged else ""
    keys = (
        "<kbd>Space</kbd> plays and pauses, <kbd>←</kbd> <kbd>→</kbd> go by two seconds, <kbd>Home</kbd> to the start."
    )
    copied = "".join(f"<li>{escaped(passage.text)}</li>" for passage in passages)
    return f"<p>{bits}{keys}</p>\n" + (f"<ul>{copied}</ul>\n" if copied else "")


def _script(piece: Piece, scale: float) -> str:
    """The script, with the notes in seconds and where the cursor is at which second."""
    times = seconds_at(piece, [tick for note in piece.notes for tick in note[:2]]).reshape(-1, 2).round(4).tolist()
    played = [
        [start, end, note.pitch, note.velocity, int(piece.tracks[note.track].drums)]
        for note, (start, end) in zip(piece.notes, times, strict=True)
    ]
    corners = sorted({0, piece.end, *(tempo.tick for tempo in piece.tempos if tempo.tick < piece.end)})
    seconds = seconds_at(piece, corners).round(4).tolist()
    values = {
        "PLAYED": played,
        "TOTAL": seconds[-1],
        "TICKS": [round(tick * scale, 2) for tick in corners],
        "SECONDS": seconds,
    }
    script = SCRIPT
    for name, value in values.items():
        script = script.replace(name, json.dumps(value), 1)
    return script
