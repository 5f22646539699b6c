"""`recurra`: the commands in one table, and what happens to errors.

An error of the user's is one message on standard error and exit code 2, never a traceback.
"""

from __future__ import annotations

import io
import os
import re
import shlex
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import typer
from rich.console import Console
from rich.text import Text

from recurra import __version__
from recurra.cli.command import CommandGroup
from recurra.cli.table import CONTEXT, Entry, Group
from recurra.errors import RecurraError, SettingError
from recurra.spelling import did_you_mean, nearest
from recurra.tasks.table import TASKS

__all__ = ["app", "main"]

USES = "Uses: `recurra train USE --data FILE`, `recurra demo USE`"
"""The heading of the uses in the help of the program."""

CONTROLS = {code: 0x2400 + code for code in range(0x20) if chr(code) not in "\n\t"} | dict.fromkeys(
    range(0x7F, 0xA0), 0xFFFD
)
"""The signs that stand in a message for characters that would steer the terminal, such as in the name of a file."""

# Typer carries its own copy of click or uses the installed one, by version; either way this is its root of errors.
CommandError: type[Exception] = next(c for c in typer.BadParameter.__mro__ if c.__name__ == "ClickException")


def _of_each_task(function: str, summary: str = "{}") -> dict[str, Entry]:
    """A command for every task: MODULE:NAME makes its function from the task."""
    return {
        name: Entry(summary.format(task.summary), function, arguments=(task,)) for name, task in TASKS.entries.items()
    }


COMMANDS: Mapping[str, Entry | Group] = {
    "demo": Entry(
        "Train a small model in a minute or two, and see what it can do.",
        "recurra.cli.demo:demo",
    ),
    "train": Group(
        "Train a model for a use; the run is kept in a folder.", _of_each_task("recurra.cli.train:train_command")
    ),
    "resume": Entry(
        "Go on with a training that was stopped or is to go further.",
        "recurra.cli.train:resume",
    ),
    "range-test": Group(
        "Find a learning rate by a short sweep; nothing is kept.",
        _of_each_task("recurra.cli.range_test:range_test_command", "At which learning rates it learns. {}"),
    ),
    "data": Group(
        "Look through data: sizes, classes, leaks, contradictions.",
        _of_each_task("recurra.cli.data:data_command", "What is in the data. {}"),
    ),
    "evaluate": Entry(
        "Measure a run on data, with intervals and beside trivial rules.",
        "recurra.cli.evaluate:evaluate",
    ),
    "predict": Entry("Answer inputs with a trained run, in their order.", "recurra.cli.predict:predict"),
    "stream": Entry(
        "Answer live input while it comes: sound from a microphone, words.",
        "recurra.cli.stream:stream",
    ),
    "verify": Entry(
        "Check that answers depend on nothing but their input.",
        "recurra.cli.verify:verify",
    ),
    "behaviour": Entry(
        "Change texts in ways that should not matter, and count other answers.",
        "recurra.cli.behaviour:behaviour",
    ),
    "show": Entry("Show what a run is and what it reached.", "recurra.cli.show:show"),
    "runs": Entry("List the runs in a folder, or compare them.", "recurra.cli.runs:runs", uses_torch=False),
    "sample": Entry("Draw novel sequences from a language model.", "recurra.cli.sample:sample"),
    "score": Entry(
        "Show how probable a model finds a sentence, or a translation.",
        "recurra.cli.score:score",
    ),
    "inspect": Entry(
        "Show gates over the words of a text, or how the gradient fades.",
        "recurra.cli.inspect:inspect",
    ),
    "cells": Entry(
        "List the cells there are, or show one with its gradient.", "recurra.cli.cells:cells", uses_torch=False
    ),
    "lab": Entry(
        "Test a claim of the theory by an experiment, with a verdict.",
        "recurra.cli.lab:lab",
    ),
    "reproduce": Entry(
        "Train what a paper trained, and compare with its number.",
        "recurra.cli.reproduce:reproduce",
    ),
}
"""Every command by its name, in the order of the help."""


class _Program(CommandGroup):
    """The command of all commands."""

    def __init__(self, **attributes: Any) -> None:  # noqa: ANN401
        uses = {name: entry.summary for name, entry in TASKS.entries.items()}
        super().__init__(**{**attributes, "entries": COMMANDS, "listed": {USES: uses}})


app = typer.Typer(
    name="recurra",
    cls=_Program,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings=CONTEXT,
)


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
    words = sys.argv[1:] if arguments is None else list(arguments)
    _write_what_the_terminal_lacks_as_escapes()
    _disregard_a_window_without_size()
    _take_memory_in_large_pages()
    try:
        code = _run(words)
    except RecurraError as error:
        return _fail(_on_one_line(str(error), words), *getattr(error, "__notes__", ()))
    except CommandError as error:
        return _fail_usage(error, words)
    except OSError as error:
        message = f"{error.filename}: {error.strerror}" if error.filename else error.strerror or str(error)
        return _fail(_on_one_line(message, words))
    except (MemoryError, RuntimeError) as error:
        # Of the processor's memory torch says so in words only.
        if not isinstance(error, MemoryError | _device_memory_error()) and "can't allocate memory" not in str(error):
            raise
        return _fail("there is not enough memory for this: make the model, its batches or the length smaller")
    return code if isinstance(code, int) else 0


def _run(words: list[str]) -> Any:  # noqa: ANN401  (whatever the command returns)
    """Run the command that the words name.

    It is called by itself: read as a command of `app`, even its help would wait for pydantic, by which typer checks the
    values of the program's own flags.
    """
    path, entries = ["recurra"], COMMANDS
    while words and words[0] in entries:
        entry = entries[words[0]]
        path, words = [*path, words[0]], words[1:]
        if isinstance(entry, Entry):
            return entry.build(path[-1])(words, standalone_mode=False, prog_name=" ".join(path))
        entries = entry.entries
    if words and not words[0].startswith("-"):
        meant = did_you_mean(words[0], entries)
        raise SettingError(f"there is no command {words[0]!r}{meant} (see `{' '.join(path)} --help`)")
    program = app if len(path) == 1 else COMMANDS[path[1]].build(path[1])
    return program(words, standalone_mode=False, prog_name=" ".join(path))


def _device_memory_error() -> type[BaseException]:
    """What PyTorch raises where a device has too little memory; of no use where it was not imported."""
    torch = sys.modules.get("torch")
    error: type[BaseException] = MemoryError if torch is None else torch.OutOfMemoryError
    return error


def _take_memory_in_large_pages() -> None:
    """Have torch ask for pages of 2 MiB, unless the user has decided; it looks when it first needs memory.

    Each step of training gets its memory anew from the system, and touching it costs a page fault a page: of 4 KiB,
    that is up to a third of the time of a step on long sequences.
    """
    os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")


def _disregard_a_window_without_size() -> None:
    """Let rich ask the terminal how large it is where a variable says 0: it would print nothing at all."""
    for name in ("COLUMNS", "LINES"):
        if os.environ.get(name, "").isdigit() and int(os.environ[name]) == 0:
            del os.environ[name]


def _write_what_the_terminal_lacks_as_escapes() -> None:
    """Let no character end a command, such as one of a sample that the terminal's encoding has not."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _fail(message: str, *notes: str) -> int:
    console = Console(stderr=True, highlight=False)
    # What has a caret under its character, or goes to a file, is not broken into lines.
    whole = "\n" in message or not console.is_terminal
    text = "\n".join([message, *notes]).translate(CONTROLS)
    console.print(Text.assemble(("recurra: ", "bold red"), text), soft_wrap=whole)
    return 2


def _on_one_line(message: str, words: Sequence[str]) -> str:
    r"""A message in which the line ends of what the user gave, such as the name of a file, are written as \n."""
    for word in words:
        message = message.replace(word, word.replace("\n", "\\n")) if "\n" in word else message
    return message


def _fail_usage(error: Exception, words: Sequence[str]) -> int:
    """Say in one line what is wrong with the words of the command, and where to look; no words at all get the help."""
    context = getattr(error, "ctx", None)
    if type(error).__name__ == "NoArgsIsHelpError" and context is not None:
        print(context.get_help(), file=sys.stderr)
        return 2
    message: str = error.format_message() if hasattr(error, "format_message") else str(error)
    option = getattr(error, "option_name", None)
    if option and context is not None:  # click lists all that are alike, in the order of the alphabet
        known = [name[2:] for parameter in context.command.get_params(context) for name in parameter.opts]
        meant = nearest(option, known)
        mend = f"; did you mean --{meant}?" if meant else _as_argument(option, words, context)
        message = f"there is no option {option}{mend}"
    message = _in_our_words(" ".join(message.split()).rstrip("."))
    hint = f" (see `{context.command_path} --help`)" if context is not None else ""
    return _fail(f"{message[:1].lower()}{message[1:]}{hint}")


def _in_our_words(message: str) -> str:
    """A message of pydantic, by which typer checks values, as we would say it."""
    message = re.sub(r"Input is not a valid path\b.*", "it should be a path", message)
    message = re.sub(r", unable to parse string as an? \w+", "", message)
    return message.replace("Input should be", "it should be")


def _as_argument(option: str, words: Sequence[str], context: Any) -> str:  # noqa: ANN401  (click's)
    """How to give what begins with a hyphen as an argument, if the command takes one and this may be meant as such."""
    whole = next((word for word in words if word.startswith(option) and (" " in word or option[1:2].isdigit())), None)
    if whole is None or all(parameter.param_type_name != "argument" for parameter in context.command.params):
        return ""
    return f"; if it is a text, put -- before it: -- {shlex.quote(whole)}"


if __name__ == "__main__":
    sys.exit(main())
