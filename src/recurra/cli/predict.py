"""`recurra predict RUN [FILE]`: the answer of a trained run to each input, in the order of the inputs."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from recurra.cli.completion import run_folders
from recurra.cli.flags import DeviceFlag, with_use_flags
from recurra.errors import SettingError
from recurra.spelling import unknown
from recurra.tasks import TASKS

if TYPE_CHECKING:  # torch is imported once a command runs
    from recurra.data.dataset import Problems
    from recurra.tasks import Trained

__all__ = ["JSONL", "predict", "print_answers"]

JSONL = "jsonl"
"""The format that every use has: an answer a line."""


def _predict(
    settings: Mapping[str, Any],
    run: Annotated[Path, typer.Argument(help="Folder of a run.", metavar="RUN", autocompletion=run_folders)],
    file: Annotated[Path | None, typer.Argument(help="File of inputs; - reads standard input.", metavar="FILE")] = None,
    text: Annotated[
        list[str] | None, typer.Option("--text", help="An input itself; may be given again.", metavar="TEXT")
    ] = None,
    format_name: Annotated[
        str | None,
        typer.Option(
            "--format",
            help=f"How answers are written: {JSONL}, or what the use offers, such as text, csv, html, trace.",
            metavar="NAME",
            show_default=f"text for people at a terminal, else {JSONL}",
        ),
    ] = None,
    precision: Annotated[
        float | None,
        typer.Option(
            "--precision",
            "--abstain",
            help="Leave out of answers what was right less often than this on the part validated on, such as 0.95; "
            "where an answer is one class, abstain from it.",
            metavar="X",
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="File to write the answers into, whole or not at all.", metavar="FILE")
    ] = None,
    device: DeviceFlag = "auto",
) -> None:
    """Answer inputs with a trained run: one answer each, in their order, in memory that does not grow with them."""
    from recurra.data.dataset import Problems
    from recurra.data.files import writing_atomically
    from recurra.data.lines import STANDARD_INPUT
    from recurra.tasks import load
    from recurra.training import choose_device

    if (file is None) == (not text):
        raise SettingError(
            "FILE and --text are both given; give one"
            if text
            else "there is nothing to answer; give a file, - for standard input, or --text"
        )
    if out is not None and file is not None and out.exists() and file.exists() and out.samefile(file):
        raise SettingError(f"--out {out}: it is the file that is read; name another")
    loaded = load(run).using(**settings)
    loaded.model.to(choose_device(device)).eval()
    console = Console(highlight=False)
    # Typed by a person, or one at a time, an input is answered before the next is read.
    live = file == STANDARD_INPUT and sys.stdin is not None and sys.stdin.isatty()
    problems = Problems()
    pairs = loaded.answered(_inputs(loaded, file, text or [], problems), **({"window": 1} if live else {}))
    errors = Console(stderr=True, highlight=False)
    drift = None if file is None else loaded.task.drift(loaded.config, loaded.assets)
    if drift is not None:
        pairs = drift.watching(pairs)
    if precision is not None:
        only_sure, notes = loaded.at_precision(precision)
        for note in notes:
            errors.print(Text(note, style="dim"), soft_wrap=not errors.is_terminal)
        pairs = ((example, only_sure(answer)) for example, answer in pairs)
    people = out is None and console.is_terminal
    pieces = _format(loaded, format_name, people)(loaded, pairs)
    if out is None:
        _print(pieces, console, flush=live)
    else:
        with writing_atomically(out) as output:
            for piece in pieces:
                plain = piece.plain if isinstance(piece, Text) else piece
                output.write(plain if isinstance(plain, bytes) else plain.encode())
    for problem in problems.lines():
        errors.print(Text(problem, style="yellow"), soft_wrap=not errors.is_terminal)
    if drift is not None and (line := drift.line()):
        errors.print(Text(line, style="yellow" if drift.far else "dim"), soft_wrap=not errors.is_terminal)


_predict.__name__ = "predict"
predict = with_use_flags(_predict, TASKS.entries.values())
"""`recurra predict RUN`, with a flag for each setting that says how a run of some use answers."""


def print_answers(
    run: Trained[Any, Any, Any, Any, Any, Any], pairs: Iterable[tuple[Any, Any]], console: Console
) -> None:
    """Print answers as people read them."""
    _print(_format(run, None, people=True)(run, pairs), console)


def _print(pieces: Iterable[str | Text | bytes], console: Console, *, flush: bool = False) -> None:
    """Print pieces of text as they come, coloured where the terminal can; a picture goes to files alone.

    Raises:
        SettingError: A picture would be printed on a terminal.
    """
    for piece in pieces:
        if isinstance(piece, bytes):
            if console.is_terminal:
                raise SettingError("this format is a picture, which a terminal does not show; name a file with --out")
            console.file.flush()
            sys.stdout.buffer.write(piece)
        elif isinstance(piece, Text) and console.is_terminal:
            console.print(piece, soft_wrap=True, end="")
        else:
            console.file.write(piece.plain if isinstance(piece, Text) else piece)
        if flush:
            console.file.flush()


def _inputs(
    run: Trained[Any, Any, Any, Any, Any, Any], file: Path | None, texts: Iterable[str], problems: Problems
) -> Iterable[Any]:
    """The inputs, one at a time; what is left out or changed of a file is counted."""
    if file is None:
        return (run.task.parse(run.config, _utf8(text)) for text in texts)
    return run.task.stream(run.config, file, problems)


def _utf8(text: str) -> str:
    """A word of the command line, in which Python marks bytes that are no UTF-8 by half a character each.

    Raises:
        SettingError: There are such bytes.
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        raise SettingError(f"--text {text!a}: there are bytes in it that are no UTF-8; give text in UTF-8") from None
    return text


def _format(run: Trained[Any, Any, Any, Any, Any, Any], name: str | None, people: bool) -> Any:  # noqa: ANN401
    """What writes the answers."""
    formats = {JSONL: _as_json, **run.task.formats}
    if name is None:
        name = next(iter(run.task.formats), JSONL) if people else JSONL
    if name not in formats:
        raise SettingError(f"--format: {unknown('format', name, formats)}")
    return formats[name]


def _as_json(run: Trained[Any, Any, Any, Any, Any, Any], pairs: Iterable[tuple[Any, Any]]) -> Iterator[str]:
    """An object a line."""
    for example, answer in pairs:
        yield json.dumps(run.task.show(example, answer), ensure_ascii=False) + "\n"
