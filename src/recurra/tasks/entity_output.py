"""Tagged sentences for people and for programs: on a terminal, in columns, as a page.

Each format is a generator: it takes sentences with their answers, one at a time, and gives the text to write after
each, so that a stream of any length is written in memory that does not grow.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rich.text import Text

from recurra.data.tagged_format import DOCUMENT
from recurra.data.tagged_sentence import BLANKS, FileLine, TaggedSentence
from recurra.data.tags import OUTSIDE, Scheme, split_tag, write_tags
from recurra.tasks.entity_page import html_page
from recurra.tasks.tagging import Tagging, entities

if TYPE_CHECKING:
    from recurra.tasks.trained import Trained

__all__ = ["ENTITY_FORMATS", "EntityOutput", "columns", "terminal_text"]

BACKGROUNDS = (117, 156, 222, 217, 183, 122, 216, 251)
"""Light backgrounds among the fixed part of the 256 colours; black text contrasts with each by more than 11 : 1,
whatever the terminal's own colours are."""

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
    """

    types: Sequence[str]
    scheme: Scheme = Scheme.IOB2
    prefixed: bool = True
    title: str = "Named entities"


Answered = Iterable[tuple[TaggedSentence, Tagging]]
"""Sentences with their answers."""


# On a terminal


def terminal_text(answered: Answered, output: EntityOutput) -> Iterator[Text]:
    """The text, a line a sentence, its entities in brackets with their types, highlighted where there is colour."""
    styles = {
        type_: f"color(16) on color({BACKGROUNDS[number % len(BACKGROUNDS)]})"
        for number, type_ in enumerate(output.types)
    }
    for sentence, answer in answered:
        text, placed = entities(sentence, answer)
        line, end = Text(), 0
        if answer.label is not None:
            line.append(f"{_visible(answer.label)}: ", "bold")
        for entity in placed:
            line.append(_visible(text[end : entity.start]))
            style = styles.get(entity.type, "reverse")
            line.append(f"[{_visible(text[entity.start : entity.end])} ", style)
            line.append(_visible(entity.type), f"{style} bold")
            line.append("]", style)
            end = entity.end
        line.append(f"{_visible(text[end:])}\n")
        yield line


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
        begins = [f"{DOCUMENT}\t{OUTSIDE}", ""] if sentence.document not in {None, document} else []
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


def _page(answered: Answered, output: EntityOutput) -> Iterator[str]:
    return html_page(answered, output.types, output.title)


def _of_run(
    write: Callable[[Answered, EntityOutput], Iterator[str | Text]],
) -> Callable[[Any, Answered], Iterator[str | Text]]:
    """A format for the answers of a run, by what is known of its tags."""

    def written(trained: Trained[Any, TaggedSentence, Any, Any, Any, Tagging], answered: Answered) -> Iterator[Any]:
        assets = trained.assets
        types = dict.fromkeys(split_tag(tag)[1] for tag in assets.tags.names if tag != OUTSIDE)
        return write(answered, EntityOutput(tuple(types), assets.scheme, assets.prefixed))

    return written


ENTITY_FORMATS = {"text": _of_run(terminal_text), "conll": _of_run(columns), "html": _of_run(_page)}
"""The formats by name, beside JSON lines: each takes a trained tagger and sentences with their answers."""
