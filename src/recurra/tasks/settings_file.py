"""config.toml: the settings of a run as a file, and the file as settings."""

from __future__ import annotations

import difflib
import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from types import NoneType
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from recurra.errors import SettingError
from recurra.tasks.task import TaskConfig

__all__ = ["NONE", "flag_of", "make_config", "read_sections", "render_config", "sections", "takes_none"]

VERSION = 1
"""The version of the run folders that this library writes and reads."""

NONE = "none"
"""How a number is written that is switched off: TOML knows no null, and a flag holds text."""

ConfigT = TypeVar("ConfigT", bound=TaskConfig)


def sections(config: type[BaseModel]) -> dict[str, type[BaseModel]]:
    """The sections of a config by name: its fields, each a class of settings; those of every task come last.

    Example:
        >>> list(sections(TaskConfig))
        ['training']
    """
    shared = TaskConfig.model_fields
    found: dict[str, type[BaseModel]] = {}
    for name in sorted(config.model_fields, key=lambda name: name in shared):
        kind = config.model_fields[name].annotation
        assert isinstance(kind, type)
        assert issubclass(kind, BaseModel)
        found[name] = kind
    return found


def flag_of(key: str) -> str:
    """The flag of the command line for a key of the config file.

    Example:
        >>> flag_of("learning_rate")
        '--learning-rate'
    """
    return "--" + key.replace("_", "-")


def takes_none(field: FieldInfo) -> bool:
    """Whether a setting is a number that can be switched off."""
    kinds = set(get_args(field.annotation))
    return NoneType in kinds and bool(kinds & {int, float})


def render_config(task: str, config: BaseModel) -> str:
    """A config as TOML; settings that are not set are left out.

    Example:
        >>> print(render_config("any", TaskConfig()).splitlines()[:4])
        ['task = "any"', 'version = 1', '', '[training]']
    """
    lines = [f"task = {_value(task)}", f"version = {VERSION}"]
    for section, kind in sections(type(config)).items():
        settings = getattr(config, section).model_dump(mode="json")
        lines += ["", f"[{section}]"]
        for key, field in kind.model_fields.items():
            if settings[key] is not None:
                lines.append(f"{key} = {_value(settings[key])}")
            elif field.default is not None and takes_none(field):
                lines.append(f"{key} = {_value(NONE)}")
    return "\n".join(lines) + "\n"


def _value(value: object) -> str:
    if isinstance(value, str):
        # The name of a file may hold bytes that are no text, which TOML cannot.
        text = value.encode("utf-8", "replace").decode()
        if "\n" in text and "'''" not in text and all(c.isprintable() or c == "\n" for c in text):
            return f"'''\n{text}'''"  # equations stay readable
        return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return repr(value)
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
        raise SettingError(f"{path}: it is of version {version!r}, and this Recurra reads version {VERSION}")
    if task is not None and named is not None and named != task:
        raise SettingError(f"{path}: it is for the task {named!r}, not {task!r}")
    return content


def make_config(
    config: type[ConfigT], content: Mapping[str, Any], overrides: Mapping[str, Any] | None = None, source: str = ""
) -> ConfigT:
    """Settings from a file's sections, with single ones replaced.

    Args:
        config: The settings' type.
        content: For each section its keys and values.
        overrides: Settings by key alone, as the flags of the command line give them.
        source: What is named in messages, such as the file.

    Raises:
        SettingError: A section or key is unknown, or a value impossible; the message names it and what is possible.

    Example:
        >>> make_config(TaskConfig, {"training": {"epochs": 3}}, {"epochs": "5"}).training.epochs
        5
    """
    known = sections(config)
    place = f"{source}: " if source else ""
    merged: dict[str, dict[str, Any]] = {section: {} for section in known}
    for section, keys in content.items():
        if section == "task":
            continue
        _check_section(section, keys, known, place)
        for key in keys:
            _check_key(section, key, known, place)
        merged[section] = dict(keys)
    _override(merged, overrides or {}, known)
    for section, keys in merged.items():
        for key, value in keys.items():
            if value == NONE and takes_none(known[section].model_fields[key]):
                keys[key] = None
    try:
        return config.model_validate(merged)
    except ValidationError as error:
        raise SettingError(_describe(error, set(overrides or {}), place)) from None


def _override(
    merged: dict[str, dict[str, Any]], overrides: Mapping[str, Any], known: Mapping[str, type[BaseModel]]
) -> None:
    """Put the flags' settings in the place of the file's, and of what they take the place of."""
    every = [key for settings in known.values() for key in settings.model_fields]
    for key in overrides:
        if key not in every:
            raise SettingError(_unknown(key, every, "setting"))
    for section, settings in known.items():
        for key, field in settings.model_fields.items():
            extra = field.json_schema_extra
            other = extra.get("instead_of") if isinstance(extra, dict) else None
            if isinstance(other, str) and (key in overrides) != (other in overrides):
                merged[section].pop(other if key in overrides else key, None)
            if key in overrides:
                merged[section][key] = overrides[key]


def _check_section(section: str, keys: object, known: Mapping[str, type[BaseModel]], place: str) -> None:
    if section in known:
        if not isinstance(keys, Mapping):
            raise SettingError(f"{place}{section} is a section: write [{section}] and its keys below")
        return
    home = _home(section, known)
    if home:
        raise SettingError(f"{place}{section} is a key of [{home}]: write it below that line")
    raise SettingError(f"{place}{_unknown(section, list(known), 'section')}")


def _check_key(section: str, key: str, known: Mapping[str, type[BaseModel]], place: str) -> None:
    keys = list(known[section].model_fields)
    if key in keys:
        return
    home = _home(key, known)
    problem = f"there is no key {key!r}; it belongs in [{home}]" if home else _unknown(key, keys, "key")
    raise SettingError(f"{place}[{section}] {problem}")


def _home(key: str, known: Mapping[str, type[BaseModel]]) -> str | None:
    """The section that a key belongs in."""
    return next((name for name, settings in known.items() if key in settings.model_fields), None)


def _unknown(name: str, known: list[str], kind: str) -> str:
    nearest = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {nearest[0]}? " if nearest else ""
    return f"there is no {kind} {name!r}; {hint}The {kind}s are: {', '.join(known)}"


def _describe(error: ValidationError, flags: set[str], place: str) -> str:
    """The first thing that a validation found wrong, in one line that names the flag or the key."""
    problem = error.errors(include_url=False)[0]
    section, *keys = (str(part) for part in problem["loc"])
    key = keys[0] if keys else ""
    message = problem["msg"].replace("Input should", "it should", 1)
    if problem["type"] == "missing":
        return f"{place}{key} is not given: give {flag_of(key)}, or {key} below [{section}] in a config file"
    if problem["type"] == "value_error":  # one of ours, which says what came
        message = str(problem["ctx"]["error"])
        return message if key in flags else f"{place}[{section}] {f'{key}: ' if key and place else ''}{message}"
    if key in flags:
        return f"{flag_of(key)} {problem['input']}: {message}"
    return f"{place}[{section}] {key} = {problem['input']!r}: {message}"
