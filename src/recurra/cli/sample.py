"""`recurra sample RUN`: novel sequences."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.rule import Rule
from rich.text import Text

from recurra.cli.completion import run_folders
from recurra.cli.flags import seed_option
from recurra.cli.language import load_language_model, unit_name
from recurra.cli.waiting import Waiting
from recurra.training.figures import printable

__all__ = ["sample"]


def sample(
    run: Annotated[
        Path, typer.Argument(help="Folder of a language model's run.", metavar="RUN", autocompletion=run_folders)
    ],
    primer: Annotated[
        str, typer.Option("--primer", help="What the text goes on from.", metavar="TEXT", show_default=False)
    ] = "",
    length: Annotated[int, typer.Option("--length", help="Most units to draw.", metavar="N")] = 400,
    number: Annotated[int, typer.Option("--number", "-n", help="How many texts to draw.", metavar="N")] = 1,
    temperature: Annotated[
        float,
        typer.Option(
            "--temperature", help="Below 1 is safer, above 1 bolder; 0 takes the most probable unit.", metavar="X"
        ),
    ] = 1.0,
    top_k: Annotated[
        int | None, typer.Option("--top-k", help="Draw from the k most probable units only.", metavar="K")
    ] = None,
    top_p: Annotated[
        float | None,
        typer.Option("--top-p", help="Draw from the fewest units whose probabilities sum to p.", metavar="P"),
    ] = None,
    allow_unknown: Annotated[bool, typer.Option("--allow-unknown", help="Let <UNK> be drawn.")] = False,
    seed: Annotated[int | None, seed_option("Repeats the output; without it every call differs.")] = None,
) -> None:
    """Draw novel sequences from a language model, a unit at a time."""
    model = load_language_model(run)
    seed = secrets.randbelow(2**31) if seed is None else seed
    with Waiting("sampling") as waiting:
        texts = model.sample(
            length,
            number=number,
            primer=primer,
            temperature=temperature,
            top_k=top_k,
            top_p=top_p,
            allow_unknown=allow_unknown,
            seed=seed,
            watch=waiting.step,
        )
    _print(texts, primer)
    aside = Console(stderr=True, highlight=False)
    unknown = model.unknown_in(primer)
    if unknown:
        names, level = ", ".join(repr(unit) for unit in unknown), unit_name(model.vocabulary.level)
        aside.print(Text(f"the model knows no {level} {names} of the primer: read as <UNK>", style="dim"))
    aside.print(Text(f"seed {seed}: --seed {seed} repeats this", style="dim"))


def _print(texts: Sequence[str], primer: str) -> None:
    """Print the texts as they are, the primer in bold, several of them told apart."""
    console = Console(highlight=False)
    for place, text in enumerate(texts, 1):
        if len(texts) > 1:
            console.print(Rule(f"{place}", align="left", style="dim") if console.is_terminal else f"# {place}")
        shown = Text(printable(text, console.encoding))
        shown.stylize("bold", 0, len(printable(primer, console.encoding)))
        console.print(shown, soft_wrap=True)
