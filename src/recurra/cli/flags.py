"""Flags from settings: every setting of a config is a flag of the command that takes it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from types import NoneType
from typing import Annotated, Any, Literal, get_args, get_origin

import typer
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from recurra.checks import LARGEST_SEED
from recurra.cli.completion import cell_names
from recurra.tasks.settings_file import (
    NONE,
    default_of,
    flag_of,
    is_list,
    sections,
    settings_in_use,
    shared_keys,
    takes_none,
)
from recurra.tasks.table import TaskEntry
from recurra.training.settings import DeviceName

__all__ = ["DeviceFlag", "from_flags", "seed_option", "with_flags", "with_use_flags"]

METAVARS = {int: "N", float: "X", str: "NAME", Path: "FILE"}


DeviceFlag = Annotated[
    DeviceName,
    typer.Option(
        "--device", help="Where to compute: auto (a CUDA device if there is one), cpu or cuda.", metavar="NAME"
    ),
]
"""The flag --device of a command that is not made from settings."""


def seed_option(text: str) -> Any:  # noqa: ANN401  (typer's)
    """The flag --seed of a command that is not made from settings; its range is that of training.

    Args:
        text: What it does.
    """
    return typer.Option("--seed", help=text, metavar="N", min=0, max=LARGEST_SEED)


def with_flags(
    command: Callable[..., None],
    config: type[BaseModel],
    only: Collection[str] | None = None,
    without: Collection[str] = (),
    sections_without: Collection[str] = (),
) -> Callable[..., None]:
    """A command that takes, besides its own parameters, a flag for every setting of a config.

    A flag's text is handed on as it is: the config checks it as it checks what a file holds.

    Args:
        command: Takes the settings given by flags as the keyword `settings`.
        config: The config, a section a field.
        only: The keys that have a flag, which then has no default of its own; None for all.
        without: Parameters of the command that are no flags, and keep their defaults.
        sections_without: Sections whose settings have no flags.
    """
    hidden = {"settings", *without}
    own = [p for p in inspect.signature(command, eval_str=True).parameters.values() if p.name not in hidden]
    shared = shared_keys(config)
    flags, names = [], {}
    for section, settings in sections(config).items():
        for key, field in settings.model_fields.items():
            if (only is None or key in only) and section not in sections_without:
                name = f"{section}.{key}" if key in shared else key
                default = default_of(config, section, key)
                parameter = _flag(section.capitalize(), name, field, default, with_default=only is None)
                names[parameter.name] = name
                flags.append(parameter)
    taken = {p.name for p in own}

    def run(**given: Any) -> None:  # noqa: ANN401  (whatever the flags are)
        command(
            **{name: value for name, value in given.items() if name in taken},
            settings={names[name]: value for name, value in given.items() if name not in taken and value is not None},
        )

    parameters = [*own, *flags]
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {p.name: p.annotation for p in parameters}
    run.__name__, run.__doc__ = command.__name__, command.__doc__
    return run


def with_use_flags(command: Callable[..., None], uses: Iterable[TaskEntry]) -> Callable[..., None]:
    """A command that takes, besides its own parameters, a flag for every setting that says how a run is used.

    A setting that several uses have is one flag; which of them a run knows is its own to say.

    Args:
        command: Takes the settings given by flags as the keyword `settings`.
        uses: The uses.
    """
    parameters = [p for p in inspect.signature(command, eval_str=True).parameters.values() if p.name != "settings"]
    taken = {p.name for p in parameters}
    for use in uses:
        for key, section in settings_in_use(use.config).items():
            if all(p.name != key for p in parameters):
                field = sections(use.config)[section].model_fields[key]
                title = f"{section.capitalize()}: {use.name}"
                parameters.append(_flag(title, key, field, field.default, with_default=True))

    def run(**given: Any) -> None:  # noqa: ANN401  (whatever the flags are)
        settings = {key: value for key, value in given.items() if key not in taken and value is not None}
        command(**{key: value for key, value in given.items() if key in taken}, settings=settings)

    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {p.name: p.annotation for p in parameters}
    run.__name__, run.__doc__ = command.__name__, command.__doc__
    return run


def _flag(section: str, name: str, field: FieldInfo, default: Any, with_default: bool) -> inspect.Parameter:  # noqa: ANN401
    """The flag of one setting; None means that it was not given."""
    flag, kinds = flag_of(name), [k for k in get_args(field.annotation) or (field.annotation,) if k is not NoneType]
    switch = field.annotation is bool
    choices = kinds if get_origin(field.annotation) is Literal else []
    text = field.description or ""
    if choices:
        text = f"{text} One of {', '.join(choices)}."
    if is_list(field):
        text = f"{text} Several have commas between them."
    if takes_none(field) and (default is not None or not with_default):
        text = f"{text} {NONE} switches it off."
    option = typer.Option(
        f"{flag}/--no-{flag[2:]}" if switch else flag,
        help=text,
        rich_help_panel=section,
        show_default=_shown(field, default) if with_default else False,
        autocompletion=_completion(name, choices),
        metavar=None if switch else _metavar(field, kinds[0]),
    )
    kind = Annotated[bool | None, option] if switch else Annotated[str | None, option]
    parameter = name.replace(".", "__")
    return inspect.Parameter(parameter, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=kind)


def _metavar(field: FieldInfo, kind: Any) -> str:  # noqa: ANN401  (a type, or a Literal)
    if is_list(field):
        return "LIST"
    extra = field.json_schema_extra
    if isinstance(extra, dict) and "metavar" in extra:
        return str(extra["metavar"])
    return "FILE" if is_file(field) else METAVARS.get(kind, "NAME")


def _completion(name: str, choices: Sequence[str]) -> Callable[[str], list[str]] | None:
    """What a shell completes after a flag: the names that there are to choose from."""
    if name.rpartition(".")[2] == "cell":
        return cell_names
    return (lambda incomplete: [choice for choice in choices if choice.startswith(incomplete)]) if choices else None


def _shown(field: FieldInfo, default: Any) -> str | bool:  # noqa: ANN401
    """The default as the help shows it; False for nothing to show."""
    if field.is_required():
        return "required, unless the config file has it"
    if field.annotation is bool:
        return "on" if default else False
    if default is None or default == ():
        return False
    if isinstance(default, tuple | list):
        return ",".join(map(str, default))
    return f"{default:g}" if isinstance(default, float) else str(default)


def is_file(field: FieldInfo) -> bool:
    """Whether a setting is a text whose flag names a file that holds it."""
    extra = field.json_schema_extra
    return isinstance(extra, dict) and bool(extra.get("from_file"))


def from_flags(config: type[BaseModel], given: Mapping[str, Any]) -> dict[str, Any]:
    """What flags gave, as settings: a file of equations becomes its text, which the run keeps.

    Raises:
        EquationError: A file of equations cannot be read, or its text is wrong.
    """
    from recurra.equations import read_cell

    files = {n for s in sections(config).values() for n, f in s.model_fields.items() if is_file(f)}
    return {name: read_cell(value).text if name.rpartition(".")[2] in files else value for name, value in given.items()}
