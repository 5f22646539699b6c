"""`recurra sample RUN`: novel sequences, text or music."""

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
from recurra.cli.language import load_sampler, unit_name
from recurra.cli.live_text import LiveText
from recurra.cli.waiting import Waiting
from recurra.errors import SettingError
from recurra.training.figures import printable

if TYPE_CHECKING:  # torch is imported once a command runs
    from recurra.tasks.sampled_text import Sampling
    from recurra.tasks.text_copies import LearnedText

__all__ = ["sample"]

LONGEST_COPY = 200
"""How many characters of a copied run are shown."""


def sample(
    run: Annotated[
        Path,
        typer.Argument(
            help="Folder of a run of a language model or of music.", metavar="RUN", autocompletion=run_folders
        ),
    ],
    primer: Annotated[
        str,
        typer.Option(
            "--primer",
            help="What the text goes on from; of music, the file of a piece.",
            metavar="TEXT|FILE",
            show_default=False,
        ),
    ] = "",
    length: Annotated[
        int | None,
        typer.Option(
            "--length", help="Most units to draw, by default 400; of music, frames, by default 128.", metavar="N"
        ),
    ] = None,
    number: Annotated[int, typer.Option("--number", "-n", help="How many texts or pieces to draw.", metavar="N")] = 1,
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
    copies: Annotated[
        bool,
        typer.Option(
            "--copies",
            help="Say what is longest of what stands in the training data word for word, or note "
            "for note in any transposition.",
        ),
    ] = False,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", help="Of music: where it goes; .mid, .wav, .html, .png, .pdf, .svg or .json.", metavar="FILE"
        ),
    ] = None,
    constraints: Annotated[
        str,
        typer.Option(
            "--constraints",
            help='Of music: what it keeps to, such as "scale=C:major range=C3..C6 bars=8".',
            metavar="TEXT",
            show_default=False,
        ),
    ] = "",
    frames_a_bar: Annotated[
        int | None,
        typer.Option("--frames-a-bar", help="Of music: frames in a bar; by default four quarters.", metavar="N", min=1),
    ] = None,
    tempo: Annotated[
        float, typer.Option("--tempo", help="Of music: quarters a minute.", metavar="X", min=1, max=1000)
    ] = 100.0,
    as_json: Annotated[
        bool,
        typer.Option("--json", help="A JSON object a text or piece: seed, log_probability, and what it is."),
    ] = False,
) -> None:
    """Draw novel sequences from a language model or a model of music, a unit or a frame at a time."""
    from recurra.cli.sample_music import sample_music
    from recurra.tasks.language_model_run import LanguageModelRun

    model = load_sampler(run)
    drawing = {"number": number, "temperature": temperature, "top_k": top_k, "top_p": top_p, "seed": seed}
    if not isinstance(model, LanguageModelRun):
        if stop or allow_unknown:
            raise SettingError(f"--stop and --allow-unknown are of text, and {run} is a run of music; leave them out")
        music = {"length": length, "constraints": constraints, "frames_a_bar": frames_a_bar}
        sample_music(
            model, output, primer=primer, copies=copies, tempo=tempo, as_json=as_json, options={**drawing, **music}
        )
        return
    if output is not None or constraints or frames_a_bar is not None:
        raise SettingError(
            f"--output, --constraints and --frames-a-bar are of music, and {run} is a run of a language model; leave "
            "them out"
        )
    length = 400 if length is None else length
    seed = secrets.randbelow(2**31) if seed is None else seed
    learned = model.learned_text() if copies else None
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
        for text in sampling.texts:
            copied = {"copied": learned.longest_copy(_drawn(text.text, primer))._asdict()} if learned else {}
            write_json_line(dataclasses.asdict(text) | copied)
    else:
        _print(sampling, primer, length)
    aside = Console(stderr=True, highlight=False)
    unknown = model.unknown_in(primer)
    if unknown:
        names, level = ", ".join(repr(unit) for unit in unknown), unit_name(model.vocabulary.level)
        aside.print(Text(f"the model knows no {level} {names} of the primer: read as <UNK>", style="dim"))
    if not as_json and learned is not None:
        for place, text in enumerate(sampling.texts, 1):
            _say_copy(aside, learned, _drawn(text.text, primer), f"text {place}" if number > 1 else "the text")
    if not as_json:
        aside.print(Text(f"seed {seed}: --seed {seed} repeats this", style="dim"))


def _drawn(text: str, primer: str) -> str:
    """What of a text the model drew itself."""
    return text[len(primer) :] if text.startswith(primer) else text


def _say_copy(aside: Console, learned: LearnedText, text: str, name: str) -> None:
    """Says the longest run of a text that was copied, in a line."""
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
