"""Ragged rows against torch's own padding of a tensor a row."""

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.utils.rnn import pad_sequence

from recurra.data.ragged import RaggedRows

INTEGERS = st.integers(-(2**63), 2**63 - 1)


@given(st.lists(st.lists(INTEGERS, max_size=5), min_size=1, max_size=6), st.data())
def test_rows_are_padded_as_torch_pads_them(drawn, data):
    rows = RaggedRows(drawn[:2])
    for row in drawn[2:]:
        rows.append(row)
    numbers = data.draw(st.lists(st.integers(0, len(drawn) - 1), min_size=1, max_size=8))
    expected = pad_sequence([torch.tensor(drawn[n], dtype=torch.int64) for n in numbers], batch_first=True)
    padded = rows.padded(torch.tensor(numbers))
    assert padded.dtype == torch.int64
    assert len(rows) == len(drawn)
    assert torch.equal(padded, expected)
    rows.append([1])  # what was handed out does not hold the rows fast
    assert torch.equal(padded, expected)


def test_no_row_at_all():
    assert RaggedRows([[1]]).padded(torch.tensor([], dtype=torch.int64)).shape == (0, 0)
