"""The most probable tokens of rows, against a plain stable sort."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from recurra.decoding.ranking import BLOCK, grouped, top_tokens


@pytest.mark.parametrize("size", [1, 7, 4 * BLOCK, 9 * BLOCK + 5, 20 * BLOCK])
@pytest.mark.parametrize("number", [1, 3, 8, 5000])
@pytest.mark.parametrize("levels", [2, 30, 10**6])
def test_they_are_those_of_a_stable_sort(size, number, levels):
    """Few levels make many equals, within a block and across blocks."""
    generator = torch.Generator().manual_seed(size + levels)
    scores = -torch.randint(levels, (5, size), generator=generator).float()
    scores[3, torch.rand(size, generator=generator) < 0.9] = -math.inf
    scores[4] = -math.inf
    values, tokens = top_tokens(scores.clone(), number)
    ranked = scores.sort(dim=1, descending=True, stable=True)
    kept = min(number, size)
    assert torch.equal(values, ranked.values[:, :kept])
    possible = values > -math.inf
    assert torch.equal(tokens[possible], ranked.indices[:, :kept][possible])


@given(st.lists(st.integers(0, 3), max_size=8))
def test_equals_come_by_their_ids(levels):
    if not levels:
        return
    scores = -torch.tensor([levels]).double()
    for number in range(1, len(levels) + 1):
        expected = sorted(range(len(levels)), key=lambda token: (levels[token], token))[:number]
        assert top_tokens(scores.clone(), number)[1].tolist() == [expected]


def test_what_is_no_number_comes_first_so_that_it_is_seen():
    for size in (4, 8 * BLOCK):
        scores = torch.zeros(1, size)
        scores[0, size // 2] = math.nan
        assert math.isnan(top_tokens(scores, 1)[0].item())


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(1, 4)), max_size=6, unique_by=lambda pair: pair[0]))
def test_rows_of_a_key_are_counted_from_0(runs):
    keys = [key for key, count in runs for _ in range(count)]
    groups = grouped(torch.tensor(keys, dtype=torch.int64))
    assert groups.group.tolist() == [index for index, (_, count) in enumerate(runs) for _ in range(count)]
    assert groups.rank.tolist() == [rank for _, count in runs for rank in range(count)]
    assert groups.first.tolist() == [keys.index(key) for key, _ in runs]
    assert groups.largest == max((count for _, count in runs), default=0)
