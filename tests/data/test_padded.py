"""Padded batches: every example once an epoch, in an order that is a function of seed and epoch alone."""

import gc
import threading
import time

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from recurra.data.batch import Batch
from recurra.data.batching import SentenceBatches
from recurra.data.dataset import Examples
from recurra.data.lines import Source
from recurra.data.padded import PaddedBatches
from recurra.errors import DataError, SettingError, ShapeError


def dataset(lengths):
    return Examples(list(range(len(lengths))), [Source("file", line) for line in range(len(lengths))], lengths)


def collate(members, draw):
    """The examples, which are their own indices, and a number drawn for the batch."""
    drawn = torch.rand((), generator=draw).expand(len(members))
    return Batch(targets=torch.stack([torch.tensor(members, dtype=torch.float64), drawn.double()], dim=1))


def contents(batches):
    return [(batch.index.tolist(), batch.targets.tolist()) for batch in batches]


some_lengths = st.lists(st.integers(0, 12), min_size=1, max_size=60)


@given(some_lengths, st.integers(1, 9), st.none() | st.integers(1, 40), st.booleans(), st.integers(0, 3))
def test_every_example_is_in_one_batch_of_an_epoch(lengths, batch_size, max_steps, shuffle, epoch):
    batches = PaddedBatches(
        dataset(lengths), collate, batch_size, max_steps=max_steps, shuffle=shuffle, seed=epoch
    ).epoch(epoch)
    size, seen = len(batches), []
    for batch in batches:
        members = batch.index.tolist()
        seen += members
        assert batch.targets[:, 0].tolist() == members  # what was collated is what the index says
        assert 1 <= len(members) <= batch_size
        if max_steps is not None and len(members) > 1:
            assert len(members) * max(lengths[member] for member in members) <= max_steps
        size -= 1
    assert sorted(seen) == list(range(len(lengths)))
    assert size == 0


@given(st.lists(st.integers(1, 12), min_size=1, max_size=60), st.integers(1, 9), st.booleans(), st.integers(0, 4))
def test_the_order_is_that_of_sentences_as_batches(lengths, batch_size, shuffle, epoch):
    sentences = SentenceBatches([[1] * length for length in lengths], batch_size, 0, shuffle=shuffle, seed=7)
    padded = PaddedBatches(dataset(lengths), collate, batch_size, shuffle=shuffle, seed=7)
    assert padded.order(epoch) == sentences.order(epoch)
    assert len(padded) == len(sentences)


@given(some_lengths, st.none() | st.integers(1, 40), st.integers(0, 3), st.sampled_from([0, 0, 1, 5]), st.data())
def test_an_epoch_goes_on_from_any_batch_as_if_it_had_not_stopped(lengths, max_steps, epoch, ahead, data):
    def batches():
        return PaddedBatches(dataset(lengths), collate, 4, max_steps=max_steps, shuffle=True, seed=3, ahead=ahead)

    whole = contents(batches().epoch(epoch))
    start = data.draw(st.integers(0, len(whole)))
    rest = batches().epoch(epoch, start)
    assert len(rest) == len(whole) - start
    assert contents(rest) == whole[start:]


def test_what_is_drawn_for_a_batch_depends_on_seed_epoch_and_place_alone():
    def drawn(seed, epoch, start=0):
        batches = PaddedBatches(dataset([1] * 6), collate, 2, shuffle=True, seed=seed)
        return [batch.targets[0, 1].item() for batch in batches.epoch(epoch, start)]

    before = torch.get_rng_state()
    numbers = [number for seed in (0, 1) for epoch in (0, 1) for number in drawn(seed, epoch)]
    assert len(set(numbers)) == 12
    assert drawn(1, 1, start=2) == numbers[-1:]
    assert torch.equal(torch.get_rng_state(), before)


def test_another_epoch_and_another_seed_are_other_orders():
    batches = PaddedBatches(dataset([1] * 40), collate, 4, shuffle=True)
    other = PaddedBatches(dataset([1] * 40), collate, 4, shuffle=True, seed=1)
    assert batches.order(0) == batches.order(0)
    assert len({str(order) for order in (batches.order(0), batches.order(1), other.order(0), other.order(1))}) == 4


def test_without_shuffling_the_order_is_that_of_the_lengths():
    batches = PaddedBatches(dataset([3, 1, 2, 1]), collate, 2)
    assert batches.order(0) == batches.order(5) == [[1, 3], [2, 0]]


def test_examples_without_steps_share_a_batch():
    assert PaddedBatches(dataset([0, 0, 0]), collate, 8, max_steps=1).order(0) == [[0, 1, 2]]


def test_an_example_that_is_too_long_is_a_batch_by_itself():
    batches = PaddedBatches(dataset([2, 9, 2, 8]), collate, 8, max_steps=4)
    assert batches.order(0) == [[0, 2], [3], [1]]
    assert len(batches) == 3


@given(some_lengths, st.integers(1, 4))
def test_a_background_thread_gives_the_same_batches(lengths, ahead):
    plain = PaddedBatches(dataset(lengths), collate, 3, shuffle=True, seed=1)
    ahead = PaddedBatches(dataset(lengths), collate, 3, shuffle=True, seed=1, ahead=ahead)
    assert contents(ahead.epoch(2)) == contents(plain.epoch(2))


def background_threads():
    return [thread for thread in threading.enumerate() if thread.name.startswith("recurra-batches")]


def test_batches_are_prepared_while_one_is_used_and_no_more_than_asked_for():
    prepared, wanted = [], threading.Semaphore(0)

    def slow(members, draw):
        prepared.append(members)
        wanted.release()
        return collate(members, draw)

    batches = PaddedBatches(dataset([1] * 10), slow, 1, ahead=2).epoch(0)
    assert len(batches) == 10
    next(batches)
    for _ in range(3):  # the one that was asked for, and two ahead of it
        assert wanted.acquire(timeout=10)
    assert not wanted.acquire(timeout=0.05)
    assert prepared == [[0], [1], [2]]
    assert len(batches) == 9
    batches.close()
    assert not background_threads()


def test_what_goes_wrong_in_the_thread_is_raised_where_the_batch_would_have_come():
    def broken(members, draw):
        if members == [2]:
            raise DataError("train.txt:3: broken")
        return collate(members, draw)

    batches = PaddedBatches(dataset([1] * 9), broken, 1, ahead=3).epoch(0)
    assert [next(batches).index.tolist() for _ in range(2)] == [[0], [1]]
    with pytest.raises(DataError, match=r"train\.txt:3: broken"):
        next(batches)
    assert not background_threads()


def test_the_thread_ends_when_the_epoch_is_left_early():
    for _ in PaddedBatches(dataset([1] * 50), collate, 1, ahead=3).epoch(0):
        break
    gc.collect()
    deadline = time.monotonic() + 10
    while background_threads() and time.monotonic() < deadline:
        time.sleep(0.001)
    assert not background_threads()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"batch_size": 0}, "batch_size is 0"),
        ({"batch_size": 1, "max_steps": 0}, "max_steps is 0"),
        ({"batch_size": 1, "ahead": -1}, "ahead is -1"),
    ],
)
def test_impossible_sizes_are_refused(settings, message):
    with pytest.raises(SettingError, match=message):
        PaddedBatches(dataset([1]), collate, **settings)


def test_a_start_before_the_first_batch_is_refused():
    for ahead in (0, 1):
        with pytest.raises(SettingError, match="start is -1"):
            PaddedBatches(dataset([1]), collate, 1, ahead=ahead).epoch(0, -1)


def test_no_example_and_another_number_of_lengths_are_refused():
    with pytest.raises(DataError, match="there is no example to read"):
        PaddedBatches(dataset([]), collate, 1)

    class Odd(Examples):
        lengths = property(lambda self: [1, 2], lambda self, value: None)

    odd = dataset([1])
    odd.__class__ = Odd
    with pytest.raises(ShapeError, match="2 lengths for 1 examples"):
        PaddedBatches(odd, collate, 1)
