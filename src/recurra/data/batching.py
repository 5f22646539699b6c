"""Batches: how a stream or a set of sentences is handed to a model, a step of training at a time."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from recurra.errors import DataError, SettingError, ShapeError

BatchT_co = TypeVar("BatchT_co", covariant=True)

IGNORED = -100
"""The target that counts for nothing: what torch's cross_entropy ignores unless told otherwise."""

POOL = 100
"""How many batches' worth of sentences are sorted by length together."""


@dataclass(frozen=True, eq=False, slots=True)
class Batch:
    """What a model reads and what it should answer, for one step of training.

    Args:
        inputs: The ids x<t>, (B, T).
        targets: The ids y<t> that belong to them, (B, T); `IGNORED` (-100) where there is nothing to answer.
        lengths: The steps of each row that are not padding, (B,); None if all are.
        fresh: Whether the rows begin here, so that the carried state is to be zero before this batch; otherwise each
            row goes on where that row of the batch before stopped.
    """

    inputs: Tensor
    targets: Tensor
    lengths: Tensor | None
    fresh: bool

    @property
    def count(self) -> int:
        """The number of targets that count. On an accelerator this waits for it: ask before `to`."""
        return int((self.targets != IGNORED).sum())

    def to(self, device: torch.device | str) -> "Batch":
        """The same batch on a device."""
        lengths = None if self.lengths is None else self.lengths.to(device)
        return Batch(self.inputs.to(device), self.targets.to(device), lengths, self.fresh)


class Batches(Protocol[BatchT_co]):
    """What training reads: the batches of any epoch, which depend on nothing but the epoch's number.

    If it has a length, that is the number of batches in an epoch.
    """

    def epoch(self, number: int) -> Iterable[BatchT_co]:
        """The batches of an epoch, counted from 0; asking again gives the same ones."""
        ...


class StreamBatches:
    """A stream of ids as parallel tracks, cut into chunks for truncated backpropagation through time.

    The stream s<0..N-1> is cut into B tracks of equal length L = floor((N-1) / B); track b reads s<bL..bL+L-1> and is
    to answer s<bL+1..bL+L>, so that each target is the next token of the stream, across the tracks' ends too. Chunks
    of the tracks follow one another, the last one shorter if need be; the state is carried from each to the next,
    while the gradient stays within one (Williams and Peng, "An efficient gradient-based algorithm for on-line training
    of recurrent network trajectories", 1990).

    Of the N-1 tokens that can be predicted, (N-1) mod B at the stream's end are left out, at most B-1. With one track,
    as in `for_evaluation`, none is.

    Args:
        ids: The stream, N ids.
        batch_size: The number B of tracks.
        chunk_length: The steps T of a chunk.

    Raises:
        SettingError: The batch size or the chunk length is below 1.
        ShapeError: The ids are not one row of whole numbers.
        DataError: The tracks would be shorter than a chunk.

    Example:
        >>> for batch in StreamBatches(range(9), batch_size=2, chunk_length=3):
        ...     print(batch.inputs.tolist(), batch.targets.tolist(), batch.fresh)
        [[0, 1, 2], [4, 5, 6]] [[1, 2, 3], [5, 6, 7]] True
        [[3], [7]] [[4], [8]] False
    """

    def __init__(self, ids: Sequence[int] | Tensor, batch_size: int, chunk_length: int) -> None:
        _check_at_least_one(batch_size=batch_size, chunk_length=chunk_length)
        stream = _whole_numbers(ids)
        predictable = max(len(stream) - 1, 0)
        track = predictable // batch_size
        if track < chunk_length:
            raise DataError(_too_short(len(stream), batch_size, chunk_length))
        self.batch_size, self.chunk_length = batch_size, chunk_length
        self._inputs = stream[: batch_size * track].view(batch_size, track)
        self._targets = stream[1 : batch_size * track + 1].view(batch_size, track)

    @classmethod
    def for_evaluation(cls, ids: Sequence[int] | Tensor, chunk_length: int) -> "StreamBatches":
        """The stream as one track, nothing left out; a stream shorter than a chunk is one short chunk.

        With the state carried, the chunk length changes how much memory an evaluation needs and nothing else.

        Args:
            ids: The stream, at least two ids.
            chunk_length: The most steps of a chunk.

        Raises:
            SettingError: The chunk length is below 1.
            ShapeError: The ids are not one row of whole numbers.
            DataError: There are fewer than two ids, so that there is nothing to predict.
        """
        _check_at_least_one(chunk_length=chunk_length)
        return cls(ids, 1, max(min(chunk_length, len(ids) - 1), 1))

    @property
    def count(self) -> int:
        """The number of targets in an epoch."""
        return self._targets.numel()

    def __len__(self) -> int:
        return -(-self._inputs.shape[1] // self.chunk_length)

    def __iter__(self) -> Iterator[Batch]:
        return self.epoch(0)

    def epoch(self, number: int) -> Iterator[Batch]:
        """The chunks in the stream's order, which is the same in every epoch."""
        for start in range(0, self._inputs.shape[1], self.chunk_length):
            chunk = slice(start, start + self.chunk_length)
            yield Batch(
                self._inputs[:, chunk].contiguous(), self._targets[:, chunk].contiguous(), None, fresh=start == 0
            )


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
        _check_at_least_one(batch_size=batch_size)
        if end is None or end < 0:
            raise SettingError(f"end is {end}; sentences need an <EOS>: build the vocabulary with end_of_sentence=True")
        if not sentences:
            raise DataError("there is no sentence to read; give a text of one sentence a line")
        self.batch_size, self.end, self.shuffle, self.seed = batch_size, end, shuffle, seed
        # Each sentence is kept between two <EOS>: all but the last token are the inputs, all but the first the targets.
        self._rows = [torch.tensor([end, *sentence, end], dtype=torch.int64) for sentence in sentences]
        self._lengths = torch.tensor([len(row) - 1 for row in self._rows])

    @property
    def count(self) -> int:
        """The number of targets in an epoch: the words, and an <EOS> a sentence."""
        return int(self._lengths.sum())

    def __len__(self) -> int:
        return -(-len(self._rows) // self.batch_size)

    def __iter__(self) -> Iterator[Batch]:
        return self.epoch(0)

    def epoch(self, number: int) -> Iterator[Batch]:
        """The batches of an epoch, counted from 0; asking again gives the same ones."""
        for members in self.order(number):
            rows = [self._rows[member] for member in members]
            yield Batch(
                pad_sequence([row[:-1] for row in rows], batch_first=True, padding_value=0),
                pad_sequence([row[1:] for row in rows], batch_first=True, padding_value=IGNORED),
                self._lengths[members],
                fresh=True,
            )

    def order(self, number: int) -> list[list[int]]:
        """Says which sentences each batch of an epoch holds, by their places in the list given."""
        draw = torch.Generator().manual_seed(self.seed)
        # The epoch's own seed is the one drawn at its number, so that no two seeds share their epochs.
        draw.manual_seed(int(torch.randint(2**62, (number + 1,), generator=draw)[number]))
        size = len(self._rows)
        taken = torch.randperm(size, generator=draw) if self.shuffle else torch.arange(size)
        batches: list[list[int]] = []
        for start in range(0, size, POOL * self.batch_size):
            pool = taken[start : start + POOL * self.batch_size]
            members = pool[torch.argsort(self._lengths[pool], stable=True)].tolist()
            batches += [members[at : at + self.batch_size] for at in range(0, len(members), self.batch_size)]
        if self.shuffle:
            batches = [batches[place] for place in torch.randperm(len(batches), generator=draw).tolist()]
        return batches


def _check_at_least_one(**settings: int) -> None:
    """Refuses a size below 1."""
    for name, value in settings.items():
        if value < 1:
            raise SettingError(f"{name} is {value}; it must be 1 or more")


def _whole_numbers(ids: Sequence[int] | Tensor) -> Tensor:
    """The ids as one row of 64-bit whole numbers."""
    stream = ids if isinstance(ids, Tensor) else torch.tensor(ids or [], dtype=torch.int64)
    if stream.ndim != 1 or stream.is_floating_point():
        raise ShapeError(
            f"a stream is one row of ids, (N,) whole numbers; this is {tuple(stream.shape)}, {stream.dtype}"
        )
    return stream.to(torch.int64)


def _too_short(size: int, batch_size: int, chunk_length: int) -> str:
    """The message about a stream whose tracks are shorter than a chunk."""
    if size < 2:
        return f"the text has {size} tokens, and to predict the next takes 2 or more; give a longer text"
    needed = batch_size * chunk_length + 1
    mends = ["give a longer text"]
    if size - 1 >= chunk_length:
        mends.append(f"batch_size at most {(size - 1) // chunk_length}")
    if size - 1 >= batch_size:
        mends.append(f"chunk_length at most {(size - 1) // batch_size}")
    return (
        f"the text has {size} tokens, but batch_size={batch_size} tracks of one chunk of chunk_length={chunk_length} "
        f"need {needed}; {', or '.join(mends)}"
    )
