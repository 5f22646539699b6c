import itertools
import math
import statistics

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from recurra.data import IGNORED, Batch, SentenceBatches, Sharded, StreamBatches
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


def test_batches_before_the_place_are_not_made(monkeypatch):
    made = []
    monkeypatch.setattr(
        "recurra.data.streams.Batch", lambda *given, **named: made.append(given) or Batch(*given, **named)
    )
    list(StreamBatches(range(101), 1, 10).epoch(0, 8))
    assert len(made) == 2


def test_a_place_before_the_first_is_refused():
    with pytest.raises(SettingError, match="start is -1"):
        StreamBatches(range(9), 1, 2).epoch(0, -1)


# The reach


@given(st.integers(1, 60), st.integers(1, 3), st.integers(1, 9), st.integers(0, 15), st.booleans(), st.integers(0, 3))
def test_windows_count_every_target_once_and_go_on_where_the_state_was_kept(track, rows, chunk, further, random, seed):
    if track < chunk:
        return
    ids = list(range(1, track * rows + 2))
    batches = StreamBatches(ids, rows, chunk, reach=chunk + further, random_lengths=random, seed=seed)
    place, counted = 0, [[] for _ in range(rows)]  # where the state stands that the next batch begins with
    for batch in batches.epoch(1):
        width = batch.inputs.shape[1]
        begins = batch.inputs[:, 0].tolist()
        if batch.fresh:
            place = 0
        assert begins == [row * track + place + 1 for row in range(rows)]
        assert batch.inputs.tolist() == [list(range(begin, begin + width)) for begin in begins]
        targets = batch.targets != IGNORED
        own = int(targets[0].sum())
        # The last steps count, all of them, as far as the reach before them goes, or the track.
        assert own >= 1
        assert targets[:, width - own :].all()
        assert not targets[:, : width - own].any()
        assert width - own == min(further, len(counted[0]))
        for row, seen in enumerate(counted):
            seen += batch.targets[row, width - own :].tolist()
        assert batch.keep is None or 1 <= batch.keep < width
        place += width if batch.keep is None else batch.keep
        assert batch.rate == (own / chunk if random else 1.0)
    assert counted == [list(range(row * track + 2, (row + 1) * track + 2)) for row in range(rows)]


def test_a_reach_of_one_chunk_is_a_chunk():
    plain, reaching = StreamBatches(range(30), 2, 4), StreamBatches(range(30), 2, 4, reach=4)
    assert [parts(batch) for batch in plain] == [parts(batch) for batch in reaching]


def test_without_a_chunk_length_a_track_is_one_chunk():
    [batch] = StreamBatches(range(9), 2, None)
    assert batch.inputs.tolist() == [[0, 1, 2, 3], [4, 5, 6, 7]]
    with pytest.raises(DataError, match=r"3 tokens, and batch_size=4 tracks need 5; .* batch_size at most 2"):
        StreamBatches(range(3), 4, None)
    StreamBatches(range(3), 2, None)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"chunk_length": 5, "reach": 4}, "reach is 4, below chunk_length 5"),
        ({"chunk_length": None, "reach": 4}, "reach 4 has no effect where chunk_length is none"),
        ({"chunk_length": None, "random_lengths": True}, "random_lengths has no effect where chunk_length is none"),
    ],
)
def test_settings_of_chunks_that_contradict_one_another_are_refused(given, message):
    with pytest.raises(SettingError, match=message):
        StreamBatches(range(50), 1, **given)


# Random lengths


def test_random_lengths_are_normal_around_the_chunk_length_or_rarely_its_half():
    batches = StreamBatches(range(400_000), 1, 70, random_lengths=True, seed=1)
    ends = batches.ends(0)
    lengths = [end - begin for begin, end in itertools.pairwise([0, *ends])][:-1]
    short = [length for length in lengths if length < 52]  # 3.5 standard deviations from either
    usual = [length for length in lengths if length >= 52]
    assert statistics.mean(usual) == pytest.approx(69.5, abs=0.3)  # a normal number cut to a whole one is half less
    assert statistics.stdev(usual) == pytest.approx(5, abs=0.3)
    assert statistics.mean(short) == pytest.approx(34.5, abs=1.0)
    assert len(short) / len(lengths) == pytest.approx(0.05, abs=3 * math.sqrt(0.05 * 0.95 / len(lengths)))


@pytest.mark.parametrize("chunk_length", [1, 3, 5, 8, 20])
def test_no_chunk_is_shorter_than_five_steps_unless_chunks_are(chunk_length):
    ends = StreamBatches(range(5000), 1, chunk_length, random_lengths=True).ends(0)
    lengths = [end - begin for begin, end in itertools.pairwise([0, *ends])]
    assert min(lengths[:-1]) == min(5, chunk_length)


def test_random_lengths_depend_on_the_seed_and_the_epoch_alone():
    def ends(seed, epoch):
        return StreamBatches(range(2000), 2, 20, random_lengths=True, seed=seed).ends(epoch)

    state = torch.get_rng_state()
    drawn = [ends(seed, epoch) for seed in range(3) for epoch in range(3)]
    assert torch.equal(torch.get_rng_state(), state)
    assert all(one != other for one, other in itertools.combinations(drawn, 2))
    torch.rand(5)
    assert ends(2, 2) == drawn[-1]


# Several processes


@given(SOURCES, st.integers(1, 5), st.integers(0, 2))
def test_the_parts_of_all_processes_are_the_batch(batches, world, start):
    shares = [list(Sharded(batches, rank, world).epoch(1, start)) for rank in range(world)]
    for rank in range(world):
        assert len(Sharded(batches, rank, world)) == len(batches)
        assert len(Sharded(batches, rank, world).epoch(1, start)) == len(batches.epoch(1, start))
    for batch, *shared in zip(batches.epoch(1, start), *shares, strict=True):
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
    for make in (lambda: Sharded(StreamBatches(range(9), 1, 2), rank, world), lambda: parts_of(rank, world)):
        with pytest.raises(SettingError, match="ranks are counted from 0"):
            make()


def parts_of(rank, world):
    return next(StreamBatches(range(9), 1, 2).epoch(0)).shard(rank, world)
