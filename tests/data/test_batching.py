import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from recurra.data import IGNORED, Batch, SentenceBatches, StreamBatches
from recurra.errors import DataError, SettingError, ShapeError

SIZES = st.integers(1, 6)
SENTENCES = st.lists(st.lists(st.integers(0, 50), max_size=6), min_size=1, max_size=30)
END = 60


@given(st.lists(st.integers(0, 99), min_size=2, max_size=80), SIZES, SIZES)
def test_the_chunks_of_the_tracks_are_the_stream_again(ids, batch_size, chunk_length):
    if (len(ids) - 1) // batch_size < chunk_length:
        with pytest.raises(DataError):
            StreamBatches(ids, batch_size, chunk_length)
        return
    batches = StreamBatches(ids, batch_size, chunk_length)
    read = list(batches)
    inputs, targets = (torch.cat([getattr(batch, name) for batch in read], dim=1) for name in ("inputs", "targets"))
    # Tracks one after the other are the stream, in the inputs from its first token, in the targets from its second.
    assert inputs.flatten().tolist() == ids[: inputs.numel()]
    assert targets.flatten().tolist() == ids[1 : targets.numel() + 1]
    assert 0 <= len(ids) - 1 - targets.numel() <= batch_size - 1
    assert [batch.fresh for batch in read] == [True] + [False] * (len(read) - 1)
    assert all(batch.inputs.shape == (batch_size, chunk_length) for batch in read[:-1])
    assert 1 <= read[-1].inputs.shape[1] <= chunk_length
    assert all(batch.lengths is None for batch in read)
    assert len(batches) == len(read)
    assert batches.count == sum(batch.count for batch in read) == targets.numel()


@given(st.lists(st.integers(0, 99), min_size=2, max_size=40), st.integers(1, 60))
def test_an_evaluation_predicts_every_token_but_the_first(ids, chunk_length):
    read = list(StreamBatches.for_evaluation(ids, chunk_length))
    assert torch.cat([batch.inputs for batch in read], dim=1).tolist() == [ids[:-1]]
    assert torch.cat([batch.targets for batch in read], dim=1).tolist() == [ids[1:]]
    assert max(batch.inputs.shape[1] for batch in read) <= chunk_length


def test_a_stream_is_the_same_in_every_epoch_and_not_hurt_by_its_reader():
    batches = StreamBatches(torch.arange(20), 2, 4)
    first = [batch.inputs.clone() for batch in batches]
    assert all(torch.equal(a, b.inputs) for a, b in zip(first, batches.epoch(7), strict=True))


@pytest.mark.parametrize(
    ("size", "batch_size", "chunk_length", "message"),
    [
        (
            100,
            4,
            30,
            "the text has 100 tokens, but batch_size=4 tracks of one chunk of chunk_length=30 need 121; "
            "give a longer text, or batch_size at most 3, or chunk_length at most 24",
        ),
        (20, 1, 50, "need 51; give a longer text, or chunk_length at most 19"),
        (20, 50, 5, "need 251; give a longer text, or batch_size at most 3"),
        (20, 50, 50, "need 2501; give a longer text"),
        (0, 1, 1, "the text has 0 tokens, and to predict the next takes 2 or more; give a longer text"),
    ],
)
def test_a_text_too_short_is_refused_with_what_would_do(size, batch_size, chunk_length, message):
    with pytest.raises(DataError, match=f"{message}$"):
        StreamBatches(list(range(size)), batch_size, chunk_length)


def test_the_mends_of_a_text_too_short_do():
    StreamBatches(range(100), 3, 30)
    StreamBatches(range(100), 4, 24)
    StreamBatches(range(121), 4, 30)


@pytest.mark.parametrize("size", [0, 1])
def test_an_evaluation_of_nothing_to_predict_is_refused(size):
    with pytest.raises(DataError, match=f"the text has {size} tokens"):
        StreamBatches.for_evaluation(list(range(size)), 10)


@pytest.mark.parametrize("ids", [torch.zeros(2, 3, dtype=torch.int64), torch.zeros(5)])
def test_a_stream_is_one_row_of_whole_numbers(ids):
    with pytest.raises(ShapeError, match="one row of ids"):
        StreamBatches(ids, 1, 1)


@pytest.mark.parametrize(("batch_size", "chunk_length", "name"), [(0, 1, "batch_size"), (1, -1, "chunk_length")])
def test_a_size_below_one_is_refused(batch_size, chunk_length, name):
    with pytest.raises(SettingError, match=f"{name} is .*; it must be 1 or more"):
        StreamBatches(range(9), batch_size, chunk_length)


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
    batch = Batch(torch.zeros(2, 2), torch.tensor([[1, IGNORED], [0, 5]]), torch.tensor([1, 2]), fresh=False)
    moved = batch.to("meta")
    assert batch.count == 3
    assert {moved.inputs.device.type, moved.targets.device.type, moved.lengths.device.type} == {"meta"}
    assert moved.fresh is False
    assert next(StreamBatches(range(3), 1, 1).epoch(0)).to("cpu").lengths is None
