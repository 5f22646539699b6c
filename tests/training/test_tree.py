import math
from collections import namedtuple

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from recurra.training.tree import join, split, to_device

LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(allow_nan=False),
    st.text(max_size=5),
    st.builds(lambda values: torch.tensor(values, dtype=torch.float64), st.lists(st.floats(-9, 9), max_size=3)),
)
TREES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.lists(inner, max_size=3).map(tuple),
        st.dictionaries(st.one_of(st.text(max_size=4), st.integers(0, 99)), inner, max_size=3),
    ),
    max_leaves=8,
)


def same(a, b):
    if isinstance(a, torch.Tensor):
        return isinstance(b, torch.Tensor) and a.dtype == b.dtype and torch.equal(a, b)
    if isinstance(a, dict):
        return (
            list(a) == list(b)
            and all(type(k) is type(j) for k, j in zip(a, b, strict=True))
            and all(same(a[key], b[key]) for key in a)
        )
    if isinstance(a, list | tuple):
        return type(a) is type(b) and len(a) == len(b) and all(map(same, a, b))
    return type(a) is type(b) and a == b


@given(TREES)
def test_what_is_split_is_joined_again(tree):
    import json

    left, tensors = split(tree)
    assert same(join(json.loads(json.dumps(left)), tensors), tree)


def test_numbers_that_are_not_finite_are_kept():
    import json

    left, _ = split([math.inf, -math.inf, math.nan])
    assert str(join(json.loads(json.dumps(left)), {})) == "[inf, -inf, nan]"


def test_tensors_have_memory_of_their_own():
    weight = torch.zeros(3)
    _, tensors = split({"a": weight, "b": weight})
    weight.fill_(1)
    assert tensors["a"].sum() == tensors["b"].sum() == 0
    assert tensors["a"].data_ptr() != tensors["b"].data_ptr()


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        ({"a": [object()]}, "a/0 is a object, which a checkpoint cannot hold"),
        (namedtuple("State", "h")(1), "the state is a State"),
        ({(1,): 2}, r"the state: a key is \(1,\)"),
    ],
)
def test_what_cannot_be_held_is_named_by_its_place(tree, message):
    with pytest.raises(TypeError, match=message):
        split(tree)


def test_tensors_move_and_the_rest_stays():
    moved = to_device({"a": [torch.zeros(1), 2], "b": (None,)}, torch.device("meta"))
    assert moved["a"][0].device.type == "meta"
    assert (moved["a"][1], moved["b"]) == (2, (None,))
