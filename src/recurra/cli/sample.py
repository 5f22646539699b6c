"""`recurra sample RUN`: novel sequences."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.rule import Rule
from rich.text import Text

from recurra.cli.language import load_language_model
from recurra.training.figures import printable

__all__ = ["sample"]


def sample(
    run: Annotated[Path, typer.Argument(help="Folder of a language model's run.", metavar="RUN")],
    primer: Annotated[str, typer.Option("--primer", help="What the text goes on from.")] = "",
    length: Annotated[int, typer.Option("--length", min=1, help="Most units to draw.")] = 400,
    number: Annotated[int, typer.Option("--number", "-n", min=1, help="How many texts to draw.")] = 1,
    temperature: Annotated[
        float, typer.Option("--temperature", help="Below 1 is safer, above 1 bolder; 0 takes the most probable.")
    ] = 1.0,
    top_k: Annotated[int | None, typer.Option("--top-k", help="Draw from the k most probable units only.")] = None,
    top_p: Annotated[
        float | None, typer.Option("--top-p", help="Draw from the fewest units whose probabilities sum to p.")
    ] = None,
    allow_unknown: Annotated[bool, typer.Option("--allow-unknown", help="Let <UNK> be drawn.")] = False,
    seed: Annotated[int | None, typer.Option("--seed", min=0, help="Repeats the output.")] = None,
) -> None:
    """Draw novel sequences from a language model, a unit at a time."""
    model = load_language_model(run)
    seed = secrets.randbelow(2**31) if seed is None else seed
    texts = model.sample(
        length,
        number=number,
        primer=primer,
        temperature=temperature,
        top_k=top_k,
        top_p=top_p,
        allow_unknown=allow_unknown,
        seed=seed,
    )
    console = Console(highlight=False)
    for place, text in enumerate(texts, 1):
        if number > 1 and console.is_terminal:
            console.print(Rule(f"{place}", align="left", style="dim"))
        shown = Text(printable(text, console.encoding))
        known = model.vocabulary.decode(model.vocabulary.encode(primer))
        if text.startswith(known):
            shown.stylize("bold", 0, len(printable(known, console.encoding)))
        console.print(shown, soft_wrap=True)
    Console(stderr=True, highlight=False).print(f"seed {seed}: --seed {seed} repeats this", style="dim")
