"""config.toml: the settings of a run as a file, and the file as settings."""

from __future__ import annotations

import difflib
import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from recurra.errors import SettingError

__all__ = ["make_config", "read_sections", "render_config", "sections"]

VERSION = 1
"""The version of the run folders that this library writes and reads."""

ModelT = TypeVar("ModelT", bound=BaseModel)


def sections(config: type[BaseModel]) -> dict[str, type[BaseModel]]:
    """The sections of a config by name: its fields, each a model of settings."""
    found: dict[str, type[BaseModel]] = {}
    for name, field in config.model_fields.items():
        assert isinstance(field.annotation, type)
        assert issubclass(field.annotation, BaseModel)
        found[name] = field.annotation
    return found


def render_config(task: str, config: BaseModel) -> str:
    """A config as TOML; settings that are not set are left out."""
    lines = [f"task = {_value(task)}", f"version = {VERSION}"]
    for section, settings in config.model_dump(mode="json").items():
        lines += ["", f"[{section}]"]
        lines += [f"{key} = {_value(value)}" for key, value in settings.items() if value is not None]
    return "\n".join(lines) + "\n"


def _value(value: object) -> str:
    if isinstance(value, str):
        if "\n" in value and "'''" not in value:
            return f"'''\n{value}'''"  # equations stay readable
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, list):
        return f"[{', '.join(_value(v) for v in value)}]"
    raise TypeError(f"a setting of type {type(value).__name__} has no form in config.toml")


def read_sections(path: Path, task: str | None = None) -> dict[str, Any]:
    """Read a config file as far as its sections.

    Args:
        path: The file.
        task: The task that it must be for, if it names one; None for any.

    Raises:
        SettingError: It cannot be read, is not TOML, or is for another task or version.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingError(f"{path}: cannot be read: {error.strerror}; give a config file in TOML") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingError(f"{path}: this is not TOML: {error}") from None
    version, named = content.pop("version", VERSION), content.get("task")
    if version != VERSION:
        raise SettingError(f"{path}: it is of version {version}; this library reads version {VERSION}")
    if task is not None and named is not None and named != task:
        raise SettingError(f"{path}: it is for the task {named!r}, not {task!r}")
    return content


def make_config(
    config: type[ModelT], content: Mapping[str, Any], overrides: Mapping[str, Any] | None = None, source: str = ""
) -> ModelT:
    """Settings from a file's sections, with single ones replaced.

    Args:
        config: The settings' type.
        content: For each section its keys and values.
        overrides: Settings by key alone, such as `learning_rate`.
        source: What is named in messages, such as the file.

    Raises:
        SettingError: A section or key is unknown, or a value impossible; the message names it and what is possible.
    """
    known = sections(config)
    place = f"{source}: " if source else ""
    merged: dict[str, dict[str, Any]] = {}
    for section, keys in content.items():
        if section == "task":
            continue
        if section not in known:
            raise SettingError(f"{place}{_unknown(section, list(known), 'section')}")
        if not isinstance(keys, Mapping):
            raise SettingError(f"{place}{section} is a section: write [{section}] and its keys below")
        for key in keys:
            if key not in known[section].model_fields:
                raise SettingError(f"{place}[{section}] {_unknown(key, list(known[section].model_fields), 'key')}")
        merged[section] = dict(keys)
    for key, value in (overrides or {}).items():
        section = next(name for name, settings in known.items() if key in settings.model_fields)
        merged.setdefault(section, {})[key] = value
    try:
        return config.model_validate(merged)
    except ValidationError as error:
        raise SettingError(place + describe(error)) from None


def _unknown(name: str, known: list[str], kind: str) -> str:
    nearest = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {nearest[0]!r}? " if nearest else ""
    return f"there is no {kind} {name!r}; {hint}the {kind}s are: {', '.join(known)}"


def describe(error: ValidationError) -> str:
    """The first thing that a validation found wrong, in one line.

    Example:
        >>> from recurra.training import TrainingSettings
        >>> try:
        ...     TrainingSettings(learning_rate=-1)
        ... except ValidationError as error:
        ...     print(describe(error))
        learning_rate is -1: input should be greater than 0
    """
    problem = error.errors(include_url=False)[0]
    where = ".".join(str(part) for part in problem["loc"])
    message = problem["msg"].removeprefix("Value error, ")
    message = message[:1].lower() + message[1:]
    if problem["type"] == "missing":
        return f"{where} is not given: it has no default"
    return f"{where} is {problem['input']!r}: {message}" if where and problem["type"] != "value_error" else message
