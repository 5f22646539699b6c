"""What counts or numbers something is a whole number of any type, and nothing else is cut off to one."""

import numpy as np
import pytest
import torch

from recurra.checks import LARGEST_SEED, whole_number
from recurra.data import (
    Distortion,
    ImageBatches,
    SentenceBatches,
    StreamBatches,
    Vocabulary,
    mackey_glass,
)
from recurra.decoding import SamplingSettings, sample
from recurra.errors import DataError, SettingError, ShapeError
from recurra.lab import Bench

NO_WHOLE_NUMBERS = [
    2.5,
    2.0,
    True,
    "2",
    None,
    [2],
    np.float32(2),
    np.bool_(True),
    torch.tensor(2.0),
    torch.tensor(True),
]
TWO = [2, np.int64(2), np.uint8(2), torch.tensor(2), torch.tensor(2, dtype=torch.uint8)]

IMAGES, LABELS = torch.zeros(4, 2, 2, dtype=torch.uint8), torch.zeros(4, dtype=torch.int64)
CAT = Vocabulary("character", "cat")


def counting(tokens, state):
    return torch.zeros(len(tokens), 3), state


USES = {
    "vocabulary min_count": lambda n: Vocabulary.build("aab", "character", min_count=n).tokens,
    "vocabulary max_size": lambda n: Vocabulary.build("aab", "character", max_size=n).tokens,
    "stream batch_size": lambda n: StreamBatches(range(9), n, 2).batch_size,
    "stream chunk_length": lambda n: StreamBatches(range(9), 2, n).chunk_length,
    "stream reach": lambda n: StreamBatches(range(9), 2, 2, reach=n).reach,
    "stream seed": lambda n: StreamBatches(range(9), 2, 2, seed=n).seed,
    "evaluation chunk_length": lambda n: StreamBatches.for_evaluation(range(9), n).chunk_length,
    "epoch": lambda n: [batch.inputs.tolist() for batch in SentenceBatches([[1], [2]], 1, 0).epoch(n)],
    "epoch start": lambda n: len(StreamBatches(range(9), 1, 2).epoch(0, n)),
    "sentences batch_size": lambda n: SentenceBatches([[1], [2]], n, 0).batch_size,
    "sentences seed": lambda n: SentenceBatches([[1], [2]], 1, 0, seed=n).seed,
    "sentences end": lambda n: SentenceBatches([[1], [3]], 1, n).end,
    "shard world": lambda n: next(iter(SentenceBatches([[1], [2]], 2, 0))).shard(0, n).inputs.tolist(),
    "images batch_size": lambda n: ImageBatches(IMAGES, LABELS, n).batch_size,
    "images pixels_per_step": lambda n: ImageBatches(IMAGES, LABELS, 1, pixels_per_step=n).pixels_per_step,
    "images seed": lambda n: ImageBatches(IMAGES, LABELS, 1, seed=n).seed,
    "distortion shift": lambda n: Distortion(shift=n).shift,
    "series steps": lambda n: mackey_glass(n, discard=0).tolist(),
    "series substeps": lambda n: mackey_glass(3, substeps=n, discard=0).tolist(),
    "series discard": lambda n: mackey_glass(3, discard=n).tolist(),
    "top_k": lambda n: SamplingSettings(top_k=n).top_k,
    "sample length": lambda n: len(sample(counting, torch.tensor([0]), n, None)[0]),
    "laboratory seed": lambda n: Bench(n).seed_for("trial"),
}
OPTIONAL = {"vocabulary max_size", "stream chunk_length", "stream reach", "top_k"}


@pytest.mark.parametrize("use", USES)
def test_a_setting_is_a_whole_number_of_any_type(use):
    expected = USES[use](2)
    assert all(USES[use](number) == expected for number in TWO)
    for value in NO_WHOLE_NUMBERS:
        if not (value is None and use in OPTIONAL):
            with pytest.raises(SettingError):
                USES[use](value)


@pytest.mark.parametrize("ids", [[1.7], "12", [True], ["1"], [None], 5, [[1]], torch.tensor([1.0]), np.array([1.5])])
def test_ids_that_are_no_whole_numbers_are_not_decoded(ids):
    for decoded in (CAT.decode, CAT.one_hot):
        with pytest.raises(DataError):
            decoded(ids)


@pytest.mark.parametrize("ids", [[1.7], "12", [True], ["1"], torch.tensor([True]), np.array([1.5]), [[1, 2]], [2**70]])
def test_ids_that_are_no_whole_numbers_make_no_batch(ids):
    for batches in (lambda: StreamBatches(ids, 1, 1), lambda: SentenceBatches([[1], ids], 1, 0)):
        with pytest.raises(ShapeError, match="expected one row of ids"):
            batches()


def test_ids_are_whole_numbers_of_any_type():
    rows = [
        [0, 1, 2],
        (0, 1, 2),
        range(3),
        np.arange(3),
        np.arange(3, dtype=np.uint16),
        torch.arange(3),
        list(torch.arange(3)),
    ]
    rows.append(np.arange(3).astype(np.int32)[::1])
    rows[3].setflags(write=False)
    for ids in rows:
        assert CAT.decode(ids) == "cat"
        assert CAT.one_hot(ids).tolist() == torch.eye(4)[:3].tolist()
        assert next(iter(StreamBatches(ids, 1, 2))).targets.tolist() == [[1, 2]]
        assert next(iter(SentenceBatches([ids], 1, 3))).inputs.tolist() == [[3, 0, 1, 2]]


@pytest.mark.parametrize("labels", [torch.tensor([0.5, 1.0, 2.0, 3.0]), torch.tensor([True] * 4)])
def test_labels_that_are_no_whole_numbers_are_refused(labels):
    with pytest.raises(ShapeError, match="whole numbers"):
        ImageBatches(IMAGES, labels, 1)


def test_a_setting_out_of_range_is_refused_in_one_line():
    assert whole_number("seed", LARGEST_SEED, 0, LARGEST_SEED) == LARGEST_SEED
    with pytest.raises(SettingError, match=r"^seed is 4294967296; it is a whole number from 0 to 4294967295$"):
        whole_number("seed", LARGEST_SEED + 1, 0, LARGEST_SEED)


@pytest.mark.parametrize("value", ["0.5", True, float("nan"), None])
def test_what_is_no_number_is_no_share_and_no_temperature(value):
    for use in (lambda: Distortion(rotation=value), lambda: SamplingSettings(temperature=value)):
        with pytest.raises(SettingError):
            use()


@pytest.mark.parametrize("token", [-1, 0.5, True, "0"])
def test_a_banned_token_is_an_id(token):
    with pytest.raises(SettingError, match="is no id"):
        SamplingSettings(banned=(token,))
