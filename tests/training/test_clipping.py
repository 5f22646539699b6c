import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from recurra.errors import TrainingError
from recurra.training import clip_gradients


def parameters_with(*gradients):
    named = []
    for number, gradient in enumerate(gradients):
        parameter = nn.Parameter(torch.zeros(len(gradient), dtype=torch.float64))
        parameter.grad = torch.tensor(gradient, dtype=torch.float64)
        named.append((f"layer.{number}", parameter))
    return named


def gradients_of(named):
    return torch.cat([parameter.grad for _, parameter in named]).tolist()


def test_the_norm_is_that_of_all_parameters_together():
    named = parameters_with([3.0, 0.0], [4.0], [12.0])
    norm, clipped = clip_gradients(named, norm=6.5)
    assert (norm, clipped) == (13.0, True)
    scale = 6.5 / (13 + 1e-6)
    assert gradients_of(named) == pytest.approx([3 * scale, 0, 4 * scale, 12 * scale], rel=1e-12)


def test_a_value_cuts_each_element():
    named = parameters_with([3.0, -0.5], [-4.0])
    assert clip_gradients(named, value=1.0) == (math.sqrt(25.25), True)
    assert gradients_of(named) == [1.0, -0.5, -1.0]


def test_the_norm_comes_first():
    named = parameters_with([3.0, 4.0])
    clip_gradients(named, norm=1.0, value=0.7)
    assert gradients_of(named) == pytest.approx([0.6, 0.7], abs=1e-6)
    # The value alone would have changed nothing of what the norm brought below it.
    named = parameters_with([3.0, 4.0])
    clip_gradients(named, norm=1.0, value=0.9)
    assert gradients_of(named) == pytest.approx([0.6, 0.8], abs=1e-6)


@pytest.mark.parametrize("limits", [{}, {"norm": 13.1}, {"value": 12.0}, {"norm": 14, "value": 13}])
def test_what_is_within_bounds_is_left_as_it_is(limits):
    named = parameters_with([3.0, 0.0], [4.0], [12.0])
    assert clip_gradients(named, **limits) == (13.0, False)
    assert gradients_of(named) == [3.0, 0.0, 4.0, 12.0]


@settings(deadline=None, max_examples=100)
@given(
    st.lists(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=4), min_size=1, max_size=3),
    st.floats(1e-3, 1e3),
    st.floats(1e-3, 1e3),
)
def test_both_bounds_hold_and_no_sign_changes(gradients, norm, value):
    named = parameters_with(*gradients)
    before = gradients_of(named)
    found = clip_gradients(named, norm=norm, value=value)
    after = gradients_of(named)
    assert found.norm == pytest.approx(math.sqrt(math.fsum(g * g for g in before)), rel=1e-9)
    assert math.sqrt(math.fsum(g * g for g in after)) <= norm * (1 + 1e-9)
    assert max(map(abs, after)) <= value
    assert all(a * b >= 0 for a, b in zip(after, before, strict=True))
    assert found.clipped == (found.norm > norm or max(map(abs, before)) > value)


def test_parameters_without_a_gradient_are_passed_over():
    idle = nn.Parameter(torch.zeros(2))
    assert clip_gradients([("idle", idle)], norm=1.0, value=1.0) == (0.0, False)
    assert idle.grad is None


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_the_first_parameter_at_fault_is_named_and_nothing_is_changed(bad):
    named = parameters_with([3.0], [1.0, bad], [bad])
    with pytest.raises(TrainingError, match=r"'layer\.1' is not finite in 1 of 2 elements"):
        clip_gradients(named, norm=1.0, value=1.0)
    assert named[0][1].grad.tolist() == [3.0]
    with pytest.raises(TrainingError, match=r"'layer\.1'"):
        clip_gradients(named)


def test_a_norm_that_overflows_names_the_largest_gradient():
    named = [("small", nn.Parameter(torch.zeros(1))), ("large", nn.Parameter(torch.zeros(2)))]
    named[0][1].grad, named[1][1].grad = torch.ones(1), torch.full((2,), 3e38)
    with pytest.raises(TrainingError, match=r"overflows; most of it is in 'large', whose own norm is 4\.24e\+38"):
        clip_gradients(named, norm=1.0)
