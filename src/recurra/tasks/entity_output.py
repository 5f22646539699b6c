"""Tagged sentences for people and for programs: on a terminal, as JSON lines, in columns, as a page.

Each format is a generator: it takes sentences with their answers, one at a time, and gives the text to write after
each, so that a stream of any length is written in memory that does not grow.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.text import Text

from recurra.data.tagged_format import DOCUMENT
from recurra.data.tagged_sentence import BLANKS, FileLine, TaggedSentence
from recurra.data.tags import OUTSIDE, Scheme, write_tags
from recurra.tasks.entity_page import html_page
from recurra.tasks.tagging import Tagging, entities, show

__all__ = ["ENTITY_OUTPUTS", "EntityOutput", "columns", "json_lines", "terminal_text"]

BACKGROUNDS = (117, 156, 222, 217, 183, 122, 216, 251)
"""Light backgrounds among the fixed part of the 256 colours; black text contrasts with each by more than 11 : 1,
whatever the terminal's own colours are."""

FEW_BACKGROUNDS = ("bright_cyan", "bright_green", "bright_yellow", "bright_magenta", "bright_red", "bright_blue")
"""The same where there are the 16 colours of the terminal's theme alone."""

ATTRIBUTE = "NER"
"""The attribute of CoNLL-U that holds a tag."""


@dataclass(frozen=True)
class EntityOutput:
    """What the formats need to know beside sentences and answers.

    Args:
        types: All types of entities, in the order of their colours.
        scheme: The scheme of the tags in columns: that of the data that the model was trained on.
        prefixed: Whether tags of IO have a prefix there.
        title: What the page is called.
        console: The terminal; by default standard output.
    """

    types: Sequence[str]
    scheme: Scheme = Scheme.IOB2
    prefixed: bool = True
    title: str = "Named entities"
    console: Console | None = None


Answered = Iterable[tuple[TaggedSentence, Tagging]]
"""Sentences with their answers."""


def json_lines(answered: Answered, output: EntityOutput) -> Iterator[str]:
    """An object of JSON a line: the text, its entities by their characters, and the label of the sentence."""
    for sentence, answer in answered:
        yield json.dumps(show(sentence, answer), ensure_ascii=False) + "\n"


# On a terminal


def terminal_text(answered: Answered, output: EntityOutput) -> Iterator[str]:
    """The text with its entities highlighted, a line a sentence, after a legend.

    Where there is no colour, or there are more types than colours, the type is written beside each entity.
    """
    console = output.console or Console(highlight=False)
    styles = _styles(output.types, console)
    beside = console.color_system is None or len(set(styles.values())) < len(output.types)
    if not beside and output.types:
        legend = Text(" ").join(Text(f" {_visible(type_)} ", styles[type_]) for type_ in output.types)
        yield _rendered(console, legend) + "\n"
    for sentence, answer in answered:
        text, placed = entities(sentence, answer)
        line, end = Text(), 0
        if answer.label is not None:
            line.append(f"{_visible(answer.label)}: ", "bold")
        for entity in placed:
            line.append(_visible(text[end : entity.start]))
            words, style = _visible(text[entity.start : entity.end]), styles.get(entity.type, "")
            line.append(f"[{words} {_visible(entity.type)}]" if beside else words, style)
            end = entity.end
        line.append(_visible(text[end:]))
        yield _rendered(console, line)


def _styles(types: Sequence[str], console: Console) -> dict[str, str]:
    """The style of each type, in as many colours as the terminal has."""
    backgrounds: Sequence[str]
    if console.color_system in {"256", "truecolor"}:
        backgrounds = [f"color(16) on color({background})" for background in BACKGROUNDS]
    elif console.color_system is None:
        return {}
    else:
        backgrounds = [f"black on {background}" for background in FEW_BACKGROUNDS]
    return {type_: backgrounds[number % len(backgrounds)] for number, type_ in enumerate(types)}


def _rendered(console: Console, line: Text) -> str:
    with console.capture() as capture:
        console.print(line, soft_wrap=True)
    return capture.get()


def _visible(text: str) -> str:
    """A text in which nothing steers the terminal or begins a line: as many characters, of which those are others."""
    return re.sub(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]", "\ufffd", re.sub(r"[\t\n\r]", " ", text))


# Columns


def columns(answered: Answered, output: EntityOutput) -> Iterator[str]:
    """Columns as conlleval reads them: those of the input, and the tag that was predicted as one more.

    Empty lines, comments and lines that begin a document stay. The attributes of CoNLL-U take the tag as NER=. What
    was read from no columns is a word and its tag a line.
    """
    document: int | None = None
    for sentence, answer in answered:
        tags = _tags(answer, len(sentence), output)
        if sentence.lines:
            yield "".join(f"{line}\n" for line in _beside(sentence.lines, tags, answer.label))
            continue
        begins = [f"{DOCUMENT}\t{OUTSIDE}", ""] if document not in {None, sentence.document} else []
        label = [f"# label = {_one_line(answer.label)}"] if answer.label is not None else []
        rows = [f"{_one_line(word)}\t{tag}" for word, tag in zip(sentence.words, tags, strict=True)]
        yield "".join(f"{line}\n" for line in [*begins, *label, *rows, ""])
        document = sentence.document


def _tags(answer: Tagging, length: int, output: EntityOutput) -> list[str]:
    """The tags that write an answer; where the scheme is IO, IOB1, which is the same and tells neighbours apart."""
    scheme = Scheme.IOB1 if output.scheme is Scheme.IO and output.prefixed else output.scheme
    tags = write_tags(answer.spans, length, scheme)
    return tags if output.prefixed else [tag.removeprefix("I-") for tag in tags]


def _beside(lines: Sequence[FileLine], tags: Sequence[str], label: str | None) -> Iterator[str]:
    """The lines of a sentence, with the tag of each word."""
    for line in lines:
        if line.step is None:
            is_document = line.text.startswith(DOCUMENT) and line.separator in line.text.strip(BLANKS)
            yield _with_column(line, OUTSIDE) if is_document else line.text
            continue
        if line.step == 0 and label is not None:
            yield f"# predicted_label = {_one_line(label)}"
        tag = tags[line.step]
        yield _with_attribute(line, tag) if line.attributes else _with_column(line, tag)


def _with_column(line: FileLine, tag: str) -> str:
    if line.separator in {",", ";"}:
        cell = io.StringIO()
        csv.writer(cell, delimiter=line.separator, lineterminator="").writerow([tag])
        tag = cell.getvalue()
    return f"{line.text.rstrip(BLANKS)}{line.separator}{tag}"


def _with_attribute(line: FileLine, tag: str) -> str:
    *others, attributes = line.text.rstrip(BLANKS).split("\t")
    kept = [part for part in attributes.split("|") if part != "_" and not part.startswith(f"{ATTRIBUTE}=")]
    if tag != OUTSIDE:
        kept.append(f"{ATTRIBUTE}={tag}")
    return "\t".join([*others, "|".join(kept) or "_"])


def _one_line(text: str) -> str:
    """A text that neither begins a line nor a column."""
    return re.sub(r"[\t\n\r]", " ", text)


ENTITY_OUTPUTS: dict[str, Callable[[Answered, EntityOutput], Iterator[str]]] = {
    "text": terminal_text,
    "jsonl": json_lines,
    "conll": columns,
    "html": lambda answered, output: html_page(answered, output.types, output.title),
}
"""The formats by name."""
