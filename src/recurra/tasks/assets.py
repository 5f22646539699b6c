"""Assets: what is fitted on the part to train on, and kept with the weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, PlainSerializer, PlainValidator, ValidationError

from recurra.data import Vocabulary, write_atomically
from recurra.errors import RunError

__all__ = ["ASSETS", "Assets", "KeptVocabulary", "fitted_on"]

ASSETS = "assets.json"
"""The file of a run that holds them."""

VERSION = 1
"""The version of that file."""


KeptVocabulary = Annotated[
    Vocabulary, PlainValidator(Vocabulary.of_description), PlainSerializer(Vocabulary.description)
]
"""A vocabulary as a field of assets."""


class Assets(BaseModel):
    """What a use fits on the part to train on: vocabularies, labels, normalisers.

    There is one way to preprocess, since training, prediction, streaming and export all have these and nothing else.
    One file holds them, written and checked here for every use.

    Example:
        >>> import tempfile
        >>> class Scale(Assets):
        ...     mean: float
        >>> folder = Path(tempfile.mkdtemp())
        >>> Scale(mean=0.5).save(folder, "any")
        >>> Scale.load(folder, "any").mean
        0.5
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)

    def save(self, folder: Path, task: str, files: str = "") -> None:
        """Write them into a run's folder.

        Args:
            folder: The folder.
            task: The use they are of.
            files: A digest of the files of the training; see `fitted_on`.

        Raises:
            RunError: The file cannot be written.
        """
        content = {"version": VERSION, "task": task, "fitted_on": files, "assets": self.model_dump(mode="json")}
        write_atomically(folder / ASSETS, json.dumps(content, ensure_ascii=False, indent=1) + "\n")

    @classmethod
    def load(cls, folder: Path, task: str) -> Self:
        """Read those of a run.

        Args:
            folder: The folder.
            task: The use they must be of.

        Raises:
            RunError: The file is missing, damaged, or of another use or version.
        """
        path, content = folder / ASSETS, _read(folder / ASSETS)
        if not isinstance(content, dict) or content.get("version") != VERSION:
            version = content.get("version") if isinstance(content, dict) else None
            raise RunError(f"{path}: it is of version {version!r}, and this Recurra reads version {VERSION}")
        if content.get("task") != task:
            raise RunError(f"{path}: it is of the use {content.get('task')!r}, not {task!r}; copy the run again")
        try:
            return cls.model_validate(content.get("assets"))
        except ValidationError as error:
            [problem, *_] = error.errors(include_url=False)
            where = ".".join(map(str, problem["loc"])) or "it"
            raise RunError(f"{path}: damaged, {where}: {problem['msg']}; copy it again or train again") from None


def fitted_on(folder: Path) -> str:
    """The digest of the files that the assets of a run were fitted on."""
    content = _read(folder / ASSETS)
    return str(content.get("fitted_on", "")) if isinstance(content, dict) else ""


def _read(path: Path) -> Any:  # noqa: ANN401  (whatever JSON gave)
    try:
        return json.loads(path.read_bytes().decode("utf-8"))
    except OSError as error:
        raise RunError(f"{path}: cannot be read ({error.strerror}); copy the run again or train again") from None
    except (ValueError, RecursionError) as error:
        raise RunError(f"{path}: damaged, it is not JSON ({error}); copy it again or train again") from None
