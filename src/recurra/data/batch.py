"""A batch: examples side by side. The rows are the first axis of every tensor, so one way to move and shard does."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any, Self

import torch
from torch import Tensor

from recurra.checks import as_whole_number
from recurra.errors import SettingError, ShapeError

__all__ = ["IGNORED", "Batch", "map_tensors", "rows_of"]

IGNORED = -100
"""The target that counts for nothing: what torch's cross_entropy ignores unless told otherwise."""


def map_tensors(value: Any, function: Callable[[Tensor], Tensor]) -> Any:  # noqa: ANN401  (of any shape)
    """A value with a function applied to every tensor in it, through tuples, lists, mappings and dataclasses.

    What is not one of these is handed on as it is; containers keep their types.

    Example:
        >>> map_tensors({"words": torch.tensor([1, 2]), "name": "x"}, lambda tensor: tensor[:1])
        {'words': tensor([1]), 'name': 'x'}
    """
    if isinstance(value, Tensor):
        return function(value)
    if isinstance(value, Mapping):
        items = {key: map_tensors(item, function) for key, item in value.items()}
        if not isinstance(value, MutableMapping):
            return type(value)(items)  # type: ignore[call-arg]
        mapped = copy.copy(value)  # the way to keep what else a mapping holds, such as the default of a defaultdict
        mapped.update(items)
        return mapped
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(map_tensors(item, function) for item in value))
    if isinstance(value, list | tuple):
        return type(value)(map_tensors(item, function) for item in value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {f.name: map_tensors(getattr(value, f.name), function) for f in dataclasses.fields(value) if f.init}
        return dataclasses.replace(value, **fields)
    return value


@dataclass(frozen=True, eq=False, kw_only=True)
class Batch:
    """Examples side by side, for one step of training or one call of a model.

    Every tensor of a field has the rows B as its first axis, however deep it lies in tuples, lists, mappings or
    dataclasses. A batch with answers in more fields than `targets` extends `without_answers`.

    Args:
        targets: What there is to answer, (B, ...); `IGNORED` (-100) where there is nothing.
        index: Which example of its dataset each row is, (B,); left out, the rows are numbered from 0.
        fresh: Whether the rows begin here, so that no state is carried into them.
    """

    targets: Tensor
    index: Tensor = field(default_factory=lambda: torch.empty(0, dtype=torch.int64))
    fresh: bool = True

    def __post_init__(self) -> None:
        if not self.index.numel():
            object.__setattr__(self, "index", torch.arange(len(self.targets)))

    @property
    def count(self) -> int:
        """The number of targets that count. On an accelerator this waits for it: ask before `to`."""
        return int((self.targets != IGNORED).sum())

    def __len__(self) -> int:
        return len(self.targets)

    def map(self, function: Callable[[Tensor], Tensor]) -> Self:
        """The same batch with a function applied to every tensor."""
        mapped: Self = map_tensors(self, function)
        return mapped

    def to(self, device: torch.device | str) -> Self:
        """The same batch on a device."""
        return self.map(lambda tensor: tensor.to(device))

    def without_answers(self) -> Self:
        """The same rows with nothing to answer, so that they count for nothing in a loss."""
        return dataclasses.replace(self, targets=torch.full_like(self.targets, IGNORED))

    def shard(self, rank: int, world: int) -> Self:
        """The rows that one of several processes takes.

        The rows are split in order and evenly, as torch.tensor_split does. Where there are fewer rows than processes,
        one without any takes the first row with nothing to answer, so that every process has something to run and no
        target counts twice.

        Args:
            rank: The number of the process, from 0.
            world: How many there are.

        Raises:
            SettingError: There is no such process.
            ShapeError: The first axis of a tensor is not the rows.

        Example:
            >>> batch = Batch(targets=torch.arange(3))
            >>> [batch.shard(rank, 2).index.tolist() for rank in range(2)]
            [[0, 1], [2]]
            >>> batch.shard(3, 4).index.tolist(), batch.shard(3, 4).count
            ([0], 0)
        """
        rows, idle = rows_of(len(self), rank, world)

        def cut(tensor: Tensor) -> Tensor:
            if tensor.shape[:1] != self.targets.shape[:1]:
                raise ShapeError(
                    f"a tensor of the batch is {tuple(tensor.shape)}; its first axis must be the {len(self)} rows"
                )
            return tensor[rows]

        part = self.map(cut)
        return part.without_answers() if idle else part


def rows_of(size: int, rank: int, world: int) -> tuple[slice, bool]:
    """The rows of a batch that one of several processes takes, and whether it takes them only to have some to run.

    Raises:
        SettingError: There is no such process.

    Example:
        >>> [rows_of(3, rank, 2) for rank in range(2)]
        [(slice(0, 2, None), False), (slice(2, 3, None), False)]
    """
    number, count = as_whole_number(rank), as_whole_number(world)
    if number is None or count is None or not 0 <= number < count:
        raise SettingError(f"rank is {rank}, world {world}; ranks are counted from 0 to world - 1")
    size, more = divmod(size, count)
    first = number * size + min(number, more)
    last = first + size + (number < more)
    return (slice(0, 1), True) if first == last else (slice(first, last), False)
