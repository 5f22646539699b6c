"""`recurra score RUN "sentence"`: the probability of each word and of the sentence, or of a translation."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from recurra.cli.completion import run_folders
from recurra.cli.json_lines import write_json_line
from recurra.cli.language import load_scorer, standard_input, unit_name
from recurra.cli.score_many import score_as_json, score_lines, score_pairs
from recurra.errors import SettingError
from recurra.training.figures import SIGNS, printable

if TYPE_CHECKING:  # torch is imported once a command runs
    from recurra.tasks.score import Score, ScoredUnit

__all__ = ["score"]

BAR, SHORTEST_BAR = 20, len("surprise")
"""Width of the longest bar, in characters, and of the column at its narrowest: that of its heading."""

SHORTEST_WORD = 8
"""The width that is left to words as long as something else can give way."""

PADDING = 2
"""Between the columns."""


def score(
    run: Annotated[
        Path,
        typer.Argument(
            help="Folder of a run of a language model or a translator.", metavar="RUN", autocompletion=run_folders
        ),
    ],
    text: Annotated[
        str | None, typer.Argument(help="What to score; - reads standard input.", metavar="TEXT", show_default=False)
    ] = None,
    target: Annotated[
        str | None, typer.Option("--target", help="Of a translator: the translation of TEXT.", metavar="TEXT")
    ] = None,
    source: Annotated[
        Path | None,
        typer.Option(
            "--input",
            help="Score each line of a file instead; - reads standard input. Of a translator, sentences with their "
            "translations, in any format that it is trained from.",
            metavar="FILE",
        ),
    ] = None,
    units: Annotated[
        bool, typer.Option("--units", help="A row for each unit of the model, such as each character, not each word.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="A JSON object a text instead of a table; with --units, of each unit too.")
    ] = False,
) -> None:
    """Show how probable a model finds a sentence, or a translation: each word, given those before it, and the whole."""
    from recurra.tasks.translator_run import TranslatorRun

    if (text is None) == (source is None):
        raise SettingError(f"give a text or --input FILE{', not both' if text is not None else ''}")
    if source is not None and target is not None:
        raise SettingError("--target goes with a text; the translations of --input stand in its file")
    model = load_scorer(run)
    if isinstance(model, TranslatorRun):
        if source is not None:
            score_pairs(model, source, json=as_json, units=units)
            return
        if target is None:
            raise SettingError("a translator scores a translation: give it with --target")
        whole, vocabulary, scored = model.score(_typed(text), target), model.assets.target, target
    else:
        if target is not None:
            raise SettingError(f"--target is for translators, and {run} is a language model's run; leave it out")
        if source is not None:
            score_lines(model, source, json=as_json, units=units)
            return
        scored = _typed(text)
        whole, vocabulary = model.score(scored), model.vocabulary
    if as_json:
        write_json_line(score_as_json(scored, whole, units=units))
        return
    console = Console(highlight=False)
    console.print(_table(whole.units if units else whole.words, units, console))
    console.print()
    _print_whole(whole, unit_name(vocabulary.level), console)


def _typed(text: str | None) -> str:
    return standard_input() if text == "-" else text or ""


def _print_whole(whole: Score, unit: str, console: Console) -> None:
    log10 = whole.log_probability / math.log(10)
    rows = [
        ("probability", _power_of_ten(log10), f"of the whole, log10 {round(log10, 3) + 0.0:.3f}"),
        ("perplexity", f"{whole.perplexity:.2f}", f"a {unit}, over {whole.count:,} of them"),
        ("bits", f"{round(whole.bits, 3) + 0.0:.3f}", f"a {unit}"),
    ]
    table = Table.grid(padding=(0, 2, 0, 0))
    for label, figure, meaning in rows:
        table.add_row(Text(label, style="dim"), Text(figure, style="bold"), meaning)
    console.print(table)
    if any(part.unknown for part in whole.units):
        console.print("* not in the vocabulary: scored as <UNK>", style="dim")
    if any(part.log_probability is None for part in whole.units):
        console.print("- taken as given: the model has nothing to read before it", style="dim")


def _power_of_ten(log10: float) -> str:
    """10**log10 in three digits, also where a float could not hold it.

    Example:
        >>> _power_of_ten(-2.0), _power_of_ten(-400.5)
        ('0.01', '3.16e-401')
    """
    if not math.isfinite(log10):
        return "0" if log10 < 0 else "nan"
    if log10 > -4:
        return f"{10**log10:.3g}"
    exponent = math.floor(log10)
    mantissa = f"{10 ** (log10 - exponent):.2f}"
    return f"{mantissa}e{exponent}" if mantissa != "10.00" else f"1.00e{exponent + 1}"


def _table(parts: Sequence[ScoredUnit], units: bool, console: Console) -> Table:
    surprises = [None if part.log_probability is None else _surprise(part.log_probability) for part in parts]
    known = [surprise for surprise in surprises if surprise is not None and math.isfinite(surprise)]
    most = max(known, default=0.0) or 1.0
    names = [printable(part.text.translate(SIGNS), console.encoding) + "*" * part.unknown for part in parts]
    figures = [
        ("-", "-") if surprise is None else (_power_of_ten(-surprise * math.log10(2)), f"{surprise:.2f}")
        for surprise in surprises
    ]
    heads = ("unit" if units else "word", "probability", "bits")
    widths = [max(cell_len(text) for text in column) for column in zip(heads, *_rows(names, figures), strict=True)]
    # The words are what it is about: in a narrow window the bars are the first to give way, then what the bits say too.
    bar = min(BAR, console.width - sum(widths) - PADDING * len(widths))
    narrow = console.width - sum(widths[1:]) - PADDING * len(widths) < min(widths[0], SHORTEST_WORD)
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, PADDING, 0, 0))
    table.add_column(heads[0])
    for head in heads[2 if narrow else 1 :]:
        table.add_column(head, justify="right", no_wrap=True)
    if bar >= SHORTEST_BAR:
        table.add_column("surprise", no_wrap=True)
    block = printable("█", console.encoding).replace("?", "#")
    for name, texts, surprise in zip(names, figures, surprises, strict=True):
        cells: list[Text | str] = [Text(name), *texts[1 if narrow else 0 :]]
        if bar >= SHORTEST_BAR:
            cells.append(_bar(surprise, most, bar, block))
        table.add_row(*cells)
    return table


def _rows(names: Sequence[str], figures: Sequence[tuple[str, str]]) -> Iterator[tuple[str, str, str]]:
    return ((name, *texts) for name, texts in zip(names, figures, strict=True))


def _surprise(log_probability: float) -> float:
    """The surprise -log2 p in bits, without the sign of a zero."""
    return max(0.0, -log_probability / math.log(2)) if log_probability == log_probability else math.nan


def _bar(surprise: float | None, most: float, width: int, block: str) -> Text:
    """A bar as long as a surprise is large: the longest for what the model holds impossible, none for no number."""
    if surprise is None or math.isnan(surprise):
        return Text("")
    style = "green" if surprise < 4 else "yellow" if surprise < 10 else "red"
    return Text(block * max(1, round(min(surprise / most, 1.0) * width)), style=style)
