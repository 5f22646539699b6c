from typing import NamedTuple

import pytest
import torch

from recurra.training import detach


class State(NamedTuple):
    hidden: torch.Tensor
    cell: torch.Tensor


def test_every_tensor_is_cut_and_the_structure_stays():
    h = torch.ones(2, requires_grad=True) * 2
    nested = {"layers": [(h, None), State(h, h + 1)], "steps": 3, "name": "decoder", "rate": 0.5}
    cut = detach(nested)
    assert type(cut["layers"][1]) is State
    assert (cut["layers"][0][1], cut["steps"], cut["name"], cut["rate"]) == (None, 3, "decoder", 0.5)
    for tensor in (cut["layers"][0][0], *cut["layers"][1]):
        assert not tensor.requires_grad
    assert torch.equal(cut["layers"][1].cell, h + 1)
    assert cut["layers"][0][0].data_ptr() == h.data_ptr()
    assert detach(None) is None


def test_what_could_hide_a_graph_is_refused():
    with pytest.raises(TypeError, match="a carried state holds a set; it may hold tensors"):
        detach({"h": {torch.ones(1, requires_grad=True)}})
