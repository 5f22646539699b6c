"""config.toml: the settings of a run as a file, and the file as settings."""

from __future__ import annotations

import codecs
import json
import os
import tomllib
from collections import Counter
from collections.abc import Collection, Mapping
from pathlib import Path
from types import NoneType
from typing import Any, TypeVar, get_args, get_origin
from urllib.parse import quote_from_bytes, unquote_to_bytes

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from recurra.errors import SettingError
from recurra.spelling import nearest, unknown
from recurra.tasks.settings import Settings, TaskConfig
from recurra.training.checked import describe_problem, first_problem
from recurra.training.settings import OPTIMISERS_WITH

__all__ = [
    "NONE",
    "default_of",
    "defaults_of",
    "flag_of",
    "is_list",
    "is_path",
    "make_config",
    "read_sections",
    "render_config",
    "sections",
    "shared_keys",
    "takes_none",
    "working_folder",
]

VERSION = 1
"""The version of the run folders that this library writes and reads."""

NONE = "none"
"""How a number is written that is switched off: TOML knows no null, and a flag holds text."""

WORKING_FOLDER = "working_folder"
"""The key, above the sections, of the folder that relative paths in them start from."""

FILE_URL = "file:"
"""How a path begins whose bytes are no text: the rest is its bytes, percent-encoded."""

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


def defaults_of(config: type[BaseModel], section: str) -> dict[str, Any]:
    """The settings of a section that a use begins with where they are others than the section's class has.

    Example:
        >>> from recurra.tasks.table import TASKS
        >>> defaults_of(TASKS.entries["named-entity-recognition"].config, "training")["schedule"]
        'cosine'
    """
    default = config.model_fields[section].default
    return {key: getattr(default, key) for key in default.model_fields_set} if isinstance(default, BaseModel) else {}


def default_of(config: type[BaseModel], section: str, key: str) -> Any:  # noqa: ANN401  (whatever the setting is)
    """The default of a setting, as the use begins with it; None where it has none."""
    field = sections(config)[section].model_fields[key]
    return defaults_of(config, section).get(key, None if field.is_required() else field.default)


def settings_in_use(config: type[BaseModel]) -> dict[str, str]:
    """The settings that say how a trained model is used, each with its section.

    Example:
        >>> from recurra.tasks.table import TASKS
        >>> settings_in_use(TASKS.entries["machine-translation"].config)["beam"]
        'search'
    """
    return {
        key: section
        for section, kind in sections(config).items()
        if issubclass(kind, Settings) and kind.in_use
        for key in kind.model_fields
    }


def shared_keys(config: type[BaseModel]) -> set[str]:
    """The keys that more than one section has, which are told apart by the section's name."""
    counts = Counter(key for settings in sections(config).values() for key in settings.model_fields)
    return {key for key, count in counts.items() if count > 1}


def is_list(field: FieldInfo) -> bool:
    """Whether a setting is several values, which a flag gives with commas between them."""
    return any(get_origin(kind) in {tuple, list} for kind in (field.annotation, *get_args(field.annotation)))


def flag_of(key: str) -> str:
    """The flag of the command line for a key of the config file, or for SECTION.KEY.

    Example:
        >>> flag_of("learning_rate"), flag_of("encoder.hidden_size")
        ('--learning-rate', '--encoder.hidden-size')
    """
    return "--" + key.replace("_", "-")


def takes_none(field: FieldInfo) -> bool:
    """Whether a setting is a number that can be switched off."""
    kinds = set(get_args(field.annotation))
    return NoneType in kinds and bool(kinds & {int, float})


def is_path(field: FieldInfo) -> bool:
    """Whether a setting is the path of a file."""
    return Path in (field.annotation, *get_args(field.annotation))


def render_config(task: str, config: BaseModel, folder: Path | None = None) -> str:
    """A config as TOML; settings that are not set are left out.

    Args:
        task: The task's name.
        config: The settings.
        folder: The folder that relative paths among them start from, to be kept as well.

    Example:
        >>> print(render_config("any", TaskConfig()).splitlines()[:4])
        ['task = "any"', 'version = 1', '', '[training]']
    """
    lines = [f"task = {_value(task)}", f"version = {VERSION}"]
    if folder is not None:
        lines.append(f"{WORKING_FOLDER} = {_value(_path_text(folder))}")
    for section, kind in sections(type(config)).items():
        values = getattr(config, section).model_dump()
        settings = {key: _path_text(value) if isinstance(value, Path) else value for key, value in values.items()}
        lines += ["", f"[{section}]"]
        for key, field in kind.model_fields.items():
            if settings[key] is not None:
                lines.append(f"{key} = {_value(settings[key])}")
            elif default_of(type(config), section, key) is not None and takes_none(field):
                lines.append(f"{key} = {_value(NONE)}")
    return "\n".join(lines) + "\n"


def _value(value: object) -> str:
    if isinstance(value, str):
        text = value.encode("utf-8", "replace").decode()
        if "\n" in text and "'''" not in text and all(c.isprintable() or c == "\n" for c in text):
            return f"'''\n{text}'''"  # equations stay readable
        return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_value, value))}]"
    raise TypeError(f"a setting of type {type(value).__name__} has no form in config.toml")


def _path_text(path: Path) -> str:
    r"""A path as TOML can hold it, which holds no bytes that are no text.

    Example:
        >>> _path_text(Path("a/b.txt")), _path_text(Path(os.fsdecode(b"caf\xe9.txt")))
        ('a/b.txt', 'file:caf%E9.txt')
    """
    text = str(path)
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return FILE_URL + quote_from_bytes(os.fsencode(path))
    return FILE_URL + quote_from_bytes(os.fsencode(path)) if text.startswith(FILE_URL) else text


def _path(text: object) -> object:
    """What `_path_text` gave as a path; what is none is left to be refused."""
    if isinstance(text, str) and text.startswith(FILE_URL) and not text.startswith("file://"):
        return os.fsdecode(unquote_to_bytes(text.removeprefix(FILE_URL)))
    return text


def working_folder(path: Path) -> Path | None:
    """The folder that relative paths in a run's config.toml start from; None where it does not say."""
    folder = _path(_read_toml(path).get(WORKING_FOLDER))
    return Path(folder) if isinstance(folder, str) and folder else None


def read_sections(path: Path, task: str | None = None) -> dict[str, Any]:
    """Read a config file as far as its sections.

    Args:
        path: The file.
        task: The task that it must be for, if it names one; None for any.

    Raises:
        SettingError: It cannot be read, is not TOML, or is for another task or version.
    """
    content = _read_toml(path)
    content.pop(WORKING_FOLDER, None)
    version, named = content.pop("version", VERSION), content.get("task")
    if version != VERSION:
        raise SettingError(f"{path}: it is of version {version!r}, and this Recurra reads version {VERSION}")
    if task is not None and named is not None and named != task:
        raise SettingError(f"{path}: it is for the task {named!r}, not {task!r}")
    return content


def _read_toml(path: Path) -> dict[str, Any]:
    """The content of a file in TOML; UTF-16 and a byte-order mark, as Windows writes them, are read as well."""
    try:
        data = path.read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path itself
        reason = getattr(error, "strerror", None) or error
        raise SettingError(f"{path}: cannot be read: {reason}; give a config file in TOML") from None
    wide = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    text = ""
    try:
        text = data.decode("utf-16" if wide else "utf-8-sig")
        return tomllib.loads(text)
    except UnicodeDecodeError as error:
        what = "UTF-16" if wide else "UTF-8"
        raise SettingError(f"{path}: this is not TOML: byte {error.start} is no {what}") from None
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise SettingError(f"{path}: this is not TOML: {reason}{_advice(text, reason)}") from None


def _advice(text: str, reason: str) -> str:
    """What to do about a line that is no TOML because of a path of Windows."""
    number = reason.partition("line ")[2].partition(",")[0]
    lines = text.splitlines()
    line = lines[int(number) - 1] if number.isdigit() and 0 < int(number) <= len(lines) else ""
    if '"' in line and "\\" in line:
        return r"; within double quotes \ begins an escape: write a path in single quotes, such as 'C:\data\text.txt'"
    return ""


def make_config(
    config: type[ConfigT], content: Mapping[str, Any], overrides: Mapping[str, Any] | None = None, source: str = ""
) -> ConfigT:
    """Settings from a file's sections, with single ones replaced.

    Args:
        config: The settings' type.
        content: For each section its keys and values.
        overrides: Settings by key alone, as the flags of the command line give them, or by SECTION.KEY, as it must be
            where several sections have the key.
        source: What is named in messages, such as the file.

    Raises:
        SettingError: A section or key is unknown, or a value impossible; the message names it and what is possible.

    Example:
        >>> make_config(TaskConfig, {"training": {"epochs": 3}}, {"epochs": "5"}).training.epochs
        5
    """
    known = sections(config)
    place = f"{source}: " if source else ""
    merged: dict[str, dict[str, Any]] = {section: defaults_of(config, section) for section in known}
    for section, keys in content.items():
        if section == "task":
            continue
        _check_section(section, keys, known, place)
        for key in keys:
            _check_key(section, key, known, place)
        merged[section] |= keys
    placed = _placed(overrides or {}, config)
    _override(merged, placed, known)
    flags = {key for section, key in placed if section == "training"}
    _leave_out_without_effect(merged["training"], flags | set(content.get("training", ())))
    for section, keys in merged.items():
        for key, value in keys.items():
            field = known[section].model_fields[key]
            if isinstance(value, str) and value == NONE and takes_none(field):
                keys[key] = None
            elif isinstance(value, str) and is_list(field):
                keys[key] = [part for text in value.split(",") if (part := text.strip())]
            elif is_path(field) and (section, key) not in placed:
                keys[key] = _path(value)
    try:
        return config.model_validate(merged)
    except ValidationError as error:
        raise SettingError(_describe(error, placed, shared_keys(config), place)) from None


def _placed(overrides: Mapping[str, Any], config: type[BaseModel]) -> dict[tuple[str, str], Any]:
    """Settings by section and key, whose overrides name the key alone where that is enough.

    Raises:
        SettingError: There is no such setting, or several sections have it.
    """
    known, shared = sections(config), shared_keys(config)
    placed: dict[tuple[str, str], Any] = {}
    for name, value in overrides.items():
        section, dot, key = name.partition(".")
        if dot and section in known and key in known[section].model_fields:
            placed[section, key] = value
            continue
        homes = [home for home, settings in known.items() if name in settings.model_fields]
        if name in shared:
            flags = " or ".join(flag_of(f"{home}.{name}") for home in homes)
            raise SettingError(f"{name} is a setting of {' and of '.join(homes)}: say which, as {flags}")
        if not homes:
            every = [key for settings in known.values() for key in settings.model_fields if key not in shared]
            every += [f"{home}.{key}" for home, settings in known.items() for key in settings.model_fields if dot]
            raise SettingError(unknown("setting", name, every))
        placed[homes[0], name] = value
    return placed


def _override(
    merged: dict[str, dict[str, Any]],
    placed: Mapping[tuple[str, str], Any],
    known: Mapping[str, type[BaseModel]],
) -> None:
    """Put the flags' settings in the place of the file's, and of what they take the place of."""
    for section, settings in known.items():
        for key, field in settings.model_fields.items():
            extra = field.json_schema_extra
            other = extra.get("instead_of") if isinstance(extra, dict) else None
            if isinstance(other, str) and ((section, key) in placed) != ((section, other) in placed):
                merged[section].pop(other if (section, key) in placed else key, None)
            if (section, key) in placed:
                merged[section][key] = placed[section, key]


def _leave_out_without_effect(training: dict[str, Any], given: Collection[str]) -> None:
    """Leave out what a use begins with, and nobody gave, where the optimiser that was given takes no such setting."""
    for key, optimisers in OPTIMISERS_WITH.items():
        if "optimiser" in given and key not in given and training["optimiser"] not in optimisers:
            training.pop(key, None)


def _check_section(section: str, keys: object, known: Mapping[str, type[BaseModel]], place: str) -> None:
    if section in known:
        if not isinstance(keys, Mapping):
            raise SettingError(f"{place}{section} is a section: write [{section}] and its keys below")
        return
    home, key = _home(section, known)
    if home:
        meant = "" if key == section else f"did you mean {key}? It "
        raise SettingError(f"{place}{meant or f'{section} '}is a key of [{home}]: write it below that line")
    raise SettingError(f"{place}{unknown('section', section, known)}")


def _check_key(section: str, key: str, known: Mapping[str, type[BaseModel]], place: str) -> None:
    keys = list(known[section].model_fields)
    if key in keys:
        return
    home, meant = _home(key, known) if nearest(key, keys) is None or _exact(key, known) else (None, key)
    if home is None:
        problem = unknown("key", key, keys)
    elif meant == key:
        problem = f"there is no key {key!r}; it belongs in [{home}]"
    else:
        problem = f"there is no key {key!r}; did you mean {meant}? It belongs in [{home}]"
    raise SettingError(f"{place}[{section}] {problem}")


def _exact(key: str, known: Mapping[str, type[BaseModel]]) -> bool:
    return any(key in settings.model_fields for settings in known.values())


def _home(key: str, known: Mapping[str, type[BaseModel]]) -> tuple[str | None, str]:
    """The section that a key belongs in, and the key that is meant."""
    every = [name for settings in known.values() for name in settings.model_fields]
    meant = key if key in every else nearest(key, every)
    if meant is None:
        return None, key
    return next(name for name, settings in known.items() if meant in settings.model_fields), meant


def _describe(error: ValidationError, flags: Collection[tuple[str, str]], shared: Collection[str], place: str) -> str:
    """The first thing that a validation found wrong, in one line that names the flag or the key."""
    problem = first_problem(error)
    if not problem["loc"]:  # of several sections together
        return f"{place}{describe_problem(problem)}"
    section, *keys = (str(part) for part in problem["loc"])
    key = keys[0] if keys else ""
    message = describe_problem(problem)
    flag = flag_of(f"{section}.{key}" if key in shared else key)
    if problem["type"] == "missing":
        return f"{place}{key} is not given: give {flag}, or {key} below [{section}] in a config file"
    if problem["type"] == "value_error":  # one of ours, which says what came
        given = (section, key) in flags
        return message if given else f"{place}[{section}] {f'{key}: ' if key and place else ''}{message}"
    if (section, key) in flags:
        return f"{flag} {problem['input']}: {message}"
    return f"{place}[{section}] {key} = {problem['input']!r}: {message}"
