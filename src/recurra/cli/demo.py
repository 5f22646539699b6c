"""`recurra demo`: a first model in about a minute, on text that every Python carries."""

from __future__ import annotations

import tempfile
from pathlib import Path
from pydoc_data import topics
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from recurra.cli.train import RUNS, report, show_training
from recurra.data import write_atomically
from recurra.tasks.language_modelling import BatchSettings, LanguageModellingConfig, ModelSettings, TextSettings
from recurra.tasks.language_modelling import language_modelling as task
from recurra.tasks.run import new_folder
from recurra.training import TrainingSettings

__all__ = ["demo"]


def demo(
    minutes: Annotated[float, typer.Option("--minutes", min=0.01, help="How long to train.")] = 1.0,
    out: Annotated[Path | None, typer.Option("--out", help="Folder for the run.", show_default="runs/demo")] = None,
) -> None:
    """Train a character language model on Python's own documentation for about a minute, and watch it learn."""
    console = Console(highlight=False)
    text = "\n\n".join(topics.topics[name] for name in sorted(topics.topics))
    console.print(
        Text.assemble(
            ("recurra demo", "bold"),
            f": a GRU learns to write from the {len(text):,} characters of Python's own help texts, one character at "
            "a time. Watch the samples: letters, then words, then something like documentation.\n",
        )
    )
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "python-topics.txt"
        write_atomically(data, text)
        run, result = show_training(task, _config(data, minutes), out or new_folder(RUNS, "demo"))
    report(run, result)


def _config(data: Path, minutes: float) -> LanguageModellingConfig:
    return LanguageModellingConfig(
        text=TextSettings(data=data, valid_fraction=0.05),
        batches=BatchSettings(batch_size=32, chunk_length=48, valid_batch_size=32),
        model=ModelSettings(cell="gru", embedding_size=64, hidden_size=192),
        training=TrainingSettings(
            epochs=1000,
            max_minutes=minutes,
            learning_rate=5e-3,
            schedule="cosine",
            validate_every=150,
        ),
    )
