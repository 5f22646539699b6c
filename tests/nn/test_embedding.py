"""Embeddings against torch's own, and what becomes of the memory of their gradients."""

import math

import pytest
import torch
from torch import nn

from recurra.backends.cpu import spare
from recurra.nn.embedding import Embedding, EmbeddingBag

ROWS, WIDTH = 3001, 100
assert ROWS * WIDTH > spare.LEAST


def twins(ours: nn.Module, theirs: nn.Module) -> tuple[nn.Module, nn.Module]:
    theirs.load_state_dict(ours.state_dict())
    return ours, theirs


def pairs(dtype: torch.dtype) -> list[tuple[nn.Module, nn.Module]]:
    return [
        twins(Embedding(ROWS, WIDTH, dtype=dtype), nn.Embedding(ROWS, WIDTH, dtype=dtype)),
        twins(Embedding(ROWS, WIDTH, padding_idx=0).to(dtype), nn.Embedding(ROWS, WIDTH, padding_idx=0).to(dtype)),
        twins(
            EmbeddingBag(ROWS, WIDTH, padding_idx=0).to(dtype),
            nn.EmbeddingBag(ROWS, WIDTH, mode="mean", padding_idx=0).to(dtype),
        ),
    ]


def ids() -> torch.Tensor:
    """Some of them often, some bags with padding, one of nothing else."""
    drawn = torch.randint(1, 40, (17, 9))
    drawn[3, 4:] = drawn[5] = drawn[11, 1] = drawn[16] = 0
    drawn[7] = ROWS - 1
    return drawn


def address(module: nn.Module) -> int:
    assert isinstance(module.weight.grad, torch.Tensor)
    return module.weight.grad.data_ptr()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_values_and_gradients_are_torchs(dtype):
    for ours, theirs in pairs(dtype):
        for step in range(4):
            rows = ids()
            above = torch.randn_like(theirs(rows))
            for module in (ours, theirs):
                if step != 2:  # the third step adds to the gradient of the second
                    module.zero_grad()
                (module(rows) * above).sum().backward()
            torch.testing.assert_close(ours(rows), theirs(rows))
            torch.testing.assert_close(ours.weight.grad, theirs.weight.grad)


def test_the_memory_of_a_gradient_is_used_again_and_what_it_held_forgotten():
    for module in [ours for ours, _ in pairs(torch.float32)]:
        spare.release()  # of several that fit, any may be taken
        module(ids()).sum().backward()
        first = address(module)
        module.weight.grad.fill_(math.nan)
        module.zero_grad()
        module(ids()).sum().backward()
        assert address(module) == first
        assert bool(module.weight.grad.isfinite().all())


def test_a_gradient_that_is_kept_stays_as_it_is():
    for module in [ours for ours, _ in pairs(torch.float32)]:
        module(ids()).sum().backward()
        kept, copy = module.weight.grad[5:], module.weight.grad[5:].clone()
        module.zero_grad()
        module(ids()).sum().backward()
        assert torch.equal(kept, copy)


def test_bags_of_nothing_are_0_and_teach_nothing():
    bag = EmbeddingBag(ROWS, WIDTH, padding_idx=0)
    means = bag(torch.zeros(3, 2, dtype=torch.int64))
    means.sum().backward()
    assert not bool(means.any())
    assert not bool(bag.weight.grad.any())


def test_what_torch_does_otherwise_is_left_to_torch():
    assert Embedding(ROWS, WIDTH, sparse=True)(ids()).grad_fn.name() == "EmbeddingBackward0"
    assert Embedding(40, 3)(torch.tensor([1])).grad_fn.name() == "EmbeddingBackward0"
    with torch.no_grad():
        assert Embedding(ROWS, WIDTH)(ids()).grad_fn is None
