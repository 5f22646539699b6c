"""Draw the architectures of sequence problems for docs/architectures.md, as SVG.

usage: python scripts/architectures.py FOLDER

The pictures have no ground of their own: what is written in boxes has the box behind it, and all else is of a grey that
can be read on white and on black. A test compares those in docs/pictures with what this draws.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import NamedTuple

PITCH, ROW, WIDTH, HEIGHT = 84, 84, 64, 40
"""From column to column and from row to row, and the size of a box, in pixels."""

GREY, FONT = "#727a84", "Helvetica, Arial, 'Liberation Sans', sans-serif"
SENTENCE = "Harry Potter and Hermione Granger invented a new spell"
NAMES = "1 1 0 1 1 0 0 0 0"


class Colours(NamedTuple):
    """The colours of one kind of box."""

    fill: str
    line: str
    text: str


KINDS = {
    "x": Colours("#fdebd0", "#c77c11", "#5c3905"),
    "a": Colours("#d8e7fb", "#2f6fbf", "#12335e"),
    "s": Colours("#e8def8", "#7d55c7", "#3a2270"),
    "y": Colours("#d6f0dd", "#2b8a4b", "#0e4022"),
}
"""Inputs, activations, those of a decoder, and outputs."""


@dataclass
class Drawing:
    """A picture whose columns are steps, from 0, and whose rows are outputs (0), activations (1) and inputs (2).

    Args:
        columns: How many columns there are.
        description: What it shows, in words, for those who do not see it.
        above: Room above the outputs, in pixels.
        below: Room below the inputs.
        left: Room left of the first column.
        rows: How many rows there are.
    """

    columns: float
    description: str
    above: int = 8
    below: int = 8
    left: int = 62
    rows: int = 3
    parts: list[str] = field(default_factory=list)

    def x(self, column: float) -> float:
        """The middle of a column."""
        return self.left + WIDTH / 2 + column * PITCH

    def y(self, row: float) -> float:
        """The middle of a row."""
        return self.above + HEIGHT / 2 + row * ROW

    def box(self, column: float, row: float, kind: str, name: str, step: str = "") -> None:
        """A box with a name and its step: `x`, `1` is x<1>; a step `Tx` has its letter below the line."""
        colours = KINDS[kind]
        x, y = self.x(column), self.y(row)
        self.parts.append(
            f'<rect x="{x - WIDTH / 2:g}" y="{y - HEIGHT / 2:g}" width="{WIDTH}" height="{HEIGHT}" rx="8" '
            f'fill="{colours.fill}" stroke="{colours.line}" stroke-width="1.5"/>'
        )
        self.parts.append(
            f'<text x="{x:g}" y="{y + 6:g}" font-size="18" text-anchor="middle" fill="{colours.text}">'
            f"{_label(name, step)}</text>"
        )

    def text(self, column: float, row: float, words: str, shift: float, step: str = "") -> None:
        """Words that stand by themselves, or a name with its step, so many pixels below the middle of a row."""
        content, size = (_label(words, step), 17) if step else (escape(words), 14)
        self.parts.append(
            f'<text x="{self.x(column):g}" y="{self.y(row) + shift + 5:g}" font-size="{size}" text-anchor="middle" '
            f'fill="{GREY}">{content}</text>'
        )

    def arrow(self, points: Sequence[tuple[float, float]], colour: str = GREY, *, dashed: bool = False) -> None:
        """An arrow along points in pixels, its corners rounded and its head at the last."""
        (x0, y0), (x1, y1) = points[-2:]
        length = ((x1 - x0) ** 2 + (y1 - y0) ** 2) ** 0.5
        dx, dy = (x1 - x0) / length, (y1 - y0) / length
        shaft = [*points[:-1], (x1 - 7 * dx, y1 - 7 * dy)]
        dash = ' stroke-dasharray="5 4"' if dashed else ""
        self.parts.append(f'<path d="{_rounded(shaft)}" fill="none" stroke="{colour}" stroke-width="1.75"{dash}/>')
        left, right = (x1 - 9 * dx - 4.5 * dy, y1 - 9 * dy + 4.5 * dx), (x1 - 9 * dx + 4.5 * dy, y1 - 9 * dy - 4.5 * dx)
        corners = " ".join(f"{x:g},{y:g}" for x, y in ((x1, y1), left, right))
        self.parts.append(f'<polygon points="{corners}" fill="{colour}"/>')

    def up(self, column: float, row: float) -> None:
        """An arrow from the box of a row to the one above."""
        x = self.x(column)
        self.arrow([(x, self.y(row) - HEIGHT / 2), (x, self.y(row - 1) + HEIGHT / 2)])

    def on(self, column: float, to: float, row: float = 1) -> None:
        """An arrow from a box to one further on in the same row."""
        self.arrow([(self.x(column) + WIDTH / 2, self.y(row)), (self.x(to) - WIDTH / 2, self.y(row))])

    def begin(self, name: str = "a") -> None:
        """The state before the first step, and its arrow."""
        end = self.x(0) - WIDTH / 2
        self.arrow([(end - 22, self.y(1)), (end, self.y(1))])
        self.parts.append(
            f'<text x="{end - 26:g}" y="{self.y(1) + 5:g}" font-size="17" text-anchor="end" fill="{GREY}">'
            f"{_label(name, '0')}</text>"
        )

    def feed_back(self, column: int) -> None:
        """A dashed arrow from the output of a column down to the input of the next."""
        between = self.x(column) + PITCH / 2
        self.arrow(
            [
                (self.x(column) + WIDTH / 2, self.y(0)),
                (between, self.y(0)),
                (between, self.y(2)),
                (self.x(column + 1) - WIDTH / 2, self.y(2)),
            ],
            KINDS["y"].line,
            dashed=True,
        )

    def dots(self, column: float, row: float) -> None:
        """Three dots for the steps that are left out."""
        self.parts += [
            f'<circle cx="{self.x(column) + shift}" cy="{self.y(row):g}" r="2.25" fill="{GREY}"/>'
            for shift in (-9, 0, 9)
        ]

    def steps(self, steps: Sequence[str], first: int = 0, kind: str = "a", name: str = "a") -> None:
        """A row of activations, each with an arrow to the next; the step `...` is dots."""
        for column, step in enumerate(steps, first):
            if column > first:
                self.on(column - 1, column)
            if step == "...":
                self.dots(column, 1)
            else:
                self.box(column, 1, kind, name, step)

    def svg(self) -> str:
        """The picture as a file."""
        width = self.x(self.columns - 1) + WIDTH / 2 + 8
        height = self.y(self.rows - 1) + HEIGHT / 2 + self.below
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:g}" height="{height:g}" '
            f'viewBox="0 0 {width:g} {height:g}" role="img" font-family="{FONT}">\n'
            f"<title>{escape(self.description)}</title>\n" + "\n".join(self.parts) + "\n</svg>\n"
        )


def _label(name: str, step: str) -> str:
    """A name with its step raised, in angle brackets."""
    letters = f'<tspan font-style="italic">{escape(name)}</tspan>' if name.isalpha() else escape(name)
    if not step:
        return letters
    if step.startswith("T"):
        step = f'T<tspan font-size="9" dy="3">{step[1]}</tspan><tspan dy="-3">{step[2:]}'
        raised = f"&lt;{step}&gt;</tspan>"
    else:
        raised = f"&lt;{step}&gt;"
    return f'{letters}<tspan font-size="12" dy="-7">{raised}</tspan>'


def _rounded(points: Sequence[tuple[float, float]], radius: float = 8) -> str:
    """A path along points whose corners are rounded."""
    path = f"M{points[0][0]:g} {points[0][1]:g}"
    for before, corner, after in zip(points, points[1:], points[2:], strict=False):
        near, far = (_towards(corner, other, radius) for other in (before, after))
        path += f" L{near[0]:g} {near[1]:g} Q{corner[0]:g} {corner[1]:g} {far[0]:g} {far[1]:g}"
    return f"{path} L{points[-1][0]:g} {points[-1][1]:g}"


def _towards(start: tuple[float, float], end: tuple[float, float], distance: float) -> tuple[float, float]:
    length = abs(end[0] - start[0]) + abs(end[1] - start[1])
    part = distance / length
    return start[0] + part * (end[0] - start[0]), start[1] + part * (end[1] - start[1])


def one_to_one() -> Drawing:
    """A network without time."""
    drawing = Drawing(1, "One to one: an input x, activations a, an output y, and no steps.", left=8)
    for row, name in enumerate("yax"):
        drawing.box(0, row, name, name)
    drawing.up(0, 2)
    drawing.up(0, 1)
    return drawing


def one_to_many() -> Drawing:
    """One input at the first step, and an output at each."""
    drawing = Drawing(
        5, "One to many: x enters at the first step alone; each step hands its activation on and gives an output."
    )
    steps = ("1", "2", "3", "...", "Ty")
    drawing.begin()
    drawing.steps(steps)
    drawing.box(0, 2, "x", "x")
    drawing.up(0, 2)
    _outputs(drawing, steps)
    return drawing


def one_to_many_fed_back() -> Drawing:
    """One input at the first step; then each output is the next input."""
    drawing = Drawing(
        5, "One to many, fed back: x enters at the first step; the output of each step is the input of the next."
    )
    steps = ("1", "2", "3", "...", "Ty")
    drawing.begin()
    drawing.steps(steps)
    drawing.box(0, 2, "x", "x")
    _outputs(drawing, steps)
    for column, fed in enumerate(("1", "2"), 1):
        drawing.box(column, 2, "y", "y", fed)
    for column in range(3):
        drawing.up(column, 2)
        drawing.feed_back(column)
    drawing.dots(3, 2)
    drawing.on(3, 4, 2)
    drawing.box(4, 2, "y", "y", "Ty−1")
    drawing.up(4, 2)
    return drawing


def many_to_one() -> Drawing:
    """An input at each step, and one output after the last."""
    drawing = Drawing(5, "Many to one: an input enters at each step, and the last activation alone gives an output.")
    steps = ("1", "2", "3", "...", "Tx")
    drawing.begin()
    drawing.steps(steps)
    _inputs(drawing, steps)
    drawing.box(4, 0, "y", "y")
    drawing.up(4, 1)
    return drawing


def many_to_many() -> Drawing:
    """An input and an output at each step: which words are names."""
    words = SENTENCE.split()
    drawing = Drawing(
        len(words),
        "Many to many of equal length: each word of 'Harry Potter and Hermione Granger invented a new spell' enters at "
        "its step, which gives 1 if it is part of a name and 0 if not: 1 1 0 1 1 0 0 0 0.",
        above=28,
        below=30,
    )
    steps = [str(step) for step in range(1, len(words) + 1)]
    drawing.begin()
    drawing.steps(steps)
    _inputs(drawing, steps)
    _outputs(drawing, steps)
    for column, (word, tag) in enumerate(zip(words, NAMES.split(), strict=True)):
        drawing.text(column, 2, word, 36)
        drawing.text(column, 0, tag, -34)
    return drawing


def encoder_decoder() -> Drawing:
    """A network that reads, and another that writes."""
    drawing = Drawing(
        8,
        "Many to many of different length: an encoder reads all inputs and gives no output; its last activation is the "
        "first state of a decoder, which gives the outputs, each of them its next input.",
        below=32,
    )
    reads, writes = ("1", "2", "...", "Tx"), ("1", "2", "...", "Ty")
    drawing.begin()
    drawing.steps(reads)
    drawing.on(3, 4)
    drawing.steps(writes, 4, "s", "s")
    _inputs(drawing, reads)
    _outputs(drawing, writes, 4)
    for column in (4, 5):
        drawing.feed_back(column)
    for column in (4, 5):
        drawing.box(column, 2, "y", "y", str(column - 4))
        drawing.up(column, 2)
    drawing.dots(6, 2)
    drawing.on(6, 7, 2)
    drawing.box(7, 2, "y", "y", "Ty−1")
    drawing.up(7, 2)
    drawing.text(1.5, 2, "encoder", 38)
    drawing.text(5.5, 2, "decoder", 38)
    return drawing


def ctc() -> Drawing:
    """A symbol or a blank at each step, of which repetitions and blanks fall away."""
    symbols = "cc–aa–t–"
    drawing = Drawing(
        len(symbols),
        "CTC: each of eight steps gives a letter or a blank: c, c, blank, a, a, blank, t, blank. Repetitions become "
        "one and blanks fall away, which leaves the three outputs c, a, t.",
        rows=4,
        above=32,
    )
    steps = [str(step) for step in range(1, len(symbols) + 1)]
    # The rows of steps stand one lower than elsewhere; the outputs proper are above them.
    drawing.above += ROW
    drawing.rows -= 1
    drawing.begin()
    drawing.steps(steps)
    _inputs(drawing, steps)
    drawing.text(-0.65, 0, "π", 1, "t")
    for column, symbol in enumerate(symbols):
        drawing.box(column, 0, "s", symbol)
        drawing.up(column, 1)
    for number, (columns, letter) in enumerate((((0, 1), "c"), ((3, 4), "a"), ((6,), "t")), 1):
        middle = sum(columns) / len(columns)
        drawing.box(middle, -1, "y", letter)
        drawing.text(middle, -1, "y", -33, str(number))
        for column in columns:
            shift = (column - middle) * 40
            drawing.arrow(
                [
                    (drawing.x(column) - shift / 2, drawing.y(0) - HEIGHT / 2),
                    (drawing.x(middle) + shift, drawing.y(-1) + HEIGHT / 2),
                ]
            )
    return drawing


def _inputs(drawing: Drawing, steps: Sequence[str]) -> None:
    for column, step in enumerate(steps):
        if step == "...":
            drawing.dots(column, 2)
        else:
            drawing.box(column, 2, "x", "x", step)
            drawing.up(column, 2)


def _outputs(drawing: Drawing, steps: Sequence[str], first: int = 0) -> None:
    for column, step in enumerate(steps, first):
        if step == "...":
            drawing.dots(column, 0)
        else:
            drawing.box(column, 0, "y", "y", step)
            drawing.up(column, 1)


PICTURES: tuple[Callable[[], Drawing], ...] = (
    one_to_one,
    one_to_many,
    one_to_many_fed_back,
    many_to_one,
    many_to_many,
    encoder_decoder,
    ctc,
)


def main() -> None:
    """Draw all of them."""
    if len(sys.argv) != 2:
        sys.exit("usage: architectures.py FOLDER")
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for picture in PICTURES:
        name = picture.__name__.replace("_", "-")
        (folder / f"architecture-{name}.svg").write_text(picture().svg(), encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
