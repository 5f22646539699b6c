"""What the commands for language models share."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from recurra.errors import DataError, RunError
from recurra.tasks.table import TASKS

if TYPE_CHECKING:  # torch is imported once a command runs
    from recurra.data import Level
    from recurra.tasks.language_model_run import LanguageModelRun
    from recurra.tasks.music_run import MusicRun
    from recurra.tasks.table import Ability
    from recurra.tasks.translator_run import TranslatorRun

__all__ = ["load_language_model", "load_sampler", "load_scorer", "standard_input", "unit_name"]


def load_language_model(folder: Path) -> LanguageModelRun:
    """Load a run that must be a language model's."""
    from recurra.tasks import load
    from recurra.tasks.language_model_run import LanguageModelRun

    _check_ability(folder, "traces")
    return load(folder, LanguageModelRun)


def load_sampler(folder: Path) -> LanguageModelRun | MusicRun:
    """Load a run that must be one of a model which draws novel sequences."""
    from recurra.tasks import load

    _check_ability(folder, "samples")
    run: LanguageModelRun | MusicRun = load(folder)  # type: ignore[assignment]
    return run


def load_scorer(folder: Path) -> LanguageModelRun | TranslatorRun:
    """Load a run that must be one of a model which says how probable a text is, or a translation."""
    from recurra.tasks import load

    _check_ability(folder, "scores")
    run: LanguageModelRun | TranslatorRun = load(folder)  # type: ignore[assignment]
    return run


def _check_ability(folder: Path, ability: Ability) -> None:
    from recurra.tasks.summary import summarise_run

    summary = summarise_run(folder)
    if ability not in summary.entry.abilities:
        able = TASKS.able(ability)
        raise RunError(f"{folder}: it is a run of {summary.task}, and this command takes a run of {' or '.join(able)}")


def unit_name(level: Level) -> str:
    """What people call one unit of a level."""
    return "token" if level == "bpe" else level


def standard_input() -> str:
    """What standard input holds, without the line's end at its end."""
    if sys.stdin is None:
        raise DataError("standard input is closed; give the text as an argument")
    try:
        return sys.stdin.buffer.read().decode("utf-8").replace("\r\n", "\n").removesuffix("\n")
    except UnicodeDecodeError as error:
        raise DataError(f"standard input: byte {error.start} is no UTF-8; give text in UTF-8") from None
