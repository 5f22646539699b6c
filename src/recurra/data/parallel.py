"""Translations: two texts whose lines belong together, tables and JSON lines."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from recurra.data.dataset import Examples, Problems, Role, fingerprint_files
from recurra.data.languages import names_two_languages
from recurra.data.lines import STANDARD_INPUT, Source, name_of, read_lines
from recurra.data.misalignment import first_misaligned
from recurra.data.sentence_pair import PairFormat, ParallelFormat, SentencePair
from recurra.data.tables import column_of, json_object, quoted_rows, read_as, text_value, unique_names
from recurra.errors import DataError

__all__ = ["PairFormat", "ParallelFormat", "SentencePair", "read_pairs", "sources_to_translate"]

SOURCE_NAMES, TARGET_NAMES = ("source", "src"), ("target", "tgt")
"""Names of columns beside those of the languages, whatever their case."""

SUFFIXES: Mapping[str, PairFormat] = {".tsv": "tsv", ".csv": "csv", ".jsonl": "jsonl", ".json": "jsonl"}

LOOKED_AT = 200
"""Lines by which the format of a file is told."""

RATIO = 9
"""How many times as long as its translation a text is at most, in characters, before that is counted."""

EMPTY = "a pair without a text or without a translation is left out"
EQUAL = "the translation is the text itself"
HEADING = "the first line is read as a heading, not as a pair, since it names two languages"
UNLIKELY = f"one side has more than {RATIO} times the characters of the other"
"""Kinds of problems."""


def read_pairs(path: Path, how: ParallelFormat, role: Role, target: Path | None = None) -> Examples[SentencePair]:
    r"""Read texts and their translations.

    Of two aligned texts the path is the one to translate from, such as train.de, beside which train.en or train.en.gz
    stands; or what both names begin with, such as train. Pairs without a text or a translation are left out of those to
    train on and to validate on, and counted; pairs of unlikely lengths and of equal texts are counted.

    Args:
        path: The file, or what the names of two aligned texts begin with.
        how: How it is read.
        role: What for: with "predict" translations may be missing, and no text is left out.
        target: The text of the translations, where its name does not follow from the path.

    Raises:
        DataError: A file cannot be read, or a line of it is wrong; two aligned texts have unequally many lines; or
            there is no pair.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> _ = (folder / "train.de").write_text("Ein Mann schläft.\nZwei Hunde.\n", encoding="utf-8")
        >>> _ = (folder / "train.en").write_text("A man is asleep.\nTwo dogs.\n")
        >>> how = ParallelFormat(source_language="de", target_language="en")
        >>> [(pair.source_text, pair.target_text) for pair in read_pairs(folder / "train.de", how, "train")]
        [('Ein Mann schläft.', 'A man is asleep.'), ('Zwei Hunde.', 'Two dogs.')]
    """
    problems = Problems()
    files, read = _open(path, how, role, target, problems)
    pairs = [pair for pair in read if role == "predict" or _is_kept(pair, role, files[-1], problems)]
    if role != "predict" and not pairs:
        left_out = sum(problems.counts.values())
        beside = f" (and {left_out:,} with an empty side)" if left_out else ""
        raise DataError(f"{name_of(files[0])}: 0 pairs of a text and its translation in it{beside}; give some")
    return Examples(
        pairs,
        [pair.source for pair in pairs],
        [len(pair) for pair in pairs],
        problems,
        lambda: fingerprint_files(files, asdict(how)),
    )


def sources_to_translate(path: Path, how: ParallelFormat, problems: Problems | None = None) -> Iterator[SentencePair]:
    """The texts of a file, one at a time, as soon as they are read; none is left out.

    A line of a plain text is a text, whatever it holds; a row of a table and a line of JSON lines are one each.

    Args:
        path: The file, or what the names of two aligned texts begin with.
        how: How it is read. A table is told by the name of the file alone: tabs may stand in a plain text.
        problems: Takes what was read in another way than it may be meant.

    Raises:
        DataError: The file cannot be read, or a line of it is wrong.
    """
    return _open(path, how, "predict", None, problems or Problems())[1]


def _is_kept(pair: SentencePair, role: Role, target: Path, problems: Problems) -> bool:
    """Whether a pair is one to learn from or to measure; what is odd about it is counted."""
    text, translation = pair.source_text.strip(), (pair.target_text or "").strip()
    if not text or not translation:
        if role == "evaluate":
            return True
        problems.add(EMPTY, pair.source if not text else Source(target, pair.source.line))
        return False
    if text == translation:
        problems.add(EQUAL, pair.source)
    short, long = sorted((len(text), len(translation)))
    if long > RATIO * short:
        problems.add(UNLIKELY, pair.source, f"{len(text):,} and {len(translation):,}")
    return True


# Files


def _open(
    path: Path, how: ParallelFormat, role: Role, target: Path | None, problems: Problems
) -> tuple[list[Path], Iterator[SentencePair]]:
    """The files that are read, and their pairs, one at a time."""
    how = _named_by_file(path, how)
    path = _of_prefix(path, how)
    format_ = how.format or SUFFIXES.get(_suffix(path))
    if target is not None and format_ not in {None, "text"}:
        raise DataError(f"{name_of(path)}: this is {format_}, which has the translations in it; give no target beside")
    if role != "predict" and format_ in {None, "text"}:
        target = target or _beside(path, how)
    lines: Iterable[tuple[int, str]] = read_lines(path)
    if target is not None:
        return [path, target], _aligned(path, lines, target)
    if format_ is None:
        format_, lines = _detect(path, lines, how, role)
    if format_ == "text" and role != "predict":
        raise _without_target(path, how)
    return [path], _of_one_file(path, lines, how, role, format_, problems)


def _of_one_file(
    path: Path,
    lines: Iterable[tuple[int, str]],
    how: ParallelFormat,
    role: Role,
    format_: PairFormat,
    problems: Problems,
) -> Iterator[SentencePair]:
    with read_as(how.format):
        yield from _in_format(path, lines, how, role, format_, problems)


def _in_format(
    path: Path,
    lines: Iterable[tuple[int, str]],
    how: ParallelFormat,
    role: Role,
    format_: PairFormat,
    problems: Problems,
) -> Iterator[SentencePair]:
    if format_ == "tsv":
        return _table(path, ((number, line.split("\t")) for number, line in lines), how, role, problems)
    if format_ == "csv":
        return _table(path, quoted_rows(path, lines, ","), how, role, problems)
    if format_ == "jsonl":
        return _objects(path, lines, how, role)
    return (SentencePair(line, None, Source(path, number)) for number, line in lines)


def _suffix(path: Path) -> str:
    return Path(path.stem).suffix if path.suffix == ".gz" else path.suffix


def _plain_or_zipped(path: Path) -> Path | None:
    """A file, or else the one of that name that is gzipped; None where neither is there."""
    zipped = path.with_name(f"{path.name}.gz")
    return next((candidate for candidate in (path, zipped) if candidate.exists()), None)


def _named_by_file(path: Path, how: ParallelFormat) -> ParallelFormat:
    """How a text is read whose source language is not said: the end of its name, if its translations are beside it."""
    language = path.name.removesuffix(".gz").rpartition(".")[2]
    if how.source_language is not None or how.target_language is None or path == STANDARD_INPUT or not language:
        return how
    named = replace(how, source_language=language)
    return how if language == how.target_language or _beside(path, named) is None else named


def _of_prefix(path: Path, how: ParallelFormat) -> Path:
    """The text to translate from, where the path is what the names of two aligned texts begin with."""
    if path == STANDARD_INPUT or path.is_file() or how.source_language is None:
        return path
    return _plain_or_zipped(path.with_name(f"{path.name}.{how.source_language}")) or path


def _stem(path: Path, language: str | None) -> str | None:
    """The name of a text without its language; None where it is not named for it."""
    name = path.name.removesuffix(".gz")
    return name.removesuffix(f".{language}") if language and name.endswith(f".{language}") else None


def _beside(path: Path, how: ParallelFormat) -> Path | None:
    """The text of the translations beside the one to translate from; None where it is not there."""
    if path == STANDARD_INPUT or how.target_language is None:
        return None
    stem = _stem(path, how.source_language)
    if stem is not None:
        return _plain_or_zipped(path.with_name(f"{stem}.{how.target_language}"))
    if (stem := _stem(path, how.target_language)) is not None and how.source_language is not None:
        raise DataError(
            f"{path}: this is the text of the translations, by its name; give {stem}.{how.source_language}, or "
            "exchange the languages"
        )
    return None


def _without_target(path: Path, how: ParallelFormat) -> DataError:
    """The error that there is a text, and no translation of it."""
    if not path.exists() and path != STANDARD_INPUT:
        return DataError(f"{path}: there is no such file; give the path of a text, a table or JSON lines")
    source, target = how.source_language, how.target_language
    stem = _stem(path, source)
    if stem is not None and target is not None:
        return DataError(
            f"{path}: its translations are missing: beside it is neither {stem}.{target} nor {stem}.{target}.gz; put "
            "them there, or name their file"
        )
    if source is None or target is None:
        return DataError(
            f"{name_of(path)}: this seems to be one of two aligned texts; name both languages as the files are named, "
            "such as --source-language de --target-language en for train.de and train.en"
        )
    return DataError(
        f"{name_of(path)}: this seems to be a text without translations; give a file whose name ends in .{source} with "
        f"one in .{target} beside it, a table with tabs, or JSON lines"
    )


def _detect(
    path: Path, lines: Iterable[tuple[int, str]], how: ParallelFormat, role: Role
) -> tuple[PairFormat, Iterable[tuple[int, str]]]:
    """The format of a file by its first lines: of what is to be translated, by the first."""
    if path != STANDARD_INPUT and not path.exists() and role != "predict":
        raise _without_target(path, how)
    iterator = iter(lines)
    first = list(itertools.islice(iterator, 1 if role == "predict" else LOOKED_AT))
    whole = itertools.chain(first, iterator)
    filled = [line for _, line in first if line.strip()]
    if filled and _is_object(filled[0]):
        return "jsonl", whole
    tabs = {line.count("\t") for line in filled}
    if role != "predict" and len(tabs) == 1 and tabs != {0}:
        return "tsv", whole
    return "text", whole


def _is_object(line: str) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False


# Two aligned texts


def _aligned(path: Path, lines: Iterable[tuple[int, str]], target: Path) -> Iterator[SentencePair]:
    """The pairs of two texts of equally many lines."""
    lengths: tuple[list[int], list[int]] = ([], [])
    for source_line, target_line in itertools.zip_longest(lines, read_lines(target)):
        for line, known in zip((source_line, target_line), lengths, strict=True):
            if line is not None:
                known.append(len(line[1]))
        if source_line is not None and target_line is not None:
            yield SentencePair(source_line[1], target_line[1], Source(path, source_line[0]))
    if len(lengths[0]) != len(lengths[1]):
        raise _unequal(path, target, lengths)


def _unequal(path: Path, target: Path, lengths: tuple[Sequence[int], Sequence[int]]) -> DataError:
    counts = [len(known) for known in lengths]
    short, long = (path, target) if counts[0] < counts[1] else (target, path)
    said = f"{name_of(path)} has {counts[0]:,} lines and {name_of(target)} has {counts[1]:,}"
    line, least = first_misaligned(*lengths), min(counts)
    if line is None:
        return DataError(f"{said}; give both equally many, so that a line of one is the translation of the other's")
    if line > least:
        return DataError(
            f"{said}: by their lengths, lines belong together up to the end of {name_of(short)}; give the rest of it, "
            f"or cut {name_of(long)} after line {least:,}"
        )
    lacking = "1 line" if max(counts) - least == 1 else f"{max(counts) - least:,} lines"
    return DataError(
        f"{said}: by the lengths of lines, {lacking} of {name_of(short)} got lost at about line {line:,}; give both "
        "equally many"
    )


# Tables


def _table(
    path: Path, rows: Iterable[tuple[int, list[str]]], how: ParallelFormat, role: Role, problems: Problems
) -> Iterator[SentencePair]:
    """The pairs of a table; without a heading of two columns."""
    heading: list[str] | None = None
    columns: tuple[int, int | None] = (0, 1)
    width = 2
    for row, (line, cells) in enumerate(rows):
        source = Source(path, line)
        if row == 0 and (places := _columns(cells, how)) != (None, None):
            heading, width = unique_names(cell.strip() for cell in cells), len(cells)
            columns = _asked_for(source, places, heading, how, role)
            continue
        if row == 0 and names_two_languages(cells):
            heading = unique_names(cell.strip() for cell in cells)
            problems.add(HEADING, source, " and ".join(heading))
            continue
        if role == "predict" and heading is None and len(cells) == 1:
            yield SentencePair(cells[0], None, source)
            continue
        if len(cells) <= 1 and not "".join(cells):  # an empty line
            cells = [""] * width
        if len(cells) != width:
            raise _of_width(source, len(cells), width, heading)
        text, translation = columns
        row_kept = None if heading is None else dict(zip(heading, cells, strict=True))
        yield SentencePair(cells[text], None if translation is None else cells[translation], source, row_kept)


def _columns(names: Sequence[str], how: ParallelFormat) -> tuple[int | None, int | None]:
    """Where the text and the translation are, by the names of columns."""

    def place(language: str | None, usual: Sequence[str]) -> int | None:
        return column_of(names, None, [*([language.lower()] if language else []), *usual])

    return place(how.source_language, SOURCE_NAMES), place(how.target_language, TARGET_NAMES)


def _asked_for(
    source: Source, places: tuple[int | None, int | None], names: Sequence[str], how: ParallelFormat, role: Role
) -> tuple[int, int | None]:
    """Where the text and the translation are, which has to be there unless it is to be predicted."""
    text, translation = places
    for place, language, usual in (
        (text, how.source_language, SOURCE_NAMES),
        (0 if role == "predict" else translation, how.target_language, TARGET_NAMES),
    ):
        if place is None:
            wanted = " or ".join([*([language] if language else []), usual[0]])
            raise DataError(f"{source}: there is no {wanted}; the names are: {', '.join(names)}; name the languages so")
    return text or 0, translation


def _of_width(source: Source, count: int, width: int, heading: Sequence[str] | None) -> DataError:
    columns = f"{count} column{'s' * (count != 1)}"
    if heading is not None:
        return DataError(f"{source}: this row has {columns}, and the heading has {width}; give every row as many")
    return DataError(
        f"{source}: this row has {columns}; give two, the text and its translation, or a heading that names them, such "
        "as source and target"
    )


# JSON lines


def _objects(path: Path, lines: Iterable[tuple[int, str]], how: ParallelFormat, role: Role) -> Iterator[SentencePair]:
    for number, line in lines:
        source = Source(path, number)
        if line.strip():
            yield _of_record(json_object(line, source, '{"source": "Ja.", "target": "Yes."}'), source, how, role)
        else:
            yield SentencePair("", None, source)


def _of_record(record: Mapping[str, Any], source: Source, how: ParallelFormat, role: Role) -> SentencePair:
    """A pair of an object, or of the object "translation" in it."""
    nested = record.get("translation")
    texts = nested if isinstance(nested, dict) else record
    names = list(texts)
    text, translation = _asked_for(source, _columns(names, how), names, how, role)
    content, translated = text_value(texts, names[text], source), None
    if translation is not None and texts[names[translation]] is not None:
        translated = text_value(texts, names[translation], source)
    row = {name: value if isinstance(value, str) else json.dumps(value) for name, value in record.items()}
    return SentencePair(content, translated, source, row)
