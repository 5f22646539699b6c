"""A dataset: the examples of a file, each of which knows where it came from, and what was wrong with the file."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, Literal, Protocol, TypeVar

from recurra.data.lines import Source, check_rereadable, name_of
from recurra.data.stratified import stratified_part
from recurra.errors import DataError, ShapeError

__all__ = ["Dataset", "Examples", "Problems", "Role", "fingerprint_files"]

R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)

Role = Literal["train", "validate", "evaluate", "predict"]
"""What examples are read for. Those to train on may be shuffled and augmented, and all but those to predict have
answers. A validation may be approximate where that is much faster; an evaluation is exact, and nothing is left out of
it. Of those to predict none is left out either, whatever is wrong with it."""

MAX_LISTED = 5
"""Problems of a kind that are listed; the others are counted."""


class Problems:
    r"""What was skipped or changed while a file was read: how often, and where first.

    Example:
        >>> problems = Problems()
        >>> problems.add("a span fits no token boundary", Source(Path("train.jsonl"), 3), "'Paris' from 7 to 11")
        >>> problems.add("a span fits no token boundary", Source(Path("train.jsonl"), 9))
        >>> print(*problems.lines(), sep="\n")
        a span fits no token boundary: 2 (train.jsonl:3 'Paris' from 7 to 11; train.jsonl:9)
    """

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self._listed: dict[str, list[str]] = {}

    def add(self, kind: str, source: Source, detail: str = "") -> None:
        """Count a problem.

        Args:
            kind: What is wrong, the same words for all of a kind.
            source: Where.
            detail: What stands there.
        """
        self.counts[kind] += 1
        listed = self._listed.setdefault(kind, [])
        if len(listed) < MAX_LISTED:
            listed.append(f"{source} {detail}".rstrip())

    def lines(self) -> list[str]:
        """A line for each kind of problem, the most frequent first."""
        return [
            f"{kind}: {count:,} ({'; '.join(self._listed[kind])}{'; ...' if count > MAX_LISTED else ''})"
            for kind, count in self.counts.most_common()
        ]


class Dataset(Protocol[R_co]):
    """The examples of a file or a manifest, decoded when they are asked for.

    Attributes:
        lengths: The steps of each example, known without decoding it.
        problems: What was skipped or changed while the file was read.
    """

    @property
    def lengths(self) -> Sequence[int]: ...  # noqa: D102

    @property
    def problems(self) -> Problems: ...  # noqa: D102

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> R_co: ...

    def source(self, index: int) -> Source:
        """Where an example came from."""
        ...

    def fingerprint(self) -> str:
        """A digest of the files and of the settings that read them: another one means other examples."""
        ...

    def split(
        self,
        fraction: float,
        group_of: Callable[[R_co], Hashable],
        classes_of: Callable[[R_co], Sequence[Hashable]] | None = None,
    ) -> tuple[Dataset[R_co], Dataset[R_co]]:
        """The part to train on and the one kept for validation, the last or one with its share of every class."""
        ...


@dataclass
class Examples(Generic[R]):
    """A dataset in memory.

    Args:
        items: The examples.
        sources: Where each came from.
        lengths: The steps of each.
        problems: What was skipped or changed while the file was read.
        fingerprint_of: Gives the digest; it is asked for only where training may be resumed.
    """

    items: Sequence[R]
    sources: Sequence[Source]
    lengths: Sequence[int]
    problems: Problems = field(default_factory=Problems)
    fingerprint_of: Callable[[], str] = lambda: ""

    def __post_init__(self) -> None:
        if not len(self.items) == len(self.sources) == len(self.lengths):
            raise ShapeError(
                f"there are {len(self.items)} examples, {len(self.sources)} sources and {len(self.lengths)} lengths; "
                "give one of each for every example"
            )

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> R:
        return self.items[index]

    def __iter__(self) -> Iterator[R]:
        return iter(self.items)

    def source(self, index: int) -> Source:
        """Where an example came from."""
        return self.sources[index]

    def fingerprint(self) -> str:
        """A digest of the files and of the settings that read them."""
        return self.fingerprint_of()

    def split(
        self,
        fraction: float,
        group_of: Callable[[R], Hashable] = lambda example: None,
        classes_of: Callable[[R], Sequence[Hashable]] | None = None,
    ) -> tuple[Examples[R], Examples[R]]:
        """Keep a part for validation; examples of a group, such as a document, stay together.

        Args:
            fraction: The share of the examples to keep for validation, between 0 and 1.
            group_of: What an example belongs to; None for nothing.
            classes_of: The classes of an example: both parts then have their share of each, and of each class the last
                examples are kept. None keeps the last part.

        Returns:
            The part to train on and the part to validate on, neither empty.

        Raises:
            DataError: There are too few examples, or only one group.

        Example:
            >>> examples = Examples([*"aabbbc"], [Source(Path("letters"), line) for line in range(6)], [1] * 6)
            >>> [list(part) for part in examples.split(1 / 3, lambda letter: letter)]
            [['a', 'a'], ['b', 'b', 'b', 'c']]
        """
        groups: dict[Hashable, list[int]] = {}
        for index, item in enumerate(self.items):
            group = group_of(item)
            groups.setdefault(("index", index) if group is None else ("group", group), []).append(index)
        if len(groups) < 2:
            what = "one example" if len(self) == 1 else f"{len(self):,} examples of one group"
            raise DataError(f"there is only {what}, which cannot be cut in two; give more, or a file to validate on")
        if classes_of is None:
            valid, name = _last_part(list(groups.values()), fraction * len(self)), "last"
        else:
            valid = stratified_part(list(groups.values()), [classes_of(item) for item in self.items], fraction)
            name = "stratified"
        train = sorted(set(range(len(self))) - set(valid))
        return self.subset(train, f"without {name} {fraction:g}"), self.subset(valid, f"{name} {fraction:g}")

    def subset(self, indices: Sequence[int], name: str) -> Examples[R]:
        """Some of the examples, such as a part kept for validation.

        Args:
            indices: Which.
            name: What tells this part from others of the same file, for the fingerprint.
        """
        return Examples(
            [self.items[index] for index in indices],
            [self.sources[index] for index in indices],
            [self.lengths[index] for index in indices],
            self.problems,
            lambda: hashlib.sha256(f"{self.fingerprint_of()} {name}".encode()).hexdigest(),
        )


def _last_part(groups: Sequence[Sequence[int]], count: float) -> list[int]:
    """The last groups that have as many examples together; the first is left out, whatever the count."""
    kept: list[int] = []
    for members in groups[:0:-1]:
        if len(kept) >= max(1, round(count)):
            break
        kept += members
    return sorted(kept)


def fingerprint_files(paths: Iterable[Path], settings: Any) -> str:  # noqa: ANN401  (whatever JSON can hold)
    """A digest of the contents of files and of the settings that read them.

    Args:
        paths: The files, in order.
        settings: What else the examples depend on, as JSON can hold it.

    Raises:
        DataError: A file cannot be read.
    """
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True, default=str).encode())
    for path in paths:
        check_rereadable(path)
        try:
            with path.open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
        except OSError as error:
            raise DataError(
                f"{name_of(path)}: cannot be read ({error.strerror}); give a file that is there and yours to read"
            ) from error
    return digest.hexdigest()
