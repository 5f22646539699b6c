"""Commands that are imported when they are called, so that the words of a command line are read before PyTorch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import typer
from typer.main import get_command

from recurra.cli.command import Command, CommandGroup

__all__ = ["CONTEXT", "Entry", "Group"]

CONTEXT: dict[str, Any] = {"help_option_names": ["-h", "--help"]}
"""How every command reads its words."""


@dataclass(frozen=True)
class Entry:
    """A command that is imported when it is called.

    Args:
        summary: What it does, in one sentence: its help, and its line in the help of its group.
        function: Where the function is that runs it, as MODULE:NAME.
        arguments: What that function is called with to give the command's function; None if it is the command's itself.
        uses_torch: Whether running it takes PyTorch.
    """

    summary: str
    function: str
    arguments: tuple[Any, ...] | None = None
    uses_torch: bool = True

    def build(self, name: str) -> Command:
        """Import the command's function, and make a command of it."""
        module, _, function = self.function.partition(":")
        run: Callable[..., Any] = getattr(import_module(module), function)
        program = typer.Typer(add_completion=False, context_settings=CONTEXT)
        program.command(name, help=self.summary, cls=Command)(run if self.arguments is None else run(*self.arguments))
        command = get_command(program)
        assert isinstance(command, Command)
        command.name, command.uses_torch = name, self.uses_torch
        return command


@dataclass(frozen=True)
class Group:
    """A command of commands.

    Args:
        summary: What it does, in one sentence.
        entries: Its commands by name.
    """

    summary: str
    entries: Mapping[str, Entry]

    def build(self, name: str) -> CommandGroup:
        """Make a command of it, whose commands are built when they are called."""
        return CommandGroup(
            name=name, help=self.summary, entries=self.entries, no_args_is_help=True, context_settings=CONTEXT
        )
