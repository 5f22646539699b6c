"""Commands of the command line: when they are built, what their help looks like, and what Ctrl-C does."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, MutableMapping
from typing import Any, Protocol

import typer
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text
from typer.core import TyperCommand, TyperGroup

from recurra.cli.stopping import INTERRUPTED, STOPPED, interruptible

__all__ = ["Command", "CommandGroup", "LazyCommands"]

WIDTH = 100
"""Lines are no wider, so that they can be read on a wide terminal."""

NAMES = 26
"""The most width that the column of flags takes; what is longer has a line of its own."""


class Command(TyperCommand):
    """A command that Ctrl-C ends with one line, and with our help.

    Attributes:
        uses_torch: Whether running it takes PyTorch.
    """

    uses_torch = False

    def invoke(self, ctx: Any) -> Any:  # noqa: ANN401  (click's, of which typer has its own copy)
        """Run it."""
        if self.uses_torch:
            import torch  # noqa: F401  (while Ctrl-C still ends the process at once)
        try:
            with interruptible():
                return super().invoke(ctx)
        except KeyboardInterrupt:
            print(STOPPED, end="", file=sys.stderr)
            raise typer.Exit(INTERRUPTED) from None

    def format_help(self, ctx: Any, formatter: Any) -> None:  # noqa: ANN401  (click's, of which typer has its own copy)
        """Write the help."""
        formatter.write(_help(self, ctx))


class _Entry(Protocol):
    """What is known of a command before it is imported, as `recurra.cli.table` has it."""

    @property
    def summary(self) -> str: ...

    def build(self, name: str) -> Command | CommandGroup: ...


class LazyCommands(MutableMapping[str, Any]):
    """Commands by name, in the order of their table, each built when it is looked up."""

    def __init__(self, entries: Mapping[str, _Entry]) -> None:
        self._entries = dict(entries)
        self._built: dict[str, Any] = {}

    @property
    def summaries(self) -> dict[str, str]:
        """What each command does; builds none."""
        return {name: entry.summary for name, entry in self._entries.items()}

    def __getitem__(self, name: str) -> Any:  # noqa: ANN401  (click's, of which typer has its own copy)
        if name not in self._built:
            self._built[name] = self._entries[name].build(name)
        return self._built[name]

    def __setitem__(self, name: str, command: Any) -> None:  # noqa: ANN401
        self._built[name] = command

    def __delitem__(self, name: str) -> None:
        del self._entries[name]
        self._built.pop(name, None)

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)


class CommandGroup(TyperGroup):
    """A command of commands with our help.

    Args:
        entries: Its commands, which are built when they are looked up.
        listed: What else the help lists before them: names and summaries, by heading.
    """

    def __init__(
        self,
        *,
        entries: Mapping[str, _Entry],
        listed: Mapping[str, Mapping[str, str]] | None = None,
        **attributes: Any,  # noqa: ANN401
    ) -> None:
        attributes["commands"] = self.lazy_commands = LazyCommands(entries)
        self.listed = listed or {}
        super().__init__(**attributes)

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ANN401  (click's, of which typer has its own copy)
        """The names of the commands; builds none."""
        return list(self.lazy_commands)

    def format_help(self, ctx: Any, formatter: Any) -> None:  # noqa: ANN401  (click's, of which typer has its own copy)
        """Write the help."""
        formatter.write(_help(self, ctx))


def _help(command: Command | CommandGroup, ctx: Any) -> str:  # noqa: ANN401
    console = Console(highlight=False)
    console.width = min(console.width, WIDTH)
    sections = _sections(command, ctx)
    parts: list[RenderableType] = [_usage(command, ctx), Text(), Text(command.help or "")]
    for title, rows in sections.items():
        longest = max((len(names) for names, _ in rows if len(names) <= NAMES), default=0)
        parts += [
            Text(),
            Text(title, style="bold"),
            *(_row(names, text, longest, console.width) for names, text in rows),
        ]
    with console.capture() as capture:
        console.print(Group(*parts))
    return "\n".join(line.rstrip() for line in capture.get().splitlines())


def _usage(command: Command | CommandGroup, ctx: Any) -> Text:  # noqa: ANN401
    arguments = [p for p in command.params if p.param_type_name == "argument"]
    words = [_names(argument) if argument.required else f"[{_names(argument)}]" for argument in arguments]
    words += ["COMMAND ..."] if isinstance(command, CommandGroup) else []
    return Text.assemble(("Usage: ", "bold"), " ".join([ctx.command_path, "[OPTIONS]", *words]))


def _sections(command: Command | CommandGroup, ctx: Any) -> dict[str, list[tuple[str, Text]]]:  # noqa: ANN401
    """What there is to choose from, by the section it is shown in."""
    sections: dict[str, list[tuple[str, Text]]] = {}
    if isinstance(command, CommandGroup):
        for title, rows in command.listed.items():
            sections[title] = [(name, Text(summary)) for name, summary in rows.items()]
        sections["Commands"] = [(name, Text(summary)) for name, summary in command.lazy_commands.summaries.items()]
    for parameter in command.get_params(ctx):
        kind = "Arguments" if parameter.param_type_name == "argument" else "Options"
        section = getattr(parameter, "rich_help_panel", None) or kind
        sections.setdefault(section, []).append((_names(parameter), _explained(parameter)))
    return sections


def _names(parameter: Any) -> str:  # noqa: ANN401
    """`--flag VALUE`, or `--[no-]flag` for a switch."""
    if parameter.param_type_name == "argument":
        return str(parameter.metavar or parameter.name.upper())
    names = ", ".join(sorted(parameter.opts, key=len))
    if f"--no-{names[2:]}" in parameter.secondary_opts:
        return f"--[no-]{names[2:]}"
    return names if parameter.is_flag else f"{names} {parameter.metavar or 'VALUE'}"


def _explained(parameter: Any) -> Text:  # noqa: ANN401
    """What it does, and its default."""
    default = getattr(parameter, "show_default", None)
    if default is True and parameter.default not in (None, False, ""):
        default = "on" if parameter.is_flag else str(parameter.default)
    text = Text(getattr(parameter, "help", None) or "")
    return text.append(f" [{default}]", style="dim") if isinstance(default, str) else text


def _row(names: str, text: Text, longest: int, width: int) -> RenderableType:
    table = Table.grid()
    table.add_column(width=longest + 2, no_wrap=True)
    table.add_column(width=width - longest - 4)
    shown = Text(names, style="cyan")
    if len(names) <= longest:
        table.add_row(shown, text)
        return Padding(table, (0, 0, 0, 2))
    table.add_row("", text)
    return Group(Padding(shown, (0, 0, 0, 2)), Padding(table, (0, 0, 0, 2)))
