"""The weights of a run, in a file that knows what they belong to.

model.safetensors holds, beside the weights and its own checksum, the SHA-256 of the files that the task keeps and the
settings that the model was trained with, so that damage and edits are noticed when a run is loaded. A file without
them, such as one that another tool wrote, is taken as it is.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from recurra.data.files import write_atomically
from recurra.errors import RunError
from recurra.tasks.folder import CONFIG, WEIGHTS, can_resume
from recurra.tasks.settings import Settings, TaskConfig
from recurra.tasks.settings_file import is_path, sections
from recurra.training.sealed import seal, unseal

__all__ = ["digests", "fixed_settings", "read_weights", "write_weights"]

FORMAT = "recurra weights"


def digests(folder: Path, files: Iterable[str]) -> dict[str, str]:
    """The SHA-256 of some files of a run, by name."""
    return {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in files}


def fixed_settings(config: TaskConfig, *, use: bool = False) -> dict[str, Any]:
    """The settings of a task that must stay what they are when a training is resumed, by section and key.

    Where files are is none of them, nor is what a field declares to be free by `json_schema_extra`.

    Args:
        config: All settings; those of [training] are the training's own.
        use: Whether those are meant that must stay when the model is used.
    """
    fixed = {}
    for section, kind in sections(type(config)).items():
        if not issubclass(kind, Settings) or (use and not kind.changes_use):
            continue
        values = getattr(config, section).model_dump(mode="json")
        for key, field in kind.model_fields.items():
            extra = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
            if not is_path(field) and not extra.get("free") and not (use and extra.get("free_in_use")):
                fixed[f"[{section}] {key}"] = values[key]
    return fixed


def write_weights(path: Path, weights: Mapping[str, Tensor], config: TaskConfig, files: Mapping[str, str]) -> None:
    """Write the weights with what they belong to.

    Args:
        path: The file.
        weights: By name, each with memory of its own.
        config: The settings of the run.
        files: The SHA-256 of each file that the run keeps besides.

    Raises:
        RunError: The file cannot be written.
    """
    texts = {
        "format": FORMAT,
        "version": "1",
        "settings": json.dumps(fixed_settings(config, use=True)),
        "files": json.dumps(dict(files)),
    }
    write_atomically(path, seal(weights, texts))


def read_weights(folder: Path, config: TaskConfig) -> dict[str, Tensor]:
    """Read the weights of a run, and see that nothing they belong to has changed.

    Args:
        folder: The run's.
        config: Its settings as config.toml has them.

    Raises:
        RunError: A file is missing or damaged, a setting is not what the model was trained with, or a weight is not
            finite.
    """
    path = folder / WEIGHTS
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise RunError(f"{path}: there is no such file; {_mend(folder)}") from None
    except OSError as error:
        raise RunError(f"{path}: cannot be read ({error.strerror}); copy it again or train again") from None
    try:
        texts, weights = unseal(content, path, sealed=False)
        if texts.get("format") == FORMAT:
            _check_settings(folder / CONFIG, json.loads(texts["settings"]), fixed_settings(config, use=True))
            _check_files(folder, json.loads(texts["files"]))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        if isinstance(error, RunError):
            if str(error).startswith(f"{path}: damaged"):
                raise RunError(f"{error}; copy it again or train again") from None
            raise
        raise RunError(f"{path}: damaged ({error}); copy it again or train again") from None
    for name, tensor in weights.items():
        if tensor.is_floating_point() and not (finite := tensor.isfinite()).all():
            bad = int((~finite).sum())
            raise RunError(
                f"{path}: {bad:,} of the {tensor.numel():,} numbers of {name} are not finite; copy it again, or train "
                "again with a lower --learning-rate"
            )
    return weights


def _mend(folder: Path) -> str:
    """What to do about weights that are not there."""
    if can_resume(folder):
        return (
            f"training was stopped before its first validation: `recurra resume {folder}` goes on with it, and Ctrl-C "
            "then keeps the weights as they are"
        )
    return "copy the run again or train again"


def _check_settings(path: Path, trained: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Refuse settings that are not those of the training; one that a later version of Recurra added is its default."""
    for name, value in trained.items():
        if name in now and now[name] != value:
            raise RunError(
                f"{path}: {name} is {_shown(now[name])}, and the model was trained with {_shown(value)}; put that "
                "back, or copy the run again"
            )


def _shown(value: object) -> str:
    text = "none" if value is None else repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _check_files(folder: Path, sums: Mapping[str, str]) -> None:
    """Refuse a file that is not the one that the weights were trained with; one that is missing is told elsewhere."""
    for name in sums:
        try:
            content = (folder / name).read_bytes()
        except OSError:
            continue
        if hashlib.sha256(content).hexdigest() != sums[name]:
            raise RunError(
                f"{folder / name}: damaged or edited: its checksum is not the one that the weights were saved with; "
                "copy it again or train again"
            )
