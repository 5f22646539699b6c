"""Ragged batches, packed and unpacked: every step that counts is there once, and nothing else is."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from recurra.backends.layout import Layout

LENGTHS = st.lists(st.integers(1, 7), min_size=1, max_size=6)


def padded(steps, lengths):
    """Each entry says where it stands: 100 t + row, and past a row's length it is not a number."""
    t, row = torch.arange(steps)[:, None], torch.arange(len(lengths))
    return torch.where(t < torch.tensor(lengths), 100.0 * t + row, torch.nan)[:, :, None].expand(-1, -1, 2)


@given(LENGTHS, st.integers(0, 2))
def test_packed_is_every_step_that_counts_longest_row_first(lengths, more):
    steps = max(lengths) + more
    layout = Layout.of(steps, len(lengths), torch.tensor(lengths))
    order = sorted(range(len(lengths)), key=lambda row: -lengths[row])  # stable: equal rows keep their order
    expected = [[100.0 * t + row for row in order if lengths[row] > t] for t in range(max(lengths))]
    packed = layout.pack(padded(steps, lengths))
    if layout.order is not None:
        assert packed[:, 0].tolist() == [place for rows in expected for place in rows]
        assert layout.sizes == [len(rows) for rows in expected]
    assert sum(layout.sizes) == len(packed) == sum(lengths)


@given(LENGTHS, st.integers(0, 2))
def test_unpacked_is_what_was_packed_with_zeros_past_the_end(lengths, more):
    steps = max(lengths) + more
    batch = padded(steps, lengths)
    layout = Layout.of(steps, len(lengths), torch.tensor(lengths))
    assert torch.equal(layout.unpack(layout.pack(batch)), batch.nan_to_num(0.0))


@given(LENGTHS)
def test_rows_sorted_and_back(lengths):
    layout = Layout.of(7, len(lengths), torch.tensor(lengths))
    rows = torch.arange(len(lengths))
    assert torch.equal(layout.unsort(layout.sort(rows)), rows)
    found = torch.tensor(lengths)[layout.sort(rows)].tolist()
    assert found == sorted(lengths, reverse=True) or layout.order is None


@given(LENGTHS)
def test_one_vector_a_row_at_each_of_its_steps(lengths):
    layout = Layout.of(7, len(lengths), torch.tensor(lengths))
    rows = torch.arange(len(lengths) * 3.0).reshape(-1, 3)
    assert torch.equal(layout.repeat(rows), layout.pack(rows.expand(7, -1, -1)))


@pytest.mark.parametrize("lengths", [None, torch.tensor([4, 4, 4])])
def test_full_rows_do_not_move(lengths):
    layout = Layout.of(4, 3, lengths)
    assert layout.order is None
    assert layout.sizes == [3, 3, 3, 3]
    batch = torch.randn(4, 3, 2)
    assert torch.equal(layout.pack(batch), batch.reshape(12, 2))
    assert torch.equal(layout.unpack(layout.pack(batch)), batch)
    assert torch.equal(layout.sort(batch[0]), batch[0])


def test_steps_that_no_row_has_are_not_there():
    layout = Layout.of(5, 2, torch.tensor([1, 2]))
    assert layout.sizes == [2, 1]
    assert layout.unpack(torch.ones(3, 1)).shape == (5, 2, 1)
    assert layout.unpack(torch.ones(3, 1)).sum() == 3


def test_gradients_go_back_where_they_came_from():
    layout = Layout.of(4, 3, torch.tensor([2, 4, 1]))
    batch = torch.randn(4, 3, 2, requires_grad=True)
    layout.unpack(layout.pack(batch)).sum().backward()
    counts = torch.arange(4)[:, None] < torch.tensor([2, 4, 1])
    assert torch.equal(batch.grad, counts[:, :, None].expand(-1, -1, 2).float())
