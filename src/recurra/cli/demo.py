"""`recurra demo`: a first model in about a minute, on text that every Python carries."""

from __future__ import annotations

from pathlib import Path
from pydoc_data import topics
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.text import Text

from recurra.cli.evaluate import report_table
from recurra.cli.predict import print_answers
from recurra.cli.train import RUNS, report, show_training
from recurra.cli.watching import Watching
from recurra.errors import RunError, SettingError
from recurra.spelling import unknown
from recurra.tasks.settings_file import make_config
from recurra.tasks.table import TASKS

if TYPE_CHECKING:
    from recurra.tasks.language_modelling_settings import LanguageModellingConfig

__all__ = ["demo"]

LANGUAGE_MODELLING_NAME = "language-modelling"
TEXT = "python-topics.txt"
SNAPSHOTS = 6
"""How often the model shows what it has learned."""


def uses(incomplete: str) -> list[str]:
    """The uses that a word may become, for completion."""
    return [name for name in TASKS.entries if name.startswith(incomplete)]


def demo(
    use: Annotated[
        str, typer.Argument(help="What to demonstrate; `recurra` lists the uses.", metavar="USE", autocompletion=uses)
    ] = LANGUAGE_MODELLING_NAME,
    minutes: Annotated[float, typer.Option("--minutes", help="How long to train.", metavar="X", min=0.001)] = 1.0,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            help="Folder for the run, new or empty; the data are kept beside it.",
            metavar="FOLDER",
            show_default="runs/demo, or runs/demo-USE",
        ),
    ] = None,
) -> None:
    """Train a small model in a minute or two, and see what it can do; by default a language model, on Python's help."""
    from recurra.tasks.language_modelling import LANGUAGE_MODELLING
    from recurra.tasks.run import check_free, make_folder, new_folder

    if use not in TASKS.entries:
        raise SettingError(unknown("use", use, TASKS))
    if use != LANGUAGE_MODELLING_NAME:
        _demonstrate(use, out)
        return
    folder = out or new_folder(RUNS, "demo")
    check_free(folder)
    text, file = "\n\n".join(topics.topics[name] for name in sorted(topics.topics)), folder.parent / TEXT
    console = Console(highlight=False)
    console.print(
        Text.assemble(
            ("recurra demo", "bold"),
            f": a GRU learns to write from the {len(text):,} characters of Python's own help texts, one character at "
            "a time. Watch the samples: letters, then words, then something like documentation.\n",
        )
    )
    make_folder(file.parent)
    _write(text, file)
    report(*show_training(LANGUAGE_MODELLING, _config(file, minutes), folder, Watching(untrained=True)))


def _demonstrate(use: str, out: Path | None) -> None:
    """Train on the data that a use brings, measure the model, and show its answers."""
    from recurra.tasks import evaluate_run
    from recurra.tasks.run import check_free, make_folder, new_folder
    from recurra.tasks.task import Demo

    task, folder = TASKS[use], out or new_folder(RUNS, f"demo-{use}")
    check_free(folder)
    data = folder.with_name(f"{folder.name}-data")
    check_free(data)
    make_folder(data)
    shown = Demo("a tiny example, made for the purpose", task.example(data)) if task.demo is None else task.demo(data)
    console = Console(highlight=False)
    console.print(Text.assemble((f"recurra demo {use}", "bold"), f": {shown.about}\n"))
    config = make_config(task.config, {}, {k: str(v) if isinstance(v, Path) else v for k, v in shown.settings.items()})
    run, result = show_training(task, config, folder)
    if not result.interrupted and run.validated_on is not None:
        measured = evaluate_run(run, intervals=True, baselines=True)
        console.print("\nOn the part to validate on, which it was not trained on:")
        console.print(report_table(run, measured, console.width))
        inputs = [task.parse(config, one) for one in shown.inputs]
        inputs = inputs or [run.validated_on[index] for index in range(min(3, len(run.validated_on)))]
        console.print("\nIts answers:")
        print_answers(run, run.answered(inputs), console)
    report(run, result)


def _write(text: str, file: Path) -> None:
    """Write the text beside the run, where it can be trained on again."""
    from recurra.data import write_atomically

    if not file.exists():
        write_atomically(file, text)
    elif not file.is_file() or file.read_bytes() != text.encode():
        raise RunError(f"{file}: it is not the text that the demo writes there; move it away, or give another --out")


def _config(data: Path, minutes: float) -> LanguageModellingConfig:
    from recurra.tasks.language_modelling_settings import (
        BatchSettings,
        LanguageModellingConfig,
        ModelSettings,
        TextSettings,
    )
    from recurra.training import TrainingSettings

    return LanguageModellingConfig(
        text=TextSettings(data=data, valid_fraction=0.05),
        batches=BatchSettings(batch_size=32, chunk_length=48, valid_batch_size=32),
        model=ModelSettings(cell="gru", embedding_size=64, hidden_size=192),
        training=TrainingSettings(
            epochs=1000,
            max_minutes=minutes,
            learning_rate=5e-3,
            schedule="cosine",
            validate_minutes=minutes / SNAPSHOTS,
        ),
    )
