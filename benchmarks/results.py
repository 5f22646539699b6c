"""What was measured, as plain records: everything that is shown, drawn or written is made from these."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

Kind = Literal["forward", "training"]
KINDS: tuple[Kind, ...] = ("forward", "training")
RIVALS = ("torch.nn", "eager loop", "onnxruntime", "torch.compile")
Place = tuple[str, int, int]
"""A cell, B and H."""


@dataclass(frozen=True)
class Machine:
    """Where and with what it was measured; the peaks, in GFLOP/s, are those of one thread and of all that are used.

    `reading` is how fast all threads together read as many bytes again and again, in GB/s, as pairs from few to many;
    `matrix_peak` the peak of products of float32 on a unit that multiplies matrices, 0 if there is none.
    """

    date: str
    processor: str
    architecture: str
    threads: int
    peak_of_one: float
    peak: float
    versions: dict[str, str]
    command: str
    reading: list[tuple[int, float]] = field(default_factory=list)
    matrix_peak: float = 0.0

    def least_seconds(self, operations: float, read: int, times: int) -> float:
        """What no program could beat: all operations at the peak, or all reading of as many bytes so many times."""
        rates = [rate for size, rate in self.reading if size <= read] or [rate for _, rate in self.reading[:1]]
        reading = read * times / (rates[-1] * 1e9) if rates else 0.0
        return max(operations / (max(self.peak, self.matrix_peak) * 1e9), reading)


@dataclass(frozen=True)
class Point:
    """One contender at one point: the median time of a pass, and the operations of its products a second.

    `least` is the time that no contender could beat on this machine; 0 if it is not known.
    """

    kind: Kind
    cell: str
    batch: int
    size: int
    steps: int
    contender: str
    seconds: float
    runs: int
    gflops: float
    of_peak: float
    least: float = 0.0


@dataclass(frozen=True)
class Ragged:
    """A batch of sequences of many lengths: the same contender's time with and without them.

    `counted` is the steps that count, of all there are; `seconds` is the time with lengths, `dense` without.
    """

    kind: Kind
    cell: str
    batch: int
    size: int
    contender: str
    counted: float
    seconds: float
    dense: float


@dataclass(frozen=True)
class Step:
    """One step of a stream from Python: the median, in microseconds."""

    cell: str
    size: int
    contender: str
    microseconds: float


@dataclass(frozen=True)
class Memory:
    """How far resident memory rises in training, in MiB, over what the layer, its inputs and a first step hold."""

    cell: str
    batch: int
    size: int
    steps: int
    contender: str
    mebibytes: float


@dataclass(frozen=True)
class FirstUse:
    """The first forward and backward of a process less the second, in seconds, with the cache empty or filled."""

    cell: str
    contender: str
    cache: Literal["empty", "filled"]
    seconds: float


@dataclass
class Results:
    """All of a run; `notes` says what could not be measured, and why."""

    machine: Machine
    points: list[Point] = field(default_factory=list)
    ragged: list[Ragged] = field(default_factory=list)
    stream: list[Step] = field(default_factory=list)
    memory: list[Memory] = field(default_factory=list)
    first_use: list[FirstUse] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def by_place(self, kind: Kind) -> dict[Place, dict[str, Point]]:
        """The points of a kind of pass: place → contender → point."""
        found: dict[Place, dict[str, Point]] = {}
        for point in self.points:
            if point.kind == kind:
                found.setdefault((point.cell, point.batch, point.size), {})[point.contender] = point
        return found

    def ratios(self, kind: Kind, rival: str, cells: Iterable[str] | None = None) -> dict[Place, float]:
        """How many times the library's time a rival takes, where it has the cell."""
        wanted = None if cells is None else set(cells)
        return {
            place: by[rival].seconds / by["recurra"].seconds
            for place, by in self.by_place(kind).items()
            if rival in by and "recurra" in by and (wanted is None or place[0] in wanted)
        }

    def write(self, file: Path, **more: object) -> None:
        """As JSON."""
        file.write_text(json.dumps(asdict(self) | more, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


RECORDS: dict[str, type] = {
    "points": Point,
    "ragged": Ragged,
    "stream": Step,
    "memory": Memory,
    "first_use": FirstUse,
}


def read(file: Path) -> Results:
    """The results that `Results.write` wrote."""
    document: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    known = {f.name for f in fields(Results)}
    given = {name: value for name, value in document.items() if name in known}
    for name, record in RECORDS.items():
        given[name] = [record(**entry) for entry in given.get(name, [])]
    machine = document["machine"]
    reading = [(size, rate) for size, rate in machine.get("reading", [])]
    return Results(**given | {"machine": Machine(**machine | {"reading": reading})})


def geometric_mean(values: Iterable[float]) -> float:
    """The geometric mean."""
    logarithms = [math.log(value) for value in values]
    return math.exp(sum(logarithms) / len(logarithms))
