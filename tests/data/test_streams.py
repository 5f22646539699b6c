import itertools
import math
import statistics

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from recurra.data import IGNORED, StreamBatches, TokenBatch
from recurra.errors import DataError, SettingError, ShapeError

SIZES = st.integers(1, 6)


def parts(batch):
    return batch.inputs.tolist(), batch.targets.tolist(), batch.fresh, batch.keep, batch.rate


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
        (20, 50, 50, "need 2501; give a longer text, or both batch_size 1 and chunk_length at most 19"),
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


@pytest.mark.parametrize(("size", "tokens"), [(0, "0 tokens"), (1, "1 token")])
def test_an_evaluation_of_nothing_to_predict_is_refused(size, tokens):
    with pytest.raises(DataError, match=f"the text has {tokens},"):
        StreamBatches.for_evaluation(list(range(size)), 10)


@pytest.mark.parametrize("ids", [torch.zeros(2, 3, dtype=torch.int64), torch.zeros(5)])
def test_a_stream_is_one_row_of_whole_numbers(ids):
    with pytest.raises(ShapeError, match="one row of ids"):
        StreamBatches(ids, 1, 1)


@pytest.mark.parametrize(("batch_size", "chunk_length", "name"), [(0, 1, "batch_size"), (1, -1, "chunk_length")])
def test_a_size_below_one_is_refused(batch_size, chunk_length, name):
    with pytest.raises(SettingError, match=f"{name} is .*; it is a whole number from 1"):
        StreamBatches(range(9), batch_size, chunk_length)


def test_batches_before_the_place_are_not_made(monkeypatch):
    made = []
    monkeypatch.setattr(
        "recurra.data.streams.TokenBatch", lambda *given, **named: made.append(given) or TokenBatch(*given, **named)
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
