"""Flags from settings: every setting of a config is a flag of the command that takes it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from recurra.equations import read_cell
from recurra.tasks.settings_file import sections

__all__ = ["overrides", "with_flags"]


def with_flags(command: Callable[..., None], config: type[BaseModel]) -> Callable[..., None]:
    """A command that takes, besides its own parameters, a flag for every setting of a config.

    Args:
        command: Takes the settings given by flags as the keyword `settings`.
        config: The config, a section a field.
    """
    own = [p for p in inspect.signature(command, eval_str=True).parameters.values() if p.name != "settings"]
    flags = [
        _flag(section, name, field)
        for section, settings in sections(config).items()
        for name, field in settings.model_fields.items()
    ]
    taken = {p.name for p in own}

    def run(**given: Any) -> None:  # noqa: ANN401  (whatever the flags are)
        command(
            **{name: value for name, value in given.items() if name in taken},
            settings={name: value for name, value in given.items() if name not in taken and value is not None},
        )

    parameters = [*own, *flags]
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {p.name: p.annotation for p in parameters}
    run.__name__, run.__doc__ = command.__name__, command.__doc__
    return run


def _flag(section: str, name: str, field: FieldInfo) -> inspect.Parameter:
    """The flag of one setting; None means that it was not given."""
    flag = "--" + name.replace("_", "-")
    kind = Path if _is_file(field) else field.annotation
    names = f"{flag}/--no-{flag[2:]}" if kind is bool else flag
    if field.is_required():
        default: bool | str = "in the config file"
    elif field.default is None:
        default = False
    else:
        default = str(field.default).lower() if kind is bool else str(field.default)
    option = typer.Option(names, help=field.description, rich_help_panel=section.capitalize(), show_default=default)
    return inspect.Parameter(
        name,
        inspect.Parameter.KEYWORD_ONLY,
        default=None,
        annotation=Annotated[kind | None, option],  # type: ignore[operator]
    )


def _is_file(field: FieldInfo) -> bool:
    extra = field.json_schema_extra
    return isinstance(extra, dict) and bool(extra.get("from_file"))


def overrides(config: type[BaseModel], given: Mapping[str, Any]) -> dict[str, Any]:
    """What flags gave, as settings: a file of equations becomes its text, which the run keeps.

    Raises:
        EquationError: A file of equations cannot be read, or its text is wrong.
    """
    files = {n for s in sections(config).values() for n, f in s.model_fields.items() if _is_file(f)}
    return {name: read_cell(value).text if name in files else value for name, value in given.items()}
