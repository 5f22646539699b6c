"""What makes translations doubtful, for people and on a page: marked in the sentence and in its translation."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from rich.text import Text

from recurra.data.sentence_pair import SentencePair
from recurra.tasks.page import escaped
from recurra.tasks.translation import Span, Translation
from recurra.training.figures import one_line, printable

if TYPE_CHECKING:
    from recurra.tasks.trained import Trained

__all__ = ["RISK_STYLE", "risk_lines", "sentences_with_risks"]

RISK_STYLE = """
mark { color: inherit; background: hsl(35 95% 55% / .35); border-radius: .15rem; padding: 0 .1rem }
.risks { margin: .3rem 0; padding: 0; list-style: none; color: hsl(25 80% 42%); font-size: .9rem }
@media (prefers-color-scheme: dark) { .risks { color: hsl(35 85% 62%) } }
.nearest { color: var(--faint); font-size: .9rem }
"""


def risk_lines(
    run: Trained[Any, SentencePair, Any, Any, Any, Translation], answered: Iterable[tuple[SentencePair, Translation]]
) -> Iterator[Text]:
    """The doubtful translations alone: number of the line, sentence and translation with what is wrong marked, why."""
    count = doubtful = 0
    for count, (pair, answer) in enumerate(answered, 1):
        if not answer.risks:
            continue
        doubtful += 1
        source, translation = _marked_spans(pair, answer)
        block = Text.assemble((f"{count:,}", "cyan"), "  ", _styled(pair.source_text, source), "\n")
        block.append("   → ").append_text(_styled(answer.text, translation)).append("\n")
        for risk in answer.risks:
            block.append(f"     {risk.name}: {one_line(risk.reason)}\n", "yellow")
        if answer.neighbour is not None:
            near = answer.neighbour
            said = f"{near.similarity:.2f} {near.where}: {one_line(near.source_text)} → {one_line(near.target_text)}"
            block.append(f"     nearest: {said}\n", "dim")
        yield block
    yield Text(f"{doubtful:,} of {count:,} translations are doubtful\n", "dim")


def _styled(text: str, spans: Sequence[Span]) -> Text:
    styled = Text()
    for part, marked in _parts(text, spans):
        styled.append(printable(part, "utf-8"), "bold yellow" if marked else "")
    return styled


def sentences_with_risks(pair: SentencePair, answer: Translation) -> str:
    """The opening of a section of a page: the sentence, its translation, why it is doubtful, and the nearest pair."""
    source, translation = _marked_spans(pair, answer)
    lines = [
        "<section>",
        f'<p class="source">{_page_text(pair.source_text, source)}</p>',
        f"<p>{_page_text(answer.text, translation)}</p>",
    ]
    if answer.risks:
        items = "".join(f"<li>{escaped(f'{risk.name}: {risk.reason}')}</li>" for risk in answer.risks)
        lines.append(f'<ul class="risks">{items}</ul>')
    if answer.neighbour is not None:
        near = answer.neighbour
        said = f"nearest pair, {near.similarity:.2f} alike ({near.where}): {near.source_text} → {near.target_text}"
        lines.append(f'<p class="nearest">{escaped(said)}</p>')
    return "\n".join(lines) + "\n"


def _page_text(text: str, spans: Sequence[Span]) -> str:
    return "".join(f"<mark>{escaped(part)}</mark>" if marked else escaped(part) for part, marked in _parts(text, spans))


def _marked_spans(pair: SentencePair, answer: Translation) -> tuple[list[Span], list[Span]]:
    """What risks are about, in the sentence as it was given and in the translation."""
    shift = pair.source_text.find(answer.source_text)  # white space around it is not read
    source = [(begin + shift, end + shift) for risk in answer.risks for begin, end in risk.source]
    return ([] if shift < 0 else source), [span for risk in answer.risks for span in risk.translation]


def _parts(text: str, spans: Sequence[Span]) -> Iterator[tuple[str, bool]]:
    """A text in parts, each with whether a span covers it."""
    last = 0
    for begin, end in _merged(spans):
        if last < begin:
            yield text[last:begin], False
        yield text[begin:end], True
        last = end
    if last < len(text):
        yield text[last:], False


def _merged(spans: Sequence[Span]) -> list[Span]:
    """Spans that overlap as one, in order; empty ones left out.

    Example:
        >>> _merged([(4, 6), (0, 2), (1, 3), (5, 5)])
        [(0, 3), (4, 6)]
    """
    merged: list[Span] = []
    for begin, end in sorted(span for span in spans if span[0] < span[1]):
        if merged and begin <= merged[-1][1]:
            merged[-1] = merged[-1][0], max(merged[-1][1], end)
        else:
            merged.append((begin, end))
    return merged
