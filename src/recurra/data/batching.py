"""Batches: what a model is handed, a step of training at a time; and sentences as batches."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from recurra.checks import LARGEST_SEED, as_whole_number, whole_number
from recurra.data.batch import IGNORED, Batch
from recurra.errors import DataError, SettingError, ShapeError

BatchT_co = TypeVar("BatchT_co", covariant=True)

POOL = 100
"""How many batches' worth of sentences are sorted by length together."""


@dataclass(frozen=True, eq=False, kw_only=True)
class TokenBatch(Batch):
    """Tokens side by side, and the tokens that are to follow them, (B, T).

    Args:
        inputs: The ids x<t>, (B, T); the targets are the ids y<t> that belong to them.
        lengths: The steps of each row that are not padding, (B,); None if all are.
        keep: After how many steps of this batch the state is the one that the next batch begins with; None for all.
            Where it is given, lengths is None.
        rate: What the learning rate of this batch's step is multiplied by.
    """

    inputs: Tensor
    lengths: Tensor | None = None
    keep: int | None = None
    rate: float = 1.0


class Batches(Protocol[BatchT_co]):
    """What training reads: the batches of any epoch, which depend on nothing but the epoch's number.

    If it has a length, that is the number of batches in an epoch. What it gives for an epoch may have a length as well:
    the batches of that epoch from the place it was asked for.
    """

    def epoch(self, number: int, start: int = 0) -> Iterable[BatchT_co]:
        """The batches of an epoch, counted from 0, from the place `start` on; asking again gives the same ones."""
        ...


class Epoch(Generic[BatchT_co]):
    """The batches of an epoch from a place on, made one at a time; its length is how many are still to come.

    Args:
        size: How many there are in the whole epoch.
        start: How many of them are passed over, without being made.
        make: Gives the batch at a place.

    Example:
        >>> epoch = Epoch(4, 1, "abcd".__getitem__)
        >>> len(epoch), next(epoch), len(epoch), list(epoch)
        (3, 'b', 2, ['c', 'd'])
    """

    def __init__(self, size: int, start: int, make: Callable[[int], BatchT_co]) -> None:
        start = whole_number("start", start, 0)
        self._places, self._make = iter(range(start, size)), make

    def __iter__(self) -> Iterator[BatchT_co]:
        return self

    def __next__(self) -> BatchT_co:
        return self._make(next(self._places))

    def __len__(self) -> int:
        return self._places.__length_hint__()  # type: ignore[attr-defined,no-any-return]  # of a range it is exact


class SentenceBatches:
    """Sentences side by side, each begun afresh and ended with <EOS>.

    A sentence y<1..T> is to be answered as y<1>, ..., y<T>, <EOS>, from the inputs x<t> = y<t-1>. The first input, for
    which there is no word before, is <EOS> as well: the end of the sentence before is the start of this one, which
    needs no further token. Rows are filled up with 0 in the inputs and with `IGNORED` in the targets.

    Sentences of like length share a batch: the sentences are taken in a random order, those of 100 batches at a time
    are sorted by length (equal ones stay in their random order) and cut into batches, and the batches are put in a
    random order. The order is a function of the seed and the epoch's number alone; torch's own random state is neither
    read nor changed.

    Args:
        sentences: The ids of each sentence, without <EOS>.
        batch_size: The sentences B of a batch; the last of an epoch's may hold fewer.
        end: The id of <EOS>.
        shuffle: Whether to take another order each epoch; otherwise the order is that of the sentences, but for the
            sorting.
        seed: What the orders are drawn from.

    Raises:
        SettingError: The batch size is below 1, or there is no <EOS>.
        DataError: There is no sentence.

    Example:
        >>> batch = next(iter(SentenceBatches([[5, 6], [7]], batch_size=2, end=9, shuffle=False)))
        >>> batch.inputs.tolist(), batch.targets.tolist(), batch.lengths.tolist()
        ([[9, 7, 0], [9, 5, 6]], [[7, 9, -100], [5, 6, 9]], [2, 3])
    """

    def __init__(
        self,
        sentences: Sequence[Sequence[int]],
        batch_size: int,
        end: int | None,
        *,
        shuffle: bool = True,
        seed: int = 0,
    ) -> None:
        batch_size = whole_number("batch_size", batch_size, 1)
        if (end_id := as_whole_number(end)) is None or end_id < 0:
            raise SettingError(f"end is {end}; sentences need an <EOS>: build the vocabulary with end_of_sentence=True")
        if not sentences:
            raise DataError("there is no sentence to read; give a text of one sentence a line")
        self.batch_size, self.end, self.shuffle = batch_size, end_id, shuffle
        self.seed = whole_number("seed", seed, 0, LARGEST_SEED)
        # Each sentence is kept between two <EOS>: all but the last token are the inputs, all but the first the targets.
        limit = torch.tensor([end_id])
        self._rows = [torch.cat([limit, ids_of(sentence), limit]) for sentence in sentences]
        self._lengths = torch.tensor([len(row) - 1 for row in self._rows])

    @property
    def count(self) -> int:
        """The number of targets in an epoch: the words, and an <EOS> a sentence."""
        return int(self._lengths.sum())

    def __len__(self) -> int:
        return -(-len(self._rows) // self.batch_size)

    def __iter__(self) -> Iterator[TokenBatch]:
        return self.epoch(0)

    def epoch(self, number: int, start: int = 0) -> Epoch[TokenBatch]:
        """The batches of an epoch, counted from 0, from the place `start` on; asking again gives the same ones."""
        order = self.order(number)

        def make(place: int) -> TokenBatch:
            rows = [self._rows[member] for member in order[place]]
            return TokenBatch(
                index=torch.tensor(order[place]),
                inputs=pad_sequence([row[:-1] for row in rows], batch_first=True, padding_value=0),
                targets=pad_sequence([row[1:] for row in rows], batch_first=True, padding_value=IGNORED),
                lengths=self._lengths[order[place]],
            )

        return Epoch(len(order), start, make)

    def order(self, number: int) -> list[list[int]]:
        """Says which sentences each batch of an epoch holds, by their places in the list given."""
        draw = generator_of(self.seed, number)
        return batches_by_length(self._lengths, self.batch_size, draw, shuffle=self.shuffle)


def batches_by_length(
    lengths: Tensor, batch_size: int, draw: torch.Generator, *, shuffle: bool, max_steps: int | None = None
) -> list[list[int]]:
    """Examples of like length as batches: which of them each batch holds.

    They are taken in a random order, those of 100 batches at a time are sorted by length (equal ones stay in their
    random order) and cut into batches, and the batches are put in a random order.

    Args:
        lengths: The steps of each example, (N,).
        batch_size: The rows of a batch; the last may hold fewer.
        draw: What the orders are drawn from.
        shuffle: Whether there are random orders; otherwise that of the examples, but for the sorting.
        max_steps: The most steps of a batch, rows times the longest of them; None for no limit.
    """
    taken = torch.randperm(len(lengths), generator=draw) if shuffle else torch.arange(len(lengths))
    batches: list[list[int]] = []
    for start in range(0, len(taken), POOL * batch_size):
        pool = taken[start : start + POOL * batch_size]
        steps, ranks = lengths[pool].sort(stable=True)
        batches += _cut(pool[ranks].tolist(), steps.tolist(), batch_size, max_steps)
    if shuffle:
        batches = [batches[place] for place in torch.randperm(len(batches), generator=draw).tolist()]
    return batches


def _cut(members: Sequence[int], lengths: Sequence[int], batch_size: int, max_steps: int | None) -> Iterator[list[int]]:
    """Examples from the shortest to the longest, as batches."""
    batch: list[int] = []
    for member, length in zip(members, lengths, strict=True):
        # The last example is the longest, so it says how long every row of the batch is.
        too_large = max_steps is not None and length * (len(batch) + 1) > max_steps
        if batch and (len(batch) == batch_size or too_large):
            yield batch
            batch = []
        batch.append(member)
    if batch:
        yield batch


def generator_of(seed: int, number: int) -> torch.Generator:
    """The generator of an epoch, which depends on the seed and the epoch's number alone."""
    number = whole_number("the epoch's number", number, 0)
    draw = torch.Generator().manual_seed(seed)
    # The epoch's own seed is the one drawn at its number, so that no two seeds share their epochs.
    return draw.manual_seed(int(torch.randint(2**62, (number + 1,), generator=draw)[number]))


def ids_of(ids: Sequence[int] | Tensor) -> Tensor:
    """Ids as one row of 64-bit whole numbers, (N,).

    Args:
        ids: Whole numbers of any type, in a sequence, an array or a tensor.

    Raises:
        ShapeError: They are not one row, or not whole numbers.

    Example:
        >>> ids_of([3, 1])
        tensor([3, 1])
    """
    try:
        # torch would cut floats off if it were told to make whole numbers of them, so that it is not.
        row = ids if isinstance(ids, Tensor) else torch.tensor(ids) if len(ids) else torch.empty(0, dtype=torch.int64)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ShapeError(
            f"expected one row of ids, (N,) whole numbers; this is {type(ids).__name__}: {error}"
        ) from None
    if row.ndim != 1 or row.is_floating_point() or row.is_complex() or row.dtype == torch.bool:
        raise ShapeError(f"expected one row of ids, (N,) whole numbers; this is {tuple(row.shape)}, {row.dtype}")
    return row.to(torch.int64)
