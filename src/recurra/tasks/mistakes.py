"""Mistakes: answers that are wrong, with what was asked and where it stands, the worst first."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Generic, TypeVar

from recurra.data.lines import Source, name_of
from recurra.training import World

__all__ = ["Mistake", "Mistakes"]

R = TypeVar("R")
P = TypeVar("P")


@dataclass(frozen=True)
class Mistake:
    """An answer that is wrong.

    Args:
        cost: How wrong: the higher, the worse; such as -log of the probability of the right answer, in nats.
        expected: The right answer, as text.
        answered: What was answered, as text.
        input: What was asked, as text.
        file: The file it stands in.
        line: The line there, from 1.
        notes: What else is known of the answer, such as what makes it doubtful.
    """

    cost: float
    expected: str
    answered: str
    input: str
    file: str = ""
    line: int = 0
    notes: str = ""


@dataclass
class Mistakes(Generic[R, P]):
    """The mistakes of an evaluation, as its answers come in.

    Args:
        of: From an example and its answer, the mistake; None for an answer that is right.
        found: Those so far, in the order of the answers.
    """

    of: Callable[[R, P], Mistake | None]
    found: list[Mistake] = field(default_factory=list)

    def add(self, source: Source, example: R, answer: P) -> None:
        """Look at an answer."""
        mistake = self.of(example, answer)
        if mistake is not None:
            self.found.append(replace(mistake, file=name_of(source.path), line=source.line))

    def worst_first(self) -> list[Mistake]:
        """The mistakes of all processes; equally bad ones in the order of the file."""
        world, found = World(), self.found
        if world.size > 1:
            parts = world.gather(json.dumps([asdict(mistake) for mistake in found]).encode())
            found = _read(json.loads(part) for part in parts)
        return sorted(found, key=lambda mistake: (-mistake.cost, mistake.file, mistake.line))


def _read(parts: Iterable[Iterable[dict[str, Any]]]) -> list[Mistake]:
    return [Mistake(**mistake) for part in parts for mistake in part]
