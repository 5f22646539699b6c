"""A stream as batches: tracks of it side by side, in chunks for truncated backpropagation through time."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from recurra.checks import LARGEST_SEED, whole_number
from recurra.data.batch import IGNORED
from recurra.data.batching import Epoch, TokenBatch, generator_of, ids_of
from recurra.errors import DataError, SettingError

HALVED = 0.05
"""Share of the chunks of random length whose length is drawn around half the chunk length."""

DEVIATION, SHORTEST = 5.0, 5
"""The standard deviation of random chunk lengths, and the shortest of them, both in steps."""


class StreamBatches:
    """A stream of ids as parallel tracks, cut into chunks for truncated backpropagation through time.

    The stream s<0..N-1> is cut into B tracks of equal length L = floor((N-1) / B); track b reads s<bL..bL+L-1> and is
    to answer s<bL+1..bL+L>, so that each target is the next token of the stream, across the tracks' ends too. Chunks
    of the tracks follow one another, the last one shorter if need be; the state is carried from each to the next.
    Of the N-1 tokens that can be predicted, (N-1) mod B at the stream's end are left out, at most B-1. With one track,
    as in `for_evaluation`, none is.

    Of each chunk's loss the gradient goes back `reach` steps from the chunk's end, which is BPTT(reach; chunk_length)
    of Williams and Peng, "An efficient gradient-based algorithm for on-line training of recurrent network
    trajectories" (1990). A reach beyond the chunk makes a batch of the chunk and the steps before it:

        steps                   w ... w+reach-chunk_length-1    w+reach-chunk_length ... w+reach-1
        targets                 ignored: they have counted      the chunk's
        the state is kept       after `TokenBatch.keep` steps, where the next batch begins

    where w, the batch's first step, is the chunk's own less reach - chunk_length, but not before the track's beginning.
    Every target counts once an epoch.

    With random lengths, chunks begin elsewhere in every epoch (Merity, Keskar and Socher, "Regularizing and optimizing
    LSTM language models", 2018): the length of each is drawn from N(chunk_length, 5), one time in twenty from
    N(chunk_length / 2, 5), at least 5 or the chunk length if that is less, and the learning rate of its step is
    multiplied by length / chunk_length. The lengths are a function of the seed and the epoch's number alone.

    Args:
        ids: The stream, N ids.
        batch_size: The number B of tracks.
        chunk_length: The steps T of a chunk; None makes each track one chunk: full backpropagation through time.
        reach: How many steps the gradient of a chunk's last step goes back, at least the chunk length, which is what
            None stands for. The work of a step grows with it. A chunk of random length reaches as far back before its
            first step as the others.
        random_lengths: Whether chunks are of random length.
        seed: What the lengths are drawn from.

    Raises:
        SettingError: The batch size or the chunk length is below 1, the reach is below the chunk length, or one of the
            settings of chunks is given where a track is one chunk.
        ShapeError: The ids are not one row of whole numbers.
        DataError: The tracks would be shorter than a chunk.

    Example:
        >>> for batch in StreamBatches(range(9), batch_size=2, chunk_length=3):
        ...     print(batch.inputs.tolist(), batch.targets.tolist(), batch.fresh)
        [[0, 1, 2], [4, 5, 6]] [[1, 2, 3], [5, 6, 7]] True
        [[3], [7]] [[4], [8]] False
        >>> for batch in StreamBatches(range(7), batch_size=1, chunk_length=2, reach=4):
        ...     print(batch.inputs.tolist(), batch.targets.tolist(), batch.fresh, batch.keep)
        [[0, 1]] [[1, 2]] True None
        [[0, 1, 2, 3]] [[-100, -100, 3, 4]] True 2
        [[2, 3, 4, 5]] [[-100, -100, 5, 6]] False None
    """

    def __init__(
        self,
        ids: Sequence[int] | Tensor,
        batch_size: int,
        chunk_length: int | None,
        *,
        reach: int | None = None,
        random_lengths: bool = False,
        seed: int = 0,
    ) -> None:
        batch_size = whole_number("batch_size", batch_size, 1)
        chunk_length = None if chunk_length is None else whole_number("chunk_length", chunk_length, 1)
        reach = None if reach is None else whole_number("reach", reach, 1)
        _check_reach(chunk_length, reach, random_lengths)
        stream = ids_of(ids)
        predictable = max(len(stream) - 1, 0)
        track = predictable // batch_size
        if track < (chunk_length or 1):
            raise DataError(_too_short(len(stream), batch_size, chunk_length))
        self.batch_size, self.chunk_length, self.random_lengths = batch_size, chunk_length or track, random_lengths
        self.seed = whole_number("seed", seed, 0, LARGEST_SEED)
        self.reach = reach or self.chunk_length
        self._inputs = stream[: batch_size * track].view(batch_size, track)
        self._targets = stream[1 : batch_size * track + 1].view(batch_size, track)

    @classmethod
    def for_evaluation(cls, ids: Sequence[int] | Tensor, chunk_length: int) -> StreamBatches:
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
        stream = ids_of(ids)
        return cls(stream, 1, max(min(whole_number("chunk_length", chunk_length, 1), len(stream) - 1), 1))

    @property
    def count(self) -> int:
        """The number of targets in an epoch."""
        return self._targets.numel()

    def __len__(self) -> int:
        """The number of chunks in an epoch; where their lengths are random, in the first."""
        return len(self.ends(0))

    def __iter__(self) -> Iterator[TokenBatch]:
        return self.epoch(0)

    def epoch(self, number: int, start: int = 0) -> Epoch[TokenBatch]:
        """The chunks in the stream's order, from the place `start` on."""
        ends = self.ends(number)
        begins = [0, *ends[:-1]]
        # A batch begins as far before its own chunk as the reach exceeds a chunk.
        windows = [max(0, begin - (self.reach - self.chunk_length)) for begin in begins]

        def make(place: int) -> TokenBatch:
            window, begin, end = windows[place], begins[place], ends[place]
            following = windows[place + 1] if place + 1 < len(ends) else 0
            targets = self._targets[:, window:end].contiguous()
            if window < begin:
                targets = targets.clone()  # a row of its own is contiguous as it is, and the stream's
                targets[:, : begin - window] = IGNORED
            return TokenBatch(
                inputs=self._inputs[:, window:end].contiguous(),
                targets=targets,
                fresh=window == 0,
                # A batch that begins with its track needs no state, and after all steps is what None says.
                keep=following - window if 0 < following < end else None,
                rate=(end - begin) / self.chunk_length if self.random_lengths else 1.0,
            )

        return Epoch(len(ends), start, make)

    def ends(self, number: int) -> list[int]:
        """Where in the tracks each chunk of an epoch ends."""
        track, length = self._inputs.shape[1], self.chunk_length
        if not self.random_lengths:
            return [*range(length, track, length), track]
        draw, shortest = generator_of(self.seed, number), min(SHORTEST, length)
        most = -(-track // shortest)
        base = torch.where(torch.rand(most, generator=draw) < HALVED, length / 2, float(length))
        lengths = (base + DEVIATION * torch.randn(most, generator=draw)).long().clamp_(min=shortest)
        return [*itertools.takewhile(lambda end: end < track, lengths.cumsum(0).tolist()), track]


def _check_reach(chunk_length: int | None, reach: int | None, random_lengths: bool) -> None:
    """Refuses settings of chunks that contradict one another."""
    if chunk_length is None and (reach is not None or random_lengths):
        name = "random_lengths" if reach is None else f"reach {reach}"
        raise SettingError(
            f"{name} has no effect where chunk_length is none: the gradient then goes through the whole track; "
            "give a chunk_length, or leave it out"
        )
    if chunk_length is not None and reach is not None and reach < chunk_length:
        raise SettingError(
            f"reach is {reach}, below chunk_length {chunk_length}: the gradient goes at least through the chunk; "
            "give a larger reach, or a smaller chunk_length"
        )


def _tokens(size: int) -> str:
    return "1 token" if size == 1 else f"{size} tokens"


def _too_short(size: int, batch_size: int, chunk_length: int | None) -> str:
    """The message about a stream whose tracks are shorter than a chunk."""
    if size < 2:
        return f"the text has {_tokens(size)}, and to predict the next takes 2 or more; give a longer text"
    if chunk_length is None:
        return (
            f"the text has {_tokens(size)}, and batch_size={batch_size} tracks need {batch_size + 1}; "
            f"give a longer text, or batch_size at most {size - 1}"
        )
    needed = batch_size * chunk_length + 1
    mends = ["give a longer text"]
    if size - 1 >= chunk_length:
        mends.append(f"batch_size at most {(size - 1) // chunk_length}")
    if size - 1 >= batch_size:
        mends.append(f"chunk_length at most {(size - 1) // batch_size}")
    if len(mends) == 1:
        mends.append(f"both batch_size 1 and chunk_length at most {size - 1}")
    return (
        f"the text has {_tokens(size)}, but batch_size={batch_size} tracks of one chunk of chunk_length={chunk_length} "
        f"need {needed}; {', or '.join(mends)}"
    )
