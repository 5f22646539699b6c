import pytest
import torch

from recurra.errors import ShapeError
from recurra.training.regularisation import activation_penalty, temporal_penalty


def by_loops(outputs, counted):
    """Both penalties, as the formulae are written."""
    squares, changes = [], []
    for row in range(outputs.shape[0]):
        for time in range(outputs.shape[1]):
            if counted[row, time]:
                squares += [float(value) ** 2 for value in outputs[row, time]]
                if time:
                    changes += [float(value) ** 2 for value in outputs[row, time] - outputs[row, time - 1]]
    return sum(squares) / len(squares), sum(changes) / len(changes)


def test_they_are_the_means_over_what_counts():
    outputs = torch.randn(3, 6, 4, dtype=torch.float64)
    ragged = torch.arange(6) < torch.tensor([6, 2, 4])[:, None]
    last = torch.arange(6) >= 3
    for counted in (torch.ones(3, 6, dtype=torch.bool), ragged, last.expand(3, 6)):
        activation, temporal = by_loops(outputs, counted)
        assert activation_penalty(outputs, counted).item() == pytest.approx(activation)
        assert temporal_penalty(outputs, counted).item() == pytest.approx(temporal)
    activation, temporal = by_loops(outputs, torch.ones(3, 6))
    assert activation_penalty(outputs).item() == pytest.approx(activation)
    assert temporal_penalty(outputs).item() == pytest.approx(temporal)


def test_a_change_counts_where_the_step_that_it_leads_to_does():
    outputs = torch.tensor([[[0.0], [1.0], [3.0], [7.0]]])
    assert temporal_penalty(outputs, torch.tensor([[True, False, True, False]])).item() == 4.0
    assert temporal_penalty(outputs, torch.tensor([[False, True, True, True]])).item() == pytest.approx(
        (1 + 4 + 16) / 3
    )


def test_padding_has_no_part_in_them_whatever_it_holds():
    outputs = torch.randn(2, 4, 3)
    outputs[1, 2:] = torch.nan
    outputs.requires_grad_()
    counted = torch.tensor([[True] * 4, [True, True, False, False]])
    (activation_penalty(outputs, counted) + temporal_penalty(outputs, counted)).backward()
    assert torch.isfinite(outputs.grad[0]).all()
    assert torch.isfinite(outputs.grad[1, :2]).all()


def test_nothing_that_counts_is_nothing_to_pay():
    outputs = torch.ones(2, 3, 4)
    nothing = torch.zeros(2, 3, dtype=torch.bool)
    assert activation_penalty(outputs, nothing).item() == temporal_penalty(outputs, nothing).item() == 0
    assert temporal_penalty(torch.ones(2, 1, 4)).item() == 0


@pytest.mark.parametrize("penalty", [activation_penalty, temporal_penalty])
def test_shapes_that_do_not_fit_are_refused(penalty):
    with pytest.raises(ShapeError, match=r"outputs are \(2, 3\); expected \(B, T, H\)"):
        penalty(torch.ones(2, 3))
    with pytest.raises(ShapeError, match=r"outputs are \(2, 3, 4\) and counted \(3, 2\)"):
        penalty(torch.ones(2, 3, 4), torch.ones(3, 2, dtype=torch.bool))


@pytest.mark.parametrize("counted", [None, torch.ones(2, 2000, dtype=torch.bool)])
def test_squares_are_summed_in_float32_where_half_precision_has_no_number_for_them(counted):
    outputs = torch.full((2, 2000, 3), 300.0, dtype=torch.float16)
    assert activation_penalty(outputs, counted).item() == 90_000.0
