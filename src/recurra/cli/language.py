"""What the commands for language models share."""

from __future__ import annotations

from pathlib import Path

from recurra.data import Level
from recurra.errors import RunError
from recurra.tasks import load
from recurra.tasks.language_model_run import LanguageModelRun

__all__ = ["load_language_model", "unit_name"]


def load_language_model(folder: Path) -> LanguageModelRun:
    """Load a run that must be a language model's."""
    run = load(folder)
    if not isinstance(run, LanguageModelRun):
        raise RunError(f"{folder}: it is a run of {run.task.name}, and this command takes one of language-modelling")
    return run


def unit_name(level: Level) -> str:
    """What people call one unit of a level."""
    return "token" if level == "bpe" else level
