"""`recurra demo`: a first model in about a minute, on text that every Python carries."""

from __future__ import annotations

from pathlib import Path
from pydoc_data import topics
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.text import Text

from recurra.cli.train import RUNS, report, show_training
from recurra.cli.watching import Watching
from recurra.errors import RunError

if TYPE_CHECKING:
    from recurra.tasks.language_modelling_settings import LanguageModellingConfig

__all__ = ["demo"]

TEXT = "python-topics.txt"
SNAPSHOTS = 6
"""How often the model shows what it has learned."""


def demo(
    minutes: Annotated[float, typer.Option("--minutes", help="How long to train.", metavar="X", min=0.001)] = 1.0,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            help="Folder for the run, new or empty; the text is kept beside it.",
            metavar="FOLDER",
            show_default="runs/demo",
        ),
    ] = None,
) -> None:
    """Train a character language model on Python's own documentation for about a minute, and watch it learn."""
    from recurra.tasks.language_modelling import LANGUAGE_MODELLING
    from recurra.tasks.run import check_free, make_folder, new_folder

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
