"""`recurra`: the commands in one table, and what happens to errors.

An error of the user's is one message on standard error and exit code 2, never a traceback.
"""

from __future__ import annotations

import difflib
import io
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any

import torch
import typer
from rich.console import Console
from rich.text import Text

from recurra import __version__
from recurra.cli.cells import cells
from recurra.cli.command import Command, CommandGroup
from recurra.cli.demo import demo
from recurra.cli.evaluate import evaluate
from recurra.cli.inspect import inspect
from recurra.cli.lab import lab
from recurra.cli.range_test import range_tests
from recurra.cli.reproduce import reproduce
from recurra.cli.sample import sample
from recurra.cli.score import score
from recurra.cli.train import resume, train_command
from recurra.errors import RecurraError
from recurra.tasks import TASKS

__all__ = ["app", "main"]

# Typer carries its own copy of click or uses the installed one, by version; either way this is its root of errors.
CommandError: type[Exception] = next(c for c in typer.BadParameter.__mro__ if c.__name__ == "ClickException")

train = typer.Typer(cls=CommandGroup, help="Train a model for a task; the run is kept in a folder.")
COMMANDS: dict[str, Callable[..., None] | typer.Typer] = {
    "demo": demo,
    "train": train,
    "resume": resume,
    "range-test": range_tests,
    "evaluate": evaluate,
    "sample": sample,
    "score": score,
    "inspect": inspect,
    "cells": cells,
    "lab": lab,
    "reproduce": reproduce,
}


class _InOrder(CommandGroup):
    """The commands in the order of the table; typer puts those that hold others last."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ANN401  (click's, of which typer has its own copy)
        return list(COMMANDS)


app = typer.Typer(
    name="recurra",
    cls=_InOrder,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for _task in TASKS.values():
    train.command(_task.name, help=_task.summary, cls=Command)(train_command(_task))
for _name, _command in COMMANDS.items():
    if isinstance(_command, typer.Typer):
        app.add_typer(_command, name=_name, no_args_is_help=True)
    else:
        app.command(_name, cls=Command)(_command)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"recurra {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Show the version."),
) -> None:
    """Recurrent networks from their equations: train, score and sample them."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line; returns the exit code.

    Args:
        arguments: The words after `recurra`; those of this process if not given.

    Returns:
        0, or 2 for a mistake of the user's, or 130 after Ctrl-C.

    Raises:
        SystemExit: Whoever read the output has gone; typer and rich have seen to it that nothing more is written.
    """
    _write_what_the_terminal_lacks_as_escapes()
    _take_memory_in_large_pages()
    try:
        code = app(list(arguments) if arguments is not None else None, standalone_mode=False, prog_name="recurra")
    except RecurraError as error:
        return _fail(str(error), *getattr(error, "__notes__", ()))
    except CommandError as error:
        return _fail_usage(error)
    except OSError as error:
        return _fail(f"{error.filename}: {error.strerror}" if error.filename else error.strerror or str(error))
    except (MemoryError, RuntimeError) as error:
        # Of the processor's memory torch says so in words only.
        if not isinstance(error, MemoryError | torch.OutOfMemoryError) and "can't allocate memory" not in str(error):
            raise
        return _fail("there is not enough memory for this: make the model, its batches or the length smaller")
    return code if isinstance(code, int) else 0


def _take_memory_in_large_pages() -> None:
    """Have torch ask for pages of 2 MiB, unless the user has decided; it looks when it first needs memory.

    Each step of training gets its memory anew from the system, and touching it costs a page fault a page: of 4 KiB,
    that is up to a third of the time of a step on long sequences.
    """
    os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")


def _write_what_the_terminal_lacks_as_escapes() -> None:
    """Let no character end a command, such as one of a sample that the terminal's encoding has not."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _fail(message: str, *notes: str) -> int:
    console = Console(stderr=True, highlight=False)
    # What has a caret under its character, or goes to a file, is not broken into lines.
    whole = "\n" in message or not console.is_terminal
    console.print(Text.assemble(("recurra: ", "bold red"), "\n".join([message, *notes])), soft_wrap=whole)
    return 2


def _fail_usage(error: Exception) -> int:
    """Say in one line what is wrong with the words of the command, and where to look; no words at all get the help."""
    context = getattr(error, "ctx", None)
    if type(error).__name__ == "NoArgsIsHelpError" and context is not None:
        print(context.get_help(), file=sys.stderr)
        return 2
    message: str = error.format_message() if hasattr(error, "format_message") else str(error)
    option = getattr(error, "option_name", None)
    if option and context is not None:  # click lists all that are alike, in the order of the alphabet
        known = [name[2:] for parameter in context.command.params for name in parameter.opts]
        nearest = difflib.get_close_matches(option.lstrip("-"), known, n=1)
        message = f"there is no option {option}" + (f"; did you mean --{nearest[0]}?" if nearest else "")
    message = " ".join(message.split()).rstrip(".")
    hint = f" (see `{context.command_path} --help`)" if context is not None else ""
    return _fail(f"{message[:1].lower()}{message[1:]}{hint}")


if __name__ == "__main__":
    sys.exit(main())
