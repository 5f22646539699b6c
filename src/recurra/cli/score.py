"""`recurra score RUN "sentence"`: the probability of each word and of the sentence."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from recurra.cli.language import load_language_model
from recurra.tasks.language_modelling import Score
from recurra.training.figures import printable

__all__ = ["score"]

BAR = 20
"""Width of the longest bar, in characters."""


def score(
    run: Annotated[Path, typer.Argument(help="Folder of a language model's run.", metavar="RUN")],
    text: Annotated[str, typer.Argument(help="What to score; - reads standard input.")],
    units: Annotated[
        bool, typer.Option("--units", help="Each unit of the model in a row, such as each character, not each word.")
    ] = False,
) -> None:
    """Show how probable a language model finds a sentence: each word, given those before it, and the whole."""
    model = load_language_model(run)
    whole = model.score(sys.stdin.read().strip("\n") if text == "-" else text)
    level = model.vocabulary.level
    console = Console(highlight=False)
    console.print(_table(whole if units or level == "word" else whole.words(), console.encoding))
    unit = {"bpe": "token"}.get(level, level)
    log10 = whole.log_probability / math.log(10)
    console.print(
        Text.assemble(
            "probability of the sentence ",
            (f"{_power_of_ten(log10)}", "bold"),
            f"   (log10 {log10:.3f}, {whole.count} {unit}s, perplexity {whole.perplexity:.2f} a {unit}, "
            f"{-whole.log_probability / whole.count / math.log(2):.3f} bits a {unit})",
        ),
        soft_wrap=True,
    )
    if any(whole.unknown):
        console.print("* not in the vocabulary: scored as <UNK>", style="dim")
    if None in whole.log_probabilities:
        console.print("- taken as given: the model has nothing to read before it", style="dim")


def _power_of_ten(log10: float) -> str:
    """10**log10 in three digits, also where a float could not hold it.

    Example:
        >>> _power_of_ten(-400.5)
        '3.16e-401'
    """
    if log10 > -4:
        return f"{10**log10:.3g}"
    exponent = math.floor(log10)
    return f"{10 ** (log10 - exponent):.2f}e{exponent}"


def _table(score: Score, encoding: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("unit" if len(max(score.units, key=len)) == 1 else "word")
    table.add_column("probability", justify="right")
    table.add_column("bits", justify="right")
    table.add_column("surprise")
    surprises = [-p / math.log(2) for p in score.log_probabilities if p is not None]
    most = max(surprises, default=0.0) or 1.0
    for unit, log_probability, unknown in zip(score.units, score.log_probabilities, score.unknown, strict=True):
        name = Text(printable(repr(unit)[1:-1] if unit.isspace() else unit, encoding) + "*" * unknown)
        if log_probability is None:
            table.add_row(name, "-", "-", "")
            continue
        surprise = -log_probability / math.log(2)
        share = surprise / most
        style = "green" if surprise < 4 else "yellow" if surprise < 10 else "red"
        bar = Text("█" * max(1, round(share * BAR)), style=style)
        table.add_row(name, _power_of_ten(log_probability / math.log(10)), f"{surprise:.2f}", bar)
    return table
