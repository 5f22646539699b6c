"""Labels: a closed set of classes, each with a number."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Self

from pydantic import BaseModel, ConfigDict, model_validator

from recurra.errors import DataError

__all__ = ["Labels"]


class Labels(BaseModel):
    """The classes that a model tells apart, numbered from 0.

    Args:
        names: The name of each, in the order of their numbers.

    Raises:
        pydantic.ValidationError: A name comes twice, or there is none.

    Example:
        >>> labels = Labels.of(["negative", "positive", "negative"])
        >>> labels.names, labels.encode("positive")
        (('negative', 'positive'), 1)
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    names: tuple[str, ...]

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        if not self.names or len(set(self.names)) < len(self.names):
            raise ValueError("labels are one or more names, each once")
        return self

    @classmethod
    def of(cls, names: Iterable[str]) -> Labels:
        """The labels that occur, in alphabetical order.

        Raises:
            DataError: None does.
        """
        distinct = sorted(set(names))
        if not distinct:
            raise DataError("there is no label")
        return cls(names=tuple(distinct))

    @cached_property
    def _numbers(self) -> dict[str, int]:
        return {name: number for number, name in enumerate(self.names)}

    def __len__(self) -> int:
        return len(self.names)

    def __contains__(self, name: object) -> bool:
        return name in self._numbers

    def encode(self, name: str) -> int:
        """The number of a label.

        Raises:
            DataError: It is none of these.
        """
        number = self._numbers.get(name)
        if number is None:
            nearest = difflib.get_close_matches(name, self.names, n=1)
            hint = f"did you mean {nearest[0]!r}? " if nearest else ""
            shown = ", ".join(self.names[:20]) + (", ..." if len(self) > 20 else "")
            raise DataError(f"there is no label {name!r}; {hint}the labels are: {shown}")
        return number

    def decode(self, numbers: Sequence[int]) -> list[str]:
        """The labels of numbers."""
        return [self.names[number] for number in numbers]
