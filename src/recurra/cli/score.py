"""`recurra score RUN "sentence"`: the probability of each word and of the sentence."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from recurra.cli.language import load_language_model, standard_input, unit_name
from recurra.tasks.score import Score, ScoredUnit
from recurra.training.figures import SIGNS, printable

__all__ = ["score"]

BAR = 20
"""Width of the longest bar, in characters."""


def score(
    run: Annotated[Path, typer.Argument(help="Folder of a language model's run.", metavar="RUN")],
    text: Annotated[str, typer.Argument(help="What to score; - reads standard input.", metavar="TEXT")],
    units: Annotated[
        bool, typer.Option("--units", help="A row for each unit of the model, such as each character, not each word.")
    ] = False,
) -> None:
    """Show how probable a language model finds a sentence: each word, given those before it, and the whole."""
    model = load_language_model(run)
    whole = model.score(standard_input() if text == "-" else text)
    console = Console(highlight=False)
    console.print(_table(whole.units if units else whole.words, units, console.encoding))
    console.print()
    _print_whole(whole, unit_name(model.vocabulary.level), console)


def _print_whole(whole: Score, unit: str, console: Console) -> None:
    log10 = whole.log_probability / math.log(10)
    rows = [
        ("probability", _power_of_ten(log10), f"of the whole, log10 {log10:.3f}"),
        ("perplexity", f"{whole.perplexity:.2f}", f"a {unit}, over {whole.count:,} of them"),
        ("bits", f"{whole.bits:.3f}", f"a {unit}"),
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
    if log10 > -4:
        return f"{10**log10:.3g}"
    exponent = math.floor(log10)
    mantissa = f"{10 ** (log10 - exponent):.2f}"
    return f"{mantissa}e{exponent}" if mantissa != "10.00" else f"1.00e{exponent + 1}"


def _table(parts: Sequence[ScoredUnit], units: bool, encoding: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    table.add_column("unit" if units else "word")
    table.add_column("probability", justify="right", no_wrap=True)
    table.add_column("bits", justify="right", no_wrap=True)
    table.add_column("surprise", no_wrap=True)
    surprises = [-part.log_probability / math.log(2) for part in parts if part.log_probability is not None]
    most = max(surprises, default=0.0) or 1.0
    for part in parts:
        name = Text(printable(part.text.translate(SIGNS), encoding) + "*" * part.unknown)
        if part.log_probability is None:
            table.add_row(name, "-", "-", "")
            continue
        surprise = -part.log_probability / math.log(2)
        style = "green" if surprise < 4 else "yellow" if surprise < 10 else "red"
        bar = Text(printable("█", encoding).replace("?", "#") * max(1, round(surprise / most * BAR)), style=style)
        table.add_row(name, _power_of_ten(part.log_probability / math.log(10)), f"{surprise:.2f}", bar)
    return table
