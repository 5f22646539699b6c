"""Reading traces as a page of HTML that needs nothing beside itself: no network, no script, no font."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from recurra.inspection.reading import Reading
from recurra.tasks.classified import Classified
from recurra.tasks.page import escaped, page_head

__all__ = ["reading_page"]

STEP, HEIGHT, LEFT, TOP = 34, 130, 46, 14
"""Of a chart, in pixels: the width of a word, the height from 0 to 100%, and the margins."""

LABEL = 14
"""The most characters of a word below a chart."""

START = "(before)"
"""The label of what was held before the first word."""

STYLE = """
:root { color-scheme: light dark; --background: hsl(0 0% 100%); --text: hsl(220 15% 15%); --faint: hsl(220 8% 42%);
  --line: #c24f00; --bar: #0072b2; --rule: hsl(220 10% 88%); --up: 26 95% 55%; --down: 205 90% 50% }
@media (prefers-color-scheme: dark) { :root { --background: hsl(220 12% 10%); --text: hsl(220 10% 90%);
  --faint: hsl(220 8% 62%); --line: #ff9a57; --bar: #56b4e9; --rule: hsl(220 10% 24%) } }
body { margin: 0 auto; max-width: 60rem; padding: 1.5rem; background: var(--background); color: var(--text);
  font: 1rem/1.6 system-ui, sans-serif; display: flex; flex-direction: column }
h1 { font-size: 1.2rem; order: -2; margin: 0 } footer { order: -1; font-size: .85rem; color: var(--faint) }
section { border-top: 1px solid var(--rule); padding: .6rem 0 1rem } h2 { font-size: 1rem; margin: .3rem 0 }
h2 small { font-weight: 400; color: var(--faint); margin-left: .6em }
p { font: 1.05rem/2 Georgia, "Times New Roman", serif; margin: .2rem 0; overflow-wrap: anywhere }
mark { color: inherit; border-radius: .3em; padding: .1em .25em; background: hsl(var(--hue) / var(--strength));
  -webkit-box-decoration-break: clone; box-decoration-break: clone }
mark.turn { outline: 2px solid var(--line); font-weight: 700 }
div { overflow-x: auto } svg { display: block; font: 11px system-ui, sans-serif; fill: var(--faint) }
svg .rule { stroke: var(--rule) } svg .bar { fill: var(--bar); opacity: .55 }
svg .line { fill: none; stroke: var(--line); stroke-width: 2 } svg circle { fill: var(--line) }
svg .start { fill: var(--background); stroke: var(--line); stroke-width: 1.5 }
svg .turn { fill: var(--line); font-weight: 700 } svg .word { fill: var(--text) }
i { font-style: normal; color: var(--line) } b { font-weight: 400; color: var(--bar) }
"""


def reading_page(traced: Iterable[tuple[Reading, Classified]], unit: str) -> Iterator[str]:
    """The page in pieces: its head, a section an example, and how to read it, which is shown on top.

    A section has the words, coloured by how they change the probability of the answer, and a chart of it. Pointing at a
    word shows its figures. It follows the reader's choice of light or dark.

    Args:
        traced: Traces with the answers.
        unit: What an example is, in the singular.
    """
    yield page_head("Reading trace", STYLE)
    number = 0
    for number, (reading, answer) in enumerate(traced, 1):  # noqa: B007  (the last of them is said below)
        yield _section(reading, answer)
    count = f"{number:,} {unit}{'' if number == 1 else 's'}"
    yield (
        f"<footer>{count}. <i>Line</i>: the probability of the answer after each word; the outlined word turned it. "
        "<b>Bars</b>: what it loses without the word. Words are orange where they make the answer more probable and "
        "blue where less.</footer>\n</body>\n</html>\n"
    )


def _section(reading: Reading, answer: Classified) -> str:
    how = "read forward once" if reading.one_pass else "each prefix read again, since it reads in both directions"
    verdict = f"→ {escaped(answer.label)} {answer.probability:.1%}"
    head = f"<h2>{verdict}<small>{how if reading.steps else 'no words'}</small></h2>"
    if not reading.steps:
        return f"<section>{head}</section>\n"
    words = " ".join(_word(reading, place) for place in range(len(reading.steps)))
    return f'<section>{head}\n<p dir="auto">{words}</p>\n<div>{_chart(reading)}</div></section>\n'


def _word(reading: Reading, place: int) -> str:
    change = reading.changes[place]
    turn = ' class="turn"' if place == reading.turn else ""
    style = f"--hue: var(--{'up' if change > 0 else 'down'}); --strength: {min(1.0, 1.4 * abs(change)):.2f}"
    return f'<mark{turn} style="{style}" title="{_hover(reading, place)}">{escaped(reading.steps[place])}</mark>'


def _hover(reading: Reading, place: int) -> str:
    return (
        f"{escaped(reading.steps[place])}: {reading.course[place]:.1%} so far ({100 * reading.changes[place]:+.1f}), "
        f"{reading.without[place][reading.answer]:.1%} without it"
    )


def _chart(reading: Reading) -> str:
    """The course of the probability as a line, and what each word counts as bars."""
    count, course = len(reading.steps), reading.course
    floor = _y(min([0.0, *reading.effects]))  # bars of words that are against the answer hang below 0
    longest = max(len(START), *(len(_cut(step)) for step in reading.steps))
    width, height = LEFT + STEP * (count + 1), round(floor + 24 + 5.2 * longest)
    parts = [f'<svg width="{width}" height="{height}" viewBox="0 0 {width} {height}" role="img">']
    for share in (0.0, 0.5, 1.0):
        y = _y(share)
        parts.append(f'<line class="rule" x1="{LEFT}" x2="{width}" y1="{y}" y2="{y}"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{y + 4}" text-anchor="end">{share:.0%}</text>')
    for place, effect in enumerate(reading.effects):
        top, bottom = sorted((_y(effect), _y(0.0)))
        parts.append(
            f'<rect class="bar" x="{_x(place) - 9}" width="18" y="{top}" height="{max(bottom - top, 0.5):.1f}"/>'
        )
    points = [(_x(-1), _y(reading.before[reading.answer])), *((_x(n), _y(share)) for n, share in enumerate(course))]
    parts.append(f'<polyline class="line" points="{" ".join(f"{x},{y}" for x, y in points)}"/>')
    parts.append(f'<circle class="start" cx="{points[0][0]}" cy="{points[0][1]}" r="3.5"/>')
    for place, (x, y) in enumerate(points[1:]):
        turned = place == reading.turn
        radius = 6 if turned else 3
        parts.append(f'<circle cx="{x}" cy="{y}" r="{radius}"><title>{_hover(reading, place)}</title></circle>')
        parts.append(_label(reading.steps[place], x, floor, "turn" if turned else "word"))
    parts.append(_label(START, points[0][0], floor, ""))
    return "".join(parts) + "</svg>"


def _label(text: str, x: float, floor: float, kind: str) -> str:
    place = f'transform="translate({x + 4},{floor + 14}) rotate(-45)" text-anchor="end"'
    return f'<text class="{kind}" {place}>{escaped(_cut(text))}</text>'


def _cut(text: str) -> str:
    return text if len(text) <= LABEL else f"{text[: LABEL - 1]}…"


def _x(place: int) -> float:
    return LEFT + STEP * (place + 1) + STEP // 2 - 8


def _y(share: float) -> float:
    return round(TOP + HEIGHT * (1 - share), 1)
