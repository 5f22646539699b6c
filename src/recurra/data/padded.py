"""Examples of like length side by side, as training and prediction read them."""

from __future__ import annotations

import dataclasses
import hashlib
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cached_property
from typing import Generic, TypeVar

import torch

from recurra.checks import whole_number
from recurra.data.batch import Batch
from recurra.data.batching import Epoch, batches_by_length, generator_of
from recurra.data.dataset import Dataset
from recurra.errors import DataError, ShapeError

__all__ = ["PaddedBatches"]

R = TypeVar("R")
BatchT = TypeVar("BatchT", bound=Batch)


class PaddedBatches(Generic[R, BatchT]):
    """Batches of examples of like length, bounded by rows and by steps.

    The examples are taken in a random order, those of 100 batches at a time are sorted by length (equal ones stay in
    their random order) and cut into batches, and the batches are put in a random order. The order is a function of the
    seed and the epoch's number alone, and what is drawn for a batch of those and its place, so that training goes on
    from any place as if it had never stopped; torch's own random state is neither read nor changed.

    Args:
        dataset: The examples.
        collate: From examples and a generator of random numbers, the batch; its `index` is set for it.
        batch_size: The rows of a batch; the last may hold fewer.
        lengths: The steps of each example in a batch, where they are others than the dataset's, such as the words of
            texts whose characters are counted there; None for the dataset's.
        max_steps: The most steps of a batch, rows times the longest of them, padding included; an example that is
            longer by itself is a batch of its own. None for no limit.
        shuffle: Whether to take another order each epoch; otherwise that of the dataset, but for the sorting.
        seed: What orders and augmentation are drawn from.
        ahead: How many batches a background thread prepares while one is used, where decoding is slow; 0 for none.

    Raises:
        SettingError: A size is below 1, or `ahead` below 0.
        DataError: There is no example.
        ShapeError: There are not as many lengths as examples.

    Example:
        >>> from recurra.data.dataset import Examples
        >>> examples = Examples(["to", "be", "or", "not"], [None] * 4, [2, 2, 2, 3])
        >>> def collate(words, draw):
        ...     return Batch(targets=torch.tensor([len(word) for word in words]))
        >>> batches = PaddedBatches(examples, collate, batch_size=3, shuffle=False)
        >>> [batch.index.tolist() for batch in batches.epoch(0)]
        [[0, 1, 2], [3]]
    """

    def __init__(
        self,
        dataset: Dataset[R],
        collate: Callable[[Sequence[R], torch.Generator], BatchT],
        batch_size: int,
        *,
        lengths: Sequence[int] | None = None,
        max_steps: int | None = None,
        shuffle: bool = False,
        seed: int = 0,
        ahead: int = 0,
    ) -> None:
        batch_size, ahead = whole_number("batch_size", batch_size, 1), whole_number("ahead", ahead, 0)
        max_steps = None if max_steps is None else whole_number("max_steps", max_steps, 1)
        if not len(dataset):
            raise DataError("there is no example to read; give a file with one or more")
        self.dataset, self.collate, self.batch_size, self.max_steps = dataset, collate, batch_size, max_steps
        self.shuffle, self.seed, self.ahead = shuffle, seed, ahead
        self._lengths = torch.tensor(list(dataset.lengths if lengths is None else lengths), dtype=torch.int64)
        if len(self._lengths) != len(dataset):
            raise ShapeError(f"there are {len(self._lengths)} lengths for {len(dataset)} examples; give one for each")

    def __len__(self) -> int:
        """The number of batches in an epoch; where steps limit them, in the first."""
        return self._batches_at_first

    @cached_property
    def _batches_at_first(self) -> int:
        return -(-len(self.dataset) // self.batch_size) if self.max_steps is None else len(self.order(0))

    def __iter__(self) -> Iterator[BatchT]:
        return iter(self.epoch(0))

    def epoch(self, number: int, start: int = 0) -> Epoch[BatchT] | _Ahead[BatchT]:
        """The batches of an epoch, counted from 0, from the place `start` on; asking again gives the same ones."""
        order = self.order(number)

        def make(place: int) -> BatchT:
            members = order[place]
            batch = self.collate([self.dataset[member] for member in members], self._generator(number, place))
            return dataclasses.replace(batch, index=torch.tensor(members))

        if self.ahead:
            return _Ahead(len(order), start, make, self.ahead)
        return Epoch(len(order), start, make)

    def order(self, number: int) -> list[list[int]]:
        """Says which examples each batch of an epoch holds, by their indices in the dataset."""
        draw = generator_of(self.seed, number)
        return batches_by_length(self._lengths, self.batch_size, draw, shuffle=self.shuffle, max_steps=self.max_steps)

    def _generator(self, number: int, place: int) -> torch.Generator:
        """What is drawn for a batch: a function of the seed, the epoch and the place in it."""
        digest = hashlib.blake2b(f"{self.seed} {number} {place}".encode(), digest_size=7).digest()
        return torch.Generator().manual_seed(int.from_bytes(digest, "big"))


class _Ahead(Generic[BatchT]):
    """The batches of an epoch from a place on, some of them prepared by a background thread before they are asked for.

    What goes wrong in the thread is raised where the batch would have come. The thread begins with the first batch and
    ends with the last, or when nobody holds the epoch any longer. Its length is how many are still to come.

    Args:
        size: How many there are in the whole epoch.
        start: How many of them are passed over, without being made.
        make: Gives the batch at a place; it runs in the thread.
        ahead: How many are prepared while one is used.
    """

    def __init__(self, size: int, start: int, make: Callable[[int], BatchT], ahead: int) -> None:
        self._places = Epoch(size, start, lambda place: place)
        self._remaining = len(self._places)
        self._batches = _prepared(self._places, make, ahead)

    def __iter__(self) -> Iterator[BatchT]:
        return self

    def __next__(self) -> BatchT:
        batch = next(self._batches)
        self._remaining -= 1
        return batch

    def __len__(self) -> int:
        return self._remaining

    def close(self) -> None:
        """End the thread before the epoch has ended."""
        self._batches.close()


def _prepared(places: Iterator[int], make: Callable[[int], BatchT], ahead: int) -> Generator[BatchT, None, None]:
    """The batches at places, in order, as many as `ahead` of them made before they are asked for."""
    pending: deque[Future[BatchT]] = deque()
    with ThreadPoolExecutor(1, thread_name_prefix="recurra-batches") as pool:
        try:
            for place in places:
                pending.append(pool.submit(make, place))
                if len(pending) > ahead:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            for future in pending:
                future.cancel()
