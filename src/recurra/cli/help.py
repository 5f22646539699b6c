"""What `--help` prints: the words of a command in two columns, its settings by section, in bold and dim where shown."""

from __future__ import annotations

from typing import Any

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text
from typer.core import TyperCommand, TyperGroup

__all__ = ["Command", "CommandGroup"]

WIDTH = 100
"""Lines are no wider, so that they can be read on a wide terminal."""

NAMES = 26
"""Width of the column of flags; what is longer has a line of its own."""


class Command(TyperCommand):
    """A command with our help."""

    def format_help(self, ctx: Any, formatter: Any) -> None:  # noqa: ANN401  (click's, of which typer has its own copy)
        """Write the help."""
        formatter.write(_help(self, ctx))


class CommandGroup(TyperGroup):
    """A command of commands with our help."""

    def format_help(self, ctx: Any, formatter: Any) -> None:  # noqa: ANN401  (click's, of which typer has its own copy)
        """Write the help."""
        formatter.write(_help(self, ctx))


def _help(command: Command | CommandGroup, ctx: Any) -> str:  # noqa: ANN401
    console = Console(highlight=False)
    console.width = min(console.width, WIDTH)
    usage = " ".join([ctx.command_path, *command.collect_usage_pieces(ctx)])
    parts: list[RenderableType] = [Text.assemble(("Usage: ", "bold"), usage), Text(), Text(command.help or "")]
    panels: dict[str, list[tuple[str, Text]]] = {}
    for parameter in command.get_params(ctx):
        argument = parameter.param_type_name == "argument"
        panel = getattr(parameter, "rich_help_panel", None) or ("Arguments" if argument else "Options")
        panels.setdefault(panel, []).append((_names(parameter), _explained(parameter)))
    if isinstance(command, CommandGroup):
        commands = [(name, Text(each.help or "")) for name, each in command.commands.items()]
        panels = {"Commands": commands, **panels}
    for title, rows in panels.items():
        parts += [Text(), Text(title, style="bold"), *(_row(names, text, console.width) for names, text in rows)]
    with console.capture() as capture:
        console.print(Group(*parts))
    return capture.get()


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
        default = str(parameter.default).lower() if parameter.is_flag else str(parameter.default)
    text = Text(getattr(parameter, "help", None) or "")
    return text.append(f" [{default}]", style="dim") if isinstance(default, str) else text


def _row(names: str, text: Text, width: int) -> RenderableType:
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(width=NAMES, no_wrap=True)
    table.add_column(width=width - NAMES - 4)
    shown = Text(names, style="cyan")
    if len(names) <= NAMES:
        table.add_row(shown, text)
        return Padding(table, (0, 0, 0, 2))
    table.add_row("", text)
    return Group(Padding(shown, (0, 0, 0, 2)), Padding(table, (0, 0, 0, 2)))
