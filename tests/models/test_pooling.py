"""Pooling against its definition, row by row, whatever the padding holds."""

import pytest
import torch

from recurra.errors import SettingError
from recurra.models.pooling import Pooling
from recurra.nn import Recurrent

LENGTHS = [5, 1, 3]


def definition(pooling: Pooling, kind: str, row: torch.Tensor) -> torch.Tensor:
    """The pooled vector of one sequence without padding, (T, D · H)."""
    if kind == "last":
        return torch.cat([row[-1, : pooling.hidden_size], row[0, pooling.hidden_size :]])
    if kind == "attention":
        weights = pooling.attended(pooling.attention(row).tanh())[:, 0].softmax(0)
        return (weights[:, None] * row).sum(0)
    return row.mean(0) if kind == "mean" else row.max(0).values


@pytest.mark.parametrize("kind", ["last", "mean", "max", "attention", "last+mean+max"])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_each_row_is_pooled_as_if_alone(kind, bidirectional):
    torch.manual_seed(0)
    pooling = Pooling(Recurrent("gru", 2, 3, bidirectional=bidirectional), kind)
    outputs = torch.randn(3, 5, 6 if bidirectional else 3) - 4  # a maximum with padding of zeros would be 0
    for row, length in enumerate(LENGTHS):
        outputs[row, length:] = torch.nan if kind != "attention" else 1e6
    pooled = pooling(outputs, LENGTHS)
    assert pooled.shape == (3, pooling.width)
    for row, length in enumerate(LENGTHS):
        expected = torch.cat([definition(pooling, part, outputs[row, :length]) for part in kind.split("+")])
        assert torch.allclose(pooled[row], expected, atol=1e-6)


def test_without_lengths_all_steps_count():
    pooling = Pooling(Recurrent("gru", 2, 3), "last+mean+max")
    outputs = torch.randn(2, 4, 3)
    assert torch.equal(pooling(outputs), pooling(outputs, [4, 4]))


def test_an_unknown_kind_lists_the_known():
    with pytest.raises(SettingError, match="there is no pooling 'sum'; choose one of: last, mean"):
        Pooling(Recurrent("gru", 2, 3), "sum")
