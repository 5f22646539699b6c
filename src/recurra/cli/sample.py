"""`recurra sample RUN`: novel sequences."""

from __future__ import annotations

import dataclasses
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.rule import Rule
from rich.text import Text

from recurra.cli.completion import run_folders
from recurra.cli.flags import seed_option
from recurra.cli.json_lines import write_json_line
from recurra.cli.language import load_language_model, unit_name
from recurra.cli.live_text import LiveText
from recurra.cli.waiting import Waiting
from recurra.training.figures import printable

if TYPE_CHECKING:  # torch is imported once a command runs
    from recurra.tasks.sampled_text import Sampling
    from recurra.tasks.text_copies import LearnedText

__all__ = ["sample"]

LONGEST_COPY = 200
"""How many characters of a copied run are shown."""


def sample(
    run: Annotated[
        Path, typer.Argument(help="Folder of a language model's run.", metavar="RUN", autocompletion=run_folders)
    ],
    primer: Annotated[
        str, typer.Option("--primer", help="What the text goes on from.", metavar="TEXT", show_default=False)
    ] = "",
    length: Annotated[int, typer.Option("--length", help="Most units to draw.", metavar="N")] = 400,
    number: Annotated[int, typer.Option("--number", "-n", help="How many texts to draw.", metavar="N")] = 1,
    stop: Annotated[
        list[str] | None,
        typer.Option("--stop", help="End a text where this would be written; may be given again.", metavar="TEXT"),
    ] = None,
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
    as_json: Annotated[
        bool,
        typer.Option("--json", help="A JSON object a text: text, seed, log_probability, and by what it ended."),
    ] = False,
    copies: Annotated[
        bool,
        typer.Option("--copies", help="Say the longest run of each text that stands in the text that the run learned."),
    ] = False,
) -> None:
    """Draw novel sequences from a language model, a unit at a time."""
    from recurra.tasks.text_copies import LearnedText

    model = load_language_model(run)
    learned = None
    if copies:
        text = model.config.text
        by_words = model.vocabulary.level == "word"
        learned = LearnedText(text.data, by_words=by_words, strip=text.strip_lines)
    seed = secrets.randbelow(2**31) if seed is None else seed
    sampling = model.sampling(
        length,
        number=number,
        primer=primer,
        stop=stop or (),
        temperature=temperature,
        top_k=top_k,
        top_p=top_p,
        allow_unknown=allow_unknown,
        seed=seed,
        score=as_json,
    )
    if as_json:
        _wait(sampling, length)
        for drawn in sampling.texts:
            copied = {"copied": learned.longest_copy(_drawn(drawn.text, primer))._asdict()} if learned else {}
            write_json_line(dataclasses.asdict(drawn) | copied)
    else:
        _print(sampling, primer, length)
    aside = Console(stderr=True, highlight=False)
    unknown = model.unknown_in(primer)
    if unknown:
        names, level = ", ".join(repr(unit) for unit in unknown), unit_name(model.vocabulary.level)
        aside.print(Text(f"the model knows no {level} {names} of the primer: read as <UNK>", style="dim"))
    if not as_json:
        for place, drawn in enumerate(sampling.texts if learned else [], 1):
            _say_copy(aside, learned, _drawn(drawn.text, primer), f"text {place}" if number > 1 else "the text")
        aside.print(Text(f"seed {seed}: --seed {seed} repeats this", style="dim"))


def _drawn(text: str, primer: str) -> str:
    """What of a text the model drew itself."""
    return text[len(primer) :] if text.startswith(primer) else text


def _say_copy(aside: Console, learned: LearnedText | None, text: str, name: str) -> None:
    """Says the longest run of a text that was copied, in a line."""
    if learned is None:
        return
    length, line, run = learned.longest_copy(text)
    shown = repr(run if len(run) <= LONGEST_COPY else run[: LONGEST_COPY - 1] + "…")
    total = len(text.split()) if learned.unit == "words" else len(text)
    said = f"{length:,} of {total:,} {learned.unit}: {shown}, {learned.path}:{line}" if length else "nothing"
    aside.print(Text(printable(f"longest run of {name} that was copied: {said}", aside.encoding)), soft_wrap=True)


def _wait(sampling: Sampling, length: int) -> None:
    """Draw what is left to be drawn."""
    with Waiting("sampling") as waiting:
        for _ in sampling:
            waiting.step(sampling.drawn, length)


def _print(sampling: Sampling, primer: str, length: int) -> None:
    """Print the texts as they are, the primer in bold, several of them told apart.

    They are drawn side by side, which takes little longer than one of them: the first is printed as it is drawn.
    """
    console = Console(highlight=False)
    several = len(sampling.texts) > 1
    _head(console, 1, several)
    first = next(sampling)[0]
    console.print(Text(printable(first, console.encoding), style="bold"), end="", soft_wrap=True)
    with LiveText(console, before=first) as live:
        for pieces in sampling:
            live.write(pieces[0])
            if sampling.has_ended(0):
                break
    console.print()
    if not several:
        return
    _wait(sampling, length)
    for place, text in enumerate(sampling.texts[1:], 2):
        _head(console, place, several)
        shown = Text(printable(text.text, console.encoding))
        shown.stylize("bold", 0, len(printable(primer, console.encoding)))
        console.print(shown, soft_wrap=True)


def _head(console: Console, place: int, several: bool) -> None:
    """What stands above each of several texts."""
    if several:
        console.print(Rule(f"{place}", align="left", style="dim") if console.is_terminal else f"# {place}")
