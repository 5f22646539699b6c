"""Tagged text: sentences of words with spans, from columns, CoNLL-U, JSON lines, parallel files or plain text."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from recurra.data.dataset import Examples, Problems, Role, fingerprint_files
from recurra.data.lines import Source, name_of, read_lines
from recurra.data.tagged_columns import parallel_files, read_columns, read_parallel
from recurra.data.tagged_format import detect_format
from recurra.data.tagged_json import plain_sentence, read_json
from recurra.data.tagged_sentence import Format, TaggedFormat, TaggedRow, TaggedSentence
from recurra.data.tags import OUTSIDE, Scheme, detect_scheme, read_spans, tag_problem
from recurra.errors import DataError

__all__ = [
    "Format",
    "TaggedExamples",
    "TaggedFormat",
    "TaggedSentence",
    "plain_sentence",
    "read_tagged",
    "sentences_to_predict",
]

STRAY = "B begins a span of IOB1 where I would do"
"""A kind of problem."""


@dataclass
class TaggedExamples(Examples[TaggedSentence]):
    """Sentences with spans, in memory.

    Args:
        format: The format of the file.
        scheme: The scheme of its tags; None if it has spans instead.
        prefixed: Whether its tags have a prefix, as in I-PER; of those of IO, which may be types alone, one that has.
    """

    format: Format = "columns"
    scheme: Scheme | None = None
    prefixed: bool = True

    def subset(self, indices: Sequence[int], name: str) -> TaggedExamples:
        """Some of the sentences, which are of the same format and scheme."""
        part = super().subset(indices, name)
        return TaggedExamples(
            part.items,
            part.sources,
            part.lengths,
            part.problems,
            part.fingerprint_of,
            self.format,
            self.scheme,
            self.prefixed,
        )


def read_tagged(path: Path, how: TaggedFormat, role: Role) -> TaggedExamples:
    r"""Read a file of tagged text.

    Args:
        path: The file.
        how: How it is read.
        role: What for: with "predict" its tags, if it has any, are not read, and no sentence is left out.

    Returns:
        The sentences, and the format and the scheme of the file.

    Raises:
        DataError: The file cannot be read, a line of it is wrong, or, where spans are asked for, it has none.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "train.conll"
        >>> _ = path.write_text("Ann I-PER\nleft O\nNew I-LOC\nYork I-LOC\n")
        >>> examples = read_tagged(path, TaggedFormat(), "train")
        >>> examples[0].words, examples[0].spans, examples.scheme.value
        (('Ann', 'left', 'New', 'York'), ((0, 1, 'PER'), (2, 4, 'LOC')), 'IO')
    """
    problems = Problems()
    format_, rows = _read(path, how, role, problems)
    scheme, prefixed = None, True
    if role == "predict":
        sentences = [row.sentence for row in rows]
    else:
        tagged = list(rows)
        sentences, scheme = _with_spans(tagged, path, how.scheme, problems)
        prefixed = scheme is not Scheme.IO or any(tag.startswith("I-") for row in tagged for tag in row.tags or ())
        _check(sentences, path, how, format_)
    files = [path]
    if format_ == "parallel" and role != "predict":
        files += [beside for beside in parallel_files(path) if beside.exists()]
    return TaggedExamples(
        sentences,
        [sentence.source for sentence in sentences],
        [len(sentence) for sentence in sentences],
        problems,
        lambda: fingerprint_files(files, asdict(how)),
        format_,
        scheme,
        prefixed,
    )


def sentences_to_predict(path: Path, how: TaggedFormat, problems: Problems | None = None) -> Iterator[TaggedSentence]:
    """The sentences of a file, one at a time, as soon as they are read; none is left out.

    A line of plain text, of words or of JSON is a sentence, also where it has no word.

    Args:
        path: The file.
        how: How it is read.
        problems: Takes what was changed, if anything was.

    Raises:
        DataError: The file cannot be read, or a line of it is wrong.
    """
    return (row.sentence for row in _read(path, how, "predict", problems or Problems())[1])


def _read(path: Path, how: TaggedFormat, role: Role, problems: Problems) -> tuple[Format, Iterator[TaggedRow]]:
    """The format of a file and its sentences, before the scheme of their tags is known."""
    lines: Iterable[tuple[int, str]] = read_lines(path)
    format_ = how.format
    if format_ is None:
        format_, lines = detect_format(path, lines, how.separator, role)
    if how.feature_columns and format_ not in {"columns", "conllu"}:
        raise DataError(f"{name_of(path)}: features are columns, and this is {format_}; give a file of columns")
    if format_ == "columns" or format_ == "conllu":
        return format_, read_columns(path, lines, how, role, conllu=format_ == "conllu")
    if format_ == "jsonl":
        return format_, read_json(path, lines, role, problems)
    if format_ == "parallel":
        return format_, read_parallel(path, lines, role, problems)
    if role != "predict":
        raise DataError(
            f"{name_of(path)}: this seems to be plain text, which has no tags to learn; give columns (a word and its "
            "tag a line, an empty line between sentences) or JSON lines, or name the format"
        )
    return format_, (TaggedRow(plain_sentence(line, Source(path, number)), None, [number]) for number, line in lines)


def _with_spans(
    rows: Sequence[TaggedRow], path: Path, scheme: Scheme | None, problems: Problems
) -> tuple[list[TaggedSentence], Scheme | None]:
    """Sentences with the spans that their tags write, and the scheme of the tags."""
    tagged = [(row, row.tags) for row in rows if row.tags is not None]
    if scheme is None and tagged:
        scheme = _scheme_of(tagged, path)
    sentences = []
    for row in rows:
        if row.tags is None or scheme is None:
            sentences.append(row.sentence)
            continue
        if (stray := tag_problem(row.tags, scheme)) is not None:
            problem = tag_problem(row.tags, scheme, strict=False)
            if problem is not None:
                raise DataError(
                    f"{name_of(path)}:{row.line(problem.step)}: {problem.reason}; the scheme is {scheme.value}: mend "
                    "the tag, or name another scheme"
                )
            problems.add(STRAY, Source(path, row.line(stray.step)))
        sentences.append(replace(row.sentence, spans=tuple(read_spans(row.tags, scheme, strict=False))))
    return sentences, scheme if tagged else None


def _scheme_of(tagged: Sequence[tuple[TaggedRow, Sequence[str]]], path: Path) -> Scheme:
    """The scheme of tags, or an error with the line where they are of none."""
    try:
        scheme = detect_scheme(tags for _, tags in tagged)
    except DataError as error:
        number, step = error.where  # type: ignore[attr-defined]
        raise DataError(
            f"{name_of(path)}:{tagged[number][0].line(step)}: {error}; mend the tag, or name the scheme"
        ) from None
    if scheme is Scheme.IO:
        _check_types(tagged, path)
    return scheme


_MISSPELT = re.compile(r"[BIESLUM][_:./|]\S+|[biesl][-_:./|]\S+|\S+[-_:./|][BIESLU]")


def _check_types(tagged: Sequence[tuple[TaggedRow, Sequence[str]]], path: Path) -> None:
    """Refuse tags that would be read as types of their own and were meant as something else."""
    types = {tag for _, tags in tagged for tag in tags if tag != OUTSIDE}
    # B_PER may be a type; B_PER and I_PER, or PER-B and PER-I, are a scheme in another spelling.
    stems = [re.sub(r"^[BIESLUMbiesl][-_:./|]|[-_:./|][BIESLU]$", "", tag) for tag in types if _MISSPELT.fullmatch(tag)]
    misspelt = len(stems) > len(set(stems))
    outside = not any(OUTSIDE in tags for _, tags in tagged) and types & {"0", "o", "_", "-", "OUT", "NONE"}
    for row, tags in tagged:
        for step, tag in enumerate(tags):
            if misspelt and _MISSPELT.fullmatch(tag):
                raise DataError(
                    f"{name_of(path)}:{row.line(step)}: {tag} is no tag of a scheme; write a letter, a dash and the "
                    "type, such as B-PER"
                )
            if outside and tag in outside:
                raise DataError(
                    f"{name_of(path)}:{row.line(step)}: {tag} seems to be meant for a word of no entity; write "
                    f"{OUTSIDE}, the letter"
                )


def _check(sentences: Sequence[TaggedSentence], path: Path, how: TaggedFormat, format_: Format) -> None:
    """Refuse a file with nothing to learn."""
    if not sentences:
        raise DataError(f"{name_of(path)}: there is no sentence in it; give a file with one or more")
    if not any(sentence.spans for sentence in sentences):
        where = f"; tags are read from column {how.tag_column}: is it the right one?" if "col" in format_ else ""
        raise DataError(
            f"{name_of(path)}: none of its {len(sentences):,} sentences has an entity; give a file with one or "
            f"more{where}"
        )
