"""Where the files are that a run was trained on, when it is resumed from another folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from recurra.errors import RunError
from recurra.tasks.settings import TaskConfig
from recurra.tasks.settings_file import flag_of, is_path, sections, working_folder

__all__ = ["locate_files"]

ConfigT = TypeVar("ConfigT", bound=TaskConfig)


def locate_files(config: ConfigT, file: Path, given: Mapping[str, Any]) -> ConfigT:
    """A run's settings with the paths of its files as they can be read from here.

    A path is looked for from the folder that training was begun in, then from the present one.

    Args:
        config: The settings.
        file: The config.toml that they are from.
        given: The settings that were given anew, by key, and are taken as they are.

    Raises:
        RunError: A file is in neither.
    """
    origin = working_folder(file)
    updates = {}
    for section, kind in sections(type(config)).items():
        settings, located = getattr(config, section), {}
        for key, field in kind.model_fields.items():
            path = getattr(settings, key)
            extra = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
            if not is_path(field) or path is None or key in given or extra.get("begins"):
                continue
            located[key] = _find(path, origin, file, section, key)
        updates[section] = settings.model_copy(update=located)
    return config.model_copy(update=updates)


def _find(path: Path, origin: Path | None, file: Path, section: str, key: str) -> Path:
    if origin is not None and not path.is_absolute() and origin != Path.cwd() and (origin / path).exists():
        return origin / path
    if path.exists():
        return path
    folders = [] if path.is_absolute() else list(dict.fromkeys([*([origin] if origin else []), Path.cwd()]))
    where = f" in {' or in '.join(map(str, folders))}" if folders else ""
    raise RunError(
        f"{file}: [{section}] {key} = {str(path)!r}: there is no such file{where}; say where it is with "
        f"{flag_of(key)} FILE"
    )
