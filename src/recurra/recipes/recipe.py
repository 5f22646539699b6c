"""A recipe: a run with a published target, as a file says it."""

from __future__ import annotations

import datetime
import gzip
import hashlib
import tomllib
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from recurra.errors import DataError, SettingError
from recurra.tasks.settings import TaskConfig
from recurra.tasks.settings_file import make_config, sections

__all__ = ["Direction", "Hardware", "Recipe", "Status", "read_recipe"]

Direction = Literal["lower", "higher"]
"""Which way a metric is better."""

Hardware = Literal["processor", "accelerator"]
"""What a recipe needs to be done in the time it says."""

Status = Literal["reached", "missed", "unrun"]
"""How the last run of a recipe compared with its target."""


class Recipe(BaseModel):
    """A run, the number that it is to reach, and where that number was published.

    Its file has the section [recipe] with the fields below, [files] with the SHA-256 of each file it reads, and the
    sections of the task's config, in which paths are relative to the folder of data. A recipe of an experiment has
    [recipe] alone.

    Args:
        name: What the command line calls it: the name of its file.
        title: What is done, in a few words.
        source: Who published the number: a short name, as in a list of references.
        paper: The paper.
        task: The task that is trained for; None where the recipe is one of an experiment of the laboratory.
        experiment: That experiment; None where the recipe is one of a task.
        corpus: What the data are called, a heading of docs/recipes.md.
        test: The file that the figure is measured on; None for the part that is validated on.
        metric: Which metric is compared; of an experiment, the path of names to its place in what was measured.
        unit: What the metric is called in sentences; the metric's name if not given.
        published: The figure of the paper; None where there is none.
        target: The figure to reach.
        tolerance: By how much the target may be missed and still counts as reached.
        direction: Which way the metric is better.
        minutes: How long it takes; measured, or where it was not run yet, expected.
        machine: On what it took so long.
        hardware: What it needs to be done in that time.
        status: How the last run compared with the target.
        figure: What the last run reached.
        date: When that was.
        note: What else there is to say, such as what was tried.
        files: The SHA-256 of what each file holds, uncompressed if it is compressed with gzip, by its path.
        content: The sections of the task's config, by name.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    name: str
    title: str
    source: str
    paper: str
    task: str | None = None
    experiment: str | None = None
    corpus: str | None = None
    test: str | None = None
    metric: str
    unit: str = ""
    published: float | None = None
    target: float
    tolerance: float = Field(0.0, ge=0)
    direction: Direction
    minutes: float = Field(gt=0)
    machine: str
    hardware: Hardware = "processor"
    status: Status
    figure: float | None = None
    date: datetime.date | None = None
    note: str = ""
    files: dict[str, str] = {}
    content: dict[str, dict[str, Any]] = {}

    @model_validator(mode="after")
    def _its_parts_belong_together(self) -> Self:
        if (self.task is None) == (self.experiment is None):
            raise ValueError("a recipe is one of a task or of an experiment: give one of the two")
        if self.task is not None and (self.corpus is None or not self.files):
            raise ValueError("a recipe of a task names its corpus, and its files below [files]")
        if self.experiment is not None and (self.content or self.files or self.test):
            raise ValueError("a recipe of an experiment has no data and no settings: leave test and sections out")
        if self.test is not None and self.test not in self.files:
            raise ValueError(f"the test data {self.test} are not among [files]")
        if (self.status == "unrun") != (self.figure is None) or (self.figure is None) != (self.date is None):
            raise ValueError("a recipe that was run has a figure and its date, and one that is unrun has neither")
        if self.figure is not None and self.status != ("reached" if self.is_reached_by(self.figure) else "missed"):
            raise ValueError(f"status {self.status!r}: {self.figure:g} is compared with {self.wanted}")
        return self

    @property
    def measured(self) -> str:
        """What the figure is, in words."""
        return self.unit or self.metric.replace("_", " ")

    @property
    def wanted(self) -> str:
        """The target in words, such as "at most 114.5"."""
        within = f", {self.tolerance:g} away still counts" if self.tolerance else ""
        return f"{'at most' if self.direction == 'lower' else 'at least'} {self.target:g}{within}"

    def is_reached_by(self, figure: float) -> bool:
        """Whether a figure is as good as the target, or within the tolerance of it; one that is no number is not."""
        beyond = figure - self.target if self.direction == "lower" else self.target - figure
        return beyond <= self.tolerance

    def config(self, kind: type[TaskConfig], folder: Path, overrides: Mapping[str, Any] | None = None) -> TaskConfig:
        """The settings of the run.

        Args:
            kind: The task's config.
            folder: The folder of data, which the paths in the recipe are relative to.
            overrides: Settings that take the place of the recipe's, by key alone, such as the device.

        Raises:
            SettingError: The recipe has a setting that the task does not know, or an impossible one.
        """
        known = sections(kind)
        paths = {
            (section, key)
            for section, settings in known.items()
            for key, field in settings.model_fields.items()
            if Path in (field.annotation, *get_args(field.annotation))
        }
        content = {
            section: {key: str(folder / value) if (section, key) in paths else value for key, value in settings.items()}
            for section, settings in self.content.items()
        }
        return make_config(kind, content, overrides or {}, source=f"the recipe {self.name}")

    def check_files(self, folder: Path) -> list[str]:
        """Look for the files of data.

        Args:
            folder: The folder of data.

        Returns:
            The files that hold something else than those that the published figure was measured on.

        Raises:
            DataError: One of them is not there, or cannot be read.
        """
        hint = f"`recurra reproduce {self.name} --check` lists the files with their SHA-256"
        missing = [name for name in self.files if not (folder / name).is_file()]
        if missing:
            others = f" (nor are {', '.join(missing[1:])})" if missing[1:] else ""
            raise DataError(f"{folder / missing[0]}: this file is not there{others}; {hint}")
        return [name for name, digest in self.files.items() if _digest(folder / name) != digest]


def _digest(path: Path) -> str:
    """The SHA-256 of what a file holds, uncompressed."""
    try:
        content = path.read_bytes()
        content = gzip.decompress(content) if content.startswith(b"\x1f\x8b") else content
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error}); fetch it again") from None
    except (EOFError, zlib.error) as error:
        raise DataError(f"{path}: the gzip archive is damaged ({error}); fetch it again") from None
    return hashlib.sha256(content).hexdigest()


def read_recipe(path: str | Path) -> Recipe:
    """Read a recipe's file.

    Args:
        path: NAME.toml.

    Raises:
        SettingError: It cannot be read, is not TOML, or its parts do not belong together.

    Example:
        >>> from recurra.recipes import FOLDER
        >>> read_recipe(FOLDER / "ptb-word-small.toml").wanted
        'at most 114.5'
    """
    path = Path(path)
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingError(f"{path}: cannot be read ({error.strerror}); give the file of a recipe") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingError(f"{path}: this is not TOML: {error}") from None
    own, files = content.pop("recipe", {}), content.pop("files", {})
    try:
        return Recipe.model_validate({**own, "name": path.stem, "files": files, "content": content})
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        key = ".".join(map(str, problem["loc"]))
        message = str(problem["ctx"]["error"]) if problem["type"] == "value_error" else problem["msg"]
        raise SettingError(f"{path}: [recipe] {f'{key}: ' if key else ''}{message}") from None
