"""Translations for people and for programs: a line each, n-best lists, alignments, tables, a page.

Each format is a generator: it takes sentences with their answers, one at a time, and gives what to write after each, so
that a stream of any length is written in memory that does not grow.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from recurra.data.sentence_pair import SentencePair
from recurra.tasks.page import escaped, page_head
from recurra.tasks.task import Format
from recurra.tasks.translation import Alternative, Risk, Translation
from recurra.tasks.translation_risk_output import RISK_STYLE, risk_lines, sentences_with_risks
from recurra.training.figures import printable

if TYPE_CHECKING:
    from recurra.tasks.trained import Trained

__all__ = ["TRANSLATION_FORMATS", "show"]

Answered = Iterable[tuple[SentencePair, Translation]]
"""Sentences with their answers."""

STRONG, SHADES = 0.01, " ░▒▓█"
"""The least attention that a page says in numbers, and the shades of a picture on a terminal."""

STYLE = """
body { font: 1rem/1.5 system-ui, sans-serif } h1 { font-size: 1.2rem }
section { margin: 0 0 2.5rem } p { margin: .2rem 0; overflow-wrap: anywhere } .source { color: var(--faint) }
.scroll { overflow-x: auto } table { border-collapse: collapse; margin: .8rem 0; font-size: .85rem }
th { font-weight: 400; text-align: right; padding: 0 .5rem; white-space: pre }
thead th { writing-mode: vertical-rl; transform: rotate(180deg); text-align: left; padding: .4rem 0 }
td { width: 1.6rem; height: 1.6rem; min-width: 1.6rem; border: 1px solid var(--background);
  background: color-mix(in oklab, hsl(205 75% 45%) calc(var(--a) * 100%), hsl(220 10% 50% / .12)) }
ul { margin: .4rem 0; padding-left: 1.2rem } small { color: var(--faint) }
"""


def show(pair: SentencePair, answer: Translation) -> dict[str, Any]:
    """The answer as JSON; a table's columns come first."""
    shown: dict[str, Any] = dict(columns_beside(pair))
    shown["translation"] = answer.text
    shown |= _figures(answer.best)
    if len(answer.alternatives) > 1:
        shown["alternatives"] = [{"translation": one.text, **_figures(one)} for one in answer.alternatives]
    if answer.risks:
        shown["risks"] = [_risk(risk) for risk in answer.risks]
    if answer.neighbour is not None:
        near = answer.neighbour
        shown["nearest"] = {
            "source": near.source_text,
            "target": near.target_text,
            "similarity": round(near.similarity, 4),
            "where": near.where,
        }
    return shown


def _risk(risk: Risk) -> dict[str, Any]:
    shown: dict[str, Any] = {"name": risk.name, "reason": risk.reason}
    if risk.source:
        shown["source"] = [list(span) for span in risk.source]
    if risk.translation:
        shown["translation"] = [list(span) for span in risk.translation]
    return shown


def _figures(one: Alternative) -> dict[str, float | bool]:
    figures: dict[str, float | bool] = {
        "score": round(one.score, 4),
        "log_probability": round(one.log_probability, 4),
    }
    return figures if one.finished else {**figures, "finished": False}


ADDED = ("translation", "score", "log_probability", "finished", "alternatives", "risks", "nearest")
"""The keys of an answer."""


def columns_beside(pair: SentencePair) -> dict[str, str]:
    """What was read with a sentence, before its answer; a column called as a part of one is "NAME (input)"."""
    columns: Mapping[str, str] = {"source": pair.source_text} if pair.columns is None else pair.columns
    return {f"{name} (input)" if name in ADDED else name: value for name, value in columns.items()}


# A line a sentence


def lines(run: Trained[Any, SentencePair, Any, Any, Any, Translation], answered: Answered) -> Iterator[Text]:
    """A translation a line; on a terminal with what makes it doubtful."""
    console = Console()
    for _, answer in answered:
        line = Text(printable(answer.text, "utf-8") if console.is_terminal else answer.text)
        if console.is_terminal and answer.risks:
            line.append(f"   {', '.join(dict.fromkeys(risk.name for risk in answer.risks))}", "yellow")
        yield line.append("\n")


def n_best(run: Trained[Any, SentencePair, Any, Any, Any, Translation], answered: Answered) -> Iterator[str]:
    """Lists in the format of Moses: the number of a sentence from 0, a translation, its log-probability and score."""
    for number, (_, answer) in enumerate(answered):
        for one in answer.alternatives:
            yield f"{number} ||| {one.text} ||| logp={one.log_probability:.4f} ||| {one.score:.4f}\n"


def table(run: Trained[Any, SentencePair, Any, Any, Any, Translation], answered: Answered) -> Iterator[str]:
    """A table with tabs: what was read with a sentence, its translation, the score and what makes it doubtful."""
    heading: list[str] = []
    for pair, answer in answered:
        columns = columns_beside(pair)
        if not heading:
            heading = list(columns)
            yield _row([*heading, "translation", "score", "risks"])
        cells = [answer.text, f"{answer.best.score:.4f}", answer.reasons]
        yield _row([*(columns.get(name, "") for name in heading), *cells])


def _row(cells: Iterable[str]) -> str:
    line = io.StringIO()
    csv.writer(line, delimiter="\t", lineterminator="\n").writerow(cells)
    return line.getvalue()


# Alignments


def alignments(run: Trained[Any, SentencePair, Any, Any, Any, Translation], answered: Answered) -> Iterator[str]:
    """Which word goes back to which, in the format of Pharaoh: for each word of the translation, S-T from 0."""
    for _, answer in answered:
        rows = answer.by_words()[2]
        pairs = [(row.index(max(row)), number) for number, row in enumerate(rows) if row]
        yield " ".join(f"{source}-{target}" for source, target in pairs) + "\n"


def pictures(run: Trained[Any, SentencePair, Any, Any, Any, Translation], answered: Answered) -> Iterator[str]:
    """The attention between words as a picture of characters: a row a word of the translation, a column a word read."""
    room = Console().width
    for _, answer in answered:
        source, target, rows = answer.by_words()
        width = max((cell_len(word) for word in target), default=0)
        columns = max(1, (room - width - 2) // 2)
        if len(source) > columns:
            yield f"{answer.text}\n(no picture: {len(source)} words are more than the {columns} that fit)\n\n"
            continue
        for place in range(max((len(word) for word in source), default=0)):
            yield " " * (width + 2) + " ".join(word[place : place + 1] or " " for word in source).rstrip() + "\n"
        for word, row in zip(target, rows, strict=True):
            shades = " ".join(SHADES[min(len(SHADES) - 1, round(weight * (len(SHADES) - 1)))] for weight in row)
            yield f"{word}{' ' * (width - cell_len(word))}  {shades.rstrip()}\n"
        yield "\n"


def page(run: Trained[Any, SentencePair, Any, Any, Any, Translation], answered: Answered) -> Iterator[str]:
    """A page with the attention between words as a picture, the alternatives, and what makes them doubtful."""
    yield page_head("Translations", STYLE + RISK_STYLE)
    for pair, answer in answered:
        source, target, rows = answer.by_words()
        yield sentences_with_risks(pair, answer)
        if rows:
            yield _matrix(source, target, rows)
        if len(answer.alternatives) > 1:
            items = "".join(
                f"<li>{escaped(one.text)} <small>{one.score:.3f}</small></li>" for one in answer.alternatives[1:]
            )
            yield f"<ul>{items}</ul>\n"
        yield "</section>\n"
    yield "</body>\n</html>\n"


def _matrix(source: Sequence[str], target: Sequence[str], rows: Sequence[Sequence[float]]) -> str:
    heading = "".join(f"<th>{escaped(word)}</th>" for word in source)
    body = "\n".join(
        f"<tr><th>{escaped(word)}</th>"
        + "".join(
            f'<td style="--a:{weight:.2f}"'
            + (f' title="{escaped(word)} ← {escaped(read)}: {weight:.0%}"' if weight >= STRONG else "")
            + "></td>"
            for read, weight in zip(source, row, strict=True)
        )
        + "</tr>"
        for word, row in zip(target, rows, strict=True)
    )
    return f'<div class="scroll"><table>\n<thead><tr><th></th>{heading}</tr></thead>\n{body}\n</table></div>\n'


TRANSLATION_FORMATS: Mapping[str, Format[SentencePair, Translation]] = {
    "text": lines,
    "nbest": n_best,
    "tsv": table,
    "risks": risk_lines,
    "alignment": alignments,
    "matrix": pictures,
    "html": page,
}
"""The formats by name, beside JSON lines: each takes a trained translator and sentences with their answers."""
