"""`recurra behaviour RUN`: how often a classifier's answer changes with a change of the text that should not matter."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from recurra.checks import LARGEST_SEED
from recurra.cli.completion import run_folders
from recurra.cli.flags import DeviceFlag
from recurra.cli.waiting import Waiting
from recurra.training.figures import one_line

if TYPE_CHECKING:  # torch is imported once a command runs
    from recurra.tasks.behaviour import Behaviour, Change

__all__ = ["behaviour"]


def behaviour(
    run: Annotated[
        Path, typer.Argument(help="Folder of a classifier's run.", metavar="RUN", autocompletion=run_folders)
    ],
    data: Annotated[
        Path | None,
        typer.Option(
            "--data",
            help="File of texts; their classes need not be known.",
            metavar="FILE",
            show_default="what its training validated on",
        ),
    ] = None,
    limit: Annotated[
        int, typer.Option("--limit", help="Most texts to change; of more, so many are drawn.", metavar="N", min=1)
    ] = 1000,
    seed: Annotated[
        int, typer.Option("--seed", help="Seed of what is drawn.", metavar="N", min=0, max=LARGEST_SEED)
    ] = 0,
    worst: Annotated[
        int, typer.Option("--worst", help="How many of the worst examples of each change.", metavar="N", min=0)
    ] = 3,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of tables.")] = False,
    device: DeviceFlag = "auto",
) -> None:
    """Change texts in ways that should not matter, and in one that should, and count other answers."""
    from recurra.tasks import load
    from recurra.tasks.behaviour import behaviour_of
    from recurra.tasks.evaluation import data_to_evaluate
    from recurra.training import choose_device

    loaded = load(run)
    loaded.model.to(choose_device(device)).eval()
    texts = data_to_evaluate(loaded)[0] if data is None else loaded.task.read(loaded.config, data, "predict")
    with Waiting("answering changed texts"):
        report = behaviour_of(loaded, texts, limit=limit, seed=seed, worst=worst)
    if as_json:
        content = {"run": str(run), "data": None if data is None else str(data), "texts": min(limit, len(texts))}
        typer.echo(json.dumps({**content, "seed": seed, "changes": [row.as_json() for row in report]}))
        return
    console = Console(highlight=False)
    where = "what its training validated on" if data is None else str(data)
    drawn = f"{limit:,} of {len(texts):,}" if len(texts) > limit else f"{len(texts):,}"
    console.print(Text(f"on {where}: {drawn} texts", style="dim"), soft_wrap=True)
    console.print(_table(report))
    for row in report:
        _print_worst(row, console)


def _table(report: Sequence[Behaviour]) -> Table:
    """A row a change."""
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    table.add_column("change", overflow="fold")
    for heading in ("texts", "other answer", "", "95% interval", "moved by"):
        table.add_column(heading, justify="right", no_wrap=True)
    last: bool | None = None
    for row in report:
        if row.matters != last:
            table.add_row(Text("should change it" if row.matters else "should change nothing", style="dim"))
            last = row.matters
        if row.share is None:
            table.add_row(f"  {row.name}", "0", "", "", "", "")
            continue
        low, high = row.interval
        share, interval, moved = f"{row.share:.1%}", f"{low:.1%} to {high:.1%}", f"{row.moved:.1%}"
        table.add_row(f"  {row.name}", f"{row.texts:,}", Text(share, "bold"), f"{row.changed:,}", interval, moved)
    return table


def _print_worst(row: Behaviour, console: Console) -> None:
    """The worst examples of a change: the text, and what it became, each with the answer."""
    if not row.worst:
        return
    console.print()
    wrong = row.texts - row.changed if row.matters else row.changed
    which = "the same answer" if row.matters else "another answer"
    console.print(Text(f"{row.name}: {which} ({len(row.worst)} of {wrong:,})", "dim"), soft_wrap=True)
    for change in row.worst:
        console.print(Text(one_line(f"{change.file}:{change.line}"), "cyan"), soft_wrap=True)
        for answer, text in _sides(change):
            console.print(Text.assemble(f"  {answer}  ", text), soft_wrap=not console.is_terminal)


def _sides(change: Change) -> list[tuple[str, str]]:
    """The answer and the text, before and after the change."""
    verdicts = [
        f"{one_line(', '.join(answer.labels) or '(none)')} {answer.probability:.1%}"
        for answer in (change.before, change.after)
    ]
    width = max(map(len, verdicts))
    texts = (one_line(change.text), one_line(change.changed))
    return [(f"{verdict:{width}}", text) for verdict, text in zip(verdicts, texts, strict=True)]
