"""Batches with the rows first: what is done to every tensor is done once, and no row is lost or counted twice."""

from collections import OrderedDict, defaultdict
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, NamedTuple

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from recurra.data.batch import Batch, map_tensors
from recurra.data.batching import IGNORED
from recurra.errors import SettingError, ShapeError


class Pair(NamedTuple):
    left: torch.Tensor
    right: Any


@dataclass(frozen=True)
class Words:
    ids: torch.Tensor
    lengths: torch.Tensor
    name: str = "words"
    total: int = field(init=False, default=0)

    def __post_init__(self):
        object.__setattr__(self, "total", len(self.lengths))


@dataclass(frozen=True, eq=False, kw_only=True)
class Nested(Batch):
    words: Words
    parts: tuple[Any, ...]
    label: torch.Tensor

    def without_answers(self):
        return replace(super().without_answers(), label=torch.full_like(self.label, IGNORED))


def nested(rows: int) -> Nested:
    steps = torch.arange(rows * 4).reshape(rows, 4)
    return Nested(
        targets=steps.clone(),
        words=Words(steps, torch.arange(rows)),
        parts=(Pair(torch.arange(rows), [steps]), {"a": steps, "n": 3}, None),
        label=torch.arange(rows),
    )


def tensors_of(value):
    found = []
    map_tensors(value, lambda tensor: found.append(tensor) or tensor)
    return found


def test_every_tensor_is_reached_and_containers_keep_their_types():
    one = torch.ones(1)
    value = {
        "dict": OrderedDict(a=one),
        "default": defaultdict(list, {"a": one}),
        "proxy": MappingProxyType({"a": one}),
        "pair": Pair(one, (one, [one])),
        "words": Words(one, one),
        "rest": (None, 3, "text", Words),
    }
    mapped = map_tensors(value, lambda tensor: tensor + 1)
    assert [tensor.item() for tensor in tensors_of(mapped)] == [2] * 8
    assert [type(item) for item in mapped.values()] == [type(item) for item in value.values()]
    assert mapped["default"].default_factory is list
    assert mapped["words"].total == 1  # what a dataclass works out by itself is worked out again
    assert mapped["rest"] == value["rest"]
    assert one.item() == 1


@given(st.integers(1, 9), st.integers(1, 12))
def test_the_shards_together_are_the_batch(rows, world):
    batch = nested(rows)
    shards = [batch.shard(rank, world) for rank in range(world)]
    answered = [shard for shard in shards if shard.count]
    assert sum(shard.count for shard in shards) == batch.count
    assert all(len(shard) >= 1 for shard in shards)
    assert torch.equal(torch.cat([shard.index for shard in answered]), batch.index)
    for whole, *parts in zip(tensors_of(batch), *(tensors_of(shard) for shard in answered), strict=True):
        assert torch.equal(torch.cat(parts), whole)
    for shard in shards:
        if not shard.count:
            assert torch.equal(shard.words.ids, batch.words.ids[:1])
            assert (shard.label == IGNORED).all()


def test_to_moves_every_tensor():
    moved = nested(2).to("meta")
    assert isinstance(moved, Nested)
    assert {tensor.device.type for tensor in tensors_of(moved)} == {"meta"}
    assert len(tensors_of(moved)) == len(tensors_of(nested(2))) == 8


def test_rows_are_numbered_unless_something_else_is_said():
    assert Batch(targets=torch.zeros(3, 2)).index.tolist() == [0, 1, 2]
    assert Batch(targets=torch.zeros(1), index=torch.tensor([7])).index.tolist() == [7]


def test_only_targets_that_ask_for_something_count():
    batch = Batch(targets=torch.tensor([[1, IGNORED], [0, 2]]))
    assert (len(batch), batch.count, batch.fresh) == (2, 3, True)
    assert (batch.without_answers().count, batch.count) == (0, 3)


def test_a_tensor_whose_first_axis_is_not_the_rows_is_refused_rather_than_cut():
    batch = Batch(targets=torch.zeros(2), index=torch.zeros(3))
    with pytest.raises(ShapeError, match=r"a tensor of the batch is \(3,\); its first axis must be the 2 rows"):
        batch.shard(0, 1)
    with pytest.raises(ShapeError, match=r"is \(\)"):
        Batch(targets=torch.zeros(1), index=torch.tensor(0)).shard(0, 1)


def test_a_process_that_is_none_is_refused():
    with pytest.raises(SettingError, match="rank is 2, world 2"):
        nested(2).shard(2, 2)
