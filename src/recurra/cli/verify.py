"""`recurra verify RUN --data FILE`: the answers again, in other batches, orders, threads and processes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from recurra.cli.completion import run_folders
from recurra.cli.waiting import Waiting

__all__ = ["verify"]

DIFFERENT = 1
"""The exit code where an answer depends on more than its input."""


def verify(
    run: Annotated[Path, typer.Argument(help="Folder of a run.", metavar="RUN", autocompletion=run_folders)],
    data: Annotated[Path, typer.Option("--data", help="File of inputs.", metavar="FILE")],
    limit: Annotated[int, typer.Option("--limit", help="Most inputs to read.", metavar="N", min=1)] = 1000,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Answer the inputs of a file again in other batches, orders, threads and processes."""
    from recurra.tasks import load
    from recurra.tasks.verification import verify as checks_of

    loaded = load(run)
    console, checks = Console(highlight=False), []
    pending = checks_of(loaded, data, limit)
    while True:
        with Waiting("answering again"):
            check = next(pending, None)
        if check is None:
            break
        checks.append(check)
        if as_json:
            continue
        if check.differences is None:
            console.print(Text.assemble(f"{check.way}: ", (check.note, "dim")), soft_wrap=not console.is_terminal)
        else:
            count = "0 differences" if not check.differences else f"{check.differences:,} answers differ"
            style = "green" if not check.differences else "bold red"
            note = f" ({check.note})" if check.note else ""
            console.print(Text.assemble(f"{check.way}: ", (count, style), note), soft_wrap=not console.is_terminal)
            if check.first is not None:
                number, plain, again = check.first
                console.print(Text(f"  the first is input {number}: {json.dumps(plain, ensure_ascii=False)}"))
                console.print(Text(f"  and answered this way:  {json.dumps(again, ensure_ascii=False)}"))
    if as_json:
        figures = {name: figure for check in checks for name, figure in check.figures.items()}
        counts = {check.way: check.differences for check in checks}
        typer.echo(json.dumps(counts | ({"stream": figures} if figures else {})))
    if any(check.differences for check in checks):
        raise typer.Exit(DIFFERENT)
