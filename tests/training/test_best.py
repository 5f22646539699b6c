import math

import torch
from torch import nn

from recurra.training.best import BestModel


def test_the_copy_is_its_own():
    model = nn.Linear(2, 2)
    best = BestModel(model.state_dict, model.load_state_dict)
    best.restore()  # Nothing kept: nothing changes.
    kept = model.weight.detach().clone()
    best.keep(3, 1.0, {"loss": 1.0})
    nn.init.zeros_(model.weight)
    best.restore()
    assert torch.equal(model.weight, kept)
    assert (best.step, best.metrics) == (3, {"loss": 1.0})


def test_lower_is_better_and_what_is_no_number_is_not():
    model = nn.Linear(1, 1)
    best = BestModel(model.state_dict, model.load_state_dict)
    assert not best.is_beaten_by(math.nan)
    assert best.is_beaten_by(5.0)
    best.keep(1, 5.0, {})
    assert not best.is_beaten_by(5.0)
    assert not best.is_beaten_by(math.nan)
    assert best.is_beaten_by(4.9)


def test_of_equals_the_one_with_the_lower_loss_is_better():
    model = nn.Linear(1, 1)
    best = BestModel(model.state_dict, model.load_state_dict)
    best.keep(1, 0.25, {"error": 0.25, "loss": 2.0})
    assert best.is_beaten_by(0.25, loss=1.9)
    assert not best.is_beaten_by(0.25, loss=2.0)
    assert not best.is_beaten_by(0.25, loss=math.nan)
    assert not best.is_beaten_by(0.26, loss=1.0)


def test_tied_weights_and_buffers_are_restored():
    model = nn.Module()
    model.embedding, model.output = nn.Embedding(3, 2), nn.Linear(2, 3, bias=False)
    model.output.weight = model.embedding.weight
    model.register_buffer("count", torch.tensor(1))
    best = BestModel(model.state_dict, model.load_state_dict)
    best.keep(1, 1.0, {})
    kept = model.embedding.weight.detach().clone()
    with torch.no_grad():
        model.embedding.weight.zero_()
        model.count.add_(1)
    best.restore()
    assert torch.equal(model.output.weight, kept)
    assert model.output.weight is model.embedding.weight
    assert model.count.item() == 1
