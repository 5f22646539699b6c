"""Tagged sentences as a page of HTML that needs nothing beside itself: no network, no script, no font."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from recurra.data.tagged_sentence import TaggedSentence
from recurra.tasks.page import escaped, page_head
from recurra.tasks.tagging import Tagging, entities

__all__ = ["html_page"]

GOLDEN_ANGLE = 137.508
"""Degrees between the hues of one type and the next, so that any number of them lie apart."""

FIRST_HUE = 205

STYLE = """
:root { --chip: 88%; --edge: 62%; --vivid: 85% }
@media (prefers-color-scheme: dark) { :root { --chip: 24%; --edge: 46%; --vivid: 50% } }
body { font: 1.05rem/2 Georgia, "Times New Roman", serif; display: flex; flex-direction: column;
  counter-reset: sentence }
h1, footer { font-family: system-ui, sans-serif } h1 { font-size: 1.2rem; order: -2; margin: 0 }
footer { order: -1; font-size: .85rem; color: var(--faint); margin-bottom: 1rem }
p { margin: .2rem 0; min-height: 2em; white-space: pre-wrap; overflow-wrap: anywhere;
  padding-left: 3.5rem; position: relative }
p::before { counter-increment: sentence; content: counter(sentence); position: absolute; left: 0; width: 2.6rem;
  text-align: right; color: var(--faint); font: .75rem/2.7 system-ui, sans-serif }
mark { color: inherit; background: hsl(var(--hue) var(--vivid) var(--chip)); border-radius: .3em; padding: .1em .3em;
  border-bottom: 2px solid hsl(var(--hue) 65% var(--edge)); unicode-bidi: isolate; -webkit-box-decoration-break: clone;
  box-decoration-break: clone }
footer mark { color: var(--text) }
mark small, p > em { unicode-bidi: isolate; font: 600 .62em system-ui, sans-serif; margin-left: .45em;
  letter-spacing: .03em }
p > em { color: var(--faint); margin: 0 .6em 0 0 }
hr { width: 100%; border: 0; border-top: 1px solid var(--faint); margin: 1rem 0; opacity: .4 }
"""


def html_page(answered: Iterable[tuple[TaggedSentence, Tagging]], types: Sequence[str], title: str) -> Iterator[str]:
    """The page in pieces: its head, a paragraph a sentence, and a legend with counts, which is shown on top.

    Pointing at an entity shows its type and confidence. It follows the reader's choice of light or dark.

    Args:
        answered: Sentences with their answers.
        types: All types of entities, in the order of their colours.
        title: What the page is called.
    """
    hues = {type_: round(FIRST_HUE + number * GOLDEN_ANGLE) % 360 for number, type_ in enumerate(types)}
    counts: Counter[str] = Counter()
    number, document = 0, None
    yield page_head(title, STYLE)
    for number, (sentence, answer) in enumerate(answered, 1):  # noqa: B007  (the last of them is said below)
        counts.update(type_ for _, _, type_ in answer.spans)
        yield ("<hr>\n" if document not in {None, sentence.document} else "") + _paragraph(sentence, answer, hues)
        document = sentence.document
    legend = " ".join(
        f"{_mark(escaped(type_), '', hues.get(type_, 0))} {counts[type_]:,}"
        for type_ in dict.fromkeys([*types, *counts])
    )
    sentences = f"{number:,} sentence{'' if number == 1 else 's'}"
    yield f"<footer>{sentences}, {counts.total():,} entities: {legend}</footer>\n</body>\n</html>\n"


def _paragraph(sentence: TaggedSentence, answer: Tagging, hues: dict[str, int]) -> str:
    """A sentence, its label before it."""
    text, placed = entities(sentence, answer)
    pieces, end = [], 0
    if answer.label is not None:
        hover = f' title="{_percent(answer.label_probability or 0.0)}"'
        pieces.append(f"<em{hover}>{escaped(answer.label)}</em>")
    for entity in placed:
        pieces.append(escaped(text[end : entity.start]))
        inside = f"{escaped(text[entity.start : entity.end])}<small>{escaped(entity.type)}</small>"
        hover = f"{escaped(entity.type)} {_percent(entity.confidence)}"
        pieces.append(_mark(inside, hover, hues.get(entity.type, 0)))
        end = entity.end
    pieces.append(escaped(text[end:]))
    return f'<p dir="auto">{"".join(pieces)}</p>\n'


def _mark(inside: str, hover: str, hue: int) -> str:
    title = f' title="{hover}"' if hover else ""
    return f'<mark style="--hue:{hue}"{title}>{inside}</mark>'


def _percent(probability: float) -> str:
    return f"{100 * probability:.1f} %"
