"""Reading traces for people: after each word the probability of the answer, on a terminal, as a page, as a picture.

Each format is a generator: it takes texts with their answers, one at a time, and gives what to write after each. The
picture alone is drawn once its last text is known.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeVar

from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.text import Text

from recurra.inspection.charts import PANELS, draw_readings
from recurra.inspection.pictures import check_picture
from recurra.inspection.reading import Reading
from recurra.tasks.classified import Classified
from recurra.tasks.reading_page import reading_page
from recurra.tasks.task import Format
from recurra.training.figures import one_line, printable

__all__ = ["reading_formats"]

R = TypeVar("R")

UP, DOWN = (230, 223, 215), (195, 153, 111)
"""Light backgrounds among the fixed part of the 256 colours, the stronger the change, for words that make the answer
more and less probable; black text contrasts with each by more than 7 : 1."""

STRENGTHS = (0.02, 0.1, 0.3)
"""From how large a change on a word has each background."""

WORD, BAR, NARROW = 18, 24, 70
"""The most columns of a word; those of the bar; and the narrowest window that has bars."""

EIGHTHS = " ▏▎▍▌▋▊▉█"


def reading_formats(read: Callable[[Any, R], Reading], unit: str = "text") -> Mapping[str, Format[R, Classified]]:
    """The formats that trace what a classifier holds while it reads: trace, html and png.

    Args:
        read: From what was trained and an example, the trace.
        unit: What an example is, in the singular.
    """

    def trace(run: Any, answered: Iterable[tuple[R, Classified]]) -> Iterator[Text]:  # noqa: ANN401
        for number, (example, answer) in enumerate(answered):
            yield _terminal_trace(read(run, example), answer, Console(), spaced=number > 0)

    def page(run: Any, answered: Iterable[tuple[R, Classified]]) -> Iterator[str]:  # noqa: ANN401
        return reading_page(((read(run, example), answer) for example, answer in answered), unit)

    def picture(run: Any, answered: Iterable[tuple[R, Classified]]) -> Iterator[bytes]:  # noqa: ANN401
        check_picture("readings.png")
        readings = [read(run, example) for example, _ in itertools.islice(answered, PANELS)]
        if readings:
            yield draw_readings(readings)

    return {"trace": trace, "html": page, "png": picture}


def _terminal_trace(reading: Reading, answer: Classified, console: Console, *, spaced: bool) -> Text:
    """A line a word: the probability of the answer so far as a number and a bar, its change, and what it is without."""
    text = Text("\n" if spaced else "")
    arrow = "→" if _encodable("→") else "->"
    text.append(f"{arrow} {one_line(answer.label)} {answer.probability:.1%}", "bold")
    how = "read forward once" if reading.one_pass else "it reads in both directions: each prefix is read again"
    text.append(f"  {how if reading.steps else 'no words'}\n", "dim")
    if not reading.steps:
        return text
    bars = not console.is_terminal or console.width >= NARROW
    several = len(reading.names) > 2
    width = min(WORD, max(len("(before)"), *(cell_len(one_line(step)) for step in reading.steps)))
    leads = max(map(cell_len, map(one_line, reading.names))) if several else 0
    heading = f"{'word':{width + 2}}{'so far':>8}{'':{BAR + 2 if bars else 0}}{'change':>8}{'without':>9}"
    text.append(f"{heading}{'  leads' if several else ''}\n", "dim")
    text.append_text(_before(reading, width, bars=bars))
    for place, (step, change) in enumerate(zip(reading.steps, reading.changes, strict=True)):
        turned = place == reading.turn
        word = set_cell_size(one_line(step), min(cell_len(one_line(step)), width))
        text.append("▶ " if turned and _encodable("▶") else "> " if turned else "  ", "bold")
        text.append(word, f"{_style(change)}{' bold' if turned else ''}")
        text.append(" " * (width - cell_len(word)))
        text.append_text(_bar(reading.course[place], bars=bars))
        text.append(f"{100 * change:+8.1f}", "bold" if turned else "dim" if abs(change) < STRENGTHS[0] else "")
        text.append(f"{reading.without[place][reading.answer]:9.1%}")
        if several:
            row = reading.so_far[place]
            text.append(f"  {set_cell_size(one_line(reading.names[row.index(max(row))]), min(leads, WORD))}".rstrip())
        text.append("\n")
    return text


def _before(reading: Reading, width: int, *, bars: bool) -> Text:
    """What was held before the first word."""
    start = reading.before[reading.answer]
    return Text.assemble((f"  {'(before)':{width}}", "dim"), _bar(start, bars=bars), "\n")


def _bar(share: float, *, bars: bool) -> Text:
    text = Text(f"{share:8.1%}")
    if bars:
        eighths = round(8 * BAR * share)
        drawn = "█" * (eighths // 8) + EIGHTHS[eighths % 8].strip()
        drawn = drawn if _encodable(EIGHTHS) else "#" * round(BAR * share)
        text.append(f"  {drawn:{BAR}}", "cyan")
    return text


def _style(change: float) -> str:
    """The style of a word by how it changes the probability of the answer."""
    strength = sum(abs(change) >= least for least in STRENGTHS)
    return f"color(16) on color({(UP if change > 0 else DOWN)[strength - 1]})" if strength else ""


def _encodable(characters: str) -> bool:
    return printable(characters, sys.stdout.encoding or "utf-8") == characters
