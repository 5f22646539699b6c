"""`recurra`: the commands in one table, and what happens to errors.

An error of the user's is one message on standard error and exit code 2, never a traceback.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import typer

from recurra import __version__
from recurra.cli.cells import cells
from recurra.cli.demo import demo
from recurra.cli.sample import sample
from recurra.cli.score import score
from recurra.cli.train import train_command
from recurra.errors import RecurraError
from recurra.tasks import TASKS

__all__ = ["app", "main"]

# Typer carries its own copy of click or uses the installed one, by version; either way this is its root of errors.
CommandError: type[Exception] = next(c for c in typer.BadParameter.__mro__ if c.__name__ == "ClickException")

app = typer.Typer(
    name="recurra",
    help="Recurrent networks from their equations: train, sample, score and inspect them.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)
train = typer.Typer(help="Train a model for a task; the run is kept in a folder.", no_args_is_help=True)

for _task in TASKS.values():
    train.command(_task.name, help=_task.summary)(train_command(_task))

app.command("demo")(demo)
app.add_typer(train, name="train")
app.command("sample")(sample)
app.command("score")(score)
app.command("cells")(cells)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"recurra {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Show the version."),
) -> None:
    """Recurrent networks from their equations: train, sample, score and inspect them."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line; returns the exit code.

    Args:
        arguments: The words after `recurra`; those of this process if not given.

    Returns:
        0, or 2 for a mistake of the user's, or 130 after Ctrl-C.
    """
    try:
        code = app(list(arguments) if arguments is not None else None, standalone_mode=False, prog_name="recurra")
    except RecurraError as error:
        return _fail(str(error))
    except CommandError as error:
        return _fail(_usage(error))
    except (KeyboardInterrupt, typer.Abort):
        print("\nrecurra: stopped", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # Whoever read our output has gone; nothing is left to say, nor anyone to say it to.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return code if isinstance(code, int) else 0


def _fail(message: str) -> int:
    print(f"recurra: {message}", file=sys.stderr)
    return 2


def _usage(error: Exception) -> str:
    """A mistake in the command line in one line, with where to look."""
    message: str = error.format_message() if hasattr(error, "format_message") else str(error)
    context = getattr(error, "ctx", None)
    if not message and context is not None:
        return str(context.get_help())
    hint = f" (see `{context.command_path} --help`)" if context is not None else ""
    return " ".join(message.split()) + hint


if __name__ == "__main__":
    sys.exit(main())
