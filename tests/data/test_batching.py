import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from recurra.data import IGNORED, ImageBatch, SentenceBatches, StreamBatches, TokenBatch
from recurra.errors import DataError, SettingError

SIZES = st.integers(1, 6)
SENTENCES = st.lists(st.lists(st.integers(0, 50), max_size=6), min_size=1, max_size=30)
END = 60


@given(SENTENCES, SIZES, st.booleans(), st.integers(0, 3), st.integers(0, 3))
def test_every_sentence_is_read_once_from_eos_to_eos(sentences, batch_size, shuffle, seed, epoch):
    batches = SentenceBatches(sentences, batch_size, END, shuffle=shuffle, seed=seed)
    read = list(batches.epoch(epoch))
    seen = []
    for batch in read:
        assert batch.fresh
        assert batch.inputs.shape == batch.targets.shape == (len(batch.lengths), int(batch.lengths.max()))
        for inputs, targets, length in zip(batch.inputs, batch.targets, batch.lengths.tolist(), strict=True):
            sentence = targets[: length - 1].tolist()
            assert targets.tolist() == sentence + [END] + [IGNORED] * (len(targets) - length)
            assert inputs.tolist() == [END, *sentence] + [0] * (len(inputs) - length)
            seen.append(sentence)
    assert sorted(seen) == sorted(sentences)
    assert len(batches) == len(read)
    assert all(1 <= len(batch.lengths) <= batch_size for batch in read)
    assert batches.count == sum(batch.count for batch in read) == sum(len(sentence) + 1 for sentence in sentences)


@given(SENTENCES, SIZES, st.booleans(), st.integers(0, 3))
def test_the_order_depends_on_the_seed_and_the_epoch_alone(sentences, batch_size, shuffle, epoch):
    batches = SentenceBatches(sentences, batch_size, END, shuffle=shuffle, seed=5)
    state = torch.get_rng_state()
    order = batches.order(epoch)
    assert torch.equal(torch.get_rng_state(), state)
    torch.rand(3)
    list(batches)
    assert batches.order(epoch) == order
    assert SentenceBatches(sentences, batch_size, END, shuffle=shuffle, seed=5).order(epoch) == order


def test_epochs_and_seeds_differ_only_if_shuffled():
    sentences = [[0] * (place % 7) for place in range(200)]
    orders = [SentenceBatches(sentences, 4, END, seed=seed).order(epoch) for seed in range(3) for epoch in range(3)]
    assert all(one != other for place, one in enumerate(orders) for other in orders[:place])
    plain = SentenceBatches(sentences, 4, END, shuffle=False)
    assert plain.order(0) == plain.order(1)


def test_sentences_of_like_length_share_a_batch():
    sentences = [[0] * length for length in range(64)]
    for batch in SentenceBatches(sentences, 8, END, seed=1):
        assert int(batch.lengths.max() - batch.lengths.min()) == 7


def test_each_hundred_batches_are_sorted_on_their_own_so_that_batches_mix():
    lengths = [place * 7 % 11 for place in range(2 * 250)]
    sentences = [[0] * length for length in lengths]
    order = SentenceBatches(sentences, 2, END, shuffle=False).order(0)
    places = [place for members in order for place in members]
    for pool in (range(200), range(200, 400), range(400, 500)):
        # Equal ones stay in the order given.
        assert places[pool.start : pool.stop] == sorted(pool, key=lambda place: lengths[place])


def test_sentences_need_an_end_and_there_must_be_some():
    for end in (None, -1):
        with pytest.raises(SettingError, match="end_of_sentence=True"):
            SentenceBatches([[1]], 1, end)
    with pytest.raises(DataError, match="no sentence"):
        SentenceBatches([], 1, END)
    with pytest.raises(SettingError, match="batch_size is 0"):
        SentenceBatches([[1]], 0, END)


def test_a_batch_counts_its_targets_and_moves_whole():
    batch = TokenBatch(
        inputs=torch.zeros(2, 2),
        targets=torch.tensor([[1, IGNORED], [0, 5]]),
        lengths=torch.tensor([1, 2]),
        fresh=False,
    )
    moved = batch.to("meta")
    assert batch.count == 3
    assert {moved.inputs.device.type, moved.targets.device.type, moved.lengths.device.type} == {"meta"}
    assert moved.fresh is False
    assert next(StreamBatches(range(3), 1, 1).epoch(0)).to("cpu").lengths is None


# A place to go on from


def parts(batch):
    return (
        batch.inputs.tolist(),
        batch.targets.tolist(),
        None if batch.lengths is None else batch.lengths.tolist(),
        batch.fresh,
        batch.keep,
        batch.rate,
    )


SOURCES = st.one_of(
    st.builds(
        lambda ids, batch_size, chunk, further, random: StreamBatches(
            ids, batch_size, chunk, reach=chunk + further, random_lengths=random, seed=3
        ),
        st.lists(st.integers(0, 99), min_size=60, max_size=90),
        st.integers(1, 4),
        st.integers(1, 9),
        st.integers(0, 12),
        st.booleans(),
    ),
    st.builds(
        lambda sentences, batch_size, shuffle: SentenceBatches(sentences, batch_size, END, shuffle=shuffle, seed=3),
        SENTENCES,
        SIZES,
        st.booleans(),
    ),
)


@given(SOURCES, st.integers(0, 3), st.integers(0, 40))
def test_an_epoch_from_a_place_on_is_the_rest_of_it(batches, number, start):
    rest = itertools.islice(batches.epoch(number), start, None)
    resumed = batches.epoch(number, start)
    assert len(resumed) == max(0, len(batches.epoch(number)) - start)
    assert [parts(batch) for batch in resumed] == [parts(batch) for batch in rest]
    assert len(resumed) == 0


# Several processes


@given(SOURCES, st.integers(1, 5), st.integers(0, 2))
def test_the_parts_of_all_processes_are_the_batch(batches, world, start):
    for batch in batches.epoch(1, start):
        shared = [batch.shard(rank, world) for rank in range(world)]
        working = [share for share in shared if share.count]
        assert len(working) == min(world, len(batch.inputs))
        for name in ("inputs", "targets", "lengths"):
            whole = getattr(batch, name)
            assert whole is None or torch.equal(torch.cat([getattr(share, name) for share in working]), whole)
        expected = [len(share) for share in torch.tensor_split(batch.inputs, world)]
        assert [len(share.inputs) if share.count else 0 for share in shared] == expected
        for share in shared:
            assert len(share.inputs) >= 1
            assert (share.fresh, share.keep, share.rate) == (batch.fresh, batch.keep, batch.rate)


@pytest.mark.parametrize(("rank", "world"), [(-1, 2), (2, 2), (0, 0)])
def test_a_process_that_is_not_there_is_refused(rank, world):
    images = ImageBatch(inputs=torch.zeros(3, 2, 1), targets=torch.zeros(3, dtype=torch.int64))
    for batch in (next(StreamBatches(range(9), 1, 2).epoch(0)), images):
        with pytest.raises(SettingError, match="ranks are counted from 0"):
            batch.shard(rank, world)
