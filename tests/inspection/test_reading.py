"""The reading trace: after each step it is what the classifier answers to the steps so far, whichever way it reads."""

import pytest
import torch

from recurra.errors import SettingError, ShapeError
from recurra.inspection import read_along
from recurra.inspection import reading as reading_module
from recurra.inspection.reading import Reading
from recurra.models.classifier import Classifier

POOLINGS = ["last", "mean", "max", "attention", "last+mean+max"]


def classifier(pooling="last", bidirectional=False, **options):
    torch.manual_seed(1)
    model = Classifier(
        3, 4, "gru", hidden_size=5, num_layers=2, pooling=pooling, bidirectional=bidirectional, dropout=0.5, **options
    )
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(3)
    return model


def read(model, x, **options):
    names = [str(step) for step in range(x.shape[1])]
    return read_along(model, x, names, ["a", "b", "c", "d"], [0.25] * 4, **options)


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("pooling", POOLINGS)
def test_after_each_step_it_is_the_answer_to_the_steps_so_far(pooling, bidirectional):
    model, x = classifier(pooling, bidirectional).train(), torch.randn(1, 23, 3)
    reading = read(model, x)
    assert model.training
    model.eval()
    assert reading.one_pass is not bidirectional
    seen = set()
    for step in range(23):
        alone = model(x[:, : step + 1])[0].softmax(1)[0].tolist()
        assert reading.so_far[step] == pytest.approx(alone, abs=1e-6)
        kept = [place for place in range(23) if place != step]
        assert reading.without[step] == pytest.approx(model(x[:, kept])[0].softmax(1)[0].tolist(), abs=1e-6)
        seen.add(round(alone[0], 4))
    assert len(seen) > 10  # the steps make a difference


def test_it_is_the_same_however_many_prefixes_are_read_at_once(monkeypatch):
    model, x = classifier("mean", bidirectional=True).eval(), torch.randn(1, 11, 3)
    whole = read(model, x)
    monkeypatch.setattr(reading_module, "MAX_STEPS", 25)
    parts = read(model, x)
    assert torch.allclose(torch.tensor(whole.so_far), torch.tensor(parts.so_far), atol=1e-6)
    assert torch.allclose(torch.tensor(whole.without), torch.tensor(parts.without), atol=1e-6)


def test_attention_to_a_late_step_leaves_the_early_ones_what_they_are():
    """In single precision the weights of the first steps would be 0 / 0: the score of the last is 200 higher."""
    model = classifier("attention").eval()
    pooling = model.pooling
    with torch.no_grad():
        pooling.attention.weight.copy_(torch.eye(5) * 100)
        pooling.attention.bias.zero_()
        pooling.attended.weight.fill_(20)
    outputs = torch.cat([torch.rand(1, 4, 5) * -1, torch.ones(1, 1, 5)], 1)
    prefixes = pooling.prefixes(outputs)
    for step in range(5):
        assert torch.allclose(prefixes[:, step], pooling(outputs[:, : step + 1]), atol=1e-6)


def test_prefixes_of_both_directions_are_refused():
    model = classifier(bidirectional=True)
    with pytest.raises(SettingError, match="both directions"):
        model.pooling.prefixes(torch.randn(1, 4, 10))


def test_nothing_read_is_what_was_held_before():
    reading = read_along(classifier(), torch.randn(1, 1, 3), [], ["a", "b"], [0.3, 0.7])
    assert (reading.answer, reading.turn, reading.course, reading.changes) == (1, None, [], [])


def test_without_its_only_step_it_is_what_was_held_before():
    reading = read(classifier(), torch.randn(1, 1, 3))
    assert reading.without == [[0.25] * 4]
    assert reading.changes == pytest.approx(reading.effects)


def test_a_step_without_a_name_is_refused():
    with pytest.raises(ShapeError, match="5 steps, and 4 are named"):
        read_along(classifier(), torch.randn(1, 5, 3), "abcd", ["a", "b", "c", "d"], [0.25] * 4)


def test_the_turn_is_the_largest_rise_of_the_answer():
    so_far = [(0.4, 0.6), (0.8, 0.2), (0.1, 0.9), (0.05, 0.95)]
    reading = Reading("wxyz", ["no", "yes"], (0.5, 0.5), so_far, so_far, one_pass=True)
    assert (reading.answer, reading.turn) == (1, 2)
    assert reading.changes == pytest.approx([0.1, -0.4, 0.7, 0.05])
    assert reading.effects == pytest.approx([0.35, 0.75, 0.05, 0])
    falling = Reading("w", ["no", "yes"], (0.1, 0.9), [(0.3, 0.7)], [(0.1, 0.9)], one_pass=True)
    assert falling.turn is None
