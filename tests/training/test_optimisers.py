import pytest
import torch
from torch import nn

from recurra.errors import TrainingError
from recurra.training import TrainingSettings, build_optimiser


def one_step(parameter, gradient, **settings):
    """The parameter after one step, by the optimiser that the settings ask for."""
    model = nn.Module()
    model.weight = nn.Parameter(parameter.clone())
    optimiser = build_optimiser(model, TrainingSettings(**settings))
    model.weight.grad = gradient.clone()
    optimiser.step()
    return model.weight.detach()


def test_sgd_is_its_formula():
    w, g = torch.tensor([[1.0, -2.0]]), torch.tensor([[0.5, 0.25]])
    stepped = one_step(w, g, optimiser="sgd", learning_rate=0.1, weight_decay=0.01)
    torch.testing.assert_close(stepped, w - 0.1 * (g + 0.01 * w))


@pytest.mark.parametrize("optimiser", ["adam", "adamw"])
def test_the_first_step_of_adam_is_the_sign_of_the_gradient(optimiser):
    w, g = torch.tensor([[1.0, -2.0]]), torch.tensor([[0.5, -0.25]])
    stepped = one_step(w, g, optimiser=optimiser, learning_rate=0.1)
    torch.testing.assert_close(stepped, w - 0.1 * g.sign())


def test_only_the_decay_of_adamw_is_decoupled():
    w, g = torch.tensor([[1.0, -2.0]]), torch.tensor([[0.5, 0.25]])
    decoupled = one_step(w, g, optimiser="adamw", learning_rate=0.1, weight_decay=0.5)
    torch.testing.assert_close(decoupled, w * (1 - 0.1 * 0.5) - 0.1 * g.sign())
    penalty = one_step(w, g, optimiser="adam", learning_rate=0.1, weight_decay=0.5)
    torch.testing.assert_close(penalty, w - 0.1 * (g + 0.5 * w).sign())


@pytest.mark.parametrize("beta2", [0.999, 0.98])
def test_a_lower_beta2_moves_what_rarely_has_a_gradient_less(beta2):
    model = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(model.weight)
    optimiser = build_optimiser(model, TrainingSettings(learning_rate=1.0, beta2=beta2))
    expected = mean = square = 0.0
    for step in range(1, 21):
        gradient = float(step == 10)
        model.weight.grad = torch.full_like(model.weight, gradient)
        optimiser.step()
        mean, square = 0.9 * mean + 0.1 * gradient, beta2 * square + (1 - beta2) * gradient**2
        expected -= mean / (1 - 0.9**step) / ((square / (1 - beta2**step)) ** 0.5 + 1e-8)
    assert model.weight.item() == pytest.approx(expected, rel=1e-5)


def test_momentum_adds_the_last_step():
    model = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(model.weight)
    optimiser = build_optimiser(model, TrainingSettings(optimiser="sgd", learning_rate=1.0, momentum=0.5))
    for _ in range(2):
        model.weight.grad = torch.ones_like(model.weight)
        optimiser.step()
    assert model.weight.item() == pytest.approx(-(1 + 1.5))


def test_rmsprop_divides_by_the_root_of_the_mean_square():
    w, g = torch.tensor([[1.0, -2.0]]), torch.tensor([[0.5, -0.25]])
    stepped = one_step(w, g, optimiser="rmsprop", learning_rate=0.01)
    torch.testing.assert_close(stepped, w - 0.01 * g / ((0.01 * g**2).sqrt() + 1e-8))


def test_decay_pulls_matrices_and_leaves_vectors():
    model = nn.GRU(3, 4)
    optimiser = build_optimiser(model, TrainingSettings(weight_decay=0.1))
    decay = {id(p): group["weight_decay"] for group in optimiser.param_groups for p in group["params"]}
    assert {name: decay[id(p)] for name, p in model.named_parameters()} == {
        name: 0.1 if name.startswith("weight") else 0.0 for name, _ in model.named_parameters()
    }


def test_frozen_parameters_are_left_out():
    model = nn.Linear(2, 2)
    model.bias.requires_grad_(False)
    optimiser = build_optimiser(model, TrainingSettings())
    assert [p for group in optimiser.param_groups for p in group["params"]] == [model.weight]
    model.weight.requires_grad_(False)
    with pytest.raises(TrainingError, match="Linear has no parameter with requires_grad=True"):
        build_optimiser(model, TrainingSettings())
