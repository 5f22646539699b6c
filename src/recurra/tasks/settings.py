"""The settings of a use: sections, each of whose fields is a key of the config file and a flag of the command line.

They are read without torch, so that the command line can list them at once.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from pydantic import Field

from recurra.training.checked import CheckedSettings
from recurra.training.settings import TrainingSettings

__all__ = ["DataSettings", "Settings", "TaskConfig"]


class Settings(CheckedSettings):
    """One section of a config: every field is a key of the section and a flag of the command line.

    What a field says of itself beside its type is in `json_schema_extra`: `from_file` is a text whose flag names a file
    that holds it, and `instead_of` names the field that it takes the place of. `free` is a setting that may be another
    when a run is resumed or used, `free_in_use` one that may when it is used; `begins` is a path that is not needed any
    more once a training has begun.
    """

    changes_use: ClassVar[bool] = True
    """Whether a trained model answers otherwise, or not at all, where a setting of the section is another."""

    in_use: ClassVar[bool] = False
    """Whether they say how a trained model is used, so that each is a flag of the commands that use one."""


class DataSettings(Settings):
    """The files to train on and to validate on. Every use has one section of this kind."""

    data: Path = Field(description="File to train on.")
    valid: Path | None = Field(None, description="File to validate on; without it, the last part of the data.")
    valid_fraction: float = Field(
        0.1,
        gt=0,
        lt=1,
        description="Share of the data kept for validation where no file is given.",
        json_schema_extra={"free_in_use": True},
    )
    start_from: Path | None = Field(
        None,
        description="Run whose weights this one begins with, where they correspond.",
        json_schema_extra={"begins": True},
    )


class TaskConfig(CheckedSettings):
    """The settings of a run: one section a topic; `training` is the same for every use.

    Every setting is a key of its section in config.toml and a flag of the command line: `--key`, or `--section.key`
    where two sections have a key of the same name.
    """

    training: TrainingSettings = TrainingSettings()

    @property
    def files(self) -> DataSettings:
        """The section that names the files to train on."""
        sections = (getattr(self, name) for name in type(self).model_fields)
        section = next((section for section in sections if isinstance(section, DataSettings)), None)
        if section is None:
            raise TypeError(f"{type(self).__name__} has no section of the class DataSettings")
        return section
